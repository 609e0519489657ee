//! The loop of a sub-reactor: one turn after another, in numbered phases.
//!
//! Decides when things happen; what happens is the shard's, and how it is carried out is in `effects`.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Duration;

use epush_core::close::CloseReason;
use epush_core::id::{ConnId, ShardId};
use epush_core::mail::{Mail, Relayed};
use epush_core::now::Now;
use epush_core::shard::{Door, End, Shard, ShardSetup};
use mio::event::Event as PollEvent;
use mio::{Events, Poll};

use super::Post;
use super::busy::Busy;
use super::outside::Outside;
use super::socket::{Peer, Reading, Socket, Sockets};
use super::token::{WAKE, conn_of};
use crate::acceptor::Note;
use crate::api::{Api, NodeState};
use crate::engine::Outcomes;
use crate::logging::Throttle;
use crate::mailbox::{Inbox, Mailbox};

/// Mailbox posts handled per turn: bounds how long a busy publisher can keep sockets waiting.
const MAILBOX_BUDGET: usize = 1_024;

/// Sockets read per turn, one read each: bounds how long a flood keeps timers and writes waiting.
const READS_PER_TURN: usize = 512;

/// Bytes read per turn, give or take one buffer: a crowd of floods may send each socket's buffer full.
const READ_BYTES_PER_TURN: usize = 4 * 1024 * 1024;

/// Fan-out writes per turn. At some 5 µs a write, a broadcast to everybody lets reads in every 3 ms.
const BULK_WRITES_PER_TURN: usize = 512;

/// Poll events taken per turn. What does not fit comes with the next poll.
const EVENTS_PER_TURN: usize = 1_024;

/// The read buffer all sockets of a reactor share, and what is read of a connection to the control API at once: the
/// pushes of a batch that come in one read share their writes.
const SCRATCH_BYTES: usize = 256 * 1024;

/// What is read of a client at once: 64 messages of 1 KiB that a client publishes together, so that they share their writes.
const CLIENT_READ_BYTES: usize = 128 * 1024;

