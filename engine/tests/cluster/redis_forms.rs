//! Every form Redis comes in: the same things work on all of them, and on a node that is alone.

use crate::ask::{expect_each_tick_once, is_quiet, push, sessions, to_all, to_channel, to_user};
use crate::support::{Client, Cluster, Node, PATIENCE, Plan, Redis, eventually, json};

/// What every job does, on these nodes in turns.
fn everything_works(nodes: &[&Node]) {
    let node = |index: usize| nodes[index % nodes.len()];
    let names: Vec<String> = (0..12).map(|n| format!("user-{n}")).collect();
    let mut clients: Vec<Client> = names.iter().enumerate().map(|(n, name)| node(n).user(name)).collect();
    let mut apis: Vec<_> = nodes.iter().map(|node| node.api()).collect();
    // Users and channels enough that each master of a Redis Cluster has some.
    for (n, client) in clients.iter_mut().enumerate() {
        client.subscribe(&format!("room.{n}"));
        client.subscribe("news");
    }
    for (n, name) in names.iter().enumerate() {
        let api = &mut apis[(n + 1) % nodes.len()];
        push(api, &to_user(name, "yours"));
        push(api, &to_channel(&format!("room.{n}"), "your room's"));
        let mut data: Vec<_> = (0..2).map(|_| clients[n].expect_op("message")["data"].clone()).collect();
        // Between different channels and users there is no order.
        data.sort_by_key(ToString::to_string);
        assert_eq!(data, ["your room's", "yours"]);
    }
    push(&mut apis[0], &json!({"to": {"users": names}, "data": "each"}));
    for client in &mut clients {
        client.expect_message("each");
    }
    push(&mut apis[0], &to_channel("news", "the news"));
    for client in &mut clients {
        client.expect_message("the news");
    }
    push(&mut apis[nodes.len() - 1], &to_all("all"));
    for client in &mut clients {
        client.expect_message("all");
    }

    let shown = node(1).get("/v1/channels/news?members=true").json();
    assert_eq!((&shown["cluster"]["subscribers"], shown["users"].as_array().unwrap().len()), (&json!(12), 12));
    let listed = node(2).get("/v1/channels?prefix=room.").json();
    assert_eq!(listed["channels"].as_array().unwrap().len(), 12, "{listed}");
    clients[0].ok(json!({"op": "mute", "types": ["promo"]}));
    assert_eq!(node(1).get("/v1/users/user-0/mutes").json()["types"], json!(["promo"]));
    push(&mut apis[0], &json!({"to": {"users": ["user-0"]}, "type": "promo", "data": "muted"}));
    assert!(is_quiet(&mut clients[0]));

    let mut second = node(1).user("user-0");
    clients[0].expect_goodbye(4001, "replaced");
    assert_eq!(node(2).api().delete("/v1/users/user-0").json()["kicked"], 1);
    second.expect_goodbye(4002, "kicked");
    let schedule = json!({
        "to": {"channels": ["news"]}, "interval_ms": 50, "scope": "cluster", "source": {"template": {"$seq": true}},
    });
    assert_eq!(apis[0].put("/v1/schedules/tick", &schedule).status, 201);
    for client in &mut clients[1..4] {
        expect_each_tick_once(client, 3);
    }
    let expected = json!({"connections": 11, "users": 11, "nodes": nodes.len()});
    eventually(PATIENCE, "the counts are true", || {
        nodes.iter().all(|node| node.get("/v1/online").json()["cluster"] == expected).then_some(())
    });
    assert_eq!(apis[0].delete("/v1/schedules/tick").status, 200);
    drop(clients);
    eventually(PATIENCE, "all are gone", || sessions(node(0), "user-5").is_empty().then_some(()));
}

const ONE_EACH: &str = "[sessions]\nper_user = 1\n";

fn everything_works_on(redis: &Redis) -> Cluster {
    let nodes = Plan::on(redis).config(ONE_EACH).start(3);
    everything_works(&nodes.nodes().collect::<Vec<_>>());
    nodes
}

#[test]
fn everything_works_on_a_node_that_is_alone() {
    everything_works(&[&Node::with(ONE_EACH)]);
}

#[test]
fn everything_works_on_a_redis_with_a_password() {
    everything_works_on(&Redis::with_password("correct-horse"));
}

#[test]
fn everything_works_as_a_user_who_may_touch_nothing_but_the_prefix() {
    let redis = Redis::with_user("push", "correct-horse");
    everything_works_on(&redis);
    let denied: Vec<redis::Value> = redis.ask(&["ACL", "LOG"]);
    assert!(denied.is_empty(), "{denied:?}");
}

