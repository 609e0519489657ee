//! Stopping: drain, the second signal, and what SIGHUP changes.

use std::net::TcpStream;

use rustix::process::Signal;

use crate::support::client::Dial;
use crate::support::deadline::within;
use crate::support::{Api, Node, json, until};

#[test]
fn sigterm_says_goodbye_to_every_session_and_exits_0() {
    let mut node = Node::with("[drain]\nseconds = 1\n");
    let mut clients = [node.user("7"), node.anyone(), node.anyone(), node.anyone()];
    node.signal(Signal::TERM);
    for client in &mut clients {
        let goodbye = client.expect_goodbye(1001, "drain");
        assert_eq!(goodbye["reconnect"], true, "{goodbye}");
        assert!(goodbye["retry_in_ms"].is_u64(), "{goodbye}");
    }
    assert_eq!(node.ended().code(), Some(0), "{}", node.log());
}

#[test]
fn reconnects_are_spread_over_the_drain() {
    let mut node = Node::with("[drain]\nseconds = 2\n");
    let mut clients: Vec<_> = (0..40).map(|_| node.anyone()).collect();
    node.signal(Signal::TERM);
    let mut waits: Vec<u64> = clients
        .iter_mut()
        .map(|client| client.expect_goodbye(1001, "drain")["retry_in_ms"].as_u64().expect("ms"))
        .collect();
    waits.sort_unstable();
    waits.dedup();
    assert!(waits.len() > 10, "not all at once: {waits:?}");
    assert_eq!(node.ended().code(), Some(0));
}

#[test]
fn a_node_without_sessions_stops_at_once() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut node = Node::with("[drain]\nseconds = 3600\n");
        node.get("/healthz");
        node.signal(signal);
        assert_eq!(node.ended().code(), Some(0), "{}", node.log());
    }
}

#[test]
fn a_draining_node_is_alive_not_ready_and_takes_no_new_clients() {
    let mut node = Node::with("[drain]\nseconds = 3600\n");
    let _sessions: Vec<_> = (0..50).map(|_| node.anyone()).collect();
    let mut api = node.api();
    node.signal(Signal::TERM);
    until("not ready", || api.get("/readyz").status == 503);
    assert_eq!(api.get("/healthz").status, 200);
    until("no new clients", || TcpStream::connect(node.clients).is_err());

    node.signal(Signal::TERM);
    let status = node.ended();
    assert!(status.code().is_some(), "it stops by itself, at once: {status}");
}

#[test]
fn drain_through_the_api_does_the_same() {
    let mut node = Node::with("[drain]\nseconds = 1\n");
    let mut client = node.anyone();
    let reply = node.api().request("POST", "/v1/drain", None);
    assert!((200..300).contains(&reply.status), "{reply:?}");
    client.expect_goodbye(1001, "drain");
    assert_eq!(node.ended().code(), Some(0), "{}", node.log());
}

#[test]
fn what_was_accepted_before_the_drain_is_delivered() {
    let mut node = Node::with("[drain]\nseconds = 1\n");
    let mut client = node.anyone();
    let mut api = node.api();
    for n in 0..200 {
        api.post("/v1/push", &json!({"to": {"all": true}, "data": n}));
    }
    node.signal(Signal::TERM);
    for n in 0..200 {
        client.expect_message(n);
    }
    client.expect_goodbye(1001, "drain");
    assert_eq!(node.ended().code(), Some(0));
}

#[test]
fn what_waits_for_a_slow_client_arrives_before_the_goodbye() {
    let mut node =
        Node::with("[server]\nsend_buffer_bytes = 65536\n[limits]\noutbox_bytes_max = 8388608\n[drain]\nseconds = 5\n");
    let mut client = Dial::default().narrow().open(&node.url("/msg"));
    let payload = "x".repeat(100_000);
    for n in 0..30 {
        node.push(&json!({"to": {"all": true}, "data": {"n": n, "payload": payload}}));
    }
    // The kernel took what its two buffers hold. The rest waits in the node, and does when the drain begins.
    until("the rest waits", || node.metric("epush_outbox_bytes") > 1_000_000.0);
    node.signal(Signal::TERM);
    node.expect_log("draining");
    for n in 0..30 {
        let message = client.expect_op("message");
        assert_eq!((&message["data"]["n"], &message["data"]["payload"]), (&json!(n), &json!(payload)));
    }
    client.expect_goodbye(1001, "drain");
    assert_eq!(node.ended().code(), Some(0), "{}", node.log());
}

#[test]
fn a_client_that_never_answers_does_not_hold_the_drain() {
    let mut node = Node::with("[drain]\nseconds = 1\n[sessions]\nclose_timeout_ms = 100\n");
    let mut mute = crate::support::Raw::upgrade(node.clients, "/msg");
    mute.read_frame();
    node.signal(Signal::TERM);
    assert_eq!(node.ended().code(), Some(0), "{}", node.log());
}

#[test]
fn sighup_reads_keys_again() {
    let keys = |key: &str| format!("[api]\nkeys = [\"{key}\"]\n");
    let node = Node::with(&keys("old"));
    assert_eq!(node.api().key("old").get("/v1/online").status, 200);
    node.rewrite(&keys("new"));
    node.signal(Signal::HUP);
    until("the new key is known", || node.api().key("new").get("/v1/online").status == 200);
    assert_eq!(node.api().key("old").get("/v1/online").status, 401);
}

#[test]
fn sighup_reads_limits_again_for_sessions_that_are_open() {
    let node = Node::with("[limits]\nsubscriptions_per_session = 1\n");
    let mut client = node.anyone();
    client.subscribe("a");
    client.error(json!({"op": "subscribe", "channel": "b"}), "limit_reached");
    node.rewrite("[limits]\nsubscriptions_per_session = 2\n");
    node.signal(Signal::HUP);
    within("the new limit holds", || {
        let answer = client.call(json!({"op": "subscribe", "channel": "b"}));
        (answer["op"] == "ok").then_some(())
    });
}

#[test]
fn sighup_reads_the_log_level_again() {
    let node = Node::with("[log]\nlevel = \"error\"\n");
    node.rewrite("[log]\nlevel = \"debug\"\n");
    node.signal(Signal::HUP);
    // Which of these is the first behind the signal is not known; one of them is.
    until("closes are logged", || {
        node.anyone().close();
        node.log().contains("session closed")
    });
    node.rewrite("[log]\nlevel = \"off\"\n");
    node.signal(Signal::HUP);
    within("closes are logged no more", || {
        let before = node.log().matches("session closed").count();
        assert!((0..10).all(|_| node.anyone().close() == 1000));
        (node.log().matches("session closed").count() == before).then_some(())
    });
}

#[test]
fn sighup_says_what_needs_a_restart() {
    let node = Node::with("");
    node.rewrite("[server]\npath = \"/other\"\nbacklog = 7\n");
    node.signal(Signal::HUP);
    node.expect_log("server.backlog");
    node.expect_log("restart");
    node.anyone();
}

#[test]
fn sighup_with_a_broken_file_keeps_what_was_there() {
    let node = Node::with("[limits]\nsubscriptions_per_session = 1\n");
    node.rewrite("[limits]\nsubscriptions_per_session = \"many\"\n");
    node.signal(Signal::HUP);
    node.expect_log("limits.subscriptions_per_session");
    let mut client = node.anyone();
    client.subscribe("a");
    client.error(json!({"op": "subscribe", "channel": "b"}), "limit_reached");
    assert_eq!(Api::connect(node.control).get("/readyz").status, 200);
}
