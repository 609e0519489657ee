//! The receiving side: what arrived twice, and what did not arrive.
//!
//! What counts as lost depends on what is known of a sender:
//!
//! - Of a sender that was heard, everything up to its newest number that was not delivered.
//! - Of one that was not, everything since its head first stood in Redis: for Redis gave all heads when the stream was
//!   opened. A stream that was opened blind, since Redis could not be asked, has got none: there, what the sender sent
//!   before heads were compared counts as before the stream.
//! - Before any head is known, what a number itself declares as lost.
//!
//! Knows nothing of what the messages say.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::{Head, NodeId, Number, coarse};
use crate::batch::Stream;

/// The streams this node listens to, and how far it has heard each sender.
///
/// A stream that nobody has sent to takes 40 bytes and the share of the table that is free; each sender of it 40 more.
#[derive(Default, Debug)]
pub struct Ledger {
    streams: HashMap<Stream, Open, RandomState>,
    /// How often the way was cut; cuts without [`Ledger::compare`] between them are one.
    cuts: u32,
    /// Whether nothing was compared since the last cut.
    is_cut: bool,
    /// The newest generation of each node that was forgotten for being unheard: of a generation that is not newer,
    /// Redis may still have a head, but nothing is missing.
    settled: HashMap<NodeId, u64, RandomState>,
}

/// A stream that is listened to.
#[derive(Debug)]
struct Open {
    /// Boxed, for 8 bytes instead of 24 of every user.
    senders: Option<Box<Senders>>,
    /// [`Ledger::cuts`] when it was opened.
    opened: u32,
    /// Opened without knowing any heads, and not compared since.
    is_blind: bool,
}

#[derive(Debug)]
struct Senders(Vec<Sender>);

/// How far a sender was heard.
#[derive(Debug)]
struct Sender {
    origin: NodeId,
    generation: u64,
    /// The last number delivered or counted as lost.
    last: u64,
    /// The first number delivered or counted as lost, until a head says whether others were before it; else 0.
    first: u64,
    heard: u32,
}

/// What to do with what arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Receipt {
    /// Messages of the stream lost before it.
    pub lost: u64,
    /// Whether it is new: deliver it, after telling the loss.
    pub fresh: bool,
}

impl Ledger {
    /// Listens to a stream from now on; `heads` is what was sent before. Does nothing when it is open.
    pub fn open(&mut self, stream: Stream, heads: &[Head], now_ms: u64) {
        let opened = self.cuts;
        self.streams.entry(stream).or_insert_with(|| {
            let mut open = Open { senders: None, opened, is_blind: false };
            heads.iter().for_each(|head| open.add(Sender::at(head, now_ms)));
            open
        });
    }

    /// Listens to a stream from now on, and nobody could say what was sent before. Does nothing when it is open.
    pub fn open_blind(&mut self, stream: Stream) {
        let opened = self.cuts;
        self.streams.entry(stream).or_insert(Open { senders: None, opened, is_blind: true });
    }

    /// Whether the stream is listened to.
    #[must_use]
    pub fn is_open(&self, stream: &Stream) -> bool {
        self.streams.contains_key(stream)
    }

    /// Listens no longer.
    pub fn close(&mut self, stream: &Stream) {
        self.streams.remove(stream);
        if self.streams.capacity() > SHRINK_FROM && self.streams.len() < self.streams.capacity() / 8 {
            self.streams.shrink_to(self.streams.len() * 2);
        }
    }

    /// A message arrived. Of a stream that is not open it is fresh, and nothing is noted.
    pub fn receive(&mut self, stream: &Stream, origin: NodeId, number: Number, now_ms: u64) -> Receipt {
        let Some(open) = self.streams.get_mut(stream) else { return Receipt { lost: 0, fresh: true } };
        let heard = coarse(now_ms);
        if let Some(sender) = open.sender(origin) {
            return sender.receive(number, heard);
        }
        let may_lack = !open.is_blind && !is_settled(&self.settled, origin, number.generation);
        let first = if may_lack { number.number.saturating_sub(number.lost) } else { 0 };
        open.add(Sender { origin, generation: number.generation, last: number.number, first, heard });
        Receipt { lost: number.lost, fresh: true }
    }

    /// A sender says how far it is; returns what is lost of the stream.
    pub fn announced(&mut self, stream: &Stream, origin: NodeId, number: Number, now_ms: u64) -> u64 {
        let Some(open) = self.streams.get_mut(stream) else { return 0 };
        let heard = coarse(now_ms);
        if let Some(sender) = open.sender(origin) {
            return sender.reach(number.generation, 1, number.number, heard);
        }
        // Of a stream that was open before the cut all is lost: the announcement may be because Redis lost its heads.
        let is_whole =
            !open.is_blind && open.opened < self.cuts && !is_settled(&self.settled, origin, number.generation);
        open.add(Sender { origin, generation: number.generation, last: number.number, first: 0, heard });
        if is_whole { number.number } else { number.lost }
    }

