//! One shard under a broadcast, a flood and a storm of newcomers: who gets how much of a turn.
//!
//! Turns are counted, not timed: a bound in turns holds on any machine.

#[path = "shard/node.rs"]
mod node;

use std::io::IoSlice;

use epush_core::id::ConnId;
use epush_core::mail::{Identity, Mail, Verdict};
use epush_core::message::Target;
use epush_core::outbox::SLICES_MAX;
use epush_core::shard::Door;
use node::{Node, UPGRADE, text};

/// Fan-out writes of a turn, as the reactor allows them.
const BULK_WRITES_PER_TURN: usize = 512;

/// Answers of a turn, as the shard allows them.
const URGENT_WRITES_PER_TURN: usize = 1_024;

const PING: &str = r#"{"op":"ping","id":1}"#;

/// What the sockets took in one turn: whose, and what.
#[derive(Default)]
struct Turn {
    answers: Vec<(ConnId, String)>,
    fan_out: Vec<(ConnId, String)>,
}

impl Turn {
    /// One turn in the reactor's order: messages are joined, answers go, then fan-out in a budget.
    fn of(node: &mut Node) -> Self {
        node.shard.flush(node.now);
        let mut turn = Self::default();
        while let Some(conn) = node.shard.next_urgent() {
            turn.answers.push((conn, take(node, conn)));
        }
        while turn.fan_out.len() < BULK_WRITES_PER_TURN
            && let Some(conn) = node.shard.next_bulk()
        {
            turn.fan_out.push((conn, take(node, conn)));
        }
        node.shard.end_turn();
        turn
    }

    /// How many writes to these connections held this text.
    fn count(&self, conns: &[ConnId], needle: &str) -> usize {
        // They were adopted one after another.
        let slots = conns[0].index..conns[0].index + conns.len() as u32;
        let is_one = |(conn, text): &&(ConnId, String)| slots.contains(&conn.index) && text.contains(needle);
        self.answers.iter().chain(&self.fan_out).filter(is_one).count()
    }
}

/// The socket takes all it is offered.
fn take(node: &mut Node, conn: ConnId) -> String {
    let mut slices = [IoSlice::new(&[]); SLICES_MAX];
    let filled = node.shard.output(conn, &mut slices);
    let bytes: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.iter().copied()).collect();
    node.shard.handle_sent(node.now, conn, bytes.len(), false);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Clients that have asked to be let in and were; their answers are not written yet.
fn newcomers(node: &mut Node, count: usize) -> Vec<ConnId> {
    let come = |_| {
        let conn = node.shard.adopt(node.now, ([127, 0, 0, 1], 9).into(), Door::Client);
        node.shard.handle_bytes(node.now, conn, &mut UPGRADE.to_vec());
        let verdict = Verdict::Accept(Identity::default());
        node.shard.handle_mail(node.now, Mail::Verdict { conn, verdict });
        while node.shard.poll_effect().is_some() {}
        conn
    };
    (0..count).map(come).collect()
}

/// Open sessions with nothing left to write.
fn crowd(node: &mut Node, count: usize) -> Vec<ConnId> {
    let conns = newcomers(node, count);
    while node.shard.has_writes() {
        Turn::of(node);
    }
    conns
}

fn ping(node: &mut Node, conn: ConnId) {
    node.shard.handle_bytes(node.now, conn, &mut text(PING));
}

#[test]
fn an_answer_does_not_wait_for_a_broadcast_to_all() {
    let mut node = Node::new(|_| {});
    let sessions = crowd(&mut node, 3_000);
    node.publish(Target::All);
    let mut reached = Turn::of(&mut node).count(&sessions, "hello");
    assert_eq!(reached, BULK_WRITES_PER_TURN, "and no more before others had their turn");
    let asking = sessions[2_999];
    ping(&mut node, asking);
    let turn = Turn::of(&mut node);
    assert_eq!(turn.count(&[asking], "pong"), 1);
    reached += turn.count(&sessions, "hello");
    while node.shard.has_writes() {
        reached += Turn::of(&mut node).count(&sessions, "hello");
    }
    assert_eq!(reached, sessions.len());
}

#[test]
fn a_crowd_that_wants_answers_leaves_broadcasts_their_share_of_every_turn() {
    let mut node = Node::new(|_| {});
    let sessions = crowd(&mut node, 4_000);
    let (listening, asking) = sessions.split_at(1_000);
    for conn in asking {
        ping(&mut node, *conn);
    }
    let mut reached = 0;
    for _ in 0..20 {
        node.publish(Target::All);
        let turn = Turn::of(&mut node);
        assert_eq!(turn.answers.len(), URGENT_WRITES_PER_TURN);
        reached += turn.count(listening, "hello");
        // Whoever got its answer asks again, so there is never an end of them.
        for (conn, _) in turn.answers.iter().chain(&turn.fan_out).filter(|(_, text)| text.contains("pong")) {
            ping(&mut node, *conn);
        }
    }
    // A round to all 4 000 takes 8 turns at most; the answers of those who ask take theirs along.
    assert!(reached >= 2 * listening.len(), "{reached} writes of broadcasts");
    node.shard.assert_invariants();
}

#[test]
fn ten_thousand_newcomers_hold_up_neither_an_answer_nor_a_broadcast() {
    let mut node = Node::new(|_| {});
    let sessions = crowd(&mut node, 600);
    node.publish(Target::All);
    node.shard.flush(node.now);
    let newcomers = newcomers(&mut node, 10_000);
    // Each newcomer has one write of answers to come. Who asks stands behind them, and the broadcast does not.
    let (mut turns, mut reached, mut welcomed) = (0, 0, 0);
    loop {
        let turn = Turn::of(&mut node);
        turns += 1;
        reached += turn.count(&sessions, "hello");
        welcomed += turn.count(&newcomers, "welcome");
        assert!(turns < 2 || reached == sessions.len(), "two turns are enough for 600 receivers");
        if turns == 1 {
            ping(&mut node, sessions[0]);
        }
        if turn.count(&sessions[..1], "pong") == 1 {
            break;
        }
    }
    assert!(turns <= newcomers.len() / URGENT_WRITES_PER_TURN + 1, "{turns} turns for an answer");
    assert!(welcomed + URGENT_WRITES_PER_TURN > newcomers.len(), "{welcomed} newcomers were welcomed meanwhile");
    node.shard.assert_invariants();
}

#[test]
fn a_flood_whose_answers_are_not_read_is_not_read_and_delays_nobody() {
    let mut node = Node::new(|settings| settings.outbox_bytes_max = 4_096);
    let sessions = crowd(&mut node, 2);
    let (flooding, asking) = (sessions[0], sessions[1]);
    node.shard.handle_bytes(node.now, flooding, &mut text(PING).repeat(2_000));
    assert!(!node.shard.wants_read(flooding), "its socket is left alone until it reads");
    ping(&mut node, asking);
    assert_eq!(Turn::of(&mut node).count(&[asking], "pong"), 1);
}
