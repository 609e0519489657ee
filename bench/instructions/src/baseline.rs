//! What was counted when somebody last looked: `baseline.toml`.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Deserialize;

use crate::case::Case;

/// Percent that a count may be off in either direction when the baseline says nothing else. The same code on the same
/// compiler is off by less than 0.1; another glibc or processor of the same family by one or two.
pub const TOLERANCE_PERCENT: f64 = 3.0;

/// Counts of all cases, and what they were taken with.
#[derive(Clone, PartialEq, Deserialize, Debug, Default)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// The compiler: other versions make other code.
    pub rustc: String,
    /// The processor's architecture.
    pub arch: String,
    /// The valgrind, which decides what processor the program believes it runs on.
    pub valgrind: String,
    /// By the name of the case.
    pub cases: BTreeMap<String, Expected>,
}

/// What a case cost.
#[derive(Clone, Copy, PartialEq, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// Instructions per operation.
    pub instructions: f64,
    /// Percent that a count may be off.
    pub tolerance_percent: f64,
}

impl Baseline {
    /// Reads one.
    ///
    /// # Errors
    /// When the text is no TOML or has other fields.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// What it was taken with and is different `here`, in a sentence each: a reason for counts beyond their tolerance.
    #[must_use]
    pub fn differences(&self, here: &Self) -> Vec<String> {
        let pairs = [
            ("rustc", &self.rustc, &here.rustc),
            ("valgrind", &self.valgrind, &here.valgrind),
            ("architecture", &self.arch, &here.arch),
        ];
        let different = pairs.into_iter().filter(|(_, before, now)| before != now);
        different.map(|(what, before, now)| format!("NOTE: recorded with {what} {before}, this is {now}.")).collect()
    }

    /// A new count of a case, within the tolerance it had.
    pub fn record(&mut self, case: Case, instructions: f64) {
        let tolerance_percent = self.cases.get(case.name).map_or(TOLERANCE_PERCENT, |known| known.tolerance_percent);
        self.cases.insert(case.name.to_owned(), Expected { instructions, tolerance_percent });
    }

    /// The file, with the cases in their own order; those that are no more are left out.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text = String::from(HEAD);
        // Writing to a string does not fail.
        let _ = writeln!(text, "rustc = {:?}\narch = {:?}\nvalgrind = {:?}", self.rustc, self.arch, self.valgrind);
        for case in Case::ALL {
            let Some(expected) = self.cases.get(case.name) else { continue };
            let _ = writeln!(text, "\n[cases.{}] # {}", case.name, case.operation);
            let _ = writeln!(text, "instructions = {:.1}", expected.instructions);
            let _ = writeln!(text, "tolerance_percent = {:.1}", expected.tolerance_percent);
        }
        text
    }
}

const HEAD: &str = "\
# Instructions per operation; `bench/instructions/check` compares with them, `bench/instructions/check record` writes them.
# A tolerance may be edited: recording keeps it.

";

#[cfg(test)]
mod tests {
    use super::*;

    fn baseline() -> Baseline {
        let mut baseline = Baseline { rustc: "1.95.0".into(), arch: "x86_64".into(), ..Baseline::default() };
        Case::ALL.into_iter().for_each(|case| baseline.record(case, 270.0));
        baseline
    }

    #[test]
    fn what_is_written_is_read() {
        let baseline = baseline();
        assert_eq!(Baseline::parse(&baseline.to_toml()).expect("TOML"), baseline);
    }

    #[test]
    fn another_compiler_is_named_and_the_same_is_not() {
        let here = Baseline { rustc: "1.96.0".into(), ..baseline() };
        assert_eq!(baseline().differences(&here), ["NOTE: recorded with rustc 1.95.0, this is 1.96.0."]);
        assert!(here.differences(&here).is_empty());
    }

    #[test]
    fn recording_keeps_the_tolerance() {
        let mut baseline = baseline();
        baseline.cases.get_mut("decode").expect("there").tolerance_percent = 5.0;
        baseline.record(Case::named("decode").expect("there"), 300.0);
        assert_eq!(baseline.cases["decode"], Expected { instructions: 300.0, tolerance_percent: 5.0 });
    }

    #[test]
    fn a_case_that_is_no_more_leaves_the_file() {
        let mut baseline = baseline();
        baseline.cases.insert("gone".into(), Expected { instructions: 1.0, tolerance_percent: 1.0 });
        assert!(!baseline.to_toml().contains("gone"));
    }

    #[test]
    fn the_committed_file_is_what_recording_writes_and_has_every_case() {
        let committed = include_str!("../baseline.toml");
        let baseline = Baseline::parse(committed).expect("TOML");
        assert_eq!(baseline.to_toml(), committed);
        assert!(Case::ALL.iter().all(|case| baseline.cases.contains_key(case.name)));
    }
}
