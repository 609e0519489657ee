//! The thread that sends: publications, the directory, leases, questions, schedules.
//!
//! It takes everything that waits, sends it to Redis in one pipeline per master, reads all replies, and so on. Nobody waits for it
//! but those who wait for an answer; without Redis it answers what needs none, remembers the rest, and makes up for it later.
//!
//! | file | owns |
//! |---|---|
//! | `links` | one connection per master, and pipelines over them |
//! | `outage` | Redis going away and coming back |
//! | `errand` | one call, and what its reply is for |
//! | `outcome` | replies to their places, and what becomes of errands without one |
//! | `publish` | what is on its way to other nodes |
//! | `roster` | who is signed in here |
//! | `directory` | telling Redis so |
//! | `lease` | this node's life, the view of the others, sweeping after the dead |
//! | `settle` | not publishing into a directory that is being rebuilt |
//! | `questions` | what is asked of the cluster |
//! | `schedules` | the cluster's schedules |
//! | `farewell` | leaving |

mod directory;
mod errand;
mod farewell;
mod lease;
mod links;
mod outage;
mod outcome;
mod publish;
mod questions;
mod roster;
mod schedules;
mod settle;
#[cfg(test)]
mod tests;

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, select};
use epush_core::id::{SessionId, SessionRef, ShardId};
use epush_core::mail::Mail;
use epush_core::relay::{Body, Envelope, NodeId};
use tracing::warn;

use super::connection::Access;
use super::figures::RelayFigures;
use super::keys::{Incarnation, Keys};
use super::order::{Arrival, Order};
use super::scripts::{Call, Calls, Verb};
use super::view::{ClusterView, NodeRecord};
use crate::clock::Clock;
use crate::gauges::NodeGauges;
use crate::logging::{Kind, Throttle};
use crate::mailbox::Mailbox;
use crate::reactor::Post;
use directory::Directory;
use errand::{Errand, Then};
use lease::Lease;
use outage::Link;
use publish::Queue;
use schedules::Schedules;
use settle::Settling;

/// What the sending thread is told once.
pub struct OutwardSetup {
    /// What it is to do.
    pub orders: Receiver<Order>,
    /// The receiving thread.
    pub inward: Mailbox<Arrival>,
    /// By [`ShardId`].
    pub shards: Vec<Mailbox<Post>>,
    /// The way into Redis.
    pub access: Access,
    /// What things are called there.
    pub keys: Keys,
    /// This node.
    pub boot: NodeId,
    /// What the others are told of it; state and counts are kept up to date here.
    pub record: NodeRecord,
    /// Its counts.
    pub gauges: Arc<NodeGauges>,
    /// The node's clock.
    pub clock: Clock,
    /// Written here.
    pub figures: Arc<RelayFigures>,
    /// Written here.
    pub view: Arc<ArcSwap<ClusterView>>,
    /// Sessions a user may have in the cluster; 0: any number.
    pub per_user: usize,
    /// Types a user may mute.
    pub muted_types_max: usize,
    /// `cluster.lease_ms`.
    pub lease_ms: u64,
    /// `cluster.timeout_ms`.
    pub timeout_ms: u64,
}

/// See the module.
pub struct Outward {
    setup: OutwardSetup,
    calls: Calls,
    link: Link,
    /// What goes out with the next pipeline.
    ///
    /// Invariant: empty while Redis is away.
    pipeline: Vec<Errand>,
    queue: Queue,
    directory: Directory,
    lease: Lease,
    /// Some while the others rebuild their part of the directory: messages wait.
    settling: Option<Settling>,
    schedules: Schedules,
    throttle: Throttle,
    is_stopping: bool,
}

/// Orders taken between two pipelines: bounds how long the first of them waits. As many as messages go into a pipeline.
const ORDERS_AT_ONCE: usize = 4_096;

/// The longest sleep: what is due in the far future is due, and clocks count it.
const IDLE_MAX: Duration = Duration::from_secs(60);

impl Outward {
    /// A thread that has yet to run.
    pub fn new(setup: OutwardSetup) -> Self {
        let me = Incarnation { boot: setup.boot, count: 0 };
        Self {
            calls: Calls { keys: setup.keys.clone(), me, verb: Verb::Publish },
            link: Link::new(),
            pipeline: Vec::new(),
            queue: Queue::default(),
            directory: Directory::new(setup.keys.clone()),
            lease: Lease::default(),
            settling: None,
            schedules: Schedules::default(),
            throttle: Throttle::default(),
            is_stopping: false,
            setup,
        }
    }

    /// Works until [`Order::Stop`].
    pub fn run(mut self) {
        let orders = self.setup.orders.clone();
        while !self.is_stopping {
            let (dialed, idle) = (self.link.dialed(), self.idle());
            select! {
                recv(orders) -> order => match order {
                    Ok(order) => self.take(order),
                    Err(_) => self.is_stopping = true,
                },
                recv(dialed) -> links => self.dialed(links),
                default(idle) => {}
            }
            for order in orders.try_iter().take(ORDERS_AT_ONCE) {
                self.take(order);
            }
            self.turn();
        }
        self.farewell();
    }

    /// How long nothing is to do unless somebody asks.
    fn idle(&self) -> Duration {
        let now_us = self.now_us();
        let due_us = match self.link.retry_us() {
            Some(retry_us) => retry_us,
            None if self.has_work() => now_us,
            None => self.lease.due_us(),
        };
        Duration::from_micros(due_us.saturating_sub(now_us)).min(IDLE_MAX)
    }

