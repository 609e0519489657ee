//! Where a worker's clients count: histograms, plain counts, watched arrivals, and what a session had to get.
//!
//! It knows nothing of bytes. The clients count all there is in [`Counts`] but what only the worker sees: connections begun, those
//! that failed before there was a client to open, and bytes read, written and waiting, which it counts at the socket.

use std::collections::HashMap;
use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::account::{Account, UNKNOWN};
use crate::clock;
use crate::hist::Hist;
use crate::ledger::{Ledger, Parting};
use crate::plan::{CLIENT_STREAM, Plan};
use crate::schedule::Schedule;
use crate::stamp;
use crate::talk::{Arrival, Counts, Tally};

mod arrivals;
mod failures;
pub(crate) mod held;
mod latencies;

use arrivals::Arrivals;
use held::Held;
use latencies::Latencies;

/// One for each worker.
#[derive(Debug)]
pub struct Recorder {
    /// What is reported at the end.
    pub(crate) tally: Tally,
    /// Messages that sessions did not have of the publisher that waits for them, or of all where none does.
    pub(crate) delivered: u64,
    /// The streams of those.
    awaited: Range<u32>,
    /// Where the stamp was in the last frame: the next frame most often has it there, too.
    pub(crate) mark_at: usize,
    /// What reads stamps.
    pub(crate) stamps: stamp::Reader,
    /// To write payloads into.
    pub(crate) scratch: Vec<u8>,
    /// What the server made its clients hold.
    pub(crate) held: Held,
    latencies: Latencies,
    arrivals: Arrivals,
    /// `skew_every - 1` of the plan.
    watch_mask: u64,
    watch_shift: u32,
    steady: Option<Steady>,
    published: Option<Published>,
    /// Sessions that are over and missed something: closed when it is known what the server did not take.
    departed: Vec<Departed>,
    /// Nothing of this run was due before.
    pub(crate) earliest_ns: u64,
    /// Between the wall clock and the monotonic one.
    wall_offset_ns: u64,
    random: u64,
}

/// What is known of publishing while it goes on.
#[derive(Debug)]
struct Steady {
    from_ns: u64,
    schedules: Vec<Option<Schedule>>,
}

/// What was published in all.
#[derive(Debug, Default)]
struct Published {
    counts: Vec<u64>,
    refused: HashMap<u32, Vec<u64>>,
}

/// A session that is over.
#[derive(Debug)]
struct Departed {
    ledger: Ledger,
    /// What each stream had to be got up to, and whether the server closed it.
    ends: Vec<(u32, u64)>,
    closed_by_server: bool,
}

/// Sessions that are over with something missing: beyond, or where their accounts are too large together ([`Held`]), they are
/// closed without knowing what the server did not take, and the result says so.
const DEPARTED_MAX: usize = 65_536;

/// Streams of messages that this tool did not publish: one for each session.
pub const FOREIGN_STREAM: u32 = CLIENT_STREAM - 1;

/// The kind of failure of messages that were due at clients and waited for answers until the end.
pub(crate) const NEVER_SENT: &str = "message never sent";

