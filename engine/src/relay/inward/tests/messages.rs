//! What other nodes send reaches the shards, and nothing else does.

use super::*;
use crate::relay::testing::RedisServer;
use epush_core::close::CloseReason;
use epush_core::mail::{Answer, Report};

#[test]
fn messages_of_channels_users_and_all_reach_every_shard_in_order_in_few_pieces() {
    let server = RedisServer::start();
    let mut node = Receiving::start(&server.url());
    let room = node.join("room");
    let mut peer = Peer::new(&node, 7);
    // At once, so that they arrive at once.
    peer.command(&cmd("MULTI"));
    for number in 1..=300 {
        let number = Number { generation: 1, number, lost: 0 };
        let frame = text_frame(|out| out.extend_from_slice(number.number.to_string().as_bytes()));
        let envelope = peer.envelope(Body::Message { stream: stream(&room), number, kind: None, frame });
        peer.command(cmd("PUBLISH").arg(peer.calls.keys.channel(&room)).arg(envelope));
    }
    peer.command(&cmd("EXEC"));
    for shard in 0..2 {
        let account = node.account(shard, 300);
        assert_eq!(account.lost, 0);
    }
    assert!(node.handoffs < 100, "300 messages came in {} pieces", node.handoffs);
    peer.push_as(&Stream::All, Number { generation: 1, number: 1, lost: 0 }, 0);
    assert!(matches!(node.next(1), Seen::Message(1)));
    assert_eq!(node.figures.received.load(Relaxed), 301);
    assert_eq!(node.figures.lag.snapshot().count(), 301);
}

#[test]
fn what_a_node_says_itself_comes_back_for_nothing_and_what_it_cannot_read_is_counted() {
    let server = RedisServer::start();
    let mut node = Receiving::start(&server.url());
    let room = node.join("room");
    let mut own = Peer::new(&node, OWN);
    own.push(&stream(&room));
    own.tell_all(Body::Schedules);
    let mut peer = Peer::new(&node, 7);
    let mut unknown = peer.envelope(Body::Schedules);
    unknown[0] = 200;
    peer.command(cmd("PUBLISH").arg("p:{all}").arg(unknown));
    peer.command(cmd("PUBLISH").arg("p:{all}").arg("\u{1}what?"));
    peer.command(cmd("PUBLISH").arg("p:{all}").arg(""));
    peer.push(&stream(&room));
    assert!(matches!(node.next(0), Seen::Message(1)), "the first thing is the other node's message");
    assert_eq!(node.figures.received.load(Relaxed), 1);
    assert_eq!(node.figures.skipped_version.load(Relaxed), 1);
    assert_eq!(node.figures.skipped_malformed.load(Relaxed), 2);
    assert!(node.orders.is_empty());
}

#[test]
fn a_message_that_comes_twice_is_delivered_once_and_a_hole_is_told_before_what_follows() {
    let server = RedisServer::start();
    let mut node = Receiving::start(&server.url());
    let room = node.join("room");
    let mut peer = Peer::new(&node, 7);
    let number = |number, lost| Number { generation: 1, number, lost };
    for number in [number(1, 0), number(1, 0), number(5, 2)] {
        peer.push_as(&stream(&room), number, 0);
    }
    peer.tell_all(Body::Announce { stream: stream(&room), number: number(7, 2) });
    assert!(matches!(node.next(1), Seen::Message(1)));
    assert!(matches!(node.next(1), Seen::Lost(of, 3) if of == stream(&room)));
    assert!(matches!(node.next(1), Seen::Message(5)));
    assert!(matches!(node.next(1), Seen::Lost(_, 2)));
    assert_eq!(node.figures.duplicates.load(Relaxed), 1);
    assert_eq!(node.figures.lost.load(Relaxed), 5);
}

