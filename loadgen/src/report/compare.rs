//! Two results side by side, or several of each: what changed, and whether it changed by more than it wobbles anyway.
//!
//! **Noise.** With several runs of a side, it is how far the runs are apart: the half-width of Student's 95 % interval of
//! their mean. With one run, it is how far its seconds are apart: the half-width of the 95 % interval of the steady
//! phase's seconds' mean (their median, for the middle of latencies), by bootstrap over blocks of seconds, as a share of
//! it. Figures that seconds do not have (connecting, skew, jitter) take the interval of the quantile's rank instead. The
//! noises of both sides add up as squares, and a difference within them is `within noise`. One run cannot know how far
//! apart runs are: several of each side (`--with`) say more, and the comparison says so.
//!
//! **Counts** of faults have no noise: one lost message is one more than none.

use std::path::PathBuf;

use crate::error::Error;
use crate::outcome::Outcome;
use crate::report::figure::{Better, Figure};
use crate::report::json;

mod differences;
mod noise;
mod render;

/// A comparison.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// Figures that both sides measured, or one of them.
    pub rows: Vec<Row>,
    /// What else is different, and may be why: scenarios, machines, versions, faults of a run.
    pub remarks: Vec<String>,
}

/// A figure of both sides.
#[derive(Clone, Debug)]
pub struct Row {
    /// Which.
    pub figure: Figure,
    /// The first side; `None`: not measured.
    pub a: Option<f64>,
    /// The second side.
    pub b: Option<f64>,
    /// Half the width of the 95 % interval of the difference, in the figure's unit; `None`: unknown.
    pub noise: Option<f64>,
    /// What to make of it.
    pub verdict: Verdict,
}

/// What to make of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is none.
    Same,
    /// It is no larger than the noise.
    WithinNoise,
    /// The second side is better.
    Better,
    /// The second side is worse.
    Worse,
    /// Larger than the noise, and neither better nor worse.
    Different,
    /// There is one, and nobody knows how large the noise is.
    NoiseUnknown,
    /// A side did not measure it.
    Missing,
}

/// Figures that are compared, in this order, those that a side measured.
const FIGURES: [&str; 37] = [
    "p50",
    "p90",
    "p99",
    "p99.9",
    "max",
    "mean",
    "uncorrected.p50",
    "uncorrected.p99",
    "skew.p50",
    "skew.p99",
    "jitter.p50",
    "jitter.p99",
    "connect.p50",
    "connect.p99",
    "answered.p99",
    "slip.p99",
    "published_per_s",
    "delivered_per_s",
    "connected_per_s",
    "cpu_us_per_delivery",
    "cpu_us_per_connection",
    "bytes_per_connection",
    "server_rss_bytes",
    "client_cpu_us_per_delivery",
    "ready",
    "failed",
    "closed_by_server",
    "refused",
    "expected",
    "received",
    "gaps",
    "lost",
    "duplicates",
    "reordered",
    "damaged",
    "foreign",
    "unsent",
];

/// Reads the results of both sides and compares them, as text for the terminal.
///
/// # Errors
/// [`Error::Usage`] when a file is no result, or a side has none.
pub fn files(a: &[PathBuf], b: &[PathBuf]) -> Result<String, Error> {
    if a.is_empty() || b.is_empty() {
        return Err(Error::Usage(String::from("a comparison needs a result of each side: compare A.json B.json")));
    }
    let read = |paths: &[PathBuf]| paths.iter().map(|path| json::read(path)).collect::<Result<Vec<_>, _>>();
    let (first, second) = (read(a)?, read(b)?);
    Ok(Comparison::of(&first, &second).render(&name(a), &name(b)))
}

/// A side's name: its file's, or how many there are.
fn name(paths: &[PathBuf]) -> String {
    let stem = |path: &PathBuf| path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    match paths {
        [path] => stem(path),
        [path, more @ ..] => format!("{} + {}", stem(path), more.len()),
        [] => String::new(),
    }
}

impl Comparison {
    /// Compares the runs of two sides; each has one at least.
    #[must_use]
    pub fn of(a: &[Outcome], b: &[Outcome]) -> Self {
        let figures = FIGURES.iter().map(|name| Figure::named(name).expect("a name of the list"));
        let rows = figures.map(|figure| Row::of(figure, a, b)).filter(|row| row.a.is_some() || row.b.is_some());
        Self { rows: rows.collect(), remarks: differences::remarks(a, b) }
    }
}

impl Row {
    fn of(figure: Figure, a: &[Outcome], b: &[Outcome]) -> Self {
        let (first, second) = (mean(&figure, a), mean(&figure, b));
        let noise = noise::of_side(&figure, a).zip(noise::of_side(&figure, b));
        let noise = noise.map(|(first, second)| first.hypot(second));
        let verdict = match first.zip(second) {
            Some((first, second)) => Verdict::of(figure.better(), first, second, noise),
            None => Verdict::Missing,
        };
        Self { figure, a: first, b: second, noise, verdict }
    }

    /// The second side over the first, less one; `None` when that says nothing.
    #[must_use]
    pub fn change(&self) -> Option<f64> {
        self.a.zip(self.b).filter(|(a, _)| *a != 0.0).map(|(a, b)| b / a - 1.0)
    }
}

