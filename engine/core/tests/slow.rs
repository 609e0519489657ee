//! Slow consumers: whatever is offered, in whatever order, under whatever policy, a client that adds up the messages
//! and the gaps it got comes to what was sent, in order.

use std::collections::HashMap;
use std::io::IoSlice;
use std::rc::Rc;
use std::sync::Arc;

use epush_core::batch::{Batch, Pending, Stream};
use epush_core::message::{ChannelName, Publication, Target, UserName};
use epush_core::outbox::{Outbox, SLICES_MAX};
use epush_core::settings::OnSlow;
use epush_core::slow::{self, UNWRITTEN_FACTOR, Verdict};
use epush_core::wire::native::reply::GapReason;
use epush_core::wire::websocket::text_frame;
use proptest::prelude::*;

const LIMIT: usize = 4_096;

const STREAMS: usize = 4;

const POLICIES: [OnSlow; 4] = [OnSlow::DropOldest, OnSlow::DropNewest, OnSlow::Latest, OnSlow::Close];

fn stream(number: usize) -> Stream {
    let channel = |name| Stream::Channel(ChannelName::parse(name).expect("valid"));
    match number {
        0 => channel("news"),
        1 => channel("room.7"),
        2 => Stream::User(UserName::parse("42").expect("valid")),
        _ => Stream::All,
    }
}

/// A session with its socket and the client behind it.
#[derive(Default)]
struct Line {
    outbox: Outbox,
    blocked: bool,
    /// Messages sent, by stream.
    sent: [u64; STREAMS],
    /// What the verdicts said.
    dropped: u64,
    /// Lost before they came here.
    lost: u64,
    client: Client,
}

/// What a client makes of the bytes.
#[derive(Default)]
struct Client {
    bytes: Vec<u8>,
    /// The number of the next message, by stream.
    next: [u64; STREAMS],
    received: u64,
    announced: u64,
    /// Announced with the reason `relay`.
    relay: u64,
    gaps: u64,
    own: u64,
}

impl Line {
    fn blocked() -> Self {
        Self { blocked: true, ..Self::default() }
    }

    fn message(&mut self, number: usize, size: usize) -> Arc<Publication> {
        let text = format!(r#"{{"op":"message","stream":{number},"seq":{},"pad":""#, self.sent[number]);
        self.sent[number] += 1;
        let frame = text_frame(|out| {
            out.extend_from_slice(text.as_bytes());
            out.resize(out.len() + size, b'x');
            out.extend_from_slice(b"\"}");
        });
        Arc::new(Publication {
            to: Target::All,
            kind: None,
            accepted_us: Arc::new(0),
            frames: vec![frame],
            permit: None,
        })
    }

    fn batches(&mut self, number: usize, sizes: &[usize]) -> Vec<Rc<Batch>> {
        let mut pending = Pending::default();
        for size in sizes {
            pending.push(&self.message(number, *size), 0);
        }
        std::iter::from_fn(|| pending.join(|| stream(number))).collect()
    }

    /// Offers messages of these sizes; what became of the last batch.
    fn offer(&mut self, number: usize, sizes: &[usize], policy: OnSlow) -> Verdict {
        let mut last = Verdict::default();
        for batch in self.batches(number, sizes) {
            last = self.offer_batch(&batch, policy);
        }
        last
    }

    fn offer_batch(&mut self, batch: &Rc<Batch>, policy: OnSlow) -> Verdict {
        let (before, empty) = (self.outbox.bytes(), self.outbox.is_empty());
        let messages = 0..batch.messages();
        let verdict = slow::offer(&mut self.outbox, batch, messages.clone(), || policy, self.blocked, LIMIT);
        self.outbox.assert_invariants();
        let limit = if self.blocked { LIMIT } else { LIMIT * UNWRITTEN_FACTOR };
        let after = self.outbox.bytes();
        assert!(after <= before.max(limit) || empty && after == batch.len(messages.clone()), "{before} -> {after}");
        if policy == OnSlow::Latest && verdict.queued == 0 {
            assert!(after + batch.len(messages.end - 1..messages.end) > limit, "the newest message would have fitted");
        }
        self.dropped += verdict.dropped;
        if verdict.close {
            self.dropped += self.outbox.drop_shared();
            self.outbox.assert_invariants();
        }
        verdict
    }

    /// Messages of the stream did not reach the node.
    fn lose(&mut self, number: usize, count: u32) {
        self.sent[number] += u64::from(count);
        self.lost += u64::from(count);
        self.outbox.push_lost(&stream(number), count, GapReason::Relay);
        self.outbox.assert_invariants();
    }

    /// The socket takes up to `bytes`.
    fn write(&mut self, bytes: usize) {
        self.outbox.announce();
        self.outbox.assert_invariants();
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let filled = self.outbox.slices(&mut slices);
        let mut taken = 0;
        for slice in &slices[..filled] {
            assert!(!slice.is_empty(), "nothing in reach is left unannounced");
            let take = slice.len().min(bytes - taken);
            self.client.bytes.extend_from_slice(&slice[..take]);
            taken += take;
        }
        self.outbox.advance(taken, drop);
        self.outbox.assert_invariants();
        self.client.read();
    }

    fn write_all(&mut self) {
        while !self.outbox.is_empty() {
            self.write(usize::MAX);
        }
        assert_eq!(self.outbox.bytes(), 0);
        assert!(self.client.bytes.is_empty(), "only whole frames");
        assert_eq!(self.client.next, self.sent, "received + announced = sent");
        assert_eq!(self.client.announced, self.dropped + self.lost, "the verdicts count what the gaps say");
        assert_eq!(self.client.relay, self.lost, "each reason has its own frame");
    }

    fn own(&mut self, size: usize) {
        self.outbox.push_own(|out| {
            out.extend_from_slice(&text_frame(|out| {
                out.extend_from_slice(br#"{"op":"ok","pad":""#);
                out.resize(out.len() + size, b'x');
                out.extend_from_slice(b"\"}");
            }))
        });
        self.outbox.assert_invariants();
    }
}

impl Client {
    fn read(&mut self) {
        while let Some((payload, used)) = frame(&self.bytes) {
            let value: HashMap<String, serde_json::Value> = serde_json::from_slice(payload).expect("JSON");
            let number = |key: &str| value[key].as_u64().expect("a number");
            match value["op"].as_str().expect("text") {
                "ok" => self.own += 1,
                "message" => {
                    let stream = number("stream") as usize;
                    assert_eq!(number("seq"), self.next[stream], "in order, and after the gap for what is missing");
                    self.next[stream] += 1;
                    self.received += 1;
                }
                "gap" => {
                    let stream = match (value.get("channel"), value.get("user")) {
                        (Some(channel), _) if channel == "news" => 0,
                        (Some(_), _) => 1,
                        (_, Some(_)) => 2,
                        _ => 3,
                    };
                    assert!(number("count") > 0);
                    self.next[stream] += number("count");
                    self.announced += number("count");
                    self.gaps += 1;
                    match value["reason"].as_str() {
                        Some("relay") => self.relay += number("count"),
                        reason => assert_eq!(reason, Some("slow_consumer")),
                    }
                }
                other => panic!("{other}"),
            }
            self.bytes.drain(..used);
        }
    }
}

/// The payload of the first frame, if it is whole, and how many bytes the frame takes.
fn frame(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let (start, len) = match bytes.get(1)? {
        126 => (4, u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?).into()),
        127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize),
        short => (2, usize::from(*short)),
    };
    assert_eq!(bytes[0], 0x81, "a text frame");
    Some((bytes.get(start..start + len)?, start + len))
}

