//! The seconds of a run, one after the other: what happened in each.

use super::watch::Second;
use crate::clock;
use crate::hist::Hist;
use crate::outcome::{Phase, Tick};
use crate::talk::Counts;

/// The seconds so far.
#[derive(Debug)]
pub struct Timeline {
    started_ns: u64,
    ticks: Vec<Tick>,
    /// Counts at the last tick.
    before: Counts,
    /// Messages published, at the last tick.
    published_before: u64,
    /// Samples of the metrics page in `ticks`.
    samples: usize,
}

/// Samples of the metrics page kept second by second: some 100 MB, and two hours of a page of which a hundred lines change.
/// Before and after, and all other figures of every second, are kept however long a run is.
const SAMPLES_MAX: usize = 1_000_000;

impl Timeline {
    /// Of a run that starts then.
    #[must_use]
    pub fn new(started_ns: u64) -> Self {
        Self { started_ns, ticks: Vec::new(), before: Counts::default(), published_before: 0, samples: 0 }
    }

    /// A second is over: what became more in it, and what was seen.
    pub fn add(&mut self, phase: Phase, counts: Counts, published: u64, latency: &Hist, second: Second) -> &Tick {
        let before = std::mem::replace(&mut self.before, counts);
        let published_before = std::mem::replace(&mut self.published_before, published);
        let bad = |counts: &Counts| counts.failed + counts.closed_by_server;
        self.keep(Tick {
            at_ms: (clock::now_ns() - self.started_ns) / 1_000_000,
            phase,
            connections: counts.connections(),
            connected: counts.ready.saturating_sub(before.ready),
            failed: bad(&counts).saturating_sub(bad(&before)),
            published: published.saturating_sub(published_before),
            delivered: counts.delivered().saturating_sub(before.delivered()),
            bytes: counts.bytes_read.saturating_sub(before.bytes_read),
            p50_ns: latency.at(0.5),
            p99_ns: latency.at(0.99),
            max_ns: latency.at(1.0),
            client_cpu: second.client_cpu,
            server_cpu: second.server_cpu,
            server_rss_bytes: second.server_rss_bytes,
            metrics: second.metrics,
        })
    }

    /// Of a very long run, seconds are kept without their metrics.
    fn keep(&mut self, mut tick: Tick) -> &Tick {
        self.samples += tick.metrics.len();
        if self.samples > SAMPLES_MAX {
            tick.metrics.clear();
        }
        self.ticks.push(tick);
        self.ticks.last().expect("it was just pushed")
    }

    /// All of them.
    #[must_use]
    pub fn into_ticks(self) -> Vec<Tick> {
        self.ticks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_sends_everything_twice_delivers_it_once() {
        let mut timeline = Timeline::new(clock::now_ns());
        let mut add = |messages, duplicates, in_doubt| {
            let counts = Counts { messages, duplicates, in_doubt, ..Counts::default() };
            timeline.add(Phase::Steady, counts, 0, &Hist::default(), Second::default()).delivered
        };
        assert_eq!((add(10, 0, 0), add(30, 10, 0), add(33, 10, 3)), (10, 10, 0));
    }
}