    /// The way was cut and is open again: `heads` is what was sent by now, and everything sent since is still to come or
    /// came since the way is open. Returns what is lost of the stream.
    pub fn compare(&mut self, stream: &Stream, heads: &[Head], now_ms: u64) -> u64 {
        self.is_cut = false;
        let Some(open) = self.streams.get_mut(stream) else { return 0 };
        let counts_unheard = !open.is_blind;
        open.is_blind = false;
        let mut lost = 0_u64;
        for head in heads {
            lost = lost.saturating_add(match open.sender(head.origin) {
                Some(sender) => sender.compare(head, coarse(now_ms)),
                None => {
                    open.add(Sender::at(head, now_ms));
                    let counts = counts_unheard && !is_settled(&self.settled, head.origin, head.generation);
                    if counts { span(head.first, head.last) } else { 0 }
                }
            });
        }
        lost
    }

    /// The way was cut, so that messages may be missing: every stream is to be compared when it is open again. Not for
    /// the first connection, which nothing came before.
    pub fn cut(&mut self) {
        if !std::mem::replace(&mut self.is_cut, true) {
            self.cuts += 1;
        }
    }

    /// All open streams.
    pub fn streams(&self) -> impl Iterator<Item = &Stream> {
        self.streams.keys()
    }

    /// Forgets senders not heard since this time, which must be [`super::UNHEARD_MS`] ago. Not while the way is cut.
    pub fn prune(&mut self, unheard_since_ms: u64) {
        let since = coarse(unheard_since_ms);
        for open in self.streams.values_mut() {
            let Some(senders) = &mut open.senders else { continue };
            senders.0.retain(|sender| {
                let is_kept = sender.heard >= since;
                if !is_kept {
                    let settled = self.settled.entry(sender.origin).or_default();
                    *settled = sender.generation.max(*settled);
                }
                is_kept
            });
            if senders.0.is_empty() {
                open.senders = None;
            }
        }
    }
}

/// Below this capacity the table of streams is not worth shrinking.
const SHRINK_FROM: usize = 1_024;

fn is_settled(settled: &HashMap<NodeId, u64, RandomState>, origin: NodeId, generation: u64) -> bool {
    settled.get(&origin).is_some_and(|newest| generation <= *newest)
}

/// How many numbers there are from `first` to `last`.
const fn span(first: u64, last: u64) -> u64 {
    let first = if first == 0 { 1 } else { first };
    last.saturating_add(1).saturating_sub(first)
}

impl Open {
    /// Few: at most the nodes of the cluster.
    fn sender(&mut self, origin: NodeId) -> Option<&mut Sender> {
        self.senders.as_mut()?.0.iter_mut().find(|sender| sender.origin == origin)
    }

    fn add(&mut self, sender: Sender) {
        self.senders.get_or_insert_with(|| Box::new(Senders(Vec::new()))).0.push(sender);
    }
}

impl Sender {
    const fn at(head: &Head, now_ms: u64) -> Self {
        Self { origin: head.origin, generation: head.generation, last: head.last, first: 0, heard: coarse(now_ms) }
    }

    fn receive(&mut self, number: Number, heard: u32) -> Receipt {
        let before = self.last;
        let is_new = number.generation > self.generation;
        let reached = self.reach(number.generation, 1, number.number, heard);
        let fresh = is_new || self.generation == number.generation && number.number > before;
        // It is not lost itself.
        Receipt { lost: reached.saturating_sub(1), fresh }
    }

    /// What is lost when everything up to `last` of the generation, which began with `first`, did not come and will not.
    fn reach(&mut self, generation: u64, first: u64, last: u64, heard: u32) -> u64 {
        if generation < self.generation {
            return 0;
        }
        self.heard = heard;
        if generation > self.generation {
            (self.generation, self.last, self.first) = (generation, last, 0);
            return span(first, last);
        }
        let lost = last.saturating_sub(self.last);
        self.last = self.last.max(last);
        lost
    }

    fn compare(&mut self, head: &Head, heard: u32) -> u64 {
        let mut lost = self.reach(head.generation, head.first, head.last, heard);
        if head.generation == self.generation && self.first > 0 {
            lost = lost.saturating_add(self.first.saturating_sub(head.first));
            self.first = 0;
        }
        lost
    }
}

#[cfg(test)]
impl Ledger {
    pub(super) const BYTES_OF_STREAM_AND_SENDER: (usize, usize) = (size_of::<(Stream, Open)>(), size_of::<Sender>());

    pub(super) fn streams_capacity(&self) -> usize {
        self.streams.capacity()
    }
}
