//! Whether it is worth going on to connect: a server that lets nobody in would use up the time-out of one client after the other.

use crate::talk::Counts;
use crate::worker::opening::OPENING_MAX;

/// When the ramp is given up.
///
/// It goes on as long as anybody got ready, however slowly, and at least as long as the first clients have to get ready:
/// given up is only what let nobody in, though whoever came first had all the time there is, and as many failed as a storm
/// has on their way at once.
#[derive(Clone, Copy, Debug)]
pub struct Hope {
    failed_min: u64,
    from_ns: u64,
}

impl Hope {
    /// Of so many workers, whose first clients have to be ready by this time.
    #[must_use]
    pub const fn new(workers: u32, first_ready_by_ns: u64) -> Self {
        Self { failed_min: workers as u64 * OPENING_MAX as u64, from_ns: first_ready_by_ns }
    }

    /// There is none left.
    #[must_use]
    pub const fn is_lost(&self, counts: &Counts, now_ns: u64) -> bool {
        counts.ready == 0 && counts.failed >= self.failed_min && now_ns >= self.from_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: u64 = 2 * OPENING_MAX as u64;

    fn is_lost(ready: u64, failed: u64, now_ns: u64) -> bool {
        Hope::new(2, 1_000).is_lost(&Counts { ready, failed, ..Counts::default() }, now_ns)
    }

    #[test]
    fn hope_is_lost_when_all_that_were_on_their_way_at_once_failed() {
        assert!(is_lost(0, WINDOW, 1_000));
        assert!(!is_lost(0, WINDOW - 1, 1_000_000), "one may still get in");
    }

    #[test]
    fn one_that_got_in_is_hope_for_all() {
        assert!(!is_lost(1, 100 * WINDOW, 1_000_000));
    }

    #[test]
    fn the_first_have_all_their_time_however_many_were_turned_away_meanwhile() {
        assert!(!is_lost(0, 100 * WINDOW, 999));
    }
}