#[test]
fn a_message_larger_than_the_intake_is_lost_and_told_so() {
    let server = RedisServer::start();
    let mut node = Receiving::start_with(&server.url(), Knobs { intake_bytes: 2_000, ..Knobs::default() });
    let room = node.join("room");
    let mut peer = Peer::new(&node, 7);
    peer.push_as(&stream(&room), Number { generation: 1, number: 1, lost: 0 }, 3_000);
    peer.push_as(&stream(&room), Number { generation: 1, number: 2, lost: 0 }, 0);
    assert!(matches!(node.next(0), Seen::Lost(_, 1)));
    assert!(matches!(node.next(0), Seen::Message(2)));
}

#[test]
fn a_channel_lingers_in_redis_and_is_unsubscribed_then() {
    let server = RedisServer::start();
    let mut node = Receiving::start_with(&server.url(), Knobs { linger_ms: 100, ..Knobs::default() });
    let room = node.join("room");
    let mut peer = Peer::new(&node, 7);
    assert_eq!(peer.subscribers("p:c:{room}"), 1);
    until("the channel is counted", || node.figures.channels.load(Relaxed) == 1);
    node.post(Arrival::Leave { shard: ShardId(0), channel: room.clone() });
    assert_eq!(node.join("room"), room, "while it lingers, or again");
    node.post(Arrival::Leave { shard: ShardId(0), channel: room });
    until("nobody is subscribed", || peer.subscribers("p:c:{room}") == 0);
    until("nothing is counted", || node.figures.channels.load(Relaxed) == 0);
    let room = node.join("room");
    peer.push(&stream(&room));
    assert!(matches!(node.next(0), Seen::Message(1)));
}

#[test]
fn a_signed_in_user_is_listened_to_and_what_came_before_the_news_of_it_counts() {
    let server = RedisServer::start();
    let mut node = Receiving::start(&server.url());
    let mut peer = Peer::new(&node, 7);
    let (ann, calls) = (user("ann"), node.calls());
    let entry = crate::relay::scripts::Entry {
        session: session_id(OWN, 1, 3),
        order: 0,
        since_unix_ms: 1,
        remote: "192.0.2.1".parse().expect("an address"),
    };
    peer.run(&calls.sign_in(&ann, &entry, 0, b""));
    // The directory has the session, and this thread does not know.
    peer.push(&Stream::User(ann.clone()));
    assert!(matches!(node.next(1), Seen::Message(1)));
    node.post(Arrival::SignedIn {
        user: ann.clone(),
        heads: Some(Vec::new()),
        session: session(1, 3),
        mutes: None,
        at_unix_ms: 0,
    });
    assert!(matches!(node.mail(1), Mail::SignedIn { conn, .. } if conn.index == 3));
    peer.push(&Stream::User(ann.clone()));
    assert!(matches!(node.next(1), Seen::Message(2)), "nothing is lost");
    peer.push_as(&Stream::User(ann.clone()), Number { generation: 1, number: 4, lost: 0 }, 0);
    assert!(matches!(node.next(1), Seen::Lost(_, 1)));
    assert!(matches!(node.next(1), Seen::Message(4)));
    node.post(Arrival::SignedOut(ann.clone()));
    node.post(Arrival::SignedIn {
        user: ann.clone(),
        heads: Some(Vec::new()),
        session: session(1, 4),
        mutes: None,
        at_unix_ms: 0,
    });
    assert!(matches!(node.mail(1), Mail::SignedIn { .. }));
    peer.push_as(&Stream::User(ann), Number { generation: 1, number: 9, lost: 0 }, 0);
    assert!(matches!(node.next(1), Seen::Message(9)), "what was sent while the user was away is none of hers");
}

