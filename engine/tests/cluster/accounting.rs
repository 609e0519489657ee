//! What is lost is counted exactly: through every fault, received + announced = sent for every session, in order and
//! never twice.

use crate::books::Books;
use crate::support::{Cluster, Node, PATIENCE, Plan, Proxy, Redis, eventually};

/// Rounds before, around and after each fault.
const ROUNDS: u64 = 60;

/// So long that a node is not given up while it is cut off; not longer, as nodes see each other every tenth of it.
const LONG_LEASE_MS: u64 = 20_000;

fn expect_up(node: &Node, is_up: bool) {
    let mut api = node.api();
    let line = format!("epush_relay_up {}", u8::from(is_up));
    eventually(PATIENCE, &format!("{}: {line}", node.name), || {
        api.get("/metrics").text().lines().any(|shown| shown == line).then_some(())
    });
}

fn expect_all_up(nodes: &Cluster, is_up: bool) {
    nodes.nodes().for_each(|node| expect_up(node, is_up));
}

/// Three nodes, the second of which reaches Redis through a proxy, with publishers on the first two.
fn with_proxy(redis: &Redis, more: impl Fn(Plan) -> Plan) -> (Cluster, Proxy, Books) {
    let proxy = Proxy::to(redis.servers[0].port);
    let nodes = more(Plan::on(redis)).way(1, &proxy.url()).start(3);
    let books = Books::open(&nodes, &[0, 1]);
    (nodes, proxy, books)
}

#[test]
fn nothing_is_lost_while_nothing_fails() {
    let redis = Redis::single();
    let nodes = Cluster::start(3, &redis);
    let mut books = Books::open(&nodes, &[0, 1]);
    for _ in 0..5 {
        books.rounds(ROUNDS);
    }
    assert_eq!(books.balance(), 0);
}

#[test]
fn the_death_of_a_node_loses_nothing_to_the_others() {
    let redis = Redis::single();
    let mut nodes = Cluster::start(3, &redis);
    let mut books = Books::open(&nodes, &[0, 1]);
    books.rounds(ROUNDS);
    books.forget_node(2);
    books.rounds_around(ROUNDS, || nodes.kill(2));
    books.rounds(ROUNDS);
    nodes.settle();
    books.rounds(ROUNDS);
    assert_eq!(books.balance(), 0);

    // One that publishes, when what it sent has arrived; and one of its name that begins anew.
    books.forget_node(1);
    books.publishers[1].move_to(&nodes[0]);
    nodes.kill(1);
    books.rounds(ROUNDS);
    nodes.restart(1);
    nodes.settle();
    books.add_publisher(&nodes, 1);
    books.rounds(ROUNDS);
    assert_eq!(books.balance(), 0);
}

#[test]
fn a_redis_that_comes_back_empty_is_accounted_for() {
    let mut redis = Redis::single();
    let nodes = Cluster::start(3, &redis);
    let mut books = Books::open(&nodes, &[0, 1]);
    for _ in 0..2 {
        books.rounds(ROUNDS);
        books.rounds_around(ROUNDS, || redis.kill());
        expect_all_up(&nodes, false);
        books.rounds_around(ROUNDS, || redis.restart_empty());
        books.rounds(ROUNDS);
        nodes.settle();
        books.balance();
    }
}

#[test]
fn a_redis_that_hangs_is_accounted_for() {
    let redis = Redis::single();
    let nodes = Cluster::start(3, &redis);
    let mut books = Books::open(&nodes, &[0, 1]);
    for _ in 0..2 {
        books.rounds_around(ROUNDS, || redis.hang());
        expect_all_up(&nodes, false);
        books.rounds_around(ROUNDS, || redis.go_on());
        books.rounds(ROUNDS);
        books.balance();
    }
    // Shorter than anybody notices.
    books.rounds_around(ROUNDS, || {
        redis.hang();
        redis.go_on();
    });
    books.balance();
}

