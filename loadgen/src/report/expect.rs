//! What a result has to be: `p99<5ms,lost=0`.
//!
//! ```text
//! expectations = expectation { "," expectation }
//! expectation  = NAME OP VALUE          blanks around each are ignored
//! NAME         = a figure's name, see [`crate::report::figure`]
//! OP           = "<" | "<=" | ">" | ">=" | "=" | "!="
//! VALUE        = number [ unit ]
//! unit         = "ns" | "us" | "µs" | "ms" | "s"     of times: needed, except after 0
//!              | "B" | "KiB" | "MiB" | "GiB"         of sizes
//!              | "k" | "M"                           of counts and rates: thousand and million
//! ```
//!
//! The value of `balance` is `ok` or `broken`. What was not measured holds nothing: `lost=0` fails in a run without messages.

use crate::outcome::Outcome;
use crate::report::figure::Figure;

mod parse;
mod value;

/// What a result has to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectations(Vec<Expectation>);

/// One of them.
#[derive(Clone, Debug, PartialEq)]
struct Expectation {
    /// As it was written.
    text: String,
    figure: Figure,
    comparison: Comparison,
    value: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Less,
    LessOrEqual,
    More,
    MoreOrEqual,
    Equal,
    Unequal,
}

/// Whether an expectation held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The expectation as it was written.
    pub text: String,
    /// Whether it held.
    pub held: bool,
    /// What the figure was, or why there is none.
    pub actual: String,
}

impl Expectations {
    /// Reads them.
    ///
    /// # Errors
    /// Where and why they cannot be understood, and what could stand there.
    pub fn parse(text: &str) -> Result<Self, String> {
        parse::expectations(text).map(Self)
    }

    /// Compares them with a result, in their order.
    #[must_use]
    pub fn check(&self, outcome: &Outcome) -> Vec<Verdict> {
        self.0.iter().map(|expectation| expectation.check(outcome)).collect()
    }
}

impl Expectation {
    fn check(&self, outcome: &Outcome) -> Verdict {
        let (held, actual) = match self.figure.of(outcome) {
            Ok(value) => (self.comparison.holds(value, self.value), self.figure.dimension().show(value)),
            Err(why) => (false, format!("not measured: {why}")),
        };
        Verdict { text: self.text.clone(), held, actual }
    }
}

impl Comparison {
    fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::More => left > right,
            Self::MoreOrEqual => left >= right,
            Self::Equal => left == right,
            Self::Unequal => left != right,
        }
    }
}

/// The verdicts for the terminal, one a line.
#[must_use]
pub fn render(verdicts: &[Verdict]) -> String {
    let width = verdicts.iter().map(|verdict| verdict.text.chars().count()).max().unwrap_or(0);
    let line = |verdict: &Verdict| {
        let word = if verdict.held { "held  " } else { "FAILED" };
        format!("  {word}  {:width$}  {}\n", verdict.text, verdict.actual)
    };
    verdicts.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample_outcome;

    fn held(text: &str, outcome: &Outcome) -> Vec<bool> {
        let expectations = Expectations::parse(text).unwrap_or_else(|words| panic!("{text}: {words}"));
        expectations.check(outcome).iter().map(|verdict| verdict.held).collect()
    }

    #[test]
    fn expectations_are_compared_with_the_result() {
        let outcome = sample_outcome::busy();
        assert_eq!(held("p99<1s, lost=0 ,lost<=10", &outcome), [true, false, true]);
        assert_eq!(held("max>=1us,received>2.9M,expected=3M,delivered_per_s>1k", &outcome), [true; 4]);
        assert_eq!(
            held("bytes_per_connection<1KiB,cpu_us_per_delivery<4,cpu_us_per_delivery<4us", &outcome),
            [true; 3]
        );
        assert_eq!(held("balance=ok,balance!=broken,duplicates!=2", &outcome), [true, true, false]);
        assert_eq!(held("uncorrected.p99.9<60s,connect.max>0,skew.mean>0", &outcome), [true; 3]);
    }

    #[test]
    fn a_broken_balance_is_not_ok() {
        let mut outcome = sample_outcome::busy();
        outcome.balance.bytes = false;
        assert_eq!(held("balance=ok", &outcome), [false]);
    }

    #[test]
    fn what_was_not_measured_fails_in_words() {
        let verdicts =
            Expectations::parse("p99<5ms,lost=0,cpu_us_per_delivery<4").expect("fine").check(&sample_outcome::empty());
        assert!(
            verdicts.iter().all(|verdict| !verdict.held && verdict.actual.starts_with("not measured: ")),
            "{verdicts:?}"
        );
        assert!(verdicts[2].actual.contains("--pid"));
    }

    #[test]
    fn verdicts_stand_below_each_other() {
        let verdicts = Expectations::parse("lost=0,expected=3M").expect("fine").check(&sample_outcome::busy());
        assert_eq!(render(&verdicts), "  FAILED  lost=0       10\n  held    expected=3M  3 000 000\n");
    }
}
