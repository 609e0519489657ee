//! Messages: their order, their numbers, and what becomes of those that Redis does not get.

use epush_core::message::ChannelName;

use super::*;

fn to_channel(name: &str) -> Target {
    Target::Channels(vec![ChannelName::parse(name).expect("a name")])
}

/// Redis, and a node of its own record that is never seen to be back: messages wait for it, and a listener has time to come.
fn with_a_silent_other(plain: &mut Plain) {
    plain.load();
    plain.run(&calls(0xdead).enroll(&NodeRecord { synced: false, ..record(0xdead) }, 60_000, 1));
}

#[test]
fn what_is_sent_to_a_stream_arrives_in_order_and_counted() {
    let server = RedisServer::start();
    let mut node = Node::up(&server, 1);
    let mut all = Plain::listen(&server, &keys().all());
    let mut news = Plain::listen(&server, "p:c:{news}");
    for n in 0..100 {
        node.publish(Target::All, &n.to_string());
        node.publish(to_channel("news"), &n.to_string());
    }
    for n in 0..100 {
        for listener in [&mut all, &mut news] {
            let (_, number, text) = listener.numbered();
            assert_eq!((number.number, number.lost, text), (n + 1, 0, Some(n.to_string())));
        }
    }
    eventually(|| (node.front.figures.sent.load(Relaxed) == 200).then_some(()));
    node.stop();
    assert!(node.front.queue.reserve(10_000).is_ok(), "all room is given back");
}

#[test]
fn a_message_to_a_user_goes_to_the_nodes_that_have_the_user_and_nobody_counts_for_nobody() {
    let server = RedisServer::start();
    let node = Node::up(&server, 1);
    let mut plain = Plain::open(&server);
    plain.run(&calls(2).sign_in(&user("7"), &entry(2, 1), 0, &[]));
    let mut other = Plain::listen(&server, &keys().to_node(keys().partition(&user("7")), 2));
    for name in ["7", "8", "8", "7"] {
        node.publish(to_user(name), name);
    }
    let (first, second) = (other.numbered(), other.numbered());
    assert_eq!((first.0, first.1.number), (Stream::User(user("7")), 1));
    assert_eq!((second.0, second.1.number, second.1.generation), (Stream::User(user("7")), 2, first.1.generation));
    // Of the user nobody has, nothing is remembered: whoever signs in then starts afresh.
    plain.run(&calls(2).sign_in(&user("8"), &entry(2, 2), 0, &[]));
    let mut other = Plain::listen(&server, &keys().to_node(keys().partition(&user("8")), 2));
    node.publish(to_user("8"), "8");
    assert_eq!(other.numbered().1.number, 1);
}

#[test]
fn messages_keep_their_order_and_numbers_over_a_restart_of_redis() {
    let mut server = RedisServer::start();
    let mut plain = Plain::open(&server);
    with_a_silent_other(&mut plain);
    let mut node = Node::up(&server, 1);
    let mut all = Plain::listen(&server, &keys().all());
    (1..=10).for_each(|n| assert!(node.publish(Target::All, &n.to_string())));
    (1..=10).for_each(|n| assert_eq!(all.numbered().1.number, n));
    server.kill();
    // In doubt, refused, or queued while it is away: all of them come, once.
    (11..=15).for_each(|n| assert!(node.publish(Target::All, &n.to_string())));
    node.wait_until_up(false);
    (16..=20).for_each(|n| assert!(node.publish(Target::All, &n.to_string())));
    server.restart_empty();
    let mut all = Plain::listen(&server, &keys().all());
    for n in 11..=20 {
        let (_, number, text) = all.numbered();
        assert_eq!((number.number, number.lost, text), (n, 0, Some(n.to_string())));
    }
    // What waited behind the outage announces what was before it: nothing else does.
    node.publish(Target::All, "21");
    assert_eq!(all.numbered().2.as_deref(), Some("21"));
}

#[test]
fn what_finds_the_queue_full_is_counted_as_lost_to_the_stream() {
    let mut server = RedisServer::start();
    let mut plain = Plain::open(&server);
    with_a_silent_other(&mut plain);
    let mut node = Node::up(&server, 1);
    server.kill();
    node.wait_until_up(false);
    let text = "x".repeat(100);
    let waiting = (0..150).filter(|_| node.publish(Target::All, &text)).count() as u64;
    assert_eq!(waiting, 100, "10 000 bytes");
    eventually(|| (node.front.figures.dropped.load(Relaxed) == 50).then_some(()));
    eventually(|| (node.front.figures.queued.load(Relaxed) == 100).then_some(()));
    assert!(node.front.losses.reserve(1024 * 1024).is_ok(), "the notes were given back");
    server.restart_empty();
    let mut all = Plain::listen(&server, &keys().all());
    for n in 1..=100 {
        assert_eq!(all.numbered().1.number, n);
    }
    // Nobody sends any more: the loss is announced by itself.
    let (_, number, text) = all.numbered();
    assert_eq!((number.number, text), (150, None));
    // When the thread has read that Redis took them.
    eventually(|| node.publish(Target::All, "there is room again").then_some(()));
}

#[test]
fn scripts_that_redis_was_made_to_forget_are_loaded_again() {
    let server = RedisServer::start();
    let node = Node::up(&server, 1);
    let mut plain = Plain::open(&server);
    let mut all = Plain::listen(&server, &keys().all());
    for n in 1..=300 {
        if n % 100 == 0 {
            plain.ask(cmd("SCRIPT").arg("FLUSH"));
        }
        assert!(node.publish(Target::All, &n.to_string()), "the queue is wide enough");
    }
    for n in 1..=300 {
        let (_, number, text) = all.numbered();
        assert_eq!((number.number, number.lost, text), (n, 0, Some(n.to_string())));
    }
}

#[test]
fn more_than_a_pipeline_holds_goes_out_all_the_same() {
    let server = RedisServer::start();
    let node = Node::up(&server, 1);
    let room = Intake::new(64 * 1024 * 1024);
    let mut all = Plain::listen(&server, &keys().all());
    let big = "x".repeat(60_000);
    for _ in 1..=200 {
        let permit = room.reserve(big.len()).expect("there is room");
        let frame = text_frame(|out| out.extend_from_slice(big.as_bytes()));
        node.order(Order::Publish { to: Target::All, kind: None, frames: vec![frame], permit });
    }
    for n in 1..=200 {
        assert_eq!(all.numbered().1.number, n);
    }
}

#[test]
fn what_redis_refuses_is_dropped_counted_and_announced() {
    let server = RedisServer::start();
    let node = Node::up(&server, 1);
    let mut plain = Plain::open(&server);
    plain.ask(cmd("SET").arg("p:h:{news}").arg("no hash"));
    let mut news = Plain::listen(&server, "p:c:{news}");
    node.publish(to_channel("news"), "a");
    eventually(|| (node.front.figures.dropped.load(Relaxed) == 1).then_some(()));
    plain.ask(cmd("DEL").arg("p:h:{news}"));
    let (_, number, text) = news.numbered();
    assert_eq!((number.number, text), (1, None));
    node.publish(to_channel("news"), "b");
    assert_eq!(news.numbered().1.number, 2);
    assert!(node.front.is_up(), "one bad key is no outage");
}
