//! Muted types: set on one node, obeyed on all.

use crate::ask::push;
use crate::support::{Cluster, PATIENCE, Plan, Redis, Value, eventually, json};

fn typed(to: &Value, kind: &str, n: u64) -> Value {
    json!({"to": to, "type": kind, "data": n})
}

#[test]
fn a_type_muted_on_one_node_reaches_no_session_of_the_user_on_any() {
    let redis = Redis::single();
    let nodes = Cluster::start(3, &redis);
    let mut sessions = [nodes[0].user("42"), nodes[1].user("42"), nodes[1].user("42")];
    let mut other = nodes[1].user("7");
    for client in sessions.iter_mut().chain([&mut other]) {
        client.subscribe("news");
    }
    let ways = [json!({"users": ["42", "7"]}), json!({"channels": ["news"]}), json!({"all": true})];
    let mut apis: Vec<_> = nodes.nodes().map(|node| node.api()).collect();
    let answer = sessions[0].ok(json!({"op": "mute", "types": ["promo"]}));
    assert_eq!(answer["types"], json!(["promo"]));
    for api in &mut apis {
        for (n, way) in ways.iter().enumerate() {
            push(api, &typed(way, "promo", n as u64));
            push(api, &typed(way, "order", n as u64 + 10));
        }
        for n in 0..3 {
            for client in &mut sessions {
                client.expect_message(n + 10);
            }
            other.expect_message(n);
            other.expect_message(n + 10);
        }
    }
    sessions[2].ok(json!({"op": "unmute", "types": ["promo"]}));
    push(&mut apis[2], &typed(&ways[0], "promo", 99));
    for client in &mut sessions {
        client.expect_message(99);
    }
}

#[test]
fn every_node_knows_a_users_muted_types() {
    let redis = Redis::single();
    let nodes = Cluster::start(3, &redis);
    let mutes = |node: usize| nodes[node].get("/v1/users/42/mutes").json()["types"].clone();
    let mut client = nodes[0].user("42");
    client.ok(json!({"op": "mute", "types": ["b", "a"]}));
    assert_eq!(mutes(2), json!(["a", "b"]));
    let reply = nodes[2].api().put("/v1/users/42/mutes", &json!({"types": ["c"]}));
    assert_eq!((reply.status, &reply.json()["types"]), (200, &json!(["c"])));
    assert_eq!(client.call(json!({"op": "muted"}))["types"], json!(["c"]));
    // A user who is nowhere has them too.
    nodes[1].api().put("/v1/users/absent/mutes", &json!({"types": ["x"]}));
    let mut absent = nodes[0].user("absent");
    assert_eq!(absent.call(json!({"op": "muted"}))["types"], json!(["x"]));
    nodes[2].push(&typed(&json!({"users": ["absent"]}), "x", 1));
    nodes[2].push(&typed(&json!({"users": ["absent"]}), "y", 2));
    absent.expect_message(2);
}

#[test]
fn muted_types_outlive_every_node_and_an_empty_redis() {
    let mut redis = Redis::single();
    let mut nodes = Cluster::start(2, &redis);
    let mut client = nodes[0].user("42");
    client.ok(json!({"op": "mute", "types": ["promo"]}));
    drop(client);
    for index in [0, 1] {
        nodes.kill(index);
    }
    for index in [0, 1] {
        nodes.restart(index);
    }
    nodes.settle();
    let mut client = nodes[1].user("42");
    nodes[0].push(&typed(&json!({"users": ["42"]}), "promo", 1));
    nodes[0].push(&typed(&json!({"users": ["42"]}), "order", 2));
    client.expect_message(2);

    redis.kill();
    redis.restart_empty();
    nodes.settle();
    assert_eq!(client.call(json!({"op": "muted"}))["types"], json!(["promo"]), "the node that has the user remembers");
    eventually(PATIENCE, "and tells Redis", || {
        (nodes[0].get("/v1/users/42/mutes").json()["types"] == json!(["promo"])).then_some(())
    });
}

#[test]
fn without_redis_muted_types_are_known_but_cannot_be_changed() {
    let mut redis = Redis::single();
    let nodes = Plan::on(&redis).start(2);
    let mut client = nodes[0].user("42");
    client.ok(json!({"op": "mute", "types": ["promo"]}));
    redis.kill();
    assert_eq!(client.call(json!({"op": "muted"}))["types"], json!(["promo"]));
    client.error(json!({"op": "mute", "types": ["order"]}), "unavailable");
    nodes[0].push(&typed(&json!({"users": ["42"]}), "promo", 1));
    nodes[0].push(&typed(&json!({"users": ["42"]}), "order", 2));
    client.expect_message(2);
}
