//! What was published, and in which order each shard took it in: what every client's account is checked against.

use std::collections::{HashMap, HashSet};

use epush_core::batch::Stream;
use epush_core::message::{Publication, Target};

/// The name of a stream: `c:` and a channel, `u:` and a user, or `*`.
pub type StreamName = String;

#[derive(Default)]
pub struct Ledger {
    /// By shard and stream: the numbers of the messages it took in, in that order.
    taken: HashMap<(usize, StreamName), Taken>,
    /// By shard: streams with messages that may not be in outboxes yet.
    unflushed: HashMap<usize, HashSet<StreamName>>,
    /// By shard, stream and publisher: the last number seen.
    last: HashMap<(usize, StreamName, String), u64>,
    /// Users some session of whom muted `promo`.
    pub muting: HashSet<String>,
    /// The number of the next message anybody publishes.
    pub next_number: u64,
}

#[derive(Default)]
struct Taken {
    positions: HashMap<u64, usize>,
    /// How many of the messages before each position have the type `promo`.
    promos: Vec<usize>,
    promos_now: usize,
    /// How many were surely in outboxes already.
    flushed: usize,
}

impl Ledger {
    pub fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    /// The shard takes a publication in.
    pub fn take_in(&mut self, shard: usize, publication: &Publication, number: u64, publisher: &str) {
        let streams: Vec<StreamName> = match &publication.to {
            Target::Users(users) => users.iter().map(|user| format!("u:{user}")).collect(),
            Target::Channels(channels) => channels.iter().map(|channel| format!("c:{channel}")).collect(),
            Target::All => vec!["*".to_owned()],
        };
        for stream in streams {
            let last = self.last.entry((shard, stream.clone(), publisher.to_owned())).or_default();
            assert!(*last < number, "{publisher}'s messages to {stream} reach shard {shard} in their order");
            *last = number;
            let taken = self.taken(shard, stream);
            taken.positions.insert(number, taken.promos.len());
            taken.promos.push(taken.promos_now);
            taken.promos_now += usize::from(publication.kind.as_deref() == Some("promo"));
        }
    }

    /// The shard hears that so many messages of the stream were lost on their way to it.
    pub fn take_loss(&mut self, shard: usize, stream: &Stream, count: u64) {
        let name = match stream {
            Stream::User(user) => format!("u:{user}"),
            Stream::Channel(channel) => format!("c:{channel}"),
            Stream::All => "*".to_owned(),
        };
        let taken = self.taken(shard, name);
        taken.promos.resize(taken.promos.len() + count as usize, taken.promos_now);
    }

    fn taken(&mut self, shard: usize, stream: StreamName) -> &mut Taken {
        self.unflushed.entry(shard).or_default().insert(stream.clone());
        self.taken.entry((shard, stream)).or_default()
    }

    /// Nothing waits to be fanned out in the shard.
    pub fn flushed(&mut self, shard: usize) {
        for stream in self.unflushed.remove(&shard).unwrap_or_default() {
            if let Some(taken) = self.taken.get_mut(&(shard, stream)) {
                taken.flushed = taken.promos.len();
            }
        }
    }

    pub fn flushed_len(&self, shard: usize, stream: &str) -> usize {
        self.taken.get(&(shard, stream.to_owned())).map_or(0, |taken| taken.flushed)
    }

    pub fn len(&self, shard: usize, stream: &str) -> usize {
        self.taken.get(&(shard, stream.to_owned())).map_or(0, |taken| taken.promos.len())
    }

    fn promos(&self, shard: usize, stream: &str, from: usize, to: usize) -> usize {
        let Some(taken) = self.taken.get(&(shard, stream.to_owned())) else { return 0 };
        let before = |at: usize| taken.promos.get(at).copied().unwrap_or(taken.promos_now);
        before(to) - before(from)
    }
}

/// One session's account of one stream.
#[derive(Debug)]
pub struct Account {
    shard: usize,
    stream: StreamName,
    /// The earliest and the latest position its first message may have.
    start: (usize, usize),
    /// The position after the newest message it got.
    next: Option<usize>,
    /// Messages announced as lost since.
    gap: usize,
}

impl Account {
    /// An account that begins now, for a subscription asked for when `asked_len` messages were out.
    pub fn open(ledger: &Ledger, shard: usize, stream: &str, asked_len: usize) -> Self {
        let start = (asked_len, ledger.len(shard, stream));
        Self { shard, stream: stream.to_owned(), start, next: None, gap: 0 }
    }

    /// An account of a subscription that is not confirmed yet: where it began is known when it is.
    pub fn early(shard: usize, stream: &str, asked_len: usize) -> Self {
        Self { shard, stream: stream.to_owned(), start: (asked_len, usize::MAX), next: None, gap: 0 }
    }

    /// The subscription is confirmed.
    pub fn confirm(&mut self, ledger: &Ledger) {
        self.start.1 = self.start.1.min(ledger.len(self.shard, &self.stream));
    }

    /// The earliest position its next message may have had.
    pub fn earliest(&self) -> usize {
        self.next.unwrap_or(self.start.0)
    }

    pub fn gap(&mut self, count: u64) {
        assert!(count > 0);
        self.gap += count as usize;
    }

    pub fn message(&mut self, ledger: &Ledger, number: u64, mutes: bool) {
        let taken = &ledger.taken[&(self.shard, self.stream.clone())];
        let at = *taken.positions.get(&number).unwrap_or_else(|| panic!("{number} is not of {}", self.stream));
        self.check(ledger, at, mutes, "a message");
        self.next = Some(at + 1);
        self.gap = 0;
    }

    /// Everything that was published has come or was announced.
    pub fn close(&self, ledger: &Ledger, mutes: bool) {
        self.check(ledger, ledger.len(self.shard, &self.stream), mutes, "the end");
    }

    /// Between the last message and position `at` are as many messages as were announced, and muted ones.
    fn check(&self, ledger: &Ledger, at: usize, mutes: bool, what: &str) {
        let (low, high) = self.next.map_or(self.start, |next| (next, next));
        let missing = |from: usize| at as i64 - from.min(i64::MAX as usize) as i64 - self.gap as i64;
        let muted = if mutes { ledger.promos(self.shard, &self.stream, low.min(at), at) as i64 } else { 0 };
        assert!(
            missing(low) >= 0 && missing(high) <= muted,
            "{what} at {at}: {} messages unaccounted for, {muted} of them may be muted: {self:?}",
            missing(high),
        );
    }
}
