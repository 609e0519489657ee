//! What was sent, what came, and what came wrong, so far.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, Paragraph};

use super::view::View;
use crate::report::units;

/// Columns of a name.
const NAME_COLUMNS: usize = 14;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let block = Block::bordered().title(" messages ");
    let columns = usize::from(block.inner(area).width).saturating_sub(NAME_COLUMNS);
    let line = |name, count, color| line(name, count, color, columns);
    let counts = &view.so_far.counts;
    let lines = vec![
        line("sent", view.so_far.published + counts.sent, Color::Reset),
        line("arrived", counts.messages + counts.ticks, Color::Reset),
        line("announced gaps", counts.gaps, Color::Yellow),
        line("lost", counts.lost, Color::Red),
        line("duplicates", counts.duplicates, Color::Red),
        line("out of order", counts.reordered, Color::Yellow),
        line("damaged", counts.damaged, Color::Red),
        line("in doubt", counts.in_doubt, Color::Reset),
        line("of other runs", counts.foreign, Color::Yellow),
    ];
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

/// A count, in colour when there is one.
fn line(name: &str, count: u64, color: Color, columns: usize) -> Line<'static> {
    let style = if count > 0 { Style::new().fg(color) } else { Style::new() };
    Line::styled(format!("{name:<NAME_COLUMNS$}{:>columns$}", units::count(count)), style)
}
