//! Messages to users whose sign-in Redis has told already, but the sending thread not yet.
//!
//! The directory has a session the moment its script ran, and from then on others' messages come; that it ran is told by
//! another way. Without a note of them, the next message would look like the end of a hole. Pure.

use std::collections::{HashMap, VecDeque};

use epush_core::message::UserName;
use epush_core::relay::{NodeId, Number};

/// See the module.
#[derive(Default, Debug)]
pub struct Early {
    notes: HashMap<UserName, Vec<Note>>,
    /// Until when each note is kept, and its user and serial number: soonest first.
    ///
    /// Invariant: one for every note; those of notes that were taken stay until their time.
    order: VecDeque<(u64, UserName, u64)>,
    serial: u64,
}

#[derive(Debug)]
struct Note {
    serial: u64,
    origin: NodeId,
    number: Number,
}

/// Notes kept: what could come within the moment between a script and its reply, many times over.
const NOTES_MAX: usize = 16_384;

/// Time a note is kept: a reply that takes longer ends in a new connection, and a check of all users.
const KEPT_MS: u64 = 10_000;

impl Early {
    /// A message came to a user nobody listens for.
    pub fn note(&mut self, user: &UserName, origin: NodeId, number: Number, now_ms: u64) {
        self.forget(now_ms);
        self.serial += 1;
        self.notes.entry(user.clone()).or_default().push(Note { serial: self.serial, origin, number });
        self.order.push_back((now_ms + KEPT_MS, user.clone(), self.serial));
    }

    /// Somebody listens now. Returns what came before, oldest first.
    pub fn take(&mut self, user: &UserName) -> Vec<(NodeId, Number)> {
        let notes = self.notes.remove(user).unwrap_or_default();
        notes.into_iter().map(|note| (note.origin, note.number)).collect()
    }

    fn forget(&mut self, now_ms: u64) {
        while self.order.len() >= NOTES_MAX || self.order.front().is_some_and(|(until_ms, ..)| *until_ms <= now_ms) {
            let Some((_, user, serial)) = self.order.pop_front() else { return };
            if let Some(notes) = self.notes.get_mut(&user) {
                notes.retain(|note| note.serial > serial);
                if notes.is_empty() {
                    self.notes.remove(&user);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(number: u64) -> Number {
        Number { generation: 1, number, lost: 0 }
    }

    #[test]
    fn what_came_before_the_sign_in_is_told_once_and_not_kept_for_long() {
        let (mut early, ann, bob) =
            (Early::default(), UserName::parse("ann").expect("valid"), UserName::parse("bob").expect("valid"));
        early.note(&ann, 1, number(4), 0);
        early.note(&ann, 2, number(1), 0);
        assert_eq!(early.take(&ann), [(1, number(4)), (2, number(1))]);
        assert_eq!(early.take(&ann), []);
        early.note(&bob, 1, number(5), 100);
        early.note(&ann, 1, number(6), 100 + KEPT_MS);
        assert_eq!(early.take(&bob), [], "too old");
        assert_eq!(early.take(&ann), [(1, number(6))]);
    }

    #[test]
    fn notes_are_bounded() {
        let (mut early, ann) = (Early::default(), UserName::parse("ann").expect("valid"));
        (0..2 * NOTES_MAX as u64).for_each(|n| early.note(&ann, 1, number(n), 0));
        assert!(early.order.len() <= NOTES_MAX && early.take(&ann).len() <= NOTES_MAX);
    }
}