impl Recorder {
    /// For the clients of this plan.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall_ns = wall.as_nanos() as u64;
        let now_ns = clock::now_ns();
        Self {
            tally: Tally::default(),
            delivered: 0,
            awaited: plan.awaited_streams(),
            mark_at: 0,
            stamps: stamp::Reader::default(),
            scratch: Vec::new(),
            held: Held::default(),
            latencies: Latencies::default(),
            arrivals: Arrivals::default(),
            watch_mask: plan.skew_every - 1,
            watch_shift: plan.skew_every.trailing_zeros(),
            steady: None,
            published: None,
            departed: Vec::new(),
            earliest_ns: now_ns,
            wall_offset_ns: wall_ns.saturating_sub(now_ns),
            random: (wall_ns ^ u64::from(std::process::id()) << 32) | 1,
        }
    }

    /// The steady phase begins then: sessions that get ready later need not get what was due before.
    pub fn steady(&mut self, plan: &Plan, from_ns: u64) {
        self.earliest_ns = from_ns;
        self.steady = Some(Steady { from_ns, schedules: plan.schedules(from_ns) });
    }

    /// Publishing is over: so many messages went into each stream, and these of them the server did not take, in any order.
    pub fn published(&mut self, counts: Vec<u64>, refused: &[(u32, u64)]) {
        let mut by_stream: HashMap<u32, Vec<u64>> = HashMap::new();
        for (stream, seq) in refused {
            by_stream.entry(*stream).or_default().push(*seq);
        }
        for numbers in by_stream.values_mut() {
            // One that is named twice is one message less, not two.
            numbers.sort_unstable();
            numbers.dedup();
        }
        self.published = Some(Published { counts, refused: by_stream });
    }

    /// Something failed: its kind, and what was said.
    pub fn failure(&mut self, kind: &str, example: &str) {
        failures::note(&mut self.tally.failures, kind, example);
    }

    /// How it stands.
    #[must_use]
    pub const fn counts(&self) -> &Counts {
        &self.tally.counts
    }

    /// For what the worker counts itself.
    pub const fn counts_mut(&mut self) -> &mut Counts {
        &mut self.tally.counts
    }

    /// A timer of the steady phase fired so late.
    pub fn slip(&mut self, ns: u64) {
        self.tally.slip.record(ns);
    }

    /// A connection was begun so late.
    pub fn slip_opening(&mut self, ns: u64) {
        self.tally.slip_opening.record(ns);
    }

    /// A client's message that was due so long ago will not be sent: the server did not answer those before. Its latency is
    /// longer than that; who left it out would show a server that stops as a fast one.
    pub fn unsent(&mut self, ns: u64) {
        self.tally.counts.unsent += 1;
        self.tally.latency.record(ns);
        self.failure(NEVER_SENT, "the server had not answered those before it");
    }

    /// Latencies since the last call, from when messages were due.
    pub fn drain_latency(&mut self) -> Hist {
        self.latencies.drain(&mut self.tally.latency, &mut self.tally.latency_uncorrected)
    }

    /// Watched messages that came to nobody in the last second.
    pub fn drain_arrivals(&mut self, now_ns: u64) -> Vec<Arrival> {
        self.arrivals.drain(now_ns)
    }

    /// All watched messages that were not reported: at the end.
    pub fn drain_all_arrivals(&mut self) -> Vec<Arrival> {
        self.arrivals.drain(u64::MAX)
    }

    /// All it has to say. Its clients must have been settled before.
    #[must_use]
    pub fn finish(mut self) -> Tally {
        for departed in std::mem::take(&mut self.departed) {
            self.close_departed(&departed);
        }
        self.drain_latency();
        self.tally
    }
}

/// For the clients.
impl Recorder {
    /// A message of this stream was delivered to a session that did not have it.
    #[inline]
    pub(crate) fn delivered(&mut self, stream: u32) {
        // One comparison: what is below the first wraps to far beyond the last.
        let Range { start, end } = self.awaited;
        self.delivered += u64::from(stream.wrapping_sub(start) < end - start);
    }

    /// A message arrived that its session did not have, so long after it was due.
    #[inline]
    pub(crate) fn arrived(&mut self, intended_ns: u64, slip_us: u32, now_ns: u64) {
        self.latencies.record(now_ns.saturating_sub(intended_ns), slip_us);
    }

    /// A message arrived so long before its sender sent it: that clock is ahead of this one, and no latency is as good as none.
    #[cold]
    pub(crate) fn came_before_it_was_sent(&mut self, ns: u64) {
        self.tally.counts.from_ahead += 1;
        self.failure("a sender's clock is ahead", &format!("a message came {} us before it was sent", ns / 1_000));
    }

    /// Whether a message of this run can have been due then and come now: clocks of a machine's processes agree.
    #[inline]
    pub(crate) const fn is_possible(&self, intended_ns: u64, now_ns: u64) -> bool {
        self.earliest_ns <= intended_ns && intended_ns <= now_ns
    }

    /// Whether the skew of this one is wanted, if its stream has several receivers.
    #[inline]
    pub(crate) const fn is_watched(&self, seq: u64) -> bool {
        seq & self.watch_mask == 0
    }

    pub(crate) fn watched(&mut self, stream: u32, seq: u64, now_ns: u64) {
        self.arrivals.saw(stream, seq, seq >> self.watch_shift, now_ns);
    }

    /// The first number that a session which is ready now has to get of a publisher's stream.
    pub(crate) fn base(&self, plan: &Plan, stream: u32, now_ns: u64) -> u64 {
        match self.steady.as_ref().filter(|steady| now_ns > steady.from_ns) {
            None => 0,
            Some(_) => self.first_due(plan, stream, now_ns).unwrap_or(UNKNOWN),
        }
    }

