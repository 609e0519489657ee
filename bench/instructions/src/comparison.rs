//! What was counted beside what the baseline says, and what follows from it.

use std::fmt;

use crate::baseline::{Baseline, Expected};
use crate::case::Case;

/// One case.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    case: Case,
    now: f64,
    expected: Option<Expected>,
}

/// What follows for one case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Within the tolerance.
    Same,
    /// More instructions than the tolerance allows.
    Slower,
    /// Fewer: the baseline has to follow, or a later regression up to it would not be seen.
    Faster,
    /// Not in the baseline.
    New,
}

impl Row {
    /// A count beside what was expected.
    #[must_use]
    pub fn new(case: Case, now: f64, baseline: &Baseline) -> Self {
        Self { case, now, expected: baseline.cases.get(case.name).copied() }
    }

    /// What follows.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self.expected {
            None => Verdict::New,
            Some(expected) if self.change_percent(expected) > expected.tolerance_percent => Verdict::Slower,
            Some(expected) if self.change_percent(expected) < -expected.tolerance_percent => Verdict::Faster,
            Some(_) => Verdict::Same,
        }
    }

    fn change_percent(&self, expected: Expected) -> f64 {
        (self.now / expected.instructions - 1.0) * 100.0
    }
}

/// All cases.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// In the order of [`Case::ALL`].
    pub rows: Vec<Row>,
}

impl Comparison {
    /// Whether every count is within its tolerance.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.rows.iter().all(|row| row.verdict() == Verdict::Same)
    }

    /// What to do, in a sentence for each kind of verdict there is.
    #[must_use]
    pub fn advice(&self) -> Vec<&'static str> {
        let has = |verdict| self.rows.iter().any(|row| row.verdict() == verdict);
        let record = "`bench/instructions/check record` writes the new baseline; commit it with the change.";
        let mut advice = Vec::new();
        if has(Verdict::Slower) {
            advice
                .push("More instructions than before: find out why, callgrind_annotate shows where (bench/README.md).");
        }
        if has(Verdict::Faster) {
            advice.push("Fewer instructions than before: record it, or the way back up will not be seen.");
        }
        if has(Verdict::New) {
            advice.push("A case has no baseline yet.");
        }
        if !advice.is_empty() {
            advice.push(record);
        }
        advice
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{:<10} {:>10} {:>10} {:>8}  {:<10} per", "case", "baseline", "now", "change", "")?;
        self.rows.iter().try_for_each(|row| writeln!(out, "{row}"))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, change) = match self.expected {
            Some(it) => (format!("{:.1}", it.instructions), format!("{:+.1} %", self.change_percent(it))),
            None => ("-".into(), "-".into()),
        };
        let word = match self.verdict() {
            Verdict::Same => "",
            Verdict::Slower => "SLOWER",
            Verdict::Faster => "FASTER",
            Verdict::New => "NEW",
        };
        let (name, operation) = (self.case.name, self.case.operation);
        write!(out, "{name:<10} {before:>10} {:>10.1} {change:>8}  {word:<10} {operation}", self.now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison(now: f64) -> Comparison {
        let case = Case::named("decode").expect("there");
        let mut baseline = Baseline::default();
        baseline.record(case, 1_000.0);
        Comparison { rows: vec![Row::new(case, now, &baseline)] }
    }

    #[test]
    fn within_the_tolerance_nothing_follows() {
        for now in [970.5, 1_000.0, 1_029.5] {
            assert!(comparison(now).holds());
            assert!(comparison(now).advice().is_empty());
        }
    }

    #[test]
    fn beyond_the_tolerance_it_does_not_hold_in_either_direction() {
        for (now, verdict) in [(1_031.0, Verdict::Slower), (969.0, Verdict::Faster)] {
            let comparison = comparison(now);
            assert!(!comparison.holds());
            assert_eq!(comparison.rows[0].verdict(), verdict);
            assert!(comparison.advice().last().expect("advice").contains("record"));
        }
    }

    #[test]
    fn a_case_without_a_baseline_does_not_hold() {
        let case = Case::named("decode").expect("there");
        let comparison = Comparison { rows: vec![Row::new(case, 1.0, &Baseline::default())] };
        assert!(!comparison.holds());
        assert!(comparison.to_string().contains("NEW"));
    }
}
