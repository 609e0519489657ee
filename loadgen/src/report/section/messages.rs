//! Connections, the account of all messages, and publishing.

use super::{Row, Section};
use crate::outcome::Outcome;
use crate::report::figure::Figure;
use crate::report::units;

/// What became of the connections.
pub fn connections(outcome: &Outcome) -> Option<Section> {
    let counts = &outcome.counts;
    let mut section = Section { title: "Connections", ..Section::default() };
    if counts.started > 0 {
        section.rows.push(Row::new("begun", [units::count(counts.started)]));
        section.rows.push(Row::new("ready", [units::count(counts.ready), figure(outcome, "connected_per_s")]));
    }
    section.fault("failed", counts.failed, "");
    section.fault("closed by server", counts.closed_by_server, "though they were ready");
    if counts.closed_by_plan > 0 {
        section.rows.push(Row::new("closed as planned", [units::count(counts.closed_by_plan)]));
    }
    section.fault("refusals", counts.refusals, "frames with which the server refused something");
    section.some()
}

/// Expected = received + gaps + lost, and what else arrived.
pub fn messages(outcome: &Outcome) -> Option<Section> {
    let counts = &outcome.counts;
    let mut section = Section { title: "Messages", ..Section::default() };
    if counts.sent > 0 {
        section.rows.push(Row::new("sent by clients", [units::count(counts.sent)]));
    }
    if counts.expected > 0 || counts.messages > 0 {
        let [expected, received, gaps, lost] =
            [counts.expected, counts.received, counts.gaps, counts.lost].map(units::count);
        let sum = format!("= {received} received + {gaps} in announced gaps + {lost} lost");
        section.rows.push(Row::new("expected", [expected, sum]).loud_if(!outcome.balance.messages));
        section.rows.push(Row::new("arrived", [units::count(counts.messages), figure(outcome, "delivered_per_s")]));
    }
    section.fault("lost", counts.lost, after_close(counts.lost_after_close));
    section.fault("in gaps", counts.gaps, "missing, and the server said so");
    section.fault(
        "unfounded gaps",
        counts.gaps_unfounded,
        "announced as missing, though they arrived or were never sent",
    );
    section.fault("duplicates", counts.duplicates, "arrived again");
    section.fault("reordered", counts.reordered, "arrived after a later one");
    section.fault("damaged", counts.damaged, "not what was sent");
    section.fault("foreign", counts.foreign, "of another run: two share a channel, or the server kept them");
    section.fault("never sent", counts.unsent, "due, and the server had not answered those before");
    if counts.in_doubt > 0 {
        let words = String::from("of sessions that were coming or going when they were sent");
        section.rows.push(Row::new("in doubt", [units::count(counts.in_doubt), words]));
    }
    if counts.ticks > 0 {
        section.rows.push(Row::new("periodic pushes", [units::count(counts.ticks)]));
    }
    section.fault("of these too early", counts.ticks_early, "before they were due");
    if counts.bytes_read > 0 {
        let written = format!("{} written", units::bytes(counts.bytes_written as f64));
        section.rows.push(Row::new("read", [units::bytes(counts.bytes_read as f64), written]));
    }
    section.some()
}

fn after_close(count: u64) -> String {
    if count == 0 {
        return String::from("missing, and nobody said so");
    }
    format!("of these {} by sessions that the server had closed", units::count(count))
}

/// What publishers did.
pub fn publishing(outcome: &Outcome) -> Option<Section> {
    let publishing = &outcome.publishing;
    let mut section = Section { title: "Publishing", ..Section::default() };
    if publishing.published == 0 {
        return None;
    }
    section.rows.push(Row::new("published", [units::count(publishing.published), units::rate(publishing.per_s)]));
    section.fault("refused", publishing.refused, "not taken by the server");
    if publishing.backlog_bytes_max > 0 {
        let words = String::from("waited for a socket at most");
        section.rows.push(Row::new("backlog", [units::bytes(publishing.backlog_bytes_max as f64), words]));
    }
    section.some()
}

/// A figure as text; empty where it was not measured.
fn figure(outcome: &Outcome, name: &str) -> String {
    let figure = Figure::named(name).expect("a name of the list");
    figure.of(outcome).map_or_else(|_| String::new(), |value| figure.dimension().show(value))
}
