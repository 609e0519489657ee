//! A Redis that dies, hangs, drops its subscribers or comes back empty: nothing is lost without being told, nothing is
//! told lost that was not, and shards never wait.

use super::*;
use crate::relay::testing::RedisServer;

#[test]
fn redis_killed_and_restarted_empty_has_every_subscription_again_and_holes_are_told_exactly() {
    let mut server = RedisServer::start();
    let mut node = Receiving::start(&server.url());
    let room = node.join("room");
    let mut peer = Peer::new(&node, 7);
    (0..5).for_each(|_| peer.push(&stream(&room)));
    assert_eq!(node.account(0, 5).messages, 5);
    server.kill();
    until("Redis is missed", || !node.figures.is_listening.load(Relaxed));
    let attic = node.join("attic");
    server.restart_empty();
    peer.connect();
    // Some of these are sent before the node is back, maybe: whichever, they come or are told lost.
    (0..4).for_each(|_| peer.push(&stream(&room)));
    node.settled();
    (0..3).for_each(|_| peer.push(&stream(&room)));
    let mut account = Account::default();
    while account.sum() < 7 {
        match node.next(0) {
            Seen::Message(number) => account.message(number),
            Seen::Lost(of, count) => {
                assert_eq!(of, stream(&room));
                account.lost += count;
            }
            Seen::Mail(mail) => panic!("{mail:?}"),
        }
    }
    assert_eq!((account.sum(), account.newest), (7, 12));
    // What it sent before Redis lost its memory, and this node did not hear, its sender announces.
    let lost = Number { generation: 1, number: 14, lost: 0 };
    peer.tell_all(Body::Announce { stream: stream(&room), number: lost });
    assert!(matches!(node.next(0), Seen::Lost(_, 2)));
    // What was joined while Redis was away is subscribed.
    let mut other = Peer::new(&node, 8);
    other.push(&stream(&attic));
    assert!(matches!(node.next(0), Seen::Message(1)));
}

#[test]
fn subscribers_killed_in_mid_stream_are_told_exactly_what_they_missed() {
    for kind in ["channel", "user", "all"] {
        let server = RedisServer::start();
        let mut node = Receiving::start(&server.url());
        let (room, ann) = (node.join("room"), user("ann"));
        let mut peer = Peer::new(&node, 7);
        let entry = crate::relay::scripts::Entry {
            session: session_id(OWN, 1, 3),
            order: 0,
            since_unix_ms: 1,
            remote: "192.0.2.1".parse().expect("an address"),
        };
        let calls = node.calls();
        peer.run(&calls.sign_in(&ann, &entry, 0, b""));
        node.post(Arrival::SignedIn {
            user: ann.clone(),
            heads: Some(Vec::new()),
            session: session(0, 3),
            mutes: None,
            at_unix_ms: 0,
        });
        assert!(matches!(node.mail(0), Mail::SignedIn { .. }));
        let to = match kind {
            "channel" => stream(&room),
            "user" => Stream::User(ann.clone()),
            _ => Stream::All,
        };
        let mut sender = Peer::new(&node, 8);
        for round in 0..8 {
            // The first is cut before it was ever heard: an unknown sender's holes count too.
            peer.command(cmd("CLIENT").arg("KILL").arg("TYPE").arg("pubsub"));
            (0..40).for_each(|_| sender.push(&to));
            if round % 2 == 1 {
                node.settled();
                peer.recheck(&node, &ann);
            }
            (0..20).for_each(|_| sender.push(&to));
            if round % 2 == 0 {
                node.settled();
                peer.recheck(&node, &ann);
            }
        }
        let account = node.account(0, 8 * 60);
        assert_eq!(node.figures.lost.load(Relaxed), account.lost, "{kind}");
        assert_eq!(node.figures.connects.load(Relaxed), 9, "{kind}");
        assert!(node.next_within(0, Duration::ZERO).is_none());
    }
}

