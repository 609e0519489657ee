//! One shard of a node in a cluster, one call at a time: what it asks of the cluster, and what it makes of the answers.

#[path = "shard/node.rs"]
mod node;

use std::sync::Arc;

use epush_core::batch::Stream;
use epush_core::close::CloseReason;
use epush_core::effect::{Asker, Effect};
use epush_core::id::{ConnId, ShardId};
use epush_core::mail::{Answer, ClusterCall, ClusterCounts, Identity, Mail, Question, Relayed, Report, Verdict};
use epush_core::message::{ChannelName, Target, UserName};
use epush_core::shard::Door;
use node::{Node, UPGRADE, frame, news, text};

fn channel(name: &str) -> ChannelName {
    ChannelName::parse(name).expect("valid")
}

fn user(name: &str) -> UserName {
    UserName::parse(name).expect("valid")
}

fn lost(stream: Stream, count: u64) -> Relayed {
    Relayed::Lost { stream, count }
}

fn joined(node: &mut Node, name: &str) {
    node.mail(Mail::Joined(channel(name)));
}

/// The calls, in words.
fn words(calls: &[ClusterCall]) -> Vec<String> {
    let word = |call: &ClusterCall| match call {
        ClusterCall::Join(channel) => format!("join {channel}"),
        ClusterCall::Leave(channel) => format!("leave {channel}"),
        ClusterCall::SignIn { user, .. } => format!("sign in {user}"),
        ClusterCall::SignOut { user, .. } => format!("sign out {user}"),
        ClusterCall::Ask { .. } => "ask".to_owned(),
    };
    calls.iter().map(word).collect()
}

fn expect(node: &mut Node, asker: Asker, parts: usize) -> Report {
    let ticket = node.shard.expect(asker, parts);
    Report { shard: ShardId(0), ticket }
}

// --- messages and losses -----------------------------------------------------

