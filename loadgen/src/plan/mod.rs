//! A scenario made definite: every client, every stream, and when each message is due.
//!
//! The same in every worker and process: they make it from the scenario, so nothing of it has to be told but which run it is.

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::Range;

use crate::dialect::template::{OF_SUBSCRIPTION, Template};
use crate::dialect::words::Words;
use crate::dialect::{Dialect, ready};
use crate::scenario::url::Url;
use crate::scenario::{Activity, Group, Pace, Publisher, Scenario, To};
use crate::schedule::Schedule;

mod check;
mod names;
pub mod sources;
#[cfg(test)]
mod tests;

use names::Names;

/// Where a stream's messages go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Destination {
    /// A channel.
    Channel(String),
    /// A user.
    User(String),
    /// Everybody.
    All,
}

/// All that workers and publishers have to agree on.
#[derive(Debug)]
pub struct Plan {
    /// What it was made from.
    pub scenario: Scenario,
    /// Which run it is, in every stamp: messages of other runs are told apart by it. 0 until [`Plan::of_run`] says.
    pub run: u32,
    /// The words of the server, as they were written.
    pub dialect: Dialect,
    /// The words of the server, as they are worked with.
    pub words: Words,
    /// Where clients connect to.
    pub url: Url,
    /// What they ask for there, where the URL says it.
    pub path: Option<Template>,
    /// Where publications are posted to, where the scenario says it.
    pub api: Option<Url>,
    /// Streams of the publishers, by their number in the stamps.
    pub streams: Vec<Destination>,
    /// The numbers of each destination: several, where several publishers have it.
    pub numbers: HashMap<Destination, Vec<u32>>,
    /// Streams of each publisher: `first..first + count` of `streams`.
    pub publishers: Vec<Range<u32>>,
    /// Clients of each group: `first..first + count` of all clients' numbers.
    pub groups: Vec<Range<u32>>,
    /// Addresses to connect from, in turn; empty: the system chooses.
    pub sources: Vec<IpAddr>,
    /// Of each stream, one message in so many is watched for the skew between its first and its last receiver. A power of two.
    pub skew_every: u64,
    /// Clients of each stream.
    receivers: Vec<u32>,
    /// The names of each group.
    names: Vec<Names>,
}

/// Streams of clients that send themselves (echo, peer): this bit and the sending client's number.
pub const CLIENT_STREAM: u32 = 1 << 31;

/// Messages a second that are watched for their skew, at most: each costs a worker an entry, and the run a merge.
const WATCHED_PER_S: f64 = 1_000.0;

/// One message in so many is watched where nobody knows how many a second there will be.
const WATCHED_EVERY_UNPACED: u64 = 16;

impl Plan {
    /// Makes it. The scenario must have passed its check.
    ///
    /// # Errors
    /// A dialect or a source address that there is not, or words that the dialect does not have, in words.
    pub fn new(scenario: Scenario) -> Result<Self, String> {
        let dialect = ready::of(&scenario)?;
        let words = Words::new(&dialect)?;
        let url = Url::websocket(&scenario.target.url).map_err(|why| format!("target.url: {why}"))?;
        let path = Some(&url.path).filter(|path| !path.is_empty());
        let path = path.map(|path| Template::parse(path, "target.url", OF_SUBSCRIPTION)).transpose()?;
        let api = scenario.target.api.as_deref().map(Url::http).transpose();
        let api = api.map_err(|why| format!("target.api: {why}"))?;
        let sources = sources::expand(&scenario.tool.source_addresses)?;
        let names = scenario.groups.iter().map(Names::new).collect::<Result<_, _>>()?;
        let mut plan = Self {
            groups: ranges(scenario.groups.iter().map(|group| group.clients)),
            dialect,
            words,
            url,
            path,
            api,
            sources,
            names,
            streams: Vec::new(),
            numbers: HashMap::new(),
            publishers: Vec::new(),
            receivers: Vec::new(),
            skew_every: 1,
            run: 0,
            scenario,
        };
        plan.number_streams();
        plan.count_receivers();
        plan.skew_every = plan.choose_skew_every();
        plan.check_words()?;
        Ok(plan)
    }

    /// The same, of this run.
    #[must_use]
    pub fn of_run(self, run: u32) -> Self {
        Self { run, ..self }
    }

    /// All clients.
    #[must_use]
    pub fn clients(&self) -> u32 {
        self.groups.last().map_or(0, |last| last.end)
    }

    /// The group of a client, and its position in [`Scenario::groups`].
    #[must_use]
    pub fn group(&self, client: u32) -> (usize, &Group) {
        let at = self.groups.partition_point(|range| range.end <= client);
        (at, &self.scenario.groups[at])
    }

    /// Who a client is.
    #[must_use]
    pub fn user(&self, client: u32) -> String {
        let (group, _) = self.group(client);
        self.names[group].user(client)
    }

    /// Appends who a client is.
    pub fn write_user(&self, client: u32, out: &mut Vec<u8>) {
        let (group, _) = self.group(client);
        self.names[group].write_user(client, out);
    }

    /// The channels a client subscribes to.
    #[must_use]
    pub fn channels(&self, client: u32) -> Vec<String> {
        let (group, _) = self.group(client);
        self.names[group].channels(client)
    }

    /// The streams a client has to get: its channels, its user, everybody; those of them that a publisher publishes to. Ascending.
    #[must_use]
    pub fn streams_of(&self, client: u32) -> Vec<u32> {
        if self.streams.is_empty() {
            return Vec::new();
        }
        let own = [Destination::User(self.user(client)), Destination::All];
        let channels = self.channels(client).into_iter().map(Destination::Channel);
        let mut streams: Vec<u32> =
            channels.chain(own).filter_map(|destination| self.numbers.get(&destination)).flatten().copied().collect();
        streams.sort_unstable();
        streams.dedup();
        streams
    }