#[test]
fn everything_works_over_tls() {
    everything_works_on(&Redis::with_tls());
}

#[test]
fn everything_works_in_another_database_and_with_another_prefix() {
    let mut redis = Redis::single();
    redis.url.push_str("/3");
    let first = everything_works_on(&redis);
    // Another service on the same Redis. Channels know no databases: the prefix alone keeps them apart.
    let second = Plan::on(&redis).set("prefix", "\"other\"").config(ONE_EACH).start(2);
    let (mut here, mut there) = (first[0].user("42"), second[0].user("42"));
    second[1].push(&to_all("second"));
    first[1].push(&to_all("first"));
    here.expect_message("first");
    there.expect_message("second");
    let keys: Vec<String> = redis.ask(&["KEYS", "*"]);
    assert!(keys.is_empty(), "nothing in database 0: {keys:?}");
}

#[test]
fn everything_works_through_sentinels_and_after_their_failover() {
    let mut redis = Redis::sentinel();
    let nodes = everything_works_on(&redis);
    let mut clients = [nodes[0].user("42"), nodes[1].user("42-too"), nodes[2].anyone()];
    for client in &mut clients {
        client.subscribe("failover");
    }
    redis.servers[0].kill();
    nodes[1].push(&to_channel("failover", "during"));
    clients[1].expect_message("during");
    // The sentinels need a second to see it and some to agree.
    nodes.settle();
    eventually(PATIENCE, "Redis takes everything", || {
        (nodes[0].push(&to_user("nobody", 0))["relayed"] == true).then_some(())
    });
    push(&mut nodes[2].api(), &to_channel("failover", "after"));
    for client in &mut clients {
        // It may have got the first one, or been told that it did not.
        eventually(PATIENCE, "the message after", || {
            let frame = client.next();
            assert!(frame["op"] == "gap" || frame["op"] == "message", "{frame}");
            (frame["data"] == "after").then_some(())
        });
    }
    drop(clients);
    eventually(PATIENCE, "they are gone", || sessions(&nodes[0], "42").is_empty().then_some(()));
    assert_eq!(redis.servers[1].info("replication").lines().nth(1), Some("role:master"));
    everything_works(&nodes.nodes().collect::<Vec<_>>());
}

#[test]
fn everything_works_on_a_redis_cluster_with_sharded_channels() {
    let redis = Redis::cluster();
    let nodes = everything_works_on(&redis);
    let mut clients: Vec<Client> = (0..30).map(|n| nodes[n % 3].user(&format!("user-{n}"))).collect();
    for (n, client) in clients.iter_mut().enumerate() {
        client.subscribe(&format!("shard.{n}"));
    }
    for server in &redis.servers {
        let keys: u64 = server.ask(&["DBSIZE"]);
        let channels: Vec<String> = server.ask(&["PUBSUB", "SHARDCHANNELS", "epush:c:*"]);
        let classic: Vec<String> = server.ask(&["PUBSUB", "CHANNELS", "epush:*"]);
        assert!(keys > 0 && !channels.is_empty() && classic.is_empty(), "{keys} keys, {channels:?}, {classic:?}");
    }
}

#[test]
fn a_redis_cluster_that_comes_back_empty_is_filled_again() {
    let mut redis = Redis::cluster();
    let nodes = everything_works_on(&redis);
    let mut client = nodes[1].user("42");
    client.subscribe("news");
    redis.kill();
    redis.restart_empty();
    redis.expect_cluster();
    nodes.settle();
    nodes[0].push(&to_channel("news", 1));
    client.expect_message(1);
    nodes[2].push(&to_user("42", 2));
    client.expect_message(2);
    drop(client);
    eventually(PATIENCE, "it is gone", || sessions(&nodes[0], "42").is_empty().then_some(()));
    everything_works(&nodes.nodes().collect::<Vec<_>>());
}

#[test]
fn a_wrong_password_is_a_node_without_redis_and_its_log_says_so() {
    let mut redis = Redis::with_password("correct-horse");
    redis.url = redis.url.replace("correct-horse", "battery-staple");
    let nodes = Plan::on(&redis).start_apart(1);
    nodes[0].expect_log("WRONGPASS");
    assert_eq!(nodes[0].metric("epush_relay_up"), 0.0);
    let mut client = nodes[0].user("42");
    let reply = nodes[0].push(&to_user("42", 1));
    assert_eq!((&reply["local"], &reply["relayed"]), (&json!(1), &json!(false)));
    client.expect_message(1);
    assert!(!nodes[0].log().contains("battery-staple"), "{}", nodes[0].log());
}