#[test]
fn a_loss_keeps_its_place_among_the_messages_of_its_stream() {
    let mut node = Node::clustered(|_| {});
    node.session(&["news"], false);
    let batch: Arc<[Relayed]> =
        [node.relayed(news()), lost(Stream::Channel(channel("news")), 3), node.relayed(news())].into();
    node.mail(Mail::Relayed(batch));
    while node.shard.has_pending() {
        node.shard.flush(node.now);
    }
    let written = node.write_all();
    let places: Vec<_> = written.match_indices("\"op\":\"").map(|(at, _)| &written[at + 6..at + 9]).collect();
    assert_eq!(places, ["mes", "gap", "mes"], "{written}");
    assert!(written.contains(r#"{"op":"gap","channel":"news","count":3,"reason":"relay"}"#), "{written}");
}

#[test]
fn a_loss_of_a_large_channel_waits_with_the_messages_before_it() {
    let mut node = Node::clustered(|_| {});
    for _ in 0..70 {
        node.session(&["news"], false);
    }
    node.publish(news());
    node.shard.flush(node.now);
    // The fan-out before is not written: these wait, in their order.
    let batch: Arc<[Relayed]> =
        [node.relayed(news()), lost(Stream::Channel(channel("news")), 2), node.relayed(news())].into();
    node.mail(Mail::Relayed(batch));
    node.shard.flush(node.now);
    assert!(node.shard.has_pending());
    let mut written = node.write_all();
    while node.shard.has_pending() {
        node.shard.flush(node.now);
        written += &node.write_all();
    }
    assert_eq!(written.matches("hello").count(), 210);
    assert_eq!(written.matches(r#""count":2,"reason":"relay""#).count(), 70);
    let last_gap = written.rfind("relay").expect("gaps");
    assert!(written[last_gap..].contains("hello"), "a message follows");
}

#[test]
fn every_session_of_a_stream_is_told_of_its_losses_and_nobody_else() {
    let mut node = Node::clustered(|_| {});
    node.session(&[], false);
    for _ in 0..2 {
        let conn = node.signing_in("42");
        node.mail(Mail::SignedIn { conn, mutes: None });
    }
    node.write_all();
    let batch: Arc<[Relayed]> = [
        lost(Stream::User(user("42")), 5),
        lost(Stream::User(user("7")), 9),
        lost(Stream::All, 1),
        lost(Stream::All, 1),
        lost(Stream::Channel(channel("news")), 4),
    ]
    .into();
    node.mail(Mail::Relayed(batch));
    node.shard.flush(node.now);
    let written = node.write_all();
    assert_eq!(written.matches(r#"{"op":"gap","user":"42","count":5,"reason":"relay"}"#).count(), 2, "{written}");
    assert_eq!(written.matches(r#"{"op":"gap","all":true,"count":2,"reason":"relay"}"#).count(), 3, "{written}");
    assert_eq!(written.matches(r#""op":"gap""#).count(), 5, "{written}");
    let counters = counters(&mut node);
    assert_eq!((counters.gaps, counters.dropped_relay, counters.dropped_slow), (5, 2 * 5 + 3 * 2, 0));
}

#[test]
fn what_other_nodes_sent_is_timed_once_and_is_no_push_of_this_node() {
    for listens in [true, false] {
        let mut node = Node::clustered(|_| {});
        if listens {
            node.session(&["news"], false);
        }
        let batch: Arc<[Relayed]> = [node.relayed(news()), node.relayed(Target::Users(vec![user("7")]))].into();
        let other_shard = Arc::clone(&batch);
        node.mail(Mail::Relayed(batch));
        drop(other_shard);
        node.shard.flush(node.now);
        node.write_all();
        let batch: Arc<[Relayed]> = [node.relayed(news())].into();
        node.mail(Mail::Relayed(batch));
        node.shard.flush(node.now);
        node.write_all();
        let counters = counters(&mut node);
        assert_eq!(counters.push_seconds.count(), if listens { 2 } else { 1 });
        assert_eq!((counters.pushes, counters.deliveries), ([0; 3], if listens { 2 } else { 0 }));
    }
}

fn counters(node: &mut Node) -> epush_core::counters::Counters {
    let asker = Asker::Api { conn: ConnId { index: 0, generation: 0 }, tag: 1 };
    let report = expect(node, asker, 1);
    node.mail(Mail::Ask { question: Question::Counters, report });
    let answer = node.effects.iter().rev().find_map(|effect| match effect {
        Effect::Answered { answer: Answer::Counters(counters), .. } => Some(counters.clone()),
        _ => None,
    });
    *answer.expect("an answer")
}

// --- signing in --------------------------------------------------------------

#[test]
fn a_session_is_welcome_when_the_cluster_knows_it() {
    let mut node = Node::clustered(|_| {});
    let conn = node.signing_in("42");
    let calls = node.calls();
    let [ClusterCall::SignIn { user: who, session, since_unix_ms, .. }] = &calls[..] else { panic!("{calls:?}") };
    assert_eq!((who.as_str(), session.conn, *since_unix_ms), ("42", conn, node.now.unix_ms));
    assert!(!node.write_all().contains("welcome"));
    node.mail(Mail::SignedIn { conn, mutes: None });
    assert!(node.write_all().contains(r#""op":"welcome""#));
    node.mail(Mail::Close { conn, reason: CloseReason::Kicked });
    assert_eq!(words(&node.calls()), ["sign out 42"]);
}

#[test]
fn a_session_that_goes_while_it_signs_in_is_signed_out_after_it_was_signed_in() {
    let mut node = Node::clustered(|_| {});
    let conn = node.signing_in("42");
    node.shard.handle_end(node.now, conn, epush_core::shard::End::Reset);
    node.collect();
    assert_eq!(words(&node.calls()), ["sign in 42", "sign out 42"]);
    node.mail(Mail::SignedIn { conn, mutes: None });
    assert!(node.calls().is_empty());
}

#[test]
fn a_session_replaced_while_it_signs_in_hears_why() {
    for reason in [CloseReason::Replaced, CloseReason::Kicked] {
        let mut node = Node::clustered(|_| {});
        let conn = node.adopt(Door::Client);
        // Its first frames came with the handshake.
        node.receive(conn, &[UPGRADE, &text(r#"{"op":"ping","id":1}"#)].concat());
        let channels = vec![channel("news")];
        let identity = Identity { user: UserName::parse("42"), channels, ..Identity::default() };
        node.mail(Mail::Verdict { conn, verdict: Verdict::Accept(identity) });
        node.mail(Mail::Close { conn, reason });
        let written = node.write_all();
        let (welcome, goodbye) = (written.find(r#""op":"welcome""#), written.find(r#""op":"goodbye""#));
        assert!(welcome.is_some() && welcome < goodbye, "{written}");
        assert!(written.contains(r#""user":"42""#) && written.ends_with(reason.word()), "{written}");
        assert!(!written.contains("pong"), "{written}");
        // It is part of nothing, and the late answer changes nothing.
        node.mail(Mail::SignedIn { conn, mutes: None });
        assert_eq!(words(&node.calls()), ["sign in 42", "sign out 42"]);
        node.receive(conn, &frame(8, b"\x03\xe8"));
        node.shard.handle_end(node.now, conn, epush_core::shard::End::Eof);
        node.collect();
        node.shard.end_turn();
        node.shard.assert_idle();
    }
}

#[test]
fn a_newcomer_brings_news_of_the_mutes_to_the_users_older_sessions() {
    let mut node = Node::clustered(|_| {});
    let older = node.signing_in("42");
    node.mail(Mail::SignedIn { conn: older, mutes: None });
    let newer = node.signing_in("42");
    node.mail(Mail::SignedIn { conn: newer, mutes: Some([Arc::from("promo")].into()) });
    node.write_all();
    let mut draft = epush_core::message::Draft::new(Target::All, serde_json::value::RawValue::NULL.to_owned());
    draft.kind = Some("promo".into());
    let publication = Arc::new(epush_core::message::Publication::encode(&draft, node.now));
    node.mail(Mail::Relayed([Relayed::Publication(publication)].into()));
    node.shard.flush(node.now);
    assert_eq!(node.write_all(), "");
    let again = node.signing_in("42");
    node.mail(Mail::SignedIn { conn: again, mutes: Some(Arc::default()) });
    node.write_all();
    node.publish(Target::All);
    node.shard.flush(node.now);
    assert_eq!(node.write_all().matches("hello").count(), 3);
}

// --- joins -------------------------------------------------------------------

fn subscribe(node: &mut Node, conn: ConnId, id: u32) {
    node.receive(conn, &text(&format!(r#"{{"op":"subscribe","id":{id},"channel":"news"}}"#)));
}

fn unsubscribe(node: &mut Node, conn: ConnId, id: u32) {
    node.receive(conn, &text(&format!(r#"{{"op":"unsubscribe","id":{id},"channel":"news"}}"#)));
}

#[test]
fn a_subscriber_is_answered_when_the_channel_is_joined_and_later_ones_at_once() {
    let mut node = Node::clustered(|_| {});
    let sessions = [(); 3].map(|()| node.session(&[], false));
    subscribe(&mut node, sessions[0], 1);
    subscribe(&mut node, sessions[1], 2);
    subscribe(&mut node, sessions[0], 3);
    assert_eq!(words(&node.calls()), ["join news"]);
    assert_eq!(node.write_all(), "");
    joined(&mut node, "news");
    let written = node.write_all();
    for id in 1..=3 {
        assert_eq!(written.matches(&format!(r#"{{"op":"ok","id":{id},"channel":"news"}}"#)).count(), 1, "{written}");
    }
    subscribe(&mut node, sessions[2], 4);
    assert!(node.write_all().contains(r#""id":4"#));
    assert!(node.calls().is_empty());
    for conn in sessions {
        node.mail(Mail::Close { conn, reason: CloseReason::Kicked });
    }
    assert_eq!(words(&node.calls()), ["leave news"]);
}

#[test]
fn pushes_reach_a_subscriber_that_still_waits() {
    let mut node = Node::clustered(|_| {});
    let conn = node.session(&[], false);
    subscribe(&mut node, conn, 1);
    node.publish(news());
    node.shard.flush(node.now);
    assert!(node.write_all().contains("hello"));
}

#[test]
fn the_channels_of_a_token_are_joined_without_waiting() {
    let mut node = Node::clustered(|_| {});
    node.session(&["news", "room.1"], false);
    assert_eq!(words(&node.calls()), ["join news", "join room.1"]);
    joined(&mut node, "news");
    joined(&mut node, "room.1");
    assert_eq!(node.write_all(), "");
}

#[test]
fn a_channel_left_before_it_is_joined_is_left_when_it_is() {
    let mut node = Node::clustered(|_| {});
    let conn = node.session(&[], false);
    subscribe(&mut node, conn, 1);
    unsubscribe(&mut node, conn, 2);
    let written = node.write_all();
    let (first, second) = (written.find(r#""id":1"#), written.find(r#""id":2"#));
    assert!(first.is_some() && first < second, "answered in the order of its frames: {written}");
    assert_eq!(words(&node.calls()), ["join news"]);
    joined(&mut node, "news");
    assert_eq!(words(&node.calls()), ["leave news"]);
    assert_eq!(node.write_all(), "");
}

#[test]
fn a_channel_left_and_subscribed_again_is_confirmed_by_the_one_join_that_is_out() {
    let mut node = Node::clustered(|_| {});
    let (one, other) = (node.session(&[], false), node.session(&[], false));
    subscribe(&mut node, one, 1);
    unsubscribe(&mut node, one, 2);
    node.write_all();
    subscribe(&mut node, other, 3);
    assert_eq!((words(&node.calls()), node.write_all()), (vec!["join news".to_owned()], String::new()));
    joined(&mut node, "news");
    assert!(node.write_all().contains(r#""id":3"#));
    // One that nobody waits for is no answer to anything.
    joined(&mut node, "news");
    assert!(node.calls().is_empty() && node.write_all().is_empty());
    unsubscribe(&mut node, other, 4);
    subscribe(&mut node, other, 5);
    assert_eq!(words(&node.calls()), ["leave news", "join news"]);
    assert!(!node.write_all().contains(r#""id":5"#), "joined anew");
}

#[test]
fn who_closes_while_it_waits_is_not_answered_and_its_slot_is_free() {
    let mut node = Node::clustered(|_| {});
    let (gone, stays) = (node.session(&[], false), node.session(&[], false));
    subscribe(&mut node, gone, 1);
    subscribe(&mut node, stays, 2);
    node.shard.handle_end(node.now, gone, epush_core::shard::End::Reset);
    node.collect();
    node.shard.end_turn();
    let next = node.session(&[], false);
    assert_eq!(next.index, gone.index);
    joined(&mut node, "news");
    let written = node.write_all();
    assert!(written.contains(r#""id":2"#) && !written.contains(r#""id":1"#), "{written}");
}

#[test]
fn subscriptions_that_wait_are_unanswered_questions() {
    let mut node = Node::clustered(|_| {});
    let conn = node.session(&[], false);
    for id in 0..64 {
        subscribe(&mut node, conn, id);
    }
    assert!(!node.shard.wants_read(conn), "64 are enough");
    joined(&mut node, "news");
    assert!(node.shard.wants_read(conn));
    assert_eq!(node.write_all().matches(r#""op":"ok""#).count(), 64);
}

#[test]
fn frames_held_while_a_session_waits_are_answered_behind_what_it_waited_for() {
    let mut node = Node::clustered(|_| {});
    let conn = node.session(&[], false);
    let mut frames: Vec<u8> =
        (0..64).flat_map(|id| text(&format!(r#"{{"op":"subscribe","id":{id},"channel":"news"}}"#))).collect();
    frames.extend(text(r#"{"op":"unsubscribe","id":64,"channel":"news"}"#));
    node.receive(conn, &frames);
    joined(&mut node, "news");
    let written = node.write_all();
    let places: Vec<_> = (0..=64).map(|id| written.find(&format!(r#""id":{id},"#)).expect("answered")).collect();
    assert!(places.is_sorted(), "{written}");
}

#[test]
fn joins_without_an_answer_are_bounded() {
    let mut node = Node::clustered(|settings| settings.channels_max = 3);
    let conn = node.session(&[], false);
    for n in 0..5 {
        node.receive(conn, &text(&format!(r#"{{"op":"subscribe","id":1,"channel":"room.{n}"}}"#)));
        node.receive(conn, &text(&format!(r#"{{"op":"unsubscribe","id":2,"channel":"room.{n}"}}"#)));
    }
    assert_eq!(words(&node.calls()).len(), 3);
    assert_eq!(node.write_all().matches("limit_reached").count(), 2);
}

// --- questions ---------------------------------------------------------------

#[test]
fn the_cluster_answers_for_mutes() {
    let mut node = Node::clustered(|_| {});
    let conn = node.signing_in("42");
    node.mail(Mail::SignedIn { conn, mutes: None });
    node.calls();
    node.receive(conn, &text(r#"{"op":"mute","id":1,"types":["promo"]}"#));
    node.receive(conn, &text(r#"{"op":"muted","id":2}"#));
    let calls = node.calls();
    let reports = calls.iter().map(|call| match call {
        ClusterCall::Ask { question: Question::ChangeMutes { .. } | Question::Mutes(_), report } => *report,
        other => panic!("{other:?}"),
    });
    let reports: Vec<Report> = reports.collect();
    node.write_all();
    let mutes: epush_core::mail::Mutes = [Arc::from("promo")].into();
    node.mail(Mail::Muted { user: user("42"), mutes: Arc::clone(&mutes) });
    for report in reports {
        node.mail(Mail::Answer { ticket: report.ticket, answer: Answer::Mutes(Arc::clone(&mutes)) });
    }
    let written = node.write_all();
    for id in [1, 2] {
        assert!(written.contains(&format!(r#"{{"op":"ok","id":{id},"types":["promo"]}}"#)), "{written}");
    }
}

#[test]
fn clients_are_told_of_the_whole_cluster() {
    let mut node = Node::clustered(|_| {});
    let conn = node.session(&["news"], false);
    let asker = |id: &str| Asker::Client { conn, id: id.into() };
    // The parts of this node, and the relay's.
    let online = expect(&mut node, asker("1"), 2);
    node.mail(Mail::Ask { question: Question::Online, report: online });
    let cluster = Some(ClusterCounts { sessions: 8, users: 6, nodes: 3 });
    node.mail(Mail::Answer { ticket: online.ticket, answer: Answer::Online { sessions: 0, users: 0, cluster } });
    let presence = expect(&mut node, asker("2"), 2);
    let question = Question::Channel { channel: channel("news"), members: true };
    node.mail(Mail::Ask { question, report: presence });
    let users = vec![user("7")];
    let answer = Answer::Channel { channel: channel("news"), subscribers: 0, elsewhere: 4, users };
    node.mail(Mail::Answer { ticket: presence.ticket, answer });
    let sent = expect(&mut node, asker("3"), 2);
    for (sessions, relayed) in [(1, false), (0, true)] {
        node.mail(Mail::Answer { ticket: sent.ticket, answer: Answer::Delivered { sessions, relayed } });
    }
    let written = node.write_all();
    for expected in [
        r#"{"op":"ok","id":1,"node":{"connections":1,"users":0},"cluster":{"connections":8,"users":6,"nodes":3}}"#,
        r#"{"op":"ok","id":2,"channel":"news","connections":5,"users":["7"]}"#,
        r#"{"op":"ok","id":3,"local":1,"relayed":true}"#,
    ] {
        assert!(written.contains(expected), "{written}");
    }
}

#[test]
fn a_node_that_is_alone_asks_nothing_of_a_cluster() {
    let mut node = Node::new(|_| {});
    let conn = node.signing_in("42");
    subscribe(&mut node, conn, 1);
    node.receive(conn, &text(r#"{"op":"mute","id":2,"types":["promo"]}"#));
    unsubscribe(&mut node, conn, 3);
    assert_eq!(node.write_all().matches(r#""op":"ok""#).count(), 3);
    node.mail(Mail::Close { conn, reason: CloseReason::Kicked });
    assert!(node.calls().is_empty());
}
