//! Schedules of the whole cluster: each tick once, whatever happens to nodes and to Redis.

use std::collections::BTreeSet;

use crate::ask::expect_each_tick_once;
use crate::support::{Client, Cluster, Node, PATIENCE, Plan, Redis, Value, eventually, json};

/// A tick that says which it is and who fired it.
fn ticking(channel: &str, interval_ms: u64) -> Value {
    json!({
        "to": {"channels": [channel]}, "interval_ms": interval_ms, "scope": "cluster",
        "source": {"template": {"seq": {"$seq": true}, "node": {"$node": true}, "there": {"$online": "cluster"}}},
    })
}

fn put(node: &Node, name: &str, body: &Value) -> Value {
    let reply = node.api().put(&format!("/v1/schedules/{name}"), body);
    assert!(matches!(reply.status, 200 | 201), "{reply:?}");
    reply.json()
}

/// The names of the schedules this node knows.
fn names(node: &Node) -> Vec<String> {
    let listed = node.get("/v1/schedules").json();
    let all = listed["schedules"].as_array().unwrap_or_else(|| panic!("{listed}"));
    all.iter().map(|schedule| schedule["name"].as_str().unwrap().to_string()).collect()
}

fn subscriber(node: &Node, channel: &str) -> Client {
    let mut client = node.anyone();
    client.subscribe(channel);
    client
}

/// When the next tick was due, which it is, and who fired it.
fn tick(client: &mut Client) -> (u64, u64, String) {
    let frame = client.expect_op("message");
    let number = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("{frame}"));
    let node = frame["data"]["node"].as_str().unwrap_or_else(|| panic!("{frame}"));
    (number(&frame["time_ms"]), number(&frame["data"]["seq"]), node.to_string())
}

#[test]
fn each_tick_comes_once_to_the_subscribers_of_every_node() {
    let redis = Redis::single();
    let nodes = Cluster::start(3, &redis);
    let mut clients: Vec<Client> = nodes.nodes().map(|node| subscriber(node, "clock")).collect();
    let shown = put(&nodes[1], "clock", &ticking("clock", 100));
    assert_eq!((&shown["scope"], &shown["fired"]), (&json!("cluster"), &json!(0)));
    for client in &mut clients {
        expect_each_tick_once(client, 20);
    }
}

#[test]
fn a_schedule_is_known_changed_and_ended_on_every_node() {
    let redis = Redis::single();
    let nodes = Cluster::start(3, &redis);
    let mut client = subscriber(&nodes[0], "clock");
    put(&nodes[0], "clock", &ticking("clock", 50));
    for node in nodes.nodes() {
        eventually(PATIENCE, "it is known", || (names(node) == ["clock"]).then_some(()));
    }
    assert_eq!(nodes[2].get("/v1/schedules/clock").json()["interval_ms"], 50);
    tick(&mut client);

    // Replaced on another node: the new one counts from 0.
    let mut replaced = ticking("clock", 60);
    replaced["source"]["template"]["new"] = json!(true);
    assert_eq!(nodes[2].api().put("/v1/schedules/clock", &replaced).status, 200);
    let mut seen = BTreeSet::new();
    eventually(PATIENCE, "the new one ticks", || {
        let frame = client.expect_op("message");
        // One of the old may have been under way.
        if frame["data"]["new"] == true {
            assert!(seen.insert(frame["data"]["seq"].as_u64().unwrap()), "twice: {frame}");
        }
        (0..5).all(|seq| seen.contains(&seq)).then_some(())
    });

    assert_eq!(nodes[1].api().delete("/v1/schedules/clock").status, 200);
    for node in nodes.nodes() {
        eventually(PATIENCE, "it is gone", || names(node).is_empty().then_some(()));
        assert_eq!(node.get("/v1/schedules/clock").status, 404);
    }
    nodes[0].push(&json!({"to": {"all": true}, "data": "fence"}));
    eventually(PATIENCE, "what was under way", || (client.expect_op("message")["data"] == "fence").then_some(()));
    assert_eq!(nodes[2].api().delete("/v1/schedules/clock").status, 404);
}

#[test]
fn a_schedule_of_one_node_stays_its_own() {
    let redis = Redis::single();
    let nodes = Cluster::start(2, &redis);
    let mut clients = [subscriber(&nodes[0], "clock"), subscriber(&nodes[1], "clock")];
    let mut own = ticking("clock", 50);
    own["scope"] = json!("node");
    put(&nodes[0], "clock", &own);
    for client in &mut clients {
        for seq in 0..5 {
            let (_, got, node) = tick(client);
            assert_eq!((got, &*node), (seq, "n1"), "it reaches the others, and only its node fires");
        }
    }
    assert!(names(&nodes[1]).is_empty());
}

