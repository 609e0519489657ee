//! What waits for one socket: shared batches and the session's own answers, in order.
//!
//! Knows nothing of sockets, and of slow consumers only what [`crate::slow`] asks it to drop.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::ops::Range;
use std::rc::Rc;

use crate::batch::{Batch, Stream};
use crate::wire::native::reply::{self, GapOf};
use crate::wire::websocket;

/// Entries prepared for one write: more slices than this cost the kernel more than a second write.
pub const SLICES_MAX: usize = 64;

/// Bytes of the session's own joined into one entry. What the socket took of an entry is freed with its last byte: a peer
/// that never quite catches up must not keep everything it ever got alive.
const OWN_BYTES_MAX: usize = 8 * 1024;

/// Bytes waiting for one socket. Empty, it owns no heap.
#[derive(Default, Debug)]
pub struct Outbox {
    /// The oldest entry.
    ///
    /// Invariant: none ⇒ `rest` is none.
    head: Option<Entry>,
    /// The entries after it.
    ///
    /// Invariant: never an empty queue.
    #[expect(clippy::box_collection, reason = "8 bytes instead of 32 in every idle connection")]
    rest: Option<Box<VecDeque<Entry>>>,
    /// Bytes of `head` the socket already took.
    ///
    /// Invariant: 0 without a head, else less than its length.
    head_sent: u32,
    /// Bytes of all entries that the socket has not taken.
    bytes: u32,
}

/// One run of bytes.
#[derive(Debug)]
pub(crate) enum Entry {
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
        /// Messages of the stream lost before `first`, not announced yet.
        ///
        /// Invariant: 0 once the socket has begun to take the entry.
        lost: u32,
    },
    /// Messages that were lost, where no message of their stream follows.
    Gap(Box<Gap>),
}

/// A loss that is not announced yet. Does not keep the batch alive: a blocked session would keep a message it never gets.
#[derive(Debug)]
pub(crate) struct Gap {
    stream: Stream,
    /// How many messages; at least 1.
    lost: u32,
}

impl Entry {
    fn len(&self) -> usize {
        self.bytes().len()
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Own(bytes) => bytes,
            Self::Shared { batch, first, end, .. } => batch.frames(*first..*end),
            Self::Gap(_) => &[],
        }
    }

    fn is_of(&self, stream: &Stream) -> bool {
        match self {
            Self::Own(_) => false,
            Self::Shared { batch, .. } => batch.stream() == stream,
            Self::Gap(gap) => gap.stream == *stream,
        }
    }

    fn messages(&self) -> u16 {
        match self {
            Self::Shared { first, end, .. } => end - first,
            Self::Own(_) | Self::Gap(_) => 0,
        }
    }

    /// Messages lost before it, or in its place.
    fn lost(&self) -> u32 {
        match self {
            Self::Own(_) => 0,
            Self::Shared { lost, .. } => *lost,
            Self::Gap(gap) => gap.lost,
        }
    }

    /// Loses its first message; returns how many bytes that were.
    fn drop_first(&mut self) -> usize {
        let Self::Shared { batch, first, lost, .. } = self else { return 0 };
        *first += 1;
        *lost = lost.saturating_add(1);
        batch.len(*first - 1..*first)
    }

    fn add_lost(&mut self, more: u32) {
        match self {
            Self::Own(_) => debug_assert!(more == 0, "answers are not lost"),
            Self::Shared { lost, .. } => *lost = lost.saturating_add(more),
            Self::Gap(gap) => gap.lost = gap.lost.saturating_add(more),
        }
    }
}