    fn has_work(&self) -> bool {
        let can_publish = !self.queue.is_empty() && !self.is_holding();
        let can_sync = self.is_up() && !self.directory.is_clean();
        self.link.is_up() && (!self.pipeline.is_empty() || can_publish || can_sync || self.lease.is_sweeping())
    }

    fn take(&mut self, order: Order) {
        match order {
            Order::Publish { to, kind, frames, permit } => {
                let now_ms = self.now_ms();
                self.queue.publish(to, kind.as_ref(), frames, permit, now_ms);
            }
            Order::Lose { to, permit } => {
                let lost = self.queue.lose(to, self.now_ms());
                self.setup.figures.dropped.fetch_add(lost, Relaxed);
                drop(permit);
            }
            Order::SignIn { user, session, since_unix_ms, remote } => {
                self.sign_in(user, session, since_unix_ms, remote);
            }
            Order::SignOut { user, session } => self.sign_out(user, session),
            Order::Muted { user, mutes } => self.directory.note_mutes(&user, mutes),
            Order::Recheck => self.directory.doubt_everything(),
            Order::Ask { question, report } => self.ask(question, report),
            Order::Query { ticket, question } => self.query(ticket, question),
            Order::Reply { to, ticket, answer } => self.reply(to, ticket, answer),
            Order::Schedule(order) => self.schedule(order),
            Order::SchedulesChanged => self.load_schedules(),
            Order::Limits { per_user, muted_types_max } => {
                (self.setup.per_user, self.setup.muted_types_max) = (per_user, muted_types_max);
            }
            Order::State { state, told } => {
                self.setup.record.state = state.word().into();
                self.lease.hasten();
                if self.is_up() {
                    self.lease.tell(told);
                }
            }
            Order::Stop => self.is_stopping = true,
        }
    }

    /// One pipeline: what was ordered, then what is due, then what waits.
    fn turn(&mut self) {
        self.redial();
        if self.link.is_up() {
            // The lease before everything that may take long.
            self.renew_when_due();
            self.sync_some();
            self.restore_some();
            self.sweep_some();
            self.release_messages();
            self.flush();
            self.end_restoring_when_done();
            self.end_settling_when_done();
        }
        self.setup.figures.queued.store(self.queue.len() as u64, Relaxed);
        self.setup.figures.untold.store(self.queue.untold() as u64, Relaxed);
    }

    /// Sends the pipeline and sees to the replies.
    fn flush(&mut self) {
        let pipeline = std::mem::take(&mut self.pipeline);
        if pipeline.is_empty() {
            return;
        }
        let calls: Vec<&Call> = pipeline.iter().map(|errand| &errand.call).collect();
        let sent_us = self.now_us();
        let (replies, outcome) = self.link.exchange(&calls);
        self.setup.figures.round_trip.observe(self.now_us() - sent_us);
        let mut unanswered = Vec::new();
        for (errand, reply) in pipeline.into_iter().zip(replies) {
            match reply {
                Some(reply) => self.answered(errand.then, &reply),
                None => unanswered.push(errand.then),
            }
        }
        match outcome {
            // Behind the first renewal, which looks how long it was not.
            Ok(()) if self.is_up() => self.link.note_sound(self.now_us()),
            Ok(()) => {}
            Err(broken) => self.lose_link(&broken.0),
        }
        self.unanswered(unanswered);
    }

    /// Messages that may go now join the pipeline.
    fn release_messages(&mut self) {
        if self.is_holding() {
            return;
        }
        self.queue.announce_losses();
        for outgoing in self.queue.take() {
            let envelope = self.envelope(outgoing.body());
            let call = outgoing.call(&self.calls, &envelope);
            self.send(call, Then::Published(outgoing));
        }
    }

    /// Whether messages wait even though they could be sent.
    fn is_holding(&self) -> bool {
        !self.is_up() || self.settling.is_some()
    }

    /// Whether Redis answers, and knows this life.
    fn is_up(&self) -> bool {
        self.link.is_up() && self.lease.is_confirmed()
    }

    fn send(&mut self, call: Call, then: Then) {
        debug_assert!(self.link.is_up(), "nobody would carry it");
        self.pipeline.push(Errand { call, then });
    }

    /// What this node tells others, as bytes.
    fn envelope(&self, body: Body) -> Vec<u8> {
        Envelope { origin: self.setup.boot, sent_unix_ms: self.redis_unix_ms(), body }.encode()
    }

    /// Says what went wrong, unless that is said all the time.
    fn complain(&mut self, what: &str, why: &dyn Display) {
        if self.throttle.admit(Kind::Relay, self.now_us()) {
            warn!(%why, "{what}");
        }
    }

    fn post(&self, shard: ShardId, mail: Mail) {
        if let Some(mailbox) = self.setup.shards.get(usize::from(shard.0)) {
            mailbox.post(Post::Mail(mail));
        }
    }

    fn session_id(&self, at: SessionRef) -> SessionId {
        SessionId { boot: self.setup.boot, at }
    }

    /// Redis's clock, or until it has answered this node's.
    fn redis_unix_ms(&self) -> u64 {
        let now = self.setup.clock.now();
        self.lease.redis_unix_ms(now.monotonic_us).unwrap_or(now.unix_ms)
    }

    fn now_us(&self) -> u64 {
        self.setup.clock.monotonic_us()
    }

    fn now_ms(&self) -> u64 {
        self.now_us() / 1_000
    }
}
