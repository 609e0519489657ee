//! The result in words and numbers, part by part: what the terminal's table and the page's tables both show.

use crate::outcome::{Ended, Outcome};
use crate::report::units;
use crate::run::advice;

mod messages;
mod sides;
mod times;

/// A part of the report: rows below a title. Only parts that have something to say are made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// What it is about.
    pub title: &'static str,
    /// Over the columns; empty: they need no words.
    pub head: Vec<&'static str>,
    /// In the order of reading.
    pub rows: Vec<Row>,
}

/// A row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// What it is about.
    pub label: String,
    /// One for each column; later ones may be missing.
    pub cells: Vec<String>,
    /// Whether somebody should look here.
    pub loud: bool,
}

/// Longest words from outside in a row: a line of a terminal, and a bit.
pub const WORDS_MAX: usize = 160;

/// Longest sentence before the numbers: the tool's own, with a way out at its end.
const WARNING_MAX: usize = 320;

impl Row {
    /// A quiet row.
    pub fn new<const CELLS: usize>(label: impl Into<String>, cells: [String; CELLS]) -> Self {
        Self { label: label.into(), cells: cells.into(), loud: false }
    }

    /// The row, loud where this is so.
    #[must_use]
    pub fn loud_if(self, loud: bool) -> Self {
        Self { loud, ..self }
    }
}

impl Section {
    /// A count with words beside it; left out when it is 0.
    fn fault(&mut self, label: &'static str, count: u64, words: impl Into<String>) {
        if count > 0 {
            self.rows.push(Row::new(label, [units::count(count), words.into()]).loud_if(true));
        }
    }

    /// How many columns there are, labels not counted.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.rows.iter().map(|row| row.cells.len()).max().unwrap_or(0)
    }

    /// Whether a column has numbers with their units and nothing else: they stand at the right of it.
    #[must_use]
    pub fn has_numbers(&self, column: usize) -> bool {
        self.rows.iter().filter_map(|row| row.cells.get(column)).all(|cell| is_number(cell))
    }

    fn some(self) -> Option<Self> {
        (!self.rows.is_empty()).then_some(self)
    }
}

fn is_number(cell: &str) -> bool {
    cell.chars().next().is_none_or(|first| first.is_ascii_digit() || matches!(first, '-' | '+' | '–' | '±' | '?'))
}

/// All parts, the most important first.
#[must_use]
pub fn sections(outcome: &Outcome) -> Vec<Section> {
    let parts = [
        messages::connections(outcome),
        messages::messages(outcome),
        times::times(outcome),
        messages::publishing(outcome),
        sides::server(outcome),
        sides::client(outcome),
        sides::failures(outcome),
    ];
    parts.into_iter().flatten().collect()
}

/// Metrics of the server that changed: apart from the others, because there can be very many.
#[must_use]
pub fn metrics(outcome: &Outcome) -> Option<Section> {
    sides::metrics(outcome)
}

/// A result's title: the scenario's name.
#[must_use]
pub fn title(outcome: &Outcome) -> String {
    units::harmless(&outcome.scenario.name, WORDS_MAX)
}

/// What was done, in a few lines.
#[must_use]
pub fn summary(outcome: &Outcome) -> Vec<String> {
    let scenario = crate::report::secrets::hidden(&outcome.scenario);
    let dialect = scenario.dialect.as_ref().map_or(&scenario.target.dialect, |dialect| &dialect.name);
    let ended = match outcome.ended {
        Ended::Complete => "",
        Ended::Interrupted => ", ended early by Ctrl-C",
    };
    let machine = &outcome.machine;
    let lines = [
        scenario.about.clone(),
        format!("{}, dialect {dialect}", scenario.target.url),
        format!(
            "{} in all, {} of steady phase{ended}",
            units::duration(outcome.duration_ms),
            units::duration(outcome.steady_ms)
        ),
        format!(
            "{}, {} processors, {} of memory, {}",
            machine.processor,
            machine.processors,
            units::bytes(machine.memory_bytes as f64),
            machine.kernel
        ),
    ];
    lines.iter().map(|line| units::harmless(line, WORDS_MAX)).filter(|line| !line.is_empty()).collect()
}

/// Why the numbers are not what they seem: to be read before them. Each a heading and its reasons.
#[must_use]
pub fn warnings(outcome: &Outcome) -> Vec<(&'static str, Vec<String>)> {
    let lines = |words: &[String]| words.iter().map(|line| units::harmless(line, WARNING_MAX)).collect();
    let mut warnings = Vec::new();
    if !outcome.client.bottleneck.is_empty() {
        let heading = "The tool was the bottleneck: these numbers measure it, not the server";
        warnings.push((heading, lines(&outcome.client.bottleneck)));
    }
    if !outcome.client.remarks.is_empty() {
        warnings.push(("To know when reading these numbers", lines(&outcome.client.remarks)));
    }
    if let Some(words) = advice::nobody_left(outcome) {
        let heading = "The server went away: what follows is about the time before, and about what was lost";
        warnings.push((heading, lines(&[words])));
    }
    if !(outcome.balance.messages && outcome.balance.bytes) {
        let heading = "The accounts do not balance: something here was counted wrong";
        warnings.push((heading, lines(&outcome.balance.disagreements)));
    }
    let from_ahead = outcome.counts.from_ahead;
    if from_ahead > 0 {
        let heading = "A sender's clock is ahead of this machine's: latencies are too short";
        let words = "messages arrived before they were sent, by their own time, and are in no latency: let both sides keep the same time";
        warnings.push((heading, vec![format!("{} {words}", units::count(from_ahead))]));
    }
    warnings
}
