//! What people and their tools see: members, draining, readiness, metrics; and what nobody may see.

use std::time::Duration;

use crate::ask::to_user;
use crate::support::node::run_epush;
use crate::support::{Client, Cluster, Node, PATIENCE, Plan, Redis, Value, eventually, json, until};

fn printed(node: &Node, args: &[&str]) -> Value {
    let api = node.control.to_string();
    let ended = run_epush(&[args, &["--api", &api]].concat(), "");
    assert_eq!(ended.code, Some(0), "{args:?}: {}", ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap_or_else(|why| panic!("{why} in {}", ended.stdout))
}

#[test]
fn every_node_lists_all_nodes_and_what_they_say_of_themselves() {
    let redis = Redis::single();
    let nodes = Cluster::start(3, &redis);
    let _clients = [nodes[1].user("1"), nodes[1].user("1"), nodes[1].anyone()];
    eventually(PATIENCE, "the counts are those of now", || {
        let listed = printed(&nodes[0], &["nodes"]);
        (listed["nodes"][1]["connections"] == 3).then_some(())
    });
    for asked in nodes.nodes() {
        let listed = printed(asked, &["nodes"]);
        let listed = listed["nodes"].as_array().unwrap();
        assert_eq!(listed.len(), 3, "{listed:?}");
        for (shown, node) in listed.iter().zip(nodes.nodes()) {
            assert_eq!(shown["name"], node.name.as_str(), "by name");
            assert_eq!((&shown["state"], &shown["version"]), (&json!("ready"), &json!(env!("CARGO_PKG_VERSION"))));
            assert_eq!(shown["address"], node.clients.to_string());
            assert_eq!(shown["api"], node.control.to_string());
            assert!(shown["since"].is_u64() && shown["uptime_ms"].is_u64(), "{shown}");
        }
    }
}

#[test]
fn nodes_of_the_same_name_are_two_nodes() {
    let redis = Redis::single();
    let nodes = Plan::on(&redis).config("").start_apart(1);
    let twin = Node::setup(&Plan::on(&redis).file(0)).args(&["--node", "n1"]).start();
    eventually(PATIENCE, "both are listed", || {
        (twin.get("/v1/nodes").json()["nodes"].as_array()?.len() == 2).then_some(())
    });
    for node in [&nodes[0], &twin] {
        until("it hears the other", || node.metric("epush_relay_up") == 1.0);
    }
    let (mut here, mut there) = (nodes[0].user("42"), twin.user("42"));
    nodes[0].push(&to_user("42", 1));
    here.expect_message(1);
    there.expect_message(1);
}

#[test]
fn a_draining_node_says_so_first_and_leaves_without_waiting_for_its_lease() {
    let redis = Redis::single();
    const LEASE_MS: u64 = 20_000;
    let config = "[drain]\nseconds = 3\n";
    let mut nodes = Plan::on(&redis).set("lease_ms", LEASE_MS).config(config).start(3);
    let mut leaving: Vec<Client> = (0..20).map(|n| nodes[1].user(&format!("user-{n}"))).collect();
    let mut staying = nodes[0].user("42");
    // What Redis says, as the first session is closed.
    let lease = || {
        let records: std::collections::BTreeMap<String, String> = redis.ask(&["HGETALL", "epush:{nodes}"]);
        let mut records = records.values().map(|record| {
            // Behind when it was last seen.
            let (_, record) = record.split_once(' ').expect("two words");
            serde_json::from_str::<Value>(record).unwrap()
        });
        records.find(|record| record["name"] == "n2").expect("it has a lease")["state"].clone()
    };
    let state = |of: &Node| {
        let listed = of.get("/v1/nodes").json();
        let all = listed["nodes"].as_array().unwrap().clone();
        all.iter().find(|node| node["name"] == "n2").map(|node| (node["state"].clone(), node["connections"].clone()))
    };
    assert_eq!(printed(&nodes[1], &["drain"]), json!({"draining": true}));
    leaving[0].expect_goodbye(1001, "drain");
    assert_eq!((lease(), nodes[1].get("/readyz").status), (json!("draining"), 503));
    for other in [&nodes[0], &nodes[2]] {
        eventually(PATIENCE, "it is out of placement", || {
            let (state, _) = state(other).expect("it still serves: its drain takes three seconds");
            (state == "draining").then_some(())
        });
    }
    // A push during the drain reaches who is still there, and is no error for who is not.
    nodes[0].push(&to_user("42", 1));
    staying.expect_message(1);
    for client in &mut leaving[1..] {
        client.expect_goodbye(1001, "drain");
    }
    nodes.stop(1);
    for other in nodes.nodes() {
        // The others look every tenth of the lease.
        eventually(Duration::from_millis(LEASE_MS / 4), "it has left", || state(other).is_none().then_some(()));
        let expected = json!({"connections": 1, "users": 1, "nodes": 2});
        eventually(PATIENCE, "with all its users", || {
            (other.get("/v1/online").json()["cluster"] == expected).then_some(())
        });
    }
}

#[test]
fn readyz_follows_redis_where_it_is_told_to() {
    let mut redis = Redis::single();
    let strict = Plan::on(&redis).set("ready_without_redis", "false").start(1);
    let easy = Plan::on(&redis).start_apart(1);
    let status = |node: &Node| node.get("/readyz").status;
    assert_eq!((status(&strict[0]), status(&easy[0])), (200, 200));
    redis.kill();
    until("it is cut off", || status(&strict[0]) == 503);
    until("so is the other", || easy[0].metric("epush_relay_up") == 0.0);
    assert_eq!((status(&easy[0]), strict[0].get("/healthz").status), (200, 200));
    // Its sessions stay, all the same.
    let mut client = strict[0].user("42");
    strict[0].push(&to_user("42", 1));
    client.expect_message(1);
    redis.restart_empty();
    eventually(crate::ask::RECOVERY, "it is back", || (status(&strict[0]) == 200).then_some(()));
}

#[test]
fn the_relays_metrics_follow_what_happens() {
    let redis = Redis::single();
    let nodes = Cluster::start(2, &redis);
    let mut client = nodes[1].user("42");
    client.subscribe("news");
    for n in 0..10 {
        nodes[0].push(&to_user("42", n));
        client.expect_message(n);
    }
    let (from, to) = (&nodes[0], &nodes[1]);
    assert_eq!(from.metric("epush_relay_up"), 1.0);
    assert_eq!(to.metric("epush_relay_in_total"), 10.0);
    until("what was sent is counted when Redis has said so", || from.metric("epush_relay_out_total") == 10.0);
    assert_eq!(to.metric("epush_relay_lost_total"), 0.0);
    assert_eq!(from.metric("epush_relay_dropped_total"), 0.0);
    assert_eq!(to.metric("epush_relay_channels"), 1.0);
    until("nothing waits", || from.metric("epush_relay_queue_bytes") == 0.0);
    assert!(from.metric("epush_relay_round_trip_seconds_count") >= 10.0);
    assert!(to.metric("epush_relay_lag_seconds_count") >= 10.0);
    assert_eq!(to.metric("epush_relay_skipped_total{reason=\"version\"}"), 0.0);
}

#[test]
fn the_password_is_nowhere_to_be_read() {
    const SECRET: &str = "correct-horse-battery";
    let mut redis = Redis::with_password(SECRET);
    let plan = Plan::on(&redis).args(&["--log", "trace"]);
    let file = plan.file(0);
    let nodes = plan.start(2);
    let mut client = nodes[1].user("42");
    nodes[0].push(&to_user("42", 1));
    client.expect_message(1);
    redis.kill();
    until("it says so", || nodes[0].metric("epush_relay_up") == 0.0);
    redis.restart_empty();
    nodes.settle();
    for path in ["/metrics", "/v1/nodes", "/v1/online", "/v1/users/42"] {
        assert!(!nodes[0].get(path).text().contains(SECRET), "{path}");
    }
    for node in nodes.nodes() {
        assert!(!node.log().contains(SECRET), "{}", node.log());
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("epush.toml");
    std::fs::write(&path, file).unwrap();
    let checked = run_epush(&["check", path.to_str().unwrap()], "");
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    assert!(!format!("{}{}", checked.stdout, checked.stderr).contains(SECRET), "{}", checked.stdout);
}

#[test]
fn a_redis_is_named_by_flag_environment_or_file() {
    let redis = Redis::single();
    let by_flag = Node::setup("").args(&["--redis", &redis.url, "--node", "flag"]).start();
    let by_environment =
        Node::setup("").env("EPUSH_CLUSTER_REDIS", &redis.url).args(&["--node", "environment"]).start();
    let by_file = Node::setup(&format!("[cluster]\nredis = {:?}\n", redis.url)).args(&["--node", "file"]).start();
    for node in [&by_flag, &by_environment, &by_file] {
        eventually(PATIENCE, "they are one", || {
            let listed = node.get("/v1/nodes").json();
            let names: Vec<&str> =
                listed["nodes"].as_array()?.iter().filter_map(|node| node["name"].as_str()).collect();
            (names == ["environment", "file", "flag"]).then_some(())
        });
    }
}

#[test]
fn a_redis_that_cannot_be_one_is_bad_usage() {
    for url in ["http://127.0.0.1:6379", "redis://", "redis://127.0.0.1:port", "redis+sentinel://127.0.0.1:26379"] {
        let ended = Node::setup("").args(&["--redis", url]).run();
        assert_eq!(ended.code, Some(2), "{url}: {}", ended.stderr);
        assert!(ended.stderr.contains("redis"), "{}", ended.stderr);
    }
    let missing = "[cluster]\nredis = \"rediss://127.0.0.1:6379\"\nca_file = \"/nowhere/ca.pem\"\n";
    let ended = Node::setup(missing).run();
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("/nowhere/ca.pem"), "{}", ended.stderr);
}
