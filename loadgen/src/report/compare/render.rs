//! A comparison on the terminal.

use super::{Comparison, Row, Verdict};
use crate::report::section::{self, Section};
use crate::report::{table, units};

/// Longest name of a side.
const NAME_MAX: usize = 24;

impl Comparison {
    /// As a table, with the remarks below it. The sides have these names.
    #[must_use]
    pub fn render(&self, a: &str, b: &str) -> String {
        let (a, b) = (units::harmless(a, NAME_MAX), units::harmless(b, NAME_MAX));
        let head = vec!["A", "B", "change", "noise", ""];
        let section = Section { title: "", head, rows: self.rows.iter().map(line).collect() };
        let mut text = format!("A  {a}\nB  {b}\n{}", table::section(&section));
        if !self.remarks.is_empty() {
            text.push_str("\nTo know\n");
        }
        for remark in &self.remarks {
            text.push_str(&format!("  {remark}\n"));
        }
        text
    }
}

fn line(row: &Row) -> section::Row {
    let shown =
        |value: Option<f64>| value.map_or_else(|| String::from("–"), |value| row.figure.dimension().show(value));
    let change = row.change().map_or_else(String::new, |change| signed(change * 100.0));
    let cells = [shown(row.a), shown(row.b), change, noise(row), words(row.verdict).to_owned()];
    section::Row::new(row.figure.name(), cells).loud_if(row.verdict == Verdict::Worse)
}

fn noise(row: &Row) -> String {
    match (row.noise, row.a) {
        (Some(0.0), _) | (_, None) => String::new(),
        (Some(noise), Some(a)) if a != 0.0 => format!("± {:.1} %", noise / a.abs() * 100.0),
        _ => String::from("?"),
    }
}

fn signed(percent: f64) -> String {
    if percent.abs() < 0.05 { String::from("0.0 %") } else { format!("{percent:+.1} %") }
}

const fn words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Same => "the same",
        Verdict::WithinNoise => "within noise",
        Verdict::Better => "better",
        Verdict::Worse => "WORSE",
        Verdict::Different => "different",
        Verdict::NoiseUnknown => "noise unknown",
        Verdict::Missing => "not measured on both sides",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample_outcome;

    fn squeezed(text: &str) -> Vec<String> {
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    #[test]
    fn figures_stand_side_by_side_with_their_change() {
        let mut second = sample_outcome::busy();
        second.counts.lost = 20;
        second.counts.duplicates = 0;
        let text = Comparison::of(&[sample_outcome::busy()], &[second]).render("before", "after");
        let lines = squeezed(&text);
        for line in [
            "A before",
            "B after",
            "! lost 10 20 +100.0 % WORSE",
            "duplicates 2 0 -100.0 % better",
            "gaps 40 40 0.0 % the same",
        ] {
            assert!(lines.iter().any(|found| found == line), "`{line}` in\n{text}");
        }
        assert!(lines.iter().any(|line| line == "To know"));
    }
}
