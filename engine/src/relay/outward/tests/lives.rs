//! Leases: lives that end, and sweeping after them.

use epush_core::mail::{Answer, MuteChange, Question, Report};

use super::*;
use crate::relay::order::{ScheduleNews, ScheduleOrder};
use crate::relay::testing::cluster_of_three;
use crate::relay::topology::Topology;

fn user_set(boot: NodeId, count: u32, name: &str) -> String {
    keys().users_of(keys().partition(&user(name)), Incarnation { boot, count })
}

#[test]
fn a_node_whose_lease_was_taken_writes_everything_anew_as_another_life() {
    let server = RedisServer::start();
    let mut node = Node::up(&server, 1);
    let _other = Node::up(&server, 2);
    eventually(|| (node.front.view.load().nodes.len() == 2).then_some(()));
    let session = node.sign_in("7", 1);
    node.wait_signed_in(session);
    let mut plain = Plain::open(&server);
    assert_eq!(plain.names("SMEMBERS", &user_set(1, 0, "7")), ["7"]);
    // As if it had been cut off for long, and was swept.
    plain.run(&calls(1).leave());
    plain.ask(cmd("HSET").arg(keys().dead()).arg("1.0").arg(0));
    eventually(|| (plain.names("SMEMBERS", &user_set(1, 1, "7")) == ["7"]).then_some(()));
    eventually(|| plain.names("HKEYS", &keys().dead()).is_empty().then_some(()));
    assert_eq!(plain.entries("7").len(), 1);
    assert_eq!(plain.online(), 1);
    let next = node.sign_in("8", 2);
    node.wait_signed_in(next);
    assert_eq!(plain.names("SMEMBERS", &user_set(1, 1, "8")), ["8"]);
}

#[test]
fn a_dead_node_is_swept_by_another_within_the_lease() {
    let server = RedisServer::start();
    let mut plain = Plain::open(&server);
    plain.load();
    for n in 0..1_000 {
        plain.run(&calls(9).sign_in(&user(&format!("u{n}")), &entry(9, n), 0, &[]));
    }
    plain.run(&calls(9).enroll(&record(9), 60_000, 1));
    let dies = Instant::now();
    let node = Node::up(&server, 1);
    assert_eq!(plain.online(), 1_000);
    eventually(|| (plain.online() == 0).then_some(()));
    assert!(dies.elapsed() < Duration::from_millis(LEASE_MS), "{:?}", dies.elapsed());
    eventually(|| plain.names("HKEYS", &keys().dead()).is_empty().then_some(()));
    eventually(|| (node.front.view.load().nodes.len() == 1).then_some(()));
}

#[test]
fn a_node_that_stops_leaves_nothing_in_the_directory() {
    let server = RedisServer::start();
    let mut node = Node::up(&server, 1);
    for n in 0..300 {
        node.sign_in(&format!("u{n}"), n);
    }
    node.wait_signed_in(at(299));
    let mut plain = Plain::open(&server);
    assert_eq!(plain.online(), 300);
    let mut all = Plain::listen(&server, &keys().all());
    node.publish(Target::All, "bye");
    node.stop();
    assert_eq!(all.numbered().2.as_deref(), Some("bye"));
    assert_eq!(plain.online(), 0);
    assert!(plain.names("HKEYS", &keys().nodes()).is_empty());
    assert!(plain.names("KEYS", "p:{u*}:o:*").is_empty());
    assert!(plain.entries("u7").is_empty());
}

#[test]
fn a_node_stops_in_time_without_redis() {
    let mut server = RedisServer::start();
    let mut node = Node::up(&server, 1);
    server.kill();
    node.publish(Target::All, "never");
    let asked = Instant::now();
    node.stop();
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    assert!(node.front.queue.reserve(10_000).is_ok(), "all room is given back");
}

