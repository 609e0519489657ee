//! The sending side: every message's number within its stream.
//!
//! A message is numbered when it is sent or given up, not while it waits: what is numbered and not sent is announced as
//! lost. Knows nothing of how messages travel.

use std::collections::{HashMap, VecDeque};

use foldhash::fast::RandomState;

use super::{Number, coarse};
use crate::batch::Stream;

/// The streams this node sends to: 56 bytes each, and the share of the table that is free.
#[derive(Default, Debug)]
pub struct Numbers {
    streams: HashMap<Stream, Sent, RandomState>,
    /// The generation begun last.
    generation: u64,
    /// Streams whose last messages may have been lost, oldest loss first.
    ///
    /// Invariant: names every stream with [`Sent::is_listed`]. It may name streams that were forgotten.
    unannounced: VecDeque<Stream>,
}

/// What was sent to one stream.
#[derive(Debug)]
struct Sent {
    generation: u64,
    /// The last number given.
    number: u64,
    /// How many of the last numbers were lost and not told.
    ///
    /// Invariant: at most `number`. It stops counting at 2³²: only receivers new to this sender need it.
    lost: u32,
    /// When the last number was given, or the last message sent.
    used: u32,
    /// Whether [`Numbers::unannounced`] names it.
    ///
    /// Invariant: true while `lost` is not 0.
    is_listed: bool,
}

impl Numbers {
    /// The number of the next message to the stream.
    pub fn next(&mut self, stream: &Stream, now_ms: u64) -> Number {
        let sent = self.counted(stream, now_ms);
        let lost = std::mem::take(&mut sent.lost).into();
        Number { generation: sent.generation, number: sent.number, lost }
    }

    /// A message to the stream will not cross: counts it, and the next number says so.
    pub fn lose(&mut self, stream: &Stream, now_ms: u64) {
        let sent = self.counted(stream, now_ms);
        sent.lost = sent.lost.saturating_add(1);
        if !std::mem::replace(&mut sent.is_listed, true) {
            self.unannounced.push_back(stream.clone());
        }
    }

    /// The stream, one message further.
    fn counted(&mut self, stream: &Stream, now_ms: u64) -> &mut Sent {
        if !self.streams.contains_key(stream) {
            self.generation += 1;
            let sent = Sent { generation: self.generation, number: 0, lost: 0, used: 0, is_listed: false };
            self.streams.insert(stream.clone(), sent);
        }
        let sent = self.streams.get_mut(stream).expect("it is there, or was just put there");
        sent.number += 1;
        sent.used = coarse(now_ms);
        sent
    }

    /// Nobody was there for the newest message: forgets the stream. Whoever comes begins with a new generation, and has
    /// not missed anything, not even what is not announced yet.
    ///
    /// Not to be called when only an earlier message found nobody.
    pub fn forget(&mut self, stream: &Stream) {
        self.streams.remove(stream);
    }

    /// A message or an announcement of the stream was sent now, however long ago it was numbered.
    pub fn sent(&mut self, stream: &Stream, now_ms: u64) {
        if let Some(sent) = self.streams.get_mut(stream) {
            sent.used = coarse(now_ms);
        }
    }

    /// Whether this is the newest number of the stream.
    #[must_use]
    pub fn is_newest(&self, stream: &Stream, number: Number) -> bool {
        let newest = |sent: &Sent| (sent.generation, sent.number) == (number.generation, number.number);
        self.streams.get(stream).is_some_and(newest)
    }

    /// How many streams [`Numbers::take_unannounced`] has yet to give, at most.
    #[must_use]
    pub fn unannounced(&self) -> usize {
        self.unannounced.len()
    }

    /// Streams whose last messages were lost: what to announce, at most `max` at a time. Each is given once.
    pub fn take_unannounced(&mut self, max: usize) -> Vec<(Stream, Number)> {
        let mut taken = Vec::new();
        while taken.len() < max
            && let Some(stream) = self.unannounced.pop_front()
        {
            let Some(sent) = self.streams.get_mut(&stream) else { continue };
            sent.is_listed = false;
            let lost = std::mem::take(&mut sent.lost).into();
            // Else a number given since said so.
            if lost > 0 {
                taken.push((stream, Number { generation: sent.generation, number: sent.number, lost }));
            }
        }
        taken
    }

    /// The newest number of every stream used at or after this time (to 1 s, rather more): what may be in doubt when
    /// the way to Redis was lost, or Redis its memory.
    #[must_use]
    pub fn used_since(&self, ms: u64) -> Vec<(Stream, Number)> {
        let since = coarse(ms);
        let used = self.streams.iter().filter(|(_, sent)| sent.used >= since);
        let newest = |sent: &Sent| Number { generation: sent.generation, number: sent.number, lost: sent.lost.into() };
        used.map(|(stream, sent)| (stream.clone(), newest(sent))).collect()
    }

