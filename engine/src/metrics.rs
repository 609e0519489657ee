//! The Prometheus page: every metric's name, labels and help.
//!
//! Encoded from one snapshot when somebody scrapes, so that counting costs the reactors plain additions. Knows nothing of how
//! the snapshot is come by.

mod relay;

use std::fmt;
use std::sync::atomic::Ordering::Relaxed;

use epush_core::close::CloseReason;
use epush_core::counters::{Counters, Histogram};
use epush_core::mail::ClusterCounts;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::gauges::NodeGauges;
use crate::relay::RelayFigures;

/// The media type of [`render`]'s page.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the page is made from.
#[derive(Debug)]
pub struct MetricsSnapshot<'a> {
    /// The counters of all shards, merged.
    pub counters: Counters,
    /// The acceptor's and the threads' own figures.
    pub gauges: &'a NodeGauges,
    /// The operating system's view of the process.
    pub process: ProcessFigures,
    /// The relay's figures, and the bytes in its queue; none: the node is alone.
    pub relay: Option<(&'a RelayFigures, usize)>,
    /// Who is online in the cluster.
    pub cluster: ClusterCounts,
}

/// The operating system's view of the process. The acceptor refreshes it: reading `/proc` is no work for a reactor.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ProcessFigures {
    /// Resident memory, in bytes.
    pub resident_bytes: u64,
    /// Descriptors open.
    pub open_fds: u64,
    /// Descriptors allowed.
    pub max_fds: u64,
}

impl ProcessFigures {
    /// What was last stored.
    #[must_use]
    pub fn of(gauges: &NodeGauges) -> Self {
        Self {
            resident_bytes: gauges.resident_bytes.load(Relaxed),
            open_fds: gauges.open_fds.load(Relaxed),
            max_fds: gauges.max_fds.load(Relaxed),
        }
    }
}

/// The whole page, in the OpenMetrics text format that Prometheus reads.
#[must_use]
pub fn render(snapshot: &MetricsSnapshot<'_>) -> Vec<u8> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Page::of(snapshot)));
    let mut page = String::with_capacity(PAGE_BYTES_USUAL);
    text::encode(&mut page, &registry).expect("writing into a String never fails");
    page.into_bytes()
}

/// What a page takes with a few reactors: saves growing the buffer a dozen times.
const PAGE_BYTES_USUAL: usize = 16 * 1024;

/// The snapshot with nothing borrowed: a registry keeps only what outlives every scrape.
#[derive(Debug)]
struct Page {
    counters: Box<Counters>,
    process: ProcessFigures,
    accepted: u64,
    refused: [(&'static str, u64); 3],
    accept_errors: u64,
    /// Of each sub-reactor, 0 to 1.
    busy: Vec<f64>,
    relay: relay::Relay,
}

impl Page {
    fn of(snapshot: &MetricsSnapshot<'_>) -> Self {
        let MetricsSnapshot { counters, gauges, process, relay, cluster } = snapshot;
        Self {
            counters: Box::new(counters.clone()),
            process: *process,
            accepted: gauges.accepted.load(Relaxed),
            refused: [
                ("connections", gauges.refused_connections.load(Relaxed)),
                ("connections_per_ip", gauges.refused_per_ip.load(Relaxed)),
                ("api_connections", gauges.refused_api.load(Relaxed)),
            ],
            accept_errors: gauges.accept_errors.load(Relaxed),
            busy: gauges.shards.iter().map(|shard| f64::from(shard.busy_ppm.load(Relaxed)) / 1e6).collect(),
            relay: relay::Relay::of(*relay, *cluster),
        }
    }
}

impl Collector for Page {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Writer { encoder };
        self.connections(&mut page)?;
        self.messages(&mut page)?;
        self.threads(&mut page)?;
        self.relay.encode(&mut page)?;
        self.process(&mut page)
    }
}

impl Page {
    fn connections(&self, page: &mut Writer<'_>) -> fmt::Result {
        let counters = &self.counters;
        page.gauge(
            "epush_connections",
            "Open sessions: WebSocket connections past their handshake.",
            counters.sessions,
        )?;
        page.gauge(
            "epush_sockets",
            "Connections held, those of the control API and in a handshake too.",
            counters.connections,
        )?;
        page.gauge("epush_users", "Distinct users with a session.", counters.users)?;
        page.counter("epush_accepted", "Connections accepted.", self.accepted)?;
        page.counters("epush_refused", "Connections refused over a limit.", "reason", self.refused)?;
        page.counter("epush_accept_errors", "Failed accept calls.", self.accept_errors)?;
        let words = CloseReason::ALL.iter().map(|reason| (reason.word(), counters.closed[reason.slot()]));
        let application = CloseReason::Application(0);
        let closed = words.chain([(application.word(), counters.closed[application.slot()])]);
        page.counters("epush_closed", "Connections ended, by reason.", "reason", closed)
    }

