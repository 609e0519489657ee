//! The flags that one scenario has and others do not.

use clap::{Args, ValueEnum};
use epush_loadgen::scenario::{Activity, Pace, Reader, To, Via};

use super::common::Common;
use super::lay::{Flags, Laid};
use super::values;

/// `hold`.
#[derive(Args, Debug)]
pub struct Hold {
    #[command(flatten)]
    pub(super) common: Common,
}

/// `storm`.
#[derive(Args, Debug)]
pub struct Storm {
    #[command(flatten)]
    pub(super) common: Common,
}

/// `mixed`.
#[derive(Args, Debug)]
pub struct Mixed {
    #[command(flatten)]
    pub(super) common: Common,
}

/// `fanout`.
#[derive(Args, Debug)]
pub struct Fanout {
    #[command(flatten)]
    publishing: Publishing,
    /// Messages published at the same moment
    #[arg(long, value_name = "N")]
    burst: Option<u32>,
    /// Channels, published to in turn; clients are spread over them
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    channels: Option<u32>,
    /// Publish to everybody instead of a channel, and subscribe to none
    #[arg(long, conflicts_with = "channels")]
    all: bool,
    /// When to publish without a rate: when everybody has the last message, or as fast as the server takes them
    #[arg(long, conflicts_with = "rate")]
    pace: Option<PaceWord>,
    #[command(flatten)]
    pub(super) common: Common,
}

/// `direct`.
#[derive(Args, Debug)]
pub struct Direct {
    #[command(flatten)]
    publishing: Publishing,
    /// Users to push to, in turn, evenly chosen among the clients
    #[arg(long, value_name = "N")]
    users: Option<u32>,
    #[command(flatten)]
    pub(super) common: Common,
}

/// `echo`.
#[derive(Args, Debug)]
pub struct Echo {
    /// Messages a second of each client; 0: ping-pong, the next when the last is back
    #[arg(long, value_name = "PER_S")]
    rate: Option<f64>,
    /// Unanswered messages a client may have; 0: any number
    #[arg(long, value_name = "N")]
    in_flight: Option<u32>,
    /// Bytes of each message
    #[arg(long, value_name = "BYTES", value_parser = values::bytes)]
    payload: Option<usize>,
    /// Binary messages instead of text
    #[arg(long)]
    binary: bool,
    #[command(flatten)]
    pub(super) common: Common,
}

/// `peer`.
#[derive(Args, Debug)]
pub struct Peer {
    /// Messages a second of each client
    #[arg(long, value_name = "PER_S")]
    rate: Option<f64>,
    /// Bytes of each message
    #[arg(long, value_name = "BYTES", value_parser = values::bytes)]
    payload: Option<usize>,
    #[command(flatten)]
    pub(super) common: Common,
}

/// `churn`.
#[derive(Args, Debug)]
pub struct Churn {
    /// Sessions a second that leave and come again
    #[arg(long, value_name = "PER_S")]
    churn_rate: Option<f64>,
    #[command(flatten)]
    publishing: Publishing,
    #[command(flatten)]
    pub(super) common: Common,
}

/// `slow`.
#[derive(Args, Debug)]
pub struct Slow {
    /// Share of clients that are slow, 0 to 1
    #[arg(long)]
    share: Option<f64>,
    /// Time a slow one reads nothing, out of every --period
    #[arg(long, value_name = "TIME", value_parser = values::milliseconds)]
    stall: Option<u64>,
    /// See --stall; the same as --stall: it never reads
    #[arg(long, value_name = "TIME", value_parser = values::milliseconds)]
    period: Option<u64>,
    /// Bytes a slow one reads a second, instead of stalling
    #[arg(long, value_name = "BYTES", value_parser = values::bytes, conflicts_with_all = ["stall", "period"])]
    bytes_per_s: Option<usize>,
    #[command(flatten)]
    publishing: Publishing,
    #[command(flatten)]
    pub(super) common: Common,
}

/// `every`.
#[derive(Args, Debug)]
pub struct Every {
    /// Between two pushes, as in 100ms
    #[arg(long, value_name = "TIME", value_parser = values::milliseconds)]
    interval: Option<u64>,
    /// The server's name for the periodic push
    #[arg(long, value_name = "NAME")]
    job: Option<String>,
    #[command(flatten)]
    pub(super) common: Common,
}

/// What the scenarios with publishers have in common.
#[derive(Args, Debug)]
struct Publishing {
    /// Messages a second of all destinations together, on a schedule that waits for nobody
    #[arg(long, value_name = "PER_S")]
    rate: Option<f64>,
    /// Bytes of each message
    #[arg(long, value_name = "BYTES", value_parser = values::bytes)]
    payload: Option<usize>,
    /// The way publications go [default: the dialect's own]
    #[arg(long)]
    via: Option<ViaWord>,
}

/// A pace without a rate.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum PaceWord {
    /// The next when every subscriber has the last
    Delivered,
    /// As fast as the server takes them
    Taken,
}

/// The way a publication goes.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ViaWord {
    /// A request each
    Http,
    /// A frame each
    Websocket,
}

impl Flags for Hold {
    fn lay(&self, _laid: &mut Laid) {}
}

impl Flags for Storm {
    fn lay(&self, _laid: &mut Laid) {}
}

impl Flags for Mixed {
    fn lay(&self, _laid: &mut Laid) {}
}

