//! What waits for one socket: shared batches and the session's own answers, in order.
//!
//! Knows nothing of sockets, and of slow consumers only what [`crate::slow`] asks it to drop.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::ops::Range;
use std::rc::Rc;

use crate::batch::{Batch, Stream};
use crate::wire::native::reply::GapReason;

mod entry;

use entry::{Entry, Gap};

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
    pub fn push_lost(&mut self, stream: &Stream, lost: u32, reason: GapReason) {
        // Gaps of several reasons may stand side by side; behind a message a loss is a gap of its own.
        let newest = (0..self.len()).rev().map_while(|at| self.entry_at(at).map(|entry| (at, entry)));
        let newest = newest.filter(|(_, entry)| entry.is_of(stream));
        let same = newest.take_while(|(_, entry)| entry.is_gap()).find(|(_, entry)| entry.is_gap_of(reason));
        match same.map(|(at, _)| at).and_then(|at| self.entry_mut(at)) {
            Some(gap) => gap.add_lost(lost),
            None => self.push(Entry::gap(stream, lost, reason)),
        }
    }

    /// Turns losses within the next write's reach into `gap` frames; returns how many. Called before every write.
    #[inline]
    pub fn announce(&mut self) -> u64 {
        let lost = self.head.as_ref().is_some_and(|head| head.lost() > 0);
        if lost || self.rest.is_some() { self.announce_within_reach() } else { 0 }
    }

    fn announce_within_reach(&mut self) -> u64 {
        let mut gaps = 0;
        // The head and as many entries after it as a write may reach; a frame put in counts as one of them.
        let mut at = 0;
        while at <= SLICES_MAX {
            let Some(entry) = self.entry_mut(at) else { break };
            let (frame, alone) = match entry {
                Entry::Shared { batch, lost, .. } if *lost > 0 => {
                    let lost = std::mem::take(lost);
                    (entry::gap_frame(batch.stream(), lost, GapReason::SlowConsumer), false)
                }
                Entry::Gap(gap) => (entry::gap_frame(&gap.stream, gap.lost, gap.reason), true),
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

    /// What the socket should take next, if that is one run of bytes: one channel's messages, as most writes are.
    #[must_use]
    #[inline]
    pub fn alone(&self) -> Option<&[u8]> {
        match &self.head {
            Some(head) if self.rest.is_none() => Some(&head.bytes()[self.head_sent as usize..]),
            _ => None,
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
    #[inline]
    pub fn advance(&mut self, bytes: usize, mut done: impl FnMut(Rc<Batch>)) {
        debug_assert!(bytes <= self.bytes());
        if bytes == self.bytes() && self.rest.is_none() {
            // All of the only entry, unless that is a loss: those have no bytes, and stay until they are announced.
            if let Some(head) = self.head.take_if(|head| !head.is_gap()) {
                (self.bytes, self.head_sent) = (0, 0);
                if let Entry::Shared { batch, .. } = head {
                    done(batch);
                }
            }
            return;
        }
        self.advance_within(bytes, done);
    }

    fn advance_within(&mut self, bytes: usize, mut done: impl FnMut(Rc<Batch>)) {
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
    /// one gap for each stream and reason.
    pub fn drop_shared(&mut self) -> u64 {
        if self.head_sent > 0 {
            self.split_begun();
        }
        let begun = if self.head_sent > 0 { self.pop_head() } else { None };
        let mut kept = VecDeque::new();
        let mut gaps: Vec<Gap> = Vec::new();
        let mut dropped = 0;
        while let Some(entry) = self.pop_head() {
            let new = match entry {
                Entry::Own(_) => {
                    kept.push_back(entry);
                    continue;
                }
                Entry::Shared { batch, first, end, lost } => {
                    dropped += u64::from(end - first);
                    let lost = lost.saturating_add(u32::from(end - first));
                    Gap { stream: batch.stream().clone(), lost, reason: GapReason::SlowConsumer }
                }
                Entry::Gap(gap) => *gap,
            };
            match gaps.iter_mut().find(|gap| gap.stream == new.stream && gap.reason == new.reason) {
                Some(gap) => gap.lost = gap.lost.saturating_add(new.lost),
                None => gaps.push(new),
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
        let (mut freed, mut dropped) = (0, 0);
        // What was lost before the oldest message that stays: because of the session, and on the way here.
        let (mut slow, mut relay) = (0_u32, 0_u32);
        if self.head.as_ref().is_some_and(|head| head.is_of(stream)) && self.head_sent > 0 {
            self.split_begun();
        }
        let mut at = usize::from(self.head_sent > 0);
        let mut place = at;
        while !enough(freed) {
            let Some(entry) = self.entry_mut(at) else { break };
            if !entry.is_of(stream) {
                at += 1;
                continue;
            }
            while entry.messages() > 0 && !enough(freed) {
                freed += entry.drop_first();
                dropped += 1;
            }
            if entry.messages() > 0 {
                break;
            }
            let count = if entry.is_gap_of(GapReason::Relay) { &mut relay } else { &mut slow };
            *count = count.saturating_add(entry.lost());
            self.remove(at);
            place = at;
        }
        self.put_lost(place, stream, slow, GapReason::SlowConsumer);
        self.put_lost(place, stream, relay, GapReason::Relay);
        self.bytes -= u32::try_from(freed).expect("no more than waited");
        dropped
    }

    /// Notes a loss before the first message of the stream at or behind `place`; at `place`, where nothing there can
    /// carry it.
    fn put_lost(&mut self, place: usize, stream: &Stream, lost: u32, reason: GapReason) {
        if lost == 0 {
            return;
        }
        for at in place.. {
            let Some(entry) = self.entry_mut(at) else { break };
            if !entry.is_of(stream) {
                continue;
            }
            if entry.carries(reason) {
                return entry.add_lost(lost);
            }
            if !entry.is_gap() {
                break;
            }
        }
        self.put(place, Entry::gap(stream, lost, reason), false);
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

    fn len(&self) -> usize {
        usize::from(self.head.is_some()) + self.rest.as_ref().map_or(0, |rest| rest.len())
    }

    #[cfg(any(test, debug_assertions))]
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
