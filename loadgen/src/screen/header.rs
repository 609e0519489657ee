//! What runs, how far it is, how many connections there are; and below everything, which keys there are.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize as _};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Gauge, Paragraph};

use super::view::View;
use crate::report::units;

/// Rows it takes.
pub(super) const ROWS: u16 = 3;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let [title, phase, connections] = Layout::vertical([Constraint::Length(1); 3]).areas(area);
    let name = Span::from(format!(" epush-loadgen {} ", view.name)).bold().reversed();
    frame.render_widget(Line::from(vec![name, format!(" {} ({})", view.url, view.dialect).into()]), title);
    frame.render_widget(Line::from(phase_words(view)), phase);
    frame.render_widget(gauge(view), connections);
}

pub(super) fn draw_footer(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let keys = " q or Ctrl-C: end now, with the report";
    let words = match (view.is_ending, view.notes.back()) {
        (true, _) => Line::from(" ending … once more: leave without a report").yellow(),
        (false, Some(note)) => Line::from(vec![format!(" {note} ").yellow(), keys.dim()]),
        (false, None) => Line::from(keys).dim(),
    };
    frame.render_widget(Paragraph::new(words), area);
}

/// As in `steady, 7 s left, 12.0 s since the start`.
pub(super) fn phase_words(view: &View) -> Vec<Span<'static>> {
    let left = match view.left_ms() {
        Some(ms) if ms > 0 => format!(", {} s left", ms.div_ceil(1_000)),
        _ => String::from(", ends when it is done"),
    };
    vec![
        Span::from(format!(" {}", view.phase())).bold(),
        left.into(),
        format!(", {} s since the start", view.elapsed_ms() / 1_000).into(),
    ]
}

fn gauge(view: &View) -> Gauge<'static> {
    let ready = view.last().connections;
    let share = (ready as f64 / view.clients.max(1) as f64).clamp(0.0, 1.0);
    let words = format!("{} of {} connections ready", units::count(ready), units::count(view.clients));
    Gauge::default().ratio(share).label(words).gauge_style(Style::new().fg(Color::Blue))
}
