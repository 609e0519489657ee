//! Lines over a common axis.

use super::axis::{Axis, Span};
use super::svg::{self, Svg};
use super::{COLOURS, CSS};

/// A chart of lines.
#[derive(Clone, Debug)]
pub struct LineChart {
    /// What it shows.
    pub title: String,
    /// What the axis at the bottom is.
    pub x: Axis,
    /// What the axis at the left is.
    pub y: Axis,
    /// The lines. Points are in the order of x.
    pub lines: Vec<Line>,
    /// Parts of the x axis that are set apart.
    pub bands: Vec<Band>,
}

/// A line.
#[derive(Clone, Debug)]
pub struct Line {
    /// For the legend.
    pub name: String,
    /// Its colour, one of [`COLOURS`].
    pub colour: usize,
    /// Drawn in dashes: what is of second rank, or lies on another line.
    pub dashed: bool,
    /// x and y; a y that is not finite, or not over 0 on a logarithmic axis, interrupts it.
    pub points: Vec<(f64, f64)>,
}

/// A part of the x axis.
#[derive(Clone, Debug)]
pub struct Band {
    /// Where it begins.
    pub from: f64,
    /// Where it ends.
    pub to: f64,
    /// What happens there.
    pub name: String,
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 74.0;
const RIGHT: f64 = 22.0;
const BOTTOM: f64 = 46.0;
/// Height of a line of the legend.
const LEGEND: f64 = 18.0;
/// Between the title and the legend's first line.
const LEGEND_TOP: f64 = 42.0;
/// Between the legend's last line and the uppermost mark.
const LEGEND_BOTTOM: f64 = 20.0;
/// Lines with fewer points show each of them.
const DOTS_MAX: usize = 3;

impl LineChart {
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
        let mut svg = Svg::new(WIDTH, HEIGHT, &self.title, style);
        svg.text(12.0, 22.0, "title", &self.title);
        let top = self.legend(&mut svg) + LEGEND_BOTTOM;
        let plot = Plot { x: self.x_span(), y: Span::round(self.y.scale, self.values().map(|(_, y)| y)), top };
        self.bands(&mut svg, &plot);
        self.axes(&mut svg, &plot);
        for line in &self.lines {
            line.draw(&mut svg, &plot);
        }
        self.hints(&mut svg, &plot);
        svg.end()
    }

    fn values(&self) -> impl Iterator<Item = (f64, f64)> {
        self.lines.iter().flat_map(|line| line.points.iter().copied())
    }

    fn x_span(&self) -> Span {
        let bands = self.bands.iter().flat_map(|band| [band.from, band.to]);
        Span::tight(self.x.scale, self.values().map(|(x, _)| x).chain(bands))
    }

    /// Names and colours, in as many lines as they need; where it ends.
    fn legend(&self, svg: &mut Svg) -> f64 {
        let (mut x, mut y) = (12.0, LEGEND_TOP);
        let bands = self.band_names();
        let entries = self.lines.iter().map(|line| (line.name.as_str(), Some(line)));
        for (name, line) in entries.chain((!bands.is_empty()).then_some((bands.as_str(), None))) {
            let wide = 26.0 + svg::width(name) + 14.0;
            if x > 12.0 && x + wide > WIDTH {
                (x, y) = (12.0, y + LEGEND);
            }
            match line {
                Some(line) => svg.line((x, y - 4.0), (x + 20.0, y - 4.0), &line.class()),
                None => svg.area((x + 4.0, y - 10.0), 12.0, 12.0, "band swatch"),
            }
            svg.text(x + 26.0, y, "quiet", name);
            x += wide;
        }
        y
    }

    /// What all bands are, each name once.
    fn band_names(&self) -> String {
        let mut names: Vec<&str> = Vec::new();
        for band in &self.bands {
            if !names.contains(&band.name.as_str()) {
                names.push(&band.name);
            }
        }
        names.join(", ")
    }

    fn bands(&self, svg: &mut Svg, plot: &Plot) {
        for band in &self.bands {
            let (Some(from), Some(to)) = (plot.x(band.from), plot.x(band.to)) else { continue };
            svg.area((from, plot.top), to - from, plot.height(), "band");
        }
    }

