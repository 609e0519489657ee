//! Bars with whiskers, in groups.

use super::axis::{Axis, Span};
use super::svg::{self, Svg};
use super::{COLOURS, CSS};

/// A chart of lying bars: each has its name at its left and its value at its end, so that no legend is needed.
#[derive(Clone, Debug)]
pub struct BarChart {
    /// What it shows.
    pub title: String,
    /// What has to be known to read it; may be empty.
    pub subtitle: String,
    /// The axis of the values.
    pub axis: Axis,
    /// The groups, from top to bottom.
    pub groups: Vec<BarGroup>,
}

/// Bars that are compared with each other.
#[derive(Clone, Debug)]
pub struct BarGroup {
    /// What they have in common; may be empty.
    pub title: String,
    /// From top to bottom.
    pub bars: Vec<Bar>,
}

/// A bar.
#[derive(Clone, Debug)]
pub struct Bar {
    /// Whose value it is.
    pub name: String,
    /// Its colour, one of [`COLOURS`].
    pub colour: usize,
    /// Its value, or why there is none.
    pub value: Result<Measured, String>,
}

/// A value and how far it was spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// The bar's length.
    pub value: f64,
    /// Where the whisker begins.
    pub min: f64,
    /// Where it ends.
    pub max: f64,
}

const WIDTH: f64 = 760.0;
const BAR: f64 = 16.0;
const ROW: f64 = 21.0;
const GROUP_TITLE: f64 = 24.0;
const GROUP_GAP: f64 = 8.0;
const BOTTOM: f64 = 46.0;
/// Names longer than this are cut by the left edge of the picture.
const NAMES_MAX: f64 = 260.0;

impl Measured {
    /// A value without a spread.
    #[must_use]
    pub const fn exactly(value: f64) -> Self {
        Self { value, min: value, max: value }
    }
}

impl BarChart {
    /// For a page that has [`CSS`].
    #[must_use]
    pub fn inline(&self) -> String {
        self.draw(None)
    }

    /// A file of its own.
    #[must_use]
    pub fn file(&self) -> String {
        self.draw(Some(CSS))
    }

    fn draw(&self, style: Option<&str>) -> String {
        let top = if self.subtitle.is_empty() { 38.0 } else { 56.0 };
        let plot = self.plot();
        let bottom = top + self.groups.iter().map(BarGroup::height).sum::<f64>();
        let mut svg = Svg::new(WIDTH, bottom + BOTTOM, &self.title, style);
        svg.text(12.0, 22.0, "title", &self.title);
        svg.text(12.0, 42.0, "quiet", &self.subtitle);
        self.axis(&mut svg, &plot, top, bottom);
        let mut y = top;
        for group in &self.groups {
            group.draw(&mut svg, &plot, y, self.axis.label);
            y += group.height();
        }
        svg.end()
    }

    fn plot(&self) -> Plot {
        let bars = || self.groups.iter().flat_map(|group| &group.bars);
        let measured = bars().filter_map(|bar| bar.value.as_ref().ok());
        let values: Vec<f64> = measured.flat_map(|measured| [measured.value, measured.min, measured.max]).collect();
        let longest = values.iter().map(|value| svg::width(&(self.axis.label)(*value))).fold(40.0, f64::max);
        let names = bars().map(|bar| svg::width(&bar.name)).fold(0.0, f64::max).min(NAMES_MAX);
        Plot {
            span: Span::round(self.axis.scale, values.into_iter()),
            left: names + 24.0,
            right: WIDTH - longest - 24.0,
        }
    }

    fn axis(&self, svg: &mut Svg, plot: &Plot, top: f64, bottom: f64) {
        let marks = if self.axis.marks.is_empty() { plot.span.marks() } else { self.axis.marks.clone() };
        for mark in marks {
            let x = plot.x(mark);
            svg.line((x, top), (x, bottom), "grid");
            svg.text(x, bottom + 16.0, "tick middle", &(self.axis.label)(mark));
        }
        svg.line((plot.left, top), (plot.left, bottom), "axis");
        svg.text((plot.left + plot.right) / 2.0, bottom + 36.0, "quiet middle", &self.axis.title);
    }
}

