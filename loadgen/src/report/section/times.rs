//! All that was timed, a row each.

use super::{Row, Section};
use crate::hist::Hist;
use crate::outcome::Outcome;
use crate::report::figure::Timing;
use crate::report::units;

/// Quantiles of the columns; the maximum follows them.
const QUANTILES: [f64; 4] = [0.5, 0.9, 0.99, 0.999];

/// The histograms that have values.
pub fn times(outcome: &Outcome) -> Option<Section> {
    let timings = Timing::ALL.into_iter().filter(|timing| !timing.of(outcome).is_empty());
    let rows = timings.map(|timing| row(timing.words(), timing.of(outcome))).collect();
    Section { title: "Times", head: vec!["p50", "p90", "p99", "p99.9", "max", "number"], rows }.some()
}

fn row(label: &str, hist: &Hist) -> Row {
    let quantiles = QUANTILES.iter().map(|quantile| hist.at(*quantile)).chain([hist.max_ns()]);
    let cells = quantiles.map(|ns| units::time(ns as f64)).chain([units::count(hist.count())]);
    Row { label: label.to_owned(), cells: cells.collect(), loud: false }
}
