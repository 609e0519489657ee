//! Questions between nodes, over a real Redis.

use super::*;
use crate::relay::testing::RedisServer;
use epush_core::mail::{Answer, Question, Report};

const REPORT: Report = Report { shard: ShardId(1), ticket: 5 };

fn question() -> Question {
    Question::Channel { channel: channel("room"), members: false }
}

fn part(subscribers: u64) -> Answer {
    Answer::Channel { channel: channel("room"), subscribers, elsewhere: 0, users: Vec::new() }
}

#[test]
fn an_own_question_goes_out_and_is_answered_when_every_receiver_has() {
    let server = RedisServer::start();
    let mut node = Receiving::start(&server.url());
    node.join("room");
    let mut own = Peer::new(&node, OWN);
    let mut peer = Peer::new(&node, 7);
    node.post(Arrival::Ask { question: question(), report: REPORT });
    let Order::Query { ticket, question } = node.order() else { panic!("a query") };
    let ask = own.envelope(Body::Ask { ticket, question });
    let call = own.calls.tell_channel(&channel("room"), &ask);
    // This node is subscribed itself; another one is made up.
    assert!(matches!(own.run(&call), Value::Int(1)));
    node.post(Arrival::Asked { ticket, receivers: Some(2) });
    peer.tell(Body::Answer { ticket, answer: part(40) });
    let mail = node.mail(1);
    let Mail::Answer { ticket: 5, answer: Answer::Channel { subscribers: 0, elsewhere: 40, .. } } = mail else {
        panic!("{mail:?}")
    };
}

#[test]
fn anothers_question_is_put_to_every_shard_and_answered_once() {
    let server = RedisServer::start();
    let mut node = Receiving::start(&server.url());
    let mut peer = Peer::new(&node, 7);
    peer.tell(Body::Ask { ticket: 12, question: question() });
    for shard in 0..2 {
        let Mail::Ask { report, .. } = node.mail(shard) else { panic!("a question") };
        assert_eq!(report.shard, ShardId::RELAY);
        node.post(Arrival::Answer { ticket: report.ticket, answer: part(shard as u64 + 1) });
    }
    let order = node.order();
    let Order::Reply { to: 7, ticket: 12, answer: Answer::Channel { subscribers: 3, .. } } = order else {
        panic!("{order:?}")
    };
}

#[test]
fn without_redis_or_without_an_answer_the_part_comes_empty() {
    let server = RedisServer::start();
    let knobs = Knobs { timeout_ms: 300, ..Knobs::default() };
    let mut node = Receiving::start_with(&server.url(), knobs);
    node.post(Arrival::Ask { question: question(), report: REPORT });
    let Order::Query { ticket, .. } = node.order() else { panic!("a query") };
    node.post(Arrival::Asked { ticket, receivers: Some(3) });
    let is_empty =
        |mail: Mail| matches!(mail, Mail::Answer { ticket: 5, answer: Answer::Channel { elsewhere: 0, .. } });
    assert!(is_empty(node.mail(1)), "after the time-out");
    drop(server);
    until("Redis is missed", || !node.figures.is_listening.load(Relaxed));
    node.post(Arrival::Ask { question: question(), report: REPORT });
    assert!(is_empty(node.mail(1)));
    assert!(node.orders.is_empty(), "nobody is asked");
}
