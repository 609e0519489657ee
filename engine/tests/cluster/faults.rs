//! Nodes that die, a Redis that dies, hangs or is out of reach: who notices, for how long, and who does not.

use std::time::{Duration, Instant};

use crate::ask::{RECOVERY, holders, push, sessions, to_all, to_channel, to_user};
use crate::support::{Client, Cluster, Node, PATIENCE, Plan, Proxy, Redis, eventually, json};

/// The shipped times: what is promised in numbers holds for these.
fn shipped(redis: &Redis) -> Plan {
    Plan::on(redis).set("lease_ms", 10_000).set("timeout_ms", 2_000).set("linger_ms", 2_000)
}

/// A question may itself take a moment.
const GRACE: Duration = Duration::from_secs(1);

fn expect_up(node: &Node, is_up: f64) {
    eventually(PATIENCE, "the node notices", || (node.metric("epush_relay_up") == is_up).then_some(()));
}

#[test]
fn the_users_of_a_node_that_is_killed_go_offline_everywhere_within_the_lease() {
    let redis = Redis::single();
    let mut nodes = shipped(&redis).start(3);
    let _gone: Vec<Client> = (0..50).map(|n| nodes[1].user(&format!("user-{n}"))).collect();
    let (mut here, mut there) = (nodes[0].user("42"), nodes[2].user("42"));
    let killed = Instant::now();
    nodes.kill(1);
    let deadline = Duration::from_secs(10) + GRACE;
    let mut n = 0;
    for node in nodes.nodes() {
        let left = deadline.saturating_sub(killed.elapsed());
        let mut api = node.api();
        eventually(left, "they are offline, and the counts are right", || {
            // Nobody else notices anything.
            push(&mut api, &to_user("42", n));
            here.expect_message(n);
            there.expect_message(n);
            n += 1;
            let online = api.get("/v1/online").json();
            let is_listed = |user: &str| !sessions(node, user).is_empty();
            (online["cluster"] == json!({"connections": 2, "users": 1, "nodes": 2})
                && !is_listed("user-0")
                && !is_listed("user-49"))
            .then_some(())
        });
    }
    let keys: Vec<String> = redis.ask(&["KEYS", "epush:*:o:*"]);
    assert!(keys.len() <= 2, "nothing of the dead node is left: {keys:?}");
}

#[test]
fn a_redis_that_is_killed_and_comes_back_empty_is_full_again_within_five_seconds() {
    let mut redis = Redis::single();
    let nodes = shipped(&redis).start(3);
    let mut clients: Vec<Client> = (0..30).map(|n| nodes[n % 3].user(&format!("user-{}", n % 15))).collect();
    for client in &mut clients {
        client.subscribe("news");
    }
    redis.kill();
    for (index, node) in nodes.nodes().enumerate() {
        // The sending thread finds out when it sends.
        eventually(PATIENCE, "it is said that nothing crosses", || {
            (node.push(&to_user("nobody", 0))["relayed"] == false).then_some(())
        });
        expect_up(node, 0.0);
        let reply = node.push(&to_channel("news", index));
        assert_eq!((&reply["local"], &reply["relayed"]), (&json!(10), &json!(false)));
        for client in clients.iter_mut().skip(index).step_by(3) {
            client.expect_message(index);
        }
    }
    // One that comes, and one that goes, while Redis is away.
    let mut newcomer = nodes[1].user("newcomer");
    clients.pop().unwrap().close();

    redis.restart_empty();
    let back = Instant::now();
    nodes.settle_within(RECOVERY);
    let left = || RECOVERY.saturating_sub(back.elapsed());
    for node in nodes.nodes() {
        eventually(left(), "the directory is complete", || {
            let counts = node.get("/v1/online").json()["cluster"].clone();
            (counts == json!({"connections": 30, "users": 16, "nodes": 3}) && holders(node, "newcomer") == ["n2"])
                .then_some(())
        });
    }
    assert!(holders(&nodes[0], "user-14") == ["n3"], "one of its two sessions went");
    nodes[0].push(&to_user("newcomer", "hello"));
    newcomer.expect_message("hello");
    nodes[2].push(&to_channel("news", "after"));
    for (n, client) in clients.iter_mut().enumerate() {
        // What waited has come, or a gap in its place; what was local has been read.
        eventually(PATIENCE, "the message after", || {
            let frame = client.next();
            assert!(frame["op"] == "gap" || frame["op"] == "message", "client {n}: {frame}");
            (frame["data"] == "after").then_some(())
        });
    }
}

