//! A view on a terminal of any size: which panels there is room for, and where they stand.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};

use super::view::View;
use super::{account, header, latency, rates, sides, small};

/// Below this a terminal gets a few words instead of panels.
const COLUMNS_MIN: u16 = 60;
/// Below this a terminal gets a few words instead of panels.
const ROWS_MIN: u16 = 19;

/// Rows of the panels with words: their borders and nine lines.
const WORDS_ROWS: u16 = 11;

/// Draws the whole screen.
pub(super) fn draw(frame: &mut Frame<'_>, view: &View) {
    let area = frame.area();
    if area.width < COLUMNS_MIN || area.height < ROWS_MIN {
        return small::draw(frame, area, view);
    }
    // Where there is little height, charts shrink before words do.
    let words = WORDS_ROWS.min(area.height.saturating_sub(ROWS_MIN - WORDS_ROWS));
    let rows = [Constraint::Length(header::ROWS), Constraint::Min(0), Constraint::Length(words), Constraint::Length(1)];
    let [top, middle, bottom, footer] = Layout::vertical(rows).areas(area);
    header::draw(frame, top, view);
    charts(frame, middle, view);
    panels(frame, bottom, view);
    header::draw_footer(frame, footer, view);
}

fn charts(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let [left, right] = Layout::horizontal([Constraint::Percentage(40), Constraint::Percentage(60)]).areas(area);
    rates::draw(frame, left, view);
    latency::draw(frame, right, view);
}

fn panels(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let columns = [Constraint::Percentage(36), Constraint::Percentage(34), Constraint::Percentage(30)];
    let [left, middle, right] = Layout::horizontal(columns).areas(area);
    account::draw(frame, left, view);
    sides::draw_failures(frame, middle, view);
    sides::draw_processors(frame, right, view);
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;
    use crate::outcome::{Phase, Tick};
    use crate::run::SoFar;
    use crate::talk::{Counts, Failures};

    /// What stands on a terminal of this size, its lines one below the other.
    fn drawn(columns: u16, rows: u16, view: &View) -> String {
        let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
        terminal.draw(|frame| draw(frame, view)).unwrap();
        let buffer = terminal.backend().buffer();
        let lines = buffer.content().chunks(usize::from(columns).max(1));
        lines.map(|line| line.iter().map(ratatui::buffer::Cell::symbol).collect::<String>() + "\n").collect()
    }

    fn busy() -> View {
        let mut view = View {
            name: "fanout".into(),
            url: "ws://127.0.0.1:7000".into(),
            dialect: "epush".into(),
            clients: 20_000,
            ..View::default()
        };
        for second in 1..=100 {
            let tick = Tick {
                at_ms: second * 1_000,
                phase: Phase::Steady,
                connections: 15_000,
                published: 10 + second % 3,
                delivered: 150_000 + second * 7,
                bytes: 20 << 20,
                p50_ns: 800_000,
                p99_ns: 4_000_000 + second * 10_000,
                max_ns: 120_000_000,
                client_cpu: 0.75,
                server_cpu: Some(1.25),
                server_rss_bytes: Some(64 << 20),
                ..Tick::default()
            };
            let counts = Counts { messages: 1_234_567, duplicates: 3, lost: 2, gaps: 5, ..Counts::default() };
            let failed = |kind: &str, count| Failures { kind: kind.into(), count, example: String::new() };
            let failures = vec![failed("connection refused", 12), failed("closed with 4501 slow consumer", 7)];
            let mut so_far = SoFar { clients: 20_000, phase_until_ms: 107_000, counts, failures, ..SoFar::default() };
            so_far.published = 1_000;
            so_far.latency.record(4_200_000);
            view.tick(tick, so_far);
        }
        view
    }

    /// Words that a person looks for, wherever there is room for panels.
    const WORDS: [&str; 23] = [
        "fanout",
        "ws://127.0.0.1:7000",
        "steady",
        "7 s left",
        "15 000 of 20 000 connections",
        "published 11/s",
        "delivered 150 700/s",
        "p50",
        "p99",
        "max",
        "4.20 ms",
        "1 234 567",
        "duplicates",
        "announced gaps",
        "lost",
        "of other runs",
        "12 connection refused",
        "7 closed with 4501",
        "tool   0.75 cores",
        "server 1.25 cores",
        "64.0 MiB",
        "100 s since the start",
        "q or Ctrl-C",
    ];

    #[test]
    fn an_ordinary_terminal_has_room_for_every_figure() {
        let screen = drawn(80, 24, &busy());
        for words in WORDS {
            assert!(screen.contains(words), "{words} is missing:\n{screen}");
        }
    }

    #[test]
    fn a_large_terminal_has_room_for_every_figure_and_both_axes() {
        let screen = drawn(200, 60, &busy());
        for words in WORDS.iter().chain(&["10 ms", "100 ms", "100 s"]) {
            assert!(screen.contains(words), "{words} is missing:\n{screen}");
        }
    }

    #[test]
    fn a_tiny_terminal_has_the_phase_and_the_connections() {
        let screen = drawn(20, 5, &busy());
        for words in ["steady, 7 s left", "15 000 of 20 000", "in 150 700/s", "p99 5.00 ms"] {
            assert!(screen.contains(words), "{words} is missing:\n{screen}");
        }
    }

    #[test]
    fn no_size_and_no_state_is_too_odd_to_be_drawn() {
        let mut late = busy();
        late.since_tick_ms = 60_000;
        late.is_ending = true;
        late.note("the server's process is gone");
        let mut one = View::default();
        one.tick(Tick::default(), SoFar::default());
        for view in [View::default(), one, late, busy()] {
            for (columns, rows) in
                [(1, 1), (2, 50), (20, 5), (59, 18), (60, 19), (61, 20), (80, 24), (300, 19), (60, 100)]
            {
                drawn(columns, rows, &view);
            }
        }
    }

    #[test]
    fn before_the_first_second_it_says_that_nothing_arrived() {
        let screen = drawn(80, 24, &View { clients: 5, ..View::default() });
        for words in ["0 of 5 connections", "nothing has arrived", "ramp", "none", "--pid"] {
            assert!(screen.contains(words), "{words} is missing:\n{screen}");
        }
    }

    #[test]
    fn what_the_run_has_to_say_stands_below_everything() {
        let mut view = busy();
        view.note("the server's process is gone");
        assert!(drawn(80, 24, &view).contains("the server's process is gone"));
        view.is_ending = true;
        assert!(drawn(80, 24, &view).contains("ending"));
    }
}
