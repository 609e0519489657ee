//! Who is online in the cluster: this node's own sessions as they are, the others' as they last told.
//!
//! Knows nothing of how the view is come by.

use std::sync::Arc;

use arc_swap::ArcSwap;
use epush_core::mail::ClusterCounts;
use epush_core::now::Now;

use super::view::{ClusterView, NodeRecord};
use crate::gauges::NodeGauges;

/// See the module. Clones share everything.
#[derive(Clone, Debug)]
pub struct Census {
    /// The cluster as last seen.
    view: Arc<ArcSwap<ClusterView>>,
    /// This node's own figures.
    gauges: Arc<NodeGauges>,
    /// Which of the records is this node's.
    boot: Arc<str>,
    /// How long others that nobody hears of are believed to be there, in µs.
    lease_us: u64,
}

impl Census {
    /// A census of the view. `boot` as in [`NodeRecord::boot`].
    #[must_use]
    pub fn new(view: Arc<ArcSwap<ClusterView>>, gauges: Arc<NodeGauges>, boot: &str, lease_ms: u64) -> Self {
        Self { view, gauges, boot: boot.into(), lease_us: lease_ms.saturating_mul(1_000) }
    }

    /// The census of a node that is its whole cluster.
    #[must_use]
    pub fn alone(gauges: Arc<NodeGauges>) -> Self {
        Self::new(Arc::default(), gauges, "", 0)
    }

    /// The other nodes. None when Redis has been away for a lease: nobody knows whether they are there.
    #[must_use]
    pub fn others(&self, now: Now) -> Vec<NodeRecord> {
        let view = self.view.load();
        self.others_of(&view, now).cloned().collect()
    }

    /// How many are online in the cluster.
    #[must_use]
    pub fn counts(&self, now: Now) -> ClusterCounts {
        let view = self.view.load();
        let (sessions, users) = (self.gauges.sessions() as u64, self.gauges.users() as u64);
        let mut counts = ClusterCounts { sessions, users, nodes: 1 };
        for other in self.others_of(&view, now) {
            counts.sessions += other.connections;
            counts.nodes += 1;
        }
        if self.knows_others(&view, now) {
            // A second old: users of this node that the directory has not heard of are counted all the same.
            counts.users = view.users.max(users);
        }
        counts
    }

    /// Redis's clock, in ms since 1970; none before it has answered.
    #[must_use]
    pub fn redis_unix_ms(&self, now: Now) -> Option<u64> {
        self.view.load().redis_unix_ms(now)
    }

    /// Whether the directory holds all sessions of this node.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        let view = self.view.load();
        view.is_up && view.nodes.iter().any(|node| *node.boot == *self.boot && node.synced)
    }

    fn others_of<'v>(&self, view: &'v ClusterView, now: Now) -> impl Iterator<Item = &'v NodeRecord> {
        let known = self.knows_others(view, now);
        view.nodes.iter().filter(move |node| known && *node.boot != *self.boot)
    }

    fn knows_others(&self, view: &ClusterView, now: Now) -> bool {
        view.is_up || now.monotonic_us <= view.renewed_us.saturating_add(self.lease_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use epush_core::shard::Gauges;

    fn record(boot: &str, connections: u64) -> NodeRecord {
        NodeRecord {
            name: format!("n{boot}"),
            boot: boot.into(),
            address: String::new(),
            api: String::new(),
            version: String::new(),
            state: "ready".into(),
            since: 0,
            connections,
            users: connections,
            synced: true,
        }
    }

    fn census(view: ClusterView) -> Census {
        let gauges = Arc::new(NodeGauges::new(1));
        gauges.shards[0].store(Gauges { connections: 9, sessions: 5, users: 4 });
        Census::new(Arc::new(ArcSwap::from_pointee(view)), gauges, "b0", 10_000)
    }

    fn at(ms: u64) -> Now {
        Now { monotonic_us: ms * 1_000, unix_ms: 0 }
    }

    #[test]
    fn the_own_node_is_counted_as_it_is_and_the_others_as_they_told() {
        let view = ClusterView {
            nodes: vec![record("b0", 1_000), record("b1", 3)],
            users: 6,
            is_up: true,
            ..ClusterView::default()
        };
        let census = census(view);
        assert_eq!(census.counts(at(60_000)), ClusterCounts { sessions: 8, users: 6, nodes: 2 });
        assert!(census.is_synced());
    }

    #[test]
    fn there_are_never_fewer_users_than_this_node_has() {
        let census = census(ClusterView { users: 1, is_up: true, ..ClusterView::default() });
        assert_eq!(census.counts(at(0)), ClusterCounts { sessions: 5, users: 4, nodes: 1 });
    }

    #[test]
    fn others_are_believed_to_be_there_for_a_lease_without_redis() {
        let nodes = vec![record("b0", 5), record("b1", 3)];
        let census = census(ClusterView { nodes, users: 7, renewed_us: 1_000_000, ..ClusterView::default() });
        assert_eq!(census.counts(at(11_000)), ClusterCounts { sessions: 8, users: 7, nodes: 2 });
        assert_eq!(census.counts(at(11_001)), ClusterCounts { sessions: 5, users: 4, nodes: 1 });
        assert!(census.others(at(11_001)).is_empty() && !census.is_synced());
    }

    #[test]
    fn redis_s_clock_goes_on_with_the_monotonic_one() {
        let census = census(ClusterView { renewed_us: 1_000_000, redis_unix_ms: 500_000, ..ClusterView::default() });
        assert_eq!(census.redis_unix_ms(at(3_500)), Some(502_500));
        assert_eq!(ClusterView::default().redis_unix_ms(at(1)), None);
    }
}