impl Outbox {
    /// Whether nothing waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.head.is_none()
    }

    /// Bytes that wait.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes as usize
    }

    /// Appends frames of the session's own.
    pub fn push_own(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if let Some(Entry::Own(own)) = self.last_mut()
            && own.len() < OWN_BYTES_MAX
        {
            let before = own.len();
            write(own);
            let added = own.len() - before;
            self.grow(added);
            return;
        }
        let mut own = Vec::new();
        write(&mut own);
        if !own.is_empty() {
            self.push(Entry::Own(own));
        }
    }

    /// Appends messages of a shared batch.
    #[inline]
    pub fn push_shared(&mut self, batch: &Rc<Batch>, messages: Range<u16>) {
        self.push(Entry::Shared { batch: Rc::clone(batch), first: messages.start, end: messages.end, lost: 0 });
    }

    /// Notes that `lost` messages of the stream will not come, at this place of the queue.
    pub fn push_lost(&mut self, stream: &Stream, lost: u32) {
        if let Some(gap @ Entry::Gap(_)) = self.newest_of(stream) {
            gap.add_lost(lost);
            return;
        }
        self.push(Entry::Gap(Box::new(Gap { stream: stream.clone(), lost })));
    }

    /// Turns losses within the next write's reach into `gap` frames; returns how many. Called before every write.
    pub fn announce(&mut self) -> u64 {
        let mut gaps = 0;
        // The head and as many entries after it as a write may reach; a frame put in counts as one of them.
        let mut at = 0;
        while at <= SLICES_MAX {
            let Some(entry) = self.entry_mut(at) else { break };
            let (frame, alone) = match entry {
                Entry::Shared { batch, lost, .. } if *lost > 0 => {
                    (gap_frame(batch.stream(), std::mem::take(lost)), false)
                }
                Entry::Gap(gap) => (gap_frame(&gap.stream, gap.lost), true),
                Entry::Own(_) | Entry::Shared { .. } => {
                    at += 1;
                    continue;
                }
            };
            gaps += 1;
            self.grow(frame.len());
            self.put(at, Entry::Own(frame), alone);
            at += if alone { 1 } else { 2 };
        }
        gaps
    }

    /// Puts an entry before the one at `at`, or in its place.
    fn put(&mut self, at: usize, entry: Entry, in_place: bool) {
        if in_place {
            if let Some(old) = self.entry_mut(at) {
                *old = entry;
            }
            return;
        }
        match at.checked_sub(1) {
            None => {
                if let Some(old) = self.head.replace(entry) {
                    self.rest.get_or_insert_default().push_front(old);
                }
            }
            Some(at) => self.rest.get_or_insert_default().insert(at, entry),
        }
    }

    /// Fills `slices` with what the socket should take next; returns how many were filled.
    pub fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let entries = self.head.iter().chain(self.rest.iter().flat_map(|rest| rest.iter()));
        let mut filled = 0;
        for (slice, entry) in slices.iter_mut().zip(entries) {
            let skip = if filled == 0 { self.head_sent as usize } else { 0 };
            *slice = IoSlice::new(&entry.bytes()[skip..]);
            filled += 1;
        }
        filled
    }

    /// The socket took `bytes`; shared batches it took the last of go to `done`.
    pub fn advance(&mut self, bytes: usize, mut done: impl FnMut(Rc<Batch>)) {
        debug_assert!(bytes <= self.bytes());
        self.bytes -= u32::try_from(bytes).expect("no more than waited");
        let mut left = bytes + self.head_sent as usize;
        while let Some(head) = &self.head {
            let len = head.len();
            if left < len || matches!(head, Entry::Gap(_)) {
                break;
            }
            left -= len;
            if let Some(Entry::Shared { batch, .. }) = self.pop_head() {
                done(batch);
            }
        }
        self.head_sent = u32::try_from(left).expect("less than the head's length");
    }

    /// Drops every shared message the socket has not begun to take, and returns how many those were. Answers stay, and
    /// one gap for each stream.
    pub fn drop_shared(&mut self) -> u64 {
        if self.head_sent > 0 {
            self.split_begun();
        }
        let begun = if self.head_sent > 0 { self.pop_head() } else { None };
        let mut kept = VecDeque::new();
        let mut gaps: Vec<Gap> = Vec::new();
        let mut dropped = 0;
        while let Some(entry) = self.pop_head() {
            let (stream, lost) = match entry {
                Entry::Own(_) => {
                    kept.push_back(entry);
                    continue;
                }
                Entry::Shared { batch, first, end, lost } => {
                    dropped += u64::from(end - first);
                    (batch.stream().clone(), lost.saturating_add(u32::from(end - first)))
                }
                Entry::Gap(gap) => (gap.stream, gap.lost),
            };
            match gaps.iter_mut().find(|gap| gap.stream == stream) {
                Some(gap) => gap.lost = gap.lost.saturating_add(lost),
                None => gaps.push(Gap { stream, lost }),
            }
        }
        self.bytes = begun.as_ref().map_or(0, Entry::len) as u32 - self.head_sent;
        self.head = begun;
        kept.into_iter()
            .chain(gaps.into_iter().map(|gap| Entry::Gap(Box::new(gap))))
            .for_each(|entry| self.push(entry));
        dropped
    }

    /// Lets go of whole messages of `stream`, oldest first, that the socket has not begun to take, until `enough`
    /// says so (it is given the bytes freed so far). Returns how many messages went; their place keeps the count.
    pub(crate) fn drop_oldest(&mut self, stream: &Stream, mut enough: impl FnMut(usize) -> bool) -> u64 {
        let (mut freed, mut dropped, mut carried) = (0, 0, 0);
        if self.head.as_ref().is_some_and(|head| head.is_of(stream)) && self.head_sent > 0 {
            self.split_begun();
        }
        let mut at = usize::from(self.head_sent > 0);
        while !enough(freed) {
            let Some(entry) = self.entry_mut(at) else { break };
            if !entry.is_of(stream) {
                at += 1;
                continue;
            }
            entry.add_lost(std::mem::take(&mut carried));
            while entry.messages() > 0 && !enough(freed) {
                freed += entry.drop_first();
                dropped += 1;
            }
            if entry.messages() > 0 {
                break;
            }
            // What is emptied gives its count to the next of its stream, or stays as the gap itself.
            if self.has_later(at, stream) {
                carried = self.remove(at).map_or(0, |entry| entry.lost());
            } else {
                self.leave_gap(at);
                at += 1;
            }
        }
        if carried > 0 {
            self.carry(at, stream, carried);
        }
        self.bytes -= u32::try_from(freed).expect("no more than waited");
        dropped
    }

    fn carry(&mut self, from: usize, stream: &Stream, carried: u32) {
        let next = (from..).map_while(|at| self.entry_at(at).map(|entry| (at, entry.is_of(stream))));
        let next = next.filter_map(|(at, is_of)| is_of.then_some(at)).next();
        debug_assert!(next.is_some(), "has_later saw an entry to carry to");
        if let Some(entry) = next.and_then(|at| self.entry_mut(at)) {
            entry.add_lost(carried);
        }
    }

    /// Puts a gap in the place of an entry that holds no messages any more.
    fn leave_gap(&mut self, at: usize) {
        let Some(entry) = self.entry_mut(at) else { return };
        if let Entry::Shared { batch, lost, .. } = entry {
            *entry = Entry::Gap(Box::new(Gap { stream: batch.stream().clone(), lost: *lost }));
        }
    }

    /// Cuts the head so that the message the socket has begun stands alone in it, and those it has taken are gone.
    ///
    /// Their bytes left `bytes` when the socket took them. Answers stay whole: they are not searched for a frame's end.
    fn split_begun(&mut self) {
        let Some(Entry::Shared { batch, first, end, lost }) = &mut self.head else { return };
        debug_assert!(*lost == 0, "losses are announced before their entry is begun");
        let sent = self.head_sent as usize;
        let begun = (*first..*end).find(|message| sent < batch.len(*first..*message + 1));
        let Some(begun) = begun else { return };
        self.head_sent -= u32::try_from(batch.len(*first..begun)).expect("within what was sent");
        let rest = begun + 1..*end;
        (*first, *end) = (begun, begun + 1);
        if !rest.is_empty() {
            let later = Entry::Shared { batch: Rc::clone(batch), first: rest.start, end: rest.end, lost: 0 };
            self.rest.get_or_insert_default().push_front(later);
        }
    }

    fn has_later(&self, at: usize, stream: &Stream) -> bool {
        self.entries().skip(at + 1).any(|entry| entry.is_of(stream))
    }

    fn newest_of(&mut self, stream: &Stream) -> Option<&mut Entry> {
        if let Some(rest) = &mut self.rest
            && let Some(at) = rest.iter().rposition(|entry| entry.is_of(stream))
        {
            return self.rest.as_mut().and_then(|rest| rest.get_mut(at));
        }
        self.head.as_mut().filter(|head| head.is_of(stream))
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.head.iter().chain(self.rest.iter().flat_map(|rest| rest.iter()))
    }

    fn entry_at(&self, at: usize) -> Option<&Entry> {
        match at.checked_sub(1) {
            None => self.head.as_ref(),
            Some(at) => self.rest.as_ref()?.get(at),
        }
    }

    fn entry_mut(&mut self, at: usize) -> Option<&mut Entry> {
        match at.checked_sub(1) {
            None => self.head.as_mut(),
            Some(at) => self.rest.as_mut()?.get_mut(at),
        }
    }

    fn last_mut(&mut self) -> Option<&mut Entry> {
        match &mut self.rest {
            Some(rest) => rest.back_mut(),
            None => self.head.as_mut(),
        }
    }

    #[inline]
    fn push(&mut self, entry: Entry) {
        self.grow(entry.len());
        if self.head.is_none() {
            self.head = Some(entry);
        } else {
            self.rest.get_or_insert_default().push_back(entry);
        }
    }

    fn pop_head(&mut self) -> Option<Entry> {
        let next = self.rest.as_mut().and_then(|rest| rest.pop_front());
        if self.rest.as_ref().is_some_and(|rest| rest.is_empty()) {
            self.rest = None;
        }
        std::mem::replace(&mut self.head, next)
    }

    fn remove(&mut self, at: usize) -> Option<Entry> {
        let Some(at) = at.checked_sub(1) else { return self.pop_head() };
        let rest = self.rest.as_mut()?;
        let removed = rest.remove(at);
        if rest.is_empty() {
            self.rest = None;
        }
        removed
    }

    fn grow(&mut self, bytes: usize) {
        self.bytes = u32::try_from(self.bytes() + bytes).expect("an outbox is a few MiB at most");
    }

    /// Asserts what the fields promise; for tests and debug builds.
    #[cfg(any(test, debug_assertions))]
    pub fn assert_invariants(&self) {
        assert!(self.head.is_some() || self.rest.is_none());
        assert!(self.rest.as_ref().is_none_or(|rest| !rest.is_empty()));
        let waiting: usize = self.entries().map(Entry::len).sum();
        assert_eq!(waiting, self.bytes() + self.head_sent as usize);
        assert!(self.head_sent == 0 || (self.head_sent as usize) < self.head.as_ref().map_or(0, Entry::len));
        assert!(self.head_sent == 0 || self.head.as_ref().is_none_or(|head| head.lost() == 0));
        for entry in self.entries() {
            match entry {
                Entry::Own(own) => assert!(!own.is_empty()),
                Entry::Shared { batch, first, end, .. } => assert!(first < end && *end <= batch.messages()),
                Entry::Gap(gap) => assert!(gap.lost > 0),
            }
        }
    }
}

