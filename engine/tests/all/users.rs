//! Users and their sessions: several devices, who replaces whom, kicks, muted types.

use std::thread;

use crate::support::{Client, Node, json, until};

/// How many sessions the API lists for a user.
fn sessions(node: &Node, user: &str) -> usize {
    let reply = node.get(&format!("/v1/users/{user}"));
    reply.json()["sessions"].as_array().map_or(0, Vec::len)
}

#[test]
fn every_device_of_a_user_gets_the_users_messages() {
    let node = Node::plain();
    let mut devices: Vec<Client> = (0..5).map(|_| node.user("42")).collect();
    assert_eq!(node.push(&json!({"to": {"users": ["42"]}, "data": 1}))["local"], 5);
    for device in &mut devices {
        device.expect_message(1);
    }
}

#[test]
fn a_push_right_after_welcome_reaches_the_session() {
    let node = Node::plain();
    for n in 0..50 {
        let mut client = node.user("42");
        assert_eq!(node.push(&json!({"to": {"users": ["42"]}, "data": n}))["local"], 1);
        client.expect_message(n);
        client.close();
        until("the session is gone", || sessions(&node, "42") == 0);
    }
}

#[test]
fn with_one_session_per_user_the_newest_wins() {
    let node = Node::with("[sessions]\nper_user = 1\n");
    let mut old = node.user("42");
    let mut other = node.user("7");
    let mut new = node.user("42");
    let goodbye = old.expect_goodbye(4001, "replaced");
    assert_eq!((&goodbye["reconnect"], &goodbye["retry_in_ms"]), (&json!(false), &json!(0)), "{goodbye}");
    assert_eq!(node.push(&json!({"to": {"users": ["42", "7"]}, "data": 1}))["local"], 2);
    new.expect_message(1);
    other.expect_message(1);
}

#[test]
fn with_two_sessions_per_user_the_oldest_of_three_goes() {
    let node = Node::with("[sessions]\nper_user = 2\n");
    let (mut first, mut second, mut third) = (node.user("42"), node.user("42"), node.user("42"));
    first.expect_goodbye(4001, "replaced");
    node.push(&json!({"to": {"users": ["42"]}, "data": 1}));
    second.expect_message(1);
    third.expect_message(1);
}

#[test]
fn anonymous_sessions_replace_nobody() {
    let node = Node::with("[sessions]\nper_user = 1\n");
    let (mut one, mut two) = (node.anyone(), node.anyone());
    node.push(&json!({"to": {"all": true}, "data": 1}));
    one.expect_message(1);
    two.expect_message(1);
}

#[test]
fn of_many_sign_ins_at_once_exactly_one_session_stays() {
    let node = Node::with("[sessions]\nper_user = 1\n");
    let clients: Vec<Client> = thread::scope(|scope| {
        let started: Vec<_> = (0..16).map(|_| scope.spawn(|| node.user("42"))).collect();
        started.into_iter().map(|client| client.join().expect("signed in")).collect()
    });
    until("one session stays", || sessions(&node, "42") == 1);
    assert_eq!(node.push(&json!({"to": {"users": ["42"]}, "data": "you stayed"}))["local"], 1);
    let mut stayed = 0;
    for mut client in clients {
        let frame = client.next();
        if frame["op"] == "message" {
            stayed += 1;
        } else {
            assert_eq!(frame["code"], 4001, "{frame}");
        }
    }
    assert_eq!(stayed, 1);
}

#[test]
fn a_kick_closes_every_session_of_the_user() {
    let node = Node::plain();
    let (mut phone, mut laptop, mut other) = (node.user("42"), node.user("42"), node.user("7"));
    let reply = node.api().delete("/v1/users/42");
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.json()["kicked"], 2);
    for device in [&mut phone, &mut laptop] {
        let goodbye = device.expect_goodbye(4002, "kicked");
        assert_eq!(goodbye["reconnect"], false, "{goodbye}");
    }
    node.push(&json!({"to": {"all": true}, "data": 1}));
    other.expect_message(1);
    assert_eq!(node.api().delete("/v1/users/42").json()["kicked"], 0);
}

#[test]
fn a_muted_type_does_not_reach_any_session_of_the_user() {
    let node = Node::plain();
    let (mut phone, mut laptop, mut other) = (node.user("42"), node.user("42"), node.user("7"));
    for client in [&mut phone, &mut laptop, &mut other] {
        client.subscribe("news");
    }
    phone.ok(json!({"op": "mute", "types": ["promo"]}));
    // The other session knows when `muted` says so there too.
    until("muted everywhere", || laptop.ok(json!({"op": "muted"}))["types"] == json!(["promo"]));
    for to in [json!({"users": ["42", "7"]}), json!({"channels": ["news"]}), json!({"all": true})] {
        node.push(&json!({"to": to, "type": "promo", "data": "buy"}));
        node.push(&json!({"to": to, "type": "news", "data": "read"}));
        phone.expect_message("read");
        laptop.expect_message("read");
        other.expect_message("buy");
        other.expect_message("read");
    }
    phone.ok(json!({"op": "unmute", "types": ["promo"]}));
    node.push(&json!({"to": {"users": ["42"]}, "type": "promo", "data": "buy"}));
    phone.expect_message("buy");
}

#[test]
fn muted_types_outlive_the_session() {
    let node = Node::plain();
    let mut client = node.user("42");
    client.ok(json!({"op": "mute", "types": ["promo"]}));
    client.close();
    let mut again = node.user("42");
    assert_eq!(again.ok(json!({"op": "muted"}))["types"], json!(["promo"]));
    node.push(&json!({"to": {"users": ["42"]}, "type": "promo", "data": 1}));
    node.push(&json!({"to": {"users": ["42"]}, "data": 2}));
    again.expect_message(2);
}

#[test]
fn muted_types_end_at_the_limit() {
    let node = Node::with("[limits]\nmuted_types_per_user = 2\n");
    let mut client = node.user("42");
    client.ok(json!({"op": "mute", "types": ["a", "b"]}));
    client.error(json!({"op": "mute", "types": ["c"]}), "limit_reached");
    assert_eq!(client.ok(json!({"op": "muted"}))["types"], json!(["a", "b"]), "nothing half-done");
}

#[test]
fn a_session_that_is_reset_leaves_its_user_and_channels() {
    let node = Node::plain();
    let mut client = node.user("42");
    client.subscribe("news");
    client.reset();
    until("the session is gone", || {
        sessions(&node, "42") == 0 && node.get("/v1/channels/news").json()["node"]["subscribers"] == 0
    });
}

#[test]
fn a_silent_client_is_pinged_and_then_closed_with_4502() {
    let node = Node::with("[sessions]\nping_interval_ms = 100\nping_timeout_ms = 200\n");
    let mut raw = crate::support::Raw::upgrade(node.clients, "/msg");
    let welcome = raw.read_frame();
    assert!(String::from_utf8_lossy(&welcome.1).contains("\"ping_interval_ms\":100"));
    assert_eq!(raw.read_frame().0, 0x89, "a ping, which is not answered");
    assert_eq!(raw.read_close(), 4502);
}

#[test]
fn a_client_that_answers_pings_stays() {
    let node = Node::with("[sessions]\nping_interval_ms = 50\nping_timeout_ms = 2000\n");
    let mut raw = crate::support::Raw::upgrade(node.clients, "/msg");
    raw.read_frame();
    for _ in 0..10 {
        let (first, payload) = raw.read_frame();
        assert_eq!(first, 0x89, "nothing but pings");
        raw.send(&crate::support::raw::frame(0x8a, &payload));
    }
}
