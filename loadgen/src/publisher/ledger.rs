//! What a publisher did, number by number: what it gave out, what the server refused, what was never sent, how late all was.

use std::collections::HashSet;

use crate::hist::Hist;
use crate::report::units::harmless;
use crate::talk::{FAILURE_KINDS_MAX, Failures};

/// A message of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// When it was due, monotonic nanoseconds.
    pub due_ns: u64,
    /// Its stream.
    pub stream: u32,
    /// Its number there.
    pub seq: u64,
}

/// A publisher's books.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// Messages that were due, by stream of this publisher: what went over a socket, and what could not.
    pub counts: Vec<u64>,
    /// Stream and number of what the server did not take, as far as [`REFUSED_MAX`] goes.
    pub refused: Vec<(u32, u64)>,
    /// The same, to tell what is refused twice.
    ///
    /// Invariant: has exactly what `refused` has.
    listed: HashSet<(u32, u64)>,
    /// Refusals since the last look: their streams, where the number is known.
    news: Vec<Option<u32>>,
    /// All of them, and refusals whose number is not known.
    pub refused_count: u64,
    /// Their kinds.
    pub failures: Vec<Failures>,
    /// From when a message was due to when it was written, whoever is to blame.
    pub slip: Hist,
    /// From when a message was due to when this thread looked: only this tool is to blame.
    pub lateness: Hist,
    /// From writing to the server's answer.
    pub answered: Hist,
    /// Most bytes that waited for the server.
    pub backlog_bytes_max: u64,
}

impl Ledger {
    /// An empty one for so many streams.
    #[must_use]
    pub fn new(streams: usize) -> Self {
        Self { counts: vec![0; streams], ..Self::default() }
    }

    /// A message was not taken, or not sent. Who says it twice has refused one message.
    pub fn refuse(&mut self, stream: u32, seq: u64, kind: &str, example: &str) {
        if self.listed.contains(&(stream, seq)) {
            return;
        }
        if self.refused.len() < REFUSED_MAX {
            self.refused.push((stream, seq));
            self.listed.insert((stream, seq));
        } else {
            self.fail(UNLISTED, "their receivers count them as lost");
        }
        self.count_refused(Some(stream), kind, example);
    }

    /// The server refused a message and did not say which.
    pub fn refuse_unnumbered(&mut self, kind: &str, example: &str) {
        self.count_refused(None, kind, example);
    }

    fn count_refused(&mut self, stream: Option<u32>, kind: &str, example: &str) {
        self.refused_count += 1;
        self.news.push(stream);
        self.fail(kind, example);
    }

    /// Refusals since the last call: the stream of each, where it is known.
    pub fn take_news(&mut self) -> Vec<Option<u32>> {
        std::mem::take(&mut self.news)
    }

    /// Whether this publisher, whose streams begin there, gave out such a message.
    #[must_use]
    pub fn gave_out(&self, first_stream: u32, stream: u32, seq: u64) -> bool {
        let at = stream.checked_sub(first_stream);
        at.and_then(|at| self.counts.get(at as usize)).is_some_and(|count| seq < *count)
    }

    /// Something failed, whether or not a message suffered.
    pub fn fail(&mut self, kind: &str, example: &str) {
        // Both may be the server's words.
        let (kind, example) = (harmless(kind, KIND_CHARS_MAX), harmless(example, EXAMPLE_CHARS_MAX));
        add(&mut self.failures, &Failures { kind, count: 1, example });
    }

    /// So many bytes wait now.
    pub fn backlog(&mut self, bytes: u64) {
        self.backlog_bytes_max = self.backlog_bytes_max.max(bytes);
    }
}

/// Adds to the kind that is there, or as a new one; beyond [`FAILURE_KINDS_MAX`] to `other`.
pub fn add(failures: &mut Vec<Failures>, one: &Failures) {
    if let Some(same) = failures.iter_mut().find(|known| known.kind == one.kind) {
        same.count += one.count;
    } else if failures.len() < FAILURE_KINDS_MAX {
        failures.push(one.clone());
    } else if let Some(last) = failures.last_mut() {
        last.kind = String::from("other");
        last.count += one.count;
    }
}

/// Numbers of refused messages kept: 5 MB, and 1.6 MB as much again in each worker. More refusals than these make the run's
/// losses meaningless anyway, and the result says so.
pub const REFUSED_MAX: usize = 100_000;

/// Characters of a kind: more than any of ours has.
const KIND_CHARS_MAX: usize = 200;

/// Characters of an example.
const EXAMPLE_CHARS_MAX: usize = 300;

/// The kind under which refusals beyond [`REFUSED_MAX`] are counted a second time.
const UNLISTED: &str = "refused beyond what can be listed";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_beyond_the_limit_are_counted_and_said() {
        let mut ledger = Ledger::new(1);
        for seq in 0..REFUSED_MAX as u64 + 3 {
            ledger.refuse(0, seq, "publication answered 500", "broken");
        }
        assert_eq!((ledger.refused.len(), ledger.refused_count), (REFUSED_MAX, REFUSED_MAX as u64 + 3));
        let counts: Vec<u64> = ledger.failures.iter().map(|one| one.count).collect();
        assert_eq!(counts, [REFUSED_MAX as u64 + 3, 3]);
    }

    #[test]
    fn a_message_that_is_refused_twice_is_one() {
        let mut ledger = Ledger::new(2);
        for (stream, seq) in [(0, 5), (0, 5), (1, 5), (0, 5)] {
            ledger.refuse(stream, seq, "publication refused", "no");
        }
        assert_eq!((ledger.refused.as_slice(), ledger.refused_count), (&[(0, 5), (1, 5)][..], 2));
        assert_eq!(ledger.failures[0].count, 2);
    }

    #[test]
    fn what_somebody_else_gave_out_is_none_of_its() {
        let ledger = Ledger { counts: vec![3, 1], ..Ledger::default() };
        let asked = [(4, 0), (5, 2), (5, 3), (6, 0), (7, 0), (u32::MAX, 0)];
        assert_eq!(
            asked.map(|(stream, seq)| ledger.gave_out(5, stream, seq)),
            [false, true, false, true, false, false]
        );
    }

    #[test]
    fn kinds_beyond_the_limit_are_counted_together() {
        let mut ledger = Ledger::default();
        for kind in 0..FAILURE_KINDS_MAX + 5 {
            ledger.fail(&format!("kind {kind}"), "");
        }
        assert_eq!(ledger.failures.len(), FAILURE_KINDS_MAX);
        assert_eq!(ledger.failures.iter().map(|one| one.count).sum::<u64>(), FAILURE_KINDS_MAX as u64 + 5);
    }
}