#[test]
fn what_does_not_fit_into_the_queue_is_announced() {
    let redis = Redis::single();
    let nodes = Plan::on(&redis).set("queue_bytes_max", 8 * 1024).start(3);
    let mut books = Books::open(&nodes, &[0, 1]);
    books.rounds(1);
    redis.hang();
    expect_all_up(&nodes, false);
    for _ in 0..4 {
        books.rounds(ROUNDS);
    }
    redis.go_on();
    assert!(books.balance() > 0, "so little fits");
    let dropped: f64 = nodes.nodes().map(|node| node.metric("epush_relay_dropped_total")).sum();
    assert!(dropped > 0.0);
}

#[test]
fn a_node_that_is_cut_off_and_healed_is_accounted_for() {
    let redis = Redis::single();
    let (nodes, proxy, mut books) = with_proxy(&redis, |plan| plan.set("lease_ms", LONG_LEASE_MS));
    for _ in 0..3 {
        books.rounds_around(ROUNDS, || proxy.cut());
        expect_up(&nodes[1], false);
        books.rounds_around(ROUNDS, || proxy.heal());
        expect_up(&nodes[1], true);
        books.rounds(ROUNDS);
        books.balance();
    }
    assert!(books.announced() > 0, "what the others sent meanwhile did not cross");
}

#[test]
fn a_node_that_is_cut_off_until_the_others_gave_it_up_is_accounted_for() {
    let redis = Redis::single();
    let (nodes, proxy, mut books) = with_proxy(&redis, |plan| plan);
    books.rounds(ROUNDS);
    books.rounds_around(ROUNDS, || proxy.cut());
    eventually(PATIENCE, "it is given up", || {
        let listed = nodes[0].get("/v1/nodes").json();
        (listed["nodes"].as_array()?.len() == 2 && crate::ask::sessions(&nodes[0], "own-2").is_empty()).then_some(())
    });
    books.rounds(ROUNDS);
    books.rounds_around(ROUNDS, || proxy.heal());
    nodes.settle();
    books.rounds(ROUNDS);
    assert!(books.balance() > 0);
}

#[test]
fn a_cable_that_is_pulled_and_plugged_in_again_is_accounted_for() {
    let redis = Redis::single();
    let (nodes, proxy, mut books) = with_proxy(&redis, |plan| plan.set("lease_ms", LONG_LEASE_MS));
    books.rounds_around(ROUNDS, || proxy.hold());
    expect_up(&nodes[1], false);
    books.rounds(ROUNDS);
    books.rounds_around(ROUNDS, || proxy.heal());
    expect_up(&nodes[1], true);
    books.balance();
}

#[test]
fn connections_that_end_again_and_again_are_accounted_for() {
    let redis = Redis::single();
    let (nodes, proxy, mut books) = with_proxy(&redis, |plan| plan.set("lease_ms", LONG_LEASE_MS));
    for round in 0..12 {
        books.rounds_around(ROUNDS / 3, || proxy.reset());
        if round % 4 == 3 {
            // Redis's own way to say no, to everybody at once.
            let kind = if round == 3 { "pubsub" } else { "normal" };
            let _: u64 = redis.ask(&["CLIENT", "KILL", "TYPE", kind]);
        }
    }
    expect_all_up(&nodes, true);
    books.balance();
}

#[test]
fn a_subscriber_that_redis_drops_for_its_full_buffer_is_accounted_for() {
    let redis = Redis::with("client-output-buffer-limit pubsub 262144 0 0\n");
    let (nodes, proxy, mut books) =
        with_proxy(&redis, |plan| plan.set("lease_ms", LONG_LEASE_MS).set("timeout_ms", 10_000));
    books.rounds(ROUNDS);
    // To a channel of which nobody keeps books, so that the sessions' own buffers stay empty.
    let mut watcher = nodes[1].anyone();
    watcher.subscribe("heavy");
    proxy.stall_subscribers();
    let mut api = nodes[0].api();
    let heavy = crate::ask::to_channel("heavy", "x".repeat(32 * 1024));
    let subscribers = || redis.ask::<String>(&["CLIENT", "LIST", "TYPE", "pubsub"]).lines().count();
    let all = subscribers();
    let mut sent = 0;
    eventually(PATIENCE, "Redis drops the subscriber", || {
        crate::ask::push(&mut api, &heavy);
        sent += 1;
        (subscribers() < all).then_some(())
    });
    books.rounds(ROUNDS);
    proxy.heal();
    books.rounds(ROUNDS);
    assert!(books.balance() > 0, "a hole, detected and told");
    crate::ask::push(&mut api, &crate::ask::to_channel("heavy", "last"));
    let (mut received, mut announced) = (0, 0);
    loop {
        let frame = watcher.next();
        match frame["op"].as_str() {
            Some("gap") => announced += frame["count"].as_u64().unwrap(),
            _ if frame["data"] == "last" => break,
            _ if frame["channel"] == "heavy" => received += 1,
            // Broadcasts of the books.
            _ => {}
        }
    }
    assert!(received + announced >= sent && announced > 0, "{received} + {announced} of {sent}");
}

