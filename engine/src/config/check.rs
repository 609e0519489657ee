//! What makes a configuration valid beyond its types.
//!
//! Pure: looks at no file but the configuration, and names keys only. Where a key stands written is `layers`' to add.

mod ranges;
mod rules;

use super::sections::Config;

/// One reason why the configuration cannot be used.
#[derive(Debug)]
pub(crate) struct Finding {
    /// The key at fault.
    pub key: String,
    /// The key that may have been changed instead, where the two contradict each other.
    pub other: Option<&'static str>,
    /// A sentence.
    pub why: String,
}

/// What a check found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Why the configuration cannot be used. The first `out_of_range` of them are about a key's own value.
    pub errors: Vec<Finding>,
    /// How many errors need no other key to be judged.
    out_of_range: usize,
    /// What is allowed but probably not meant.
    pub warnings: Vec<String>,
}

impl Findings {
    /// The errors about a key's own value alone.
    pub(crate) fn out_of_range(mut self) -> Vec<Finding> {
        self.errors.truncate(self.out_of_range);
        self.errors
    }

    fn error(&mut self, key: impl Into<String>, why: impl Into<String>) {
        self.errors.push(Finding { key: key.into(), other: None, why: why.into() });
    }

    fn contradiction(&mut self, key: &str, other: &'static str, why: impl Into<String>) {
        self.errors.push(Finding { key: key.into(), other: Some(other), why: why.into() });
    }

    fn warning(&mut self, key: &str, why: &str) {
        self.warnings.push(format!("{key}: {why}"));
    }
}

/// Checks everything.
pub(crate) fn check(config: &Config) -> Findings {
    let mut findings = Findings::default();
    ranges::check(config, &mut findings);
    findings.out_of_range = findings.errors.len();
    rules::check(config, &mut findings);
    findings
}
