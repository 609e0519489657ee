//! What makes a scenario one that can be run, beyond its form.
//!
//! Pure but for the dialect, which may be a file. Names paths such as `group[0].clients`; where they stand written is `source`'s.

mod ranges;
mod rules;
mod subscribed;

use super::Scenario;

pub use ranges::CLIENTS_MAX;

/// One reason why a scenario cannot be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The value at fault, as in `group[0].clients`.
    pub key: String,
    /// A sentence.
    pub why: String,
}

/// Everything that keeps a scenario from being run.
#[must_use]
pub fn check(scenario: &Scenario) -> Vec<Finding> {
    let mut findings = ranges(scenario);
    if findings.is_empty() {
        rules::check(scenario, &mut Findings(&mut findings));
    }
    findings
}

/// Only what is wrong with single values, whatever the others are.
#[must_use]
pub fn ranges(scenario: &Scenario) -> Vec<Finding> {
    let mut findings = Vec::new();
    ranges::check(scenario, &mut Findings(&mut findings));
    findings
}

/// Where findings are collected.
struct Findings<'a>(&'a mut Vec<Finding>);

impl Findings<'_> {
    fn add(&mut self, key: impl Into<String>, why: impl Into<String>) {
        self.0.push(Finding { key: key.into(), why: why.into() });
    }

    /// Adds one where this does not hold.
    fn require(&mut self, holds: bool, key: &str, why: &str) {
        if !holds {
            self.add(key, why);
        }
    }

    /// Adds one where this did not work.
    fn attempt<T>(&mut self, key: &str, result: Result<T, String>) -> Option<T> {
        result.map_err(|why| self.add(key, why)).ok()
    }
}