#[test]
fn the_view_has_all_nodes_users_and_what_they_are_doing() {
    let server = RedisServer::start();
    let (mut one, other) = (Node::up(&server, 1), Node::up(&server, 2));
    let session = one.sign_in("7", 1);
    one.wait_signed_in(session);
    let (told, waits) = crossbeam_channel::bounded(0);
    other.order(Order::State { state: crate::api::NodeState::Draining, told });
    assert_eq!(waits.recv_timeout(PATIENCE), Err(crossbeam_channel::RecvTimeoutError::Disconnected));
    let records = Plain::open(&server).names("HVALS", &keys().nodes());
    assert!(records.iter().any(|record| record.contains("draining")), "{records:?}");
    let view = eventually(|| {
        let view = one.front.view.load_full();
        let states: Vec<&str> = view.nodes.iter().map(|node| node.state.as_str()).collect();
        (states == ["ready", "draining"] && view.users == 1).then_some(view)
    });
    assert!(view.is_up && view.redis_unix_ms > 0);
    assert!(view.clock_offset_ms.abs() < 1_000, "both on one machine");
}

#[test]
fn a_redis_that_is_emptied_under_a_standing_connection_gets_everything_back() {
    let server = RedisServer::start();
    let mut node = Node::up(&server, 1);
    let session = node.sign_in("7", 1);
    node.wait_signed_in(session);
    let question = Question::ChangeMutes { user: user("7"), change: MuteChange::Add(vec!["ad".into()]) };
    node.order(Order::Ask { question, report: Report { shard: ShardId(0), ticket: 1 } });
    node.inward.find(|arrival| matches!(arrival, Arrival::Answered { .. }).then_some(()));
    let mut plain = Plain::open(&server);
    let mut all = Plain::listen(&server, &keys().all());
    node.publish(Target::All, "before");
    assert_eq!(all.numbered().1.number, 1);
    plain.ask(&cmd("FLUSHALL"));
    eventually(|| (plain.entries("7").len() == 1).then_some(()));
    eventually(|| (plain.names("SMEMBERS", &keys().mutes(&user("7"))) == ["ad"]).then_some(()));
    let (_, number, text) = all.numbered();
    assert_eq!((number.number, text), (1, None), "what may have been lost is announced");
    node.publish(Target::All, "after");
    assert_eq!(all.numbered().1.number, 2);
    assert_eq!(plain.names("HKEYS", &keys().nodes()), ["1.1"]);
}

#[test]
fn in_a_redis_cluster_everything_finds_its_master() {
    let servers = cluster_of_three();
    let url = format!("redis+cluster://127.0.0.1:{}", servers[0].port());
    let config = ClusterConfig { redis: Some(Secret::new(url)), timeout_ms: 5_000, ..ClusterConfig::default() };
    let access = Access::new(&config).expect("a URL");
    let mut nodes = [1, 2].map(|boot| Node::start_with(&servers[0], boot, |setup| setup.access = access.clone()));
    nodes.iter_mut().for_each(|node| node.wait_until_up(true));
    let names: Vec<String> = (0..50).map(|n| format!("u{n}")).collect();
    for (index, name) in names.iter().enumerate() {
        let session = nodes[0].sign_in(name, index as u32);
        nodes[0].wait_signed_in(session);
    }
    let topology = Topology::discover(&access).expect("a cluster");
    for name in &names {
        let channel = keys().to_node(keys().partition(&user(name)), 1);
        let host = &topology.masters[topology.master_of(channel.as_bytes())];
        let mut ear = Plain(Connection::open(host, &access).expect("a master"));
        ear.ask(cmd("SSUBSCRIBE").arg(&channel));
        nodes[1].publish(to_user(name), name);
        assert_eq!(ear.numbered().2.as_deref(), Some(name.as_str()));
        nodes[1].order(Order::Ask {
            question: Question::User(user(name)),
            report: Report { shard: ShardId(0), ticket: 1 },
        });
        let sessions = nodes[1].mail(|mail| match mail {
            Mail::Answer { answer: Answer::Sessions(sessions), .. } => Some(sessions),
            _ => None,
        });
        assert_eq!(sessions.len(), 1);
    }
    eventually(|| (nodes[1].front.view.load().users == 50).then_some(()));
    nodes[0].stop();
    eventually(|| (nodes[1].front.view.load().users == 0).then_some(()));
}

