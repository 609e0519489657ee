//! When each message of a publisher is due: a function of its number, so that every worker can tell what a session
//! that came in the middle has to get.

use std::ops::Range;

/// The open-loop schedule of a publisher: burst `j` is due at `from_ns + j · period_ns`, and goes to stream `j mod streams`.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// When the first burst is due.
    pub from_ns: u64,
    /// Between two bursts.
    pub period_ns: f64,
    /// Messages of a burst.
    pub burst: u32,
    /// Its streams.
    pub streams: Range<u32>,
}

impl Schedule {
    /// When a burst is due.
    #[must_use]
    pub fn due_ns(&self, burst: u64) -> u64 {
        self.from_ns + (burst as f64 * self.period_ns) as u64
    }

    /// The stream a burst goes to, and the number of its first message there.
    #[must_use]
    pub fn place(&self, burst: u64) -> (u32, u64) {
        let streams = u64::from(self.streams.end - self.streams.start);
        (self.streams.start + (burst % streams) as u32, burst / streams * u64::from(self.burst))
    }

    /// The number of the first message of a stream that is due at this time or later.
    #[must_use]
    pub fn first_due(&self, stream: u32, at_ns: u64) -> u64 {
        let streams = u64::from(self.streams.end - self.streams.start);
        let mut burst = (at_ns.saturating_sub(self.from_ns) as f64 / self.period_ns) as u64;
        while burst > 0 && self.due_ns(burst - 1) >= at_ns {
            burst -= 1;
        }
        while self.due_ns(burst) < at_ns {
            burst += 1;
        }
        let wanted = u64::from(stream - self.streams.start);
        let ahead = (wanted + streams - burst % streams) % streams;
        (burst + ahead) / streams * u64::from(self.burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_due_agrees_with_due() {
        let schedule = Schedule { from_ns: 1_000, period_ns: 333.3, burst: 4, streams: 5..8 };
        for at_ns in 0..20_000 {
            for stream in 5..8 {
                let slow = (0..).find(|j| schedule.place(*j).0 == stream && schedule.due_ns(*j) >= at_ns);
                let slow = slow.map(|j| schedule.place(j).1);
                assert_eq!(Some(schedule.first_due(stream, at_ns)), slow, "stream {stream} at {at_ns}");
            }
        }
    }
}
