//! `batch_ms` over real sockets: pushes of a window share a write, come by themselves, and are not lost at the end.

use rustix::process::Signal;

use crate::support::raw::{TEXT, frame};
use crate::support::{Node, Raw, json, within};

/// The longest window: whatever a busy machine does between three pushes fits.
const LONG: &str = "[namespaces.late]\nbatch_ms = 1000\n";

const PUSHES: usize = 3;

fn subscriber(node: &Node) -> Raw {
    let mut raw = node.raw();
    raw.send(crate::support::raw::upgrade_request("/msg", "").as_bytes());
    assert!(raw.read_head().starts_with("HTTP/1.1 101 "));
    raw.send(&frame(TEXT, br#"{"op":"subscribe","id":1,"channel":"late.news"}"#));
    while !String::from_utf8_lossy(&raw.read_frame().1).contains(r#""op":"ok""#) {}
    raw
}

fn push(node: &Node) {
    node.push(&json!({"to": {"channels": ["late.news"]}, "data": "hello"}));
}

fn messages(bytes: &[u8]) -> usize {
    String::from_utf8_lossy(bytes).matches("hello").count()
}

/// Pushes three messages, each in a request of its own, while the client waits in a read; what that read returned.
fn messages_of_one_read(node: &Node, raw: &mut Raw) -> usize {
    let first = std::thread::scope(|scope| {
        let reading = scope.spawn(|| messages(&raw.read_once()));
        (0..PUSHES).for_each(|_| push(node));
        reading.join().expect("a read")
    });
    let mut all = first;
    while all < PUSHES {
        all += messages(&raw.read_once());
    }
    assert_eq!(all, PUSHES);
    first
}

#[test]
fn pushes_of_one_window_arrive_in_one_write_and_a_reload_opens_windows() {
    let node = Node::with("");
    let mut raw = subscriber(&node);
    assert!(messages_of_one_read(&node, &mut raw) >= 1);
    node.rewrite(LONG);
    node.signal(Signal::HUP);
    // Again where the machine paused for longer than a window; and until the signal has been heard.
    within("three pushes in one read", || (messages_of_one_read(&node, &mut raw) == PUSHES).then_some(()));
}

#[test]
fn a_lone_push_arrives_when_its_window_is_over() {
    let node = Node::with(LONG);
    let mut client = node.anyone();
    client.subscribe("late.news");
    for _ in 0..2 {
        push(&node);
        client.expect_message("hello");
    }
}

#[test]
fn a_drain_delivers_what_waits_in_a_window_before_its_goodbye() {
    let mut node = Node::with(&format!("{LONG}[drain]\nseconds = 5\n"));
    let mut client = node.anyone();
    client.subscribe("late.news");
    push(&node);
    node.signal(Signal::TERM);
    client.expect_message("hello");
    client.expect_goodbye(1001, "drain");
    drop(client);
    assert_eq!(node.ended().code(), Some(0), "{}", node.log());
}

#[test]
fn what_waits_in_windows_refuses_nobody() {
    const CHANNELS: usize = 48;
    // All of them together are more than may be under way, and each is less than a batch.
    let small = "[limits]\nintake_bytes_max = 2097152\nsubscriptions_per_session = 64\n";
    let node = Node::with(&format!("{LONG}{small}"));
    let mut client = node.anyone();
    let channels: Vec<String> = (0..CHANNELS).map(|number| format!("late.{number}")).collect();
    for channel in &channels {
        client.subscribe(channel);
    }
    let data = "x".repeat(60 * 1024);
    for channel in &channels {
        node.push(&json!({"to": {"channels": [channel]}, "data": data}));
    }
    for _ in &channels {
        client.expect_message(data.as_str());
    }
}
