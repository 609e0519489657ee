//! How far a figure wobbles while nothing changes.

use crate::outcome::{Outcome, Phase, Tick};
use crate::report::figure::{Dimension, Figure, Timing};

/// Resamplings of the seconds: enough for a 95 % interval that stays put.
const RESAMPLES: usize = 1_000;

/// Fewer seconds than this say nothing about how they wobble.
const SECONDS_MIN: usize = 5;

/// Half-width of the 95 % interval of a side's figure; `None` when nothing says how wide it is.
pub fn of_side(figure: &Figure, runs: &[Outcome]) -> Option<f64> {
    if let Figure::Plain(plain) = figure
        && matches!(plain.dimension, Dimension::Count | Dimension::Verdict)
        && runs.len() < 2
    {
        // A fault that was counted was there.
        return Some(0.0);
    }
    match runs {
        [] => None,
        [run] => of_run(figure, run),
        _ => of_runs(&runs.iter().map(|run| figure.of(run).ok()).collect::<Option<Vec<_>>>()?),
    }
}

/// Student's interval of the mean.
fn of_runs(values: &[f64]) -> Option<f64> {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    Some(student(values.len() - 1) * (variance / count).sqrt())
}

/// From a single run: its seconds, or the ranks of its values.
fn of_run(figure: &Figure, run: &Outcome) -> Option<f64> {
    let value = figure.of(run).ok()?;
    if let Some((of_tick, centre)) = second(figure) {
        let steady = run.timeline.iter().filter(|tick| tick.phase == Phase::Steady);
        let values: Vec<f64> = steady.filter_map(of_tick).collect();
        return bootstrap(&values, centre).map(|share| share * value);
    }
    match figure {
        Figure::Quantile(timing, quantile) => {
            let (low, high) = timing.of(run).interval(*quantile)?;
            Some((high - low) as f64 / 2.0)
        }
        Figure::Mean(timing) => {
            let hist = timing.of(run);
            Some(1.96 * hist.0.stdev() / (hist.count() as f64).sqrt())
        }
        _ => None,
    }
}

/// What stands for a figure in a second of the run, where seconds have it, and how the seconds make up the run.
fn second(figure: &Figure) -> Option<(OfTick, Centre)> {
    Some(match figure {
        // The quantile of the nearest that seconds have, upwards: a tail wobbles more than a middle. A slow second moves
        // the run's tail, as it moves a mean, and leaves its middle where it is, as it leaves a median.
        Figure::Quantile(Timing::Latency | Timing::Uncorrected, quantile) => match *quantile {
            quantile if quantile <= 0.5 => (|tick| positive(tick.p50_ns), median),
            quantile if quantile <= 0.9 => (|tick| positive(tick.p99_ns), median),
            quantile if quantile <= 0.99 => (|tick| positive(tick.p99_ns), mean),
            _ => (|tick| positive(tick.max_ns), mean),
        },
        Figure::Mean(Timing::Latency | Timing::Uncorrected) => (|tick| positive(tick.p50_ns), mean),
        Figure::Max(Timing::Latency | Timing::Uncorrected) => (|tick| positive(tick.max_ns), mean),
        Figure::Plain(plain) => match plain.name {
            "published_per_s" => (|tick| Some(tick.published as f64), mean),
            "delivered_per_s" => (|tick| Some(tick.delivered as f64), mean),
            "cpu_us_per_delivery" => (|tick| each(tick.server_cpu?, tick.delivered), mean),
            "client_cpu_us_per_delivery" => (|tick| each(tick.client_cpu, tick.delivered), mean),
            _ => return None,
        },
        _ => return None,
    })
}

/// A second's value, where it has one.
type OfTick = fn(&Tick) -> Option<f64>;

/// What stands for many values; it may change their order.
type Centre = fn(&mut [f64]) -> f64;

fn mean(values: &mut [f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn median(values: &mut [f64]) -> f64 {
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

/// A second in which nothing arrived has no latency.
fn positive(ns: u64) -> Option<f64> {
    (ns > 0).then_some(ns as f64)
}

fn each(processors: f64, delivered: u64) -> Option<f64> {
    (delivered > 0).then(|| processors / delivered as f64)
}

/// Half-width of the 95 % interval of the values' centre, as a share of it: moving blocks, because a second is like the
/// one before it.
fn bootstrap(values: &[f64], centre: Centre) -> Option<f64> {
    if values.len() < SECONDS_MIN {
        return None;
    }
    let whole = centre(&mut values.to_vec());
    if whole <= 0.0 {
        return None;
    }
    let block = (values.len() as f64).cbrt().ceil() as usize;
    let mut dice = Dice(values.len() as u64);
    let mut centres: Vec<f64> = (0..RESAMPLES).map(|_| centre(&mut resample(values, block, &mut dice))).collect();
    centres.sort_by(f64::total_cmp);
    let at = |share: f64| centres[(share * (RESAMPLES - 1) as f64) as usize];
    Some((at(0.975) - at(0.025)) / 2.0 / whole)
}

/// As many values, drawn in blocks that wrap around.
fn resample(values: &[f64], block: usize, dice: &mut Dice) -> Vec<f64> {
    let blocks = values.len().div_ceil(block);
    let starts = (0..blocks).map(|_| dice.below(values.len()));
    let drawn = starts.flat_map(|start| (start..start + block).map(|at| values[at % values.len()]));
    drawn.take(values.len()).collect()
}

/// The same numbers every time: the same files compare the same.
struct Dice(u64);

impl Dice {
    /// Sebastiano Vigna's splitmix64.
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}

/// Student's t for 95 % on both sides.
fn student(freedom: usize) -> f64 {
    const TABLE: [f64; 15] =
        [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131];
    TABLE.get(freedom.saturating_sub(1)).copied().unwrap_or(if freedom <= 30 { 2.120 } else { 2.042 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steady_seconds_have_no_noise_and_wobbling_ones_do() {
        assert_eq!(bootstrap(&[5.0; 30], mean), Some(0.0));
        let wobbling: Vec<f64> = (0..60).map(|second| 100.0 + f64::from(second * 37 % 11) * 4.0).collect();
        let share = bootstrap(&wobbling, mean).expect("enough seconds");
        // 1.96 × 12.6 / √60 of 120 is 2.7 %.
        assert!((0.005..0.05).contains(&share), "{share}");
        assert_eq!(bootstrap(&wobbling, mean), Some(share), "the same every time");
    }

    #[test]
    fn one_slow_second_moves_the_tail_and_not_the_middle() {
        let mut seconds = vec![10.0; 30];
        seconds[17] = 400.0;
        assert_eq!(bootstrap(&seconds, median), Some(0.0));
        assert!(bootstrap(&seconds, mean).expect("enough seconds") > 0.5);
    }

    #[test]
    fn too_few_seconds_say_nothing() {
        assert_eq!(bootstrap(&[1.0, 2.0, 3.0], mean), None);
        assert_eq!(bootstrap(&[0.0; 10], mean), None);
        assert_eq!(bootstrap(&[], median), None);
    }

    #[test]
    fn two_runs_know_little_and_more_know_more() {
        let two = of_runs(&[1.0, 2.0]).expect("two");
        let many = of_runs(&[1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0]).expect("many");
        assert!((two - 6.353).abs() < 0.01, "{two}");
        assert!(many < 0.5, "{many}");
    }
}