    fn axes(&self, svg: &mut Svg, plot: &Plot) {
        let bottom = HEIGHT - BOTTOM;
        for mark in marks(&self.y, &plot.y) {
            let Some(y) = plot.y(mark) else { continue };
            svg.line((LEFT, y), (WIDTH - RIGHT, y), "grid");
            svg.text(LEFT - 8.0, y + 4.0, "tick end", &(self.y.label)(mark));
        }
        for mark in marks(&self.x, &plot.x) {
            let Some(x) = plot.x(mark) else { continue };
            svg.line((x, bottom), (x, bottom + 5.0), "axis");
            svg.text(x, bottom + 18.0, "tick middle", &(self.x.label)(mark));
        }
        svg.line((LEFT, bottom), (WIDTH - RIGHT, bottom), "axis");
        svg.text((LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 8.0, "quiet middle", &self.x.title);
        svg.upward(16.0, (plot.top + bottom) / 2.0, "quiet middle", &self.y.title);
    }

    /// For each x of the first lines' points, a column that says all values there.
    fn hints(&self, svg: &mut Svg, plot: &Plot) {
        let mut xs: Vec<f64> = self.values().map(|(x, _)| x).filter(|x| plot.x(*x).is_some()).collect();
        xs.sort_by(f64::total_cmp);
        xs.dedup();
        let middle = |a: f64, b: f64| (plot.x(a).unwrap_or(LEFT) + plot.x(b).unwrap_or(LEFT)) / 2.0;
        for (at, x) in xs.iter().enumerate() {
            let left = if at == 0 { LEFT } else { middle(xs[at - 1], *x) };
            let right = xs.get(at + 1).map_or(WIDTH - RIGHT, |next| middle(*x, *next));
            svg.hint((left, plot.top), right - left, plot.height(), &self.words_at(*x));
        }
    }

    fn words_at(&self, x: f64) -> String {
        let mut words = format!("{} {}", self.x.title, (self.x.label)(x));
        for line in &self.lines {
            let at = line.points.partition_point(|point| point.0 < x);
            if let Some((_, y)) = line.points.get(at).filter(|point| point.0 == x && point.1.is_finite()) {
                words.push_str(&format!("\n{}: {}", line.name, (self.y.label)(*y)));
            }
        }
        words
    }
}

impl Line {
    fn class(&self) -> String {
        format!("line s{}{}", self.colour % COLOURS, if self.dashed { " dashed" } else { "" })
    }

    fn draw(&self, svg: &mut Svg, plot: &Plot) {
        let points: Vec<_> = self.points.iter().map(|(x, y)| plot.x(*x).zip(plot.y(*y))).collect();
        svg.path(&points, &self.class());
        if points.len() < DOTS_MAX {
            for point in points.into_iter().flatten() {
                svg.dot(point, &format!("f{}", self.colour % COLOURS));
            }
        }
    }
}

/// Marks of an axis that have a place.
fn marks(axis: &Axis, span: &Span) -> Vec<f64> {
    if axis.marks.is_empty() { span.marks() } else { axis.marks.clone() }
}

/// Where the lines are drawn.
struct Plot {
    x: Span,
    y: Span,
    top: f64,
}

impl Plot {
    fn height(&self) -> f64 {
        HEIGHT - BOTTOM - self.top
    }

    fn x(&self, value: f64) -> Option<f64> {
        self.x.place(value).map(|place| LEFT + place * (WIDTH - RIGHT - LEFT))
    }

    fn y(&self, value: f64) -> Option<f64> {
        self.y.place(value).map(|place| HEIGHT - BOTTOM - place * self.height())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Scale;
    use super::*;
    use crate::report::units;

    fn chart(scale: Scale, points: Vec<(f64, f64)>) -> LineChart {
        LineChart {
            title: "a <b>".to_owned(),
            x: Axis::new("time", Scale::Linear, units::short),
            y: Axis::new("size", scale, units::short),
            lines: vec![Line { name: "l&m".to_owned(), colour: 9, dashed: true, points }],
            bands: vec![Band { from: 0.0, to: 10.0, name: "ramp".to_owned() }],
        }
    }

    #[test]
    fn a_chart_has_its_words_its_line_and_its_values() {
        let svg = chart(Scale::Linear, vec![(0.0, 1.0), (5.0, 2.0), (10.0, 4.0)]).inline();
        for part in ["a &lt;b&gt;", "l&amp;m", "time 5\nl&amp;m: 2", "class=\"line s1 dashed\"", ">ramp<", ">size<"] {
            assert!(svg.contains(part), "{part} in {svg}");
        }
        assert!(!svg.contains("NaN") && !svg.contains("<style>"));
    }

    #[test]
    fn a_file_brings_its_colours() {
        assert!(chart(Scale::Linear, vec![(0.0, 1.0)]).file().contains("prefers-color-scheme: dark"));
    }

    #[test]
    fn values_without_a_place_interrupt_the_line() {
        let svg = chart(Scale::Log, vec![(0.0, 1.0), (1.0, 10.0), (2.0, 0.0), (3.0, f64::NAN), (4.0, 5.0), (5.0, 6.0)])
            .inline();
        let path = svg.lines().find(|line| line.starts_with("<path")).expect("a path");
        assert_eq!(path.matches('M').count(), 2, "{path}");
        assert_eq!(path.matches('L').count(), 2, "{path}");
    }

    #[test]
    fn few_points_can_be_seen_and_none_do_no_harm() {
        assert!(chart(Scale::Linear, vec![(3.0, 1.0)]).inline().contains("<circle"));
        for scale in [Scale::Linear, Scale::Log] {
            let svg = chart(scale, Vec::new()).inline();
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}