#[test]
fn reactors_do_not_notice_a_redis_that_hangs() {
    let redis = Redis::single();
    let nodes = shipped(&redis).set("queue_bytes_max", 64 * 1024).start(2);
    let (mut here, mut there) = (nodes[0].user("42"), nodes[1].user("42"));
    here.subscribe("news");
    there.subscribe("news");
    redis.hang();
    let mut api = nodes[0].api();
    let mut slowest = Duration::ZERO;
    let mut last = json!(null);
    let fill = "x".repeat(1_000);
    const PUSHES: u64 = 400;
    for n in 0..PUSHES {
        let start = Instant::now();
        last = push(&mut api, &to_channel("news", json!({"n": n, "fill": fill})));
        assert_eq!(here.expect_op("message")["data"]["n"], n);
        assert_eq!(here.call(json!({"op": "ping"}))["op"], "pong");
        slowest = slowest.max(start.elapsed());
    }
    // Nobody waited for as long as Redis is given.
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    assert_eq!(last["relayed"], false, "the queue is full: {last}");
    eventually(PATIENCE, "the sending thread has counted what did not fit", || {
        (nodes[0].metric("epush_relay_dropped_total") > 0.0).then_some(())
    });
    assert!(nodes[0].metric("epush_relay_queue_bytes") <= 64.0 * 1024.0);
    // Who signs in and subscribes meanwhile waits no longer than Redis is given, and gets what is local.
    let mut newcomer = nodes[0].user("43");
    newcomer.subscribe("local");
    push(&mut api, &to_channel("local", 1));
    newcomer.expect_message(1);

    redis.go_on();
    nodes.settle();
    push(&mut api, &to_channel("news", json!({"n": PUSHES})));
    let (mut received, mut announced) = (0, 0);
    eventually(PATIENCE, "the last one", || {
        let frame = there.next();
        if frame["op"] == "gap" {
            assert_eq!((&frame["channel"], &frame["reason"]), (&json!("news"), &json!("relay")), "{frame}");
            announced += frame["count"].as_u64().unwrap();
            return None;
        }
        let n = frame["data"]["n"].as_u64().unwrap();
        assert!(n >= received + announced, "in order: {n}");
        received += 1;
        (n == PUSHES).then_some(())
    });
    assert_eq!(received + announced, PUSHES + 1);
    assert!(announced > 0, "the queue holds 64 KiB");
}

/// Cuts a node's way to Redis with `cut`; both sides go on, and after it is healed they are one again.
fn both_sides_go_on(cut: impl Fn(&Proxy)) {
    let redis = Redis::single();
    let proxy = Proxy::to(redis.servers[0].port);
    let nodes = Plan::on(&redis).way(1, &proxy.url()).start(3);
    let (mut here, mut there, mut third) = (nodes[0].user("42"), nodes[1].user("42"), nodes[2].user("7"));
    let mut alone = nodes[1].user("alone");
    for client in [&mut here, &mut there, &mut third, &mut alone] {
        client.subscribe("news");
    }
    cut(&proxy);
    expect_up(&nodes[1], 0.0);
    eventually(PATIENCE, "the others give it up, and its users", || {
        let nodes_left = nodes[0].get("/v1/online").json()["cluster"]["nodes"].clone();
        (nodes_left == 2 && sessions(&nodes[2], "alone").is_empty() && holders(&nodes[2], "42") == ["n1"]).then_some(())
    });
    let reply = nodes[1].push(&json!({"to": {"users": ["42", "alone"]}, "data": "cut"}));
    assert_eq!((&reply["local"], &reply["relayed"]), (&json!(2), &json!(false)));
    there.expect_message("cut");
    alone.expect_message("cut");
    let reply = nodes[0].push(&to_channel("news", "whole"));
    assert_eq!((&reply["local"], &reply["relayed"]), (&json!(1), &json!(true)));
    here.expect_message("whole");
    third.expect_message("whole");

    proxy.heal();
    nodes.settle_within(RECOVERY + GRACE);
    assert_eq!(holders(&nodes[2], "42"), ["n1", "n2"]);
    assert_eq!(holders(&nodes[0], "alone"), ["n2"]);
    // What the cut-off node had queued crosses late; what it missed is told.
    here.expect_message("cut");
    for client in [&mut there, &mut alone] {
        let gap = client.expect_op("gap");
        assert_eq!((&gap["channel"], &gap["count"], &gap["reason"]), (&json!("news"), &json!(1), &json!("relay")));
    }
    for (n, node) in nodes.nodes().enumerate() {
        node.push(&to_channel("news", n));
        for client in [&mut here, &mut there, &mut third, &mut alone] {
            client.expect_message(n);
        }
    }
}