#[test]
fn a_full_intake_stops_the_reading_and_what_redis_throws_away_meanwhile_is_told_exactly() {
    let server = RedisServer::start_with(&["--client-output-buffer-limit", "pubsub 64kb 0 0"]);
    let mut node = Receiving::start_with(&server.url(), Knobs { intake_bytes: 20_000, ..Knobs::default() });
    let room = node.join("room");
    let mut peer = Peer::new(&node, 7);
    // Nobody takes the mail, so the intake stays full; what the sockets do not hold either, Redis keeps until it is
    // too much.
    let mut sent = 0;
    while peer.subscribers("p:c:{room}") > 0 {
        for _ in 0..100 {
            sent += 1;
            peer.push_as(&stream(&room), Number { generation: 1, number: sent, lost: 0 }, 4_000);
        }
    }
    // Shards wait for nothing but messages.
    node.post(Arrival::Join { shard: ShardId(1), channel: room.clone() });
    let mut others = 0;
    while !matches!(node.next(1), Seen::Mail(Mail::Joined(_))) {
        others += 1;
    }
    assert!(others < 10, "{others} messages of 4 kB fit");
    // The first shard takes and lets go; the second has nothing to let go of, since it is not asked again.
    let mut account = Account::default();
    while account.sum() < sent {
        while node.next_within(1, Duration::ZERO).is_some() {}
        match node.next_within(0, Duration::from_millis(1)) {
            Some(Seen::Message(number)) => account.message(number),
            Some(Seen::Lost(_, count)) => account.lost += count,
            Some(Seen::Mail(mail)) => panic!("{mail:?}"),
            None => {}
        }
    }
    assert_eq!(account.sum(), sent);
    assert!(account.lost > 0 && account.messages > 10, "{account:?}");
    assert_eq!(node.figures.lost.load(Relaxed), account.lost);
}

#[test]
fn a_redis_that_hangs_is_noticed_and_joins_are_answered_all_the_while() {
    let server = RedisServer::start();
    let mut node = Receiving::start_with(&server.url(), Knobs { timeout_ms: 300, ..Knobs::default() });
    let room = node.join("room");
    server.stop();
    node.join("hung");
    until("the silence is noticed", || !node.figures.is_listening.load(Relaxed));
    let begun = Instant::now();
    node.join("attic");
    assert!(begun.elapsed() < Duration::from_millis(250), "no time-out is waited for: {:?}", begun.elapsed());
    server.cont();
    node.settled();
    let mut peer = Peer::new(&node, 7);
    peer.push(&stream(&room));
    assert!(matches!(node.next(0), Seen::Message(1)));
}

#[test]
fn a_node_that_starts_without_redis_answers_and_subscribes_when_it_is_there() {
    let mut server = RedisServer::start();
    server.kill();
    let mut node = Receiving::begin(&server.url(), Knobs::default());
    let room = node.join("room");
    node.post(Arrival::SignedIn { user: user("ann"), heads: None, session: session(0, 3), mutes: None, at_unix_ms: 0 });
    assert!(matches!(node.mail(0), Mail::SignedIn { .. }));
    server.restart_empty();
    node.settled();
    let mut peer = Peer::new(&node, 7);
    peer.push(&stream(&room));
    assert!(matches!(node.next(0), Seen::Message(1)));
}

#[test]
fn told_to_reconnect_it_connects_anew_and_nothing_is_lost_in_silence() {
    let server = RedisServer::start();
    let mut node = Receiving::start(&server.url());
    let room = node.join("room");
    let mut peer = Peer::new(&node, 7);
    for _ in 0..5 {
        node.post(Arrival::Reconnect);
        (0..50).for_each(|_| peer.push(&stream(&room)));
        node.settled();
    }
    assert_eq!(node.account(0, 250).sum(), 250);
    assert_eq!(node.figures.connects.load(Relaxed), 6);
}

#[test]
fn very_many_channels_are_subscribed_again_within_seconds() {
    const CHANNELS: usize = 20_000;
    let server = RedisServer::start();
    let mut node = Receiving::start(&server.url());
    for index in 0..CHANNELS {
        node.post(Arrival::Join { shard: ShardId(0), channel: channel(&format!("room.{index}")) });
    }
    (0..CHANNELS).for_each(|_| assert!(matches!(node.mail(0), Mail::Joined(_))));
    let mut peer = Peer::new(&node, 7);
    let begun = Instant::now();
    peer.command(cmd("CLIENT").arg("KILL").arg("TYPE").arg("pubsub"));
    node.settled();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    until("all are counted", || node.figures.channels.load(Relaxed) == CHANNELS as u64);
    let last = channel(&format!("room.{}", CHANNELS - 1));
    peer.push(&stream(&last));
    assert!(matches!(node.next(0), Seen::Message(1)));
}
