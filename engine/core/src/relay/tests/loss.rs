//! Whatever happens on the way, what is delivered and what is told as lost add up to what was sent.
//!
//! Two senders, one receiver that listens all the time, and a Redis that may forget everything, as values.

use std::collections::{BTreeMap, VecDeque};

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::relay::{Ledger, Numbers, UNHEARD_MS, UNUSED_MS};

const SENDERS: usize = 2;
const STREAMS: usize = 3;

/// The user's stream: its heads do not expire while the user is there.
const USER: usize = 1;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A sender sends to a stream.
    Send(usize, usize),
    /// A sender has no room for a message to a stream.
    Lose(usize, usize),
    /// A sender announces what it had no room for.
    Announce(usize),
    /// A sender's connection is gone: what it sends now does not reach Redis.
    Part(usize),
    /// It is back: what no reply came to is sent again.
    Rejoin(usize),
    /// Replies came to all a sender sent.
    Reply(usize),
    /// So much of what is on its way arrives.
    Arrive(usize),
    /// The next message on its way does not arrive, though nothing was cut. TCP does no such thing; where it is a sender's
    /// first and nothing but an announcement follows, it would stay unseen.
    Vanish,
    /// The receiver's connection is gone, and what was on its way.
    Cut,
    /// It stands again.
    Subscribe,
    /// A stream's heads are read.
    ReadHeads(usize),
    /// They are on their way to the receiver.
    SendHeads(usize),
    /// Redis comes back empty.
    Wipe,
    /// Everything comes to rest, then nothing happens for long; or for others something does, so that heads stay.
    Rest { heads_stay: bool },
}

fn step() -> impl Strategy<Value = Step> {
    let sender = || 0..SENDERS;
    let stream = || 0..STREAMS;
    prop_oneof![
        12 => (sender(), stream()).prop_map(|(sender, stream)| Step::Send(sender, stream)),
        3 => (sender(), stream()).prop_map(|(sender, stream)| Step::Lose(sender, stream)),
        2 => sender().prop_map(Step::Announce),
        1 => sender().prop_map(Step::Part),
        2 => sender().prop_map(Step::Rejoin),
        1 => sender().prop_map(Step::Reply),
        6 => (1..6_usize).prop_map(Step::Arrive),
        1 => Just(Step::Vanish),
        1 => Just(Step::Cut),
        2 => Just(Step::Subscribe),
        2 => stream().prop_map(Step::ReadHeads),
        2 => stream().prop_map(Step::SendHeads),
        1 => Just(Step::Wipe),
        1 => any::<bool>().prop_map(|heads_stay| Step::Rest { heads_stay }),
    ]
}

/// A message: the `nth` that its sender made for the stream, lost ones counted.
#[derive(Clone, Copy, Debug)]
struct Message {
    stream: usize,
    number: Number,
    nth: u64,
}

/// What is on its way to the receiver.
enum OnWay {
    Message(NodeId, Message),
    Announce(NodeId, usize, Number),
    Heads(usize, Vec<Head>),
}

impl OnWay {
    const fn may_vanish(&self) -> bool {
        matches!(self, Self::Message(_, Message { number, .. }) if number.number > number.lost + 1)
    }
}

#[derive(Default)]
struct Sender {
    numbers: Numbers,
    made: [u64; STREAMS],
    /// No reply has come to them.
    in_doubt: Vec<Message>,
    /// Streams of messages that wait until Redis is settled.
    waiting: Vec<usize>,
    is_parted: bool,
    /// Redis came back empty, and this sender has not announced what it used.
    must_announce: bool,
}

struct World {
    streams: [Stream; STREAMS],
    senders: [Sender; SENDERS],
    heads: [BTreeMap<NodeId, Head>; STREAMS],
    heads_read: [Option<Vec<Head>>; STREAMS],
    way: VecDeque<OnWay>,
    is_subscribed: bool,
    ledger: Ledger,
    /// The newest message delivered, by sender and stream.
    newest: BTreeMap<(NodeId, usize), u64>,
    delivered: [u64; STREAMS],
    lost: [u64; STREAMS],
    now_ms: u64,
}