    fn messages(&self, page: &mut Writer<'_>) -> fmt::Result {
        let counters = &self.counters;
        let [user, channel, all] = counters.pushes;
        let pushes = [("user", user), ("channel", channel), ("all", all)];
        let (slow, muted, relay) = (counters.dropped_slow, counters.dropped_muted, counters.dropped_relay);
        let dropped = [("slow_consumer", slow), ("muted", muted), ("relay", relay)];
        page.counter("epush_messages_in", "Messages received from clients.", counters.messages_in)?;
        page.counters("epush_pushes", "Publications delivered, by target.", "target", pushes)?;
        page.counter("epush_deliveries", "Messages queued for sessions.", counters.deliveries)?;
        page.counter("epush_delivery_bytes", "Bytes the sockets took.", counters.delivery_bytes)?;
        page.counters("epush_dropped", "Messages not delivered, by reason.", "reason", dropped)?;
        page.counter("epush_gaps", "Gap frames sent.", counters.gaps)?;
        let help = "Seconds from accepting a publication to its last local write.";
        page.histogram("epush_push_seconds", help, &counters.push_seconds)
    }

    fn threads(&self, page: &mut Writer<'_>) -> fmt::Result {
        page.gauge("epush_outbox_bytes", "Bytes waiting in outboxes.", self.counters.outbox_bytes)?;
        page.gauge("epush_timers", "Timers set.", self.counters.timers)?;
        let help = "Part of the time a reactor was not waiting, 0 to 1.";
        page.family("epush_reactor_busy_ratio", help, MetricType::Gauge, |family| {
            for (reactor, busy) in self.busy.iter().enumerate() {
                ConstGauge::new(*busy).encode(family.encode_family(&[("reactor", reactor)])?)?;
            }
            Ok(())
        })
    }

    fn process(&self, page: &mut Writer<'_>) -> fmt::Result {
        let ProcessFigures { resident_bytes, open_fds, max_fds } = self.process;
        page.gauge("process_resident_memory_bytes", "Resident memory.", resident_bytes)?;
        page.gauge("process_open_fds", "Descriptors open.", open_fds)?;
        page.gauge("process_max_fds", "Descriptors allowed.", max_fds)
    }
}

/// Writes one metric at a time. The encoder adds `_total` to the names of counters.
struct Writer<'a> {
    encoder: DescriptorEncoder<'a>,
}

