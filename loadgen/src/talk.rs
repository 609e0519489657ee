//! What the run tells its workers, and what they report: values that cross threads, and processes as lines of JSON.

use serde::{Deserialize, Serialize};

use crate::hist::Hist;

/// From the run to a worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Order {
    /// Open the connections, the first at this time.
    Connect {
        /// Monotonic nanoseconds.
        at_ns: u64,
    },
    /// The steady phase: activities, churn and slow readers run, and what arrives counts.
    Steady {
        /// Its beginning, monotonic nanoseconds: the first message is due then.
        from_ns: u64,
        /// Its end.
        until_ns: u64,
    },
    /// Publishing is over: so many messages went into each stream, and these of them the server did not take.
    Published {
        /// By stream.
        counts: Vec<u64>,
        /// Stream and number.
        refused: Vec<(u32, u64)>,
    },
    /// Close everything over this time, then report the tally.
    Finish {
        /// Monotonic nanoseconds.
        until_ns: u64,
    },
}

/// From a worker to the run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Report {
    /// How it stands, four times a second.
    Progress(Box<Progress>),
    /// The last word.
    Tally(Box<Tally>),
    /// It cannot go on.
    Failed(String),
}

/// How a worker stands.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Progress {
    /// Since its start.
    pub counts: Counts,
    /// Latencies since the last report, from when a message was due.
    pub latency: Hist,
    /// First and last arrival of watched messages (see `Plan::skew_every`) that this worker saw since the last report.
    pub arrivals: Vec<Arrival>,
    /// Every session this worker answers for has got all it can expect by what it knows: after [`Order::Published`].
    pub settled: bool,
    /// Processor time of this thread so far, nanoseconds.
    pub cpu_ns: u64,
    /// Kinds of failures so far. Empty: none, or none since the last report.
    #[serde(default)]
    pub failures: Vec<Failures>,
}

/// When a watched message arrived at a worker's clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// Its stream.
    pub stream: u32,
    /// Its number.
    pub seq: u64,
    /// Monotonic nanoseconds.
    pub first_ns: u64,
    /// Monotonic nanoseconds.
    pub last_ns: u64,
    /// How many clients.
    pub receivers: u32,
}

/// Plain counts, since the start. Adding two is adding every field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Connections begun, churn included.
    pub started: u64,
    /// Of these, opened and ready: signed in, subscribed.
    pub ready: u64,
    /// Failed before they were ready.
    pub failed: u64,
    /// Ended by the server though they were ready.
    pub closed_by_server: u64,
    /// Ended by this tool as planned: churn and ramp-down.
    pub closed_by_plan: u64,
    /// Stamped messages that arrived, duplicates included.
    pub messages: u64,
    /// Messages that sessions should have got by their numbers: known at the end.
    pub expected: u64,
    /// Distinct expected messages that arrived.
    pub received: u64,
    /// Missing messages the server announced.
    pub gaps: u64,
    /// Announced by the server although they arrived or nobody sent them.
    pub gaps_unfounded: u64,
    /// Missing and not announced.
    pub lost: u64,
    /// Of these, missed by sessions that the server had closed.
    pub lost_after_close: u64,
    /// Arrived again.
    pub duplicates: u64,
    /// Arrived after a later one of their stream.
    pub reordered: u64,
    /// Arrived at a session that need not have got them: sent while it was coming or going.
    pub in_doubt: u64,
    /// Arrived before they were sent, by the clock of their sender: their latency is not known.
    #[serde(default)]
    pub from_ahead: u64,
    /// Whose stamp or length was not what was sent.
    pub damaged: u64,
    /// Stamped by another run, which shared a channel with this one or left messages with the server; in no other count.
    #[serde(default)]
    pub foreign: u64,
    /// Sent by clients: echo and peer.
    pub sent: u64,
    /// Due at clients and never sent: the server had not answered those before.
    #[serde(default)]
    pub unsent: u64,
    /// Periodic pushes that arrived.
    pub ticks: u64,
    /// Periodic pushes that came before they were due.
    pub ticks_early: u64,
    /// Bytes read from sockets, before TLS is taken off them none.
    pub bytes_read: u64,
    /// Of these: heads of handshakes.
    pub bytes_handshake: u64,
    /// Of these: whole frames, headers included.
    pub bytes_frames: u64,
    /// Of these: begun frames whose end never came.
    pub bytes_partial: u64,
    /// Payload bytes of stamped messages.
    pub bytes_payload: u64,
    /// Bytes written to sockets.
    pub bytes_written: u64,
    /// Whole frames read.
    pub frames: u64,
    /// Frames the server sent to refuse something.
    pub refusals: u64,
    /// Bytes that sockets did not take at once, now.
    pub backlog_bytes: u64,
}

impl Counts {
    /// Sessions that are ready now.
    #[must_use]
    pub const fn connections(&self) -> u64 {
        self.ready.saturating_sub(self.closed_by_server + self.closed_by_plan)
    }

    /// Messages that arrived and that their sessions had to get and did not have: what processor time and rates are counted by.
    #[must_use]
    pub const fn delivered(&self) -> u64 {
        self.messages.saturating_sub(self.duplicates + self.in_doubt)
    }

