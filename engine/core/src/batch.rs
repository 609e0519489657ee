//! Messages of one stream, joined into one run of bytes that all its receivers share.
//!
//! Knows nothing of who receives it.

use std::collections::VecDeque;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

use crate::limits::{BATCH_BYTES_MAX, BATCH_MESSAGES_MAX};
use crate::message::{ChannelName, Publication, UserName};

/// What messages belong to: order is kept, and losses are told, within one stream.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Stream {
    /// A channel's messages.
    Channel(ChannelName),
    /// Messages to one user.
    User(UserName),
    /// Broadcasts to every session.
    All,
}

/// Whole frames of one stream, oldest first, in one contiguous run of bytes.
#[derive(Debug)]
pub struct Batch {
    stream: Stream,
    bytes: Bytes,
    /// How many messages.
    ///
    /// Invariant: the length of `ends`.
    messages: u16,
    /// Where each message ends in `bytes`.
    ///
    /// Invariant: not empty, ascending, the last is `bytes.len()`; at most [`BATCH_MESSAGES_MAX`] long.
    ends: SmallVec<[u32; 1]>,
    kinds: SmallVec<[Option<Arc<str>>; 1]>,
    /// When each message was accepted: [`Publication::accepted_us`].
    accepted_us: SmallVec<[Arc<u64>; 1]>,
}

impl Batch {
    /// What its messages belong to.
    #[must_use]
    pub const fn stream(&self) -> &Stream {
        &self.stream
    }

    /// How many messages it holds, at least 1.
    #[must_use]
    pub const fn messages(&self) -> u16 {
        self.messages
    }

    /// The frames of these messages.
    #[must_use]
    #[inline]
    pub fn frames(&self, messages: Range<u16>) -> &[u8] {
        // Nearly always: a batch is cut only for those who are slow or have muted types.
        if messages == (0..self.messages) {
            return &self.bytes;
        }
        &self.bytes[self.start(messages.start)..self.start(messages.end)]
    }

    /// Bytes of these messages.
    #[must_use]
    #[inline]
    pub fn len(&self, messages: Range<u16>) -> usize {
        if messages == (0..self.messages) {
            return self.bytes.len();
        }
        self.start(messages.end) - self.start(messages.start)
    }

    /// The type of a message.
    #[must_use]
    pub fn kind(&self, message: u16) -> Option<&str> {
        self.kinds[usize::from(message)].as_deref()
    }

    /// When its messages were accepted, in monotonic µs: those that no other shard has still to write.
    pub fn into_last_accepted_us(self) -> impl Iterator<Item = u64> {
        self.accepted_us.into_iter().filter_map(Arc::into_inner)
    }

    fn start(&self, message: u16) -> usize {
        if message == 0 { 0 } else { self.ends[usize::from(message) - 1] as usize }
    }
}

/// Messages of one stream that wait to be joined. Empty, it is one pointer: every user has one.
#[derive(Default, Debug)]
pub struct Pending {
    /// What is joined leaves at once: it holds the permit of its publication, and under load the list may never run
    /// empty.
    ///
    /// Invariant: never an empty queue.
    messages: Option<Box<Waiting>>,
}

/// Boxed, for 8 bytes instead of 40 of every user.
#[derive(Default, Debug)]
struct Waiting {
    items: VecDeque<Item>,
    /// Bytes of the messages among the items.
    bytes: usize,
}

/// One place in the stream.
#[derive(Debug)]
enum Item {
    /// A message: the position of its frame in [`Publication::frames`].
    Message(Arc<Publication>, u32),
    /// So many messages, at least 1, that will not come. Two of these never follow each other.
    Lost(u64),
}

impl Item {
    fn message(&self) -> Option<(&Arc<Publication>, &Bytes)> {
        match self {
            Self::Message(publication, frame) => Some((publication, &publication.frames[*frame as usize])),
            Self::Lost(_) => None,
        }
    }
}

