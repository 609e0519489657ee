//! The sending thread against a real Redis: driven by orders, watched through plain connections.

mod asking;
mod lives;
mod outages;
mod publishing;
mod signing;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::Bytes;
use crossbeam_channel::unbounded;
use epush_core::batch::Stream;
use epush_core::id::{ConnId, SessionId, SessionRef, ShardId};
use epush_core::mail::Mail;
use epush_core::message::{Target, UserName};
use epush_core::relay::{Body, Envelope, Number};
use epush_core::wire::websocket::text_frame;
use mio::{Events, Poll, Token, Waker};
use redis::{Cmd, PushKind, Value, cmd};

use super::*;
use crate::config::{ClusterConfig, Secret};
use crate::intake::Intake;
use crate::mailbox::{Inbox, mailbox};
use crate::relay::connection::Connection;
use crate::relay::front::{Front, Room};
use crate::relay::scripts::{Entry, reply};
use crate::relay::testing::{PATIENCE, RedisServer};
use crate::relay::url::Host;

const LEASE_MS: u64 = 2_000;

/// A node's sending thread, and everybody it talks to but Redis.
struct Node {
    front: Front,
    boot: NodeId,
    inward: Ear<Arrival>,
    shards: Vec<Ear<Post>>,
    thread: Option<JoinHandle<()>>,
}

/// An inbox, and the poll that wakes for it.
struct Ear<T> {
    poll: Poll,
    inbox: Inbox<T>,
}

impl<T> Ear<T> {
    fn new() -> (Mailbox<T>, Self) {
        let poll = Poll::new().expect("a poll");
        let (post, inbox) = mailbox(Waker::new(poll.registry(), Token(0)).expect("a waker"));
        (post, Self { poll, inbox })
    }

    /// The next post, unless none comes in time.
    fn within(&mut self, time: Duration) -> Option<T> {
        let deadline = Instant::now() + time;
        loop {
            self.inbox.open();
            if let Some(post) = self.inbox.take() {
                return Some(post);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            self.poll.poll(&mut Events::with_capacity(4), Some(left)).expect("a poll");
        }
    }

    fn next(&mut self) -> T {
        self.within(PATIENCE).expect("a post")
    }

    /// The next that this says something about.
    fn find<R>(&mut self, mut look: impl FnMut(T) -> Option<R>) -> R {
        loop {
            if let Some(found) = look(self.next()) {
                return found;
            }
        }
    }
}

impl Node {
    fn start(server: &RedisServer, boot: NodeId) -> Self {
        Self::start_with(server, boot, |_| {})
    }

    fn start_with(server: &RedisServer, boot: NodeId, change: impl FnOnce(&mut OutwardSetup)) -> Self {
        let (outward, orders) = unbounded();
        let (post, inward) = Ear::new();
        let (shard_0, ear_0) = Ear::new();
        let (shard_1, ear_1) = Ear::new();
        let front = Front {
            outward,
            inward: post,
            queue: Intake::new(10_000),
            losses: Intake::new(1024 * 1024),
            view: Arc::default(),
            figures: Arc::default(),
        };
        let mut setup = OutwardSetup {
            orders,
            inward: front.inward.clone(),
            shards: vec![shard_0, shard_1],
            access: access(server, 500),
            keys: keys(),
            boot,
            record: record(boot),
            gauges: Arc::new(NodeGauges::new(2)),
            clock: Clock::start(),
            figures: Arc::clone(&front.figures),
            view: Arc::clone(&front.view),
            per_user: 0,
            muted_types_max: 2,
            lease_ms: LEASE_MS,
            timeout_ms: 500,
        };
        change(&mut setup);
        let thread = thread::spawn(move || Outward::new(setup).run());
        Self { front, boot, inward, shards: vec![ear_0, ear_1], thread: Some(thread) }
    }

    /// A node that Redis knows.
    fn up(server: &RedisServer, boot: NodeId) -> Self {
        let mut node = Self::start(server, boot);
        node.wait_until_up(true);
        node
    }

    fn wait_until_up(&mut self, up: bool) {
        let figures = Arc::clone(&self.front.figures);
        eventually(|| (figures.is_up.load(Relaxed) == up).then_some(()));
    }

    fn order(&self, order: Order) {
        self.front.order(order);
    }

    /// Publishes, or has it noted as lost. Returns whether there was room.
    fn publish(&self, to: Target, text: &str) -> bool {
        match self.front.reserve(text.len(), 1).expect("room for the loss") {
            Room::Whole(permit) => {
                let frames = vec![text_frame(|out| out.extend_from_slice(text.as_bytes()))];
                self.order(Order::Publish { to, kind: None, frames, permit });
                true
            }
            Room::Loss(permit) => {
                self.order(Order::Lose { to, permit });
                false
            }
        }
    }

    fn sign_in(&self, name: &str, index: u32) -> SessionRef {
        let session = at(index);
        let remote = "192.0.2.1".parse().expect("an address");
        self.order(Order::SignIn { user: user(name), session, since_unix_ms: 7, remote });
        session
    }

    /// Waits until the session is in; returns its user's muted types.
    fn wait_signed_in(&mut self, wanted: SessionRef) -> Option<epush_core::mail::Mutes> {
        self.inward.find(|arrival| match arrival {
            Arrival::SignedIn { session, mutes, .. } if session == wanted => Some(mutes),
            _ => None,
        })
    }

