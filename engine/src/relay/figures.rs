//! The relay's numbers, which anybody may read at any time.
//!
//! Each field has one writer, or is added to atomically. Knows nothing of how they are shown.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use epush_core::counters::Histogram;

/// See the module.
#[derive(Debug, Default)]
pub struct RelayFigures {
    /// Whether Redis answers the sending thread.
    pub is_up: AtomicBool,
    /// Whether the receiving thread is subscribed.
    pub is_listening: AtomicBool,
    /// Messages taken from other nodes.
    pub received: AtomicU64,
    /// Messages given to Redis: one per user, channel or broadcast.
    pub sent: AtomicU64,
    /// Messages of other nodes that did not arrive, one per stream.
    pub lost: AtomicU64,
    /// Messages not sent because the queue was full.
    pub dropped: AtomicU64,
    /// Messages that arrived twice and were delivered once.
    pub duplicates: AtomicU64,
    /// Relayed bytes skipped: of a version this node does not know.
    pub skipped_version: AtomicU64,
    /// Relayed bytes skipped: malformed.
    pub skipped_malformed: AtomicU64,
    /// Connections to Redis made.
    pub connects: AtomicU64,
    /// Messages that wait to be sent.
    pub queued: AtomicU64,
    /// Users and channels that are yet to be told of messages lost to them.
    pub untold: AtomicU64,
    /// Channels this node is subscribed to in Redis.
    pub channels: AtomicU64,
    /// From handing a pipeline to Redis to its last reply.
    pub round_trip: SharedHistogram,
    /// From sending a message to its arrival at this node, by Redis's clock.
    pub lag: SharedHistogram,
}

impl RelayFigures {
    /// Whether messages cross in both directions.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.is_up.load(Relaxed) && self.is_listening.load(Relaxed)
    }
}

/// A [`Histogram`] that one thread fills and others read.
#[derive(Debug, Default)]
pub struct SharedHistogram {
    buckets: [AtomicU64; Histogram::BOUNDS_US.len() + 1],
    sum_us: AtomicU64,
}

impl SharedHistogram {
    /// Counts one duration.
    pub fn observe(&self, us: u64) {
        let bucket = Histogram::BOUNDS_US.partition_point(|bound| *bound < us);
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.sum_us.fetch_add(us, Relaxed);
    }

    /// As it is.
    #[must_use]
    pub fn snapshot(&self) -> Histogram {
        let mut snapshot = Histogram { sum_us: self.sum_us.load(Relaxed), ..Histogram::default() };
        for (copy, bucket) in snapshot.buckets.iter_mut().zip(&self.buckets) {
            *copy = bucket.load(Relaxed);
        }
        snapshot
    }
}
