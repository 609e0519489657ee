//! A result's figures by name: what comparison and expectation can speak of.
//!
//! `p99`, `max` and `mean` are of the corrected latency; `connect.p99` and the like of another [`Timing`]; all other names are
//! in [`PLAIN`].

use crate::outcome::Outcome;
use crate::report::units;

mod plain;
mod timing;

pub use plain::{PLAIN, Plain};
pub use timing::Timing;

/// A figure of a result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Figure {
    /// A quantile, 0 to 1, of a timing.
    Quantile(Timing, f64),
    /// The longest.
    Max(Timing),
    /// The mean.
    Mean(Timing),
    /// A count, a rate, a cost.
    Plain(&'static Plain),
}

/// What a figure's number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// Nanoseconds.
    Time,
    /// Microseconds.
    Micros,
    /// Bytes.
    Bytes,
    /// A number of things.
    Count,
    /// So many a second.
    Rate,
    /// 1: as it should be; 0: not.
    Verdict,
}

/// Which way a figure gets better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// Downwards.
    Less,
    /// Upwards.
    More,
    /// Neither: it says what was done.
    Neither,
}

impl Figure {
    /// The figure of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        if let Some(plain) = PLAIN.iter().find(|plain| plain.name == name) {
            return Some(Self::Plain(plain));
        }
        let (timing, statistic) = match name.split_once('.') {
            Some((prefix, statistic)) if Timing::named(prefix).is_some() => (Timing::named(prefix)?, statistic),
            _ => (Timing::Latency, name),
        };
        match statistic {
            "max" => Some(Self::Max(timing)),
            "mean" => Some(Self::Mean(timing)),
            _ => Some(Self::Quantile(timing, quantile(statistic)?)),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Quantile(timing, quantile) => format!("{}{}", timing.prefix(), units::quantile(*quantile)),
            Self::Max(timing) => format!("{}max", timing.prefix()),
            Self::Mean(timing) => format!("{}mean", timing.prefix()),
            Self::Plain(plain) => plain.name.to_owned(),
        }
    }

    /// What its number is.
    #[must_use]
    pub fn dimension(&self) -> Dimension {
        match self {
            Self::Plain(plain) => plain.dimension,
            _ => Dimension::Time,
        }
    }

    /// Which way it gets better.
    #[must_use]
    pub fn better(&self) -> Better {
        match self {
            Self::Plain(plain) => plain.better,
            _ => Better::Less,
        }
    }

    /// Its value in a result.
    ///
    /// # Errors
    /// Why it was not measured.
    pub fn of(&self, outcome: &Outcome) -> Result<f64, &'static str> {
        let hist = |timing: &Timing| {
            let hist = timing.of(outcome);
            if hist.is_empty() { Err(timing.absence()) } else { Ok(hist) }
        };
        match self {
            Self::Quantile(timing, quantile) => hist(timing).map(|hist| hist.at(*quantile) as f64),
            Self::Max(timing) => hist(timing).map(|hist| hist.max_ns() as f64),
            Self::Mean(timing) => hist(timing).map(crate::hist::Hist::mean_ns),
            Self::Plain(plain) => plain.of(outcome),
        }
    }
}

impl Dimension {
    /// A number of this kind as people read it.
    #[must_use]
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Time => units::time(value),
            Self::Micros => units::time(value * 1_000.0),
            Self::Bytes => units::bytes(value),
            Self::Count => units::number(value),
            Self::Rate => units::rate(value),
            Self::Verdict if value == 1.0 => String::from("ok"),
            Self::Verdict => String::from("broken"),
        }
    }
}

/// All names, for those who look for one.
#[must_use]
pub fn names() -> String {
    let timings: Vec<_> =
        Timing::ALL.iter().map(|timing| timing.prefix()).filter(|prefix| !prefix.is_empty()).collect();
    let plain: Vec<_> = PLAIN.iter().map(|plain| plain.name).collect();
    format!(
        "p50, p90, p99, p99.9 and every other percentile, max, mean; the same after {}; {}",
        timings.join(", "),
        plain.join(", ")
    )
}

/// `p99.9` as 0.999.
fn quantile(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('p')?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    let percent: f64 = digits.parse().ok()?;
    (percent > 0.0 && percent < 100.0).then_some(percent / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample_outcome;

    #[test]
    fn every_name_finds_its_figure() {
        let timings = ["", "uncorrected.", "connect.", "skew.", "jitter.", "slip.", "answered."];
        let statistics = ["p50", "p90", "p99", "p99.9", "p99.99", "max", "mean"];
        let timed = timings.iter().flat_map(|timing| statistics.map(|statistic| format!("{timing}{statistic}")));
        for name in timed.chain(PLAIN.iter().map(|plain| plain.name.to_owned())) {
            assert_eq!(Figure::named(&name).map(|figure| figure.name()), Some(name));
        }
    }

    #[test]
    fn other_names_find_nothing() {
        for name in [
            "",
            "p",
            "p0",
            "p100",
            "p-1",
            "p1e1",
            "p.",
            "px",
            "latency",
            "connect.",
            "connect.lost",
            "nope.p50",
            "pinf",
        ] {
            assert_eq!(Figure::named(name), None, "{name}");
        }
    }

    #[test]
    fn an_empty_result_measured_nothing_but_says_why() {
        let outcome = sample_outcome::empty();
        for name in [
            "p99",
            "uncorrected.p99",
            "connect.max",
            "skew.mean",
            "jitter.p50",
            "lost",
            "cpu_us_per_delivery",
            "failed",
        ] {
            let figure = Figure::named(name).expect(name);
            assert!(figure.of(&outcome).is_err_and(|why| !why.is_empty()), "{name}");
        }
    }

    #[test]
    fn figures_are_those_of_the_result() {
        let outcome = sample_outcome::busy();
        let value = |name: &str| Figure::named(name).expect(name).of(&outcome).expect(name);
        assert_eq!(value("lost"), outcome.counts.lost as f64);
        assert_eq!(value("p99"), outcome.latency.at(0.99) as f64);
        assert_eq!(value("connect.max"), outcome.connect.max_ns() as f64);
        assert_eq!(value("balance"), 1.0);
    }
}
