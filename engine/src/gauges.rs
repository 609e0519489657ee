//! Numbers of this node that anybody may read at any time, without asking a thread.
//!
//! Each field has one writer; readers see it within a turn. Relaxed loads and stores suffice: no field says anything about
//! another. Knows nothing of how the numbers are come by or shown.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};

use epush_core::shard::Gauges;

/// What the threads of one node tell the others about themselves.
#[derive(Debug, Default)]
pub struct NodeGauges {
    /// One per sub-reactor, by [`epush_core::id::ShardId`].
    pub shards: Vec<ShardGauges>,
    /// Connections accepted and kept, since the start. Written by the acceptor.
    pub accepted: AtomicU64,
    /// Connections refused because the node holds `limits.connections`. Written by the acceptor.
    pub refused_connections: AtomicU64,
    /// Connections refused because the address holds `limits.connections_per_ip`. Written by the acceptor.
    pub refused_per_ip: AtomicU64,
    /// Connections refused because the control API holds `limits.api_connections`. Written by the acceptor.
    pub refused_api: AtomicU64,
    /// Failed `accept` calls: no descriptors or memory left. Written by the acceptor.
    pub accept_errors: AtomicU64,
    /// Resident memory, in bytes. Written by the acceptor, every few seconds.
    pub resident_bytes: AtomicU64,
    /// Descriptors open. Written by the acceptor, every few seconds.
    pub open_fds: AtomicU64,
    /// Descriptors allowed. Written once, by whoever starts the engine.
    pub max_fds: AtomicU64,
}

/// One sub-reactor's figures, stored at the end of each of its turns.
///
/// Aligned to a cache line: each is written by a thread of its own, many thousand times a second.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct ShardGauges {
    /// Connections held, HTTP ones included.
    pub connections: AtomicUsize,
    /// Sessions open.
    pub sessions: AtomicUsize,
    /// Distinct users whose home the shard is.
    pub users: AtomicUsize,
    /// Part of the last second the thread was not waiting, in millionths.
    pub busy_ppm: AtomicU32,
}

impl NodeGauges {
    /// Zeros for a node of so many shards.
    #[must_use]
    pub fn new(shards: usize) -> Self {
        Self { shards: (0..shards).map(|_| ShardGauges::default()).collect(), ..Self::default() }
    }

    /// Connections of the node, HTTP ones included.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shards.iter().map(|shard| shard.connections.load(Relaxed)).sum()
    }

    /// Open sessions of the node.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.shards.iter().map(|shard| shard.sessions.load(Relaxed)).sum()
    }

    /// Distinct users with a session on the node.
    #[must_use]
    pub fn users(&self) -> usize {
        self.shards.iter().map(|shard| shard.users.load(Relaxed)).sum()
    }
}

impl ShardGauges {
    /// Tells the other threads what the shard holds now.
    pub fn store(&self, gauges: Gauges) {
        self.connections.store(gauges.connections, Relaxed);
        self.sessions.store(gauges.sessions, Relaxed);
        self.users.store(gauges.users, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_holds_what_its_shards_hold() {
        let node = NodeGauges::new(2);
        node.shards[0].store(Gauges { connections: 5, sessions: 3, users: 2 });
        node.shards[1].store(Gauges { connections: 1, sessions: 1, users: 1 });
        assert_eq!((node.connections(), node.sessions(), node.users()), (6, 4, 3));
        node.shards[0].store(Gauges::default());
        assert_eq!((node.connections(), node.sessions(), node.users()), (1, 1, 1));
    }
}
