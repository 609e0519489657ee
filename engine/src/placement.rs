//! Which sub-reactor gets the next socket: the one with the fewest connections.
//!
//! Counts what was handed over and has not been reported closed, so that a burst spreads evenly although the
//! reactors have not looked into their mailboxes yet. Knows nothing of sockets.

use epush_core::id::ShardId;

/// Connections per shard, as the acceptor counts them.
#[derive(Debug)]
pub struct Placement {
    /// Handed over minus closed, by shard. Never empty.
    connections: Vec<usize>,
}

impl Placement {
    /// Nothing handed over yet, to `shards` (at least one) shards.
    #[must_use]
    pub fn new(shards: u16) -> Self {
        Self { connections: vec![0; usize::from(shards.max(1))] }
    }

    /// The shard with the fewest connections; the lowest number among equals.
    #[must_use]
    pub fn fewest(&self) -> ShardId {
        // A scan: a node has a few dozen shards at most, and accepting costs a thousand times as much.
        let fewest = self.connections.iter().enumerate().min_by_key(|(_, count)| **count);
        ShardId(fewest.map_or(0, |(index, _)| index as u16))
    }

    /// A connection was handed over.
    pub fn handed_over(&mut self, shard: ShardId) {
        if let Some(count) = self.connections.get_mut(usize::from(shard.0)) {
            *count += 1;
        }
    }

    /// A connection was closed.
    pub fn closed(&mut self, shard: ShardId) {
        let Some(count) = self.connections.get_mut(usize::from(shard.0)) else { return };
        debug_assert!(*count > 0, "more connections closed than handed over");
        *count = count.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn burst(placement: &mut Placement, sockets: usize) {
        for _ in 0..sockets {
            let shard = placement.fewest();
            placement.handed_over(shard);
        }
    }

    #[test]
    fn a_burst_spreads_evenly_before_any_reactor_answers() {
        let mut placement = Placement::new(3);
        burst(&mut placement, 10);
        assert_eq!(placement.connections, [4, 3, 3]);
    }

    #[test]
    fn closes_make_room_where_they_happen() {
        let mut placement = Placement::new(2);
        burst(&mut placement, 6);
        placement.closed(ShardId(1));
        placement.closed(ShardId(1));
        burst(&mut placement, 2);
        assert_eq!(placement.connections, [3, 3]);
        placement.closed(ShardId(1));
        assert_eq!(placement.fewest(), ShardId(1));
    }
}
