//! Pushes to users and to everybody, published on one node and received on others.

use crate::ask::{is_quiet, push, to_all, to_user};
use crate::support::{Client, Cluster, Plan, Redis, eventually, json, until};

#[test]
fn a_push_to_users_reaches_every_session_on_every_node_once() {
    let redis = Redis::single();
    let nodes = Cluster::start(3, &redis);
    let mut sessions: Vec<Client> = [0, 0, 1].map(|node| nodes[node].user("42")).into();
    sessions.push(nodes[2].user("7"));
    for (n, publisher) in [2, 0, 1].into_iter().enumerate() {
        let reply = nodes[publisher].push(&json!({"to": {"users": ["42", "7"]}, "data": n}));
        let local = [2, 1, 1][publisher];
        assert_eq!((&reply["local"], &reply["relayed"]), (&json!(local), &json!(true)), "{reply}");
        for session in &mut sessions {
            session.expect_message(n);
        }
    }
    nodes[0].push(&to_all("last"));
    for session in &mut sessions {
        session.expect_message("last");
    }
}

#[test]
fn welcome_means_that_pushes_through_every_node_reach_the_session() {
    let redis = Redis::single();
    let nodes = Cluster::start(3, &redis);
    let mut apis: Vec<_> = nodes.nodes().map(|node| node.api()).collect();
    for round in 0..60_usize {
        let mut client = nodes[round % 3].user("42");
        push(&mut apis[(round + 1) % 3], &to_user("42", round));
        push(&mut apis[(round + 2) % 3], &to_all(round));
        let mut received = 0;
        while received < 2 {
            // What went to everybody a round ago may reach this node late.
            let data = client.expect_op("message")["data"].as_u64().unwrap();
            assert!(data <= round as u64, "{data}");
            received += u64::from(data == round as u64);
        }
        client.close();
    }
}

#[test]
fn a_message_is_the_same_on_every_node() {
    let redis = Redis::single();
    let nodes = Cluster::start(2, &redis);
    let (mut here, mut there) = (nodes[0].user("42"), nodes[1].user("42"));
    let large = "ü\u{1f980}".repeat(50_000);
    let bodies = [
        json!({"to": {"users": ["42"]}, "id": "order-7", "type": "order", "module": "shop", "data": {"a": [1.50, null]}}),
        json!({"to": {"users": ["42"]}, "data": large}),
        json!({"to": {"all": true}, "type": "t", "data": {}}),
    ];
    for body in bodies {
        nodes[0].push(&body);
        let message = here.expect_message(body["data"].clone());
        assert_eq!(there.expect_op("message"), message);
    }
}

#[test]
fn one_push_to_many_users_reaches_each_wherever_it_is() {
    let redis = Redis::single();
    let nodes = Cluster::start(3, &redis);
    let names: Vec<String> = (0..150).map(|n| format!("user-{n}")).collect();
    let mut clients: Vec<Client> = names.iter().enumerate().map(|(n, name)| nodes[n % 3].user(name)).collect();
    // Among as many who are nowhere.
    let absent: Vec<String> = (0..150).map(|n| format!("absent-{n}")).collect();
    let users: Vec<&String> = names.iter().chain(&absent).collect();
    let reply = nodes[1].push(&json!({"to": {"users": users}, "data": "hello"}));
    assert_eq!(reply["local"], 50);
    for (client, name) in clients.iter_mut().zip(&names) {
        assert_eq!(client.expect_message("hello")["user"], name.as_str());
    }
    assert!(is_quiet(&mut clients[0]));
}

#[test]
fn only_nodes_that_hold_the_user_hear_of_a_push_to_it() {
    let redis = Redis::single();
    let nodes = Cluster::start(3, &redis);
    let (mut holder, mut other) = (nodes[1].user("42"), nodes[2].user("7"));
    let mut api = nodes[0].api();
    for n in 0..20 {
        push(&mut api, &to_user("42", n));
    }
    push(&mut api, &to_all("last"));
    for n in 0..20 {
        holder.expect_message(n);
    }
    holder.expect_message("last");
    other.expect_message("last");
    // Behind the broadcast nothing of the others can still be on its way to this node.
    assert_eq!(nodes[2].metric("epush_relay_in_total"), 1.0);
    assert_eq!(nodes[1].metric("epush_relay_in_total"), 21.0);
    until("Redis has said so", || nodes[0].metric("epush_relay_out_total") == 21.0);
}

#[test]
fn a_push_to_users_of_a_node_that_just_died_is_no_error() {
    let redis = Redis::single();
    let mut nodes = Plan::on(&redis).set("lease_ms", 10_000).start(3);
    let (mut here, mut there) = (nodes[0].user("42"), nodes[2].user("42"));
    let _gone: Vec<Client> = ["42", "7"].map(|user| nodes[1].user(user)).into();
    nodes.kill(1);
    let mut api = nodes[0].api();
    for n in 0..20 {
        let reply = push(&mut api, &json!({"to": {"users": ["42", "7"]}, "data": n}));
        assert_eq!((&reply["local"], &reply["relayed"]), (&json!(1), &json!(true)), "{reply}");
        here.expect_message(n);
        there.expect_message(n);
    }
}

#[test]
fn a_user_who_went_is_gone_from_every_node_and_may_come_back_anywhere() {
    let redis = Redis::single();
    let nodes = Cluster::start(3, &redis);
    for round in 0..10 {
        let mut client = nodes[round % 3].user("42");
        assert_eq!(crate::ask::holders(&nodes[(round + 1) % 3], "42"), [nodes[round % 3].name.clone()]);
        nodes[(round + 2) % 3].push(&to_user("42", round));
        client.expect_message(round);
        client.close();
        eventually(crate::support::PATIENCE, "the session is gone", || {
            nodes.nodes().all(|node| crate::ask::sessions(node, "42").is_empty()).then_some(())
        });
    }
}

#[test]
fn clients_send_to_users_on_other_nodes() {
    let redis = Redis::single();
    let nodes = Plan::on(&redis).config("[send]\nallow = \"users\"\n").start(3);
    let mut from = nodes[0].user("1");
    let mut to = [nodes[1].user("7"), nodes[2].user("9"), nodes[0].user("9")];
    let answer = from.ok(json!({"op": "send", "users": ["7", "9", "nobody"], "type": "chat", "data": "hi"}));
    assert_eq!(answer["local"], 1);
    for client in &mut to {
        let message = client.expect_message("hi");
        assert_eq!((&message["from"], &message["type"]), (&json!("1"), &json!("chat")), "{message}");
    }
}