#[test]
fn drop_oldest_keeps_the_newest_that_fit_behind_a_gap() {
    let mut line = Line::blocked();
    for _ in 0..10 {
        line.offer(0, &[1_000], OnSlow::DropOldest);
    }
    line.write_all();
    assert_eq!((line.client.received, line.client.announced), (3, 7));
}

#[test]
fn drop_newest_keeps_the_oldest_and_puts_the_gap_behind_them() {
    let mut line = Line::blocked();
    for _ in 0..10 {
        line.offer(0, &[1_000], OnSlow::DropNewest);
    }
    line.write(1_100);
    assert_eq!(line.client.announced, 0);
    line.write_all();
    assert_eq!((line.client.received, line.client.announced), (3, 7));
}

#[test]
fn latest_keeps_one_message_and_a_slow_consumer_gets_a_gap_then_the_newest_message() {
    let mut line = Line::blocked();
    for _ in 0..10 {
        line.offer(0, &[100, 100], OnSlow::Latest);
    }
    line.write_all();
    // The first batch met an empty outbox, and went when the second came.
    assert_eq!((line.client.received, line.client.announced), (1, 19));
}

#[test]
fn close_announces_everything_that_will_not_come() {
    let mut line = Line::blocked();
    for number in [0, 1, 0, 2] {
        assert!(!line.offer(number, &[900], OnSlow::Close).close);
        line.own(10);
    }
    assert!(line.offer(0, &[1_000], OnSlow::Close).close);
    line.write_all();
    assert_eq!((line.client.received, line.client.announced, line.client.own), (0, 5, 4));
}

#[test]
fn a_message_the_socket_has_begun_is_finished() {
    for policy in [OnSlow::DropOldest, OnSlow::Latest, OnSlow::Close] {
        let mut line = Line::default();
        line.offer(0, &[1_000, 1_000, 1_000], policy);
        line.write(1_500);
        line.blocked = true;
        for _ in 0..4 {
            line.offer(0, &[1_000], policy);
        }
        line.write(1);
        assert!(line.client.next[0] >= 1);
        line.write_all();
        assert!(line.client.received >= 2, "{policy:?}");
    }
}

