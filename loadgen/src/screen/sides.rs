//! What failed, by kind; and what both sides take of the machine.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Stylize as _;
use ratatui::text::Line;
use ratatui::widgets::{Block, Paragraph};

use super::view::View;
use crate::report::units;

/// Characters of a kind of failure.
const KIND_CHARS_MAX: usize = 120;

/// A failure's words and number, the most frequent first.
pub(super) fn draw_failures(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let failures = view.so_far.failures.iter();
    let mut lines: Vec<Line<'_>> = failures
        .map(|failed| format!("{} {}", units::count(failed.count), units::harmless(&failed.kind, KIND_CHARS_MAX)))
        .map(|words| Line::from(words).red())
        .collect();
    if lines.is_empty() {
        lines.push(Line::from("none").dim());
    }
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(" errors ")), area);
}

/// Processors of the tool and the server, and the server's memory.
pub(super) fn draw_processors(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let tick = view.last();
    let mut lines = vec![Line::from(format!("tool   {:.2} cores", tick.client_cpu))];
    match tick.server_cpu {
        Some(cpu) => lines.push(Line::from(format!("server {cpu:.2} cores"))),
        None if view.is_server_watched => lines.push(Line::from("server: no sample yet").dim()),
        None => lines.push(Line::from("server: see --pid").dim()),
    }
    if let Some(bytes) = tick.server_rss_bytes {
        lines.push(Line::from(format!("       {}", units::bytes(bytes as f64))));
    }
    lines.push(Line::from(format!("in     {}/s", units::bytes(tick.bytes as f64))));
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(" processors ")), area);
}
