//! What a value may be, whatever the others are.

use super::Findings;
use crate::dialect::template::{self, Template};
use crate::scenario::url::Url;
use crate::scenario::{Activity, Group, Pace, Phases, Publisher, Reader, Scenario, Target, To, Tool};
use crate::stamp;

/// Clients of a run: their numbers have to stay below the bit that marks a client's own stream, and one machine has no room for more.
pub const CLIENTS_MAX: u32 = 10_000_000;

/// A phase of a day: beyond it somebody mistook the unit.
pub(super) const PHASE_MS_MAX: u64 = 86_400_000;

/// Worker threads and processes: far beyond the processors of any machine.
const THREADS_MAX: usize = 256;

/// Bytes of a payload: what the receive path keeps together at most.
const PAYLOAD_BYTES_MAX: usize = 16 << 20;

/// Messages of a burst, connections of a publisher, channels of a range: beyond it a slip of the finger.
const COUNT_MAX: u32 = 1_000_000;

/// Messages and connections a second: beyond what the clock can tell apart.
const RATE_PER_S_MAX: f64 = 1e8;

pub(super) fn check(scenario: &Scenario, findings: &mut Findings<'_>) {
    target(&scenario.target, findings);
    phases(&scenario.phases, findings);
    tool(&scenario.tool, findings);
    for (at, each) in scenario.groups.iter().enumerate() {
        group(&format!("group[{at}]"), each, findings);
    }
    for (at, each) in scenario.publishers.iter().enumerate() {
        publisher(&format!("publisher[{at}]"), each, findings);
    }
}

fn target(target: &Target, findings: &mut Findings<'_>) {
    findings.attempt("target.url", Url::websocket(&target.url));
    if let Some(api) = &target.api {
        findings.attempt("target.api", Url::http(api));
    }
    if let Some(metrics) = &target.metrics {
        findings.attempt("target.metrics", Url::http(metrics));
    }
    findings.require(target.pid != Some(0), "target.pid", "0 is no process");
    for (name, value) in &target.headers {
        let key = format!("target.headers.{name}");
        findings.attempt(&key, header(name, value));
    }
}

/// Whether this is a header line, and not two.
fn header(name: &str, value: &str) -> Result<(), String> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(token) {
        return Err(format!("`{name}` cannot be the name of a header"));
    }
    if value.chars().any(|c| c.is_control() && c != '\t') {
        return Err(String::from("the value of a header is one line"));
    }
    Ok(())
}

fn phases(phases: &Phases, findings: &mut Findings<'_>) {
    let all = [
        ("ramp_ms", phases.ramp_ms),
        ("steady_ms", phases.steady_ms),
        ("ramp_down_ms", phases.ramp_down_ms),
        ("drain_ms", phases.drain_ms),
        ("connect_timeout_ms", phases.connect_timeout_ms),
    ];
    for (key, ms) in all {
        findings.require(ms <= PHASE_MS_MAX, &format!("phases.{key}"), "expected at most a day (86400000)");
    }
    findings.require(
        phases.connect_timeout_ms > 0,
        "phases.connect_timeout_ms",
        "expected 1 or more: no connection is ready at once",
    );
}

fn tool(tool: &Tool, findings: &mut Findings<'_>) {
    findings.require(tool.workers <= THREADS_MAX, "tool.workers", "expected 0 to 256");
    findings.require((1..=THREADS_MAX).contains(&tool.processes), "tool.processes", "expected 1 to 256");
    for source in &tool.source_addresses {
        findings.attempt("tool.source_addresses", source_address(source));
    }
}

/// Whether this is an address, or an IPv4 network as in `127.0.0.0/8`.
fn source_address(text: &str) -> Result<(), String> {
    let refused = || format!("`{text}` is no address and no network: expected 127.0.0.2 or 127.0.0.0/8");
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    let address: std::net::IpAddr = address.parse().map_err(|_| refused())?;
    match bits.map(str::parse::<u8>) {
        None => Ok(()),
        Some(Ok(0..=32)) if address.is_ipv4() => Ok(()),
        Some(Ok(0..=128)) if address.is_ipv6() => {
            Err(format!("`{text}` is a network of IPv6: expected its single addresses, or a network of IPv4"))
        }
        Some(_) => Err(refused()),
    }
}