#[test]
fn one_stream_does_not_push_another_out() {
    let mut line = Line::blocked();
    line.offer(1, &[1_500], OnSlow::DropOldest);
    for _ in 0..20 {
        line.offer(0, &[1_000], OnSlow::DropOldest);
    }
    line.write_all();
    assert_eq!(line.client.next[1], 1);
    assert_eq!(line.client.received, 3);
}

#[test]
fn a_message_over_the_limit_reaches_a_socket_that_takes_bytes() {
    let mut line = Line::default();
    line.offer(0, &[3 * LIMIT], OnSlow::DropOldest);
    line.offer(1, &[3 * LIMIT], OnSlow::Close);
    line.write_all();
    assert_eq!(line.client.received, 2);
}

#[test]
fn what_waits_for_a_socket_that_takes_bytes_is_bounded_too() {
    let mut line = Line::default();
    for _ in 0..100 {
        line.offer(0, &[LIMIT], OnSlow::DropOldest);
    }
    assert!(line.outbox.bytes() <= LIMIT * UNWRITTEN_FACTOR);
    line.write_all();
    assert_eq!(line.client.announced, 100 - line.client.received);
}

#[test]
fn a_loss_does_not_keep_its_messages_in_memory() {
    let mut line = Line::blocked();
    line.own(LIMIT);
    for policy in [OnSlow::DropOldest, OnSlow::DropNewest, OnSlow::Latest] {
        let batch = line.batches(0, &[10]).remove(0);
        line.offer_batch(&batch, policy);
        assert_eq!(Rc::strong_count(&batch), 1, "{policy:?}");
    }
}

#[test]
fn losses_of_both_kinds_are_told_apart_and_do_not_pile_up() {
    for policy in [OnSlow::DropOldest, OnSlow::DropNewest, OnSlow::Latest] {
        let mut line = Line::blocked();
        line.own(100);
        for _ in 0..1_000 {
            line.offer(0, &[1_000], policy);
            line.lose(0, 2);
        }
        line.write_all();
        assert_eq!(line.client.relay, 2_000, "{policy:?}");
        // At most one of each kind before each message that came, and behind the last.
        assert!(line.client.gaps <= 2 * (line.client.received + 1), "{policy:?}: {} gaps", line.client.gaps);
    }
}

#[test]
fn a_loss_on_the_way_stands_between_the_messages_it_was_between() {
    let mut line = Line::blocked();
    line.offer(0, &[10], OnSlow::DropOldest);
    line.lose(0, 3);
    line.offer(1, &[10], OnSlow::DropOldest);
    line.lose(0, 1);
    line.offer(0, &[10], OnSlow::DropOldest);
    // The client asserts that the numbers go on where the gaps end.
    line.write_all();
    assert_eq!((line.client.received, line.client.gaps, line.client.relay), (3, 1, 4));
}

#[derive(Clone, Debug)]
enum Step {
    Lose(usize, u32),
    Offer { stream: usize, sizes: Vec<usize>, policy: usize },
    Own(usize),
    Write(usize),
    Block(bool),
}

fn size() -> impl Strategy<Value = usize> {
    prop_oneof![6 => 0_usize..80, 3 => 80_usize..1_500, 1 => 1_500_usize..3 * LIMIT]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..STREAMS, prop::collection::vec(size(), 1..12), 0..POLICIES.len())
            .prop_map(|(stream, sizes, policy)| Step::Offer { stream, sizes, policy }),
        1 => (0..STREAMS, prop::collection::vec(0_usize..40, 1..=64), 0..POLICIES.len())
            .prop_map(|(stream, sizes, policy)| Step::Offer { stream, sizes, policy }),
        1 => (0..STREAMS, 1_u32..5).prop_map(|(stream, count)| Step::Lose(stream, count)),
        2 => (0_usize..300).prop_map(Step::Own),
        4 => prop_oneof![0_usize..40, 0_usize..3_000, Just(usize::MAX)].prop_map(Step::Write),
        2 => prop::bool::weighted(0.7).prop_map(Step::Block),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn received_and_announced_add_up_to_what_was_sent(
        steps in prop::collection::vec(step(), 1..60),
        policies in prop::array::uniform4(0_usize..3),
        mixed in prop::bool::ANY,
    ) {
        let mut line = Line::default();
        for step in steps {
            match step {
                Step::Offer { stream, sizes, policy } => {
                    let policy = if mixed { policy } else { policies[stream] };
                    if line.offer(stream, &sizes, POLICIES[policy]).close {
                        break;
                    }
                }
                Step::Lose(stream, count) => line.lose(stream, count),
                Step::Own(size) => line.own(size),
                Step::Write(bytes) => line.write(bytes),
                Step::Block(blocked) => line.blocked = blocked,
            }
        }
        line.write_all();
        prop_assert_eq!(line.client.received + line.client.announced, line.sent.iter().sum::<u64>());
    }
}