impl Verdict {
    fn of(better: Better, a: f64, b: f64, noise: Option<f64>) -> Self {
        if a == b {
            return Self::Same;
        }
        match (noise, better) {
            (None, _) => Self::NoiseUnknown,
            (Some(noise), _) if (b - a).abs() <= noise => Self::WithinNoise,
            (_, Better::Neither) => Self::Different,
            (_, Better::Less) if b < a => Self::Better,
            (_, Better::More) if b > a => Self::Better,
            _ => Self::Worse,
        }
    }
}

/// The figure's mean over the runs; `None` when a run did not measure it.
fn mean(figure: &Figure, runs: &[Outcome]) -> Option<f64> {
    let values: Vec<f64> = runs.iter().map(|run| figure.of(run).ok()).collect::<Option<_>>()?;
    Some(values.iter().sum::<f64>() / values.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hist::Hist;
    use crate::report::sample_outcome;

    fn row<'a>(comparison: &'a Comparison, name: &str) -> &'a Row {
        let found = comparison.rows.iter().find(|row| row.figure.name() == name);
        found.unwrap_or_else(|| panic!("no {name}"))
    }

    /// The run with its latencies so many times as long.
    fn slower(seed: u64, times: u64) -> Outcome {
        let mut outcome = sample_outcome::again(seed);
        let mut latency = Hist::default();
        outcome.latency.0.iter_recorded().for_each(|value| {
            latency.0.record_n(value.value_iterated_to() * times, value.count_at_value()).expect("in bounds");
        });
        outcome.latency = latency;
        for tick in &mut outcome.timeline {
            tick.p50_ns *= times;
            tick.p99_ns *= times;
            tick.max_ns *= times;
        }
        outcome
    }

    #[test]
    fn a_run_compared_with_itself_is_the_same() {
        let run = [sample_outcome::busy()];
        let comparison = Comparison::of(&run, &run);
        assert!(comparison.rows.len() > 20);
        assert!(comparison.rows.iter().all(|row| row.verdict == Verdict::Same));
        assert_eq!(comparison.remarks.len(), 1, "{:?}", comparison.remarks);
        assert!(comparison.remarks[0].contains("one run of each side"));
    }

    #[test]
    fn the_same_work_again_is_within_noise() {
        let comparison = Comparison::of(&[sample_outcome::again(21)], &[sample_outcome::again(22)]);
        for name in ["p50", "p90", "p99", "p99.9", "delivered_per_s"] {
            let row = row(&comparison, name);
            assert_eq!(row.verdict, Verdict::WithinNoise, "{row:?}");
        }
    }

    #[test]
    fn five_times_slower_is_worse_and_the_other_way_round_better() {
        let (fast, slow) = ([sample_outcome::again(31)], [slower(32, 5)]);
        for name in ["p50", "p90"] {
            assert_eq!(row(&Comparison::of(&fast, &slow), name).verdict, Verdict::Worse);
            assert_eq!(row(&Comparison::of(&slow, &fast), name).verdict, Verdict::Better);
        }
    }

    #[test]
    fn several_runs_find_what_one_cannot() {
        let runs = |from: u64, more: f64| {
            (from..from + 5).map(move |seed| {
                let mut run = sample_outcome::again(seed);
                run.publishing.per_s = 100.0 + more;
                run.server.as_mut().expect("watched").cpu_us_per_delivery =
                    Some(3.6 + more + (seed % 3) as f64 / 100.0);
                run
            })
        };
        let comparison = Comparison::of(&runs(40, 0.0).collect::<Vec<_>>(), &runs(50, 0.1).collect::<Vec<_>>());
        assert_eq!(row(&comparison, "cpu_us_per_delivery").verdict, Verdict::Worse);
        assert_eq!(row(&comparison, "p50").verdict, Verdict::WithinNoise);
        assert!(comparison.remarks.is_empty(), "{:?}", comparison.remarks);
    }

    #[test]
    fn one_more_lost_message_is_worse() {
        let mut second = sample_outcome::busy();
        second.counts.lost += 1;
        let comparison = Comparison::of(&[sample_outcome::busy()], &[second]);
        assert_eq!(row(&comparison, "lost").verdict, Verdict::Worse);
    }

    #[test]
    fn what_a_side_did_not_measure_is_missing() {
        let mut second = sample_outcome::busy();
        second.server = None;
        let comparison = Comparison::of(&[sample_outcome::busy()], &[second]);
        assert_eq!(row(&comparison, "cpu_us_per_delivery").verdict, Verdict::Missing);
        assert!(!comparison.rows.iter().any(|row| row.figure.name() == "jitter.p50"), "neither side has it");
    }

    #[test]
    fn files_are_read_and_named() {
        let folder = std::env::temp_dir().join(format!("epush-loadgen-compare-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let paths = ["before.json", "after.json"].map(|name| folder.join(name));
        for path in &paths {
            json::write(&sample_outcome::busy(), path).expect("written");
        }
        let text = files(&paths[..1], &paths[1..]).expect("compared");
        assert!(text.contains("before") && text.contains("after") && text.contains("p99"), "{text}");
        assert!(files(&paths[..1], &[]).is_err());
        assert!(files(&paths[..1], &[folder.join("none.json")]).is_err());
        std::fs::remove_dir_all(&folder).expect("removed");
    }
}
