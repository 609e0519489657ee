//! The receiving thread against real Redis servers: this file is the thread's surroundings, and another node.

mod faults;
mod messages;
mod questions;
mod sharded;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use crossbeam_channel::Receiver;
use epush_core::batch::Stream;
use epush_core::id::{ConnId, SessionId, SessionRef, ShardId};
use epush_core::mail::{Mail, Relayed};
use epush_core::message::{ChannelName, UserName};
use epush_core::relay::{Body, Envelope, NodeId, Number};
use epush_core::wire::websocket::text_frame;
use mio::{Events, Poll, Waker};
use redis::{Cmd, Value, cmd};

use super::{Inward, InwardSetup, WAKE};
use crate::clock::Clock;
use crate::config::{ClusterConfig, Secret};
use crate::intake::Intake;
use crate::mailbox::{Mailbox, mailbox};
use crate::reactor::Post;
use crate::relay::keys::{Incarnation, Keys};
use crate::relay::scripts::{Call, Calls, Verb, load_all, reply};
use crate::relay::testing::PATIENCE;
use crate::relay::{Access, Arrival, Connection, Order, RelayFigures, Topology};
use crate::testing::{Bench, bench};

/// This node.
const OWN: NodeId = 0xb007;

/// The receiving thread of a node with two shards, whose mail stays where the test finds it.
struct Receiving {
    bench: Bench,
    mailbox: Mailbox<Arrival>,
    orders: Receiver<Order>,
    figures: Arc<RelayFigures>,
    access: Access,
    /// What each shard was given and the test has not taken.
    seen: [VecDeque<Seen>; 2],
    handoffs: usize,
    thread: Option<JoinHandle<std::io::Result<()>>>,
}

/// One thing that reached a shard.
#[derive(Debug)]
enum Seen {
    /// A message, which is a number.
    Message(u64),
    Lost(Stream, u64),
    Mail(Mail),
}

#[derive(Clone, Copy)]
struct Knobs {
    intake_bytes: usize,
    linger_ms: u64,
    timeout_ms: u64,
}

impl Default for Knobs {
    fn default() -> Self {
        Self { intake_bytes: 64 << 20, linger_ms: 60_000, timeout_ms: 5_000 }
    }
}

fn access(url: &str, timeout_ms: u64) -> Access {
    let config = ClusterConfig { redis: Some(Secret::new(url)), timeout_ms, ..ClusterConfig::default() };
    Access::new(&config).expect("a good URL")
}

impl Receiving {
    /// Started, and everything subscribed.
    fn start(url: &str) -> Self {
        Self::start_with(url, Knobs::default())
    }

    fn start_with(url: &str, knobs: Knobs) -> Self {
        let receiving = Self::begin(url, knobs);
        receiving.settled();
        receiving
    }

    /// Started, whether there is a Redis or not.
    fn begin(url: &str, knobs: Knobs) -> Self {
        let bench = bench(2, 1);
        let poll = Poll::new().expect("poll");
        let (mailbox, inbox) = mailbox(Waker::new(poll.registry(), WAKE).expect("waker"));
        let (outward, orders) = crossbeam_channel::unbounded();
        let (figures, access) = (Arc::new(RelayFigures::default()), access(url, knobs.timeout_ms));
        let setup = InwardSetup {
            poll,
            inbox,
            access: access.clone(),
            keys: Keys::new("p"),
            boot: OWN,
            shards: bench.node.reactors.clone(),
            outward,
            intake: Intake::new(knobs.intake_bytes),
            figures: Arc::clone(&figures),
            view: Arc::new(ArcSwap::default()),
            clock: Clock::start(),
            linger_ms: knobs.linger_ms,
            timeout_ms: knobs.timeout_ms,
        };
        let inward = Inward::new(setup).expect("a poll");
        let thread = Some(std::thread::spawn(|| inward.run()));
        Self { bench, mailbox, orders, figures, access, seen: Default::default(), handoffs: 0, thread }
    }

    /// Waits until everything is subscribed, again if it was before.
    fn settled(&self) {
        let order = self.order();
        assert!(matches!(order, Order::Recheck), "{order:?}");
        assert!(self.figures.is_listening.load(Relaxed));
    }

    fn order(&self) -> Order {
        self.orders.recv_timeout(PATIENCE).expect("an order in time")
    }

    fn post(&self, arrival: Arrival) {
        self.mailbox.post(arrival);
    }

