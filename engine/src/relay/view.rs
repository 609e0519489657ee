//! The cluster as this node last saw it: a second old, and cheap to read.

use epush_core::now::Now;
use serde::{Deserialize, Serialize};

/// Replaced as a whole by the sending thread, about once a second.
#[derive(Clone, Debug, Default)]
pub struct ClusterView {
    /// Every node with a lease, this one too, by name.
    pub nodes: Vec<NodeRecord>,
    /// Distinct users of the directory.
    pub users: u64,
    /// Whether Redis answered last time it was asked.
    pub is_up: bool,
    /// What to add to this node's clock to get Redis's, in ms.
    pub clock_offset_ms: i64,
    /// When Redis answered, in monotonic µs of this node.
    pub renewed_us: u64,
    /// Redis's clock at that moment, in ms since 1970; 0: it has not answered yet.
    pub redis_unix_ms: u64,
}

impl ClusterView {
    /// Redis's clock now, in ms since 1970; none: it has not answered yet.
    ///
    /// Counted by the monotonic clock: somebody may set the node's other one at any moment.
    #[must_use]
    pub fn redis_unix_ms(&self, now: Now) -> Option<u64> {
        let since_ms = now.monotonic_us.saturating_sub(self.renewed_us) / 1_000;
        (self.redis_unix_ms > 0).then(|| self.redis_unix_ms + since_ms)
    }
}

/// What a node tells of itself with each renewal of its lease.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NodeRecord {
    /// Its name.
    pub name: String,
    /// Drawn at random when it started, in hexadecimal: unique where the name may not be.
    pub boot: String,
    /// Where clients connect.
    pub address: String,
    /// Where its control API is.
    pub api: String,
    /// The engine's version.
    pub version: String,
    /// `starting`, `ready` or `draining`.
    pub state: String,
    /// When it started, in ms since 1970.
    pub since: u64,
    /// Sessions open.
    pub connections: u64,
    /// Its distinct users.
    pub users: u64,
    /// Whether the directory holds all its sessions.
    pub synced: bool,
}
