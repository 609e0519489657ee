//! How many bytes of publications are under way in this node, and the bound on them.
//!
//! A publication reserves its bytes before it is encoded and gives them back when the last shard is done with it.
//! Knows nothing of publications but their weight.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The node's account of bytes under way; clones share it.
#[derive(Clone, Debug)]
pub struct Intake {
    account: Arc<Account>,
}

#[derive(Debug)]
struct Account {
    /// Invariant: the sum of all living permits; never above the largest `bytes_max` there was.
    bytes: AtomicUsize,
    bytes_max: AtomicUsize,
}

/// Bytes reserved; dropping it gives them back.
#[derive(Debug)]
pub struct Permit {
    account: Arc<Account>,
    bytes: usize,
}

/// Why nothing was reserved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// Too much is under way: later it may fit.
    Full,
    /// It is larger than the whole intake: it will never fit.
    TooLarge,
}

impl Intake {
    /// An empty account for at most `bytes_max` bytes.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self { account: Arc::new(Account { bytes: AtomicUsize::new(0), bytes_max: AtomicUsize::new(bytes_max) }) }
    }

    /// Reserves all of `bytes`, or nothing.
    ///
    /// # Errors
    /// [`Refused`] when it does not fit.
    pub fn reserve(&self, bytes: usize) -> Result<Permit, Refused> {
        let bytes_max = self.account.bytes_max.load(Ordering::Relaxed);
        if bytes > bytes_max {
            return Err(Refused::TooLarge);
        }
        // Relaxed: the number guards no other memory, it only has to add up.
        let fits = |now: usize| now.checked_add(bytes).filter(|sum| *sum <= bytes_max);
        match self.account.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits) {
            Ok(_) => Ok(Permit { account: Arc::clone(&self.account), bytes }),
            Err(_) => Err(Refused::Full),
        }
    }

    /// Bytes under way now.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.account.bytes.load(Ordering::Relaxed)
    }

    /// Whether half of the bound or more is under way: what could leave should, before anybody is refused.
    #[must_use]
    pub fn is_half_full(&self) -> bool {
        self.bytes() >= self.account.bytes_max.load(Ordering::Relaxed).div_ceil(2)
    }

    /// Moves the bound, for reservations from now on.
    pub fn set_bytes_max(&self, bytes_max: usize) {
        self.account.bytes_max.store(bytes_max, Ordering::Relaxed);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let before = self.account.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        debug_assert!(before >= self.bytes, "a permit gave back more than was reserved");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_whole_and_fits_again_after_a_release() {
        let intake = Intake::new(100);
        let first = intake.reserve(60).expect("fits");
        assert_eq!(intake.reserve(41).err(), Some(Refused::Full));
        assert_eq!(intake.bytes(), 60);
        let second = intake.reserve(40).expect("fits exactly");
        drop(first);
        assert_eq!(intake.bytes(), 40);
        assert!(intake.reserve(60).is_ok());
        drop(second);
        assert_eq!(intake.bytes(), 0);
    }

    #[test]
    fn it_is_half_full_at_half_of_the_bound_it_has_now() {
        let intake = Intake::new(101);
        let _first = intake.reserve(50).expect("fits");
        assert!(!intake.is_half_full());
        let _second = intake.reserve(1).expect("fits");
        assert!(intake.is_half_full());
        intake.set_bytes_max(103);
        assert!(!intake.is_half_full());
    }

    #[test]
    fn what_is_larger_than_the_intake_is_told_so() {
        assert_eq!(Intake::new(100).reserve(101).err(), Some(Refused::TooLarge));
        assert_eq!(Intake::new(100).reserve(usize::MAX).err(), Some(Refused::TooLarge));
    }

    #[test]
    fn threads_that_race_never_reserve_more_than_the_bound() {
        let intake = Intake::new(1_000);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..5_000 {
                        let permit = intake.reserve(300);
                        assert!(intake.bytes() <= 1_000);
                        drop(permit);
                    }
                });
            }
        });
        assert_eq!(intake.bytes(), 0);
    }
}
