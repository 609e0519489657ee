//! Questions and schedules.

use epush_core::close::CloseReason;
use epush_core::error::ErrorCode;
use epush_core::mail::{Answer, MuteChange, Question, Report};
use epush_core::page::{ChannelPage, ChannelRange};

use super::*;
use crate::relay::order::{ScheduleNews, ScheduleOrder};

const REPORT: Report = Report { shard: ShardId(0), ticket: 5 };

fn channels() -> Question {
    Question::Channels(ChannelRange { prefix: "".into(), after: "".into(), channels_max: 10 })
}

fn ask(node: &mut Node, question: Question) -> Answer {
    node.order(Order::Ask { question, report: REPORT });
    node.mail(|mail| match mail {
        Mail::Answer { ticket: 5, answer } => Some(answer),
        _ => None,
    })
}

#[test]
fn a_user_s_sessions_elsewhere_are_found_and_kicked() {
    let server = RedisServer::start();
    let mut node = Node::up(&server, 1);
    let _other = Node::up(&server, 2);
    eventually(|| (node.front.view.load().nodes.len() == 2).then_some(()));
    let here = node.sign_in("7", 1);
    node.wait_signed_in(here);
    Plain::open(&server).run(&calls(2).sign_in(&user("7"), &entry(2, 5), 0, &[]));
    let Answer::Sessions(sessions) = ask(&mut node, Question::User(user("7"))) else { panic!("sessions") };
    assert_eq!(sessions.len(), 1, "its own the shards know");
    assert_eq!((&*sessions[0].node, sessions[0].session), ("n2", entry(2, 5).session));
    let mut ear = Plain::listen(&server, &keys().to_node(keys().partition(&user("7")), 2));
    assert!(matches!(ask(&mut node, Question::Kick(user("7"))), Answer::Kicked(1)));
    let Body::Close { sessions, reason } = ear.envelope().body else { panic!("a close") };
    assert_eq!((sessions, reason), (vec![entry(2, 5).session], CloseReason::Kicked));
}

#[test]
fn mutes_are_changed_everywhere_and_told_to_the_shards_before_the_answer() {
    let server = RedisServer::start();
    let mut node = Node::up(&server, 1);
    let session = node.sign_in("7", 1);
    assert_eq!(node.wait_signed_in(session), None);
    let add = |types: &[&str]| MuteChange::Add(types.iter().map(|kind| (*kind).into()).collect());
    node.order(Order::Ask {
        question: Question::ChangeMutes { user: user("7"), change: add(&["b", "a"]) },
        report: REPORT,
    });
    let told = node.inward.find(|arrival| match arrival {
        Arrival::Muted { mutes, at_unix_ms: 1.., .. } => Some(mutes),
        Arrival::Answered { .. } => panic!("the shards come first"),
        _ => None,
    });
    let answer = node.inward.find(|arrival| match arrival {
        Arrival::Answered { report: REPORT, answer: Answer::Mutes(mutes) } => Some(mutes),
        _ => None,
    });
    assert_eq!((told.clone(), &*told), (answer, &["a".into(), "b".into()][..]));
    let Answer::Mutes(mutes) = ask(&mut node, Question::Mutes(user("7"))) else { panic!("mutes") };
    assert_eq!(mutes, told);
    let change = Question::ChangeMutes { user: user("7"), change: add(&["c"]) };
    let Answer::Refused(refusal) = ask(&mut node, change) else { panic!("too many") };
    assert_eq!(refusal.code, ErrorCode::LimitReached);
    let again = node.sign_in("7", 2);
    assert_eq!(node.wait_signed_in(again), Some(told));
}

#[test]
fn without_redis_every_question_is_answered_at_once() {
    let mut server = RedisServer::start();
    let mut node = Node::up(&server, 1);
    let session = node.sign_in("7", 1);
    node.wait_signed_in(session);
    server.kill();
    node.wait_until_up(false);
    assert!(matches!(ask(&mut node, Question::User(user("7"))), Answer::Sessions(none) if none.is_empty()));
    assert!(matches!(ask(&mut node, Question::Kick(user("7"))), Answer::Kicked(0)));
    assert!(matches!(ask(&mut node, Question::Mutes(user("7"))), Answer::Mutes(none) if none.is_empty()));
    let unavailable = |answer| matches!(answer, Answer::Refused(refusal) if refusal.code == ErrorCode::Unavailable);
    assert!(unavailable(ask(&mut node, Question::Mutes(user("8")))));
    let change = MuteChange::Add(vec!["a".into()]);
    assert!(unavailable(ask(&mut node, Question::ChangeMutes { user: user("7"), change })));
    let question = channels();
    node.order(Order::Query { ticket: 3, question });
    node.inward.find(|arrival| matches!(arrival, Arrival::Asked { ticket: 3, receivers: None }).then_some(()));
    node.order(Order::Schedule(ScheduleOrder::Claim { name: "a".into(), number: 1, tick: 1 }));
    assert!(matches!(node.news(), ScheduleNews::All(_) | ScheduleNews::Claimed { won: false, .. }));
}

