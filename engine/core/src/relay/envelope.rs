//! One relayed message as bytes: versioned, length-checked, whoever wrote it.
//!
//! Big-endian. `version u8, kind u8, origin u64, sent u64`, then by kind:
//!
//! | kind | body |
//! |---|---|
//! | message | stream, number, `0` or `1` and the type, the frame to the end |
//! | announce | stream, number |
//! | close | reason u8, count u32, for each session `boot u64, shard u16, index u32, generation u32` |
//! | muted | user, count u32, the types, ascending |
//! | ask, answer | `ticket u64`, which u8, its fields |
//! | schedules | nothing |
//! | marker | `ticket u64` |
//!
//! A stream is `0` (all), `1` and a user, `2` and a channel; a number is generation u64, number u64, lost u64; a text is its
//! length u32 and UTF-8. Nothing may be left over. Knows nothing of how the bytes travel.

mod decode;
mod encode;

use std::sync::Arc;

use bytes::Bytes;

use super::{NodeId, Number};
use crate::batch::Stream;
use crate::close::CloseReason;
use crate::id::SessionId;
use crate::mail::{Answer, Mutes, Question};
use crate::message::UserName;

/// The version this node writes. It skips others, and counts them.
pub const VERSION: u8 = 1;

/// What one node tells others.
#[derive(Debug)]
pub struct Envelope {
    /// Who sent it.
    pub origin: NodeId,
    /// When, in ms since 1970 by Redis's clock.
    pub sent_unix_ms: u64,
    /// What.
    pub body: Body,
}

/// See [`Envelope`].
#[derive(Debug)]
pub enum Body {
    /// A push.
    Message {
        /// Of which stream.
        stream: Stream,
        /// Its place in it.
        number: Number,
        /// The message type.
        kind: Option<Arc<str>>,
        /// The whole WebSocket text frame, as every node's clients get it.
        frame: Bytes,
    },
    /// Everything up to and including this number has been sent: whoever misses some lost it.
    Announce {
        /// Of which stream.
        stream: Stream,
        /// The newest.
        number: Number,
    },
    /// Close these sessions, those that are yours.
    Close {
        /// Which.
        sessions: Vec<SessionId>,
        /// Why.
        reason: CloseReason,
    },
    /// A user's muted types changed.
    Muted {
        /// The user.
        user: UserName,
        /// All of them.
        mutes: Mutes,
    },
    /// A question to every node that gets this.
    Ask {
        /// The asker's name for it.
        ticket: u64,
        /// What: [`Question::Channels`] or [`Question::Channel`].
        question: Question,
    },
    /// One node's answer.
    Answer {
        /// What [`Body::Ask`] named.
        ticket: u64,
        /// The part: [`Answer::Channels`] or [`Answer::Channel`], counted as the answering node's own sessions.
        answer: Answer,
    },
    /// The cluster's schedules changed.
    Schedules,
    /// From a node to itself: what was sent to it before has arrived when this does.
    Marker {
        /// Its name.
        ticket: u64,
    },
}

/// Why bytes are no envelope.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EnvelopeError {
    /// Of a version this node does not know.
    Version(u8),
    /// Cut short, too long, or not what it says.
    Malformed,
}

impl Envelope {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode_into(&mut out);
        out
    }

    /// Appends its bytes. A frame is copied once: into `out`.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        encode::envelope(self, out);
    }

    /// Reads it back. The frame shares `bytes`.
    ///
    /// # Errors
    /// [`EnvelopeError`]; never a panic, and no more memory than a small multiple of `bytes`.
    pub fn decode(bytes: &Bytes) -> Result<Self, EnvelopeError> {
        decode::envelope(bytes)
    }
}

/// The byte behind the version: what the body is.
mod kind {
    pub(super) const MESSAGE: u8 = 1;
    pub(super) const ANNOUNCE: u8 = 2;
    pub(super) const CLOSE: u8 = 3;
    pub(super) const MUTED: u8 = 4;
    pub(super) const ASK: u8 = 5;
    pub(super) const ANSWER: u8 = 6;
    pub(super) const SCHEDULES: u8 = 7;
    pub(super) const MARKER: u8 = 8;
}

/// The first byte of things that are one of several.
mod tag {
    pub(super) const STREAM_ALL: u8 = 0;
    pub(super) const STREAM_USER: u8 = 1;
    pub(super) const STREAM_CHANNEL: u8 = 2;

    pub(super) const CHANNELS: u8 = 1;
    pub(super) const CHANNEL: u8 = 2;

    pub(super) const REPLACED: u8 = 1;
    pub(super) const KICKED: u8 = 2;

    /// What never crosses: no decoder takes it.
    pub(super) const NEVER: u8 = u8::MAX;
}