    /// Forgets what was not used since this time and has nothing to announce.
    pub fn prune(&mut self, unused_since_ms: u64) {
        let since = coarse(unused_since_ms);
        self.streams.retain(|_, sent| sent.used >= since || sent.lost > 0);
        if self.streams.len() < self.streams.capacity() / 8 {
            self.streams.shrink_to(self.streams.len() * 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::UserName;

    fn user(name: &str) -> Stream {
        Stream::User(UserName::parse(name).expect("valid"))
    }

    fn number(generation: u64, number: u64, lost: u64) -> Number {
        Number { generation, number, lost }
    }

    #[test]
    fn each_stream_counts_for_itself_and_a_new_one_takes_the_next_generation() {
        let mut numbers = Numbers::default();
        let given = ["7", "7", "9", "7"].map(|name| numbers.next(&user(name), 0));
        assert_eq!(given, [number(1, 1, 0), number(1, 2, 0), number(2, 1, 0), number(1, 3, 0)]);
        assert!(numbers.is_newest(&user("7"), given[3]) && !numbers.is_newest(&user("7"), given[1]));
        numbers.forget(&user("7"));
        assert!(!numbers.is_newest(&user("7"), given[3]));
        assert_eq!(numbers.next(&user("7"), 0), number(3, 1, 0));
    }

    #[test]
    fn what_is_lost_is_counted_and_the_next_number_says_so_once() {
        let mut numbers = Numbers::default();
        numbers.next(&Stream::All, 0);
        numbers.lose(&Stream::All, 0);
        numbers.lose(&Stream::All, 0);
        assert_eq!(numbers.next(&Stream::All, 0), number(1, 4, 2));
        assert_eq!(numbers.next(&Stream::All, 0), number(1, 5, 0));
        assert_eq!(numbers.take_unannounced(9), [], "the number said so");
    }

    #[test]
    fn losses_that_no_number_told_are_given_once_oldest_first() {
        let mut numbers = Numbers::default();
        numbers.next(&user("7"), 0);
        [user("7"), user("9"), user("7")].iter().for_each(|stream| numbers.lose(stream, 0));
        assert_eq!(numbers.take_unannounced(1), [(user("7"), number(1, 3, 2))]);
        assert_eq!(numbers.take_unannounced(1), [(user("9"), number(2, 1, 1))]);
        assert_eq!(numbers.take_unannounced(1), []);
        numbers.lose(&user("7"), 0);
        assert_eq!(numbers.next(&user("7"), 0), number(1, 5, 1), "what was announced is told");
        numbers.lose(&user("7"), 0);
        assert_eq!(numbers.take_unannounced(9), [(user("7"), number(1, 6, 1))]);
    }

    #[test]
    fn a_stream_with_nobody_there_takes_its_losses_along() {
        let mut numbers = Numbers::default();
        numbers.lose(&user("7"), 0);
        numbers.forget(&user("7"));
        assert_eq!(numbers.take_unannounced(9), []);
        assert_eq!(numbers.next(&user("7"), 0), number(2, 1, 0));
    }

    #[test]
    fn losses_over_and_over_are_listed_once() {
        let mut numbers = Numbers::default();
        for _ in 0..100 {
            numbers.lose(&Stream::All, 0);
            numbers.next(&Stream::All, 0);
        }
        assert_eq!(numbers.unannounced.len(), 1);
    }

    #[test]
    fn what_is_not_used_for_long_is_forgotten_unless_it_has_a_loss_to_announce() {
        let mut numbers = Numbers::default();
        numbers.next(&user("7"), 10_000);
        numbers.lose(&user("8"), 10_000);
        numbers.next(&user("9"), 90_000);
        assert_eq!(numbers.used_since(60_000), [(user("9"), number(3, 1, 0))]);
        assert_eq!(numbers.used_since(10_000).len(), 3);
        numbers.sent(&user("9"), 95_000);
        assert_eq!(numbers.used_since(95_000).len(), 1, "numbered long before it was sent");
        numbers.prune(60_000);
        assert_eq!(numbers.next(&user("7"), 99_000), number(4, 1, 0));
        assert_eq!(numbers.next(&user("8"), 99_000), number(2, 2, 1));
        assert_eq!(numbers.next(&user("9"), 99_000), number(3, 2, 0));
    }

    #[test]
    fn a_stream_takes_as_many_bytes_as_the_module_says() {
        assert_eq!(size_of::<(Stream, Sent)>(), 56);
    }
}
