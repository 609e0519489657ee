//! What one session got of one stream: an account by numbers, exact.
//!
//! It knows nothing of frames and time: numbers go in, a verdict comes out; at the end it is closed at the number the session
//! should have got everything below.

use crate::stamp::SEQ_MAX;

mod holes;
#[cfg(test)]
mod tests;

pub use holes::HOLES_MAX;
use holes::Holes;

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
    /// Nobody can have sent it yet: the account stays as it was.
    Beyond,
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

    /// Bytes it holds beyond itself.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.holes.as_ref().map_or(0, |holes| size_of::<Holes>() + holes.held_bytes())
    }

    /// A number arrived. `limit` says below what all are that can have been sent: it is asked only where some are missing
    /// before this one.
    #[inline]
    pub fn arrived(&mut self, seq: u64, limit: impl FnOnce() -> u64) -> Verdict {
        if seq == self.next {
            self.next += 1;
            return Verdict::Next;
        }
        if seq > self.next && seq >= limit() {
            return Verdict::Beyond;
        }
        self.arrived_out_of_turn(seq)
    }

    /// As [`Account::arrived`], for a number that somebody else gave out: one that no sequence would have is in doubt.
    pub fn arrived_foreign(&mut self, seq: u64) -> Verdict {
        let begins = self.next == UNKNOWN;
        let is_near = begins || seq.saturating_sub(self.base) < SEQ_MAX;
        if seq < FOREIGN_SEQ_MAX && is_near { self.arrived(seq, || FOREIGN_SEQ_MAX) } else { Verdict::InDoubt }
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
