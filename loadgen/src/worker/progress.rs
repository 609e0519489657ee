//! What a worker says about itself while it runs.

use crate::clock::thread_cpu_ns;
use crate::talk::Counts;

/// Between two reports: four times a second.
const INTERVAL_NS: u64 = 250_000_000;

/// When to report, and what is only known here.
#[derive(Debug, Default)]
pub struct Pulse {
    next_ns: u64,
    /// At the beginning of the steady phase.
    steady_from: Option<Work>,
    /// From then until everything had arrived.
    steady: Work,
    /// Messages that were delivered before it.
    delivered_before: u64,
    /// Messages that were delivered while it lasted.
    delivered_steady: u64,
}

/// What this thread did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Processor time, nanoseconds.
    pub cpu_ns: u64,
    /// Messages and periodic pushes that were delivered.
    pub deliveries: u64,
}

impl Work {
    fn so_far(counts: &Counts) -> Self {
        Self { cpu_ns: thread_cpu_ns(), deliveries: counts.delivered() + counts.ticks }
    }
}

impl Pulse {
    /// Reports from now on.
    #[must_use]
    pub fn new(now_ns: u64) -> Self {
        Self { next_ns: now_ns + INTERVAL_NS, ..Self::default() }
    }

    /// When the next report is due.
    #[must_use]
    pub const fn next_ns(&self) -> u64 {
        self.next_ns
    }

    /// Whether a report is due; the one after it is due at its own time, unless several were missed.
    pub const fn is_due(&mut self, now_ns: u64) -> bool {
        if now_ns < self.next_ns {
            return false;
        }
        self.next_ns += INTERVAL_NS * ((now_ns - self.next_ns) / INTERVAL_NS + 1);
        true
    }

    /// Whether the steady phase has begun.
    #[must_use]
    pub const fn is_steady(&self) -> bool {
        self.steady_from.is_some()
    }

    /// The steady phase begins.
    pub fn begin_steady(&mut self, counts: &Counts) {
        if self.steady_from.is_none() {
            self.steady_from = Some(Work::so_far(counts));
            self.delivered_before = counts.delivered();
        }
    }

    /// The steady phase is over. What arrives from now on was on its way.
    pub const fn end_steady(&mut self, counts: &Counts) {
        if self.is_steady() {
            self.delivered_steady = counts.delivered() - self.delivered_before;
        }
    }

    /// Everything of it has arrived, or is not waited for any more.
    pub fn settle(&mut self, counts: &Counts) {
        if let Some(from) = self.steady_from {
            let now = Work::so_far(counts);
            self.steady = Work { cpu_ns: now.cpu_ns - from.cpu_ns, deliveries: now.deliveries - from.deliveries };
        }
    }

    /// Messages that were delivered while the steady phase lasted.
    #[must_use]
    pub const fn delivered_steady(&self) -> u64 {
        self.delivered_steady
    }

    /// What it did from the beginning of the steady phase until everything had arrived.
    #[must_use]
    pub const fn steady(&self) -> Work {
        self.steady
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_keep_to_their_times_and_missed_ones_are_not_made_up_for() {
        let mut pulse = Pulse::new(1_000);
        assert_eq!((pulse.is_due(250_000_999), pulse.is_due(250_001_000)), (false, true));
        assert_eq!(pulse.next_ns(), 500_001_000);
        assert_eq!((pulse.is_due(1_400_000_000), pulse.is_due(1_400_000_000)), (true, false));
        assert_eq!(pulse.next_ns(), 1_500_001_000);
    }

    #[test]
    fn only_the_steady_phase_costs() {
        let arrived = |messages, ticks| Counts { messages, ticks, ..Counts::default() };
        let mut pulse = Pulse::new(0);
        pulse.settle(&arrived(1, 2));
        assert_eq!(pulse.steady(), Work::default());
        pulse.end_steady(&arrived(1, 2));
        pulse.begin_steady(&arrived(1, 2));
        pulse.begin_steady(&arrived(5, 2));
        let before = thread_cpu_ns();
        while thread_cpu_ns() < before + 1_000_000 {}
        pulse.end_steady(&arrived(9, 5));
        assert_eq!(pulse.delivered_steady(), 8);
        pulse.settle(&arrived(11, 5));
        assert!(pulse.steady().cpu_ns >= 1_000_000);
        assert_eq!(pulse.steady().deliveries, 13, "those before are not of it");
        pulse.settle(&Counts { duplicates: 4, in_doubt: 1, ..arrived(16, 5) });
        assert_eq!(pulse.steady().deliveries, 13, "what comes twice is delivered once");
    }
}
