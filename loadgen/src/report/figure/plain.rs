//! Figures that are one number of a result: counts, rates, costs.

use super::{Better, Dimension};
use crate::outcome::{Opening, Outcome, Phase, ServerSide, Tick};
use crate::talk::Counts;

/// A figure that is one number.
pub struct Plain {
    /// Its name.
    pub name: &'static str,
    /// What the number is.
    pub dimension: Dimension,
    /// Which way it gets better.
    pub better: Better,
    of: Of,
}

/// The number, or why it was not measured.
enum Of {
    Whole(fn(&Outcome) -> Result<u64, &'static str>),
    Real(fn(&Outcome) -> Result<f64, &'static str>),
}

impl Plain {
    /// Its value in a result.
    ///
    /// # Errors
    /// Why it was not measured.
    pub fn of(&self, outcome: &Outcome) -> Result<f64, &'static str> {
        match self.of {
            Of::Whole(of) => of(outcome).map(|count| count as f64),
            Of::Real(of) => of(outcome),
        }
    }
}

/// All of them, in the order of reports.
pub static PLAIN: [Plain; 26] = [
    count("started", Better::Neither, |outcome| Ok(outcome.counts.started)),
    count("ready", Better::More, |outcome| connections(outcome, |counts| counts.ready)),
    count("failed", Better::Less, |outcome| connections(outcome, |counts| counts.failed)),
    count("closed_by_server", Better::Less, |outcome| connections(outcome, |counts| counts.closed_by_server)),
    count("refused", Better::Less, |outcome| {
        connections(outcome, |counts| counts.refusals).map(|refusals| refusals + outcome.publishing.refused)
    }),
    count("expected", Better::Neither, |outcome| Ok(outcome.counts.expected)),
    count("received", Better::Neither, |outcome| Ok(outcome.counts.received)),
    count("gaps", Better::Less, |outcome| messages(outcome, |counts| counts.gaps)),
    count("lost", Better::Less, |outcome| messages(outcome, |counts| counts.lost)),
    count("duplicates", Better::Less, |outcome| messages(outcome, |counts| counts.duplicates)),
    count("reordered", Better::Less, |outcome| messages(outcome, |counts| counts.reordered)),
    count("in_doubt", Better::Less, |outcome| messages(outcome, |counts| counts.in_doubt)),
    count("damaged", Better::Less, |outcome| messages(outcome, |counts| counts.damaged)),
    count("foreign", Better::Less, |outcome| messages(outcome, |counts| counts.foreign)),
    count("unsent", Better::Less, |outcome| messages(outcome, |counts| counts.unsent)),
    real("balance", Dimension::Verdict, Better::More, balance),
    rate("published_per_s", published_per_s),
    rate("delivered_per_s", delivered_per_s),
    rate("connected_per_s", connected_per_s),
    real("cpu_us_per_delivery", Dimension::Micros, Better::Less, cpu_us_per_delivery),
    real("cpu_us_per_connection", Dimension::Micros, Better::Less, cpu_us_per_connection),
    bytes("bytes_per_connection", |outcome| server(outcome)?.bytes_per_connection.ok_or(NO_CONNECTIONS)),
    bytes("server_rss_bytes", |outcome| Ok(server(outcome)?.after.rss_bytes as f64)),
    bytes("client_bytes_per_connection", |outcome| outcome.client.bytes_per_connection.ok_or(NO_CONNECTIONS)),
    real("client_cpu_us_per_delivery", Dimension::Micros, Better::Less, client_cpu),
    count("bottlenecks", Better::Less, |outcome| Ok(outcome.client.bottleneck.len() as u64)),
];

/// Whoever asks for `lost=0` wants to know of a run in which nothing could be lost.
const NO_MESSAGES: &str = "no message was expected and none arrived";
const NO_CONNECTIONS: &str = "no connection was opened";
const NO_STEADY: &str = "the steady phase was too short";
const NO_SERVER: &str = "the server was not watched: --pid says which process it is";
const NO_DELIVERY: &str = "no message was delivered in the steady phase";

type Real = fn(&Outcome) -> Result<f64, &'static str>;

const fn real(name: &'static str, dimension: Dimension, better: Better, of: Real) -> Plain {
    Plain { name, dimension, better, of: Of::Real(of) }
}

const fn rate(name: &'static str, of: Real) -> Plain {
    real(name, Dimension::Rate, Better::More, of)
}

const fn bytes(name: &'static str, of: Real) -> Plain {
    real(name, Dimension::Bytes, Better::Less, of)
}

const fn count(name: &'static str, better: Better, of: fn(&Outcome) -> Result<u64, &'static str>) -> Plain {
    Plain { name, dimension: Dimension::Count, better, of: Of::Whole(of) }
}

impl std::fmt::Debug for Plain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Plain {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

fn connections(outcome: &Outcome, of: fn(&Counts) -> u64) -> Result<u64, &'static str> {
    if outcome.counts.started == 0 { Err(NO_CONNECTIONS) } else { Ok(of(&outcome.counts)) }
}

fn messages(outcome: &Outcome, of: fn(&Counts) -> u64) -> Result<u64, &'static str> {
    let counts = &outcome.counts;
    if counts.expected == 0 && counts.messages == 0 { Err(NO_MESSAGES) } else { Ok(of(counts)) }
}

