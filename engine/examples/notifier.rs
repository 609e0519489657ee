//! An authenticated notifier: the application decides who a client is, and pushes to users from its own threads.
//!
//! ```text
//! cargo run --example notifier
//! websocat 'ws://127.0.0.1:7000/msg?token=ann-1'
//! ```
//!
//! Beside another node: `EPUSH_SERVER_LISTEN=127.0.0.1:7010 EPUSH_SERVER_API=127.0.0.1:7011 cargo run --example notifier`.

use std::collections::HashMap;
use std::time::Duration;

use epush::config::Layers;
use epush::handler::HandlerError;
use epush::{CloseReason, Engine, Handler, HandshakeRequest, PushError, Session, Verdict};
use serde_json::json;

/// Where a real application would ask its session store. `on_handshake` runs on a reactor: the store must be in
/// memory. One that takes a round trip belongs behind `auth.mode = "webhook"`.
struct Accounts {
    users_by_token: HashMap<&'static str, &'static str>,
}

impl Handler for Accounts {
    fn on_handshake(&self, request: &HandshakeRequest<'_>) -> Verdict {
        match request.token().and_then(|token| self.users_by_token.get(token)) {
            Some(user) => request.accept_user(user),
            None => request.refuse(401, "a token is needed: try ?token=ann-1"),
        }
    }

    fn on_open(&self, session: &Session) {
        println!("{} is online from {}", session.user().unwrap_or("somebody"), session.remote());
        if let Err(error) = session.send(&json!({ "notice": "you are signed in" })) {
            println!("no greeting: {error}");
        }
    }

    fn on_close(&self, session: &Session, reason: CloseReason) {
        println!("{} is gone: {}", session.user().unwrap_or("somebody"), reason.word());
    }

    fn on_error(&self, error: &HandlerError) {
        println!("{error}");
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let users_by_token = HashMap::from([("ann-1", "ann"), ("bob-2", "bob")]);
    let config = Layers::new().environment(std::env::vars()).load()?.config;
    let engine = Engine::builder().config(config).handler(Accounts { users_by_token }).start()?;
    println!("{}", engine.ready_line());

    let pusher = engine.pusher();
    for order in 1_u64.. {
        std::thread::sleep(Duration::from_secs(3));
        let push = pusher.to_user("ann").kind("order.paid").module("shop").json(&json!({ "order": order }))?;
        match push.push() {
            Ok(id) => println!("{id}: order {order}, {} online", engine.online().users),
            Err(PushError::Full) => println!("order {order}: busy, not sent"),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
