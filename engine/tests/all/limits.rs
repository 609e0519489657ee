//! Limits of the node: connections, addresses, accepts a second, descriptors.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::support::raw::upgrade_request;
use crate::support::{Api, Client, Node, Raw, json, until};

/// Whether a connection is turned away: closed, reset, or answered with something else than 101.
fn is_refused(address: SocketAddr) -> bool {
    let mut raw = Raw::connect(address);
    raw.send(upgrade_request("/msg", "").as_bytes());
    !raw.first_bytes().starts_with(b"HTTP/1.1 101")
}

#[test]
fn connections_over_the_limit_are_refused_and_places_that_get_free_are_taken() {
    let node = Node::with("[limits]\nconnections = 3\n");
    let mut held: Vec<Client> = (0..3).map(|_| node.anyone()).collect();
    assert!(is_refused(node.clients));
    for client in &mut held {
        assert_eq!(client.call(json!({"op": "ping"}))["op"], "pong", "nobody pays for it");
    }
    held.pop().expect("one").close();
    until("the place is free", || !is_refused(node.clients));
}

#[test]
fn the_api_is_reachable_when_clients_fill_the_node() {
    let node = Node::with("[limits]\nconnections = 1\n");
    let _client = node.anyone();
    assert_eq!(node.get("/v1/online").json()["node"]["connections"], 1);
}

#[test]
fn connections_of_one_address_over_the_limit_are_refused() {
    let node = Node::with("[limits]\nconnections_per_ip = 2\n");
    let (first, _second) = (node.anyone(), node.anyone());
    assert!(is_refused(node.clients));
    let mut other = Raw::connect_from("127.0.0.2", node.clients);
    other.send(upgrade_request("/msg", "").as_bytes());
    assert!(other.read_head().starts_with("HTTP/1.1 101 "), "another address has its own count");
    first.close();
    until("the place is free", || !is_refused(node.clients));
}

#[test]
fn accepts_are_paced_and_nobody_is_lost() {
    let node = Node::with("[limits]\naccepts_per_second = 20\n");
    let start = Instant::now();
    // The bucket may start full: one second's worth at once, the next second's worth after it.
    let clients: Vec<Client> = std::thread::scope(|scope| {
        let opened: Vec<_> = (0..40).map(|_| scope.spawn(|| node.anyone())).collect();
        opened.into_iter().map(|client| client.join().expect("opened")).collect()
    });
    assert_eq!(clients.len(), 40);
    assert!(start.elapsed() > Duration::from_millis(800), "40 accepts at 20 a second took {:?}", start.elapsed());
}

/// A node with fewer descriptors than it has clients waiting.
fn starved() -> (Node, Api, Client, Vec<Raw>) {
    let node = Node::setup("[limits]\nconnections = 1000\nrequest_timeout_ms = 60000\n").descriptors(64).start();
    let (mut api, client) = (node.api(), node.anyone());
    // An answer: it has left the backlog, where it would wait with the others.
    assert_eq!(api.get("/healthz").status, 200);
    let waiting = (0..100).map(|_| Raw::connect(node.clients)).collect();
    node.expect_log("open files");
    (node, api, client, waiting)
}

#[test]
fn a_node_out_of_descriptors_serves_who_is_there_and_takes_others_when_it_can() {
    let (node, mut api, mut client, waiting) = starved();
    assert_eq!(api.get("/readyz").status, 200);
    assert_eq!(client.call(json!({"op": "ping"}))["op"], "pong");
    drop(waiting);
    until("there is room again", || !is_refused(node.clients));
    assert_eq!(client.call(json!({"op": "ping"}))["op"], "pong");
}

#[test]
fn a_shortage_of_descriptors_is_no_busy_loop() {
    let (node, mut api, mut client, _waiting) = starved();
    // The node's own clock gives the time: 10 ticks of 100 ms on an open connection.
    let tick = json!({"to": {"all": true}, "interval_ms": 100, "source": {"template": "tick"}});
    assert!(api.put("/v1/schedules/ticks", &tick).status < 300);
    client.expect_message("tick");
    let before = node.cpu_ticks();
    for _ in 0..10 {
        client.expect_message("tick");
    }
    // A busy loop would use all of the 100 clock ticks of that second.
    let used = node.cpu_ticks() - before;
    assert!(used < 30, "used {used} clock ticks in a second");
}

#[test]
fn a_session_that_sends_too_many_frames_is_closed_with_4504() {
    let node = Node::with("[limits]\nframes_per_second = 50\n");
    let mut client = node.anyone();
    for _ in 0..500 {
        if !client.try_send(&json!({"op": "ping"})) {
            break;
        }
    }
    let goodbye = client.expect_goodbye(4504, "rate_limited");
    assert_eq!(goodbye["reconnect"], true, "{goodbye}");

    let mut modest = node.anyone();
    for _ in 0..20 {
        assert_eq!(modest.call(json!({"op": "ping"}))["op"], "pong");
    }
}

#[test]
fn what_does_not_fit_the_intake_reaches_nobody() {
    let node = Node::with(
        "[limits]\nintake_bytes_max = 4096\nmessage_bytes_max = 4096\n[api]\nbody_bytes_max = 4096\n[channels]\npublish = \"anyone\"\n",
    );
    let mut client = node.anyone();
    client.subscribe("news");
    let body = |channels: &[&str], bytes: usize| json!({"to": {"channels": channels}, "data": "x".repeat(bytes)});
    // Each channel has a frame of its own: together they are over the limit.
    let (status, code) = node.api().post("/v1/push", &body(&["news", "sport"], 3000)).refusal();
    assert_eq!((status, &*code), (413, "too_large"));
    // Within the limit of a message; what it is pushed as is not.
    let answer = client.call(json!({"op": "publish", "channel": "news", "data": "x".repeat(4030)}));
    assert_eq!((&answer["op"], &answer["code"]), (&json!("error"), &json!("too_large")), "{answer}");
    node.push(&body(&["news"], 100));
    assert_eq!(client.expect_op("message")["data"].as_str().map(str::len), Some(100));
}
