//! Latencies, corrected and not, with one histogram entry for most messages.

use crate::hist::Hist;

/// Both latencies of what arrived.
#[derive(Debug, Default)]
pub struct Latencies {
    /// Of messages that were written on time: both latencies in one.
    on_time: Hist,
    /// From when late ones were due.
    corrected: Hist,
    /// From when late ones were written.
    uncorrected: Hist,
    /// The last one and how often it came: messages of one burst in one read have the same.
    last: Same,
}

#[derive(Debug, Default)]
struct Same {
    latency_ns: u64,
    slip_us: u32,
    count: u64,
}

impl Latencies {
    /// A message arrived so long after it was due, and was written so late.
    #[inline]
    pub fn record(&mut self, latency_ns: u64, slip_us: u32) {
        if latency_ns == self.last.latency_ns && slip_us == self.last.slip_us {
            self.last.count += 1;
            return;
        }
        self.flush();
        self.last = Same { latency_ns, slip_us, count: 1 };
    }

    #[inline]
    fn flush(&mut self) {
        let Same { latency_ns, slip_us, count } = self.last;
        if slip_us == 0 {
            self.on_time.0.saturating_record_n(latency_ns, count);
        } else {
            self.corrected.0.saturating_record_n(latency_ns, count);
            let uncorrected_ns = latency_ns.saturating_sub(u64::from(slip_us) * 1_000);
            self.uncorrected.0.saturating_record_n(uncorrected_ns, count);
        }
        self.last.count = 0;
    }

    /// Takes all out: those since the last time, corrected, and adds them to both of the whole run.
    pub fn drain(&mut self, latency: &mut Hist, latency_uncorrected: &mut Hist) -> Hist {
        self.flush();
        latency_uncorrected.add(&self.on_time);
        latency_uncorrected.add(&self.uncorrected);
        let mut since = self.on_time.clone();
        since.add(&self.corrected);
        latency.add(&since);
        self.on_time.0.reset();
        self.corrected.0.reset();
        self.uncorrected.0.reset();
        since
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_latencies_are_those_of_two_plain_histograms() {
        let mut latencies = Latencies::default();
        let (mut corrected, mut uncorrected) = (Hist::default(), Hist::default());
        let (mut latency, mut latency_uncorrected) = (Hist::default(), Hist::default());
        let mut since = Hist::default();
        for round in 0..1_000_u64 {
            let latency_ns = 1_000_000 + round / 7 * 1_000;
            let slip_us = if round % 5 < 2 { 0 } else { (round % 900) as u32 };
            latencies.record(latency_ns, slip_us);
            corrected.record(latency_ns);
            uncorrected.record(latency_ns - u64::from(slip_us) * 1_000);
            if round % 300 == 0 {
                since.add(&latencies.drain(&mut latency, &mut latency_uncorrected));
            }
        }
        since.add(&latencies.drain(&mut latency, &mut latency_uncorrected));
        assert_eq!(latency, corrected);
        assert_eq!(since, corrected);
        assert_eq!(latency_uncorrected, uncorrected);
    }
}