impl Pending {
    /// Whether nothing waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.messages.is_none()
    }

    /// Adds a message: frame number `frame` of the publication.
    pub fn push(&mut self, publication: &Arc<Publication>, frame: usize) {
        let frame = u32::try_from(frame).expect("a push has at most 10 000 frames");
        let waiting = self.messages.get_or_insert_default();
        waiting.bytes += publication.frames[frame as usize].len();
        waiting.items.push_back(Item::Message(Arc::clone(publication), frame));
    }

    /// Notes that `count` messages will not come, at this place of the stream.
    pub fn push_lost(&mut self, count: u64) {
        let items = &mut self.messages.get_or_insert_default().items;
        if let Some(Item::Lost(lost)) = items.back_mut() {
            *lost = lost.saturating_add(count);
        } else {
            items.push_back(Item::Lost(count));
        }
    }

    /// Whether waiting for more would not make the next batch larger.
    #[must_use]
    pub fn fills_a_batch(&self) -> bool {
        let full = |waiting: &Waiting| waiting.items.len() >= BATCH_MESSAGES_MAX || waiting.bytes >= BATCH_BYTES_MAX;
        self.messages.as_deref().is_some_and(full)
    }

    /// Takes the loss that stands before the oldest message; 0: there is none.
    pub fn take_lost(&mut self) -> u64 {
        let Some(Waiting { items, .. }) = self.messages.as_deref_mut() else { return 0 };
        let Some(Item::Lost(lost)) = items.pop_front_if(|oldest| matches!(oldest, Item::Lost(_))) else { return 0 };
        if items.is_empty() {
            self.messages = None;
        }
        lost
    }

    /// Joins the oldest messages into one batch, as many as its limits allow and none behind a loss. A single message is
    /// not copied. None when nothing waits, or a loss does first: see [`Pending::take_lost`].
    pub fn join(&mut self, stream: impl FnOnce() -> Stream) -> Option<Rc<Batch>> {
        let Waiting { items, bytes: waiting_bytes } = self.messages.as_deref_mut()?;
        let count = within_limits(items.iter().map_while(Item::message));
        if count == 0 {
            return None;
        }
        let joined = || items.iter().take(count).filter_map(Item::message);
        let (mut ends, mut kinds) = (SmallVec::with_capacity(count), SmallVec::with_capacity(count));
        let mut accepted_us = SmallVec::with_capacity(count);
        let mut end = 0;
        for (publication, frame) in joined() {
            end += frame.len();
            ends.push(u32::try_from(end).expect("a batch is a few MiB at most"));
            kinds.push(publication.kind.clone());
            accepted_us.push(Arc::clone(&publication.accepted_us));
        }
        let bytes = match (count, joined().next()) {
            (1, Some((_, frame))) => frame.clone(),
            _ => {
                let mut bytes = BytesMut::with_capacity(end);
                joined().for_each(|(_, frame)| bytes.extend_from_slice(frame));
                bytes.freeze()
            }
        };
        items.drain(..count);
        *waiting_bytes -= end;
        if items.is_empty() {
            self.messages = None;
        }
        let messages = u16::try_from(count).expect("BATCH_MESSAGES_MAX fits");
        Some(Rc::new(Batch { stream: stream(), bytes, messages, ends, kinds, accepted_us }))
    }
}