    /// Adds every field.
    pub const fn add(&mut self, other: &Self) {
        self.started += other.started;
        self.ready += other.ready;
        self.failed += other.failed;
        self.closed_by_server += other.closed_by_server;
        self.closed_by_plan += other.closed_by_plan;
        self.messages += other.messages;
        self.expected += other.expected;
        self.received += other.received;
        self.gaps += other.gaps;
        self.gaps_unfounded += other.gaps_unfounded;
        self.lost += other.lost;
        self.lost_after_close += other.lost_after_close;
        self.duplicates += other.duplicates;
        self.reordered += other.reordered;
        self.in_doubt += other.in_doubt;
        self.from_ahead += other.from_ahead;
        self.damaged += other.damaged;
        self.foreign += other.foreign;
        self.sent += other.sent;
        self.unsent += other.unsent;
        self.ticks += other.ticks;
        self.ticks_early += other.ticks_early;
        self.bytes_read += other.bytes_read;
        self.bytes_handshake += other.bytes_handshake;
        self.bytes_frames += other.bytes_frames;
        self.bytes_partial += other.bytes_partial;
        self.bytes_payload += other.bytes_payload;
        self.bytes_written += other.bytes_written;
        self.frames += other.frames;
        self.refusals += other.refusals;
        self.backlog_bytes += other.backlog_bytes;
    }
}

/// A kind of failure, how often, and one example.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failures {
    /// As in `connection refused`, `handshake answered 403`, `closed with 4501 slow consumer`.
    pub kind: String,
    /// How often.
    pub count: u64,
    /// The first one's words.
    pub example: String,
}

/// All a worker has to say.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Final.
    pub counts: Counts,
    /// From when a message was due.
    pub latency: Hist,
    /// From when it was written.
    pub latency_uncorrected: Hist,
    /// From when a connection was due to when it was ready.
    pub connect: Hist,
    /// Periodic pushes: from when one was due.
    pub jitter: Hist,
    /// How late timers of the steady phase were.
    pub slip: Hist,
    /// How late connections were begun that were due at a time.
    pub slip_opening: Hist,
    /// Kinds of failures, at most [`FAILURE_KINDS_MAX`].
    pub failures: Vec<Failures>,
    /// Processor time of this thread from the beginning of the steady phase until [`Order::Finish`], nanoseconds.
    pub cpu_steady_ns: u64,
    /// Messages and periodic pushes that were delivered in the same time: those that came again, or are in doubt, are none.
    pub deliveries_steady: u64,
    /// Messages that were delivered while the steady phase lasted; of the same kind.
    pub delivered_steady: u64,
    /// Sessions that got ready before the steady phase.
    pub opened: Opened,
    /// Clients when the steady phase ended.
    pub remaining: Remaining,
}

/// Clients when the steady phase ended, without slow readers: those do not hear that their server is gone. 0 of all where
/// there was no steady phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remaining {
    /// Those that had a session, or were about to: who was just renewed as planned is there, too.
    pub there: u64,
    /// Those that had none.
    pub gone: u64,
}

impl Remaining {
    /// Adds those of another worker.
    pub const fn add(&mut self, other: &Self) {
        self.there += other.there;
        self.gone += other.gone;
    }

    /// Nobody was there any more.
    #[must_use]
    pub const fn is_nobody(&self) -> bool {
        self.there == 0 && self.gone > 0
    }
}

/// Sessions that got ready before the steady phase: when the first was due, and when the last was ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// How many.
    pub count: u64,
    /// Monotonic nanoseconds; 0 without any.
    pub first_due_ns: u64,
    /// Monotonic nanoseconds; 0 without any.
    pub last_ready_ns: u64,
}

impl Opened {
    /// One more.
    pub const fn one(&mut self, due_ns: u64, ready_ns: u64) {
        self.add(&Self { count: 1, first_due_ns: due_ns, last_ready_ns: ready_ns });
    }

    /// Adds those of another worker.
    pub const fn add(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 || other.first_due_ns < self.first_due_ns {
            self.first_due_ns = other.first_due_ns;
        }
        if other.last_ready_ns > self.last_ready_ns {
            self.last_ready_ns = other.last_ready_ns;
        }
        self.count += other.count;
    }
}

/// Kinds of failures told apart; further ones are counted under `other`.
pub const FAILURE_KINDS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_twice_or_is_in_doubt_is_not_delivered() {
        let counts = Counts { messages: 10, duplicates: 3, in_doubt: 2, ..Counts::default() };
        assert_eq!(counts.delivered(), 5);
    }

    #[test]
    fn adding_counts_adds_every_field() {
        let names = serde_json::to_value(Counts::default()).expect("plain numbers");
        let names = names.as_object().expect("named fields").keys();
        let ones: serde_json::Map<_, _> = (1_u64..).zip(names).map(|(at, name)| (name.clone(), at.into())).collect();
        let counts: Counts = serde_json::from_value(ones.clone().into()).expect("all fields");
        let mut sum = counts;
        sum.add(&counts);
        let sum = serde_json::to_value(sum).expect("plain numbers");
        assert!(ones.iter().all(|(name, one)| sum[name].as_u64() == one.as_u64().map(|one| one * 2)), "{sum}");
    }
}