    /// How many clients have to get a stream.
    #[must_use]
    pub fn receivers(&self, stream: u32) -> u32 {
        self.receivers.get(stream as usize).copied().unwrap_or(1)
    }

    /// Bytes of a payload of a stream, those of clients included; 0 for one that there is not.
    #[must_use]
    pub fn payload_bytes(&self, stream: u32) -> usize {
        if stream & CLIENT_STREAM == 0 {
            let publisher = self.publishers.partition_point(|range| range.end <= stream);
            return self.scenario.publishers.get(publisher).map_or(0, |publisher| publisher.payload_bytes);
        }
        let client = stream & !CLIENT_STREAM;
        if client >= self.clients() {
            return 0;
        }
        match self.group(client).1.activity {
            Activity::Echo { payload_bytes, .. } | Activity::Peer { payload_bytes, .. } => payload_bytes,
            Activity::Listen | Activity::Every { .. } => 0,
        }
    }

    /// Whom a client of a `peer` group sends to, and hears from.
    #[must_use]
    pub fn neighbour(&self, client: u32) -> Option<u32> {
        let (at, group) = self.group(client);
        if !matches!(group.activity, Activity::Peer { .. }) {
            return None;
        }
        let range = &self.groups[at];
        let neighbour = range.start + ((client - range.start) ^ 1);
        (neighbour < range.end).then_some(neighbour)
    }

    /// The pair a client belongs to: neighbours have the same, so that a worker that has whole pairs has both.
    #[must_use]
    pub fn pair(&self, client: u32) -> u32 {
        let (at, _) = self.group(client);
        let first = self.groups[at].start;
        first.div_ceil(2) + (client - first) / 2
    }

    /// The schedules of the publishers that have one, given when the steady phase begins; `None` for those without.
    #[must_use]
    pub fn schedules(&self, from_ns: u64) -> Vec<Option<Schedule>> {
        let publishers = self.scenario.publishers.iter().zip(&self.publishers);
        publishers.map(|(publisher, streams)| schedule(publisher, streams.clone(), from_ns)).collect()
    }

    /// Streams of the publisher that waits for delivery; without one, those of all publishers.
    #[must_use]
    pub fn awaited_streams(&self) -> Range<u32> {
        let publishers = self.scenario.publishers.iter().zip(&self.publishers);
        let mut awaited =
            publishers.filter(|(publisher, _)| publisher.pace == Pace::Delivered).map(|(_, streams)| streams.clone());
        awaited.next_back().unwrap_or(0..self.streams.len() as u32)
    }

    /// The publisher that publishes to a stream.
    #[must_use]
    pub fn publisher_of(&self, stream: u32) -> usize {
        self.publishers.partition_point(|range| range.end <= stream)
    }

    fn number_streams(&mut self) {
        for publisher in &self.scenario.publishers {
            let first = self.streams.len() as u32;
            let mut destinations = self.destinations(&publisher.to);
            let mut seen = std::collections::HashSet::new();
            destinations.retain(|destination| seen.insert(destination.clone()));
            for (number, destination) in (first..).zip(&destinations) {
                self.numbers.entry(destination.clone()).or_default().push(number);
            }
            self.streams.append(&mut destinations);
            self.publishers.push(first..self.streams.len() as u32);
        }
    }

    fn destinations(&self, to: &To) -> Vec<Destination> {
        match to {
            To::Channels(channels) => channels.iter().cloned().map(Destination::Channel).collect(),
            To::ChannelRange { name, count } => {
                (0..*count).map(|at| Destination::Channel(format!("{name}.{at}"))).collect()
            }
            To::Users(count) => {
                let clients = self.groups.first().map_or(0, |group| u64::from(group.end));
                let chosen = u64::from(*count).min(clients);
                (0..chosen).map(|at| Destination::User(self.user((at * clients / chosen) as u32))).collect()
            }
            To::All => vec![Destination::All],
        }
    }

    fn count_receivers(&mut self) {
        let mut receivers = vec![0; self.streams.len()];
        for client in 0..self.clients() {
            for stream in self.streams_of(client) {
                receivers[stream as usize] += 1;
            }
        }
        self.receivers = receivers;
    }

    fn choose_skew_every(&self) -> u64 {
        let mut per_s = 0.0;
        let mut every = 1;
        for (publisher, streams) in self.scenario.publishers.iter().zip(&self.publishers) {
            if !streams.clone().any(|stream| self.receivers(stream) > 1) {
                continue;
            }
            match publisher.pace {
                Pace::RatePerS(rate_per_s) => per_s += rate_per_s,
                Pace::Delivered | Pace::Taken => every = WATCHED_EVERY_UNPACED,
            }
        }
        let paced = (per_s / WATCHED_PER_S).ceil().max(1.0) as u64;
        paced.next_power_of_two().max(every)
    }
}

fn ranges(counts: impl Iterator<Item = u32>) -> Vec<Range<u32>> {
    let mut first = 0;
    let mut ranges = Vec::new();
    for count in counts {
        ranges.push(first..first + count);
        first += count;
    }
    ranges
}

fn schedule(publisher: &Publisher, streams: Range<u32>, from_ns: u64) -> Option<Schedule> {
    match publisher.pace {
        Pace::RatePerS(rate_per_s) if rate_per_s > 0.0 && !streams.is_empty() => {
            let period_ns = f64::from(publisher.burst) * 1e9 / rate_per_s;
            Some(Schedule { from_ns, period_ns, burst: publisher.burst, streams })
        }
        _ => None,
    }
}
