//! A server that says what it is told to: WebSockets and publications by HTTP at one port.
//!
//! Knows no protocol; a [`Tongue`] does.

use std::collections::HashSet;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::wire;

/// What a server does about something it heard.
pub enum Say {
    /// A frame to who said it.
    Back(String),
    /// Who said it is in this room from now on.
    Join(String),
    /// A frame to everybody in a room.
    To(String, String),
    /// A frame to everybody.
    All(String),
}

/// How a server speaks.
pub trait Tongue: Send + Sync + 'static {
    /// Whether it takes a WebSocket with this head, and what it does then.
    fn welcome(&self, head: &str) -> Option<Vec<Say>>;

    /// What it does about a frame.
    fn heard(&self, text: &str) -> Vec<Say>;

    /// Its answer to a publication by HTTP (status line and body), and what it does about it.
    fn posted(&self, head: &str, _body: &str) -> (&'static str, String, Vec<Say>) {
        panic!("nothing is published by HTTP: {head}")
    }
}

/// Starts one; it ends with the test.
pub fn start(tongue: impl Tongue) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tongue, hub) = (Arc::new(tongue), Arc::new(Mutex::new(Vec::new())));
    thread::spawn(move || {
        for (number, stream) in listener.incoming().flatten().enumerate() {
            let (tongue, hub) = (Arc::clone(&tongue), Arc::clone(&hub));
            thread::spawn(move || serve(stream, number, &*tongue, &hub));
        }
    });
    address
}

type Hub = Mutex<Vec<Member>>;

struct Member {
    number: usize,
    rooms: HashSet<String>,
    stream: TcpStream,
}

fn serve(mut stream: TcpStream, number: usize, tongue: &dyn Tongue, hub: &Hub) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    loop {
        let head = wire::read_head(&mut stream)?;
        if wire::header(&head, "sec-websocket-key").is_some() {
            let outcome = session(&mut stream, &head, number, tongue, hub);
            hub.lock().unwrap().retain(|member| member.number != number);
            return outcome;
        }
        let len = wire::header(&head, "content-length").and_then(|len| len.parse().ok()).expect("a length");
        let mut body = vec![0; len];
        stream.read_exact(&mut body)?;
        let (status, answer, says) = tongue.posted(&head, std::str::from_utf8(&body).expect("text"));
        write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{answer}", answer.len())?;
        act(says, number, hub);
    }
}

fn session(stream: &mut TcpStream, head: &str, number: usize, tongue: &dyn Tongue, hub: &Hub) -> io::Result<()> {
    let Some(says) = tongue.welcome(head) else { return stream.write_all(b"HTTP/1.1 404 Not Found\r\n\r\n") };
    let accept = wire::upgrade(wire::header(head, "sec-websocket-key").expect("a key"));
    let protocol = wire::header(head, "sec-websocket-protocol");
    let protocol = protocol.map(|name| format!("Sec-WebSocket-Protocol: {name}\r\n\r\n")).unwrap_or("\r\n".into());
    stream.write_all(format!("{}{protocol}", accept.strip_suffix("\r\n").expect("an empty line")).as_bytes())?;
    let member = Member { number, rooms: HashSet::new(), stream: stream.try_clone()? };
    hub.lock().unwrap().push(member);
    act(says, number, hub);
    loop {
        match wire::read_frame(stream)? {
            (wire::CLOSE, code) => return stream.write_all(&wire::frame(wire::CLOSE, &code)),
            (wire::TEXT, text) => {
                act(tongue.heard(std::str::from_utf8(&text).expect("text")), number, hub);
            }
            (opcode, _) => panic!("a frame of kind {opcode}"),
        }
    }
}

fn act(says: Vec<Say>, number: usize, hub: &Hub) {
    let mut hub = hub.lock().unwrap();
    for say in says {
        match say {
            Say::Join(room) => {
                hub.iter_mut().filter(|member| member.number == number).for_each(|member| {
                    member.rooms.insert(room.clone());
                });
            }
            Say::Back(text) => send(&mut hub, &text, |member| member.number == number),
            Say::To(room, text) => send(&mut hub, &text, |member| member.rooms.contains(&room)),
            Say::All(text) => send(&mut hub, &text, |_| true),
        }
    }
}

/// Who is gone by now needs nothing.
fn send(hub: &mut [Member], text: &str, to: impl Fn(&Member) -> bool) {
    let frame = wire::frame(wire::TEXT, text.as_bytes());
    hub.iter_mut().filter(|member| to(member)).for_each(|member| {
        let _ = member.stream.write_all(&frame);
    });
}

/// Nothing is waited for longer than this; no run takes as long.
const PATIENCE: Duration = Duration::from_secs(60);
