//! What workers reported, merged: how the run stands, and what came out of it.

use crate::clock;
use crate::hist::Hist;
use crate::publisher::ledger;
use crate::run::skew::Skew;
use crate::talk::{Counts, Failures, Progress, Report, Tally};

/// All workers' reports.
#[derive(Debug)]
pub struct Board {
    workers: Vec<Seat>,
    /// Since the start.
    latency: Hist,
    /// Since the last tick.
    second: Hist,
    skew: Skew,
}

/// One worker.
#[derive(Debug, Default)]
struct Seat {
    counts: Counts,
    failures: Vec<Failures>,
    settled: bool,
    tally: Option<Box<Tally>>,
    /// Its processor time, and when that was reported.
    cpu: Option<(u64, u64)>,
    /// The same at the last tick.
    cpu_before: Option<(u64, u64)>,
}

impl Board {
    /// For so many workers.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self {
            workers: std::iter::repeat_with(Seat::default).take(workers).collect(),
            latency: Hist::default(),
            second: Hist::default(),
            skew: Skew::default(),
        }
    }

    /// Takes a report.
    ///
    /// # Errors
    /// The words of a worker that cannot go on.
    pub fn take(&mut self, worker: u32, report: Report) -> Result<(), String> {
        let seat = self.workers.get_mut(worker as usize).ok_or_else(|| format!("there is no worker {worker}"))?;
        match report {
            Report::Failed(words) => return Err(words),
            Report::Progress(progress) => {
                let Progress { counts, latency, arrivals, settled, cpu_ns, failures, .. } = *progress;
                (seat.counts, seat.settled) = (counts, settled);
                seat.cpu = Some((cpu_ns, clock::now_ns()));
                if !failures.is_empty() {
                    seat.failures = failures;
                }
                self.second.add(&latency);
                self.skew.add(&arrivals);
            }
            Report::Tally(tally) => {
                seat.counts = tally.counts;
                seat.tally = Some(tally);
            }
        }
        Ok(())
    }

    /// Over all workers.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut sum = Counts::default();
        self.workers.iter().for_each(|seat| sum.add(&seat.counts));
        sum
    }

    /// The most frequent first.
    #[must_use]
    pub fn failures(&self) -> Vec<Failures> {
        let mut merged = Vec::new();
        for seat in &self.workers {
            let known = seat.tally.as_ref().map_or(&seat.failures, |tally| &tally.failures);
            known.iter().for_each(|one| ledger::add(&mut merged, one));
        }
        sort(&mut merged);
        merged
    }

    /// Every session has all it can get.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.workers.iter().all(|seat| seat.settled || seat.tally.is_some())
    }

    /// What workers said about that before an order does not count after it.
    pub fn unsettle(&mut self) {
        self.workers.iter_mut().for_each(|seat| seat.settled = false);
    }

    /// Every worker said its last word.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.workers.iter().all(|seat| seat.tally.is_some())
    }

    /// Workers that have not.
    #[must_use]
    pub fn silent(&self) -> usize {
        self.workers.iter().filter(|seat| seat.tally.is_none()).count()
    }

    /// Latencies since the last tick; they are added to those since the start.
    pub fn take_second(&mut self) -> Hist {
        self.skew.settle(clock::now_ns());
        self.latency.add(&self.second);
        std::mem::take(&mut self.second)
    }

    /// Latencies since the start, as of the last tick.
    #[must_use]
    pub const fn latency(&self) -> &Hist {
        &self.latency
    }

    /// The busiest worker's share of a processor since this was asked last.
    pub fn busiest_share(&mut self) -> f64 {
        self.workers.iter_mut().map(Seat::share).fold(0.0, f64::max)
    }

    /// The end: tallies merged, and the skew.
    #[must_use]
    pub fn finish(self) -> (Tally, Hist) {
        let failures = self.failures();
        let mut sum = Tally { failures, ..Tally::default() };
        for tally in self.workers.into_iter().filter_map(|seat| seat.tally) {
            sum.counts.add(&tally.counts);
            sum.latency.add(&tally.latency);
            sum.latency_uncorrected.add(&tally.latency_uncorrected);
            sum.connect.add(&tally.connect);
            sum.jitter.add(&tally.jitter);
            sum.slip.add(&tally.slip);
            sum.slip_opening.add(&tally.slip_opening);
            sum.cpu_steady_ns += tally.cpu_steady_ns;
            sum.deliveries_steady += tally.deliveries_steady;
            sum.delivered_steady += tally.delivered_steady;
            sum.opened.add(&tally.opened);
            sum.remaining.add(&tally.remaining);
        }
        (sum, self.skew.finish())
    }
}

impl Seat {
    fn share(&mut self) -> f64 {
        let (Some((cpu_ns, at_ns)), before) = (self.cpu, self.cpu_before) else { return 0.0 };
        let Some((cpu_before_ns, before_ns)) = before else {
            self.cpu_before = self.cpu;
            return 0.0;
        };
        if at_ns < before_ns + SHARE_OVER_NS {
            return 0.0;
        }
        self.cpu_before = self.cpu;
        cpu_ns.saturating_sub(cpu_before_ns) as f64 / (at_ns - before_ns) as f64
    }
}

/// The most frequent first.
pub fn sort(failures: &mut [Failures]) {
    failures.sort_by(|one, other| other.count.cmp(&one.count).then_with(|| one.kind.cmp(&other.kind)));
}

/// A share over less time would mistake the moment a report was read for the moment it was written.
const SHARE_OVER_NS: u64 = 700_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(ready: u64, settled: bool) -> Report {
        let counts = Counts { ready, ..Counts::default() };
        Report::Progress(Box::new(Progress { counts, settled, ..Progress::default() }))
    }

    fn failures(kind: &str, count: u64) -> Failures {
        Failures { kind: kind.into(), count, example: String::new() }
    }

    #[test]
    fn workers_are_added_and_settled_together() {
        let mut board = Board::new(2);
        board.take(0, progress(3, true)).expect("fine");
        assert!(!board.is_settled());
        board.take(1, progress(4, true)).expect("fine");
        assert!(board.is_settled() && board.counts().ready == 7);
        board.unsettle();
        assert!(!board.is_settled());
        assert_eq!(board.take(1, Report::Failed("gone".into())), Err("gone".into()));
    }

    #[test]
    fn tallies_replace_progress_and_failures_are_merged_by_kind() {
        let mut board = Board::new(2);
        board.take(0, progress(1, false)).expect("fine");
        for (worker, kinds) in [(0, vec![failures("a", 1), failures("b", 2)]), (1, vec![failures("a", 3)])] {
            let mut tally = Tally { failures: kinds, ..Tally::default() };
            tally.counts.ready = 5;
            tally.latency.record(1_000);
            board.take(worker, Report::Tally(Box::new(tally))).expect("fine");
        }
        assert!(board.is_complete());
        let (sum, _) = board.finish();
        assert_eq!((sum.counts.ready, sum.latency.0.len()), (10, 2));
        assert_eq!(sum.failures, [failures("a", 4), failures("b", 2)]);
    }

    #[test]
    fn a_second_is_taken_once_and_stays_in_the_whole() {
        let mut board = Board::new(1);
        let mut latency = Hist::default();
        latency.record(5_000);
        let report = Report::Progress(Box::new(Progress { latency, ..Progress::default() }));
        board.take(0, report).expect("fine");
        assert_eq!((board.take_second().0.len(), board.take_second().0.len(), board.latency().0.len()), (1, 0, 1));
    }
}