    /// What the shard is given next.
    fn next(&mut self, shard: usize) -> Seen {
        self.next_within(shard, PATIENCE).unwrap_or_else(|| panic!("shard {shard} got nothing in time"))
    }

    fn next_within(&mut self, shard: usize, patience: Duration) -> Option<Seen> {
        let deadline = Instant::now() + patience;
        let mut events = Events::with_capacity(4);
        loop {
            if let Some(seen) = self.seen[shard].pop_front() {
                return Some(seen);
            }
            self.bench.inboxes[shard].open();
            let Some(Post::Mail(mail)) = self.bench.inboxes[shard].take() else {
                let left = deadline.checked_duration_since(Instant::now())?;
                self.bench.polls[shard].poll(&mut events, Some(left)).expect("poll");
                continue;
            };
            let Mail::Relayed(things) = mail else { return Some(Seen::Mail(mail)) };
            self.handoffs += 1;
            self.seen[shard].extend(things.iter().map(|thing| match thing {
                Relayed::Publication(publication) => Seen::Message(number_in(&publication.frames[0])),
                Relayed::Lost { stream, count } => Seen::Lost(stream.clone(), *count),
            }));
        }
    }

    /// The next mail for the shard, which neither a message nor a loss may precede.
    fn mail(&mut self, shard: usize) -> Mail {
        match self.next(shard) {
            Seen::Mail(mail) => mail,
            other => panic!("{other:?} came before the mail"),
        }
    }

    /// The first shard joins a channel, and is told.
    fn join(&mut self, name: &str) -> ChannelName {
        let channel = channel(name);
        self.post(Arrival::Join { shard: ShardId(0), channel: channel.clone() });
        let mail = self.mail(0);
        assert!(matches!(&mail, Mail::Joined(joined) if *joined == channel), "{mail:?}");
        channel
    }

    /// What reaches a shard until everything up to number `last` of one sender and stream came or was told lost:
    /// delivered in order, each once, and the losses where they belong.
    fn account(&mut self, shard: usize, last: u64) -> Account {
        let mut account = Account::default();
        while account.sum() < last {
            match self.next(shard) {
                Seen::Message(number) => account.message(number),
                Seen::Lost(_, count) => account.lost += count,
                Seen::Mail(mail) => panic!("{mail:?}"),
            }
        }
        assert_eq!(account.sum(), last, "no more is told lost than was: {account:?}");
        account
    }

    fn calls(&self) -> Calls {
        Calls { keys: Keys::new("p"), me: Incarnation { boot: OWN, count: 0 }, verb: Verb::Publish }
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        self.post(Arrival::Stop);
        let ended = self.thread.take().expect("once").join();
        if !std::thread::panicking() {
            ended.expect("no panic").expect("no error");
        }
    }
}

#[derive(Default, Debug)]
struct Account {
    messages: u64,
    lost: u64,
    newest: u64,
}

impl Account {
    fn message(&mut self, number: u64) {
        assert!(number > self.newest, "{number} after {}", self.newest);
        self.newest = number;
        self.messages += 1;
    }

    fn sum(&self) -> u64 {
        self.messages + self.lost
    }
}

/// Another node, as far as its messages go.
struct Peer {
    boot: NodeId,
    access: Access,
    topology: Topology,
    lines: Vec<Connection>,
    calls: Calls,
    /// The last number of each stream.
    numbers: HashMap<Stream, u64>,
}

impl Peer {
    fn new(receiving: &Receiving, boot: NodeId) -> Self {
        let access = receiving.access.clone();
        let topology = Topology::discover(&access).expect("Redis is there");
        let verb = if topology.is_sharded() { Verb::Spublish } else { Verb::Publish };
        let calls = Calls { keys: Keys::new("p"), me: Incarnation { boot, count: 0 }, verb };
        let mut peer = Self { boot, access, topology, lines: Vec::new(), calls, numbers: HashMap::new() };
        peer.connect();
        peer
    }

    fn connect(&mut self) {
        let open = |host| Connection::open(host, &self.access).expect("Redis is there");
        self.lines = self.topology.masters.iter().map(open).collect();
        let (packed, replies) = load_all();
        for line in &mut self.lines {
            line.send(&packed).expect("it reads");
            (0..replies).for_each(|_| drop(line.receive().expect("it answers")));
        }
    }

