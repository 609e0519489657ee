//! What the connections of a publisher share.

use std::sync::Arc;

use super::composer::Composer;
use super::ledger::Ledger;
use super::live::Live;
use crate::plan::Plan;

/// Lent to each connection for its turn.
#[derive(Debug)]
pub struct Desk {
    /// What everybody does.
    pub plan: Arc<Plan>,
    /// Writes messages.
    pub composer: Composer,
    /// The publisher's books.
    pub ledger: Ledger,
    /// What the run knows of it.
    pub live: Arc<Live>,
    /// Receivers of each of the publisher's streams.
    pub receivers: Vec<u64>,
    /// The number of its first stream.
    pub first_stream: u32,
    /// The stream of the burst that was given out last.
    pub last_stream: u32,
    /// It publishes when all is delivered: only then somebody waits for what is owed.
    pub waits: bool,
    /// To read into.
    pub buffer: Vec<u8>,
    /// The time, monotonic nanoseconds: read once for a turn.
    pub now_ns: u64,
    /// The longest a connection may take.
    pub connect_timeout_ns: u64,
}

impl Desk {
    /// So many messages of a stream are given out.
    pub fn publish(&mut self, stream: u32, messages: u32) {
        let at = self.place(stream);
        self.ledger.counts[at] += u64::from(messages);
        self.last_stream = stream;
        self.live.publish(u64::from(messages));
        if self.waits {
            self.live.owe(u64::from(messages) * self.receivers[at]);
        }
    }

    /// A message was not taken, or not sent: nobody owes its deliveries.
    pub fn refuse(&mut self, stream: u32, seq: u64, kind: &str, example: &str) {
        self.ledger.refuse(stream, seq, kind, example);
        self.excuse_refused();
    }

    /// Nobody owes the deliveries of what was refused since the last call. A refusal that does not say of what is of the burst
    /// that is waited for: there is no other.
    pub fn excuse_refused(&mut self) {
        for stream in self.ledger.take_news() {
            let receivers = self.receivers[self.place(stream.unwrap_or(self.last_stream))];
            if self.waits {
                self.live.excuse(receivers);
            }
        }
    }

    /// So many of a stream's receivers got nothing of a whole burst: they are gone, and not waited for again. One that comes
    /// back is only more than was waited for.
    pub fn forget(&mut self, stream: u32, receivers: u64) {
        let at = self.place(stream);
        self.receivers[at] = self.receivers[at].saturating_sub(receivers);
    }

    /// Position of a stream among the publisher's.
    #[must_use]
    pub const fn place(&self, stream: u32) -> usize {
        (stream - self.first_stream) as usize
    }
}
