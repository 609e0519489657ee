//! The thread that receives: one subscriber connection per master of Redis, and what arrives goes to the shards.
//!
//! | file | what |
//! |---|---|
//! | `posts` | what the other threads ask |
//! | `envelopes` | what other nodes send |
//! | `standing` | connections that come and go |
//! | `links`, `link` | the connections: one per master; what one is subscribed to |
//! | `connector` | making connections, on a thread aside |
//! | `interest` | which channels the shards want, and how far each is subscribed |
//! | `gather` | questions under way between nodes |
//! | `handoff` | what arrived, on its way to the shards |
//! | `markers`, `early`, `muting` | what comes by two ways, brought back into order |
//!
//! Nothing here waits for Redis: the shards' posts are answered at every moment, at once while Redis is away. Only a full
//! intake stops the reading, until there is room. Knows nothing of sessions.
//!
//! # How a stream stays exact
//!
//! A stream's heads are read right behind its subscription, on the same connection. Redis carries out both in order, and
//! the scripts that send note the head and publish in one; so everything up to the heads was sent before the reply, on
//! this connection if the subscription was first, and everything else comes behind it. What of it the ledger has not
//! noted by then is lost. Users' streams share a few subscriptions, so their heads come from the sending thread, and a
//! marker it sends to this node stands in for the order of replies.

mod connector;
mod early;
mod envelopes;
mod gather;
mod handoff;
mod interest;
mod link;
mod links;
mod markers;
mod muting;
mod posts;
mod standing;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use arc_swap::ArcSwap;
use crossbeam_channel::Sender;
use epush_core::mail::Mail;
use epush_core::relay::{Ledger, NodeId, UNHEARD_MS};
use mio::{Events, Poll, Token};

use self::connector::Connector;
use self::early::Early;
use self::envelopes::Held;
use self::gather::{Done, Gather};
use self::handoff::HandOff;
use self::interest::Interest;
use self::links::Links;
use self::markers::Markers;
use self::muting::Muting;
use self::standing::Retry;
use super::keys::Keys;
use super::{Access, Arrival, ClusterView, Order, RelayFigures};
use crate::clock::Clock;
use crate::intake::Intake;
use crate::logging::Throttle;
use crate::mailbox::{Inbox, Mailbox};
use crate::reactor::Post;

/// What a receiving thread is made of.
pub struct InwardSetup {
    /// The poll its inbox wakes with [`WAKE`].
    pub poll: Poll,
    /// Where the others' posts arrive.
    pub inbox: Inbox<Arrival>,
    /// The way into Redis.
    pub access: Access,
    /// How things are named there.
    pub keys: Keys,
    /// This node.
    pub boot: NodeId,
    /// The sub-reactors, by shard.
    pub shards: Vec<Mailbox<Post>>,
    /// The sending thread.
    pub outward: Sender<Order>,
    /// Room for publications on this node.
    pub intake: Intake,
    /// The relay's numbers.
    pub figures: Arc<RelayFigures>,
    /// The cluster as last seen: for Redis's clock.
    pub view: Arc<ArcSwap<ClusterView>>,
    /// The node's clock.
    pub clock: Clock,
    /// `cluster.linger_ms`.
    pub linger_ms: u64,
    /// `cluster.timeout_ms`.
    pub timeout_ms: u64,
}

/// The token of the inbox's waker.
pub const WAKE: Token = Token(usize::MAX);
/// The token of the connector's bell.
const BELL: Token = Token(usize::MAX - 1);

/// Posts handled per turn: bounds how long a mass of joins keeps messages waiting.
const POSTS_PER_TURN: usize = 4_096;

/// Replies and messages taken from one connection per turn: bounds how long the others, and the shards, wait.
const VALUES_PER_TURN: usize = 1_024;

/// When a full intake is tried again: shards make room all the time, and nobody tells.
const FULL_AGAIN_MS: u64 = 1;

/// How often the ledger forgets senders.
const PRUNE_EVERY_MS: u64 = 60_000;

/// See the module.
pub struct Inward {
    poll: Poll,
    inbox: Inbox<Arrival>,
    connector: Connector,
    boot: NodeId,
    outward: Sender<Order>,
    intake: Intake,
    figures: Arc<RelayFigures>,
    view: Arc<ArcSwap<ClusterView>>,
    clock: Clock,
    timeout_ms: u64,
    links: Links,
    retry: Retry,
    interest: Interest,
    gather: Gather,
    ledger: Ledger,
    markers: Markers,
    early: Early,
    muting: Muting,
    handoff: HandOff,
    /// A message for which the intake has no room. While there is one, nothing is read.
    held: Option<Held>,
    /// Whether everything is subscribed; what [`RelayFigures::is_listening`] shows.
    is_listening: bool,
    prune_at_ms: u64,
    throttle: Throttle,
}

/// Whether the loop goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Flow {
    Go,
    Stop,
}

