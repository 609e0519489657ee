//! The whole of a sub-reactor but its I/O: every connection of one thread, its channels, users and timers.
//!
//! Bytes, mail and the time go in; outbox slices, a deadline and effects come out. Nothing here blocks, shares or
//! reads a clock. Each stage of a connection has its file:
//!
//! | file | stage |
//! |---|---|
//! | `sockets` | adopting, reading, writing, ending |
//! | `exchange`, `received` | HTTP requests and the API's answers; their bytes until they are understood |
//! | `upgrade` | what the client listener does with a request |
//! | `sessions` | verdicts, signing in, opening, closing |
//! | `commands` | frames of an open session |
//! | `joins` | channels on their way into the cluster |
//! | `fanout` | publications as they arrive |
//! | `flush`, `offer` | joined into batches; a batch offered to one session |
//! | `windows` | channels whose messages wait to share a write |
//! | `questions` | what shards ask each other, and the answers |
//! | `deadlines` | time-outs, heartbeats, periodic pushes, draining |

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use serde_json::value::RawValue;
use slab::Slab;

use crate::connection::{Connection, Flags, Phase};
use crate::counters::Counters;
use crate::effect::Effect;
use crate::hub::Hub;
use crate::id::{ConnId, SessionId, SessionRef, ShardId};
use crate::mail::Mail;
use crate::message::UserName;
use crate::now::Now;
use crate::registry::Registry;
use crate::settings::Settings;
use crate::wheel::TimerWheel;

mod commands;
mod deadlines;
pub mod exchange;
mod fanout;
mod flush;
mod joins;
mod offer;
mod questions;
mod received;
mod sessions;
mod sockets;
mod upgrade;
mod windows;

pub use deadlines::JobRequest;
use deadlines::{Drain, Due, Job};
use joins::Joins;
use questions::Ticket;

/// Which listener a connection came through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Door {
    /// Clients: WebSocket.
    Client,
    /// Back ends and operators: the control API.
    Api,
}

/// How the peer's half ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// It will send no more.
    Eof,
    /// The connection is gone.
    Reset,
}

/// What a shard is told once.
#[derive(Clone, Debug)]
pub struct ShardSetup {
    /// Its number.
    pub id: ShardId,
    /// How many shards the node has, at least 1.
    pub shards: u16,
    /// Drawn at random when the node starts; part of every [`SessionId`].
    pub boot: u64,
    /// The node's name.
    pub node: Arc<str>,
    /// Whether other nodes are to be told of users and channels.
    pub clustered: bool,
    /// Limits and rules.
    pub settings: Arc<Settings>,
}

/// A session as handlers see it.
pub struct SessionView<'a> {
    /// Its public name.
    pub id: SessionId,
    /// The user; none: anonymous.
    pub user: Option<&'a UserName>,
    /// The client's address, behind trusted proxies too.
    pub remote: IpAddr,
    /// What the application attached: a JSON object.
    pub attributes: Option<&'a RawValue>,
}

/// Who a session was.
struct Departed {
    conn: ConnId,
    user: Option<UserName>,
    attributes: Option<Box<RawValue>>,
}

/// Numbers cheap enough to publish every turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Gauges {
    /// Connections of any kind.
    pub connections: usize,
    /// Sessions open.
    pub sessions: usize,
    /// Users whose home this is.
    pub users: usize,
}

/// All connections of one thread and everything they share.
pub struct Shard {
    setup: ShardSetup,
    connections: Slab<Connection>,
    /// The next generation of each slab index ever used.
    generations: Vec<u32>,
    hub: Hub,
    joins: Joins,
    registry: Registry,
    wheel: TimerWheel<Due>,
    jobs: Slab<Job>,
    /// Questions under way, by ticket.
    tickets: HashMap<u64, Ticket>,
    next_ticket: u64,
    effects: VecDeque<Effect>,
    /// Who the sessions were that departed while effects waited: what they asked before is still theirs.
    ///
    /// Invariant: empty when no effect waits.
    departed: Vec<Departed>,
    /// Mail of this shard to itself, handled before the call that wrote it returns.
    own_mail: VecDeque<Mail>,
    /// Connections with answers to write.
    ///
    /// Invariant: every one flagged [`Flags::URGENT`] is listed; an index listed without the flag is left from a
    /// connection that is gone, and is passed over.
    urgent: VecDeque<u32>,
    /// Connections with fan-out to write, likewise with [`Flags::BULK`].
    bulk: VecDeque<u32>,
    /// How many at the front of `bulk` stood there at the last flush: the next fan-out to many waits for these.
    fanout_left: usize,
    /// Urgent writes still allowed this turn.
    urgent_left: usize,
    /// Slots to free at the end of the turn.
    dead: Vec<u32>,
    counters: Counters,
    /// Connections of [`Door::Client`] that live.
    clients: usize,
    /// Sessions flagged [`Flags::MUTES`]: while 0, nobody looks at message types.
    muted_sessions: usize,
    drain: Option<Drain>,
    /// Whether messages may wait in windows: see [`Shard::allow_windows`].
    ///
    /// Invariant: while they may not, no channel has a window.
    windows_allowed: bool,
    /// The time of the call under way.
    now: Now,
}