#[test]
fn a_question_to_all_nodes_says_how_many_got_it() {
    let server = RedisServer::start();
    let mut node = Node::up(&server, 1);
    let mut ears = [Plain::listen(&server, &keys().all()), Plain::listen(&server, &keys().all())];
    let question = channels();
    node.order(Order::Query { ticket: 3, question });
    node.inward.find(|arrival| matches!(arrival, Arrival::Asked { ticket: 3, receivers: Some(2) }).then_some(()));
    for ear in &mut ears {
        assert!(matches!(ear.envelope().body, Body::Ask { ticket: 3, question: Question::Channels(_) }));
    }
    let mut asker = Plain::listen(&server, &keys().to_node(keys().node_partition(), 2));
    let answer = Answer::Channels(ChannelPage::default());
    node.order(Order::Reply { to: 2, ticket: 8, answer });
    assert!(matches!(asker.envelope().body, Body::Answer { ticket: 8, answer: Answer::Channels(_) }));
}

/// The next that is no list of all schedules.
fn outcome(node: &mut Node) -> ScheduleNews {
    loop {
        match node.news() {
            ScheduleNews::All(_) => {}
            news => return news,
        }
    }
}

fn conn() -> ConnId {
    ConnId { index: 0, generation: 0 }
}

fn put(node: &Node, name: &str) {
    node.order(Order::Schedule(ScheduleOrder::Put { conn: conn(), tag: 1, name: name.into(), plan: "{}".into() }));
}

/// Waits until the node has told so many schedules.
fn told(node: &mut Node, count: usize) -> Vec<crate::relay::StoredSchedule> {
    loop {
        if let ScheduleNews::All(all) = node.news()
            && all.len() == count
        {
            return all;
        }
    }
}

#[test]
fn a_schedule_put_on_one_node_is_told_on_all_and_fires_a_tick_once() {
    let server = RedisServer::start();
    let mut nodes = [Node::up(&server, 1), Node::up(&server, 2)];
    put(&nodes[0], "tick");
    let stored = told(&mut nodes[0], 1).remove(0);
    assert!(matches!(outcome(&mut nodes[0]), ScheduleNews::Changed { tag: 1, outcome: Ok(false), .. }));
    assert_eq!(told(&mut nodes[1], 1), std::slice::from_ref(&stored), "found with the next renewal");
    let claim = ScheduleOrder::Claim { name: "tick".into(), number: stored.number, tick: 4 };
    let mut won = 0;
    for node in &mut nodes {
        let ScheduleOrder::Claim { name, number, tick } = &claim else { panic!("a claim") };
        node.order(Order::Schedule(ScheduleOrder::Claim { name: name.clone(), number: *number, tick: *tick }));
        let ScheduleNews::Claimed { won: here, .. } = outcome(node) else { panic!("claimed or not") };
        won += u32::from(here);
    }
    assert_eq!(won, 1);
    put(&nodes[1], "tick");
    assert!(matches!(outcome(&mut nodes[1]), ScheduleNews::Changed { outcome: Ok(true), .. }));
    nodes[1].order(Order::Schedule(ScheduleOrder::Remove { conn: conn(), tag: 2, name: "tick".into() }));
    assert!(matches!(outcome(&mut nodes[1]), ScheduleNews::Changed { tag: 2, outcome: Ok(true), .. }));
    told(&mut nodes[0], 0);
}

#[test]
fn schedules_survive_a_redis_that_forgot_them() {
    let mut server = RedisServer::start();
    let mut node = Node::up(&server, 1);
    put(&node, "tick");
    let before = told(&mut node, 1);
    server.kill();
    node.wait_until_up(false);
    server.restart_empty();
    node.wait_until_up(true);
    let mut plain = Plain::open(&server);
    eventually(|| (plain.names("HKEYS", &keys().schedules()) == ["tick"]).then_some(()));
    assert_eq!(told(&mut node, 1), before);
}
