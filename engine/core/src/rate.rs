//! A token bucket: how often something may happen, and how often at once.
//!
//! Knows nothing of clocks or of what is counted.

/// Lets `rate_per_second` things through, and up to `burst` at once after a pause. Starts full.
///
/// Kept as one time (the generic cell rate algorithm): every token taken puts off the moment at which the bucket is full
/// again. Whole nanoseconds a token make the rate at most 0.1 % slower than asked for up to a million a second.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TokenBucket {
    /// When the bucket is full again, if nothing more is taken.
    full_ns: u64,
    /// From one token to the next. Invariant: 1 to 1e9.
    token_ns: u32,
    /// Invariant: at least 1.
    burst: u32,
}

const NS_PER_SECOND: u32 = 1_000_000_000;

impl TokenBucket {
    /// A full bucket. A rate or a burst of 0 counts as 1: where 0 means no limit, have no bucket.
    #[must_use]
    pub const fn new(rate_per_second: u32, burst: u32) -> Self {
        let rate = if rate_per_second == 0 { 1 } else { rate_per_second };
        let burst = if burst == 0 { 1 } else { burst };
        // Rounded up: never faster than asked for.
        Self { full_ns: 0, token_ns: NS_PER_SECOND.div_ceil(rate), burst }
    }

    /// Takes a token, if there is one. Time that goes back gives none.
    pub fn take(&mut self, now_us: u64) -> bool {
        let now_ns = now_us.saturating_mul(1_000);
        let full_ns = self.full_ns.max(now_ns).saturating_add(u64::from(self.token_ns));
        let taken = full_ns - now_ns <= self.capacity_ns();
        if taken {
            self.full_ns = full_ns;
        }
        taken
    }

    /// The earliest time, in µs, at which [`TokenBucket::take`] gives a token: 0 or in the past when it would now.
    #[must_use]
    pub const fn next_us(&self) -> u64 {
        let next_ns = self.full_ns.saturating_add(self.token_ns as u64).saturating_sub(self.capacity_ns());
        next_ns.div_ceil(1_000)
    }

    /// The time an empty bucket takes to fill: below 2⁶².
    const fn capacity_ns(&self) -> u64 {
        self.burst as u64 * self.token_ns as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND_US: u64 = 1_000_000;

    fn taken(bucket: &mut TokenBucket, now_us: u64) -> usize {
        (0..10_000).take_while(|_| bucket.take(now_us)).count()
    }

    #[test]
    fn a_bucket_takes_16_bytes() {
        assert_eq!(size_of::<TokenBucket>(), 16);
    }

    #[test]
    fn a_new_bucket_gives_its_burst_and_then_its_rate() {
        let mut bucket = TokenBucket::new(10, 5);
        assert_eq!(taken(&mut bucket, 0), 5);
        assert_eq!(bucket.next_us(), SECOND_US / 10);
        assert_eq!(taken(&mut bucket, SECOND_US / 10 - 1), 0);
        assert_eq!(taken(&mut bucket, SECOND_US / 10), 1);
        assert_eq!(taken(&mut bucket, SECOND_US / 2), 4);
    }

    #[test]
    fn a_long_pause_gives_no_more_than_the_burst() {
        let mut bucket = TokenBucket::new(10, 5);
        assert_eq!(taken(&mut bucket, 3_600 * SECOND_US), 5);
        assert_eq!(taken(&mut bucket, 7_200 * SECOND_US), 5);
    }

    #[test]
    fn nothing_is_counted_against_a_refused_caller() {
        let mut bucket = TokenBucket::new(1, 1);
        assert!(bucket.take(0));
        assert_eq!((0..100).filter(|_| bucket.take(10)).count(), 0);
        assert_eq!(bucket.next_us(), SECOND_US);
        assert!(bucket.take(SECOND_US));
    }

    #[test]
    fn zeros_and_extremes_are_a_slow_bucket_and_not_a_panic() {
        let mut slow = TokenBucket::new(0, 0);
        assert_eq!(taken(&mut slow, 0), 1);
        assert_eq!(taken(&mut slow, SECOND_US), 1);
        assert_eq!(taken(&mut TokenBucket::new(u32::MAX, u32::MAX), 0), 10_000);
        assert!(TokenBucket::new(1, u32::MAX).take(u64::MAX / 1_000));
    }

    proptest! {
        #[test]
        fn never_more_than_the_burst_and_the_rate_together_and_next_us_is_exact(
            rate in 1..2_000_000_u32,
            burst in 1..50_u32,
            gaps_us in prop::collection::vec(0..50_000_u64, 1..200),
        ) {
            let mut bucket = TokenBucket::new(rate, burst);
            let (mut now_us, mut count) = (0, 0_u64);
            for gap_us in gaps_us {
                now_us += gap_us;
                let due_us = bucket.next_us();
                let given = bucket.take(now_us);
                prop_assert_eq!(given, now_us >= due_us);
                count += u64::from(given);
                prop_assert!(count <= u64::from(burst) + u64::from(rate) * now_us / 1_000_000);
            }
        }
    }
}
