//! All clients of a worker and their sockets: what happens to one of them, from dialling to its end.
//!
//! Knows nothing of schedules: it does what it is told, and notes in [`Fleet::changes`] what somebody may want to act on.

mod dialling;
mod ending;
#[cfg(test)]
mod tests;
mod traffic;

use std::sync::Arc;

use mio::Registry;

use super::failure::Failure;
use super::route::Route;
use super::seat::{Reading, Seat, Stage};
use super::timeouts::{Session, Timeouts};
use crate::client::{Client, Turn};
use crate::clock::now_ns;
use crate::plan::Plan;
use crate::recorder::Recorder;

/// Bytes read at once. Far more than a socket holds of small messages, so that one call mostly empties it.
const WIRE_BYTES: usize = 256 * 1_024;

/// How long the server's close frame is waited for.
const LEAVING_NS: u64 = 1_000_000_000;

/// Something that happened to a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Its session is ready.
    Ready(usize),
    /// It read something, and its answers matter.
    Answered(usize),
    /// Its session is over, or did not come about.
    Ended(usize),
}

/// All clients of a worker.
pub struct Fleet {
    /// What everybody does.
    pub plan: Arc<Plan>,
    /// The clients.
    pub seats: Vec<Seat>,
    /// Where they count.
    pub recorder: Recorder,
    /// What happened since somebody last took it.
    pub changes: Vec<Change>,
    /// Sessions begun and not ready. Invariant: as many as seats of which [`Seat::is_opening`] holds.
    pub opening: usize,
    /// Sessions begun and not over. Invariant: as many as seats that are not [`Stage::Idle`].
    pub open: usize,
    route: Route,
    registry: Registry,
    /// Sockets that may have more than their turn allowed.
    more: Vec<Session>,
    /// Sockets that could not be written: what the server said before is read first.
    broken: Vec<(Session, Failure)>,
    opening_timeouts: Timeouts,
    leaving_timeouts: Timeouts,
    wire: Box<[u8]>,
    plain: Vec<u8>,
    sealed: Vec<u8>,
    out: Vec<u8>,
}

impl Fleet {
    /// A fleet with nobody in it.
    #[must_use]
    pub fn new(plan: Arc<Plan>, route: Route, registry: Registry) -> Self {
        let timeout_ns = plan.scenario.phases.connect_timeout_ms.saturating_mul(1_000_000);
        Self {
            recorder: Recorder::new(&plan),
            plan,
            seats: Vec::new(),
            changes: Vec::new(),
            opening: 0,
            open: 0,
            route,
            registry,
            more: Vec::new(),
            broken: Vec::new(),
            opening_timeouts: Timeouts::new(timeout_ns),
            leaving_timeouts: Timeouts::new(LEAVING_NS),
            wire: vec![0; WIRE_BYTES].into(),
            plain: Vec::new(),
            sealed: Vec::new(),
            out: Vec::new(),
        }
    }

    /// When a time-out ends next.
    #[must_use]
    pub fn next_ns(&self) -> u64 {
        self.opening_timeouts.next_ns().min(self.leaving_timeouts.next_ns())
    }

    /// Whether there is something to do at once.
    #[must_use]
    pub fn has_more(&self) -> bool {
        !self.more.is_empty() || !self.broken.is_empty() || !self.changes.is_empty()
    }

    /// Sends its next message, due then. Only a ready one can.
    pub fn send(&mut self, at: usize, due_ns: u64) {
        self.with_client(at, now_ns(), |client, turn| client.send(due_ns, turn));
    }

    /// Sends its keepalive, if it is ready.
    pub fn keepalive(&mut self, at: usize, now_ns: u64) {
        if self.seats[at].stage == Stage::Ready {
            self.with_client(at, now_ns, Client::keepalive);
        }
    }

    /// Leaves as planned: with a goodbye where it is ready.
    pub fn leave(&mut self, at: usize, now_ns: u64) {
        let seat = &mut self.seats[at];
        match seat.stage {
            Stage::Idle | Stage::Leaving => {}
            Stage::Ready => {
                seat.stage = Stage::Leaving;
                self.leaving_timeouts.start(now_ns, seat.session(at));
                self.with_client(at, now_ns, Client::leave);
                self.read_on(at);
            }
            stage => self.finish(at, Some(Failure::cut_short(stage))),
        }
    }

    /// Leaves and comes again; who is not there just comes, as was due then, and who is on the way does neither.
    pub fn renew(&mut self, at: usize, due_ns: u64, now_ns: u64) {
        match self.seats[at].stage {
            Stage::Idle => self.dial(at, due_ns, now_ns),
            Stage::Ready => {
                self.leave(at, now_ns);
                // It may have gone already: then nobody would call it back.
                if self.seats[at].stage == Stage::Leaving {
                    self.seats[at].comes_again = true;
                } else {
                    self.dial(at, now_ns, now_ns);
                }
            }
            _ => {}
        }
    }

    /// Closes a client's account. Its neighbour sent it so much.
    pub fn settle(&mut self, at: usize, neighbour_sent: u64, now_ns: u64) {
        self.with_client(at, now_ns, |client, turn| client.settle(neighbour_sent, turn));
    }

    /// Reads nothing from now on.
    pub fn stall(&mut self, at: usize) {
        self.seats[at].reading = Reading::Stalled;
    }

    /// Reads only when it is told to [`Fleet::sip`].
    pub fn slow_down(&mut self, at: usize) {
        self.seats[at].reading = Reading::Sips;
    }

    /// Reads so much at most.
    pub fn sip(&mut self, at: usize, bytes_max: usize) {
        let seat = &self.seats[at];
        if seat.reading == Reading::Sips && seat.stage == Stage::Ready && seat.unread {
            self.read_once(at, bytes_max.min(WIRE_BYTES));
        }
    }

    /// Reads at once again, and first what waits.
    pub fn read_on(&mut self, at: usize) {
        let seat = &mut self.seats[at];
        seat.reading = Reading::Prompt;
        if std::mem::take(&mut seat.unread) {
            self.read(at, true);
        }
    }

    fn with_client(&mut self, at: usize, now_ns: u64, act: impl FnOnce(&mut Client, &mut Turn<'_>)) {
        let Self { plan, seats, recorder, out, .. } = self;
        out.clear();
        act(&mut seats[at].client, &mut Turn { plan, recorder, out, now_ns });
        if !out.is_empty() {
            self.say(at);
        }
    }
}