impl BarGroup {
    fn height(&self) -> f64 {
        let title = if self.title.is_empty() { 0.0 } else { GROUP_TITLE };
        title + self.bars.len() as f64 * ROW + GROUP_GAP
    }

    fn draw(&self, svg: &mut Svg, plot: &Plot, mut y: f64, label: fn(f64) -> String) {
        if !self.title.is_empty() {
            svg.text(12.0, y + 16.0, "group", &self.title);
            y += GROUP_TITLE;
        }
        for bar in &self.bars {
            svg.text(plot.left - 8.0, y + BAR - 3.5, "end", &bar.name);
            match &bar.value {
                Ok(measured) => bar.draw(svg, plot, y, *measured, label),
                Err(why) => svg.text(plot.left + 6.0, y + BAR - 3.5, "quiet", why),
            }
            y += ROW;
        }
    }
}

impl Bar {
    fn draw(&self, svg: &mut Svg, plot: &Plot, y: f64, measured: Measured, label: fn(f64) -> String) {
        let [end, min, max] = [measured.value, measured.min, measured.max].map(|value| plot.x(value));
        svg.area((plot.left, y), end - plot.left, BAR, &format!("f{}", self.colour % COLOURS));
        let middle = y + BAR / 2.0;
        if measured.max > measured.min {
            svg.line((min, middle), (max, middle), "whisker");
            svg.line((min, middle - 4.0), (min, middle + 4.0), "whisker");
            svg.line((max, middle - 4.0), (max, middle + 4.0), "whisker");
        }
        svg.text(end.max(max) + 6.0, y + BAR - 3.5, "tick", &label(measured.value));
        let mut words = format!("{}: {}", self.name, label(measured.value));
        if measured.max > measured.min {
            words.push_str(&format!("\n{} to {}", label(measured.min), label(measured.max)));
        }
        svg.hint((plot.left, y), plot.right - plot.left, BAR, &words);
    }
}

/// Where the bars are drawn.
struct Plot {
    span: Span,
    left: f64,
    right: f64,
}

impl Plot {
    /// Values without a place stand at the beginning.
    fn x(&self, value: f64) -> f64 {
        self.left + self.span.place(value).unwrap_or(0.0) * (self.right - self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Scale;
    use super::*;
    use crate::report::units;

    fn chart(scale: Scale) -> BarChart {
        let bar = |name: &str, value| Bar { name: name.to_owned(), colour: 0, value };
        BarChart {
            title: "Cost".to_owned(),
            subtitle: "less is better".to_owned(),
            axis: Axis::new("µs for each delivery", scale, units::short),
            groups: vec![BarGroup {
                title: "1 000 subscribers".to_owned(),
                bars: vec![
                    bar("floor", Ok(Measured { value: 3.4, min: 3.1, max: 3.6 })),
                    bar("<other>", Ok(Measured::exactly(10.0))),
                    bar("third", Err("not installed".to_owned())),
                ],
            }],
        }
    }

    #[test]
    fn bars_have_names_values_and_whiskers() {
        let svg = chart(Scale::Linear).file();
        for part in ["&lt;other&gt;", ">3.4<", "floor: 3.4\n3.1 to 3.6", ">not installed<", "µs for each delivery"] {
            assert!(svg.contains(part), "{part} in {svg}");
        }
        assert_eq!(svg.matches("class=\"whisker\"").count(), 3, "only what is spread has a whisker");
    }

    #[test]
    fn a_bar_is_as_long_as_its_value() {
        let svg = chart(Scale::Linear).inline();
        let bars = svg.lines().filter(|line| line.ends_with("class=\"f0\"/>"));
        let widths: Vec<f64> = bars
            .map(|bar| bar.split("width=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a width"))
            .map(|width| width.parse().expect("a number"))
            .collect();
        assert!((widths[1] / widths[0] - 10.0 / 3.4).abs() < 0.01, "{widths:?}");
    }

    #[test]
    fn a_chart_without_values_is_still_one() {
        let mut chart = chart(Scale::Log);
        chart.groups[0].bars.truncate(0);
        assert!(!chart.inline().contains("NaN"));
        chart.groups.clear();
        assert!(!chart.inline().contains("NaN"));
    }
}
