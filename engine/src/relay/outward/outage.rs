//! Redis going away and coming back.
//!
//! Connecting takes a thread of its own while it lasts: whoever signs in meanwhile does not wait for it.

use std::sync::atomic::Ordering::Relaxed;
use std::thread;

use crossbeam_channel::{Receiver, RecvError, bounded, never};
use redis::Value;
use tracing::{info, warn};

use super::Outward;
use super::links::{Broken, Links};
use crate::relay::connection::{Access, LinkError};
use crate::relay::order::Arrival;
use crate::relay::scripts::{Call, Verb};
use crate::relay::url::Host;

/// The way to Redis, or the wait for it.
pub struct Link {
    state: State,
    /// Pause before the next attempt, in ms.
    pause_ms: u64,
    /// Who the masters were last time.
    masters: Vec<Host>,
    /// Since when this is so: up, or away.
    since_us: u64,
    /// When it last carried a whole pipeline while Redis knew this life.
    sound_us: u64,
    /// Why it is away, as last told in the log, and when.
    told: Option<(String, u64)>,
    /// [`crate::relay::RelayFigures::dropped`] when it went away.
    dropped_before: u64,
}

enum State {
    Up(Links),
    /// The next attempt is at this time.
    Waiting(u64),
    Dialing(Receiver<Dialed>),
}

type Dialed = Result<Links, LinkError>;

/// Pause before the second attempt: a restart takes that long.
const PAUSE_MS_MIN: u64 = 50;

/// The longest pause: Redis is back in use this long after it came back, and a hundred nodes that ask that often do it no harm.
const PAUSE_MS_MAX: u64 = 1_000;

/// Streams used this shortly before the link was lost are announced when it is back: replicas lag behind their master, and
/// what is sent to subscribers waits in buffers, by seconds.
const TAIL_MS: u64 = 10_000;

/// How soon another reason for the same outage is told.
const SAID_AGAIN_US: u64 = 60_000_000;

/// A link that stood this long was no accident: the next attempt comes at once again.
const STEADY_US: u64 = 5_000_000;

impl Link {
    /// None yet; the first attempt is due.
    pub const fn new() -> Self {
        let state = State::Waiting(0);
        Self {
            state,
            pause_ms: PAUSE_MS_MIN,
            masters: Vec::new(),
            since_us: 0,
            sound_us: 0,
            told: None,
            dropped_before: 0,
        }
    }

    /// Whether there is one.
    pub const fn is_up(&self) -> bool {
        matches!(self.state, State::Up(_))
    }

    /// Where the attempt under way will tell how it went.
    pub fn dialed(&self) -> Receiver<Dialed> {
        match &self.state {
            State::Dialing(dialed) => dialed.clone(),
            State::Up(_) | State::Waiting(_) => never(),
        }
    }

    /// When to do something about it, unless the attempt under way ends before.
    pub const fn retry_us(&self) -> Option<u64> {
        match &self.state {
            State::Up(_) => None,
            State::Waiting(retry_us) => Some(*retry_us),
            State::Dialing(_) => Some(u64::MAX),
        }
    }

    /// A whole pipeline went through, and Redis knows this life.
    pub const fn note_sound(&mut self, now_us: u64) {
        self.sound_us = now_us;
    }

    /// See [`Links::exchange`].
    pub fn exchange(&mut self, calls: &[&Call]) -> (Vec<Option<Value>>, Result<(), Broken>) {
        match &mut self.state {
            State::Up(links) => links.exchange(calls),
            _ => (calls.iter().map(|_| None).collect(), Err(Broken("there is no link".into()))),
        }
    }

    /// Waits before the next attempt, longer each time.
    fn pause(&mut self, now_us: u64) {
        self.state = State::Waiting(now_us + self.pause_ms * 1_000);
        self.pause_ms = (self.pause_ms * 2).min(PAUSE_MS_MAX);
    }
}