impl Flags for Publishing {
    fn lay(&self, laid: &mut Laid) {
        let pace = self.rate.map(Pace::RatePerS);
        laid.set_in_publishers(&pace, "--rate", "rate_per_s", |publisher| &mut publisher.pace);
        laid.set_in_publishers(&self.payload, "--payload", "payload_bytes", |publisher| &mut publisher.payload_bytes);
        let via = self.via.map(|via| match via {
            ViaWord::Http => Some(Via::Http),
            ViaWord::Websocket => Some(Via::WebSocket),
        });
        laid.set_in_publishers(&via, "--via", "via", |publisher| &mut publisher.via);
    }
}

impl Flags for Fanout {
    fn lay(&self, laid: &mut Laid) {
        self.publishing.lay(laid);
        laid.set_in_publishers(&self.burst, "--burst", "burst", |publisher| &mut publisher.burst);
        let pace = self.pace.map(|pace| match pace {
            PaceWord::Delivered => Pace::Delivered,
            PaceWord::Taken => Pace::Taken,
        });
        laid.set_in_publishers(&pace, "--pace", "pace", |publisher| &mut publisher.pace);
        if self.all {
            laid.scenario.groups.iter_mut().for_each(|group| group.channels.clear());
            laid.set_in_publishers(&Some(To::All), "--all", "to", |publisher| &mut publisher.to);
        }
        let Some(count) = self.channels else { return };
        laid.scenario.groups.iter_mut().for_each(|group| group.channels = vec![format!("news.{{client%{count}}}")]);
        let to = To::ChannelRange { name: String::from("news"), count };
        laid.set_in_publishers(&Some(to), "--channels", "to", |publisher| &mut publisher.to);
    }
}

impl Flags for Direct {
    fn lay(&self, laid: &mut Laid) {
        self.publishing.lay(laid);
        let clients = laid.scenario.groups.first().map_or(0, |group| group.clients);
        let flag = if self.users.is_some() { "--users" } else { "--clients" };
        for (at, publisher) in laid.scenario.publishers.iter_mut().enumerate() {
            let To::Users(users) = &mut publisher.to else { continue };
            // Fewer clients than the file has users: all of them.
            *users = self.users.unwrap_or((*users).min(clients));
            laid.source.flag(format!("publisher[{at}].to"), flag);
        }
    }
}

impl Flags for Echo {
    fn lay(&self, laid: &mut Laid) {
        for (at, group) in laid.scenario.groups.iter_mut().enumerate() {
            let Activity::Echo { rate_per_s, in_flight, payload_bytes, binary } = &mut group.activity else { continue };
            let mut key = |key: &str, flag: &str| laid.source.flag(format!("group[{at}].activity.{key}"), flag);
            replace(rate_per_s, &self.rate, || key("rate_per_s", "--rate"));
            replace(in_flight, &self.in_flight, || key("in_flight", "--in-flight"));
            replace(payload_bytes, &self.payload, || key("payload_bytes", "--payload"));
            *binary |= self.binary;
        }
    }
}

impl Flags for Peer {
    fn lay(&self, laid: &mut Laid) {
        for (at, group) in laid.scenario.groups.iter_mut().enumerate() {
            let Activity::Peer { rate_per_s, payload_bytes } = &mut group.activity else { continue };
            let mut key = |key: &str, flag: &str| laid.source.flag(format!("group[{at}].activity.{key}"), flag);
            replace(rate_per_s, &self.rate, || key("rate_per_s", "--rate"));
            replace(payload_bytes, &self.payload, || key("payload_bytes", "--payload"));
        }
    }
}

impl Flags for Churn {
    fn lay(&self, laid: &mut Laid) {
        self.publishing.lay(laid);
        let Some(rate) = self.churn_rate else { return };
        let groups = laid.scenario.groups.iter_mut().enumerate();
        for (at, group) in groups.filter(|(_, group)| group.churn_per_s > 0.0) {
            group.churn_per_s = rate;
            laid.source.flag(format!("group[{at}].churn_per_s"), "--churn-rate");
        }
    }
}

impl Flags for Slow {
    fn lay(&self, laid: &mut Laid) {
        self.publishing.lay(laid);
        for (at, group) in laid.scenario.groups.iter_mut().enumerate() {
            let Reader::Stall { mut share, mut period_ms, mut stall_ms } = group.reader else { continue };
            let mut key = |key: &str, flag: &str| laid.source.flag(format!("group[{at}].reader.{key}"), flag);
            replace(&mut share, &self.share, || key("share", "--share"));
            replace(&mut period_ms, &self.period, || key("period_ms", "--period"));
            replace(&mut stall_ms, &self.stall, || key("stall_ms", "--stall"));
            group.reader = match self.bytes_per_s {
                None => Reader::Stall { share, period_ms, stall_ms },
                Some(bytes) => {
                    key("bytes_per_s", "--bytes-per-s");
                    Reader::Slow { share, bytes_per_s: bytes as u64 }
                }
            };
        }
    }
}

impl Flags for Every {
    fn lay(&self, laid: &mut Laid) {
        for (at, group) in laid.scenario.groups.iter_mut().enumerate() {
            let Activity::Every { interval_ms, job } = &mut group.activity else { continue };
            let mut key = |key: &str, flag: &str| laid.source.flag(format!("group[{at}].activity.{key}"), flag);
            replace(interval_ms, &self.interval, || key("interval_ms", "--interval"));
            replace(job, &self.job, || key("job", "--job"));
        }
    }
}

/// Puts a flag's value in place where it was given, and notes it.
fn replace<T: Clone>(place: &mut T, value: &Option<T>, mut note: impl FnMut()) {
    if let Some(value) = value {
        place.clone_from(value);
        note();
    }
}