    /// Whether messages may be on their way already.
    pub(crate) fn is_steady(&self, now_ns: u64) -> bool {
        self.steady.as_ref().is_some_and(|steady| now_ns > steady.from_ns)
    }

    /// Numbers that can have been sent to a stream by now are below this.
    pub(crate) fn limit(&self, plan: &Plan, stream: u32, now_ns: u64) -> u64 {
        self.first_due(plan, stream, now_ns.saturating_add(1)).unwrap_or(stamp::SEQ_MAX)
    }

    /// The first number that is due at this time or later, where there is a schedule.
    pub(crate) fn first_due(&self, plan: &Plan, stream: u32, at_ns: u64) -> Option<u64> {
        let schedules = &self.steady.as_ref()?.schedules;
        Some(schedules.get(plan.publisher_of(stream))?.as_ref()?.first_due(stream, at_ns))
    }

    /// How many went into a publisher's stream, and those the server did not take. `None`: it is not known yet.
    pub(crate) fn published_in(&self, stream: u32) -> Option<(u64, &[u64])> {
        let published = self.published.as_ref()?;
        let count = published.counts.get(stream as usize).copied()?;
        Some((count, published.refused.get(&stream).map_or(&[], Vec::as_slice)))
    }

    /// Whether it is known what was published.
    pub(crate) const fn is_published(&self) -> bool {
        self.published.is_some()
    }

    /// A session is over, and had to get everything below these ends.
    pub(crate) fn depart(&mut self, ledger: Ledger, closed_by_server: bool, end: impl Fn(&Self, &Account) -> u64) {
        let ends: Vec<_> = ledger.accounts().iter().map(|account| (account.stream(), end(self, account))).collect();
        let is_known = ledger.is_clean() && !closed_by_server;
        let bytes = size_of::<Departed>() + size_of_val(ends.as_slice()) + ledger.held_bytes();
        let departed = Departed { ledger, ends, closed_by_server };
        if is_known {
            self.close_departed(&departed);
        } else if self.departed.len() < DEPARTED_MAX && self.held.depart(bytes) {
            self.departed.push(departed);
        } else {
            self.failure(held::TOO_MANY_DEPARTED, held::TOO_MANY_DEPARTED_WORDS);
            self.close_departed(&departed);
        }
    }

    fn close_departed(&mut self, departed: &Departed) {
        let mut counts = self.tally.counts;
        let end = |account: &Account| {
            let found = departed.ends.iter().find(|(stream, _)| *stream == account.stream());
            let end = found.map_or(account.next(), |(_, end)| *end);
            // What a schedule has after the end of the steady phase was never published.
            let published = self.published_in(account.stream());
            published.map_or((end, &[][..]), |(count, refused)| (end.min(count), refused))
        };
        let parting = match departed.closed_by_server {
            true => Parting::Closed,
            false => Parting::Left { behind: self.behind(&departed.ledger) },
        };
        departed.ledger.close(end, parting, &mut counts);
        self.tally.counts = counts;
    }

    /// How many messages were published behind the last that a session got; more than there can be where nobody knows.
    fn behind(&self, ledger: &Ledger) -> u64 {
        let published =
            |account: &Account| self.published_in(account.stream()).map_or(stamp::SEQ_MAX, |(count, _)| count);
        ledger.accounts().iter().map(|account| published(account).saturating_sub(account.next())).sum()
    }

    /// The wall clock's time at a monotonic one.
    pub(crate) const fn wall_ns(&self, now_ns: u64) -> u64 {
        now_ns + self.wall_offset_ns
    }

    /// xorshift64*: for masks and keys, which RFC 6455 wants unpredictable for proxies' sake, not for secrecy.
    pub(crate) const fn random(&mut self) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_differ() {
        let mut recorder = Recorder::new(&Plan::new(toml::from_str("name = \"test\"\ngroup = []").unwrap()).unwrap());
        let masks: std::collections::HashSet<u64> = (0..1_000).map(|_| recorder.random()).collect();
        assert_eq!(masks.len(), 1_000);
    }

    #[test]
    fn only_what_somebody_waits_for_is_told() {
        let mut recorder = Recorder::new(&Plan::new(toml::from_str("name = \"test\"\ngroup = []").unwrap()).unwrap());
        recorder.awaited = 2..4;
        [0, 1, 2, 3, 4, CLIENT_STREAM | 2, FOREIGN_STREAM].into_iter().for_each(|stream| recorder.delivered(stream));
        assert_eq!(recorder.delivered, 2);
    }
}