fn gap_frame(of: &Stream, lost: u32) -> Vec<u8> {
    let mut frame = Vec::new();
    websocket::text_frame_into(&mut frame, |out| {
        let of = match of {
            Stream::Channel(channel) => GapOf::Channel(channel.as_str()),
            Stream::User(user) => GapOf::User(user.as_str()),
            Stream::All => GapOf::All,
        };
        reply::gap(out, of, lost.into());
    });
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_the_socket_took_are_freed_though_more_always_wait() {
        let mut outbox = Outbox::default();
        let answer = [b'x'; 1_000];
        outbox.push_own(|out| out.extend_from_slice(&answer));
        for _ in 0..1_000 {
            outbox.push_own(|out| out.extend_from_slice(&answer));
            outbox.advance(answer.len(), drop);
            outbox.assert_invariants();
            let kept: usize = outbox.entries().map(Entry::len).sum();
            assert!(kept <= OWN_BYTES_MAX + 2 * answer.len());
        }
        assert_eq!(outbox.bytes(), answer.len());
    }

    #[test]
    fn an_empty_outbox_is_small_and_owns_no_heap() {
        assert!(size_of::<Outbox>() <= 48);
        let mut outbox = Outbox::default();
        outbox.push_own(|_| {});
        assert!(outbox.is_empty() && outbox.head.is_none() && outbox.rest.is_none());
    }
}