impl Writer<'_> {
    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.family(name, help, MetricType::Counter, |family| family.encode_counter::<NoLabelSet, _, f64>(&value, None))
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.family(name, help, MetricType::Gauge, |family| family.encode_gauge(&value))
    }

    /// One counter for each value of one label.
    fn counters(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (&'static str, u64)>,
    ) -> fmt::Result {
        self.family(name, help, MetricType::Counter, |family| {
            for (word, value) in values {
                ConstCounter::new(value).encode(family.encode_family(&[(label, word)])?)?;
            }
            Ok(())
        })
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) -> fmt::Result {
        let bounds = Histogram::BOUNDS_US.iter().map(|us| seconds(*us)).chain([f64::INFINITY]);
        let buckets: Vec<_> = bounds.zip(histogram.buckets).collect();
        self.family(name, help, MetricType::Histogram, |family| {
            family.encode_histogram::<NoLabelSet>(seconds(histogram.sum_us), histogram.count(), &buckets, None)
        })
    }

    fn family(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        values: impl FnOnce(&mut MetricEncoder<'_>) -> fmt::Result,
    ) -> fmt::Result {
        values(&mut self.encoder.encode_descriptor(name, help, None, kind)?)
    }
}

/// Exact to a microsecond for 285 years.
fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(counters: Counters, gauges: &NodeGauges) -> String {
        let process = ProcessFigures::of(gauges);
        let cluster = ClusterCounts { sessions: 0, users: 0, nodes: 1 };
        let snapshot = MetricsSnapshot { counters, gauges, process, relay: None, cluster };
        String::from_utf8(render(&snapshot)).expect("UTF-8")
    }

    #[track_caller]
    fn has(page: &str, line: &str) {
        assert!(page.lines().any(|other| other == line), "{line} is not in\n{page}");
    }

    #[test]
    fn every_name_of_the_contract_is_on_the_page() {
        let page = page(Counters::default(), &NodeGauges::new(2));
        for name in [
            "epush_connections 0",
            "epush_accepted_total 0",
            "epush_messages_in_total 0",
            "epush_deliveries_total 0",
            "epush_delivery_bytes_total 0",
            "epush_gaps_total 0",
            "epush_push_seconds_sum 0.0",
            "epush_push_seconds_count 0",
            "epush_push_seconds_bucket{le=\"+Inf\"} 0",
            "epush_outbox_bytes 0",
            "epush_timers 0",
            "epush_reactor_busy_ratio{reactor=\"0\"} 0.0",
            "epush_reactor_busy_ratio{reactor=\"1\"} 0.0",
            "epush_relay_up 0",
            "epush_relay_in_total 0",
            "epush_relay_out_total 0",
            "epush_relay_lost_total 0",
            "epush_cluster_nodes 1",
            "process_resident_memory_bytes 0",
            "process_open_fds 0",
            "process_max_fds 0",
        ] {
            has(&page, name);
        }
        for target in ["user", "channel", "all"] {
            has(&page, &format!("epush_pushes_total{{target=\"{target}\"}} 0"));
        }
        for reason in ["slow_consumer", "muted", "relay"] {
            has(&page, &format!("epush_dropped_total{{reason=\"{reason}\"}} 0"));
        }
        for reason in CloseReason::ALL.iter().map(|reason| reason.word()).chain(["application"]) {
            has(&page, &format!("epush_closed_total{{reason=\"{reason}\"}} 0"));
        }
        assert!(page.ends_with("# EOF\n"));
    }

    #[test]
    fn the_figures_on_the_page_are_those_of_the_snapshot() {
        let gauges = NodeGauges::new(1);
        gauges.accepted.store(7, Relaxed);
        gauges.refused_per_ip.store(2, Relaxed);
        gauges.shards[0].busy_ppm.store(250_000, Relaxed);
        gauges.resident_bytes.store(4_096, Relaxed);
        let mut counters = Counters { sessions: 3, connections: 4, pushes: [1, 2, 3], ..Counters::default() };
        counters.closed[CloseReason::Kicked.slot()] = 5;
        counters.closed[CloseReason::Application(4_100).slot()] = 6;
        counters.push_seconds.observe(75);
        counters.push_seconds.observe(60_000_000);
        let page = page(counters, &gauges);
        has(&page, "# TYPE epush_connections gauge");
        has(&page, "epush_connections 3");
        has(&page, "epush_sockets 4");
        has(&page, "epush_accepted_total 7");
        has(&page, "epush_refused_total{reason=\"connections_per_ip\"} 2");
        has(&page, "epush_closed_total{reason=\"kicked\"} 5");
        has(&page, "epush_closed_total{reason=\"application\"} 6");
        has(&page, "epush_pushes_total{target=\"channel\"} 2");
        has(&page, "epush_reactor_busy_ratio{reactor=\"0\"} 0.25");
        has(&page, "process_resident_memory_bytes 4096");
        has(&page, "epush_push_seconds_bucket{le=\"0.00005\"} 0");
        has(&page, "epush_push_seconds_bucket{le=\"0.0001\"} 1");
        has(&page, "epush_push_seconds_bucket{le=\"10.0\"} 1");
        has(&page, "epush_push_seconds_bucket{le=\"+Inf\"} 2");
        has(&page, "epush_push_seconds_sum 60.000075");
    }
}
