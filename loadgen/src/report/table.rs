//! The result on the terminal.

use crate::outcome::Outcome;
use crate::report::section::{self, Row, Section};

/// Rows of metrics shown; all of them are in the file that `--json` writes.
const METRICS_MAX: usize = 30;

/// The whole result as text, lines without colour.
#[must_use]
pub fn render(outcome: &Outcome) -> String {
    let mut text = format!("{}\n", section::title(outcome));
    for line in section::summary(outcome) {
        text.push_str(&format!("  {line}\n"));
    }
    for (heading, reasons) in section::warnings(outcome) {
        text.push_str(&format!("\n!! {heading}\n"));
        for reason in reasons {
            text.push_str(&format!("!!   {reason}\n"));
        }
    }
    for section in section::sections(outcome) {
        text.push_str(&self::section(&section));
    }
    if let Some(metrics) = section::metrics(outcome) {
        text.push_str(&cut(metrics));
    }
    text
}

/// A table: labels to the left, then columns, numbers to the right. Loud rows have a mark before them.
#[must_use]
pub fn section(section: &Section) -> String {
    let columns: Vec<Column> = (0..section.columns()).map(|at| Column::of(section, at)).collect();
    let labels = section.rows.iter().map(|row| chars(&row.label)).chain([chars(section.title)]).max().unwrap_or(0);
    let mut text = String::from("\n");
    let head: Vec<String> = section.head.iter().map(|&word| word.to_owned()).collect();
    line(&mut text, "", section.title, labels + 2, &columns, &head);
    for Row { label, cells, loud } in &section.rows {
        line(&mut text, if *loud { "! " } else { "  " }, label, labels, &columns, cells);
    }
    text
}

fn line(text: &mut String, mark: &str, label: &str, labels: usize, columns: &[Column], cells: &[String]) {
    let mut line = format!("{mark}{label:labels$}");
    for (column, cell) in columns.iter().zip(cells) {
        let width = column.chars;
        let padded = if column.numbers { format!("  {cell:>width$}") } else { format!("  {cell:width$}") };
        line.push_str(&padded);
    }
    text.push_str(line.trim_end());
    text.push('\n');
}

/// The first metrics, and how many more there are.
fn cut(mut metrics: Section) -> String {
    let more = metrics.rows.len().saturating_sub(METRICS_MAX);
    metrics.rows.truncate(METRICS_MAX);
    let mut text = section(&metrics);
    if more > 0 {
        text.push_str(&format!("  … and {more} more: --json and --html have them all\n"));
    }
    text
}

struct Column {
    chars: usize,
    numbers: bool,
}

impl Column {
    fn of(section: &Section, at: usize) -> Self {
        let cells = || section.rows.iter().filter_map(move |row| row.cells.get(at));
        let head = section.head.get(at).map_or(0, |word| chars(word));
        let width = cells().map(|cell| chars(cell)).max().unwrap_or(0);
        Self { chars: width.max(head), numbers: section.has_numbers(at) }
    }
}

fn chars(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample_outcome;

    /// The line that begins with these words, blanks made one.
    fn found(text: &str, words: &str) -> String {
        let squeeze = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let line = text.lines().map(squeeze).find(|line| line.starts_with(words));
        line.unwrap_or_else(|| panic!("no line begins with `{words}` in\n{text}"))
    }

    #[test]
    fn the_account_adds_up_on_one_line() {
        let text = render(&sample_outcome::busy());
        assert_eq!(
            found(&text, "expected"),
            "expected 3 000 000 = 2 999 950 received + 40 in announced gaps + 10 lost"
        );
        assert_eq!(found(&text, "! lost"), "! lost 10 of these 10 by sessions that the server had closed");
        assert_eq!(found(&text, "! duplicates"), "! duplicates 2 arrived again");
    }

    #[test]
    fn corrected_and_uncorrected_stand_below_each_other() {
        let text = render(&sample_outcome::busy());
        let times: Vec<_> = text.lines().skip_while(|line| !line.starts_with("Times")).take(3).collect();
        assert!(times[0].contains("p50") && times[0].contains("p99.9"), "{times:?}");
        assert!(times[1].contains("latency, from when it was due"), "{times:?}");
        assert!(times[2].contains("uncorrected, from when it was sent"), "{times:?}");
        assert!(times.iter().all(|line| chars(line) == chars(times[0])), "columns are straight: {times:#?}");
    }

    #[test]
    fn the_server_and_the_tool_are_in_view() {
        let text = render(&sample_outcome::busy());
        assert!(found(&text, "processor for each delivery").starts_with("processor for each delivery 3.63 µs"));
        assert!(found(&text, "memory for each connection").ends_with("438 B"));
        assert!(found(&text, "busiest thread").contains("41.0 %"));
        assert_eq!(found(&text, "epush_gaps_total"), "epush_gaps_total 0 40 40");
        assert!(!text.contains("\nup"), "metrics that stayed are not shown");
    }

    #[test]
    fn a_bottleneck_is_the_first_thing_to_read() {
        let mut outcome = sample_outcome::busy();
        outcome.client.bottleneck = vec!["worker 0 used 97 % of a processor".to_owned()];
        let text = render(&outcome);
        let at = |words: &str| text.find(words).unwrap_or_else(|| panic!("{words} in {text}"));
        assert!(at("!! The tool was the bottleneck") < at("!!   worker 0 used 97 %"));
        assert!(at("!!   worker 0 used 97 %") < at("Connections"));
    }

    #[test]
    fn a_senders_clock_that_is_ahead_is_said_before_its_latencies() {
        let mut outcome = sample_outcome::busy();
        outcome.counts.from_ahead = 1_200;
        let text = render(&outcome);
        let at = |words: &str| text.find(words).unwrap_or_else(|| panic!("{words} in {text}"));
        assert!(at("!! A sender's clock is ahead") < at("!!   1 200 messages arrived before they were sent"));
        assert!(at("!!   1 200 messages") < at("Times"));
    }

    #[test]
    fn remarks_stand_before_the_numbers_they_are_about() {
        let mut outcome = sample_outcome::busy();
        outcome.client.remarks = vec!["a thread was busy for 97 %".to_owned()];
        let text = render(&outcome);
        let at = |words: &str| text.find(words).unwrap_or_else(|| panic!("{words} in {text}"));
        assert!(at("!! To know when reading") < at("!!   a thread was busy for 97 %"));
        assert!(at("!!   a thread was busy for 97 %") < at("Connections"));
        assert!(!text.contains("The tool was the bottleneck"));
    }

    #[test]
    fn a_run_that_did_nothing_has_no_empty_parts() {
        let text = render(&sample_outcome::empty());
        for title in ["Connections", "Messages", "Times", "Publishing", "Server", "This tool", "Failures", "Metrics"] {
            assert!(!text.contains(&format!("\n{title}")), "{title} in\n{text}");
        }
    }

    #[test]
    fn words_of_the_server_cannot_steer_the_terminal() {
        let mut outcome = sample_outcome::busy();
        outcome.failures[0].example = "\x1b]0;owned\x07\nFailures  0".to_owned();
        outcome.scenario.name = "\x1b[31m".to_owned();
        assert!(!render(&outcome).replace('\n', "").contains(char::is_control));
    }
}
