//! Redis away, hung, and back.

use super::*;
use crate::relay::testing::{sentinel_of, within};

#[test]
fn who_signs_in_while_redis_is_away_is_let_in_and_written_when_it_is_back() {
    let mut server = RedisServer::start();
    let mut node = Node::up(&server, 1);
    let before = node.sign_in("7", 1);
    node.wait_signed_in(before);
    server.kill();
    node.wait_until_up(false);
    let during = node.sign_in("8", 2);
    node.wait_signed_in(during);
    let gone = node.sign_in("9", 3);
    node.order(Order::SignOut { user: user("9"), session: gone });
    node.inward.find(|arrival| matches!(arrival, Arrival::SignedOut(gone) if gone == user("9")).then_some(()));
    server.restart_empty();
    node.wait_until_up(true);
    let mut plain = Plain::open(&server);
    eventually(|| (plain.online() == 2).then_some(()));
    assert_eq!(plain.entries("7").iter().map(|entry| entry.session.at).collect::<Vec<_>>(), [before]);
    assert_eq!(plain.entries("8").iter().map(|entry| entry.session.at).collect::<Vec<_>>(), [during]);
    assert!(plain.entries("9").is_empty());
    eventually(|| node.front.view.load().nodes.iter().any(|node| node.synced).then_some(()));
}

#[test]
fn a_node_starts_without_redis_and_joins_when_there_is_one() {
    let mut server = RedisServer::start();
    server.kill();
    let mut node = Node::start(&server, 1);
    let session = node.sign_in("7", 1);
    node.wait_signed_in(session);
    server.restart_empty();
    node.wait_until_up(true);
    let mut plain = Plain::open(&server);
    eventually(|| (plain.entries("7").len() == 1).then_some(()));
}

#[test]
fn while_redis_hangs_orders_are_taken_and_the_queue_fills_and_everything_goes_on_when_it_does() {
    let server = RedisServer::start();
    let mut node = Node::up(&server, 1);
    let mut all = Plain::listen(&server, &keys().all());
    server.stop();
    let text = "x".repeat(100);
    let taken = (0..300).filter(|_| node.publish(Target::All, &text)).count();
    assert_eq!(taken, 100, "10 000 bytes");
    node.wait_until_up(false);
    let session = node.sign_in("7", 1);
    node.wait_signed_in(session);
    eventually(|| (node.front.figures.dropped.load(Relaxed) == 200).then_some(()));
    server.cont();
    node.wait_until_up(true);
    // Those in doubt may come twice, under the same numbers.
    let mut newest = 0;
    while newest < 300 {
        let number = all.numbered().1;
        assert!(number.number <= newest + 1 + number.lost || number.number == 300, "{number:?} after {newest}");
        newest = newest.max(number.number);
    }
    let mut plain = Plain::open(&server);
    eventually(|| (plain.entries("7").len() == 1).then_some(()));
}

#[test]
fn messages_wait_for_the_other_nodes_when_redis_lost_its_memory() {
    let mut server = RedisServer::start();
    let (mut one, mut other) = (Node::up(&server, 1), Node::up(&server, 2));
    let session = other.sign_in("7", 1);
    other.wait_signed_in(session);
    eventually(|| (one.front.view.load().nodes.len() == 2).then_some(()));
    server.kill();
    one.wait_until_up(false);
    other.wait_until_up(false);
    one.publish(to_user("7"), "hello");
    server.restart_empty();
    let mut ear = Plain::listen(&server, &keys().to_node(keys().partition(&user("7")), 2));
    // Sent before the other had written its user, it would have reached nobody.
    let text = std::iter::repeat_with(|| ear.envelope()).find_map(|envelope| match envelope.body {
        Body::Message { frame, .. } => Some(text_of(&frame)),
        _ => None,
    });
    assert_eq!(text.as_deref(), Some("hello"));
}