#[test]
fn a_node_whose_connections_are_cut_goes_on_and_comes_back() {
    both_sides_go_on(Proxy::cut);
}

#[test]
fn a_node_whose_cable_is_pulled_goes_on_and_comes_back() {
    both_sides_go_on(Proxy::hold);
}

#[test]
fn a_killed_connection_costs_nothing_but_what_a_gap_tells() {
    let redis = Redis::single();
    let nodes = Plan::on(&redis).set("lease_ms", 10_000).start(2);
    let mut client = nodes[1].user("42");
    for kind in ["pubsub", "normal"] {
        let before = nodes[1].metric("epush_relay_connects_total");
        let _: u64 = redis.ask(&["CLIENT", "KILL", "TYPE", kind]);
        eventually(PATIENCE, "it is made anew", || {
            (nodes[1].metric("epush_relay_connects_total") > before).then_some(())
        });
        nodes.settle();
        nodes[0].push(&to_user("42", kind));
        client.expect_message(kind);
    }
}

#[test]
fn scripts_that_redis_forgot_are_loaded_again() {
    let redis = Redis::single();
    let nodes = Cluster::start(2, &redis);
    let mut clients = [nodes[0].user("42"), nodes[1].user("42")];
    for round in 0..3 {
        let () = redis.ask(&["SCRIPT", "FLUSH", "SYNC"]);
        let reply = nodes[round % 2].push(&to_user("42", round));
        assert_eq!(reply["relayed"], true);
        for client in &mut clients {
            client.expect_message(round);
        }
        let () = redis.ask(&["SCRIPT", "FLUSH", "SYNC"]);
        let newcomer = nodes[0].user("newcomer");
        assert_eq!(holders(&nodes[1], "newcomer"), ["n1"]);
        newcomer.close();
        eventually(PATIENCE, "it is gone", || holders(&nodes[1], "newcomer").is_empty().then_some(()));
    }
}

#[test]
fn nodes_that_start_before_redis_serve_and_join_when_it_is_there() {
    let mut redis = Redis::single();
    redis.kill();
    let nodes = Plan::on(&redis).start_apart(2);
    let (mut here, mut there) = (nodes[0].user("42"), nodes[1].user("42"));
    here.subscribe("news");
    there.subscribe("news");
    let reply = nodes[0].push(&to_user("42", "alone"));
    assert_eq!((&reply["local"], &reply["relayed"]), (&json!(1), &json!(false)));
    here.expect_message("alone");
    redis.restart_empty();
    nodes.settle_within(RECOVERY);
    assert_eq!(holders(&nodes[0], "42"), ["n1", "n2"]);
    // What waited may come first: the queue kept it.
    nodes[0].push(&to_channel("news", "together"));
    for client in [&mut here, &mut there] {
        eventually(PATIENCE, "the message", || (client.next()["data"] == "together").then_some(()));
    }
    nodes[1].push(&to_all("all"));
    here.expect_message("all");
}

#[test]
fn a_node_that_was_stopped_for_longer_than_its_lease_comes_back_whole() {
    let redis = Redis::single();
    let nodes = Cluster::start(2, &redis);
    let (mut here, mut there) = (nodes[0].user("42"), nodes[1].user("43"));
    here.subscribe("news");
    there.subscribe("news");
    nodes[1].hang();
    eventually(PATIENCE, "it is given up", || {
        let counts = nodes[0].get("/v1/online").json()["cluster"].clone();
        (counts == json!({"connections": 1, "users": 1, "nodes": 1})).then_some(())
    });
    nodes[1].signal(rustix::process::Signal::CONT);
    nodes.settle();
    eventually(RECOVERY, "its user is back", || (holders(&nodes[0], "43") == ["n2"]).then_some(()));
    nodes[0].push(&to_user("43", 1));
    there.expect_message(1);
    nodes[0].push(&to_channel("news", 2));
    here.expect_message(2);
    there.expect_message(2);
}
