//! 15 000 connections to one process: what they cost, and that nobody misses anything.
//!
//! A test binary of its own, so that nothing else runs beside it. The machine of the project's tests gives a process
//! 20 000 descriptors: the node has one end of each connection, this process the other.

#[path = "../all/support/mod.rs"]
mod support;

use std::io::Write;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use support::fleet::Fleet;
use support::{Node, json};

const CONNECTIONS: usize = 15_000;
const BROADCASTS: u64 = 100;

/// The promise: user space of an idle, signed-in, subscribed connection.
const BYTES_PER_CONNECTION_MAX: u64 = 1024;

/// What each stage may take. On two idle cores the slowest takes a tenth of it.
const STAGE_DEADLINE: Duration = Duration::from_secs(180);

#[test]
fn fifteen_thousand_connections_get_every_broadcast_and_a_goodbye() {
    raise_descriptor_limit();
    let mut node = Node::with("[limits]\nconnections = 16000\n[drain]\nseconds = 3\n");
    let empty = node.resident_bytes();

    let start = Instant::now();
    let mut fleet = Fleet::connect(node.clients, CONNECTIONS, "news");
    fleet.run_until(STAGE_DEADLINE, "all are subscribed", |member| member.subscribed);
    report(&format!("{CONNECTIONS} connections signed in and subscribed in {:?}", start.elapsed()));

    let online = node.get("/v1/online").json();
    assert_eq!(online["node"], json!({"connections": CONNECTIONS, "users": CONNECTIONS}));
    let each = node.resident_bytes().saturating_sub(empty) / CONNECTIONS as u64;
    report(&format!("{each} bytes of resident memory per idle, signed-in, subscribed connection"));
    assert!(each < BYTES_PER_CONNECTION_MAX, "{each} bytes");

    let start = Instant::now();
    let mut api = node.api();
    let publisher = std::thread::spawn(move || {
        for n in 0..BROADCASTS {
            let reply = api.post("/v1/push", &json!({"to": {"all": true}, "data": {"n": n}}));
            assert_eq!(reply.status, 202, "{reply:?}");
            assert_eq!(reply.json()["local"], CONNECTIONS);
        }
        api
    });
    // The fleet itself checks that the numbers come in order and that nothing else comes.
    fleet.run_until(STAGE_DEADLINE, "all got every broadcast", |member| member.next == BROADCASTS);
    let mut api = publisher.join().expect("every push was taken");
    let reply = api.post("/v1/push", &json!({"to": {"channels": ["news"]}, "data": {"n": BROADCASTS}}));
    assert_eq!(reply.json()["local"], CONNECTIONS);
    fleet.run_until(STAGE_DEADLINE, "all got the channel's message", |member| member.next == BROADCASTS + 1);
    report(&format!("{BROADCASTS} broadcasts to {CONNECTIONS} connections in {:?}", start.elapsed()));

    let start = Instant::now();
    node.signal(Signal::TERM);
    fleet.run_until(STAGE_DEADLINE, "all were told goodbye", |member| member.close_code == Some(1001));
    drop(fleet);
    assert_eq!(node.ended().code(), Some(0), "{}", node.log());
    report(&format!("drained in {:?}", start.elapsed()));
}

fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
        .expect("up to the hard limit");
    let most = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    assert!(most > CONNECTIONS as u64 + 100, "only {most} descriptors: raise the hard limit (ulimit -Hn)");
}

/// Shown even when the test passes: these are the numbers it is run for.
fn report(line: &str) {
    let _ = writeln!(std::io::stderr(), "scale: {line}");
}
