//! What the run, its publishers and its workers share while they run: plain numbers, no locks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// One for the run.
#[derive(Debug)]
pub struct Live {
    /// When the steady phase begins; [`NEVER`] until that is known.
    from_ns: AtomicU64,
    /// When it ends: nothing is due later.
    until_ns: AtomicU64,
    /// When what is still unsent or unanswered is given up.
    give_up_ns: AtomicU64,
    /// Messages given out by all publishers.
    published: AtomicU64,
    /// Deliveries that the publications so far should cause of the publisher that waits for them, refused ones taken off.
    owed: AtomicU64,
    /// Deliveries of its messages so far, by worker of this process.
    delivered: Vec<Arc<AtomicU64>>,
    /// One for each publisher.
    publishers: Vec<Seat>,
}

/// What one publisher tells while it runs.
#[derive(Debug, Default)]
struct Seat {
    ready: AtomicBool,
    cpu_ns: AtomicU64,
}

/// A time that does not come.
pub const NEVER: u64 = u64::MAX;

impl Live {
    /// Before the steady phase.
    #[must_use]
    pub fn new(publishers: usize, delivered: Vec<Arc<AtomicU64>>) -> Self {
        Self {
            from_ns: AtomicU64::new(NEVER),
            until_ns: AtomicU64::new(NEVER),
            give_up_ns: AtomicU64::new(NEVER),
            published: AtomicU64::new(0),
            owed: AtomicU64::new(0),
            delivered,
            publishers: std::iter::repeat_with(Seat::default).take(publishers).collect(),
        }
    }

    /// Publish from then.
    pub fn begin(&self, from_ns: u64) {
        self.from_ns.store(from_ns, Ordering::Release);
    }

    /// Nothing is due from then on; what is unanswered at `give_up_ns` stays so.
    pub fn end(&self, until_ns: u64, give_up_ns: u64) {
        self.until_ns.store(until_ns, Ordering::Release);
        self.give_up_ns.store(give_up_ns, Ordering::Release);
    }

    /// When the steady phase begins.
    #[must_use]
    pub fn from_ns(&self) -> u64 {
        self.from_ns.load(Ordering::Acquire)
    }

    /// When it ends.
    #[must_use]
    pub fn until_ns(&self) -> u64 {
        self.until_ns.load(Ordering::Acquire)
    }

    /// When publishers give up.
    #[must_use]
    pub fn give_up_ns(&self) -> u64 {
        self.give_up_ns.load(Ordering::Acquire)
    }

    /// Messages given out so far.
    #[must_use]
    pub fn published(&self) -> u64 {
        self.published.load(Ordering::Relaxed)
    }

    /// Publisher `seat` can publish.
    pub fn set_ready(&self, seat: usize, ready: bool) {
        self.publishers[seat].ready.store(ready, Ordering::Relaxed);
    }

    /// Every publisher can publish.
    #[must_use]
    pub fn all_ready(&self) -> bool {
        self.publishers.iter().all(|seat| seat.ready.load(Ordering::Relaxed))
    }

    /// Publisher `seat` has used so much of a processor.
    pub fn set_cpu_ns(&self, seat: usize, cpu_ns: u64) {
        self.publishers[seat].cpu_ns.store(cpu_ns, Ordering::Relaxed);
    }

    /// What publisher `seat` has used so far, as it last said.
    #[must_use]
    pub fn cpu_ns(&self, seat: usize) -> u64 {
        self.publishers[seat].cpu_ns.load(Ordering::Relaxed)
    }

    /// So many publishers.
    #[must_use]
    pub fn publishers(&self) -> usize {
        self.publishers.len()
    }

    pub(super) fn publish(&self, messages: u64) {
        self.published.fetch_add(messages, Ordering::Relaxed);
    }

    /// The publisher that waits for delivery waits for so many more.
    pub(super) fn owe(&self, deliveries: u64) {
        // What came after nobody waited for it any more is no credit for what is published now.
        self.owed.fetch_max(self.deliveries(), Ordering::Relaxed);
        self.owed.fetch_add(deliveries, Ordering::Relaxed);
    }

    /// So many deliveries will not come.
    pub(super) fn excuse(&self, deliveries: u64) {
        let less = |owed: u64| Some(owed.saturating_sub(deliveries));
        // It always has a value to put in place.
        let _ = self.owed.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// Deliveries that are missing now.
    pub(super) fn outstanding(&self) -> u64 {
        self.owed.load(Ordering::Relaxed).saturating_sub(self.deliveries())
    }

    fn deliveries(&self) -> u64 {
        self.delivered.iter().map(|worker| worker.load(Ordering::Relaxed)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_owed_is_what_was_published_less_what_was_refused_and_delivered() {
        let delivered = [Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0))];
        let live = Live::new(1, delivered.to_vec());
        live.publish(3);
        live.owe(30);
        live.excuse(10);
        delivered[0].store(5, Ordering::Relaxed);
        delivered[1].store(6, Ordering::Relaxed);
        assert_eq!((live.published(), live.outstanding()), (3, 9));
        delivered[1].store(60, Ordering::Relaxed);
        assert_eq!(live.outstanding(), 0, "duplicates owe nothing");
    }
}
