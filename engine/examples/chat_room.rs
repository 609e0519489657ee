//! A chat room: clients join `room.<name>`, write into it, and are told who comes and goes.
//!
//! ```text
//! cargo run --example chat_room
//! websocat 'ws://127.0.0.1:7000/msg/ann'
//! {"op":"subscribe","id":1,"channel":"room.lobby"}
//! {"op":"publish","id":2,"channel":"room.lobby","type":"chat","data":"hello"}
//! {"op":"ask","id":3,"type":"who"}
//! ```
//!
//! Beside another node: `EPUSH_SERVER_LISTEN=127.0.0.1:7010 EPUSH_SERVER_API=127.0.0.1:7011 cargo run --example chat_room`.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use epush::config::Layers;
use epush::engine::Event;
use epush::{CloseReason, Engine, Handler, Message, Pusher, Reply, Session};
use serde_json::json;

/// Who is here, and the way to tell them.
#[derive(Default)]
struct Lobby {
    people: Mutex<BTreeSet<String>>,
    pusher: OnceLock<Pusher>,
}

struct Chat(Arc<Lobby>);

impl Chat {
    fn announce(&self, session: &Session, what: &str) {
        let Some((name, pusher)) = session.user().zip(self.0.pusher.get()) else { return };
        let push = pusher.to_channel("room.lobby").kind(what).json(name);
        if let Err(error) = push.and_then(|push| push.push()) {
            println!("{name} {what}: {error}");
        }
    }
}

impl Handler for Chat {
    fn on_open(&self, session: &Session) {
        let Some(name) = session.user() else { return };
        self.0.people.lock().expect("no handler panics").insert(name.to_owned());
        self.announce(session, "joined");
    }

    fn on_message(&self, _: &Session, message: Message<'_>, reply: Reply) -> Option<Reply> {
        let Message::Ask { kind: "who", .. } = message else { return Some(reply) };
        let people = self.0.people.lock().expect("no handler panics").clone();
        reply.send(&json!({ "people": people })).expect("names are JSON");
        None
    }

    fn on_close(&self, session: &Session, _: CloseReason) {
        let Some(name) = session.user() else { return };
        self.0.people.lock().expect("no handler panics").remove(name);
        self.announce(session, "left");
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // In a room, whoever listens may speak; a second login replaces the first, so a name is one person.
    let rules = "[namespaces.room]\npublish = \"subscribers\"\n[sessions]\nper_user = 1\n";
    let config = Layers::new().environment(std::env::vars()).load_text("chat_room", rules)?.config;
    let lobby = Arc::new(Lobby::default());
    let engine = Engine::builder().config(config).handler(Chat(Arc::clone(&lobby))).start()?;
    let _ = lobby.pusher.set(engine.pusher());
    println!("{}", engine.ready_line());
    loop {
        match engine.events().recv()? {
            Event::DrainRequested => return Ok(engine.drain(Duration::from_secs(10))?),
            Event::Failed { thread, message } => return Err(format!("{thread}: {message}").into()),
            Event::Drained => {}
        }
    }
}