#[test]
fn the_death_of_the_node_that_fired_last_delays_no_tick_by_more_than_an_interval() {
    const INTERVAL_MS: u64 = 800;
    let redis = Redis::single();
    let mut nodes = Cluster::start(3, &redis);
    let mut clients: Vec<Option<Client>> = nodes.nodes().map(|node| Some(subscriber(node, "clock"))).collect();
    put(&nodes[0], "clock", &ticking("clock", INTERVAL_MS));
    let (mut last_at, mut last_seq) = (0, None);
    for _ in 0..2 {
        // The same tick on every node that is left; then whoever fired it dies.
        let mut seen: Vec<_> = clients.iter_mut().flatten().map(tick).collect();
        let (at, seq, fired_by) = seen.pop().unwrap();
        assert!(seen.iter().all(|other| (other.1, &other.2) == (seq, &fired_by)), "{seen:?}");
        assert!(last_seq.is_none_or(|last| seq > last));
        if last_at > 0 {
            assert!(at - last_at <= 2 * INTERVAL_MS + INTERVAL_MS / 2, "{} ms between two ticks", at - last_at);
        }
        (last_at, last_seq) = (at, Some(seq));
        let dead: usize = fired_by[1..].parse::<usize>().unwrap() - 1;
        clients[dead] = None;
        nodes.kill(dead);
    }
    let left = clients.iter_mut().flatten().next().unwrap();
    for _ in 0..3 {
        let (at, seq, _) = tick(left);
        assert!(at - last_at <= 2 * INTERVAL_MS + INTERVAL_MS / 2, "{} ms between two ticks", at - last_at);
        assert!(last_seq.is_none_or(|last| seq > last));
        (last_at, last_seq) = (at, Some(seq));
    }
}

#[test]
fn schedules_outlive_every_node() {
    let redis = Redis::single();
    let mut nodes = Cluster::start(2, &redis);
    let mut client = subscriber(&nodes[0], "clock");
    put(&nodes[0], "clock", &ticking("clock", 100));
    let (_, before, _) = tick(&mut client);
    drop(client);
    nodes.kill(0);
    nodes.stop(1);
    for index in 0..2 {
        nodes.restart(index);
    }
    nodes.settle();
    for node in nodes.nodes() {
        eventually(PATIENCE, "it is known", || (names(node) == ["clock"]).then_some(()));
    }
    let mut client = subscriber(&nodes[1], "clock");
    let (_, first, _) = tick(&mut client);
    assert!(first > before, "it goes on counting: {first} after {before}");
    let (_, second, _) = tick(&mut client);
    assert!(second > before && second != first, "{second} after {first}");
}

#[test]
fn schedules_outlive_an_empty_redis() {
    let mut redis = Redis::single();
    let nodes = Cluster::start(2, &redis);
    let mut clients = [subscriber(&nodes[0], "clock"), subscriber(&nodes[1], "clock")];
    put(&nodes[0], "clock", &ticking("clock", 100));
    put(&nodes[1], "rare", &ticking("rare", 3_600_000));
    tick(&mut clients[0]);
    for node in nodes.nodes() {
        eventually(PATIENCE, "both are known", || (names(node).len() == 2).then_some(()));
    }
    redis.kill();
    redis.restart_empty();
    nodes.settle();
    eventually(PATIENCE, "Redis has them again", || {
        (redis.ask::<u64>(&["HLEN", "epush:{schedules}"]) == 2).then_some(())
    });
    for client in &mut clients {
        let from = nodes[0].push(&json!({"to": {"channels": ["clock"]}, "data": "back"}));
        assert_eq!(from["relayed"], true);
        eventually(PATIENCE, "the mark", || (client.next()["data"] == "back").then_some(()));
        eventually(PATIENCE, "and ticks after it", || client.next()["data"]["seq"].as_u64());
    }
    for node in nodes.nodes() {
        assert_eq!(names(node), ["clock", "rare"]);
    }
}

#[test]
fn without_redis_a_schedule_of_the_cluster_can_neither_be_put_nor_ended() {
    let mut redis = Redis::single();
    let nodes = Plan::on(&redis).start(1);
    put(&nodes[0], "clock", &ticking("clock", 3_600_000));
    redis.kill();
    let reply = nodes[0].api().put("/v1/schedules/other", &ticking("other", 1_000));
    assert_eq!(reply.refusal(), (503, "unavailable".to_string()));
    assert_eq!(nodes[0].api().delete("/v1/schedules/clock").refusal(), (503, "unavailable".to_string()));
    assert_eq!(names(&nodes[0]), ["clock"]);
    let mut own = ticking("own", 50);
    own["scope"] = json!("node");
    let mut client = subscriber(&nodes[0], "own");
    put(&nodes[0], "own", &own);
    tick(&mut client);
}

#[test]
fn a_schedule_of_the_last_message_fires_wherever_the_message_passed() {
    let redis = Redis::single();
    let nodes = Cluster::start(2, &redis);
    let mut client = subscriber(&nodes[0], "repeat");
    let body = json!({
        "to": {"channels": ["repeat"]}, "interval_ms": 50, "scope": "cluster", "source": {"last": "prices"},
    });
    put(&nodes[0], "last", &body);
    eventually(PATIENCE, "it is known", || (names(&nodes[1]) == ["last"]).then_some(()));
    nodes[1].push(&json!({"to": {"channels": ["prices"]}, "data": 1}));
    client.expect_message(1);
    client.expect_message(1);
}
