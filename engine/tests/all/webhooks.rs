//! The application behind HTTP: handshakes it decides and questions it answers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};

use crate::support::hook::{Call, Hook};
use crate::support::raw::upgrade_request;
use crate::support::{Client, Node, PATIENCE, Raw, json, until};

fn handshake_config(hook: &Hook, more: &str) -> String {
    format!("[auth]\nmode = \"webhook\"\n[webhook]\nhandshake_url = \"{}\"\n{more}\n", hook.url("/handshake"))
}

fn asking(hook: &Hook, more: &str) -> Node {
    Node::with(&format!("[webhook]\nask_url = \"{}\"\n{more}\n", hook.url("/ask")))
}

#[test]
fn the_application_says_who_a_client_is() {
    let hook = Hook::answering(|_| {
        (200, json!({"user": "42", "attributes": {"plan": "gold"}, "channels": ["news"]}).to_string())
    });
    let node = Node::with(&handshake_config(&hook, "authorization = \"Bearer of-the-engine\""));
    let mut client = node.client("/msg/7?room=9");
    assert_eq!(client.welcome["user"], "42");
    node.push(&json!({"to": {"channels": ["news"]}, "data": 1}));
    client.expect_message(1);

    let call = hook.call();
    assert_eq!((call.method.as_str(), call.path.as_str()), ("POST", "/handshake"));
    assert_eq!(call.header("authorization"), Some("Bearer of-the-engine"));
    assert_eq!((&call.body["path"], &call.body["query"]["room"]), (&json!("/msg/7"), &json!("9")), "{call:?}");
    assert_eq!((&call.body["user"], &call.body["verified"]), (&json!("7"), &json!(false)), "a claim: {call:?}");
    assert_eq!((&call.body["remote"], &call.body["node"]), (&json!("127.0.0.1"), &json!(node.name)), "{call:?}");
}

#[test]
fn the_application_turns_a_client_away_with_its_own_status() {
    let hook = Hook::answering(|call| if call.body["user"] == "7" { (403, "{}".into()) } else { (200, "{}".into()) });
    let node = Node::with(&handshake_config(&hook, ""));
    assert_eq!(Client::refused(&node.url("/msg/7")), 403);
    assert!(node.anyone().welcome["user"].is_null());
}

#[test]
fn an_application_that_fails_or_is_silent_lets_nobody_in() {
    for hook in [Hook::answering(|_| (500, "{}".into())), Hook::answering(|_| (200, "nonsense".into())), Hook::silent()]
    {
        let node = Node::with(&handshake_config(&hook, "timeout_ms = 200"));
        let status = Client::refused(&node.url("/msg/7"));
        assert!(matches!(status, 500..=504), "{status}");
    }
}

#[test]
fn a_client_that_is_gone_while_it_is_decided_about_leaves_its_place_at_once() {
    let hook = Hook::silent();
    let config =
        handshake_config(&hook, "timeout_ms = 3600000\n[limits]\nconnections = 1\nrequest_timeout_ms = 3600000");
    let node = Node::with(&config);
    let mut waiting = Raw::connect(node.clients);
    waiting.send(upgrade_request("/msg", "").as_bytes());
    until("the node has it", || node.metric("epush_sockets") >= 2.0);
    waiting.reset();
    until("its place is free", || {
        let mut next = Raw::connect(node.clients);
        next.send(b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n");
        next.first_bytes().starts_with(b"HTTP/1.1 200")
    });
}

#[test]
fn a_slow_application_holds_up_no_other_client() {
    let hook = Hook::silent();
    let node = Node::setup(&format!("[webhook]\nask_url = \"{}\"\nworkers = 1\n", hook.url("/ask")))
        .args(&["--reactors", "1"])
        .start();
    let (mut asking, mut other) = (node.anyone(), node.anyone());
    asking.send(&json!({"op": "ask", "id": 1, "type": "slow", "data": null}));
    for _ in 0..20 {
        assert_eq!(other.call(json!({"op": "ping"}))["op"], "pong");
    }
    other.subscribe("news");
    node.push(&json!({"to": {"channels": ["news"]}, "data": 1}));
    other.expect_message(1);
}

#[test]
fn a_question_goes_to_the_application_and_its_answer_comes_back() {
    let hook = Hook::answering(|call: &Call| (200, json!({"echo": call.body["data"]}).to_string()));
    let node = asking(&hook, "");
    let mut client = node.user("42");
    let reply = client.call(json!({"op": "ask", "type": "order.status", "data": {"order": 7}}));
    assert_eq!((&reply["op"], &reply["data"]), (&json!("reply"), &json!({"echo": {"order": 7}})), "{reply}");
    let call = hook.call();
    assert_eq!((call.method.as_str(), call.path.as_str()), ("POST", "/ask"));
    assert_eq!((&call.body["type"], &call.body["user"]), (&json!("order.status"), &json!("42")), "{call:?}");
    assert_eq!(call.body["session"], client.welcome["session"], "{call:?}");
}

#[test]
fn the_applications_refusals_become_error_codes() {
    let hook = Hook::answering(|call| {
        let status = call.body["data"].as_u64().and_then(|status| status.try_into().ok()).unwrap_or(500);
        (status, json!({"error": {"message": "not for you"}}).to_string())
    });
    let node = asking(&hook, "");
    let mut client = node.anyone();
    for (status, code) in
        [(400, "bad_request"), (403, "forbidden"), (404, "not_found"), (429, "rate_limited"), (500, "unavailable")]
    {
        client.error(json!({"op": "ask", "type": "x", "data": status}), code);
    }
}

#[test]
fn an_application_that_is_silent_is_unavailable() {
    let hook = Hook::silent();
    let node = asking(&hook, "timeout_ms = 200");
    node.anyone().error(json!({"op": "ask", "type": "x", "data": 1}), "unavailable");
}

#[test]
fn questions_over_the_queue_are_refused_at_once() {
    let (hold, open) = (Arc::new(Barrier::new(2)), AtomicBool::new(false));
    let door = Arc::clone(&hold);
    let hook = Hook::answering(move |_| {
        if !open.swap(true, Ordering::Relaxed) {
            door.wait();
        }
        (200, "{}".into())
    });
    let node = asking(&hook, "workers = 1\nqueue_max = 1\ntimeout_ms = 60000");
    // Each session has one question at a time. While the application thinks about the first, one more has a place in
    // the queue; which of them that is depends on the reactors.
    let mut clients: Vec<Client> = (0..6).map(|_| node.anyone()).collect();
    let (answered, answers) = channel();
    std::thread::scope(|scope| {
        for client in &mut clients {
            let answered = answered.clone();
            scope.spawn(move || answered.send(client.call(json!({"op": "ask", "type": "x", "data": 1}))));
        }
        let next = || answers.recv_timeout(PATIENCE).expect("an answer");
        for _ in 0..4 {
            assert_eq!(next()["code"], "unavailable");
        }
        hold.wait();
        let last = [next(), next()];
        assert!(last.iter().any(|answer| answer["op"] == "reply"), "{last:?}");
    });
}

#[test]
fn a_session_that_asked_reads_no_further_but_still_gets_pushes() {
    let hook = Hook::silent();
    let node = asking(&hook, "timeout_ms = 60000");
    let mut client = node.user("42");
    client.send(&json!({"op": "ask", "id": 1, "type": "x", "data": 1}));
    node.push(&json!({"to": {"users": ["42"]}, "data": "meanwhile"}));
    client.expect_message("meanwhile");
}
