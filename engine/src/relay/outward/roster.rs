//! Who is signed in on this node, and what the directory may not know yet: everything of it can be rebuilt from here.
//!
//! Knows nothing of Redis.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use epush_core::id::SessionRef;
use epush_core::mail::Mutes;
use epush_core::message::UserName;

use crate::relay::keys::{Keys, PARTITIONS};

/// See the module.
#[derive(Debug)]
pub struct Roster {
    keys: Keys,
    /// Invariant: every entry has seats, or is dirty.
    users: HashMap<UserName, Entry>,
    /// Users whose place in the directory may differ from what is here.
    ///
    /// Invariant: each user whose entry is dirty, in its partition; nobody else.
    dirty: Vec<BTreeSet<UserName>>,
    /// Users with seats, by partition.
    here: Vec<usize>,
    /// The partition that is looked at first, so that each has its turn.
    next: usize,
}

/// A session of a user.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seat {
    /// Which.
    pub session: SessionRef,
    /// Its place among the user's sessions in the cluster: the newest has the highest.
    pub order: u64,
    /// When it opened, in ms since 1970.
    pub since_unix_ms: u64,
    /// The client's address.
    pub remote: IpAddr,
}

#[derive(Debug, Default)]
struct Entry {
    seats: Vec<Seat>,
    mutes: Option<Mutes>,
    is_dirty: bool,
    /// Whether the directory may have been told of the user.
    is_told: bool,
}

impl Roster {
    /// Nobody.
    pub fn new(keys: Keys) -> Self {
        Self {
            keys,
            users: HashMap::new(),
            dirty: (0..PARTITIONS).map(|_| BTreeSet::new()).collect(),
            here: vec![0; usize::from(PARTITIONS)],
            next: 0,
        }
    }

    /// The session is one of the user's. Its place is kept when it has one.
    pub fn sign_in(&mut self, user: &UserName, seat: Seat) {
        let seats = &mut self.users.entry(user.clone()).or_default().seats;
        self.here[usize::from(self.keys.partition(user))] += usize::from(seats.is_empty());
        match seats.iter_mut().find(|known| known.session == seat.session) {
            Some(known) => *known = seat,
            None => {
                // Most users have one session: a vector that grows by itself begins with room for four.
                seats.reserve_exact(1);
                seats.push(seat);
            }
        }
    }

    /// The directory gave the session this place.
    pub fn set_order(&mut self, user: &UserName, session: SessionRef, order: u64) {
        let Some(entry) = self.users.get_mut(user) else { return };
        if let Some(seat) = entry.seats.iter_mut().find(|seat| seat.session == session) {
            seat.order = order;
        }
    }

    /// The directory is being told of the user.
    pub fn told(&mut self, user: &UserName) {
        if let Some(entry) = self.users.get_mut(user) {
            entry.is_told = true;
        }
    }

    /// The session is gone. Who came and went without the directory being told is forgotten: an outage may be long.
    pub fn sign_out(&mut self, user: &UserName, session: SessionRef) {
        let Some(entry) = self.users.get_mut(user) else { return };
        let had = !entry.seats.is_empty();
        entry.seats.retain(|seat| seat.session != session);
        let partition = usize::from(self.keys.partition(user));
        self.here[partition] -= usize::from(had && entry.seats.is_empty());
        if entry.seats.is_empty() && !entry.is_told {
            entry.is_dirty = false;
            self.dirty[partition].remove(user);
        }
        self.tidy(user);
    }

    /// Whether the user has a session here.
    pub fn is_here(&self, user: &UserName) -> bool {
        !self.seats(user).is_empty()
    }

    /// The user's sessions here.
    pub fn seats(&self, user: &UserName) -> &[Seat] {
        self.users.get(user).map_or(&[], |entry| &entry.seats)
    }

    /// The user's muted types as last heard; none: the user has none, or is not here.
    pub fn mutes(&self, user: &UserName) -> Option<&Mutes> {
        self.users.get(user)?.mutes.as_ref()
    }

    /// Notes the muted types of a user who is here. Returns whether they are others than before.
    pub fn set_mutes(&mut self, user: &UserName, mutes: Option<Mutes>) -> bool {
        let Some(entry) = self.users.get_mut(user) else { return false };
        let mutes = mutes.filter(|mutes| !mutes.is_empty());
        let differ = entry.mutes != mutes;
        entry.mutes = mutes;
        differ
    }

    /// What the directory has of the user may be wrong.
    pub fn mark(&mut self, user: &UserName) {
        let entry = self.users.entry(user.clone()).or_default();
        // Whoever is not here can only be wrong there.
        entry.is_told |= entry.seats.is_empty();
        entry.is_dirty = true;
        self.dirty[usize::from(self.keys.partition(user))].insert(user.clone());
    }

    /// What the directory has of anybody may be wrong.
    pub fn mark_all(&mut self) {
        for (user, entry) in &mut self.users {
            if !entry.is_dirty {
                entry.is_dirty = true;
                self.dirty[usize::from(self.keys.partition(user))].insert(user.clone());
            }
        }
    }

    /// Whether the directory has what is here, as far as has been said.
    pub fn is_clean(&self) -> bool {
        self.dirty.iter().all(BTreeSet::is_empty)
    }

    /// How many users the directory may be wrong about.
    pub fn dirty(&self) -> usize {
        self.dirty.iter().map(BTreeSet::len).sum()
    }