impl Inward {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// The system's.
    pub fn new(setup: InwardSetup) -> io::Result<Self> {
        let connector = Connector::new(setup.access, setup.poll.registry(), BELL)?;
        Ok(Self {
            poll: setup.poll,
            inbox: setup.inbox,
            connector,
            links: Links::new(setup.keys, setup.boot),
            boot: setup.boot,
            outward: setup.outward,
            intake: setup.intake,
            figures: setup.figures,
            view: setup.view,
            clock: setup.clock,
            timeout_ms: setup.timeout_ms,
            retry: Retry::default(),
            interest: Interest::new(setup.linger_ms),
            gather: Gather::new(setup.boot, setup.timeout_ms),
            ledger: Ledger::default(),
            markers: Markers::default(),
            early: Early::default(),
            muting: Muting::default(),
            handoff: HandOff::new(setup.shards),
            held: None,
            is_listening: false,
            prune_at_ms: PRUNE_EVERY_MS,
            throttle: Throttle::default(),
        })
    }

    /// Runs until [`Arrival::Stop`].
    ///
    /// # Errors
    /// When polling fails, which it does not on a poll that is open.
    pub fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(64);
        loop {
            let patience = self.patience();
            match self.poll.poll(&mut events, patience) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for event in &events {
                if let Some(link) = self.links.get(event.token().0) {
                    link.is_readable = true;
                }
            }
            // 1. Posts before messages: what the shards wait for must not stand behind a flood.
            if self.read_posts() == Flow::Stop {
                return Ok(());
            }
            // 2. Connections that were made.
            self.take_news();
            // 3. What arrived, to the shards in one piece.
            self.read_links();
            self.handoff.flush();
            // 4. What is due.
            self.meet_deadlines();
            // 5. Everything that is to be asked, in one write per connection.
            self.flush_links();
            self.show();
        }
    }

    fn patience(&mut self) -> Option<Duration> {
        if !self.inbox.is_empty() {
            return Some(Duration::ZERO);
        }
        let now_ms = self.now_ms();
        if self.held.is_some() {
            return Some(Duration::from_millis(FULL_AGAIN_MS));
        }
        let timeout_ms = self.timeout_ms;
        if self.links.standing_links().any(|(_, link)| link.is_readable) {
            return Some(Duration::ZERO);
        }
        let links = self.links.standing_links().map(|(_, link)| link.next_ms(timeout_ms)).min();
        let retry = (self.links.is_one_missing() && !self.connector.is_busy()).then(|| self.retry.at_ms());
        let due = [links, retry, self.interest.next_ms(), self.gather.next_ms(), Some(self.prune_at_ms)];
        let next_ms = due.into_iter().flatten().min()?;
        // A millisecond too late rather than many turns too early: the poll rounds as well.
        Some(Duration::from_millis(next_ms.saturating_sub(now_ms).max(1)))
    }

    fn read_posts(&mut self) -> Flow {
        self.inbox.open();
        let now_ms = self.now_ms();
        for _ in 0..POSTS_PER_TURN {
            match self.inbox.take() {
                None => break,
                Some(Arrival::Stop) => return Flow::Stop,
                Some(arrival) => self.post_arrived(arrival, now_ms),
            }
        }
        Flow::Go
    }

    fn read_links(&mut self) {
        let now_ms = self.now_ms();
        if !self.retry_held(now_ms) {
            return;
        }
        for master in 0..self.links.len() {
            for _ in 0..VALUES_PER_TURN {
                let Some(link) = self.links.get(master).filter(|link| link.is_readable) else { break };
                match link.receive(now_ms) {
                    Ok(Some(heard)) => self.heard(heard, now_ms),
                    Ok(None) => break,
                    Err(loss) => self.lose(master, &loss, now_ms),
                }
                if self.held.is_some() {
                    return;
                }
            }
        }
    }

    fn meet_deadlines(&mut self) {
        let now_ms = self.now_ms();
        // What nobody reads cannot tell whether it lives.
        if self.held.is_none() {
            for (master, loss) in self.links.check(self.timeout_ms, now_ms) {
                self.lose(master, &loss, now_ms);
            }
        }
        self.unsubscribe_idle(now_ms);
        while let Some(done) = self.gather.expire(now_ms) {
            self.answer(done);
        }
        if now_ms >= self.prune_at_ms {
            self.prune_at_ms = now_ms + PRUNE_EVERY_MS;
            // While the way is cut, nobody is heard.
            if self.is_listening {
                self.ledger.prune(now_ms.saturating_sub(UNHEARD_MS));
            }
        }
        self.connect_if_due(now_ms);
    }

    fn flush_links(&mut self) {
        let now_ms = self.now_ms();
        for (master, loss) in self.links.flush(now_ms) {
            self.lose(master, &loss, now_ms);
        }
    }

    /// Tells who asked what the other nodes said.
    fn answer(&mut self, done: Done) {
        let Done { report, answer } = done;
        self.handoff.post(report.shard, Mail::Answer { ticket: report.ticket, answer });
    }

    /// Brings the numbers others read up to date.
    fn show(&mut self) {
        self.figures.channels.store(self.interest.subscribed() as u64, Relaxed);
        let is_listening = self.links.are_settled();
        if is_listening == self.is_listening {
            return;
        }
        self.is_listening = is_listening;
        self.figures.is_listening.store(is_listening, Relaxed);
        if is_listening {
            self.settled();
        }
    }

    fn order(&self, order: Order) {
        // A thread that has ended leaves nobody who waits: the node stops.
        let _ = self.outward.send(order);
    }

    fn now_ms(&self) -> u64 {
        self.clock.monotonic_us() / 1_000
    }
}