/// How many of the oldest messages fit into one batch, at least 1 if there are any.
fn within_limits<'m>(mut waiting: impl Iterator<Item = (&'m Arc<Publication>, &'m Bytes)>) -> usize {
    let Some((_, first)) = waiting.next() else { return 0 };
    let mut bytes = first.len();
    let fits = |(_, frame): &(&Arc<Publication>, &Bytes)| {
        bytes += frame.len();
        bytes <= BATCH_BYTES_MAX
    };
    1 + waiting.take(BATCH_MESSAGES_MAX - 1).take_while(fits).count()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::message::Target;

    /// A publication to all whose only frame is `bytes`.
    pub(crate) fn publication(bytes: &[u8], kind: Option<&str>) -> Arc<Publication> {
        let frames = vec![Bytes::copy_from_slice(bytes)];
        Arc::new(Publication {
            to: Target::All,
            kind: kind.map(Into::into),
            accepted_us: Arc::new(9),
            frames,
            permit: None,
        })
    }

    fn pending(frames: &[&[u8]]) -> Pending {
        let mut pending = Pending::default();
        frames.iter().for_each(|frame| pending.push(&publication(frame, None), 0));
        pending
    }

    #[test]
    fn frames_join_in_order_and_can_be_cut_between_messages() {
        let batch = pending(&[b"aa", b"b", b"cccc"]).join(|| Stream::All).expect("three messages");
        assert_eq!(batch.messages(), 3);
        assert_eq!(batch.frames(0..3), b"aabcccc");
        assert_eq!(batch.frames(1..2), b"b");
        assert_eq!(batch.len(1..3), 5);
        assert_eq!(batch.frames(2..2), b"");
    }

    #[test]
    fn a_single_message_is_shared_not_copied() {
        let message = publication(b"frame", Some("news"));
        let mut pending = Pending::default();
        pending.push(&message, 0);
        let batch = pending.join(|| Stream::All).expect("one message");
        assert_eq!(batch.frames(0..1).as_ptr(), message.frames[0].as_ptr());
        assert_eq!(batch.kind(0), Some("news"));
        assert!(pending.is_empty());
    }

    #[test]
    fn what_does_not_fit_into_a_batch_waits_for_the_next() {
        let big = vec![b'x'; BATCH_BYTES_MAX];
        let mut pending = pending(&[b"a", &big, b"c"]);
        let sizes: Vec<_> =
            std::iter::from_fn(|| pending.join(|| Stream::All)).map(|batch| batch.len(0..batch.messages())).collect();
        assert_eq!(sizes, [1, BATCH_BYTES_MAX, 1]);
        let mut many = Pending::default();
        (0..BATCH_MESSAGES_MAX + 1).for_each(|_| many.push(&publication(b"m", None), 0));
        let counts: Vec<_> = std::iter::from_fn(|| many.join(|| Stream::All)).map(|batch| batch.messages()).collect();
        assert_eq!(counts, [64, 1]);
    }

    #[test]
    fn a_message_over_the_limit_goes_alone() {
        let big = vec![b'x'; BATCH_BYTES_MAX + 1];
        let mut pending = pending(&[&big, b"c"]);
        let batch = pending.join(|| Stream::All).expect("the big one");
        assert_eq!(batch.messages(), 1);
        assert!(!pending.is_empty());
    }

    #[test]
    fn a_joined_message_is_let_go_while_others_still_wait() {
        let message = publication(b"m", None);
        let mut pending = Pending::default();
        (0..=BATCH_MESSAGES_MAX).for_each(|_| pending.push(&message, 0));
        drop(pending.join(|| Stream::All));
        assert_eq!(Arc::strong_count(&message), 2, "one still waits");
    }

    #[test]
    fn a_loss_keeps_its_place_between_messages() {
        let mut pending = pending(&[b"a", b"b"]);
        pending.push_lost(2);
        pending.push_lost(1);
        pending.push(&publication(b"c", None), 0);
        let joined = |pending: &mut Pending| pending.join(|| Stream::All).map(|batch| batch.messages());
        assert_eq!((pending.take_lost(), joined(&mut pending)), (0, Some(2)));
        assert_eq!(joined(&mut pending), None, "the loss comes first");
        assert_eq!((pending.take_lost(), joined(&mut pending)), (3, Some(1)));
        assert!(pending.is_empty());
        pending.push_lost(4);
        assert_eq!((pending.take_lost(), pending.is_empty()), (4, true));
        assert_eq!(size_of::<Item>(), 16, "a loss costs the messages nothing");
    }
}
