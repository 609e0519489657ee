//! Latency over time: median, 99th percentile and maximum of each second, on a scale of tens.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style, Stylize as _};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Chart, Dataset, GraphType};

use super::view::View;
use crate::outcome::Tick;
use crate::report::units;

/// A line of the chart: its name, its colour, and where its values are.
type Series = (&'static str, Color, fn(&Tick) -> u64);

/// The lines of the chart.
const SERIES: [Series; 3] = [
    ("p50", Color::Green, |tick| tick.p50_ns),
    ("p99", Color::Yellow, |tick| tick.p99_ns),
    ("max", Color::Red, |tick| tick.max_ns),
];

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let block = Block::bordered().title(title(view)).title_bottom(legend());
    // Two columns stand beside each second's point at most: the newest that fit.
    let skipped = view.ticks.len().saturating_sub(usize::from(area.width) * 2);
    let ticks: Vec<&Tick> = view.ticks.iter().skip(skipped).collect();
    let points = SERIES.map(|(_, _, of)| points(&ticks, of));
    let datasets = SERIES.iter().zip(&points).map(|((_, color, _), points)| {
        Dataset::default().marker(Marker::Braille).graph_type(GraphType::Line).style(*color).data(points)
    });
    let chart = Chart::new(datasets.collect()).block(block).x_axis(seconds(&ticks)).y_axis(tens(&points));
    frame.render_widget(chart, area);
}

/// Since the start, in words.
fn title(view: &View) -> String {
    let latency = &view.so_far.latency;
    if latency.0.is_empty() {
        return String::from(" latency: nothing has arrived ");
    }
    let [p50, p99, max] = [0.5, 0.99, 1.0].map(|quantile| units::time(latency.at(quantile) as f64));
    format!(" latency p50 {p50}  p99 {p99}  max {max} ")
}

fn legend() -> Line<'static> {
    Line::from(SERIES.map(|(name, color, _)| Span::from(format!(" {name} ")).fg(color)).to_vec()).right_aligned()
}

/// Seconds and decimal logarithms of nanoseconds; seconds in which nothing arrived have no point.
fn points(ticks: &[&Tick], of: fn(&Tick) -> u64) -> Vec<(f64, f64)> {
    let arrived = ticks.iter().filter(|tick| of(tick) > 0);
    arrived.map(|tick| (tick.at_ms as f64 / 1e3, (of(tick) as f64).log10())).collect()
}

fn seconds(ticks: &[&Tick]) -> Axis<'static> {
    let at = |tick: Option<&&Tick>| tick.map_or(0.0, |tick| tick.at_ms as f64 / 1e3);
    let (first, last) = (at(ticks.first()), at(ticks.last()));
    Axis::default()
        .bounds([first, last.max(first + 1.0)])
        .labels([format!("{first:.0} s"), format!("{last:.0} s")])
        .dim_style()
}

/// Whole powers of ten around all points.
fn tens(points: &[Vec<(f64, f64)>]) -> Axis<'static> {
    let all = || points.iter().flatten().map(|(_, ten)| *ten);
    let least = all().fold(f64::INFINITY, f64::min);
    // Before anything arrived: from a microsecond to a second.
    let (low, high) = if least.is_finite() { (least.floor(), all().fold(least, f64::max)) } else { (3.0, 9.0) };
    let high = high.floor().max(low) + 1.0;
    let labels = (low as i32..=high as i32).map(|ten| units::short_time(10_f64.powi(ten)));
    Axis::default().bounds([low, high]).labels(labels).dim_style()
}

/// Axes stand back behind what they measure.
trait DimStyle {
    fn dim_style(self) -> Self;
}

impl DimStyle for Axis<'_> {
    fn dim_style(self) -> Self {
        self.style(Style::new().dim())
    }
}
