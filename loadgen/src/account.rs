//! What one session got of one stream: an account by numbers, exact.
//!
//! It knows nothing of frames and time: numbers go in, a verdict comes out; at the end it is closed at the number the session
//! should have got everything below.

use std::ops::Range;

use crate::stamp::SEQ_MAX;

/// One session's account of one stream.
///
/// Invariant: `base <= next`, and the holes are ascending, apart, not empty, and within `base..next`.
#[derive(Debug, Default)]
pub struct Account {
    /// The first number it must get; [`UNKNOWN`] until the first one arrived, where nobody can say before.
    base: u64,
    /// One more than the highest it got.
    next: u64,
    /// What is missing below `next`; nothing is kept where nothing is.
    holes: Option<Box<Holes>>,
    /// The stream.
    stream: u32,
    /// Bytes of a payload of this stream.
    payload_bytes: u32,
}

/// What is missing.
#[derive(Debug, Default)]
struct Holes {
    /// The newest ones, oldest first.
    ranges: Vec<Range<u64>>,
    /// How many numbers were missing in holes that are not kept any more.
    given_up: u64,
    /// Holes below this are not kept.
    given_up_below: u64,
}

/// What a number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The expected one.
    Next,
    /// So many before it are missing.
    Ahead(u64),
    /// Missing until now, though a later one is here.
    Reordered,
    /// Here already.
    Duplicate,
    /// Below what it must get.
    InDoubt,
}

/// An account, closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Closed {
    /// Numbers it should have got.
    pub expected: u64,
    /// Of these, arrived.
    pub received: u64,
    /// Of these, not.
    pub missing: u64,
    /// Arrived, though nobody is known to have sent them.
    pub unknown: u64,
}

/// The base of an account whose first number is whatever arrives first.
pub const UNKNOWN: u64 = u64::MAX;

/// Holes of an account that are kept: those of 15 000 sessions fit into 240 MiB. Older ones count as missing for good, and
/// what arrives for them later as a duplicate.
pub const HOLES_MAX: usize = 1_024;

/// Numbers that others give out are below this: above it there would be no room for the next.
const FOREIGN_SEQ_MAX: u64 = 1 << 63;

impl Account {
    /// Of a stream with payloads of this size, from this number on.
    #[must_use]
    pub const fn new(stream: u32, payload_bytes: u32, base: u64) -> Self {
        Self { base, next: base, holes: None, stream, payload_bytes }
    }

    /// The stream.
    #[must_use]
    pub const fn stream(&self) -> u32 {
        self.stream
    }

    /// Bytes of a payload of this stream.
    #[must_use]
    pub const fn payload_bytes(&self) -> usize {
        self.payload_bytes as usize
    }

    /// One more than the highest number it got, or its base.
    #[must_use]
    pub const fn next(&self) -> u64 {
        if self.next == UNKNOWN { 0 } else { self.next }
    }

    /// A number arrived.
    #[inline]
    pub fn arrived(&mut self, seq: u64) -> Verdict {
        if seq == self.next {
            self.next += 1;
            return Verdict::Next;
        }
        self.arrived_out_of_turn(seq)
    }

    /// As [`Account::arrived`], for a number that somebody else gave out: one that no sequence would have is in doubt.
    pub fn arrived_foreign(&mut self, seq: u64) -> Verdict {
        let begins = self.next == UNKNOWN;
        let is_near = begins || seq.saturating_sub(self.base) < SEQ_MAX;
        if seq < FOREIGN_SEQ_MAX && is_near { self.arrived(seq) } else { Verdict::InDoubt }
    }

    #[cold]
    fn arrived_out_of_turn(&mut self, seq: u64) -> Verdict {
        if self.next == UNKNOWN {
            self.base = seq;
            self.next = seq + 1;
            return Verdict::Next;
        }
        if seq > self.next {
            let missing = seq - self.next;
            self.holes.get_or_insert_default().push(self.next..seq);
            self.next = seq + 1;
            return Verdict::Ahead(missing);
        }
        if seq < self.base {
            return Verdict::InDoubt;
        }
        if self.fill(seq) { Verdict::Reordered } else { Verdict::Duplicate }
    }

    fn fill(&mut self, seq: u64) -> bool {
        let Some(holes) = &mut self.holes else { return false };
        if !holes.fill(seq) {
            return false;
        }
        if holes.is_empty() {
            self.holes = None;
        }
        true
    }

    /// Whether nothing is missing below `end` but what nobody took.
    #[must_use]
    pub fn is_complete(&self, end: u64, refused: &[u64]) -> bool {
        self.missing(end, refused) == 0
    }