#[test]
fn heads_are_compared_behind_their_marker_and_not_for_what_nobody_knew_at_sign_in() {
    let server = RedisServer::start();
    let mut node = Receiving::start(&server.url());
    let mut peer = Peer::new(&node, 7);
    let (ann, bob) = (user("ann"), user("bob"));
    let signed_in = |user: &UserName, heads| {
        let session = session(0, 3);
        Arrival::SignedIn { user: user.clone(), heads, session, mutes: None, at_unix_ms: 0 }
    };
    node.post(signed_in(&ann, Some(Vec::new())));
    node.post(signed_in(&bob, None));
    (0..2).for_each(|_| assert!(matches!(node.mail(0), Mail::SignedIn { .. })));
    let heads = vec![epush_core::relay::Head { origin: 7, generation: 1, first: 1, last: 4 }];
    let number = |number| Number { generation: 1, number, lost: 0 };
    let message = |peer: &mut Peer, user: &UserName, n| {
        let frame = text_frame(|out| out.extend_from_slice(u64::to_string(&n).as_bytes()));
        peer.tell(Body::Message { stream: Stream::User(user.clone()), number: number(n), kind: None, frame });
    };
    for user in [&ann, &bob] {
        node.post(Arrival::Heads { user: user.clone(), heads: heads.clone(), after: 9 });
        // On its way before the heads were read: what the heads say of it is not lost.
        message(&mut peer, user, 2);
        assert!(matches!(node.next(0), Seen::Message(2)));
    }
    let marker = Envelope { origin: OWN, sent_unix_ms: 0, body: Body::Marker { ticket: 9 } }.encode();
    peer.command(cmd("PUBLISH").arg(peer.calls.keys.to_node(0, OWN)).arg(marker));
    // 1, 3 and 4 of hers; of his, 1 may have been before him.
    assert!(matches!(node.next(0), Seen::Lost(of, 3) if of == Stream::User(ann.clone())));
    assert!(matches!(node.next(0), Seen::Lost(of, 2) if of == Stream::User(bob.clone())));
    for user in [&ann, &bob] {
        message(&mut peer, user, 5);
        assert!(matches!(node.next(0), Seen::Message(5)));
    }
}

#[test]
fn closes_mutes_and_schedules_go_where_they_belong() {
    let server = RedisServer::start();
    let mut node = Receiving::start(&server.url());
    let mut peer = Peer::new(&node, 7);
    let sessions = vec![session_id(7, 0, 1), session_id(OWN, 1, 2), session_id(OWN, 9, 2)];
    peer.tell(Body::Close { sessions, reason: CloseReason::Replaced });
    let mail = node.mail(1);
    assert!(matches!(mail, Mail::Close { conn, reason: CloseReason::Replaced } if conn.index == 2), "{mail:?}");
    let mutes: epush_core::mail::Mutes = vec!["news".into()].into();
    peer.tell(Body::Muted { user: user("ann"), mutes });
    for shard in 0..2 {
        let mail = node.mail(shard);
        assert!(matches!(&mail, Mail::Muted { user, mutes } if user.as_str() == "ann" && mutes.len() == 1), "{mail:?}");
    }
    assert!(matches!(node.order(), Order::Muted { .. }));
    // Read before that change, told after it.
    let (ann, session) = (user("ann"), session(1, 3));
    node.post(Arrival::SignedIn { user: ann.clone(), heads: Some(Vec::new()), session, mutes: None, at_unix_ms: 0 });
    let mail = node.mail(1);
    assert!(matches!(&mail, Mail::SignedIn { mutes: Some(mutes), .. } if mutes.len() == 1), "{mail:?}");
    node.post(Arrival::Muted { user: ann, mutes: [].into(), at_unix_ms: u64::MAX });
    node.post(Arrival::Answered { report: Report { shard: ShardId(1), ticket: 5 }, answer: Answer::Kicked(0) });
    let mail = node.mail(1);
    assert!(matches!(&mail, Mail::Muted { mutes, .. } if mutes.is_empty()), "{mail:?}");
    assert!(matches!(node.mail(1), Mail::Answer { ticket: 5, .. }));
    peer.tell_all(Body::Schedules);
    assert!(matches!(node.order(), Order::SchedulesChanged));
}
