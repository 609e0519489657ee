//! Messages a second, out and in, as they went.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Color;
use ratatui::widgets::{Block, Sparkline};

use super::view::View;
use crate::outcome::Tick;
use crate::report::units;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let [out, inward] = Layout::vertical([Constraint::Fill(1); 2]).areas(area);
    spark(frame, out, view, "published", Color::Yellow, |tick| tick.published);
    spark(frame, inward, view, "delivered", Color::Green, |tick| tick.delivered);
}

fn spark(frame: &mut Frame<'_>, area: Rect, view: &View, title: &str, color: Color, of: fn(&Tick) -> u64) {
    let block = Block::bordered().title(format!(" {title} {}/s ", units::count(of(&view.last()))));
    // The newest seconds that there are columns for.
    let columns = usize::from(block.inner(area).width);
    let skipped = view.ticks.len().saturating_sub(columns);
    let seconds: Vec<u64> = view.ticks.iter().skip(skipped).map(of).collect();
    frame.render_widget(Sparkline::default().block(block).data(&seconds).style(color), area);
}
