//! What nodes tell each other, and how a receiver knows that it got everything.
//!
//! | file | owns |
//! |---|---|
//! | `envelope` | the bytes of one relayed message: versioned, length-checked |
//! | `numbers` | the sending side: every message's number within its stream |
//! | `ledger` | the receiving side: what arrived twice, and what did not arrive |
//!
//! Every message of a stream is either delivered, or part of a loss that is told, and never both:
//!
//! - A node numbers what it sends to a stream, also what it has to drop. Redis keeps the [`Head`]s.
//! - A receiver delivers ascending numbers of a sender only. A number that is skipped is lost, and stays lost: if its
//!   message comes after all, it is not delivered.
//! - Losses at the end of a stream show without a further message: their sender announces what it dropped, and a
//!   receiver whose connection was cut compares the heads with its ledger.
//! - When Redis lost its memory, every sender announces what it used lately: nobody else knows it any more.
//!
//! Knows nothing of Redis, sockets and threads.

mod envelope;
mod ledger;
mod numbers;
#[cfg(test)]
mod tests;

pub use envelope::{Body, Envelope, EnvelopeError, VERSION};
pub use ledger::{Ledger, Receipt};
pub use numbers::Numbers;

/// Which node sent something: [`crate::id::SessionId::boot`] of its sessions.
pub type NodeId = u64;

/// A message's place among those that one node sent to one stream.
///
/// Numbers count from 1 within a generation. A node that has not used a stream for long forgets it and begins a new
/// generation; so a new generation says that everything of the one before is long settled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Number {
    /// Ascending for one node, whatever the stream. A push to a user who is offline may use one up, so that 32 bits would
    /// last days.
    pub generation: u64,
    /// From 1.
    pub number: u64,
    /// How many messages right before this one its node had to drop, as far as it has not announced them. In an
    /// announcement, this one may be the last of them.
    ///
    /// Invariant: less than `number`; in an announcement, not more.
    pub lost: u64,
}

impl Number {
    /// What Redis is to note for an announcement: where it knows no head of the generation, all of it is missing.
    #[must_use]
    pub const fn of_announcement(self) -> Self {
        Self { lost: self.number.saturating_sub(1), ..self }
    }
}

/// What Redis remembers of one node's messages to a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    /// The node.
    pub origin: NodeId,
    /// The generation of both numbers.
    pub generation: u64,
    /// The first number of the generation that was meant for whoever is there now: the [`Number::number`] less the
    /// [`Number::lost`] of the first that Redis noted.
    pub first: u64,
    /// The last.
    pub last: u64,
}

/// After how long unused, in ms, a sender forgets a stream, and Redis the heads of one: 15 minutes.
pub const UNUSED_MS: u64 = 15 * 60 * 1_000;

/// After how long unheard, in ms, a receiver forgets a sender: surely after the sender forgot the stream.
pub const UNHEARD_MS: u64 = 2 * UNUSED_MS;

/// A time in 4 bytes, for what is kept by the million: units of 1 024 ms.
const fn coarse(ms: u64) -> u32 {
    (ms >> 10) as u32
}
