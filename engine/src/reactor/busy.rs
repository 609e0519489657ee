//! How busy a reactor is: the share of a second that it did not spend waiting.

/// Measures in windows of a second.
#[derive(Debug)]
pub struct Busy {
    window_started_us: u64,
    woke_us: u64,
    busy_us: u64,
    /// What the last window came to.
    last_ppm: u32,
}

/// Length of a window.
const WINDOW_US: u64 = 1_000_000;

/// Below a thousandth a reactor counts as idle: the look that would say so costs about as much.
const IDLE_PPM: u32 = 1_000;

impl Busy {
    /// Starts measuring.
    #[must_use]
    pub fn new(now_us: u64) -> Self {
        Self { window_started_us: now_us, woke_us: now_us, busy_us: 0, last_ppm: 0 }
    }

    /// The reactor is about to wait.
    pub fn sleep(&mut self, now_us: u64) {
        self.busy_us += now_us.saturating_sub(self.woke_us);
        self.woke_us = now_us;
    }

    /// The reactor has waited.
    pub fn wake(&mut self, now_us: u64) {
        self.woke_us = now_us;
    }

    /// The share of the window that is over, in millionths, once a window.
    pub fn measured(&mut self, now_us: u64) -> Option<u32> {
        let window_us = now_us.saturating_sub(self.window_started_us);
        if window_us < WINDOW_US {
            return None;
        }
        let busy_us = self.busy_us + now_us.saturating_sub(self.woke_us);
        self.last_ppm = (busy_us.saturating_mul(1_000_000) / window_us).min(1_000_000) as u32;
        (self.window_started_us, self.woke_us, self.busy_us) = (now_us, now_us, 0);
        Some(self.last_ppm)
    }

    /// When to look again, so that a reactor that fell silent does not look busy for ever. An idle one may sleep on.
    #[must_use]
    pub fn next_look_us(&self) -> Option<u64> {
        (self.last_ppm > IDLE_PPM).then_some(self.window_started_us + WINDOW_US)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reactor_that_works_a_quarter_of_the_time_says_so() {
        let mut busy = Busy::new(0);
        for turn in 0..10 {
            busy.wake(turn * 100_000);
            busy.sleep(turn * 100_000 + 25_000);
        }
        assert_eq!(busy.measured(999_999), None);
        busy.wake(1_000_000);
        assert_eq!(busy.measured(1_000_000), Some(250_000));
        assert_eq!(busy.next_look_us(), Some(2_000_000));
        busy.sleep(1_000_000);
        busy.wake(2_000_000);
        assert_eq!(busy.measured(2_000_000), Some(0));
        assert_eq!(busy.next_look_us(), None, "idle: nothing to look for");
    }
}
