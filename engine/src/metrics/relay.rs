//! The page's part about the cluster. Knows nothing of how messages cross.
//!
//! A node that is alone relays nothing, yet dashboards want the names from the first day.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use epush_core::counters::Histogram;
use epush_core::mail::ClusterCounts;

use super::Writer;
use crate::relay::RelayFigures;

/// The relay's figures at one moment.
#[derive(Debug)]
pub struct Relay {
    is_up: bool,
    received: u64,
    sent: u64,
    lost: u64,
    dropped: u64,
    duplicates: u64,
    skipped: [(&'static str, u64); 2],
    queue_bytes: u64,
    queued: u64,
    channels: u64,
    connects: u64,
    round_trip: Histogram,
    lag: Histogram,
    cluster: ClusterCounts,
}

impl Relay {
    /// Reads them; zeros for a node that is alone.
    pub fn of(relay: Option<(&RelayFigures, usize)>, cluster: ClusterCounts) -> Self {
        let none = RelayFigures::default();
        let (figures, queue_bytes) = relay.unwrap_or((&none, 0));
        let read = |figure: &AtomicU64| figure.load(Relaxed);
        Self {
            is_up: figures.is_whole(),
            received: read(&figures.received),
            sent: read(&figures.sent),
            lost: read(&figures.lost),
            dropped: read(&figures.dropped),
            duplicates: read(&figures.duplicates),
            skipped: [("version", read(&figures.skipped_version)), ("malformed", read(&figures.skipped_malformed))],
            queue_bytes: queue_bytes as u64,
            queued: read(&figures.queued),
            channels: read(&figures.channels),
            connects: read(&figures.connects),
            round_trip: figures.round_trip.snapshot(),
            lag: figures.lag.snapshot(),
            cluster,
        }
    }

    /// Writes them.
    pub fn encode(&self, page: &mut Writer<'_>) -> fmt::Result {
        let help = "Whether messages cross through the cluster's Redis in both directions, 0 or 1.";
        page.gauge("epush_relay_up", help, self.is_up.into())?;
        page.counter("epush_relay_in", "Messages taken from other nodes.", self.received)?;
        let help = "Messages given to the cluster, one for each user, channel or broadcast.";
        page.counter("epush_relay_out", help, self.sent)?;
        page.counter("epush_relay_lost", "Messages of other nodes that never arrived.", self.lost)?;
        let help = "Messages of this node that other nodes do not get: the queue was full.";
        page.counter("epush_relay_dropped", help, self.dropped)?;
        let help = "Messages of other nodes that arrived twice and were delivered once.";
        page.counter("epush_relay_duplicates", help, self.duplicates)?;
        let help = "What arrived and could not be read, by reason.";
        page.counters("epush_relay_skipped", help, "reason", self.skipped)?;
        page.gauge("epush_relay_queue_bytes", "Bytes of publications that wait for Redis.", self.queue_bytes)?;
        page.gauge("epush_relay_queue_messages", "Messages that wait for Redis.", self.queued)?;
        page.gauge("epush_relay_channels", "Channels this node is subscribed to in Redis.", self.channels)?;
        page.counter("epush_relay_connects", "Connections to Redis made.", self.connects)?;
        let help = "Seconds from handing messages to Redis to its last reply.";
        page.histogram("epush_relay_round_trip_seconds", help, &self.round_trip)?;
        let help = "Seconds from sending a message on another node to its arrival at this one, by Redis's clock.";
        page.histogram("epush_relay_lag_seconds", help, &self.lag)?;
        let ClusterCounts { sessions, users, nodes } = self.cluster;
        page.gauge("epush_cluster_nodes", "Nodes of the cluster, as this one sees it.", nodes)?;
        page.gauge("epush_cluster_connections", "Open sessions of the cluster, as this node sees it.", sessions)?;
        page.gauge("epush_cluster_users", "Distinct users online in the cluster, as this node sees it.", users)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{MetricsSnapshot, ProcessFigures, render};
    use super::*;
    use crate::gauges::NodeGauges;
    use epush_core::counters::Counters;

    fn page(relay: Option<(&RelayFigures, usize)>, cluster: ClusterCounts) -> String {
        let gauges = NodeGauges::new(1);
        let process = ProcessFigures::of(&gauges);
        let snapshot = MetricsSnapshot { counters: Counters::default(), gauges: &gauges, process, relay, cluster };
        String::from_utf8(render(&snapshot)).expect("UTF-8")
    }

    #[track_caller]
    fn has(page: &str, line: &str) {
        assert!(page.lines().any(|other| other == line), "{line} is not in\n{page}");
    }

    #[test]
    fn the_relays_figures_are_on_the_page() {
        let figures = RelayFigures::default();
        let numbers = [
            (&figures.received, 1),
            (&figures.sent, 2),
            (&figures.lost, 3),
            (&figures.dropped, 4),
            (&figures.duplicates, 5),
            (&figures.skipped_version, 6),
            (&figures.skipped_malformed, 7),
            (&figures.queued, 8),
            (&figures.channels, 9),
            (&figures.connects, 10),
        ];
        numbers.iter().for_each(|(figure, number)| figure.store(*number, Relaxed));
        figures.is_up.store(true, Relaxed);
        figures.is_listening.store(true, Relaxed);
        figures.lag.observe(700);
        let page = page(Some((&figures, 11)), ClusterCounts { sessions: 12, users: 13, nodes: 14 });
        for line in [
            "# TYPE epush_relay_up gauge",
            "epush_relay_up 1",
            "epush_relay_in_total 1",
            "epush_relay_out_total 2",
            "epush_relay_lost_total 3",
            "epush_relay_dropped_total 4",
            "epush_relay_duplicates_total 5",
            "epush_relay_skipped_total{reason=\"version\"} 6",
            "epush_relay_skipped_total{reason=\"malformed\"} 7",
            "epush_relay_queue_bytes 11",
            "epush_relay_queue_messages 8",
            "epush_relay_channels 9",
            "epush_relay_connects_total 10",
            "epush_relay_round_trip_seconds_count 0",
            "epush_relay_lag_seconds_bucket{le=\"0.0005\"} 0",
            "epush_relay_lag_seconds_bucket{le=\"0.001\"} 1",
            "epush_relay_lag_seconds_sum 0.0007",
            "epush_cluster_connections 12",
            "epush_cluster_users 13",
            "epush_cluster_nodes 14",
        ] {
            has(&page, line);
        }
    }

    #[test]
    fn the_relay_is_up_only_when_it_sends_and_receives() {
        let figures = RelayFigures::default();
        figures.is_up.store(true, Relaxed);
        has(&page(Some((&figures, 0)), ClusterCounts::default()), "epush_relay_up 0");
    }

    #[test]
    fn a_node_that_is_alone_has_the_names_too() {
        let page = page(None, ClusterCounts { sessions: 2, users: 1, nodes: 1 });
        for line in ["epush_relay_up 0", "epush_relay_lag_seconds_count 0", "epush_cluster_connections 2"] {
            has(&page, line);
        }
    }
}