    fn run(&mut self, call: &Call) -> Value {
        let mut packed = Vec::new();
        call.pack_into(&mut packed);
        let line = &mut self.lines[self.topology.master_of(call.key())];
        line.send(&packed).expect("it reads");
        let value = line.receive().expect("it answers");
        assert!(!matches!(value, Value::ServerError(_)), "{value:?}");
        value
    }

    /// A command to every master; the reply of the last.
    fn command(&mut self, command: &Cmd) -> Value {
        let replies = self.lines.iter_mut().map(|line| line.ask(command).expect("it answers"));
        replies.last().expect("a master")
    }

    fn envelope(&self, body: Body) -> Vec<u8> {
        Envelope { origin: self.boot, sent_unix_ms: 1_700_000_000_000, body }.encode()
    }

    /// The next message of the stream, sent as a node sends it. Its payload is its number.
    fn push(&mut self, stream: &Stream) {
        let last = self.numbers.entry(stream.clone()).or_default();
        *last += 1;
        let number = Number { generation: 1, number: *last, lost: 0 };
        self.push_as(stream, number, 0);
    }

    /// A message with this number, and so many bytes more than it needs.
    fn push_as(&mut self, stream: &Stream, number: Number, padding: usize) {
        let frame = text_frame(|out| {
            out.extend_from_slice(number.number.to_string().as_bytes());
            out.resize(out.len() + padding, b' ');
        });
        let envelope = self.envelope(Body::Message { stream: stream.clone(), number, kind: None, frame });
        let call = match stream {
            Stream::Channel(channel) => self.calls.publish_channel(channel, number, &envelope),
            Stream::User(user) => self.calls.publish_user(user, number, &envelope),
            Stream::All => self.calls.publish_all(number, &envelope),
        };
        self.run(&call);
    }

    /// Something for every node.
    fn tell_all(&mut self, body: Body) {
        let call = self.calls.tell_all(&self.envelope(body));
        self.run(&call);
    }

    /// Something for the node under test.
    fn tell(&mut self, body: Body) {
        let call = self.calls.tell_node(OWN, 0, &self.envelope(body));
        self.run(&call);
    }

    /// What the sending thread does on [`Order::Recheck`]: reads the user's heads, and sends a marker behind them.
    fn recheck(&mut self, receiving: &Receiving, user: &UserName) {
        static TICKET: AtomicU64 = AtomicU64::new(1);
        let after = TICKET.fetch_add(1, Relaxed);
        let call = self.calls.user_heads(user);
        let heads = reply::heads(&self.run(&call), OWN).expect("heads");
        receiving.post(Arrival::Heads { user: user.clone(), heads, after });
        let marker = Envelope { origin: OWN, sent_unix_ms: 0, body: Body::Marker { ticket: after } }.encode();
        let channel = self.calls.keys.to_node(self.calls.keys.partition(user), OWN);
        let publish = cmd(self.calls.verb.as_str()).arg(channel).arg(marker).to_owned();
        self.command(&publish);
    }

    /// How many subscribe to something.
    fn subscribers(&mut self, name: &str) -> i64 {
        let verb = if self.topology.is_sharded() { "SHARDNUMSUB" } else { "NUMSUB" };
        let master = self.topology.master_of(name.as_bytes());
        let reply = self.lines[master].ask(cmd("PUBSUB").arg(verb).arg(name)).expect("it answers");
        let Value::Array(pair) = reply else { panic!("an array: {reply:?}") };
        let [_, Value::Int(count)] = pair[..] else { panic!("one channel: {pair:?}") };
        count
    }
}

fn channel(name: &str) -> ChannelName {
    ChannelName::parse(name).expect("valid")
}

fn user(name: &str) -> UserName {
    UserName::parse(name).expect("valid")
}

fn stream(channel: &ChannelName) -> Stream {
    Stream::Channel(channel.clone())
}

fn session(shard: u16, index: u32) -> SessionRef {
    SessionRef { shard: ShardId(shard), conn: ConnId { index, generation: 0 } }
}

fn session_id(boot: NodeId, shard: u16, index: u32) -> SessionId {
    SessionId { boot, at: session(shard, index) }
}

/// The payload of a frame that [`Peer::push_as`] made.
fn number_in(frame: &[u8]) -> u64 {
    let head = match frame[1] {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    std::str::from_utf8(&frame[head..]).expect("text").trim_end().parse().expect("a number")
}

/// Waits for what has no event to wait for.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::yield_now();
    }
}
