//! The loop of a sub-reactor: one turn after another, in numbered phases.
//!
//! Decides when things happen; what happens is the shard's, and how it is carried out is in `effects`.
//! The phases that have more to them are files of their own: `posts`, `reads`, `writes`, and `goodbye` after the last turn.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use epush_core::id::{ConnId, ShardId};
use epush_core::now::Now;
use epush_core::shard::{Shard, ShardSetup};
use mio::{Events, Poll};

use super::Post;
use super::busy::Busy;
use super::outside::Outside;
use super::sockets::Sockets;
use super::token::WAKE;
use crate::acceptor::Note;
use crate::api::{Api, NodeState};
use crate::engine::Outcomes;
use crate::logging::Throttle;
use crate::mailbox::{Inbox, Mailbox};

mod goodbye;
mod posts;
mod reads;
#[cfg(test)]
mod tests;
mod writes;

/// Poll events taken per turn. What does not fit comes with the next poll.
const EVENTS_PER_TURN: usize = 1_024;

/// The read buffer all sockets of a reactor share, and what is read of a connection to the control API at once: the
/// pushes of a batch that come in one read share their writes.
const SCRATCH_BYTES: usize = 256 * 1024;

/// What a sub-reactor is made of, before its thread runs.
pub struct ReactorSetup {
    /// The poll its inbox wakes with [`WAKE`].
    pub poll: Poll,
    /// Where posts arrive.
    pub inbox: Inbox<Post>,
    /// What its shard is told.
    pub shard: ShardSetup,
    /// Everything else it asks.
    pub outside: Outside,
    /// The control API; reactor 0 has one.
    pub api: Option<Api>,
    /// To the acceptor.
    pub notes: Mailbox<Note>,
    /// To whoever owns the engine.
    pub events: Arc<Outcomes>,
}

/// One sub-reactor.
pub struct Reactor {
    pub(super) id: ShardId,
    pub(super) poll: Poll,
    inbox: Inbox<Post>,
    pub(super) shard: Shard,
    pub(super) sockets: Sockets,
    /// Sockets to read, oldest first. Invariant: exactly those [`super::socket::Reading::Listed`], and names that went stale.
    pub(super) readable: VecDeque<ConnId>,
    scratch: Box<[u8]>,
    pub(super) outside: Outside,
    pub(super) api: Option<Api>,
    pub(super) notes: Mailbox<Note>,
    pub(super) events: Arc<Outcomes>,
    /// The time, read when the turn began and again before it writes.
    pub(super) now: Now,
    pub(super) throttle: Throttle,
    busy: Busy,
    draining: Draining,
    stopping: bool,
}

/// How far a drain is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Draining {
    No,
    UnderWay,
    /// No client is left, and the engine was told.
    Done,
}

impl Reactor {
    /// Makes the shard. Called on the reactor's own thread: a shard never moves.
    #[must_use]
    pub fn new(setup: ReactorSetup) -> Self {
        let ReactorSetup { poll, inbox, shard, outside, mut api, notes, events } = setup;
        let now = outside.node.clock.now();
        if let Some(api) = &mut api {
            // Whoever can ask has been accepted, so both listeners are open.
            api.set_state(NodeState::Ready);
        }
        Self {
            id: shard.id,
            poll,
            inbox,
            shard: Shard::new(shard, now),
            sockets: Sockets::default(),
            readable: VecDeque::new(),
            scratch: vec![0; SCRATCH_BYTES].into_boxed_slice(),
            outside,
            api,
            notes,
            events,
            now,
            throttle: Throttle::default(),
            busy: Busy::new(now.monotonic_us),
            draining: Draining::No,
            stopping: false,
        }
    }

    /// Runs until [`Post::Stop`].
    ///
    /// # Errors
    /// When polling fails, which it does not on a poll that is open.
    pub fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS_PER_TURN);
        while !self.stopping {
            // 1. Sleep until something happens or is due. Nothing below this line blocks.
            self.wait(&mut events)?;
            // 2. Mailbox before sockets: a close from another shard must win over bytes already waiting here.
            self.read_mailbox();
            // 3. Sockets, in turns: one read each, the greedy ones back to the end of the line.
            self.read_sockets();
            // 4. Timers after reads: what has just been heard must not count as silence.
            self.fire_timers();
            // 5. What was published this turn, joined once per channel into batches that all subscribers share.
            self.flush();
            // 6. Writes: answers first, then fan-out in a budget.
            self.write_sockets();
            // 7. Effects were drained after every call into the shard; so none waits here.
            // 8. Slots are free again only now: no event of this turn can meet a new connection in an old slot.
            self.end_turn();
        }
        self.say_goodbye();
        Ok(())
    }

    // --- 1 -------------------------------------------------------------------

    fn wait(&mut self, events: &mut Events) -> io::Result<()> {
        let now_us = self.outside.node.clock.monotonic_us();
        let patience = self.patience(now_us);
        self.busy.sleep(now_us);
        match self.poll.poll(events, patience) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => events.clear(),
            outcome => outcome?,
        }
        self.now = self.outside.node.clock.now();
        self.busy.wake(self.now.monotonic_us);
        for event in events.iter().filter(|event| event.token() != WAKE) {
            self.note_event(event);
        }
        Ok(())
    }

    fn patience(&self, now_us: u64) -> Option<Duration> {
        let at_once =
            !self.inbox.is_empty() || !self.readable.is_empty() || self.shard.has_writes() || self.shard.has_pending();
        if at_once {
            return Some(Duration::ZERO);
        }
        let api = self.api.as_ref().and_then(Api::next_deadline_us);
        let due_us = [self.shard.next_deadline_us(), api, self.busy.next_look_us()].into_iter().flatten().min()?;
        Some(Duration::from_micros(due_us.saturating_sub(now_us)))
    }

    // --- 4 -------------------------------------------------------------------

    fn fire_timers(&mut self) {
        let due = |deadline: Option<u64>| deadline.is_some_and(|due_us| due_us <= self.now.monotonic_us);
        let (shard, api) = (due(self.shard.next_deadline_us()), due(self.api.as_ref().and_then(Api::next_deadline_us)));
        if shard {
            self.shard.handle_time(self.now);
            self.settle();
        }
        if let (true, Some(api)) = (api, &mut self.api) {
            api.handle_time(self.now);
            self.settle();
        }
    }

    // --- 5 -------------------------------------------------------------------

    fn flush(&mut self) {
        // What waits in windows is under way: nobody is refused, and nothing from other nodes lost, for its sake.
        self.shard.allow_windows(!self.outside.node.intake.is_half_full());
        self.shard.flush(self.now);
        self.settle();
    }

    // --- 8 -------------------------------------------------------------------

    fn end_turn(&mut self) {
        self.shard.end_turn();
        let gauges = &self.outside.node.gauges.shards[usize::from(self.id.0)];
        gauges.store(self.shard.gauges());
        if let Some(busy_ppm) = self.busy.measured(self.now.monotonic_us) {
            gauges.busy_ppm.store(busy_ppm, std::sync::atomic::Ordering::Relaxed);
        }
        if self.draining == Draining::UnderWay && self.sockets.clients() == 0 && self.shard.is_drained() {
            self.draining = Draining::Done;
            self.events.shard_drained();
        }
    }
}
