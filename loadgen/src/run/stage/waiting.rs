//! Waiting in a phase: what ends it, and what is done meanwhile.

use std::time::Duration;

use super::{GRACE_NS, MS, Stage, TICK_NS};
use crate::clock;
use crate::error::Error;
use crate::run::hope::Hope;

/// What ends a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
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

/// How often an interruption is looked for: 20 times a second.
const LOOK_NS: u64 = 50 * MS;

impl Stage<'_> {
    /// Waits for connections. As fast as a server takes them may be slow: as long as it takes some, the end moves on.
    pub(super) fn wait_connected(&mut self, mut until_ns: u64, hope: Hope) -> Result<(), Error> {
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
            let is_over = now_ns >= until_ns || hope.is_lost(&counts, now_ns);
            if self.is_interrupted() || is_over || self.has_come(Until::Connected) {
                return Ok(());
            }
        }
    }

    /// Takes reports until it is so, the time is over, or somebody interrupts.
    pub(super) fn wait(&mut self, until_ns: u64, until: Until) -> Result<(), Error> {
        while !self.is_interrupted() && clock::now_ns() < until_ns && !self.has_come(until) {
            self.step(until_ns)?;
        }
        Ok(())
    }

    /// The same; an interrupted run ends in order, too.
    pub(super) fn wait_uninterrupted(&mut self, until_ns: u64, until: Until) -> Result<(), Error> {
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
}