    /// The next mail for shard 0 that this says something about.
    fn mail<R>(&mut self, mut look: impl FnMut(Mail) -> Option<R>) -> R {
        self.shards[0].find(|post| match post {
            Post::Mail(mail) => look(mail),
            _ => None,
        })
    }

    fn news(&mut self) -> crate::relay::ScheduleNews {
        self.shards[0].find(|post| match post {
            Post::Schedules(news) => Some(news),
            _ => None,
        })
    }

    fn stop(&mut self) {
        self.order(Order::Stop);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("it ends well");
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.order(Order::Stop);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking(), "the sending thread panicked");
        }
    }
}

/// A plain connection to Redis.
struct Plain(Connection);

impl Plain {
    fn open(server: &RedisServer) -> Self {
        let host = Host { name: "127.0.0.1".into(), port: server.port() };
        let patience_ms = PATIENCE.as_millis() as u64;
        let open = || Connection::open(&host, &access(server, patience_ms)).ok();
        Self(eventually(open))
    }

    fn ask(&mut self, command: &Cmd) -> Value {
        self.0.ask(command).expect("an answer")
    }

    fn run(&mut self, call: &Call) -> Value {
        let mut packed = Vec::new();
        call.pack_into(&mut packed);
        self.0.send(&packed).expect("it reads");
        self.0.receive().expect("an answer")
    }

    fn load(&mut self) {
        let (packed, count) = crate::relay::scripts::load_all();
        self.0.send(&packed).expect("it reads");
        (0..count).for_each(|_| drop(self.0.receive().expect("an answer")));
    }

    /// Its sessions in the directory.
    fn entries(&mut self, name: &str) -> Vec<Entry> {
        let mut entries = Entry::read_all(&self.run(&calls(0).sessions(&user(name)))).expect("a hash");
        entries.sort_by_key(|entry| entry.order);
        entries
    }

    fn online(&mut self) -> u64 {
        (0..crate::relay::keys::PARTITIONS)
            .map(|partition| reply::count(&self.run(&calls(0).online(partition))).expect("a count"))
            .sum()
    }

    /// A key's members, or fields.
    fn names(&mut self, command: &str, key: &str) -> Vec<String> {
        let value = self.ask(cmd(command).arg(key));
        let mut names: Vec<String> = redis::from_redis_value(value).expect("texts");
        names.sort();
        names
    }

    /// What is sent to this channel from now on.
    fn listen(server: &RedisServer, channel: &str) -> Self {
        let mut plain = Self::open(server);
        plain.ask(cmd("SUBSCRIBE").arg(channel));
        plain
    }

    fn bytes(&mut self) -> Vec<u8> {
        loop {
            if let Value::Push { kind: PushKind::Message | PushKind::SMessage, data } =
                self.0.receive().expect("a message")
                && let Some(Value::BulkString(bytes)) = data.get(1)
            {
                return bytes.clone();
            }
        }
    }

    fn envelope(&mut self) -> Envelope {
        Envelope::decode(&self.bytes().into()).expect("an envelope")
    }

    /// The next message's or announcement's number, and the message's text.
    fn numbered(&mut self) -> (Stream, Number, Option<String>) {
        loop {
            match self.envelope().body {
                Body::Message { stream, number, frame, .. } => return (stream, number, Some(text_of(&frame))),
                Body::Announce { stream, number } => return (stream, number, None),
                _ => {}
            }
        }
    }
}

/// The text of a frame below 64 KiB.
fn text_of(frame: &Bytes) -> String {
    let header = if frame[1] < 126 { 2 } else { 4 };
    String::from_utf8_lossy(&frame[header..]).into_owned()
}

fn access(server: &RedisServer, timeout_ms: u64) -> Access {
    let redis = Some(Secret::new(server.url()));
    Access::new(&ClusterConfig { redis, timeout_ms, ..ClusterConfig::default() }).expect("a URL")
}

fn keys() -> Keys {
    Keys::new("p")
}

/// The calls of a node in its first life.
fn calls(boot: NodeId) -> Calls {
    Calls { keys: keys(), me: Incarnation { boot, count: 0 }, verb: Verb::Publish }
}

fn record(boot: NodeId) -> NodeRecord {
    NodeRecord {
        name: format!("n{boot}"),
        boot: format!("{boot:x}"),
        address: "192.0.2.9:7000".into(),
        api: "192.0.2.9:7001".into(),
        version: "0".into(),
        state: "ready".into(),
        since: 1,
        connections: 0,
        users: 0,
        synced: true,
    }
}

fn user(name: &str) -> UserName {
    UserName::parse(name).expect("a name")
}

fn to_user(name: &str) -> Target {
    Target::Users(vec![user(name)])
}

fn at(index: u32) -> SessionRef {
    SessionRef { shard: ShardId(0), conn: ConnId { index, generation: 0 } }
}

fn entry(boot: NodeId, index: u32) -> Entry {
    let session = SessionId { boot, at: at(index) };
    Entry { session, order: 0, since_unix_ms: 7, remote: "192.0.2.1".parse().expect("an address") }
}

/// Looks until it sees something.
fn eventually<R>(mut look: impl FnMut() -> Option<R>) -> R {
    let deadline = Instant::now() + PATIENCE;
    let mut pause = Poll::new().expect("a poll");
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "it does not come about");
        // Nothing is registered: this only lets others run.
        pause.poll(&mut Events::with_capacity(1), Some(Duration::from_millis(5))).expect("a poll");
    }
}
