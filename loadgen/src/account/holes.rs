//! The numbers that are missing below the highest that arrived, as ranges; of very many, only the newest.
//!
//! It knows nothing of what a session should have got.

use std::ops::Range;

/// What is missing.
#[derive(Debug, Default)]
pub(super) struct Holes {
    /// The newest ones, oldest first.
    pub(super) ranges: Vec<Range<u64>>,
    /// How many numbers were missing in holes that are not kept any more.
    given_up: u64,
    /// Where the first of those began. Invariant: `given_up <= given_up_below - given_up_from`.
    given_up_from: u64,
    /// Holes below this are not kept.
    given_up_below: u64,
}

/// Holes of an account that are kept: those of 15 000 sessions fit into 240 MiB. Older ones count as missing for good, and
/// what arrives for them later as a duplicate.
pub const HOLES_MAX: usize = 1_024;

impl Holes {
    pub(super) fn push(&mut self, hole: Range<u64>) {
        if self.ranges.len() == HOLES_MAX {
            if self.given_up == 0 {
                self.given_up_from = self.ranges[0].start;
            }
            // Half at a time, so that the rest is moved seldom.
            for old in self.ranges.drain(..HOLES_MAX / 2) {
                self.given_up += old.end - old.start;
                self.given_up_below = old.end;
            }
        }
        self.ranges.push(hole);
    }

    /// The hole that has this number, or would stand before it.
    fn at(&self, seq: u64) -> usize {
        self.ranges.partition_point(|hole| hole.end <= seq)
    }

    pub(super) fn has(&self, seq: u64) -> bool {
        (self.given_up_from..self.given_up_below).contains(&seq)
            || self.ranges.get(self.at(seq)).is_some_and(|hole| hole.contains(&seq))
    }

    pub(super) fn fill(&mut self, seq: u64) -> bool {
        let at = self.at(seq);
        let Some(hole) = self.ranges.get_mut(at).filter(|hole| hole.contains(&seq)) else { return false };
        let rest = seq + 1..hole.end;
        hole.end = seq;
        let before_empty = hole.is_empty();
        match (before_empty, rest.is_empty()) {
            (true, true) => drop(self.ranges.remove(at)),
            (true, false) => self.ranges[at] = rest,
            (false, true) => {}
            (false, false) => self.ranges.insert(at + 1, rest),
        }
        true
    }

    pub(super) const fn held_bytes(&self) -> usize {
        self.ranges.capacity() * size_of::<Range<u64>>()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.ranges.is_empty() && self.given_up == 0
    }

    /// How many are missing below this. Where it lies among holes that are not kept, all before it may have been in them:
    /// never more than there are numbers.
    pub(super) fn count_below(&self, end: u64) -> u64 {
        let kept: u64 = self.ranges.iter().map(|hole| hole.end.min(end).saturating_sub(hole.start)).sum();
        kept + self.given_up.min(end.saturating_sub(self.given_up_from))
    }
}