impl Outward {
    /// Begins the next attempt when it is due.
    pub(super) fn redial(&mut self) {
        if matches!(self.link.state, State::Waiting(retry_us) if retry_us <= self.now_us()) {
            self.link.state = State::Dialing(dial(&self.setup.access));
        }
    }

    /// An attempt has ended.
    pub(super) fn dialed(&mut self, dialed: Result<Dialed, RecvError>) {
        match dialed {
            Ok(Ok(links)) => self.come_up(links),
            Ok(Err(error)) => self.stay_away(&error.to_string()),
            Err(RecvError) => self.stay_away("no thread to connect with"),
        }
    }

    fn come_up(&mut self, links: Links) {
        let topology = links.topology();
        let masters = topology.masters.clone();
        self.calls.verb = if topology.is_sharded() { Verb::Spublish } else { Verb::Publish };
        self.setup.figures.connects.fetch_add(masters.len() as u64, Relaxed);
        let moved = !self.link.masters.is_empty() && self.link.masters != masters;
        self.link.masters = masters;
        self.link.state = State::Up(links);
        if moved {
            // Another server may lack what the old one took last, and may have what it had dropped: a new life leaves that behind.
            self.setup.inward.post(Arrival::Reconnect);
            self.lease.note_behind();
            self.begin_life();
        }
        self.lease.hasten();
    }

    /// The lease is confirmed: everything goes on.
    pub(super) fn stand(&mut self) {
        if self.setup.figures.is_up.swap(true, Relaxed) {
            return;
        }
        // What Redis took last may have died with it on its way out, or with the master that a replica stands in for now; and
        // nothing may ever be sent to those streams again. Heads are written along with it: receivers may come later.
        self.queue.announce_used((self.link.sound_us / 1_000).saturating_sub(TAIL_MS));
        let now_us = self.now_us();
        let away_ms = (now_us - self.link.since_us) / 1_000;
        let dropped = self.setup.figures.dropped.load(Relaxed) - self.link.dropped_before;
        let (waiting, unsynced) = (self.queue.len(), self.directory.dirty());
        info!(away_ms, waiting, dropped, unsynced, "Redis answers");
        self.link.since_us = now_us;
        self.link.told = None;
    }

    /// The link is of no use any more.
    pub(super) fn lose_link(&mut self, why: &str) {
        if !self.link.is_up() {
            return;
        }
        let now_us = self.now_us();
        if self.setup.figures.is_up.swap(false, Relaxed) {
            if now_us - self.link.since_us >= STEADY_US {
                self.link.pause_ms = PAUSE_MS_MIN;
            }
            self.link.since_us = now_us;
            self.link.dropped_before = self.setup.figures.dropped.load(Relaxed);
        }
        self.lease.doubt();
        self.show_view();
        self.stay_away(why);
        // What was to follow has nobody to carry it.
        let pipeline = std::mem::take(&mut self.pipeline);
        self.unanswered(pipeline.into_iter().map(|errand| errand.then).collect());
    }

    fn stay_away(&mut self, why: &str) {
        let now_us = self.now_us();
        // Once a reason, and two that alternate not every second: an outage of an hour is not to fill the log.
        let is_news = |(told, at_us): &(String, u64)| told != why && now_us - at_us >= SAID_AGAIN_US;
        if self.link.told.as_ref().is_none_or(is_news) {
            warn!(why, "Redis is away: pushes reach this node's clients only");
            self.link.told = Some((why.into(), now_us));
        }
        self.link.pause(now_us);
    }
}

/// Connects in the background.
fn dial(access: &Access) -> Receiver<Dialed> {
    let (tell, dialed) = bounded(1);
    let access = access.clone();
    let dialing = move || {
        // Whoever does not wait any more has stopped.
        let _ = tell.send(Links::open(&access));
    };
    // Without a thread the sender is dropped with the closure, and that is told, too.
    let _ = thread::Builder::new().name("relay-dial".into()).spawn(dialing);
    dialed
}