#[test]
fn a_master_of_a_redis_cluster_that_lost_its_memory_gets_back_what_it_had() {
    let servers = cluster_of_three();
    let url = format!("redis+cluster://127.0.0.1:{}", servers[0].port());
    let access = crate::relay::testing::access(&url);
    let mut node = Node::start_with(&servers[0], 1, |setup| setup.access = access.clone());
    node.wait_until_up(true);
    for n in 0..50 {
        node.sign_in(&format!("u{n}"), n);
    }
    node.wait_signed_in(at(49));
    node.order(Order::Schedule(ScheduleOrder::Put {
        conn: at(0).conn,
        tag: 1,
        name: "tick".into(),
        plan: "{}".into(),
    }));
    assert!(matches!(node.news(), ScheduleNews::All(all) if all.is_empty()));
    let before = node.news();
    eventually(|| (node.front.view.load().users == 50).then_some(()));
    // One that has no leases: as if it had been killed and had come back empty.
    let topology = Topology::discover(&access).expect("a cluster");
    let leases = topology.master_of(keys().nodes().as_bytes());
    let mut connects = node.front.figures.connects.load(Relaxed);
    for (master, host) in topology.masters.iter().enumerate().filter(|(master, _)| *master != leases) {
        let mut plain = Plain(Connection::open(host, &access).expect("a master"));
        plain.ask(cmd("CLIENT").arg("KILL").arg("TYPE").arg("normal").arg("SKIPME").arg("yes"));
        plain.ask(&cmd("FLUSHALL"));
        eventually(|| (node.front.figures.connects.load(Relaxed) > connects).then_some(()));
        connects = node.front.figures.connects.load(Relaxed);
        let of_master = |partition: &u8| topology.master_of(keys().online(*partition).as_bytes()) == master;
        let partitions: Vec<u8> = (0..crate::relay::keys::PARTITIONS).filter(of_master).collect();
        let wanted = (0..50).filter(|n| partitions.contains(&keys().partition(&user(&format!("u{n}"))))).count();
        let mut count = |partition| reply::count(&plain.run(&calls(0).online(partition))).expect("a count");
        eventually(|| {
            (partitions.iter().map(|partition| count(*partition)).sum::<u64>() == wanted as u64).then_some(())
        });
    }
    let host = &topology.masters[topology.master_of(keys().schedules().as_bytes())];
    let mut plain = Plain(Connection::open(host, &access).expect("a master"));
    eventually(|| (plain.names("HKEYS", &keys().schedules()) == ["tick"]).then_some(()));
    assert!(matches!(before, ScheduleNews::All(all) if all.len() == 1));
}

#[test]
fn a_master_of_a_redis_cluster_that_forgot_users_whom_nobody_had_counted_is_waited_for() {
    let servers = cluster_of_three();
    let access = crate::relay::testing::access(&format!("redis+cluster://127.0.0.1:{}", servers[0].port()));
    let mut node = Node::start_with(&servers[0], 1, |setup| setup.access = access.clone());
    node.wait_until_up(true);
    let topology = Topology::discover(&access).expect("a cluster");
    let leases = topology.master_of(keys().nodes().as_bytes());
    let master_of = |name: &str| topology.master_of(keys().user(&user(name)).as_bytes());
    let name = (0..).map(|n| format!("u{n}")).find(|name| master_of(name) != leases).expect("one of many");
    let host = &topology.masters[master_of(&name)];
    let mut plain = Plain(Connection::open(host, &access).expect("a master"));
    let connects = node.front.figures.connects.load(Relaxed);
    plain.ask(&cmd("FLUSHALL"));
    plain.ask(cmd("CLIENT").arg("KILL").arg("TYPE").arg("normal").arg("SKIPME").arg("yes"));
    eventually(|| (node.front.figures.connects.load(Relaxed) > connects).then_some(()));
    node.wait_until_up(true);
    // The node that has the user is a little later than this one.
    assert!(node.publish(Target::Users(vec![user(&name)]), "hello"));
    let figures = &node.front.figures;
    eventually(|| (figures.queued.load(Relaxed) == 1 || figures.sent.load(Relaxed) == 1).then_some(()));
    assert_eq!(figures.sent.load(Relaxed), 0, "to nobody");
    plain.load();
    plain.run(&calls(2).sign_in(&user(&name), &entry(2, 1), 0, &[]));
    eventually(|| {
        let head = plain.ask(cmd("HGET").arg(keys().user(&user(&name))).arg("h:1"));
        (head != redis::Value::Nil).then_some(())
    });
}