/// Answers written per turn before fan-out gets its share: bounds what a crowd of chatty clients can take.
const URGENT_WRITES_PER_TURN: usize = 1_024;

impl Shard {
    /// An empty shard.
    #[must_use]
    pub fn new(setup: ShardSetup, now: Now) -> Self {
        Self {
            setup,
            connections: Slab::new(),
            generations: Vec::new(),
            hub: Hub::default(),
            joins: Joins::default(),
            registry: Registry::default(),
            wheel: TimerWheel::new(now.monotonic_ms()),
            jobs: Slab::new(),
            tickets: HashMap::new(),
            next_ticket: 0,
            effects: VecDeque::new(),
            departed: Vec::new(),
            own_mail: VecDeque::new(),
            urgent: VecDeque::new(),
            bulk: VecDeque::new(),
            fanout_left: 0,
            urgent_left: URGENT_WRITES_PER_TURN,
            dead: Vec::new(),
            counters: Counters::default(),
            clients: 0,
            muted_sessions: 0,
            drain: None,
            windows_allowed: true,
            now,
        }
    }

    /// The next thing the shard asks for. Drain it after every call.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        let effect = self.effects.pop_front();
        if effect.is_none() {
            self.departed.clear();
        }
        effect
    }

    /// Whether the shard asks for something: cheaper than finding out by asking, after every write.
    #[must_use]
    #[inline]
    pub fn has_effects(&self) -> bool {
        !self.effects.is_empty()
    }

    /// A session's public face, as it is; of one that departed, while its effects are drained, as it was. None once its
    /// slot was freed.
    #[must_use]
    pub fn view(&self, conn: ConnId) -> Option<SessionView<'_>> {
        let connection = self.connections.get(conn.index as usize).filter(|c| c.generation == conn.generation)?;
        let departed = self.departed.iter().find(|departed| departed.conn == conn);
        let user = connection.user.and_then(|slot| self.hub.user(slot)).map(|user| &user.name);
        let user = user.or(departed.and_then(|departed| departed.user.as_ref()));
        let attributes = connection.rare.as_ref().and_then(|rare| rare.attributes.as_deref());
        let attributes = attributes.or(departed.and_then(|departed| departed.attributes.as_deref()));
        Some(SessionView { id: self.session_id(conn), user, remote: connection.remote, attributes })
    }

    /// The numbers to publish this turn.
    #[must_use]
    pub fn gauges(&self) -> Gauges {
        Gauges {
            connections: self.connections.len() - self.dead.len(),
            sessions: self.counters.sessions as usize,
            users: self.registry.users(),
        }
    }

    /// Whether the shard is draining and no client is left.
    #[must_use]
    pub const fn is_drained(&self) -> bool {
        self.drain.is_some() && self.clients == 0
    }

    /// Frees the slots of closed connections. The last thing of a turn: until then a token of this turn's events
    /// cannot meet another connection in its slot.
    pub fn end_turn(&mut self) {
        for index in self.dead.drain(..) {
            self.connections.remove(index as usize);
        }
        self.urgent_left = URGENT_WRITES_PER_TURN;
    }

    fn session_ref(&self, conn: ConnId) -> SessionRef {
        SessionRef { shard: self.setup.id, conn }
    }

    fn session_id(&self, conn: ConnId) -> SessionId {
        SessionId { boot: self.setup.boot, at: self.session_ref(conn) }
    }

    /// The connection, unless it is gone.
    fn find(&mut self, conn: ConnId) -> Option<&mut Connection> {
        let connection = self.connections.get_mut(conn.index as usize)?;
        (connection.generation == conn.generation && connection.phase != Phase::Dead).then_some(connection)
    }

    fn conn_id(&self, index: u32) -> Option<ConnId> {
        let connection = self.connections.get(index as usize)?;
        Some(ConnId { index, generation: connection.generation })
    }

    /// Appends frames of the session's own and puts it on the urgent list.
    fn push_own(&mut self, conn: ConnId, write: impl FnOnce(&mut Vec<u8>)) {
        let Some(connection) = self.find(conn) else { return };
        let before = connection.outbox.bytes();
        connection.outbox.push_own(write);
        let added = connection.outbox.bytes() - before;
        self.counters.outbox_bytes += added as u64;
        self.mark_urgent(conn.index);
    }

    fn mark_urgent(&mut self, index: u32) {
        let connection = &mut self.connections[index as usize];
        if !connection.flags.has(Flags::URGENT) && !connection.flags.has(Flags::BLOCKED) {
            connection.flags.set(Flags::URGENT, true);
            self.urgent.push_back(index);
        }
    }

    /// Sends mail to a shard; to itself, it is handled before the current call returns.
    fn send(&mut self, to: ShardId, mail: Mail) {
        if to == self.setup.id {
            self.own_mail.push_back(mail);
        } else {
            self.effects.push_back(Effect::Send { to, mail });
        }
    }

    /// Handles the mail this shard sent itself.
    fn settle(&mut self) {
        while let Some(mail) = self.own_mail.pop_front() {
            self.handle_one(mail);
        }
    }

    /// Asserts that nothing is left of anybody; for tests and debug builds.
    #[cfg(any(test, debug_assertions))]
    pub fn assert_idle(&self) {
        assert!(self.connections.is_empty() && self.dead.is_empty());
        assert!(self.jobs.is_empty() && self.wheel.is_empty() && self.tickets.is_empty());
        assert!(self.effects.is_empty() && self.departed.is_empty() && self.own_mail.is_empty());
        assert_eq!(self.hub.channels_len() + self.hub.users_len() + self.registry.users() + self.joins.len(), 0);
        assert_eq!((self.counters.sessions, self.counters.outbox_bytes), (0, 0));
        assert_eq!((self.clients, self.muted_sessions), (0, 0));
        assert!(!self.has_pending());
    }

    /// Asserts what the fields promise; for tests and debug builds.
    #[cfg(any(test, debug_assertions))]
    pub fn assert_invariants(&self) {
        let mut sessions = 0;
        let mut muted = 0;
        let mut clients = 0;
        let mut outbox_bytes = 0;
        for (index, connection) in &self.connections {
            if connection.phase == Phase::Dead {
                assert!(self.dead.contains(&(index as u32)));
                continue;
            }
            connection.outbox.assert_invariants();
            outbox_bytes += connection.outbox.bytes() as u64;
            clients += usize::from(connection.door == Door::Client);
            sessions += u64::from(connection.flags.has(Flags::ADMITTED));
            muted += usize::from(connection.flags.has(Flags::MUTES));
            let listed = |list: &VecDeque<u32>| list.contains(&(index as u32));
            assert!(!connection.flags.has(Flags::URGENT) || listed(&self.urgent));
            assert!(!connection.flags.has(Flags::BULK) || listed(&self.bulk));
            let unwritten = !connection.outbox.is_empty() && !connection.flags.has(Flags::BLOCKED);
            assert!(!unwritten || connection.flags.has(Flags::URGENT | Flags::BULK), "somebody will write it");
            for subscription in &connection.subscriptions {
                let channel = self.hub.channel(subscription.channel).expect("subscribed channels exist");
                assert_eq!(channel.members[subscription.position as usize] as usize, index);
            }
            if let Some(user) = connection.user {
                assert!(self.hub.user(user).expect("its user is here").sessions.contains(&(index as u32)));
            }
        }
        assert_eq!(clients, self.clients);
        assert_eq!(sessions, self.counters.sessions);
        assert_eq!(muted, self.muted_sessions);
        assert_eq!(outbox_bytes, self.counters.outbox_bytes);
        self.assert_joins();
        self.assert_windows();
        let memberships: usize = self.connections.iter().map(|(_, c)| c.subscriptions.len()).sum();
        assert_eq!(memberships, self.hub.channels().map(|channel| channel.members.len()).sum::<usize>());
    }
}
