//! The phases of a run, one after the other: ramp, steady, drain, ramp-down.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::board::Board;
use super::closing::Closing;
use super::crew::Crew;
use super::preflight::Cleared;
use super::press::{Books, Press};
use super::watch::Watch;
use super::{SoFar, Watcher, advice};
use crate::clock;
use crate::error::Error;
use crate::outcome::{Ended, Outcome, Phase, Tick};
use crate::plan::Plan;
use crate::talk::{Counts, Order};

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
    /// At the last tick: counts, and messages published.
    before: (Counts, u64),
    timeline: Vec<Tick>,
    /// Samples of the metrics page in it.
    samples: usize,
    busiest_share: f64,
    /// It was said that the server closed everybody.
    said_closed: bool,
}

/// What ends a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    /// All clients are ready or failed, and publishers can publish.
    Connected,
    /// Its time.
    Time,
    /// All publishers are done.
    Published,
    /// Every session has all it can get.
    Settled,
    /// Every worker said its last word.
    Complete,
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
            before: (Counts::default(), 0),
            timeline: Vec::new(),
            samples: 0,
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
        let open = connections(&self.board.counts());
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
        self.wait_connected(at_ns + ramp_ns + timeout_ns + GRACE_NS)?;
        let counts = self.board.counts();
        if self.is_interrupted() {
            return Ok(());
        }
        if self.plan.clients() > 0 && counts.ready == 0 {
            self.crew.tell(&Order::Finish { until_ns: clock::now_ns() });
            self.wait(clock::now_ns() + GRACE_NS, Until::Complete)?;
            return Err(Error::Failed(advice::nobody_got_ready(self.plan.clients(), &self.board.failures())));
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
        self.press.busiest_share();
        self.wait(until_ns, Until::Time)?;
        let ended_ns = clock::now_ns();
        self.watch.over();
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
        let (outcome, remarks) = Closing {
            plan: &self.plan,
            tally,
            skew,
            books,
            watch: &mut self.watch,
            timeline: self.timeline,
            busiest_share: self.busiest_share,
            open,
            started_ms: self.started_ms,
            duration_ms: (clock::now_ns() - self.started_ns) / MS,
            steady_ms: steady_ns / MS,
            ended,
        }
        .outcome();
        remarks.iter().for_each(|words| self.watcher.note(words));
        Ok(outcome)
    }

    // --- waiting -------------------------------------------------------------

    /// Waits for connections. As fast as a server takes them may be slow: as long as it takes some, the end moves on.
    fn wait_connected(&mut self, mut until_ns: u64) -> Result<(), Error> {
        let patience_ns = self.plan.scenario.phases.connect_timeout_ms * MS + GRACE_NS;
        let as_taken = self.plan.scenario.groups.iter().any(|group| group.connect_per_s == Some(0.0));
        let mut before = 0;
        loop {
            let look_ns = until_ns.min(clock::now_ns() + TICK_NS);
            self.wait(look_ns, Until::Connected)?;
            let counts = self.board.counts();
            let now_ns = clock::now_ns();
            if as_taken && counts.ready + counts.failed > before {
                before = counts.ready + counts.failed;
                until_ns = until_ns.max(now_ns + patience_ns);
            }
            if self.is_interrupted() || now_ns >= until_ns || self.has_come(Until::Connected) {
                return Ok(());
            }
        }
    }

    /// Takes reports until it is so, the time is over, or somebody interrupts.
    fn wait(&mut self, until_ns: u64, until: Until) -> Result<(), Error> {
        while !self.is_interrupted() && clock::now_ns() < until_ns && !self.has_come(until) {
            self.step(until_ns)?;
        }
        Ok(())
    }

    /// The same; an interrupted run ends in order, too.
    fn wait_uninterrupted(&mut self, until_ns: u64, until: Until) -> Result<(), Error> {
        while clock::now_ns() < until_ns && !self.has_come(until) {
            self.step(until_ns)?;
        }
        Ok(())
    }

    /// One report, or a little time.
    fn step(&mut self, until_ns: u64) -> Result<(), Error> {
        let now_ns = clock::now_ns();
        let wait_ns = LOOK_NS.min(until_ns.saturating_sub(now_ns)).min(self.next_tick_ns.saturating_sub(now_ns));
        if let Ok((worker, report)) = self.crew.reports().recv_timeout(Duration::from_nanos(wait_ns)) {
            self.board.take(worker, report).map_err(Error::Failed)?;
        }
        let notes: Vec<String> = self.press.notes().collect();
        notes.iter().for_each(|words| self.watcher.note(words));
        if clock::now_ns() >= self.next_tick_ns {
            self.next_tick_ns += TICK_NS;
            self.tick();
        }
        Ok(())
    }

    fn has_come(&self, until: Until) -> bool {
        match until {
            Until::Time => false,
            Until::Connected => {
                let counts = self.board.counts();
                counts.ready + counts.failed >= u64::from(self.plan.clients()) && self.press.live().all_ready()
            }
            Until::Published => self.press.is_finished(),
            Until::Settled => self.board.is_settled(),
            Until::Complete => self.board.is_complete(),
        }
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
        let (before, published_before) = std::mem::replace(&mut self.before, (counts, published));
        let latency = self.board.take_second();
        let second = self.watch.second();
        if self.phase == Phase::Steady {
            let share = self.board.busiest_share().max(self.press.busiest_share());
            self.busiest_share = self.busiest_share.max(share);
        }
        let bad = |counts: &Counts| counts.failed + counts.closed_by_server;
        let tick = Tick {
            at_ms: (clock::now_ns() - self.started_ns) / MS,
            phase: self.phase,
            connections: connections(&counts),
            connected: counts.ready.saturating_sub(before.ready),
            failed: bad(&counts).saturating_sub(bad(&before)),
            published: published.saturating_sub(published_before),
            delivered: counts.messages.saturating_sub(before.messages),
            bytes: counts.bytes_read.saturating_sub(before.bytes_read),
            p50_ns: latency.at(0.5),
            p99_ns: latency.at(0.99),
            max_ns: latency.at(1.0),
            client_cpu: second.client_cpu,
            server_cpu: second.server_cpu,
            server_rss_bytes: second.server_rss_bytes,
            metrics: second.metrics,
        };
        self.watcher.tick(&tick, &self.so_far(counts, published));
        self.keep(tick);
        self.say_closed(&counts);
    }

    /// Adds a second to the timeline; of a very long run, without its metrics.
    fn keep(&mut self, mut tick: Tick) {
        self.samples += tick.metrics.len();
        if self.samples > SAMPLES_MAX {
            tick.metrics.clear();
        }
        self.timeline.push(tick);
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
        let all = counts.ready > 0 && counts.closed_by_server > 0 && connections(counts) == 0;
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

fn connections(counts: &Counts) -> u64 {
    counts.ready.saturating_sub(counts.closed_by_server + counts.closed_by_plan)
}

const MS: u64 = 1_000_000;

const TICK_NS: u64 = 1_000 * MS;

/// Samples of the metrics page kept second by second: some 100 MB, and two hours of a page of which a hundred lines change.
/// Before and after, and all other figures of every second, are kept however long a run is.
const SAMPLES_MAX: usize = 1_000_000;

/// How often an interruption is looked for: 20 times a second.
const LOOK_NS: u64 = 50 * MS;

/// From an order to what it orders: enough for every worker of every process to have read it.
const LEAD_NS: u64 = 100 * MS;

/// Workers report four times a second; what is due at a deadline may be known a little later.
const GRACE_NS: u64 = 2_000 * MS;

/// How long a worker may take, after all connections had to be closed, to add up and send its histograms.
const LAST_WORD_NS: u64 = 10_000 * MS;