/// Chunks of one vectored write: 64 messages in a write cost 0.07 µs each, and more gain little.
const SLICES_PER_WRITE: usize = 64;

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
    /// Sockets to read, oldest first. Invariant: exactly those [`Reading::Listed`], and names that went stale.
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

    fn note_event(&mut self, event: &PollEvent) {
        let conn = conn_of(event.token());
        let Some(socket) = self.sockets.find(conn) else { return };
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            socket.peer = socket.peer.max(peer_of(event));
            // A peer that is gone is looked at even where nothing is read: nobody waits for the answer any more.
            if socket.reading == Reading::Drained || socket.reading == Reading::Parked && socket.peer == Peer::Gone {
                socket.reading = Reading::Listed;
                self.readable.push_back(conn);
            }
        }
        if event.is_writable() {
            match socket.writable(self.poll.registry(), conn) {
                Ok(true) => self.shard.handle_writable(self.now, conn),
                Ok(false) => return,
                Err(_) => self.shard.handle_end(self.now, conn, End::Reset),
            }
            self.settle();
        }
    }

    // --- 2 -------------------------------------------------------------------

    fn read_mailbox(&mut self) {
        self.inbox.open();
        for _ in 0..MAILBOX_BUDGET {
            let Some(post) = self.inbox.take() else { return };
            self.receive(post);
            self.settle();
        }
    }

    fn receive(&mut self, post: Post) {
        match post {
            Post::Adopt { stream, peer, door } => {
                let conn = self.shard.adopt(self.now, peer, door);
                self.sockets.insert(conn, Socket::new(stream, door, peer.ip()));
                self.readable.push_back(conn);
            }
            Post::Mail(mail) => {
                self.look_at(&mail);
                self.shard.handle_mail(self.now, mail);
            }
            Post::Push { conn, frame, permit } => {
                self.shard.handle_mail(self.now, Mail::Push { conn, frame });
                drop(permit);
            }
            Post::Fetched(fetched) => self.fetched(fetched),
            Post::Schedules(news) => {
                if let Some(api) = &mut self.api {
                    api.handle_schedules(self.now, news);
                }
            }
            Post::Change(change) => self.change(change),
            Post::Stop => self.stopping = true,
        }
    }

    /// What concerns more than the shard.
    fn look_at(&mut self, mail: &Mail) {
        match (mail, &mut self.api) {
            (Mail::Publish { publication, .. }, Some(api)) => api.observe(publication),
            (Mail::Relayed(relayed), Some(api)) => {
                for item in relayed.iter() {
                    if let Relayed::Publication(publication) = item {
                        api.observe(publication);
                    }
                }
            }
            (Mail::Drain { .. }, api) => {
                self.draining = Draining::UnderWay;
                if let Some(api) = api {
                    api.set_state(NodeState::Draining);
                }
            }
            _ => {}
        }
    }

    // --- 3 -------------------------------------------------------------------

    fn read_sockets(&mut self) {
        // Counted beforehand: a socket that goes back to the end of the line is read again next turn at the earliest.
        let mut bytes_left = READ_BYTES_PER_TURN;
        for _ in 0..self.readable.len().min(READS_PER_TURN) {
            let Some(conn) = self.readable.pop_front() else { return };
            bytes_left = bytes_left.saturating_sub(self.read(conn));
            self.settle();
            if bytes_left == 0 {
                return;
            }
        }
    }

    /// Reads one socket once; returns how many bytes came.
    fn read(&mut self, conn: ConnId) -> usize {
        let Some(socket) = self.sockets.find(conn) else { return 0 };
        if !self.shard.wants_read(conn) {
            socket.reading = Reading::Parked;
            if socket.peer == Peer::Gone {
                self.shard.handle_end(self.now, conn, End::Reset);
            }
            return 0;
        }
        let scratch = match socket.door {
            Door::Client => &mut self.scratch[..CLIENT_READ_BYTES],
            Door::Api => &mut self.scratch[..],
        };
        let outcome = socket.read(scratch);
        let outcome = socket.watch(self.poll.registry(), conn).and(outcome);
        // A short read leaves a stream socket empty (epoll(7)), unless the end of the stream waits behind the bytes.
        let more = match outcome {
            Ok(Some(0) | None) | Err(_) => false,
            Ok(Some(bytes)) => bytes == scratch.len() || socket.peer != Peer::There,
        };
        socket.reading = if more { Reading::Listed } else { Reading::Drained };
        if more {
            self.readable.push_back(conn);
        }
        match outcome {
            Ok(Some(0)) => self.shard.handle_end(self.now, conn, End::Eof),
            Ok(Some(bytes)) => self.shard.handle_bytes(self.now, conn, &mut self.scratch[..bytes]),
            Ok(None) => {}
            Err(_) => self.shard.handle_end(self.now, conn, End::Reset),
        }
        outcome.ok().flatten().unwrap_or(0)
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

    // --- 6 -------------------------------------------------------------------

    fn write_sockets(&mut self) {
        if !self.shard.has_writes() {
            return;
        }
        self.now = self.outside.node.clock.now();
        // The shard ends the answers of a turn itself.
        while let Some(conn) = self.shard.next_urgent() {
            self.write(conn);
            self.settle();
        }
        for _ in 0..BULK_WRITES_PER_TURN {
            let Some(conn) = self.shard.next_bulk() else { return };
            self.write(conn);
            self.settle();
        }
    }

    fn write(&mut self, conn: ConnId) {
        let Some(socket) = self.sockets.find(conn) else { return };
        let (offered, outcome) = match self.shard.output_alone(conn) {
            Some(bytes) => (bytes.len(), socket.send(bytes)),
            None => gather(&self.shard, conn, socket),
        };
        let outcome = outcome.and_then(|taken| {
            if taken < offered {
                socket.blocked(self.poll.registry(), conn)?;
            }
            Ok(taken)
        });
        match outcome {
            Ok(taken) => self.shard.handle_sent(self.now, conn, taken, taken < offered),
            Err(_) => self.shard.handle_end(self.now, conn, End::Reset),
        }
    }

    // --- the end --------------------------------------------------------------

    /// Offers what was accepted to its sockets, then closes every session. Nothing is read any more, so it ends.
    fn say_goodbye(&mut self) {
        // For good: who is read on because its outbox has room may still publish.
        self.shard.allow_windows(false);
        self.write_out();
        for conn in self.sockets.names() {
            self.shard.handle_mail(self.now, Mail::Close { conn, reason: CloseReason::Drain });
            self.settle();
        }
        self.write_out();
    }

    fn write_out(&mut self) {
        while self.shard.has_writes() || self.shard.has_pending() {
            self.shard.flush(self.now);
            self.settle();
            self.write_sockets();
            self.shard.end_turn();
        }
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

/// Writes several runs of bytes at once; how many they have, and how many the socket took. Apart from the write of one
/// run: to clear the slices costs as much as the rest of that.
#[inline(never)]
fn gather(shard: &Shard, conn: ConnId, socket: &mut Socket) -> (usize, io::Result<usize>) {
    let mut slices = [IoSlice::new(&[]); SLICES_PER_WRITE];
    let filled = shard.output(conn, &mut slices);
    let offered = slices[..filled].iter().map(|slice| slice.len()).sum();
    (offered, if offered == 0 { Ok(0) } else { socket.write(&slices[..filled]) })
}

fn peer_of(event: &PollEvent) -> Peer {
    // EPOLLERR, or EPOLLHUP: both halves are over. Where nothing is read we have not shut ours, so it was a reset.
    if event.is_error() || event.is_write_closed() {
        Peer::Gone
    } else if event.is_read_closed() {
        Peer::Finished
    } else {
        Peer::There
    }
}

#[cfg(test)]
mod tests;
