//! The timer wheel: what is due when, with insert and cancel in O(1).
//!
//! Knows nothing of clocks or of what its items mean. Time is in whole milliseconds of any origin and never goes back.
//!
//! Eleven levels of 64 slots each, as a number of eleven base-64 digits covers every `u64`. A timer lives on the level
//! of the highest digit in which its deadline differs from the present, in the slot of that digit:
//!
//! ```text
//! level 0    64 slots of 1 ms          the rest of the present 64 ms
//! level 1    64 slots of 64 ms         … of the present 4 s
//! level 2    64 slots of 4 s           … of the present 4.4 min
//! level 3    64 slots of 4.4 min       … of the present 4.7 h
//! level 4    64 slots of 4.7 h         … of the present 12.4 days
//! ```
//!
//! and so on. When the present enters a slot of a level above 0, its timers move down (they cascade), each at most once per
//! level. Since a slot is left for good once the present entered it, timers of a level are always in slots ahead, and
//! whatever is on a level comes before everything on the levels above it: the next slot is one bit scan away.

mod entries;

use entries::{Entries, List};

pub use entries::TimerKey;

/// Bits of one digit: 64 slots, as many as the bits of the word that says which are occupied.
const LEVEL_BITS: u32 = 6;

/// Slots of one level.
const SLOTS: usize = 1 << LEVEL_BITS;

/// Levels: enough digits for every `u64`, so that no deadline needs clamping.
const LEVELS: usize = u64::BITS.div_ceil(LEVEL_BITS) as usize;

/// Timers that each carry one small item.
pub struct TimerWheel<T: Copy> {
    entries: Entries<T>,
    /// The present: the start of the slot entered last, or the time of the last run that ended.
    ///
    /// Invariant: a timer is in `due` or `late` when its deadline is not after it, else in the slot its deadline has now.
    now_ms: u64,
    /// The `now_ms` of the run of [`TimerWheel::pop_due`] under way.
    run_ms: Option<u64>,
    /// Timers whose slot was entered, in the order they will be popped.
    due: List,
    /// Timers inserted when their time had already come: due in the next run.
    late: List,
    /// Which levels hold timers, by bit. Invariant: bit set exactly when the level's `occupied` is not 0.
    occupied: u16,
    levels: Box<[Level; LEVELS]>,
}

#[derive(Clone, Copy)]
struct Level {
    /// Which slots hold timers, by bit.
    ///
    /// Invariant: bit set exactly when the slot's list is not empty; never the slot of the present, nor one before it.
    occupied: u64,
    slots: [List; SLOTS],
}

/// Where a timer is kept.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// Its time has come.
    Now,
    /// This level, this slot.
    Slot(usize, usize),
}

impl<T: Copy> TimerWheel<T> {
    /// An empty wheel whose present is `now_ms`.
    #[must_use]
    pub fn new(now_ms: u64) -> Self {
        let level = Level { occupied: 0, slots: [List::EMPTY; SLOTS] };
        Self {
            entries: Entries::new(),
            now_ms,
            run_ms: None,
            due: List::EMPTY,
            late: List::EMPTY,
            occupied: 0,
            levels: Box::new([level; LEVELS]),
        }
    }