#[test]
fn a_failover_is_accounted_for() {
    let mut redis = Redis::sentinel();
    let nodes = Cluster::start(3, &redis);
    let mut books = Books::open(&nodes, &[0, 1]);
    books.rounds(ROUNDS);
    let connects = |node: &Node| node.metric("epush_relay_connects_total");
    let before: Vec<f64> = nodes.nodes().map(connects).collect();
    books.rounds_around(ROUNDS, || redis.servers[0].kill());
    for (node, before) in nodes.nodes().zip(before) {
        eventually(PATIENCE, "it is connected to the new master", || (connects(node) > before).then_some(()));
    }
    books.rounds(ROUNDS);
    nodes.settle();
    // What the old master took and the new one never heard of shows in the number of the next message.
    books.rounds(ROUNDS);
    books.balance();
}

#[test]
fn a_master_of_a_redis_cluster_that_restarts_empty_is_accounted_for() {
    let mut redis = Redis::cluster();
    let nodes = Cluster::start(3, &redis);
    let mut books = Books::open(&nodes, &[0, 1]);
    for master in 0..3 {
        books.rounds_around(ROUNDS, || redis.servers[master].kill());
        books.rounds_around(ROUNDS, || redis.servers[master].restart_empty());
        redis.expect_cluster();
        nodes.settle();
        books.rounds(ROUNDS);
        books.balance();
    }
}

#[test]
fn a_master_of_a_redis_cluster_that_forgets_users_who_just_came_is_accounted_for() {
    let mut redis = Redis::cluster();
    // Nodes look at each other so rarely that the others have not heard of these users yet.
    let nodes = Plan::on(&redis).set("lease_ms", LONG_LEASE_MS).start(3);
    let mut books = Books::open(&nodes, &[1, 2]);
    let has_user = |master: &usize| !redis.servers[*master].ask::<Vec<String>>(&["KEYS", "*:u:own-1"]).is_empty();
    let master = (0..3).find(has_user).expect("a master has it");
    books.rounds_around(ROUNDS, || redis.servers[master].kill());
    books.rounds_around(ROUNDS, || redis.servers[master].restart_empty());
    redis.expect_cluster();
    nodes.settle();
    books.rounds(ROUNDS);
    books.balance();
}

#[test]
fn everything_in_turn_is_accounted_for() {
    let mut redis = Redis::single();
    let proxy = Proxy::to(redis.servers[0].port);
    let mut nodes = Plan::on(&redis).set("queue_bytes_max", 64 * 1024).way(1, &proxy.url()).start(4);
    let mut books = Books::open(&nodes, &[0, 1]);
    books.rounds_around(ROUNDS, || proxy.reset());
    books.rounds_around(ROUNDS, || redis.hang());
    books.rounds(ROUNDS);
    books.rounds_around(ROUNDS, || redis.go_on());
    books.rounds_around(ROUNDS, || proxy.cut());
    books.forget_node(3);
    books.rounds_around(ROUNDS, || nodes.kill(3));
    books.rounds_around(ROUNDS, || redis.kill());
    books.rounds_around(ROUNDS, || proxy.heal());
    books.rounds_around(ROUNDS, || redis.restart_empty());
    // One that is away for seconds while Redis has forgotten everything may be told of less than it missed.
    nodes.settle();
    books.rounds_around(ROUNDS, || proxy.hold());
    books.rounds_around(ROUNDS, || nodes.restart(3));
    books.rounds_around(ROUNDS, || proxy.heal());
    nodes.settle();
    assert!(books.balance() > 0);
}
