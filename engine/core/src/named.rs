//! Things with unique names, in slots that stay: found by slot or by name.
//!
//! The table by name holds slots only, 5 bytes an entry: the names stay in the things. Knows nothing of what they are.

use std::hash::BuildHasher;
use std::ops::{Index, IndexMut};

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use slab::Slab;

/// Something that is found by its name.
pub trait Named {
    /// The name. It must not change while the thing is kept.
    fn name(&self) -> &str;
}

/// Named things by slot and by name.
pub struct NamedSlab<T> {
    slots: Slab<T>,
    /// Invariant: exactly the slots that are taken, each under the hash of its thing's name.
    by_name: HashTable<u32>,
    hasher: RandomState,
}

/// Below this capacity the table by name is not worth shrinking.
const SHRINK_FROM: usize = 1_024;

impl<T> Default for NamedSlab<T> {
    fn default() -> Self {
        Self { slots: Slab::new(), by_name: HashTable::new(), hasher: RandomState::default() }
    }
}

impl<T: Named> NamedSlab<T> {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Where the thing of this name is.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<u32> {
        let slots = &self.slots;
        self.by_name.find(self.hasher.hash_one(name), |&slot| slots[slot as usize].name() == name).copied()
    }

    /// The thing in this slot.
    #[must_use]
    pub fn get(&self, slot: u32) -> Option<&T> {
        self.slots.get(slot as usize)
    }

    /// The same, to change.
    pub fn get_mut(&mut self, slot: u32) -> Option<&mut T> {
        self.slots.get_mut(slot as usize)
    }

    /// Keeps a thing whose name nothing here has yet; returns its slot.
    pub fn insert(&mut self, thing: T) -> u32 {
        debug_assert!(self.find(thing.name()).is_none(), "names are unique");
        let hash = self.hasher.hash_one(thing.name());
        let slot = u32::try_from(self.slots.insert(thing)).expect("fewer names than 32 bits can count");
        let Self { slots, by_name, hasher } = self;
        by_name.insert_unique(hash, slot, |&slot| hasher.hash_one(slots[slot as usize].name()));
        slot
    }

    /// Takes a thing out; memory goes back as names get few, and all of it with the last.
    ///
    /// # Panics
    /// When the slot is free.
    pub fn remove(&mut self, slot: u32) -> T {
        let thing = self.slots.remove(slot as usize);
        if let Ok(entry) = self.by_name.find_entry(self.hasher.hash_one(thing.name()), |&other| other == slot) {
            entry.remove();
        }
        let Self { slots, by_name, hasher } = self;
        if slots.is_empty() {
            *slots = Slab::new();
        }
        if by_name.capacity() > SHRINK_FROM && by_name.len() < by_name.capacity() / 8 {
            by_name.shrink_to(by_name.len() * 2, |&slot| hasher.hash_one(slots[slot as usize].name()));
        }
        thing
    }

    /// All of them, with their slots.
    pub fn by_slot(&self) -> impl Iterator<Item = (u32, &T)> {
        self.slots.iter().map(|(slot, thing)| (slot as u32, thing))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().map(|(_, thing)| thing)
    }
}

impl<T> Index<u32> for NamedSlab<T> {
    type Output = T;

    fn index(&self, slot: u32) -> &T {
        &self.slots[slot as usize]
    }
}

impl<T> IndexMut<u32> for NamedSlab<T> {
    fn index_mut(&mut self, slot: u32) -> &mut T {
        &mut self.slots[slot as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Named for String {
        fn name(&self) -> &str {
            self
        }
    }

    #[test]
    fn what_is_kept_is_found_by_name_until_it_is_taken_out() {
        let mut things = NamedSlab::default();
        let slots: Vec<u32> = (0..10_000).map(|n| things.insert(n.to_string())).collect();
        for (n, slot) in slots.iter().enumerate() {
            assert_eq!(things.find(&n.to_string()), Some(*slot));
        }
        for (n, slot) in slots.iter().enumerate().filter(|(n, _)| n % 100 != 7) {
            assert_eq!(things.remove(*slot), n.to_string());
        }
        assert_eq!(things.len(), 100);
        assert_eq!(things.find("8"), None);
        assert!((7..10_000).step_by(100).all(|n| things[things.find(&n.to_string()).expect("kept")] == n.to_string()));
    }

    #[test]
    fn memory_goes_with_the_last() {
        let mut things = NamedSlab::default();
        let slots: Vec<u32> = (0..10_000).map(|n| things.insert(n.to_string())).collect();
        slots.into_iter().for_each(|slot| drop(things.remove(slot)));
        assert!(things.is_empty() && things.slots.capacity() == 0 && things.by_name.capacity() <= SHRINK_FROM);
    }
}
