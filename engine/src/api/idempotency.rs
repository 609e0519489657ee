//! The pushes a caller may repeat without harm: their ids, for a bounded time and number.
//!
//! Knows nothing of what is pushed, nor of what a reply says.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use epush_core::now::Now;

/// Remembered ids. `W` is whoever waits for the outcome of a push, `R` the outcome.
pub struct Idempotency<W, R> {
    keys_max: usize,
    window_us: u64,
    /// Invariant: every [`Push::Done`] of `pushes` is in `done` once, and nothing else is.
    pushes: HashMap<Arc<str>, Push<W, R>>,
    /// Ids of finished pushes, oldest first, with the time to forget them, in monotonic µs.
    done: VecDeque<(Arc<str>, u64)>,
}

enum Push<W, R> {
    /// Under way; the callers that repeated it meanwhile. As many as there are connections, at most.
    Counting(Vec<W>),
    /// Done, and how.
    Done(R),
}

/// What a push with an id is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Begun<R> {
    /// The first: carry it out, then say [`Idempotency::finish`] or [`Idempotency::abandon`].
    New,
    /// A repeat of one under way: the caller waits with it.
    Waits,
    /// A repeat of one with this outcome.
    Done(R),
}

impl<W, R: Copy> Idempotency<W, R> {
    /// Remembers up to `keys_max` finished pushes, each for `window_ms`.
    pub fn new(keys_max: usize, window_ms: u64) -> Self {
        let window_us = window_ms.saturating_mul(1_000);
        Self { keys_max, window_us, pushes: HashMap::new(), done: VecDeque::new() }
    }

    /// A push with this id comes in.
    pub fn begin(&mut self, now: Now, id: &Arc<str>, caller: W) -> Begun<R> {
        self.forget_old(now);
        match self.pushes.get_mut(id) {
            Some(Push::Done(outcome)) => Begun::Done(*outcome),
            Some(Push::Counting(waiting)) => {
                waiting.push(caller);
                Begun::Waits
            }
            None => {
                self.pushes.insert(Arc::clone(id), Push::Counting(Vec::new()));
                Begun::New
            }
        }
    }

    /// The push was carried out. Returns who else waits for it.
    pub fn finish(&mut self, now: Now, id: &Arc<str>, outcome: R) -> Vec<W> {
        let waiting = self.abandon(id);
        while self.done.len() >= self.keys_max.max(1) {
            self.forget_oldest();
        }
        if self.keys_max > 0 {
            self.pushes.insert(Arc::clone(id), Push::Done(outcome));
            self.done.push_back((Arc::clone(id), now.monotonic_us.saturating_add(self.window_us)));
        }
        waiting
    }

    /// The push was refused and is not remembered. Returns who else waits for it.
    pub fn abandon(&mut self, id: &Arc<str>) -> Vec<W> {
        match self.pushes.remove(id) {
            Some(Push::Counting(waiting)) => waiting,
            Some(Push::Done(_)) | None => {
                debug_assert!(false, "push {id} ends twice");
                Vec::new()
            }
        }
    }

    fn forget_old(&mut self, now: Now) {
        while self.done.front().is_some_and(|(_, forget_us)| *forget_us <= now.monotonic_us) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((id, _)) = self.done.pop_front() {
            self.pushes.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Now {
        Now { monotonic_us: ms * 1_000, unix_ms: 0 }
    }

    fn id(text: &str) -> Arc<str> {
        text.into()
    }

    #[test]
    fn a_repeat_is_answered_until_its_time_is_over() {
        let mut ids = Idempotency::new(10, 100);
        assert_eq!(ids.begin(at(0), &id("a"), ()), Begun::New);
        assert!(ids.finish(at(50), &id("a"), 3).is_empty());
        assert_eq!(ids.begin(at(149), &id("a"), ()), Begun::Done(3));
        assert_eq!(ids.begin(at(150), &id("a"), ()), Begun::New);
    }

    #[test]
    fn a_repeat_of_a_push_under_way_waits_for_it() {
        let mut ids = Idempotency::new(10, 100);
        assert_eq!(ids.begin(at(0), &id("a"), 1), Begun::New);
        assert_eq!(ids.begin(at(0), &id("a"), 2), Begun::Waits);
        // Longer than the window: what is under way is never forgotten.
        assert_eq!(ids.begin(at(500), &id("a"), 3), Begun::Waits);
        assert_eq!(ids.finish(at(600), &id("a"), 0), [2, 3]);
    }

    #[test]
    fn a_refused_push_is_not_remembered() {
        let mut ids = Idempotency::<_, u64>::new(10, 100);
        assert_eq!(ids.begin(at(0), &id("a"), 1), Begun::New);
        assert_eq!(ids.begin(at(0), &id("a"), 2), Begun::Waits);
        assert_eq!(ids.abandon(&id("a")), [2]);
        assert_eq!(ids.begin(at(0), &id("a"), 1), Begun::New);
    }

    #[test]
    fn the_oldest_is_forgotten_first_and_the_number_is_bounded() {
        let mut ids = Idempotency::new(2, 1_000);
        for name in ["a", "b", "c"] {
            ids.begin(at(0), &id(name), ());
            ids.finish(at(0), &id(name), 1);
        }
        assert_eq!((ids.pushes.len(), ids.done.len()), (2, 2));
        assert_eq!(ids.begin(at(1), &id("b"), ()), Begun::Done(1));
        assert_eq!(ids.begin(at(1), &id("a"), ()), Begun::New);
    }

    #[test]
    fn with_no_room_nothing_is_remembered() {
        let mut ids = Idempotency::new(0, 1_000);
        assert_eq!(ids.begin(at(0), &id("a"), ()), Begun::New);
        ids.finish(at(0), &id("a"), 1);
        assert_eq!(ids.begin(at(0), &id("a"), ()), Begun::New);
        assert_eq!((ids.pushes.len(), ids.done.len()), (1, 0));
    }
}