fn group(path: &str, group: &Group, findings: &mut Findings<'_>) {
    let clients = (1..=CLIENTS_MAX).contains(&group.clients);
    findings.require(clients, &format!("{path}.clients"), "expected 1 to 10000000");
    if let Some(rate) = group.connect_per_s {
        findings.attempt(&format!("{path}.connect_per_s"), rate_or_none(rate));
    }
    findings.attempt(&format!("{path}.churn_per_s"), rate_or_none(group.churn_per_s));
    findings.require(!group.user.is_empty(), &format!("{path}.user"), "expected a name, as in \"user-{client}\"");
    findings.attempt(&format!("{path}.user"), places(&group.user, "user"));
    for channel in &group.channels {
        findings.attempt(&format!("{path}.channels"), places(channel, "channel"));
    }
    let named = group.channels.iter().all(|channel| !channel.is_empty());
    findings.require(named, &format!("{path}.channels"), "a channel has a name");
    activity(path, &group.activity, findings);
    reader(path, &group.reader, findings);
}

/// Whether every place in a name can be filled in.
fn places(name: &str, what: &str) -> Result<(), String> {
    Template::parse(name, what, template::OF_NUMBER).map(drop)
}

fn activity(path: &str, activity: &Activity, findings: &mut Findings<'_>) {
    let key = |name: &str| format!("{path}.activity.{name}");
    match *activity {
        Activity::Listen => {}
        Activity::Echo { rate_per_s, payload_bytes, .. } | Activity::Peer { rate_per_s, payload_bytes } => {
            findings.attempt(&key("rate_per_s"), rate_or_none(rate_per_s));
            findings.attempt(&key("payload_bytes"), stamped(payload_bytes));
        }
        Activity::Every { interval_ms, ref job } => {
            findings.require((1..=PHASE_MS_MAX).contains(&interval_ms), &key("interval_ms"), "expected 1 to 86400000");
            findings.require(!job.is_empty(), &key("job"), "expected the server's name for it");
        }
    }
}

fn reader(path: &str, reader: &Reader, findings: &mut Findings<'_>) {
    let key = |name: &str| format!("{path}.reader.{name}");
    let mut share = |share: f64| {
        findings.require((0.0..=1.0).contains(&share), &key("share"), "expected 0 to 1: a share of the group");
    };
    match *reader {
        Reader::Prompt => {}
        Reader::Stall { share: of, period_ms, stall_ms } => {
            share(of);
            findings.require((1..=PHASE_MS_MAX).contains(&period_ms), &key("period_ms"), "expected 1 to 86400000");
            findings.require(
                stall_ms <= period_ms,
                &key("stall_ms"),
                "expected at most period_ms, of which it is a part",
            );
        }
        Reader::Slow { share: of, bytes_per_s } => {
            share(of);
            findings.require(
                bytes_per_s > 0,
                &key("bytes_per_s"),
                "expected 1 or more; for never, a stall as long as its period",
            );
        }
    }
}

fn publisher(path: &str, publisher: &Publisher, findings: &mut Findings<'_>) {
    if let Pace::RatePerS(rate) = publisher.pace {
        let why = "expected more than 0 and at most 100000000";
        findings.require(rate > 0.0 && rate <= RATE_PER_S_MAX, &format!("{path}.rate_per_s"), why);
    }
    findings.attempt(&format!("{path}.burst"), count(publisher.burst));
    findings.attempt(&format!("{path}.connections"), count(publisher.connections));
    findings.attempt(&format!("{path}.payload_bytes"), stamped(publisher.payload_bytes));
    let to = match &publisher.to {
        To::Channels(channels) if channels.is_empty() => Err(String::from("expected at least one channel")),
        To::Channels(channels) if channels.iter().any(String::is_empty) => Err(String::from("a channel has a name")),
        To::ChannelRange { name, .. } if name.is_empty() => Err(String::from("a channel has a name")),
        To::ChannelRange { count: of, .. } | To::Users(of) => count(*of),
        To::Channels(_) | To::All => Ok(()),
    };
    findings.attempt(&format!("{path}.to"), to);
}

fn count(count: u32) -> Result<(), String> {
    if (1..=COUNT_MAX).contains(&count) { Ok(()) } else { Err(String::from("expected 1 to 1000000")) }
}

/// 0 stands for none, or for as fast as possible.
fn rate_or_none(rate: f64) -> Result<(), String> {
    if (0.0..=RATE_PER_S_MAX).contains(&rate) { Ok(()) } else { Err(String::from("expected 0 to 100000000")) }
}

fn stamped(payload_bytes: usize) -> Result<(), String> {
    if (stamp::LEN..=PAYLOAD_BYTES_MAX).contains(&payload_bytes) {
        return Ok(());
    }
    Err(format!("expected {} to {PAYLOAD_BYTES_MAX}: a payload begins with its time stamp", stamp::LEN))
}
