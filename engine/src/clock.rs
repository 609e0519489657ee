//! The one place where clocks are read: pairs of readings for the core.
//!
//! Knows nothing of deadlines; those are the core's.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use epush_core::now::Now;

/// Both clocks, counted from the start of the node: copies agree with each other on every thread.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// A clock that starts now.
    #[must_use]
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// Reads both clocks.
    #[must_use]
    pub fn now(&self) -> Now {
        // Before 1970 no token has expired either, so 0 will do.
        let unix_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        Now { monotonic_us: self.monotonic_us(), unix_ms }
    }

    /// Microseconds since the start: one clock only, where durations are measured.
    #[must_use]
    pub fn monotonic_us(&self) -> u64 {
        self.started.elapsed().as_micros() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_of_a_clock_agree_and_never_go_back() {
        let clock = Clock::start();
        let copy = clock;
        let first = clock.now();
        let second = copy.now();
        assert!(second.monotonic_us >= first.monotonic_us);
        assert!(first.unix_ms > 1_600_000_000_000);
    }
}