#[test]
fn after_a_lost_connection_the_newest_numbers_are_announced_once_though_nothing_was_in_doubt() {
    let server = RedisServer::start();
    let mut node = Node::up(&server, 1);
    let mut all = Plain::listen(&server, &keys().all());
    (1..=3).for_each(|n| assert!(node.publish(Target::All, &n.to_string())));
    (1..=3).for_each(|n| assert_eq!(all.numbered().1.number, n));
    eventually(|| (node.front.figures.sent.load(Relaxed) == 3).then_some(()));
    for round in 1..=2 {
        let mut plain = Plain::open(&server);
        plain.ask(cmd("CLIENT").arg("KILL").arg("TYPE").arg("normal").arg("SKIPME").arg("yes"));
        eventually(|| (node.front.figures.connects.load(Relaxed) > round).then_some(()));
        // Whoever was sent the third and did not get it is told, though nobody sends a fourth.
        let (stream, number, text) = all.numbered();
        assert_eq!((stream, number.number, text), (Stream::All, 3, None), "round {round}");
    }
    node.wait_until_up(true);
    assert!(node.publish(Target::All, "4"));
    assert_eq!(all.numbered().2.as_deref(), Some("4"), "announced once each time");
}

#[test]
fn messages_wait_for_the_other_nodes_when_redis_went_back_in_time() {
    let server = RedisServer::start();
    let mut plain = Plain::open(&server);
    plain.load();
    plain.run(&calls(2).enroll(&record(2), 60_000, 1));
    let node = Node::up(&server, 1);
    eventually(|| (node.front.view.load().nodes.len() == 2).then_some(()));
    let mut ear = Plain::listen(&server, &keys().to_node(keys().partition(&user("7")), 2));
    // Of the user who signed in last, the file that Redis was started from knows nothing.
    plain.ask(cmd("HSET").arg(keys().nodes()).arg("1.0").arg("1 {}"));
    eventually(|| plain.names("HKEYS", &keys().nodes()).contains(&"1.1".to_owned()).then_some(()));
    node.publish(to_user("7"), "hello");
    eventually(|| (node.front.figures.queued.load(Relaxed) == 1).then_some(()));
    let back = Calls { me: Incarnation { boot: 2, count: 1 }, ..calls(2) };
    plain.run(&back.sign_in(&user("7"), &entry(2, 1), 0, &[]));
    plain.run(&back.enroll(&record(2), 60_000, 1));
    assert_eq!(ear.numbered().2.as_deref(), Some("hello"), "it did not find nobody");
}

#[test]
fn after_a_failover_the_new_master_gets_the_directory_anew_and_what_waited() {
    let master = RedisServer::start();
    let port = master.port().to_string();
    let replica = RedisServer::start_with(&["--replicaof", "127.0.0.1", &port, "--repl-diskless-sync-delay", "0"]);
    let mut old = Plain::open(&master);
    within("the replica follows", || {
        let role = old.ask(&cmd("ROLE"));
        matches!(role, Value::Array(parts) if matches!(&parts[2], Value::Array(replicas) if !replicas.is_empty()))
            .then_some(())
    });
    let sentinel = sentinel_of(&master, "");
    let url = format!("redis+sentinel://127.0.0.1:{}/main", sentinel.port());
    let access = crate::relay::testing::access(&url);
    let mut asking = Connection::open_sentinel(&access.url().hosts[0], &access).expect("up");
    within("the sentinel knows the replica", || {
        let replicas = asking.ask(cmd("SENTINEL").arg("REPLICAS").arg("main")).expect("an answer");
        matches!(replicas, Value::Array(replicas) if !replicas.is_empty()).then_some(())
    });
    let mut node = Node::start_with(&master, 1, |setup| setup.access = access.clone());
    node.wait_until_up(true);
    let session = node.sign_in("7", 1);
    node.wait_signed_in(session);
    (1..=5).for_each(|n| assert!(node.publish(Target::All, &n.to_string())));
    eventually(|| (node.front.figures.sent.load(Relaxed) == 5).then_some(()));
    drop(master);
    node.wait_until_up(false);
    (6..=10).for_each(|n| assert!(node.publish(Target::All, &n.to_string())));
    node.inward.find(|arrival| matches!(arrival, Arrival::Reconnect).then_some(()));
    node.wait_until_up(true);
    let mut plain = Plain::open(&replica);
    // The old life's record runs out by itself; what it had is the new life's.
    let users = |count| keys().users_of(keys().partition(&user("7")), Incarnation { boot: 1, count });
    eventually(|| (plain.names("SMEMBERS", &users(1)) == ["7"]).then_some(()));
    assert!(plain.names("SMEMBERS", &users(0)).is_empty());
    assert_eq!((plain.entries("7").len(), plain.online()), (1, 1));
    eventually(|| {
        let head: String = redis::from_redis_value(plain.ask(cmd("HGET").arg(keys().all_heads()).arg("h:1"))).ok()?;
        head.ends_with(":1:10").then_some(())
    });
}
