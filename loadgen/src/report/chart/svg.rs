//! Elements of an SVG as text.

use std::fmt::Write as _;

/// An SVG being written. All text that goes in is escaped here.
pub struct Svg {
    text: String,
}

impl Svg {
    /// Begins a drawing of this size, with a name for those who cannot see it. `style`: what a file brings along.
    pub fn new(width: f64, height: f64, name: &str, style: Option<&str>) -> Self {
        let name = escape(name);
        let mut text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"chart\" viewBox=\"0 0 {width} {height}\" \
             role=\"img\" aria-label=\"{name}\""
        );
        if let Some(style) = style {
            // A file has a size of its own; in a page the column gives it.
            let _ = write!(text, " width=\"{width}\" height=\"{height}\"><style>{style}</style>");
            let _ = write!(text, "<rect width=\"{width}\" height=\"{height}\" fill=\"var(--paper)\"/>");
        } else {
            text.push('>');
        }
        Self { text }
    }

    /// A text, at its baseline.
    pub fn text(&mut self, x: f64, y: f64, class: &str, words: &str) {
        let words = escape(words);
        let _ = writeln!(self.text, "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\">{words}</text>");
    }

    /// A text that runs upwards.
    pub fn upward(&mut self, x: f64, y: f64, class: &str, words: &str) {
        let words = escape(words);
        let _ = writeln!(
            self.text,
            "<text transform=\"translate({x:.1} {y:.1}) rotate(-90)\" class=\"{class}\">{words}</text>"
        );
    }

    /// A straight line.
    pub fn line(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        let ((x1, y1), (x2, y2)) = (from, to);
        let _ = writeln!(
            self.text,
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" class=\"{class}\"/>"
        );
    }

    /// A line through points; `None` interrupts it.
    pub fn path(&mut self, points: &[Option<(f64, f64)>], class: &str) {
        let mut path = String::new();
        let mut pen_down = false;
        for point in points {
            if let Some((x, y)) = point {
                let _ = write!(path, "{}{x:.1} {y:.1}", if pen_down { 'L' } else { 'M' });
            }
            pen_down = point.is_some();
        }
        let _ = writeln!(self.text, "<path d=\"{path}\" class=\"{class}\"/>");
    }

    /// A point.
    pub fn dot(&mut self, at: (f64, f64), class: &str) {
        let _ = writeln!(self.text, "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"2.5\" class=\"{class}\"/>", at.0, at.1);
    }

    /// A rectangle.
    pub fn area(&mut self, at: (f64, f64), width: f64, height: f64, class: &str) {
        let (x, y) = at;
        let (width, height) = (width.max(0.0), height.max(0.0));
        let _ = writeln!(
            self.text,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" class=\"{class}\"/>"
        );
    }

    /// A rectangle that says something when the pointer is over it, without any script.
    pub fn hint(&mut self, at: (f64, f64), width: f64, height: f64, words: &str) {
        let ((x, y), words) = (at, escape(words));
        let _ = writeln!(
            self.text,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" class=\"hit\"><title>{words}</title></rect>"
        );
    }

    /// The whole text.
    pub fn end(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }
}

/// Text that means nothing in XML and HTML, neither between tags nor in quoted attributes.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // XML has no other control characters.
            char if char.is_control() && !matches!(char, '\n' | '\t') => escaped.push('\u{fffd}'),
            char => escaped.push(char),
        }
    }
    escaped
}

/// About how wide a text is: there is nobody to ask for the letters' true widths.
pub fn width(text: &str) -> f64 {
    text.chars().count() as f64 * LETTER
}

/// A letter of 12 pixels, on average, and a bit.
const LETTER: f64 = 6.7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_is_escaped() {
        assert_eq!(escape("<a b=\"c\" d='e'>&\0\n"), "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;\u{fffd}\n");
    }

    #[test]
    fn a_path_is_interrupted_where_there_is_no_point() {
        let mut svg = Svg::new(10.0, 10.0, "", None);
        svg.path(&[Some((1.0, 2.0)), Some((3.0, 4.0)), None, Some((5.0, 6.0))], "c");
        assert!(svg.end().contains("d=\"M1.0 2.0L3.0 4.0M5.0 6.0\""));
    }
}
