//! What servers say to a publisher over WebSocket, in the ways in which they may.

use std::time::Duration;

use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::{Message, WebSocket};

use super::*;
use crate::dialect::{Keepalive, Message as Shape};

/// A server whose first connection is served with this; what comes out goes to the receiver.
fn serve<T: Send + 'static>(
    act: impl FnOnce(&mut WebSocket<TcpStream>) -> T + Send + 'static,
) -> (String, crossbeam_channel::Receiver<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let (done, outcome) = crossbeam_channel::bounded(1);
    std::thread::spawn(move || {
        let mut socket = tungstenite::accept(listener.accept().unwrap().0).unwrap();
        let _ = done.send(act(&mut socket));
        // The publisher's goodbye is answered.
        while socket.read().is_ok() {}
    });
    (url, outcome)
}

/// Texts of the publisher until one holds this; publications between are left out.
fn until(socket: &mut WebSocket<TcpStream>, last: &str) -> Vec<String> {
    let mut texts = Vec::new();
    while texts.last().is_none_or(|text| text != last) {
        match socket.read().unwrap() {
            Message::Text(text) if !text.starts_with("say ") => texts.push(text.to_string()),
            Message::Close(_) => panic!("it left after {texts:?}"),
            _ => {}
        }
    }
    texts
}

fn fragments(socket: &mut WebSocket<TcpStream>, texts: &[&str]) {
    for (at, text) in texts.iter().enumerate() {
        let data = if at == 0 { Data::Text } else { Data::Continue };
        let frame = Frame::message(text.as_bytes().to_vec(), OpCode::Data(data), at + 1 == texts.len());
        socket.send(Message::Frame(frame)).unwrap();
        socket.send(Message::Ping(Vec::new().into())).unwrap();
    }
}

const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn messages_that_share_a_frame_or_come_in_fragments_are_all_understood() {
    let (url, outcome) = serve(|socket| {
        socket.send(Message::text("alive?;who is it;alive?")).unwrap();
        let first = until(socket, "yes");
        let rest = until(socket, "yes");
        fragments(socket, &["wel", "come;ali", "", "ve?"]);
        let again = until(socket, "yes");
        // Published: all are refused in one frame, two of them without their numbers.
        let mut refusals = Vec::new();
        while refusals.len() < 4 {
            if let Message::Text(text) = socket.read().unwrap() {
                refusals.push(format!("no: {text}"));
            }
        }
        socket.send(Message::text(format!("{};no: a;no: b", refusals.join(";")))).unwrap();
        [first, rest, again].concat()
    });
    let dialect = Dialect { message: Shape { separator: Some(";".into()), ..Shape::default() }, ..talkative() };
    let (_, ledger) = start(scenario(&url, dialect)).ready().publish(100, 20_000);
    assert_eq!(outcome.recv_timeout(PATIENCE).unwrap(), ["yes", "me", "yes", "yes"]);
    assert_eq!((refused(&ledger), ledger.refused_count), (vec![0, 1, 2, 3], 6));
    assert_eq!(kinds(&ledger), [("publication refused", 6)]);
}

#[test]
fn a_server_that_wants_to_hear_from_a_publisher_hears_from_it() {
    let (url, outcome) = serve(|socket| {
        until(socket, "still here");
        socket.send(Message::text("who is it")).unwrap();
        let greeting = until(socket, "me");
        socket.send(Message::text("welcome")).unwrap();
        until(socket, "still here");
        greeting
    });
    let keepalive = Keepalive { send: String::from("still here"), interval_ms: 1 };
    let running = start(scenario(&url, Dialect { keepalive: Some(keepalive), ..talkative() })).ready();
    assert!(outcome.recv_timeout(PATIENCE).is_ok(), "it is heard before it is ready, and after");
    let (_, ledger) = running.publish(20, 20_000);
    assert!(ledger.failures.is_empty(), "{:?}", ledger.failures);
}

#[test]
fn a_publisher_is_told_no_text_that_is_not_utf8() {
    let (url, outcome) = serve(|socket| {
        let frame = Frame::message(b"who is it \xff".to_vec(), OpCode::Data(Data::Text), true);
        socket.send(Message::Frame(frame)).unwrap();
        socket.read().is_err()
    });
    let running = start(scenario(&url, talkative()));
    outcome.recv_timeout(PATIENCE).unwrap();
    let (_, ledger) = running.publish(20, 50);
    let kinds = kinds(&ledger);
    assert!(kinds.contains(&("publisher's connection: a message of text is not UTF-8", 1)), "{kinds:?}");
}
