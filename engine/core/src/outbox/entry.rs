//! One entry of an outbox: bytes of the session's own, messages of a shared batch, or a loss.
//!
//! Knows nothing of the queue it stands in.

use std::rc::Rc;

use crate::batch::{Batch, Stream};
use crate::wire::native::reply::{self, GapOf, GapReason};
use crate::wire::websocket;

/// One run of bytes.
#[derive(Debug)]
pub(super) enum Entry {
    /// Frames for this session alone.
    Own(Vec<u8>),
    /// Messages `first..end` of a shared batch, at least one.
    Shared {
        /// The batch.
        batch: Rc<Batch>,
        /// The first message that waits.
        first: u16,
        /// The first that does not.
        end: u16,
        /// Messages of the stream lost before `first` because the session is slow, not announced yet.
        ///
        /// Invariant: 0 once the socket has begun to take the entry.
        lost: u32,
    },
    /// Messages that were lost, where no message of their stream follows.
    Gap(Box<Gap>),
}

/// A loss that is not announced yet. Does not keep the batch alive: a blocked session would keep a message it never gets.
#[derive(Debug)]
pub(super) struct Gap {
    pub(super) stream: Stream,
    /// How many messages; at least 1.
    pub(super) lost: u32,
    /// Why.
    pub(super) reason: GapReason,
}

impl Entry {
    pub(super) fn gap(stream: &Stream, lost: u32, reason: GapReason) -> Self {
        Self::Gap(Box::new(Gap { stream: stream.clone(), lost, reason }))
    }

    pub(super) fn len(&self) -> usize {
        self.bytes().len()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Own(bytes) => bytes,
            Self::Shared { batch, first, end, .. } => batch.frames(*first..*end),
            Self::Gap(_) => &[],
        }
    }

    pub(super) fn is_of(&self, stream: &Stream) -> bool {
        match self {
            Self::Own(_) => false,
            Self::Shared { batch, .. } => batch.stream() == stream,
            Self::Gap(gap) => gap.stream == *stream,
        }
    }

    pub(super) const fn is_gap(&self) -> bool {
        matches!(self, Self::Gap(_))
    }

    pub(super) fn is_gap_of(&self, reason: GapReason) -> bool {
        matches!(self, Self::Gap(gap) if gap.reason == reason)
    }

    /// Whether it can count losses for this reason. Messages themselves only count the losses of slow sessions: those on
    /// the way here are too rare for four bytes in every entry.
    pub(super) fn carries(&self, reason: GapReason) -> bool {
        match self {
            Self::Own(_) => false,
            Self::Shared { .. } => reason == GapReason::SlowConsumer,
            Self::Gap(gap) => gap.reason == reason,
        }
    }

    pub(super) fn messages(&self) -> u16 {
        match self {
            Self::Shared { first, end, .. } => end - first,
            Self::Own(_) | Self::Gap(_) => 0,
        }
    }

    /// Messages lost before it, or in its place.
    pub(super) fn lost(&self) -> u32 {
        match self {
            Self::Own(_) => 0,
            Self::Shared { lost, .. } => *lost,
            Self::Gap(gap) => gap.lost,
        }
    }

    /// Loses its first message; returns how many bytes that were.
    pub(super) fn drop_first(&mut self) -> usize {
        let Self::Shared { batch, first, lost, .. } = self else { return 0 };
        *first += 1;
        *lost = lost.saturating_add(1);
        batch.len(*first - 1..*first)
    }

    pub(super) fn add_lost(&mut self, more: u32) {
        match self {
            Self::Own(_) => debug_assert!(more == 0, "answers are not lost"),
            Self::Shared { lost, .. } => *lost = lost.saturating_add(more),
            Self::Gap(gap) => gap.lost = gap.lost.saturating_add(more),
        }
    }
}

/// The frame that tells a loss.
pub(super) fn gap_frame(of: &Stream, lost: u32, reason: GapReason) -> Vec<u8> {
    let mut frame = Vec::new();
    websocket::text_frame_into(&mut frame, |out| {
        let of = match of {
            Stream::Channel(channel) => GapOf::Channel(channel.as_str()),
            Stream::User(user) => GapOf::User(user.as_str()),
            Stream::All => GapOf::All,
        };
        reply::gap(out, of, lost.into(), reason);
    });
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_small() {
        assert!(size_of::<Option<Entry>>() <= 24);
    }
}
