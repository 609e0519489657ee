//! A terminal without room for panels: the most important words first, as many as fit.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use super::header;
use super::view::View;
use crate::report::units;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let tick = view.last();
    let failed = view.so_far.counts.failed + view.so_far.counts.closed_by_server;
    let lines = vec![
        Line::from(header::phase_words(view)),
        Line::from(format!(" {} of {} ready", units::count(tick.connections), units::count(view.clients))),
        Line::from(format!(" in {}/s", units::count(tick.delivered))),
        Line::from(format!(" p99 {}", units::time(tick.p99_ns as f64))),
        Line::from(format!(" {} failed", units::count(failed))),
        Line::from(format!(" out {}/s", units::count(tick.published))),
        Line::from(format!(" {}", view.url)),
    ];
    frame.render_widget(Paragraph::new(lines), area);
}