    /// How many are missing below `end`, those left out that nobody took: `refused`, ascending.
    #[must_use]
    pub fn missing(&self, end: u64, refused: &[u64]) -> u64 {
        if self.holes.is_none() && self.next >= end {
            return 0;
        }
        self.close(end, refused).missing
    }

    /// Closes it: the session should have got everything below `end`, but not those that the server did not take: `refused`, ascending.
    #[must_use]
    pub fn close(&self, end: u64, refused: &[u64]) -> Closed {
        if self.next == UNKNOWN {
            return Closed::default();
        }
        let end = end.max(self.base);
        let top = self.next.min(end);
        let holes = self.holes.as_deref();
        let below_top = holes.map_or(0, |holes| holes.count_below(top));
        let all = holes.map_or(0, |holes| holes.count_below(self.next));
        let received = top - self.base - below_top;
        let not_taken = self.not_taken(end, refused);
        let missing = (below_top + (end - top)).saturating_sub(not_taken);
        let unknown = (self.next - self.base - all) - received;
        Closed { expected: received + missing, received, missing, unknown }
    }

    /// Of the refused ones, those that are missing.
    fn not_taken(&self, end: u64, refused: &[u64]) -> u64 {
        let from = refused.partition_point(|seq| *seq < self.base);
        let to = refused.partition_point(|seq| *seq < end);
        let inside = refused.get(from..to).unwrap_or_default();
        inside
            .iter()
            .filter(|seq| **seq >= self.next || self.holes.as_ref().is_some_and(|holes| holes.has(**seq)))
            .count() as u64
    }
}

