//! The figures to see first.

use crate::outcome::Outcome;
use crate::report::chart::escape;
use crate::report::figure::Figure;

/// Figures that get a tile where they were measured, and the words below them.
const TILES: [(&str, &str); 11] = [
    ("p50", "latency, median"),
    ("p99", "latency, 99th percentile"),
    ("max", "latency, worst"),
    ("jitter.p99", "periodic pushes late, 99th percentile"),
    ("connect.p99", "connect, 99th percentile"),
    ("ready", "connections ready"),
    ("delivered_per_s", "delivered"),
    ("lost", "lost without a word"),
    ("gaps", "in announced gaps"),
    ("cpu_us_per_delivery", "server's processor for each delivery"),
    ("bytes_per_connection", "server's memory for each connection"),
];

/// Figures that should be 0.
const FAULTS: [&str; 2] = ["lost", "gaps"];

/// The tiles, those that have a number.
pub fn tiles(outcome: &Outcome) -> String {
    let tiles: String = TILES.iter().filter_map(|(name, words)| tile(outcome, name, words)).collect();
    if tiles.is_empty() {
        return tiles;
    }
    format!("<dl class=\"tiles\">\n{tiles}</dl>\n")
}

fn tile(outcome: &Outcome, name: &str, words: &str) -> Option<String> {
    let figure = Figure::named(name).expect("a name of the list");
    let value = figure.of(outcome).ok()?;
    let class = match (FAULTS.contains(&name), value > 0.0) {
        (true, true) => " class=\"bad\"",
        (true, false) => " class=\"good\"",
        _ => "",
    };
    let shown = escape(&figure.dimension().show(value));
    Some(format!("<div{class}><dt>{words}</dt><dd>{shown}</dd></div>\n"))
}