    /// Timers in the wheel.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.len() == 0
    }

    /// Adds a timer. One whose time has already come is due in the next run of [`TimerWheel::pop_due`].
    ///
    /// # Panics
    /// With more than 2³² − 3 timers.
    pub fn insert(&mut self, deadline_ms: u64, item: T) -> TimerKey {
        let index = self.entries.add(deadline_ms, item);
        self.link(index);
        TimerKey::of(index)
    }

    /// Removes a timer and returns its item.
    ///
    /// The key must not be of a timer that was popped or cancelled: that is a mistake of the caller, which debug builds
    /// assert as long as its place is free, and which then changes nothing.
    pub fn cancel(&mut self, key: TimerKey) -> T {
        let index = key.index();
        let item = self.entries.item(index);
        if self.is_live(key) {
            self.unlink(index);
            self.entries.free(index);
        }
        item
    }

    /// Moves a timer, whose key stays. As for `cancel` the key must not be stale.
    pub fn rearm(&mut self, key: TimerKey, deadline_ms: u64) {
        if self.is_live(key) {
            self.unlink(key.index());
            self.entries.set_deadline_ms(key.index(), deadline_ms);
            self.link(key.index());
        }
    }

    /// The next item due at or before `now_ms`, whose key is thereby free; none when nothing is due.
    ///
    /// Items come in the order of their deadlines, those of one millisecond in the order of their insertion; those
    /// inserted too late come first. Nothing comes early.
    ///
    /// The calls up to the one that returns `None`, or up to one with a later `now_ms`, are one run. A timer inserted during a
    /// run for a time after the item popped last, though not after `now_ms`, comes up in the same run, in its place; one
    /// for an earlier time, or for the same, waits for the next run. So a run ends also when every item is
    /// inserted again at once, and a periodic item that fell behind catches up.
    ///
    /// `now_ms` must not go back; an earlier one than before is as if no time had passed.
    pub fn pop_due(&mut self, now_ms: u64) -> Option<(TimerKey, T)> {
        if self.run_ms.is_none_or(|run_ms| run_ms < now_ms) {
            self.run_ms = Some(now_ms);
            let late = std::mem::replace(&mut self.late, List::EMPTY);
            self.due = self.entries.join(self.due, late);
        }
        while self.due.is_empty() {
            if !self.enter_next_slot(now_ms) {
                self.now_ms = self.now_ms.max(now_ms);
                self.run_ms = None;
                return None;
            }
        }
        let index = self.due.head();
        let item = self.entries.item(index);
        self.unlink(index);
        self.entries.free(index);
        Some((TimerKey::of(index), item))
    }

    /// When [`TimerWheel::pop_due`] should be called next; none without timers.
    ///
    /// Never later than the earliest deadline. Equal to it when that lies in the present 64 ms, else perhaps the time at which
    /// timers cascade: the call then returns `None` and brings the next time at least one level nearer, so that a
    /// timer minutes away costs three wake-ups, and one days away five. What is already due gives a time that has passed.
    #[must_use]
    pub fn next_deadline_ms(&self) -> Option<u64> {
        let soonest = if self.due.is_empty() { self.late } else { self.due };
        if !soonest.is_empty() {
            return Some(self.entries.deadline_ms(soonest.head()));
        }
        self.next_slot().map(|(level, slot)| self.slot_start_ms(level, slot))
    }

    /// Asserts every invariant. Looks at every timer: for tests and debug sweeps.
    ///
    /// # Panics
    /// When one does not hold.
    pub fn assert_invariants(&self) {
        let mut listed = 0;
        for (level, ring) in self.levels.iter().enumerate() {
            assert_eq!(self.occupied >> level & 1 == 1, ring.occupied != 0, "level {level}");
            for (slot, &list) in ring.slots.iter().enumerate() {
                assert_eq!(ring.occupied >> slot & 1 == 1, !list.is_empty(), "level {level} slot {slot}");
                let here = Place::Slot(level, slot);
                listed += self.entries.assert_list(list, |deadline_ms| self.place(deadline_ms) == here);
            }
        }
        for list in [self.due, self.late] {
            listed += self.entries.assert_list(list, |deadline_ms| self.place(deadline_ms) == Place::Now);
        }
        self.entries.assert_places(listed);
    }

    /// Makes the start of the next occupied slot the present, if that is not after `now_ms`. Returns whether it did.
    fn enter_next_slot(&mut self, now_ms: u64) -> bool {
        let Some((level, slot)) = self.next_slot() else { return false };
        let start_ms = self.slot_start_ms(level, slot);
        if start_ms > now_ms {
            return false;
        }
        self.now_ms = start_ms;
        let list = std::mem::replace(&mut self.levels[level].slots[slot], List::EMPTY);
        self.vacate(level, slot);
        if level == 0 {
            self.due = self.entries.join(self.due, list);
        } else {
            self.cascade(list);
        }
        true
    }

    /// Puts every timer of a slot that was entered where it now belongs.
    fn cascade(&mut self, list: List) {
        let tail = self.entries.tail(list);
        let mut index = list.head();
        loop {
            let next = self.entries.next(index);
            match self.place(self.entries.deadline_ms(index)) {
                Place::Now => self.due = self.entries.append(self.due, index),
                Place::Slot(level, slot) => self.append_to_slot(level, slot, index),
            }
            if index == tail {
                return;
            }
            index = next;
        }
    }

    /// The occupied slot that comes first.
    fn next_slot(&self) -> Option<(usize, usize)> {
        if self.occupied == 0 {
            return None;
        }
        let level = self.occupied.trailing_zeros() as usize;
        Some((level, self.levels[level].occupied.trailing_zeros() as usize))
    }

    /// When the present enters a slot ahead of it.
    fn slot_start_ms(&self, level: usize, slot: usize) -> u64 {
        let shift = LEVEL_BITS * level as u32;
        let above = shift + LEVEL_BITS;
        // The digits above the level are the present's; the top level has none.
        let upper = if above < u64::BITS { self.now_ms >> above << above } else { 0 };
        upper | (slot as u64) << shift
    }

    fn place(&self, deadline_ms: u64) -> Place {
        if deadline_ms <= self.now_ms {
            return Place::Now;
        }
        let level = (deadline_ms ^ self.now_ms).ilog2() / LEVEL_BITS;
        Place::Slot(level as usize, (deadline_ms >> (LEVEL_BITS * level)) as usize % SLOTS)
    }

    fn link(&mut self, index: u32) {
        match self.place(self.entries.deadline_ms(index)) {
            Place::Now => self.late = self.entries.append(self.late, index),
            Place::Slot(level, slot) => self.append_to_slot(level, slot, index),
        }
    }

    fn unlink(&mut self, index: u32) {
        match self.place(self.entries.deadline_ms(index)) {
            // Which of the two only matters for the head.
            Place::Now if self.due.head() == index => self.due = self.entries.remove(self.due, index),
            Place::Now => self.late = self.entries.remove(self.late, index),
            Place::Slot(level, slot) => {
                let list = self.entries.remove(self.levels[level].slots[slot], index);
                self.levels[level].slots[slot] = list;
                if list.is_empty() {
                    self.vacate(level, slot);
                }
            }
        }
    }

    fn append_to_slot(&mut self, level: usize, slot: usize, index: u32) {
        self.levels[level].slots[slot] = self.entries.append(self.levels[level].slots[slot], index);
        self.levels[level].occupied |= 1 << slot;
        self.occupied |= 1 << level;
    }

    /// Clears the bits of a slot that became empty.
    fn vacate(&mut self, level: usize, slot: usize) {
        self.levels[level].occupied &= !(1 << slot);
        if self.levels[level].occupied == 0 {
            self.occupied &= !(1 << level);
        }
    }

    /// Whether the key names a timer; a key that does not is asserted against.
    fn is_live(&self, key: TimerKey) -> bool {
        let live = !self.entries.is_free(key.index());
        debug_assert!(live, "{key:?} outlived its timer");
        live
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
    const NONE: [u64; 0] = [];

    /// One whole run.
    fn run(wheel: &mut TimerWheel<u64>, now_ms: u64) -> Vec<u64> {
        std::iter::from_fn(|| wheel.pop_due(now_ms)).map(|(_, item)| item).collect()
    }

    #[test]
    fn a_timer_is_due_at_its_deadline_and_not_a_millisecond_before() {
        for delay_ms in [1, 63, 64, 65, 4_095, 4_096, 262_144, DAY_MS, 800 * DAY_MS, 1 << 60, u64::MAX - 1_000] {
            let mut wheel = TimerWheel::new(1_000);
            wheel.insert(1_000 + delay_ms, 7);
            assert_eq!(run(&mut wheel, 999 + delay_ms), NONE, "{delay_ms}");
            assert_eq!(run(&mut wheel, 1_000 + delay_ms), [7], "{delay_ms}");
            assert!(wheel.is_empty());
        }
    }

    #[test]
    fn a_jump_over_everything_pops_all_in_the_order_of_their_deadlines() {
        let mut wheel = TimerWheel::new(0);
        for deadline_ms in [DAY_MS, 5, 70, 5_000, 64, 5, 300_000] {
            wheel.insert(deadline_ms, deadline_ms);
        }
        assert_eq!(run(&mut wheel, u64::MAX), [5, 5, 64, 70, 5_000, 300_000, DAY_MS]);
    }

    #[test]
    fn timers_of_one_millisecond_come_in_the_order_of_their_insertion_from_whatever_level() {
        let mut wheel = TimerWheel::new(0);
        wheel.insert(5_000, 1);
        assert_eq!(run(&mut wheel, 4_990), NONE);
        wheel.insert(5_000, 2);
        assert_eq!(run(&mut wheel, 5_000), [1, 2]);
    }

    #[test]
    fn a_deadline_in_the_past_is_due_in_the_next_run() {
        let mut wheel = TimerWheel::new(100);
        wheel.insert(3, 1);
        wheel.insert(100, 2);
        assert!(wheel.next_deadline_ms() <= Some(100));
        assert_eq!(run(&mut wheel, 100), [1, 2]);
        wheel.insert(100, 3);
        assert_eq!(run(&mut wheel, 100), [3]);
    }

    #[test]
    fn an_item_inserted_again_at_once_ends_the_run_and_comes_in_the_next() {
        let mut wheel = TimerWheel::new(0);
        wheel.insert(10, 1);
        let mut popped = 0;
        while let Some((_, item)) = wheel.pop_due(10) {
            popped += 1;
            wheel.insert(10, item);
        }
        assert_eq!(popped, 1);
        assert_eq!(wheel.next_deadline_ms(), Some(10));
        assert_eq!(run(&mut wheel, 11), [1]);
    }

    #[test]
    fn a_periodic_item_that_fell_behind_catches_up_in_one_run() {
        let mut wheel = TimerWheel::new(0);
        wheel.insert(10, 10);
        let mut popped = Vec::new();
        while let Some((_, item)) = wheel.pop_due(35) {
            popped.push(item);
            wheel.insert(item + 10, item + 10);
        }
        assert_eq!(popped, [10, 20, 30]);
        assert_eq!(wheel.next_deadline_ms(), Some(40));
    }

    #[test]
    fn a_run_left_half_way_goes_on_with_the_next_call() {
        let mut wheel = TimerWheel::new(0);
        wheel.insert(10, 1);
        wheel.insert(10, 2);
        assert_eq!(wheel.pop_due(10).map(|(_, item)| item), Some(1));
        wheel.insert(0, 3);
        assert_eq!(run(&mut wheel, 11), [2, 3]);
    }

    #[test]
    fn a_cancelled_timer_is_never_due_and_its_place_is_used_again() {
        let mut wheel = TimerWheel::new(0);
        let first = wheel.insert(10, 1);
        assert_eq!(wheel.cancel(first), 1);
        let second = wheel.insert(20, 2);
        assert_eq!(first, second);
        assert_eq!(run(&mut wheel, 100), [2]);
    }

    #[test]
    fn a_due_timer_can_still_be_cancelled_by_one_popped_before_it() {
        let mut wheel = TimerWheel::new(0);
        wheel.insert(10, 1);
        let keys = [wheel.insert(10, 2), wheel.insert(10, 3), wheel.insert(10, 4)];
        assert_eq!(wheel.pop_due(10).map(|(_, item)| item), Some(1));
        wheel.cancel(keys[0]);
        wheel.cancel(keys[2]);
        assert_eq!(run(&mut wheel, 10), [3]);
    }

    #[test]
    fn a_rearmed_timer_keeps_its_key_and_forgets_its_old_deadline() {
        let mut wheel = TimerWheel::new(0);
        let key = wheel.insert(10, 1);
        wheel.rearm(key, 10_000);
        assert_eq!(run(&mut wheel, 9_999), NONE);
        wheel.rearm(key, 10_001);
        assert_eq!(run(&mut wheel, 10_000), NONE);
        assert_eq!(wheel.pop_due(10_001), Some((key, 1)));
    }

    #[test]
    fn a_timer_a_day_away_costs_a_handful_of_wake_ups() {
        let mut wheel = TimerWheel::new(12_345);
        wheel.insert(12_345 + DAY_MS, 1);
        let mut calls = 1;
        while wheel.pop_due(wheel.next_deadline_ms().expect("one timer")).is_none() {
            calls += 1;
        }
        assert!(calls <= 5, "{calls}");
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "outlived its timer")]
    fn a_stale_key_is_asserted_against() {
        let mut wheel = TimerWheel::new(0);
        let key = wheel.insert(10, 1);
        wheel.cancel(key);
        wheel.cancel(key);
    }
}
