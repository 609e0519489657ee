//! The entries of the timer wheel and the circular lists they are linked in, all in one `Vec`.
//!
//! Must not know what a list stands for, nor when an entry moves from one to another.

use std::num::NonZeroU32;

/// No entry: the end of the free list, and an empty list's head.
const NIL: u32 = u32::MAX;

/// In `Entry::prev`: the entry is free.
const FREE: u32 = u32::MAX - 1;

/// Names one timer until it is popped or cancelled. As small in an `Option` as without.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimerKey(NonZeroU32);

impl TimerKey {
    pub(super) fn of(index: u32) -> Self {
        Self(NonZeroU32::MIN.saturating_add(index))
    }

    pub(super) const fn index(self) -> u32 {
        self.0.get() - 1
    }
}

/// A circular list of entries: its head, whose `prev` is its tail; or [`NIL`].
#[derive(Clone, Copy)]
pub(super) struct List(u32);

impl List {
    pub(super) const EMPTY: Self = Self(NIL);

    pub(super) const fn is_empty(self) -> bool {
        self.0 == NIL
    }

    /// The first entry of a list that is not empty.
    pub(super) const fn head(self) -> u32 {
        self.0
    }
}

/// A deadline, an item, and 8 bytes of links.
struct Entry<T> {
    deadline_ms: u64,
    item: T,
    /// The entry before in its list, or [`FREE`].
    prev: u32,
    /// The entry after in its list, or the next free place, or [`NIL`] after the last of those.
    next: u32,
}

pub(super) struct Entries<T> {
    places: Vec<Entry<T>>,
    /// The first free place: the one freed last, which is the likeliest to be in the cache.
    free: u32,
    /// Invariant: `places` less the free ones.
    len: usize,
}

impl<T: Copy> Entries<T> {
    pub(super) const fn new() -> Self {
        Self { places: Vec::new(), free: NIL, len: 0 }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// A new entry, in no list yet.
    pub(super) fn add(&mut self, deadline_ms: u64, item: T) -> u32 {
        let entry = Entry { deadline_ms, item, prev: NIL, next: NIL };
        self.len += 1;
        if self.free != NIL {
            let index = self.free;
            let place = &mut self.places[index as usize];
            self.free = place.next;
            *place = entry;
            return index;
        }
        let index = u32::try_from(self.places.len()).ok().filter(|&index| index < FREE);
        self.places.push(entry);
        index.expect("fewer timers than 32 bits can name")
    }

    /// Frees an entry that is in no list any more.
    pub(super) fn free(&mut self, index: u32) {
        let place = &mut self.places[index as usize];
        (place.prev, place.next) = (FREE, self.free);
        self.free = index;
        self.len -= 1;
    }

    pub(super) fn is_free(&self, index: u32) -> bool {
        self.places[index as usize].prev == FREE
    }

    pub(super) fn deadline_ms(&self, index: u32) -> u64 {
        self.places[index as usize].deadline_ms
    }

    pub(super) fn set_deadline_ms(&mut self, index: u32, deadline_ms: u64) {
        self.places[index as usize].deadline_ms = deadline_ms;
    }

    /// The item of an entry, or the last one of a place that is free.
    pub(super) fn item(&self, index: u32) -> T {
        self.places[index as usize].item
    }

    /// The entry after this one in its list, round to the head.
    pub(super) fn next(&self, index: u32) -> u32 {
        self.places[index as usize].next
    }

    /// The last entry of a list that is not empty.
    pub(super) fn tail(&self, list: List) -> u32 {
        self.places[list.0 as usize].prev
    }

    /// The list with the entry at its end.
    pub(super) fn append(&mut self, list: List, index: u32) -> List {
        let place = &mut self.places[index as usize];
        (place.prev, place.next) = (index, index);
        self.join(list, List(index))
    }

    /// The first list followed by the second.
    pub(super) fn join(&mut self, first: List, second: List) -> List {
        if first.is_empty() {
            return second;
        }
        if second.is_empty() {
            return first;
        }
        let (first_tail, second_tail) = (self.tail(first), self.tail(second));
        self.places[first_tail as usize].next = second.0;
        self.places[second.0 as usize].prev = first_tail;
        self.places[second_tail as usize].next = first.0;
        self.places[first.0 as usize].prev = second_tail;
        first
    }

    /// The list without one of its entries.
    pub(super) fn remove(&mut self, list: List, index: u32) -> List {
        let Entry { prev, next, .. } = self.places[index as usize];
        if next == index {
            return List::EMPTY;
        }
        self.places[prev as usize].next = next;
        self.places[next as usize].prev = prev;
        if list.0 == index { List(next) } else { list }
    }

    /// Counts a list, asserting that it is linked both ways and that every deadline in it `belongs`.
    pub(super) fn assert_list(&self, list: List, belongs: impl Fn(u64) -> bool) -> usize {
        let (mut index, mut count) = (list.0, 0);
        while index != NIL {
            let entry = &self.places[index as usize];
            assert!(belongs(entry.deadline_ms), "entry {index} is in the wrong list");
            assert_eq!(self.places[entry.next as usize].prev, index);
            count += 1;
            index = if entry.next == list.0 { NIL } else { entry.next };
        }
        count
    }

    /// Asserts that every place is an entry of a list or free, `listed` being the entries of all lists.
    pub(super) fn assert_places(&self, listed: usize) {
        assert_eq!(listed, self.len, "every entry is in one list");
        let mut free = 0;
        let mut index = self.free;
        while index != NIL {
            assert!(self.is_free(index));
            index = self.places[index as usize].next;
            free += 1;
        }
        assert_eq!(free + listed, self.places.len(), "every place is listed or free");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_with_an_item_of_16_bytes_takes_32_and_an_optional_key_takes_4() {
        assert_eq!(size_of::<Entry<(u64, u64)>>(), 32);
        assert_eq!(size_of::<Option<TimerKey>>(), 4);
    }

    #[test]
    fn the_place_freed_last_is_used_first_and_no_place_is_lost() {
        let mut entries = Entries::new();
        let places = [entries.add(1, 'a'), entries.add(2, 'b'), entries.add(3, 'c')];
        entries.free(places[0]);
        entries.free(places[2]);
        assert_eq!(entries.add(4, 'd'), places[2]);
        assert_eq!(entries.add(5, 'e'), places[0]);
        assert_eq!(entries.add(6, 'f'), 3);
        assert_eq!(entries.len(), 4);
    }

    #[test]
    fn an_entry_leaves_from_the_head_the_middle_and_the_tail() {
        let mut entries = Entries::new();
        let mut list = List::EMPTY;
        for number in 0..4 {
            let index = entries.add(number, ());
            list = entries.append(list, index);
        }
        for (removed, left) in [(0, 3), (2, 2), (3, 1), (1, 0)] {
            list = entries.remove(list, removed);
            entries.free(removed);
            assert_eq!(entries.assert_list(list, |_| true), left);
            entries.assert_places(left);
        }
        assert!(list.is_empty());
    }
}
