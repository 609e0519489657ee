//! The phases of a run, one after the other: ramp, steady, drain, ramp-down.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use super::board::Board;
use super::closing::Closing;
use super::crew::Crew;
use super::hope::Hope;
use super::preflight::Cleared;
use super::press::{Books, Press};
use super::timeline::Timeline;
use super::watch::{BUSY_OVER_NS_MIN, Watch};
use super::{SoFar, Watcher, advice};
use crate::clock;
use crate::error::Error;
use crate::outcome::{Ended, Outcome, Phase};
use crate::plan::Plan;
use crate::talk::{Counts, Order};

mod waiting;

use waiting::Until;

/// A run under way.
pub struct Stage<'a> {
    plan: Arc<Plan>,
    crew: Crew,
    press: Press,
    board: Board,
    watch: Watch,
    interrupted: &'a AtomicBool,
    watcher: &'a mut dyn Watcher,
    started_ns: u64,
    started_ms: u64,
    phase: Phase,
    phase_until_ns: u64,
    next_tick_ns: u64,
    timeline: Timeline,
    busiest_share: f64,
    /// It was said that the server closed everybody.
    said_closed: bool,
}

impl<'a> Stage<'a> {
    /// Starts workers and publishers.
    ///
    /// # Errors
    /// When one of them cannot start.
    pub fn set(
        plan: Arc<Plan>,
        cleared: Cleared,
        executable: &Path,
        interrupted: &'a AtomicBool,
        watcher: &'a mut dyn Watcher,
    ) -> Result<Self, Error> {
        let crew = Crew::start(&plan, executable)?;
        let watch = Watch::start(cleared.server, cleared.scraper);
        let press = Press::start(&plan, cleared.routes, crew.delivered())?;
        let now_ns = clock::now_ns();
        Ok(Self {
            board: Board::new(crew.workers() as usize),
            plan,
            crew,
            press,
            watch,
            interrupted,
            watcher,
            started_ns: now_ns,
            started_ms: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64),
            phase: Phase::Ramp,
            phase_until_ns: now_ns,
            next_tick_ns: now_ns + TICK_NS,
            timeline: Timeline::new(now_ns),
            busiest_share: 0.0,
            said_closed: false,
        })
    }

    /// All phases.
    ///
    /// # Errors
    /// [`Error::Failed`] when nobody could connect, or a worker or a publisher cannot go on.
    pub fn play(mut self) -> Result<Outcome, Error> {
        self.ramp()?;
        let open = self.board.counts().connections();
        let steady_ns = self.steady()?;
        let books = self.drain()?;
        self.ramp_down()?;
        self.close(open, steady_ns, books)
    }

    // --- phases --------------------------------------------------------------

    fn ramp(&mut self) -> Result<(), Error> {
        let at_ns = clock::now_ns() + LEAD_NS;
        self.crew.tell(&Order::Connect { at_ns });
        let ramp_ns = self.ramp_ns();
        let timeout_ns = self.plan.scenario.phases.connect_timeout_ms * MS;
        self.enter(Phase::Ramp, at_ns + ramp_ns);
        let hope = Hope::new(self.crew.workers(), at_ns + timeout_ns);
        self.wait_connected(at_ns + ramp_ns + timeout_ns + GRACE_NS, hope)?;
        let counts = self.board.counts();
        if self.is_interrupted() {
            return Ok(());
        }
        if self.plan.clients() > 0 && counts.ready == 0 {
            // Before the rest is cut short, which is this tool's doing.
            let words = advice::nobody_got_ready(self.plan.clients(), counts.failed, &self.board.failures());
            self.crew.tell(&Order::Finish { until_ns: clock::now_ns() });
            self.wait(clock::now_ns() + GRACE_NS, Until::Complete)?;
            return Err(Error::Failed(words));
        }
        if !self.press.live().all_ready() {
            return Err(Error::Failed(String::from(
                "a publisher could not connect: check target.api, the dialect, and the server's log",
            )));
        }
        Ok(())
    }

    /// Returns how long it was.
    fn steady(&mut self) -> Result<u64, Error> {
        self.watch.opened();
        if self.is_interrupted() {
            self.press.live().end(0, 0);
            self.watch.steady();
            self.watch.over();
            return Ok(0);
        }
        let from_ns = clock::now_ns() + LEAD_NS;
        let until_ns = from_ns + self.plan.scenario.phases.steady_ms * MS;
        self.press.live().end(until_ns, until_ns + self.drain_ns());
        self.press.live().begin(from_ns);
        self.crew.tell(&Order::Steady { from_ns, until_ns });
        self.enter(Phase::Steady, until_ns);
        self.wait(from_ns, Until::Time)?;
        self.watch.steady();
        // Shares of a processor count from here.
        self.board.busiest_share();
        self.press.steady();
        self.wait(until_ns, Until::Time)?;
        let ended_ns = clock::now_ns();
        self.watch.over();
        if ended_ns.saturating_sub(from_ns) >= BUSY_OVER_NS_MIN {
            self.busiest_share = self.busiest_share.max(self.press.steady_share());
        }
        if ended_ns < until_ns {
            self.press.live().end(ended_ns, ended_ns + self.drain_ns());
            self.crew.tell(&Order::Steady { from_ns, until_ns: ended_ns });
        }
        Ok(ended_ns.min(until_ns).saturating_sub(from_ns))
    }

    fn drain(&mut self) -> Result<Books, Error> {
        let drain_ns = self.drain_ns();
        self.enter(Phase::Drain, clock::now_ns() + drain_ns);
        self.wait_uninterrupted(clock::now_ns() + drain_ns + GRACE_NS, Until::Published)?;
        let books = self.press.close(self.plan.streams.len())?;
        self.board.unsettle();
        self.crew.tell(&Order::Published { counts: books.counts.clone(), refused: books.refused.clone() });
        self.wait_uninterrupted(clock::now_ns() + drain_ns, Until::Settled)?;
        self.watch.ended();
        Ok(books)
    }

    fn ramp_down(&mut self) -> Result<(), Error> {
        let until_ns = clock::now_ns() + self.plan.scenario.phases.ramp_down_ms * MS;
        self.enter(Phase::RampDown, until_ns);
        self.crew.tell(&Order::Finish { until_ns });
        let timeout_ns = self.plan.scenario.phases.connect_timeout_ms * MS;
        self.wait_uninterrupted(until_ns + timeout_ns + LAST_WORD_NS, Until::Complete)?;
        match self.board.silent() {
            0 => Ok(()),
            silent => Err(Error::Failed(format!("{silent} workers did not say their last word"))),
        }
    }

    fn close(mut self, open: u64, steady_ns: u64, books: Books) -> Result<Outcome, Error> {
        self.tick();
        let ended = if self.is_interrupted() { Ended::Interrupted } else { Ended::Complete };
        let (tally, skew) = self.board.finish();
        let outcome = Closing {
            plan: &self.plan,
            tally,
            skew,
            books,
            watch: &mut self.watch,
            timeline: self.timeline.into_ticks(),
            busiest_share: self.busiest_share,
            open,
            started_ms: self.started_ms,
            duration_ms: (clock::now_ns() - self.started_ns) / MS,
            steady_ms: steady_ns / MS,
            ended,
        }
        .outcome();
        outcome.client.remarks.iter().for_each(|words| self.watcher.note(words));
        Ok(outcome)
    }

    fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    // --- telling -------------------------------------------------------------

    fn enter(&mut self, phase: Phase, until_ns: u64) {
        (self.phase, self.phase_until_ns) = (phase, until_ns);
    }

    fn tick(&mut self) {
        let counts = self.board.counts();
        let published = self.press.live().published() + counts.sent;
        if self.phase == Phase::Steady {
            let share = self.board.busiest_share().max(self.press.busiest_share());
            self.busiest_share = self.busiest_share.max(share);
        }
        let (latency, second) = (self.board.take_second(), self.watch.second());
        let so_far = self.so_far(counts, published);
        let tick = self.timeline.add(self.phase, counts, published, &latency, second);
        self.watcher.tick(tick, &so_far);
        self.say_closed(&counts);
    }

    fn so_far(&self, counts: Counts, published: u64) -> SoFar {
        SoFar {
            clients: u64::from(self.plan.clients()),
            phase_until_ms: self.phase_until_ns.saturating_sub(self.started_ns) / MS,
            counts,
            failures: self.board.failures(),
            latency: self.board.latency().clone(),
            published,
        }
    }

    /// A server that closed everybody is no reason to stop, but to say so.
    fn say_closed(&mut self, counts: &Counts) {
        let all = counts.ready > 0 && counts.closed_by_server > 0 && counts.connections() == 0;
        if all && !self.said_closed && matches!(self.phase, Phase::Steady | Phase::Drain) {
            self.said_closed = true;
            let failures = self.board.failures();
            let most = failures.first().map_or(String::new(), |first| format!(", most of them: {}", first.kind));
            self.watcher
                .note(&format!("the server closed {} connections, none is left{most}", counts.closed_by_server));
        }
    }

    // --- times ---------------------------------------------------------------

    /// How long opening takes in the slowest group.
    fn ramp_ns(&self) -> u64 {
        let ramp_ms = self.plan.scenario.phases.ramp_ms;
        let groups = self.plan.scenario.groups.iter().map(|group| match group.connect_per_s {
            Some(per_s) if per_s > 0.0 => (f64::from(group.clients) / per_s * 1e9) as u64,
            Some(_) => 0,
            None => ramp_ms * MS,
        });
        groups.max().unwrap_or(0)
    }

    fn drain_ns(&self) -> u64 {
        self.plan.scenario.phases.drain_ms * MS
    }
}

const MS: u64 = 1_000_000;

const TICK_NS: u64 = 1_000 * MS;

/// From an order to what it orders: enough for every worker of every process to have read it.
const LEAD_NS: u64 = 100 * MS;

/// Workers report four times a second; what is due at a deadline may be known a little later.
const GRACE_NS: u64 = 2_000 * MS;

/// How long a worker may take, after all connections had to be closed, to add up and send its histograms.
const LAST_WORD_NS: u64 = 10_000 * MS;
