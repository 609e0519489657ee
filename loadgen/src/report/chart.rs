//! Charts in SVG: lines over a common axis, and bars with whiskers.
//!
//! They are drawn as text, with nothing to load. In a page ([`LineChart::inline`], [`BarChart::inline`]) they take their
//! colours from [`CSS`], which the page has once; as a file ([`LineChart::file`], [`BarChart::file`]) they bring it along.
//! Both follow the reader's choice of light or dark.

mod axis;
mod bar;
mod line;
mod svg;

pub use axis::{Axis, Scale};
pub use bar::{Bar, BarChart, BarGroup, Measured};
pub use line::{Band, Line, LineChart};
pub use svg::escape;

/// Colours and letters of all charts.
pub const CSS: &str = include_str!("chart/chart.css");

/// Colours that [`CSS`] tells apart: a line's or a bar's number is taken modulo this.
pub const COLOURS: usize = 8;