fn balance(outcome: &Outcome) -> Result<f64, &'static str> {
    connections(outcome, |_| 0)?;
    Ok(if outcome.balance.messages && outcome.balance.bytes { 1.0 } else { 0.0 })
}

fn published_per_s(outcome: &Outcome) -> Result<f64, &'static str> {
    if outcome.publishing.published > 0 {
        return Ok(outcome.publishing.per_s);
    }
    if outcome.counts.sent > 0 { steady_per_s(outcome, |tick| tick.published) } else { Err("nothing was published") }
}

fn delivered_per_s(outcome: &Outcome) -> Result<f64, &'static str> {
    if outcome.counts.delivered() == 0 {
        return Err("no message was delivered");
    }
    // Seconds of the timeline do not begin and end with the phase.
    if outcome.steady_ms == 0 {
        Err(NO_STEADY)
    } else {
        Ok(outcome.delivered_steady as f64 * 1e3 / outcome.steady_ms as f64)
    }
}

/// From when the first connection was due to when the last was ready; where a result does not say that, over the seconds in
/// which connections got ready before the steady phase.
fn connected_per_s(outcome: &Outcome) -> Result<f64, &'static str> {
    let Opening { count, took_ns } = outcome.opened;
    if count > 0 && took_ns > 0 {
        return Ok(count as f64 * 1e9 / took_ns as f64);
    }
    let ramp = || outcome.timeline.iter().filter(|tick| tick.phase == Phase::Ramp && tick.connected > 0);
    let connected: u64 = ramp().map(|tick| tick.connected).sum();
    let Some(last) = ramp().map(|tick| tick.at_ms).max() else { return Err("no connection got ready in the ramp") };
    Ok(connected as f64 * 1_000.0 / last.max(1) as f64)
}

/// A total over the steady phase's seconds: what arrives later, while the run waits for it, is no throughput.
fn steady_per_s(outcome: &Outcome, of: fn(&Tick) -> u64) -> Result<f64, &'static str> {
    let mut total = 0;
    let mut length_ms = 0;
    let mut before_ms = 0;
    for tick in &outcome.timeline {
        if tick.phase == Phase::Steady {
            total += of(tick);
            length_ms += tick.at_ms.saturating_sub(before_ms);
        }
        before_ms = tick.at_ms;
    }
    if length_ms == 0 { Err(NO_STEADY) } else { Ok(total as f64 * 1_000.0 / length_ms as f64) }
}

fn server(outcome: &Outcome) -> Result<&ServerSide, &'static str> {
    outcome.server.as_ref().ok_or(NO_SERVER)
}

fn cpu_us_per_delivery(outcome: &Outcome) -> Result<f64, &'static str> {
    server(outcome)?.cpu_us_per_delivery.ok_or(NO_DELIVERY)
}

fn cpu_us_per_connection(outcome: &Outcome) -> Result<f64, &'static str> {
    server(outcome)?.cpu_us_per_connection.ok_or(NO_CONNECTIONS)
}

fn client_cpu(outcome: &Outcome) -> Result<f64, &'static str> {
    match outcome.client.deliveries_steady {
        0 => Err(NO_DELIVERY),
        deliveries => Ok(outcome.client.receive_cpu_steady_ns as f64 / 1_000.0 / deliveries as f64),
    }
}
