//! What the server did, written down while it did it; and what a tool that counts right must say about it.
//!
//! The sums are made from plain lists and sets, without looking at how the tool makes its own.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use epush_loadgen::talk::Counts;

use crate::script::{End, Welcome};

/// Whom a stream is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    Channel(String),
    Client(u32),
}

/// Something a session got, in the order of writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    Message(u32, u64),
    /// Of an earlier run.
    Old,
    Damaged,
    Announced(u64),
    Ended(End),
}

/// A session that was ready.
#[derive(Debug, Default)]
pub struct Session {
    pub channels: Vec<String>,
    pub entries: Vec<Entry>,
}

/// The book.
#[derive(Debug, Default)]
pub struct Book {
    pub sessions: BTreeMap<u32, Session>,
    /// Clients that were not let in.
    pub turned_away: Vec<(u32, Welcome)>,
    /// Whom each stream is for.
    pub streams: HashMap<u32, To>,
    /// Numbers of each stream that were taken.
    pub taken: HashMap<u32, BTreeSet<u64>>,
    /// Publications that were refused, or not answered.
    pub refused: u64,
    /// Bytes written to clients.
    pub bytes: u64,
    /// Pings sent, and pongs that came.
    pub pings: u64,
    pub pongs: u64,
    /// When it paused, monotonic nanoseconds.
    pub pauses: Vec<Range<u64>>,
    /// When each message was due, and when it was written to its receiver.
    pub written_ns: Vec<(u64, u64)>,
}

/// What is wrong with one session, or with all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wrong {
    pub expected: u64,
    pub received: u64,
    pub messages: u64,
    pub gaps: u64,
    pub gaps_unfounded: u64,
    pub lost: u64,
    pub lost_after_close: u64,
    pub duplicates: u64,
    pub reordered: u64,
    pub damaged: u64,
    pub foreign: u64,
    pub closed_by_server: u64,
    pub in_doubt: u64,
    pub ready: u64,
    pub failed: u64,
}

impl From<&Counts> for Wrong {
    fn from(counts: &Counts) -> Self {
        let Counts { expected, received, messages, gaps, gaps_unfounded, lost, lost_after_close, .. } = *counts;
        let Counts { duplicates, reordered, damaged, foreign, closed_by_server, in_doubt, ready, failed, .. } = *counts;
        Self {
            expected,
            received,
            messages,
            gaps,
            gaps_unfounded,
            lost,
            lost_after_close,
            duplicates,
            reordered,
            damaged,
            foreign,
            closed_by_server,
            in_doubt,
            ready,
            failed,
        }
    }
}

impl Book {
    /// What must be reported.
    pub fn wrong(&self) -> Wrong {
        let mut sum =
            Wrong { ready: self.sessions.len() as u64, failed: self.turned_away.len() as u64, ..Wrong::default() };
        self.sessions.iter().for_each(|(client, session)| self.add(*client, session, &mut sum));
        sum
    }

    fn add(&self, client: u32, session: &Session, sum: &mut Wrong) {
        let (mut missing, mut behind) = (0, 0);
        for (stream, to) in &self.streams {
            let is_for_it = match to {
                To::Channel(channel) => session.channels.contains(channel),
                To::Client(to) => *to == client,
            };
            if !is_for_it {
                continue;
            }
            let mut seen = BTreeSet::new();
            for entry in &session.entries {
                let Entry::Message(of, seq) = entry else { continue };
                if of != stream {
                    continue;
                }
                sum.messages += 1;
                let highest = seen.last().copied();
                if !seen.insert(*seq) {
                    sum.duplicates += 1;
                } else if highest.is_some_and(|highest| highest > *seq) {
                    sum.reordered += 1;
                }
            }
            let due: BTreeSet<u64> = self.taken[stream].union(&seen).copied().collect();
            sum.expected += due.len() as u64;
            sum.received += seen.len() as u64;
            missing += due.difference(&seen).count() as u64;
            behind += due.difference(&seen).filter(|seq| seen.last().is_none_or(|last| *seq > last)).count() as u64;
        }
        self.close(session, missing, behind, sum);
    }

    fn close(&self, session: &Session, missing: u64, behind: u64, sum: &mut Wrong) {
        let announced: u64 =
            session.entries.iter().map(|entry| if let Entry::Announced(count) = entry { *count } else { 0 }).sum();
        let gaps = missing.min(announced);
        sum.gaps += gaps;
        sum.gaps_unfounded += announced - gaps;
        sum.lost += missing - gaps;
        let old = session.entries.iter().filter(|entry| **entry == Entry::Old).count() as u64;
        sum.foreign += old;
        sum.damaged += session.entries.iter().filter(|entry| **entry == Entry::Damaged).count() as u64;
        if session.entries.iter().any(|entry| matches!(entry, Entry::Ended(_))) {
            sum.closed_by_server += 1;
            sum.lost_after_close += behind.min(missing - gaps);
        }
    }

    /// Kinds of failures of clients, and how often each.
    pub fn kinds(&self) -> BTreeMap<String, u64> {
        let mut kinds = BTreeMap::new();
        let entries = self.sessions.values().flat_map(|session| &session.entries);
        let ends = entries.filter_map(|entry| if let Entry::Ended(end) = entry { Some(kind(*end)) } else { None });
        let refusals = self.turned_away.iter().map(|(_, welcome)| kind_of_refusal(*welcome));
        ends.chain(refusals).for_each(|kind| *kinds.entry(kind).or_default() += 1);
        kinds
    }
}

fn kind(end: End) -> String {
    match end {
        End::Close(code, reason) => format!("closed with {code} {reason}").trim_end().to_owned(),
        End::CloseEmpty => String::from("closed without a code"),
        End::Reset => String::from("reset"),
        End::Silent | End::HalfFrame => String::from("ended without a close frame"),
        End::Violation(_) => String::from("broke RFC 6455"),
    }
}

fn kind_of_refusal(welcome: Welcome) -> String {
    match welcome {
        Welcome::Good | Welcome::Replays => unreachable!("it was let in"),
        Welcome::Status(status) => format!("handshake answered {status}"),
        Welcome::Garbage => String::from("the answer is no HTTP"),
        Welcome::WrongKey => String::from("the handshake's answer is wrong"),
        Welcome::Silence | Welcome::NeverJoins => String::from("not ready in time"),
        Welcome::EndAtOnce => String::from("ended before it was ready"),
        Welcome::RefusesToSubscribe => String::from("refused before it was ready"),
    }
}