    /// Whether the directory must have users in the partition: there are some here, and nothing of it is in doubt.
    pub fn must_have(&self, partition: u8) -> bool {
        let partition = usize::from(partition);
        self.here[partition] > 0 && self.dirty[partition].is_empty()
    }

    /// At most so many users to be written to the directory, those of a partition together. They count as clean.
    pub fn take_dirty(&mut self, max: usize) -> Vec<(u8, Vec<UserName>)> {
        let (mut batches, mut left) = (Vec::new(), max);
        for _ in 0..self.dirty.len() {
            if left == 0 {
                break;
            }
            let partition = self.next % self.dirty.len();
            let waiting = &mut self.dirty[partition];
            let users: Vec<UserName> = std::iter::from_fn(|| waiting.pop_first()).take(left).collect();
            left -= users.len();
            // One that still holds some comes first next time.
            self.next = if waiting.is_empty() { partition + 1 } else { partition };
            for user in &users {
                if let Some(entry) = self.users.get_mut(user) {
                    entry.is_dirty = false;
                    entry.is_told = true;
                }
            }
            if !users.is_empty() {
                batches.push((partition as u8, users));
            }
        }
        batches
    }

    /// Forgets the user if nothing is to be remembered.
    pub fn tidy(&mut self, user: &UserName) {
        if self.users.get(user).is_some_and(|entry| entry.seats.is_empty() && !entry.is_dirty) {
            self.users.remove(user);
        }
    }

    /// How many users are remembered.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.users.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use epush_core::id::{ConnId, ShardId};

    fn keys() -> Keys {
        Keys::new("p")
    }

    fn user(n: usize) -> UserName {
        UserName::parse(&format!("u{n}")).expect("a name")
    }

    fn seat(index: u32) -> Seat {
        let session = SessionRef { shard: ShardId(0), conn: ConnId { index, generation: 0 } };
        Seat { session, order: 1, since_unix_ms: 1, remote: "192.0.2.1".parse().expect("an address") }
    }

    #[test]
    fn a_user_is_dirty_once_and_given_once() {
        let mut roster = Roster::new(keys());
        roster.sign_in(&user(1), seat(1));
        roster.mark(&user(1));
        roster.mark(&user(1));
        roster.mark_all();
        assert_eq!(roster.dirty(), 1);
        assert_eq!(roster.take_dirty(10), [(keys().partition(&user(1)), vec![user(1)])]);
        assert!(roster.is_clean() && roster.take_dirty(10).is_empty());
        assert!(roster.is_here(&user(1)) && roster.must_have(keys().partition(&user(1))));
    }

    #[test]
    fn who_left_is_remembered_until_the_directory_knows() {
        let mut roster = Roster::new(keys());
        roster.sign_in(&user(1), seat(1));
        roster.told(&user(1));
        roster.mark(&user(1));
        roster.sign_out(&user(1), seat(1).session);
        assert!(!roster.is_here(&user(1)) && !roster.must_have(keys().partition(&user(1))));
        assert_eq!(roster.len(), 1);
        assert_eq!(roster.take_dirty(10).len(), 1);
        roster.tidy(&user(1));
        assert_eq!(roster.len(), 0);
    }

    #[test]
    fn who_came_and_went_without_the_directory_is_forgotten() {
        let mut roster = Roster::new(keys());
        roster.sign_in(&user(1), seat(1));
        roster.mark(&user(1));
        roster.sign_in(&user(1), seat(2));
        roster.sign_out(&user(1), seat(1).session);
        assert!(roster.is_here(&user(1)) && roster.dirty() == 1, "the other session is to be written");
        roster.mark(&user(1));
        roster.sign_out(&user(1), seat(2).session);
        assert_eq!((roster.len(), roster.dirty()), (0, 0));
    }

    #[test]
    fn who_is_in_doubt_comes_and_goes_and_stays_in_doubt() {
        let mut roster = Roster::new(keys());
        roster.mark(&user(1));
        roster.sign_in(&user(1), seat(1));
        roster.mark(&user(1));
        roster.sign_out(&user(1), seat(1).session);
        assert_eq!((roster.len(), roster.dirty()), (1, 1));
    }

    #[test]
    fn batches_cover_everybody_and_hold_no_more_than_asked() {
        let mut roster = Roster::new(keys());
        (0..1_000).for_each(|n| roster.sign_in(&user(n), seat(n as u32)));
        roster.mark_all();
        let mut given = Vec::new();
        while !roster.is_clean() {
            let batches = roster.take_dirty(70);
            assert!(batches.iter().map(|(_, users)| users.len()).sum::<usize>() <= 70);
            for (partition, users) in batches {
                assert!(users.iter().all(|user| keys().partition(user) == partition));
                given.extend(users);
            }
        }
        given.sort();
        given.dedup();
        assert_eq!(given.len(), 1_000);
    }

    #[test]
    fn mutes_say_whether_they_changed() {
        let mut roster = Roster::new(keys());
        let mutes: Mutes = vec!["ad".into()].into();
        assert!(!roster.set_mutes(&user(1), Some(mutes.clone())), "not here");
        roster.sign_in(&user(1), seat(1));
        assert!(roster.set_mutes(&user(1), Some(mutes.clone())));
        assert!(!roster.set_mutes(&user(1), Some(mutes)));
        assert!(roster.set_mutes(&user(1), Some(Vec::new().into())));
        assert_eq!(roster.mutes(&user(1)), None);
    }
}
