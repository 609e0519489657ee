//! A line a second on standard error: for logs, pipes and whoever asks for it.

use std::io::Write as _;

use super::view;
use crate::outcome::Tick;
use crate::report::units;
use crate::run::{SoFar, Watcher};

/// Characters of a note.
const NOTE_CHARS_MAX: usize = 500;

/// Writes progress as lines.
#[derive(Debug)]
pub struct Lines;

impl Watcher for Lines {
    fn tick(&mut self, tick: &Tick, so_far: &SoFar) {
        write(&line(tick, so_far));
    }

    fn note(&mut self, words: &str) {
        write(&format!("note: {}", units::harmless(words, NOTE_CHARS_MAX)));
    }
}

/// A second of a run as a line. What did not happen is left out.
#[must_use]
pub fn line(tick: &Tick, so_far: &SoFar) -> String {
    let mut line = format!(
        "{:>4} s {:<9} {} of {} ready",
        tick.at_ms.div_ceil(1_000),
        view::phase(tick.phase),
        units::count(tick.connections),
        units::count(so_far.clients)
    );
    if tick.connected > 0 {
        line += &format!(", {} new", units::count(tick.connected));
    }
    let failed = so_far.counts.failed + so_far.counts.closed_by_server;
    if failed > 0 {
        line += &format!(", {} failed or closed", units::count(failed));
    }
    if tick.published + tick.delivered > 0 {
        line += &format!(" | out {}/s in {}/s", units::count(tick.published), units::count(tick.delivered));
    }
    if tick.max_ns > 0 {
        let [p50, p99, max] = [tick.p50_ns, tick.p99_ns, tick.max_ns].map(|ns| units::time(ns as f64));
        line += &format!(" | p50 {p50} p99 {p99} max {max}");
    }
    line += &format!(" | cpu tool {:.2}", tick.client_cpu);
    if let Some(cpu) = tick.server_cpu {
        line += &format!(" server {cpu:.2}");
    }
    line
}

/// Nobody has to read it: what cannot be written is not.
fn write(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Phase;

    #[test]
    fn a_line_says_what_happened_and_nothing_else() {
        let so_far = SoFar { clients: 2_000, ..SoFar::default() };
        let quiet = Tick { at_ms: 1_000, connections: 1_500, client_cpu: 0.25, ..Tick::default() };
        assert_eq!(line(&quiet, &so_far), "   1 s ramp      1 500 of 2 000 ready | cpu tool 0.25");
        let busy = Tick {
            phase: Phase::Steady,
            published: 10,
            delivered: 15_000,
            p50_ns: 1_200_000,
            p99_ns: 3_000_000,
            max_ns: 9_000_000,
            server_cpu: Some(0.5),
            ..quiet
        };
        let busy = line(&busy, &so_far);
        assert!(busy.contains("out 10/s in 15 000/s | p50 1.20 ms p99 3.00 ms max 9.00 ms"), "{busy}");
        assert!(busy.ends_with("server 0.50"), "{busy}");
    }
}
