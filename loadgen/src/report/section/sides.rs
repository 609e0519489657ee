//! Both sides: the server's processor and memory, the tool's own, failures, the server's metrics.

use super::{Row, Section, WORDS_MAX};
use crate::outcome::{Memory, Outcome};
use crate::report::units;
use crate::run::verdict::BUSY_SHARE_MAX;

/// The server, where it was watched.
pub fn server(outcome: &Outcome) -> Option<Section> {
    let server = outcome.server.as_ref()?;
    let mut section = Section { title: "Server", ..Section::default() };
    let mut cost = |label: &str, us: Option<f64>, cpu_ns: u64, phase: &str| {
        if cpu_ns == 0 && us.is_none() {
            return;
        }
        let each = us.map_or_else(|| String::from("–"), |us| units::time(us * 1_000.0));
        section.rows.push(Row::new(label, [each, format!("{} in {phase}", units::time(cpu_ns as f64))]));
    };
    cost("processor for each delivery", server.cpu_us_per_delivery, server.cpu_steady_ns, "the steady phase");
    cost("processor for each connection", server.cpu_us_per_connection, server.cpu_ramp_ns, "the ramp");
    if let Some(bytes) = server.bytes_per_connection {
        section.rows.push(Row::new("memory for each connection", [units::bytes(bytes)]));
    }
    memory(&mut section, "memory before", &server.before);
    memory(&mut section, "memory with all connected", &server.open);
    memory(&mut section, "memory after", &server.after);
    section.some()
}

fn memory(section: &mut Section, label: &str, memory: &Memory) {
    if *memory == Memory::default() {
        return;
    }
    let [rss, pss, sockets] =
        [memory.rss_bytes, memory.pss_bytes, memory.socket_bytes].map(|size| units::bytes(size as f64));
    section
        .rows
        .push(Row::new(label, [rss, format!("resident; {pss} proportional; {sockets} in all sockets of the machine")]));
}

/// The tool's own cost: who measures has to show it.
pub fn client(outcome: &Outcome) -> Option<Section> {
    let client = &outcome.client;
    let mut section = Section { title: "This tool", ..Section::default() };
    if client.cpu_steady_ns > 0 {
        let receiving = format!("of these {} receiving", units::time(client.receive_cpu_steady_ns as f64));
        section
            .rows
            .push(Row::new("processor in the steady phase", [units::time(client.cpu_steady_ns as f64), receiving]));
    }
    if client.busiest_share > 0.0 {
        let words = String::from("of a processor in its busiest second");
        let busy = client.busiest_share > BUSY_SHARE_MAX;
        section.rows.push(Row::new("busiest thread", [units::percent(client.busiest_share), words]).loud_if(busy));
    }
    if !client.slip.is_empty() {
        let [p99, max] = [client.slip.at(0.99), client.slip.max_ns()].map(|ns| units::time(ns as f64));
        section.rows.push(Row::new("timers late", [p99, format!("p99; at most {max}")]));
    }
    if let Some(bytes) = client.bytes_per_connection {
        section.rows.push(Row::new("memory for each connection", [units::bytes(bytes)]));
    }
    if !client.bottleneck.is_empty() {
        section.rows.push(Row::new("bottleneck", [String::from("yes"), String::from("see the top")]).loud_if(true));
    } else if !section.rows.is_empty() {
        section.rows.push(Row::new("bottleneck", [String::from("no")]));
    }
    section.some()
}

/// Kinds of failures, the most frequent first.
pub fn failures(outcome: &Outcome) -> Option<Section> {
    let mut kinds: Vec<_> = outcome.failures.iter().collect();
    kinds.sort_by_key(|kind| std::cmp::Reverse(kind.count));
    let row = |kind: &&crate::talk::Failures| {
        let kind_words = units::harmless(&kind.kind, WORDS_MAX);
        Row::new(kind_words, [units::count(kind.count), units::harmless(&kind.example, WORDS_MAX)]).loud_if(true)
    };
    Section { title: "Failures", head: vec!["number", "example"], rows: kinds.iter().map(row).collect() }.some()
}

/// What changed on the server's metrics page.
pub fn metrics(outcome: &Outcome) -> Option<Section> {
    let metrics = outcome.metrics.as_ref()?;
    let mut section =
        Section { title: "Metrics that changed", head: vec!["before", "after", "difference"], ..Section::default() };
    for (name, after) in &metrics.after {
        let before = metrics.before.get(name).copied().unwrap_or(0.0);
        if before != *after {
            let cells = [before, *after, after - before].map(units::number);
            section.rows.push(Row::new(units::harmless(name, WORDS_MAX), cells));
        }
    }
    section.fault("failed scrapes", metrics.failed, "");
    section.some()
}
