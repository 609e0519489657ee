//! Plain counters of one shard, merged when somebody asks.
//!
//! Knows nothing of how they are shown.

use crate::close::CloseReason;

/// What one shard counted since it started, and what it holds now.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// Connections held now, HTTP ones included.
    pub connections: u64,
    /// Sessions open now.
    pub sessions: u64,
    /// Distinct users whose home this shard is.
    pub users: u64,
    /// Connections ended, by [`CloseReason::slot`].
    pub closed: [u64; CloseReason::SLOTS],
    /// Messages received from clients.
    pub messages_in: u64,
    /// Publications of this node delivered in this shard, by target: user, channel, all.
    pub pushes: [u64; 3],
    /// Messages queued for sessions.
    pub deliveries: u64,
    /// Bytes the sockets took.
    pub delivery_bytes: u64,
    /// Messages not delivered: slow consumers.
    pub dropped_slow: u64,
    /// Messages not delivered: the type is muted.
    pub dropped_muted: u64,
    /// Messages not delivered: lost on their way from another node, once for each session that was told.
    pub dropped_relay: u64,
    /// `gap` frames sent.
    pub gaps: u64,
    /// Bytes waiting in outboxes now.
    pub outbox_bytes: u64,
    /// Timers set now.
    pub timers: u64,
    /// From accepting a publication to its last local write.
    pub push_seconds: Histogram,
}

impl Counters {
    /// Adds another shard's counters.
    pub fn merge(&mut self, other: &Self) {
        self.connections += other.connections;
        self.sessions += other.sessions;
        self.users += other.users;
        self.messages_in += other.messages_in;
        self.deliveries += other.deliveries;
        self.delivery_bytes += other.delivery_bytes;
        self.dropped_slow += other.dropped_slow;
        self.dropped_muted += other.dropped_muted;
        self.dropped_relay += other.dropped_relay;
        self.gaps += other.gaps;
        self.outbox_bytes += other.outbox_bytes;
        self.timers += other.timers;
        for (sum, more) in self.closed.iter_mut().zip(other.closed) {
            *sum += more;
        }
        for (sum, more) in self.pushes.iter_mut().zip(other.pushes) {
            *sum = (*sum).max(more);
        }
        self.push_seconds.merge(&other.push_seconds);
    }
}

/// A histogram of durations with fixed buckets.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    /// Observations up to each of [`Histogram::BOUNDS_US`], and one bucket above; not cumulative.
    pub buckets: [u64; Self::BOUNDS_US.len() + 1],
    /// Sum of all observations, in µs.
    pub sum_us: u64,
}

impl Histogram {
    /// Upper bounds of the buckets, in µs: 50 µs to 10 s.
    pub const BOUNDS_US: [u64; 14] =
        [50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 500_000, 2_000_000, 10_000_000];

    /// Counts one duration.
    pub fn observe(&mut self, us: u64) {
        let bucket = Self::BOUNDS_US.partition_point(|bound| *bound < us);
        self.buckets[bucket] += 1;
        self.sum_us += us;
    }

    /// How many durations were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    fn merge(&mut self, other: &Self) {
        for (sum, more) in self.buckets.iter_mut().zip(other.buckets) {
            *sum += more;
        }
        self.sum_us += other.sum_us;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_falls_into_the_first_bucket_that_holds_it() {
        let mut histogram = Histogram::default();
        for us in [50, 51, 20_000_000] {
            histogram.observe(us);
        }
        assert_eq!(histogram.buckets[0], 1);
        assert_eq!(histogram.buckets[1], 1);
        assert_eq!(histogram.buckets[Histogram::BOUNDS_US.len()], 1);
        assert_eq!(histogram.count(), 3);
    }

    #[test]
    fn a_publication_that_every_shard_saw_counts_once() {
        let mut all = Counters { pushes: [0, 5, 1], ..Counters::default() };
        all.merge(&Counters { pushes: [0, 5, 1], deliveries: 2, ..Counters::default() });
        assert_eq!(all.pushes, [0, 5, 1]);
        assert_eq!(all.deliveries, 2);
    }
}