impl World {
    fn new() -> Self {
        let streams = [channel("news"), user("7"), Stream::All];
        let mut ledger = Ledger::default();
        streams.iter().for_each(|stream| ledger.open(stream.clone(), &[], 0));
        Self {
            streams,
            senders: Default::default(),
            heads: Default::default(),
            heads_read: Default::default(),
            way: VecDeque::new(),
            is_subscribed: true,
            ledger,
            newest: BTreeMap::new(),
            delivered: [0; STREAMS],
            lost: [0; STREAMS],
            now_ms: 1_000_000_000,
        }
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Send(sender, stream) => self.send(sender, stream),
            Step::Lose(sender, stream) => {
                self.senders[sender].made[stream] += 1;
                self.senders[sender].numbers.lose(&self.streams[stream], self.now_ms);
            }
            Step::Announce(sender) => self.announce(sender),
            Step::Part(sender) => self.senders[sender].is_parted = true,
            Step::Rejoin(sender) => self.rejoin(sender),
            Step::Reply(sender) if !self.senders[sender].is_parted => self.senders[sender].in_doubt.clear(),
            Step::Arrive(count) => (0..count).for_each(|_| self.arrive()),
            Step::Vanish if self.way.front().is_some_and(OnWay::may_vanish) => drop(self.way.pop_front()),
            Step::Cut => self.cut(),
            Step::Subscribe => self.is_subscribed = true,
            Step::ReadHeads(stream) if self.is_subscribed => {
                self.heads_read[stream] = Some(self.heads[stream].values().copied().collect());
            }
            Step::SendHeads(stream) => {
                let heads = self.heads_read[stream].take();
                self.way.extend(heads.map(|heads| OnWay::Heads(stream, heads)));
            }
            Step::Wipe => {
                self.cut();
                self.heads = Default::default();
                self.senders.iter_mut().for_each(|sender| sender.must_announce = true);
            }
            Step::Rest { heads_stay } => self.rest(heads_stay),
            Step::Reply(_) | Step::Vanish | Step::ReadHeads(_) => {}
        }
    }

    fn send(&mut self, sender: usize, stream: usize) {
        let from = &mut self.senders[sender];
        if from.must_announce {
            from.waiting.push(stream);
            return;
        }
        let number = from.numbers.next(&self.streams[stream], self.now_ms);
        let message = Message { stream, number, nth: from.made[stream] };
        from.made[stream] += 1;
        from.in_doubt.push(message);
        if !from.is_parted {
            self.publish(sender, message);
        }
    }

    fn publish(&mut self, sender: usize, message: Message) {
        let origin = sender as NodeId;
        self.note(origin, message.stream, message.number);
        if self.is_subscribed {
            self.way.push_back(OnWay::Message(origin, message));
        }
    }

    /// What the script that publishes does to the head.
    fn note(&mut self, origin: NodeId, stream: usize, Number { generation, number, lost }: Number) {
        let new = head(origin, generation, number - lost, number);
        let head = self.heads[stream].entry(origin).or_insert(new);
        if head.generation == generation {
            head.last = head.last.max(number);
        } else {
            *head = new;
        }
    }

    fn announce(&mut self, sender: usize) {
        let from = &mut self.senders[sender];
        if from.is_parted {
            return;
        }
        let mut news = Vec::new();
        if std::mem::take(&mut from.must_announce) {
            news = from.numbers.used_since(self.now_ms - 60_000);
        }
        news.extend(from.numbers.take_unannounced(usize::MAX));
        for (stream, number) in news {
            let stream = self.streams.iter().position(|known| *known == stream).expect("one of the three");
            self.note(sender as NodeId, stream, number.of_announcement());
            if self.is_subscribed {
                self.way.push_back(OnWay::Announce(sender as NodeId, stream, number));
            }
        }
        let waiting = std::mem::take(&mut self.senders[sender].waiting);
        waiting.into_iter().for_each(|stream| self.send(sender, stream));
    }

    fn rejoin(&mut self, sender: usize) {
        self.senders[sender].is_parted = false;
        if self.senders[sender].must_announce {
            self.announce(sender);
        }
        for message in self.senders[sender].in_doubt.clone() {
            self.publish(sender, message);
        }
    }

    fn cut(&mut self) {
        self.way.clear();
        self.heads_read = Default::default();
        self.is_subscribed = false;
        self.ledger.cut();
    }

    fn arrive(&mut self) {
        match self.way.pop_front() {
            Some(OnWay::Message(origin, Message { stream, number, nth })) => {
                let receipt = self.ledger.receive(&self.streams[stream], origin, number, self.now_ms);
                self.lost[stream] += receipt.lost;
                if receipt.fresh {
                    let before = self.newest.insert((origin, stream), nth);
                    assert!(before < Some(nth), "{nth} behind {before:?}");
                    self.delivered[stream] += 1;
                }
            }
            Some(OnWay::Announce(origin, stream, number)) => {
                self.lost[stream] += self.ledger.announced(&self.streams[stream], origin, number, self.now_ms);
            }
            Some(OnWay::Heads(stream, heads)) => {
                self.lost[stream] += self.ledger.compare(&self.streams[stream], &heads, self.now_ms);
            }
            None => {}
        }
    }

    /// Everything is sent, announced, compared and arrived; and adds up.
    fn settle(&mut self) {
        for sender in 0..SENDERS {
            self.rejoin(sender);
            self.announce(sender);
            self.senders[sender].in_doubt.clear();
        }
        while !self.way.is_empty() {
            self.arrive();
        }
        self.cut();
        self.is_subscribed = true;
        for stream in 0..STREAMS {
            self.run(Step::ReadHeads(stream));
            self.run(Step::SendHeads(stream));
            self.arrive();
        }
        for stream in 0..STREAMS {
            let sent: u64 = self.senders.iter().map(|sender| sender.made[stream]).sum();
            let (delivered, lost) = (self.delivered[stream], self.lost[stream]);
            assert_eq!(delivered + lost, sent, "{delivered} delivered and {lost} lost of {:?}", self.streams[stream]);
        }
    }

    fn rest(&mut self, heads_stay: bool) {
        self.settle();
        self.now_ms += 2 * UNHEARD_MS;
        self.senders.iter_mut().for_each(|sender| sender.numbers.prune(self.now_ms - UNUSED_MS));
        self.ledger.prune(self.now_ms - UNHEARD_MS);
        for stream in (0..STREAMS).filter(|stream| *stream != USER && !heads_stay) {
            self.heads[stream].clear();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn delivered_and_lost_add_up_to_what_was_sent_each_once_and_in_order(steps in vec(step(), 0..120)) {
        let mut world = World::new();
        steps.into_iter().for_each(|step| world.run(step));
        world.settle();
    }
}

#[test]
fn without_trouble_nothing_is_lost() {
    let mut world = World::new();
    for turn in 0..30 {
        world.run(Step::Send(turn % SENDERS, turn % STREAMS));
        world.run(Step::Arrive(1));
        if turn % 10 == 9 {
            world.run(Step::Rest { heads_stay: turn > 15 });
        }
    }
    world.settle();
    assert_eq!((world.delivered, world.lost), ([10; STREAMS], [0; STREAMS]));
}
