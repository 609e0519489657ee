//! What was timed: the histograms of a result, by name.

use crate::hist::Hist;
use crate::outcome::Outcome;

/// A histogram of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timing {
    /// From when a message was due to its arrival.
    Latency,
    /// From when it was really written.
    Uncorrected,
    /// From when a connection was due to when it was ready.
    Connect,
    /// Between a message's first and last receiver.
    Skew,
    /// How late periodic pushes were.
    Jitter,
    /// How much later than due messages were written.
    Slip,
    /// From writing a publication to the server's answer.
    Answered,
}

impl Timing {
    /// All, in the order of reports.
    pub const ALL: [Self; 7] =
        [Self::Latency, Self::Uncorrected, Self::Skew, Self::Jitter, Self::Connect, Self::Slip, Self::Answered];

    /// By the word before the dot.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|timing| timing.prefix().strip_suffix('.') == Some(name))
    }

    /// What stands before `p99` in a figure's name.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Latency => "",
            Self::Uncorrected => "uncorrected.",
            Self::Connect => "connect.",
            Self::Skew => "skew.",
            Self::Jitter => "jitter.",
            Self::Slip => "slip.",
            Self::Answered => "answered.",
        }
    }

    /// What it is, in words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Latency => "latency, from when it was due",
            Self::Uncorrected => "uncorrected, from when it was sent",
            Self::Connect => "connect, from when it was due to ready",
            Self::Skew => "skew, first to last receiver",
            Self::Jitter => "jitter of periodic pushes",
            Self::Slip => "slip, written after it was due",
            Self::Answered => "answered, from writing a publication",
        }
    }

    /// Why a result may have none.
    #[must_use]
    pub const fn absence(self) -> &'static str {
        match self {
            Self::Latency => "no message arrived that was due at a time",
            Self::Uncorrected => "no message arrived whose sending time is known",
            Self::Connect => "no connection got ready",
            Self::Skew => "no message had more than one receiver",
            Self::Jitter => "no periodic push arrived",
            Self::Slip => "nothing was published on a schedule",
            Self::Answered => "no publication was answered",
        }
    }

    /// The histogram.
    #[must_use]
    pub const fn of(self, outcome: &Outcome) -> &Hist {
        match self {
            Self::Latency => &outcome.latency,
            Self::Uncorrected => &outcome.latency_uncorrected,
            Self::Connect => &outcome.connect,
            Self::Skew => &outcome.skew,
            Self::Jitter => &outcome.jitter,
            Self::Slip => &outcome.publishing.slip,
            Self::Answered => &outcome.publishing.answered,
        }
    }
}