impl Holes {
    fn push(&mut self, hole: Range<u64>) {
        if self.ranges.len() == HOLES_MAX {
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

    fn has(&self, seq: u64) -> bool {
        seq < self.given_up_below || self.ranges.get(self.at(seq)).is_some_and(|hole| hole.contains(&seq))
    }

    fn fill(&mut self, seq: u64) -> bool {
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

    const fn is_empty(&self) -> bool {
        self.ranges.is_empty() && self.given_up == 0
    }

    fn count_below(&self, end: u64) -> u64 {
        let kept: u64 = self.ranges.iter().map(|hole| hole.end.min(end).saturating_sub(hole.start)).sum();
        kept + self.given_up
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn in_order_nothing_is_kept() {
        let mut account = Account::new(7, 128, 5);
        for seq in 5..100 {
            assert_eq!(account.arrived(seq), Verdict::Next);
        }
        assert!(account.holes.is_none());
        assert_eq!(account.close(100, &[]), Closed { expected: 95, received: 95, ..Closed::default() });
        assert_eq!(account.close(103, &[]), Closed { expected: 98, received: 95, missing: 3, unknown: 0 });
    }

    #[test]
    fn a_hole_that_is_filled_is_a_reordering_and_filled_twice_a_duplicate() {
        let mut account = Account::new(0, 128, 0);
        assert_eq!(account.arrived(0), Verdict::Next);
        assert_eq!(account.arrived(4), Verdict::Ahead(3));
        assert_eq!(account.arrived(2), Verdict::Reordered);
        assert_eq!(account.arrived(2), Verdict::Duplicate);
        assert_eq!(account.arrived(4), Verdict::Duplicate);
        assert_eq!(account.close(5, &[]), Closed { expected: 5, received: 3, missing: 2, unknown: 0 });
        assert_eq!(account.arrived(1), Verdict::Reordered);
        assert_eq!(account.arrived(3), Verdict::Reordered);
        assert!(account.holes.is_none(), "nothing is kept where nothing is missing");
        assert!(account.is_complete(5, &[]));
    }

    #[test]
    fn numbers_before_the_base_are_in_doubt() {
        let mut account = Account::new(0, 128, 10);
        assert_eq!(account.arrived(9), Verdict::InDoubt);
        assert_eq!(account.arrived(10), Verdict::Next);
        assert_eq!(account.close(11, &[]).received, 1);
    }

    #[test]
    fn without_a_schedule_the_first_that_arrives_is_the_base() {
        let mut account = Account::new(0, 128, UNKNOWN);
        assert_eq!(account.close(50, &[]), Closed::default(), "nobody can say what it missed");
        assert_eq!(account.arrived(40), Verdict::Next);
        assert_eq!(account.arrived(39), Verdict::InDoubt);
        assert_eq!(account.close(42, &[]), Closed { expected: 2, received: 1, missing: 1, unknown: 0 });
    }

    #[test]
    fn what_the_server_did_not_take_is_expected_by_nobody() {
        let mut account = Account::new(0, 128, 0);
        for seq in [0, 1, 4, 5] {
            account.arrived(seq);
        }
        assert_eq!(account.close(8, &[1, 2, 6]), Closed { expected: 6, received: 4, missing: 2, unknown: 0 });
        assert!(account.is_complete(8, &[2, 3, 6, 7]));
        assert!(!account.is_complete(8, &[2, 3, 6]));
    }

    #[test]
    fn numbers_nobody_sent_are_told_apart() {
        let mut account = Account::new(0, 128, 0);
        account.arrived(0);
        account.arrived(9);
        assert_eq!(account.close(3, &[]), Closed { expected: 3, received: 1, missing: 2, unknown: 1 });
    }

    #[test]
    fn the_oldest_holes_are_given_up_beyond_the_limit_and_still_missing() {
        let mut account = Account::new(0, 128, 0);
        let odd = 2 * HOLES_MAX as u64 + 100;
        for seq in (1..2 * odd).step_by(2) {
            account.arrived(seq);
        }
        assert!(account.holes.as_ref().expect("half is missing").ranges.len() <= HOLES_MAX);
        assert_eq!(account.close(2 * odd, &[]), Closed { expected: 2 * odd, received: odd, missing: odd, unknown: 0 });
        assert_eq!(account.close(2 * odd, &[0, 2]).missing, odd - 2);
        assert_eq!(account.arrived(0), Verdict::Duplicate);
        assert_eq!(account.arrived(2 * odd - 2), Verdict::Reordered);
    }

    /// Numbers as a server with every fault delivers them: some dropped, some twice, in any order within a window.
    fn deliveries() -> impl Strategy<Value = Vec<u64>> {
        prop::collection::vec((0_u8..10, 0_u64..12), 0..200).prop_map(|faults| {
            let mut order = Vec::new();
            for (seq, (fault, late)) in faults.into_iter().enumerate() {
                let seq = seq as u64;
                match fault {
                    0 => {}
                    1 => order.extend([(seq, seq), (seq + late, seq)]),
                    2 => order.push((seq + late, seq)),
                    _ => order.push((seq, seq)),
                }
            }
            order.sort_by_key(|(when, _)| *when);
            order.into_iter().map(|(_, seq)| seq).collect()
        })
    }

    proptest! {
        #[test]
        fn it_says_what_a_list_of_all_numbers_says(
            arrivals in deliveries(),
            base in 0_u64..40,
            end in 0_u64..220,
            refused in prop::collection::btree_set(0_u64..220, 0..30),
        ) {
            let mut account = Account::new(0, 128, base);
            let mut seen = BTreeSet::new();
            let mut highest = None;
            for seq in arrivals {
                let expected = if seq < base {
                    Verdict::InDoubt
                } else if seen.contains(&seq) {
                    Verdict::Duplicate
                } else if highest.is_some_and(|highest| seq < highest) {
                    Verdict::Reordered
                } else {
                    let next = highest.map_or(base, |highest: u64| highest + 1);
                    if seq == next { Verdict::Next } else { Verdict::Ahead(seq - next) }
                };
                prop_assert_eq!(account.arrived(seq), expected, "number {}", seq);
                if seq >= base {
                    seen.insert(seq);
                    highest = highest.max(Some(seq));
                }
            }
            let end = end.max(base);
            let received = (base..end).filter(|seq| seen.contains(seq)).count() as u64;
            let missing = (base..end).filter(|seq| !seen.contains(seq) && !refused.contains(seq)).count() as u64;
            let refused: Vec<u64> = refused.into_iter().collect();
            let unknown = seen.iter().filter(|seq| **seq >= end).count() as u64;
            prop_assert_eq!(account.close(end, &refused), Closed { expected: received + missing, received, missing, unknown });
            prop_assert_eq!(account.missing(end, &refused), missing);
        }
    }

    #[test]
    fn numbers_of_others_that_no_sequence_has_are_in_doubt() {
        let mut account = Account::new(0, 64, UNKNOWN);
        assert_eq!(account.arrived_foreign(u64::MAX), Verdict::InDoubt);
        assert_eq!(account.arrived_foreign(1_000), Verdict::Next);
        assert_eq!(account.arrived_foreign(1_000 + SEQ_MAX), Verdict::InDoubt);
        assert_eq!(account.arrived_foreign(1_001), Verdict::Next);
        assert_eq!(account.arrived_foreign(account.next()), Verdict::Next);
    }
}
