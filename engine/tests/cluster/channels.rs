//! Channels across nodes: who subscribes hears, whoever publishes where, and Redis is asked for no more than that.

use crate::ask::{channels_in_redis, is_quiet, push, to_all, to_channel};
use crate::support::{Client, Cluster, PATIENCE, Plan, Redis, eventually, json};

#[test]
fn ok_of_subscribe_means_that_pushes_through_every_node_arrive() {
    let redis = Redis::single();
    let nodes = Cluster::start(3, &redis);
    let mut apis: Vec<_> = nodes.nodes().map(|node| node.api()).collect();
    let mut client = nodes[0].anyone();
    for round in 0..60_usize {
        let channel = format!("news.{round}");
        client.subscribe(&channel);
        push(&mut apis[1 + round % 2], &to_channel(&channel, round));
        assert_eq!(client.expect_message(round)["channel"], channel.as_str());
    }
}

#[test]
fn a_channels_message_reaches_its_subscribers_on_every_node_once() {
    let redis = Redis::single();
    let nodes = Cluster::start(3, &redis);
    let mut subscribers: Vec<Client> = [0, 0, 1, 2, 2].map(|node| nodes[node].anyone()).into();
    let mut other = nodes[1].anyone();
    for client in &mut subscribers {
        client.subscribe("news");
    }
    other.subscribe("sport");
    for (n, publisher) in [0, 1, 2].into_iter().enumerate() {
        let reply = nodes[publisher].push(&json!({"to": {"channels": ["news", "nobody"]}, "data": n}));
        assert_eq!((&reply["local"], &reply["relayed"]), (&json!([2, 1, 2][publisher]), &json!(true)));
        for client in &mut subscribers {
            client.expect_message(n);
        }
    }
    nodes[0].push(&to_all("last"));
    other.expect_message("last");
}

#[test]
fn a_channel_may_have_every_name_that_the_protocol_allows() {
    let redis = Redis::single();
    let nodes = Cluster::start(2, &redis);
    let mut client = nodes[0].anyone();
    let long = "x".repeat(128);
    for name in ["a.b_c-d:e/f#g@h", "#", "0", &long] {
        client.subscribe(name);
        nodes[1].push(&to_channel(name, name));
        assert_eq!(client.expect_message(name)["channel"], name);
    }
}

#[test]
fn a_node_is_subscribed_in_redis_once_while_it_has_subscribers_and_no_longer() {
    let redis = Redis::single();
    let nodes = Cluster::start(2, &redis);
    let in_redis = |channel: &str| -> u64 {
        let counted: Vec<redis::Value> = redis.ask(&["PUBSUB", "NUMSUB", &format!("epush:c:{{{channel}}}")]);
        redis::from_redis_value(counted[1].clone()).unwrap()
    };
    let mut clients = [nodes[0].anyone(), nodes[0].anyone(), nodes[1].anyone()];
    for (index, expected) in [1, 1, 2].into_iter().enumerate() {
        clients[index].subscribe("news");
        assert_eq!(in_redis("news"), expected, "after subscriber {index}");
    }
    let [first, mut second, third] = clients;
    first.close();
    third.close();
    eventually(PATIENCE, "the second node's interest ends", || (in_redis("news") == 1).then_some(()));
    second.ok(json!({"op": "unsubscribe", "channel": "news"}));
    eventually(PATIENCE, "nobody is interested", || channels_in_redis(&redis).is_empty().then_some(()));
    // And comes back.
    second.subscribe("news");
    nodes[1].push(&to_channel("news", 1));
    second.expect_message(1);
}

#[test]
fn a_flapping_subscription_does_not_reach_redis() {
    let redis = Redis::single();
    let nodes = Plan::on(&redis).set("linger_ms", 60_000).start(2);
    let mut client = nodes[0].anyone();
    client.subscribe("news");
    let calls = || (redis.servers[0].calls("subscribe"), redis.servers[0].calls("unsubscribe"));
    let before = calls();
    for n in 0..50 {
        client.ok(json!({"op": "unsubscribe", "channel": "news"}));
        client.subscribe("news");
        nodes[1].push(&to_channel("news", n));
        client.expect_message(n);
    }
    assert_eq!(calls(), before);
    assert_eq!(channels_in_redis(&redis), ["epush:c:{news}"]);
}

#[test]
fn a_message_that_lingers_reaches_nobody() {
    let redis = Redis::single();
    let nodes = Plan::on(&redis).set("linger_ms", 60_000).start(2);
    let mut client = nodes[0].anyone();
    client.subscribe("news");
    client.ok(json!({"op": "unsubscribe", "channel": "news"}));
    nodes[1].push(&to_channel("news", 1));
    nodes[1].push(&to_all(2));
    client.expect_message(2);
    client.subscribe("news");
    assert!(is_quiet(&mut client), "what was sent while it was not subscribed is no gap");
}

#[test]
fn nodes_without_subscribers_hear_nothing_of_a_channel() {
    let redis = Redis::single();
    let nodes = Cluster::start(3, &redis);
    let (mut subscriber, mut other) = (nodes[1].anyone(), nodes[2].anyone());
    subscriber.subscribe("news");
    let mut api = nodes[0].api();
    for n in 0..20 {
        push(&mut api, &to_channel("news", n));
    }
    push(&mut api, &to_all("last"));
    for n in 0..20 {
        subscriber.expect_message(n);
    }
    other.expect_message("last");
    assert_eq!(nodes[2].metric("epush_relay_in_total"), 1.0);
}

#[test]
fn clients_publish_to_subscribers_on_other_nodes_and_their_own() {
    let redis = Redis::single();
    let nodes = Plan::on(&redis).config("[channels]\npublish = \"subscribers\"\n").start(3);
    let mut clients = [nodes[0].user("1"), nodes[1].user("2"), nodes[2].anyone()];
    for client in &mut clients {
        client.subscribe("room");
    }
    for from in 0..3 {
        let answer = clients[from].ok(json!({"op": "publish", "channel": "room", "type": "chat", "data": from}));
        assert_eq!(answer["local"], 1);
        for client in &mut clients {
            let message = client.expect_message(from);
            let user = [json!("1"), json!("2"), json!(null)][from].clone();
            assert_eq!((&message["from"], &message["type"]), (&user, &json!("chat")), "{message}");
        }
    }
}

#[test]
fn hundreds_of_channels_of_one_node_are_all_heard() {
    let redis = Redis::single();
    let nodes = Plan::on(&redis).config("[limits]\nsubscriptions_per_session = 1000\n").start(2);
    let mut client = nodes[0].anyone();
    let names: Vec<String> = (0..400).map(|n| format!("room.{n}")).collect();
    for (id, name) in names.iter().enumerate() {
        client.send(&json!({"op": "subscribe", "id": id + 1_000_000, "channel": name}));
    }
    for id in 0..names.len() {
        assert_eq!(client.answer(id as i64 + 1_000_000)["op"], "ok");
    }
    for (n, chunk) in names.chunks(100).enumerate() {
        nodes[1].push(&json!({"to": {"channels": chunk}, "data": n}));
    }
    let mut heard: Vec<String> =
        (0..400).map(|_| client.expect_op("message")["channel"].as_str().unwrap().into()).collect();
    let mut expected = names.clone();
    heard.sort();
    expected.sort();
    assert_eq!(heard, expected);
}
