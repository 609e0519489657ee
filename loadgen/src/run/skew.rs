//! How far apart a message's first and last receiver are, over all workers.

use std::collections::HashMap;

use crate::hist::Hist;
use crate::talk::Arrival;

/// Merges what workers saw of the same message.
#[derive(Debug, Default)]
pub struct Skew {
    open: HashMap<(u32, u64), Arrival>,
    hist: Hist,
}

impl Skew {
    /// Adds what a worker saw.
    pub fn add(&mut self, arrivals: &[Arrival]) {
        for arrival in arrivals {
            let merged = self.open.entry((arrival.stream, arrival.seq)).or_insert(Arrival { receivers: 0, ..*arrival });
            merged.first_ns = merged.first_ns.min(arrival.first_ns);
            merged.last_ns = merged.last_ns.max(arrival.last_ns);
            merged.receivers += arrival.receivers;
        }
    }

    /// Counts messages of which nothing new is to be expected any more, and forgets them.
    pub fn settle(&mut self, now_ns: u64) {
        let hist = &mut self.hist;
        self.open.retain(|_, arrival| {
            let is_open = arrival.last_ns + OPEN_NS > now_ns;
            if !is_open {
                record(arrival, hist);
            }
            is_open
        });
    }

    /// All of it.
    #[must_use]
    pub fn finish(mut self) -> Hist {
        self.open.values().for_each(|arrival| record(arrival, &mut self.hist));
        self.hist
    }
}

/// One receiver is no distance.
fn record(arrival: &Arrival, hist: &mut Hist) {
    if arrival.receivers > 1 {
        hist.record(arrival.last_ns - arrival.first_ns);
    }
}

/// Workers report a message a second after it came, and progress four times a second; the rest is for a busy machine.
const OPEN_NS: u64 = 10_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival(seq: u64, first_ns: u64, last_ns: u64, receivers: u32) -> Arrival {
        Arrival { stream: 1, seq, first_ns, last_ns, receivers }
    }

    #[test]
    fn workers_that_saw_the_same_message_are_merged() {
        let mut skew = Skew::default();
        skew.add(&[arrival(0, 100, 150, 3), arrival(1, 500, 500, 1)]);
        skew.add(&[arrival(0, 90, 120, 2)]);
        let hist = skew.finish();
        assert_eq!((hist.0.len(), hist.at(1.0)), (1, 60), "a single receiver has no skew");
    }

    #[test]
    fn old_messages_are_counted_and_forgotten() {
        let mut skew = Skew::default();
        skew.add(&[arrival(0, 100, 150, 3), arrival(1, OPEN_NS, OPEN_NS, 2)]);
        skew.settle(OPEN_NS + 150);
        assert_eq!((skew.open.len(), skew.hist.0.len()), (1, 1));
    }
}
