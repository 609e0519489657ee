//! Which charts a result has.

use super::timeline::{self, Point};
use crate::hist::Hist;
use crate::outcome::Outcome;
use crate::report::chart::{Axis, Band, Line, LineChart, Scale};
use crate::report::units;

/// Colours by what they stand for, the same in all charts.
const FIRST: usize = 0;
const SECOND: usize = 1;
const THIRD: usize = 2;

/// The charts that have something to show.
pub fn charts(outcome: &Outcome) -> Vec<LineChart> {
    let points = timeline::points(&outcome.timeline);
    let over_time = OverTime { points: &points, bands: timeline::bands(&outcome.timeline) };
    let charts = [
        percentiles(outcome),
        over_time.latency(),
        over_time.throughput(),
        over_time.processors(),
        over_time.connections(),
        over_time.failures(),
        over_time.memory(),
    ];
    charts.into_iter().flatten().collect()
}

/// Latency by percentile: HDR's plot, with the slowest few as wide as all others.
fn percentiles(outcome: &Outcome) -> Option<LineChart> {
    let lines = [
        curve("from when it was due (corrected)", FIRST, false, &outcome.latency),
        curve("from when it was sent (uncorrected)", SECOND, true, &outcome.latency_uncorrected),
        curve("periodic pushes, from when they were due", THIRD, false, &outcome.jitter),
    ];
    let lines: Vec<Line> = lines.into_iter().flatten().collect();
    let highest = lines.iter().flat_map(|line| &line.points).map(|(x, _)| *x).fold(0.0, f64::max);
    let scale = fitting(&lines);
    let mut x = Axis::new("percentile", Scale::Log, percentile);
    x.marks = percentile_marks(highest);
    let y = Axis::new("latency", scale, units::short_time);
    (!lines.is_empty()).then(|| LineChart { title: "Latency by percentile".to_owned(), x, y, lines, bands: Vec::new() })
}

/// x is `1 / (1 - quantile)`: how many messages there are for one that is slower.
fn curve(name: &str, colour: usize, dashed: bool, hist: &Hist) -> Option<Line> {
    let count = hist.count() as f64;
    let points = hist.curve().into_iter().map(|(quantile, ns)| (1.0 / (1.0 - quantile).max(1.0 / count), ns as f64));
    let points: Vec<_> = points.collect();
    (!points.is_empty()).then(|| Line { name: name.to_owned(), colour, dashed, points })
}

/// 0, 50, 90, 99, 99.9 …: as many as there are.
fn percentile_marks(highest: f64) -> Vec<f64> {
    let decades = (1..=12).map(|power| 10_f64.powi(power));
    [1.0, 2.0].into_iter().chain(decades).filter(|mark| *mark <= highest.max(1.0)).collect()
}

fn percentile(x: f64) -> String {
    // A digit more than the nines, and exact where x is a power of ten.
    let decimals = (x.log10().ceil() as usize).saturating_sub(1).min(12);
    let text = format!("{:.decimals$}", (1.0 - 1.0 / x) * 100.0);
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text} %")
}

fn fitting(lines: &[Line]) -> Scale {
    Scale::fitting(lines.iter().flat_map(|line| &line.points).map(|(_, y)| *y))
}

/// Charts along the run.
struct OverTime<'a> {
    points: &'a [Point],
    bands: Vec<Band>,
}

impl OverTime<'_> {
    fn latency(&self) -> Option<LineChart> {
        let lines = vec![
            self.line("p50", FIRST, |point| point.p50_ns),
            self.line("p99", SECOND, |point| point.p99_ns),
            self.line("worst", THIRD, |point| point.max_ns),
        ];
        self.chart("Latency over time", "latency, corrected", units::short_time, lines)
    }

    fn throughput(&self) -> Option<LineChart> {
        let lines = vec![
            self.line("published", SECOND, |point| point.published),
            self.line("delivered", FIRST, |point| point.delivered),
        ];
        self.chart("Messages over time", "messages a second", units::short, lines)
    }

    fn processors(&self) -> Option<LineChart> {
        let lines = vec![
            self.line("server", FIRST, |point| point.server_cpu),
            self.line("this tool", SECOND, |point| point.client_cpu),
        ];
        self.chart("Processors used", "processors", units::short, lines)
    }

    fn connections(&self) -> Option<LineChart> {
        let lines = vec![self.line("ready", FIRST, |point| point.connections)];
        self.chart("Connections", "connections", units::short, lines)
    }

    fn failures(&self) -> Option<LineChart> {
        let lines = vec![self.line("failed or closed by the server", SECOND, |point| point.failed)];
        self.chart("Failures over time", "failures a second", units::short, lines)
    }

    fn memory(&self) -> Option<LineChart> {
        let lines = vec![self.line("resident", FIRST, |point| point.server_rss_bytes / 1_048_576.0)];
        self.chart("Server's memory", "MiB", units::short, lines)
    }

    fn line(&self, name: &str, colour: usize, of: fn(&Point) -> f64) -> Line {
        let points = self.points.iter().map(|point| (point.at_s, of(point))).collect();
        Line { name: name.to_owned(), colour, dashed: false, points }
    }

    /// With those of the lines that are anywhere over 0; `None` when no line is.
    fn chart(&self, title: &str, y: &str, label: fn(f64) -> String, mut lines: Vec<Line>) -> Option<LineChart> {
        lines.retain(|line| line.points.iter().any(|(_, y)| *y > 0.0));
        let x = Axis::new("seconds from the start", Scale::Linear, units::short);
        let y = Axis::new(y, fitting(&lines), label);
        (!lines.is_empty()).then(|| LineChart { title: title.to_owned(), x, y, lines, bands: self.bands.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample_outcome;

    #[test]
    fn a_busy_run_has_all_charts_and_an_empty_one_none() {
        let titles: Vec<_> = charts(&sample_outcome::busy()).into_iter().map(|chart| chart.title).collect();
        let all = [
            "Latency by percentile",
            "Latency over time",
            "Messages over time",
            "Processors used",
            "Connections",
            "Failures over time",
            "Server's memory",
        ];
        assert_eq!(titles, all);
        assert!(charts(&sample_outcome::empty()).is_empty());
    }

    #[test]
    fn the_percentile_axis_reads_as_percentiles() {
        assert_eq!(
            [1.0, 2.0, 10.0, 100.0, 1_000.0, 1e6].map(percentile),
            ["0 %", "50 %", "90 %", "99 %", "99.9 %", "99.9999 %"]
        );
        assert_eq!(percentile_marks(150.0), [1.0, 2.0, 10.0, 100.0]);
    }

    #[test]
    fn both_latencies_are_drawn_to_the_worst() {
        let outcome = sample_outcome::busy();
        let chart = percentiles(&outcome).expect("a chart");
        assert_eq!(chart.lines.len(), 2);
        let end = |line: usize| chart.lines[line].points.last().copied();
        assert_eq!(end(0), Some((outcome.latency.count() as f64, outcome.latency.max_ns() as f64)));
        assert_eq!(end(1).map(|point| point.1), Some(outcome.latency_uncorrected.max_ns() as f64));
    }
}
