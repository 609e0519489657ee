//! The users whose home this shard is: their sessions on the whole node, and their muted types.
//!
//! Knows nothing of connections; it only says which sessions have to go.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::{FixedState, RandomState};
use smallvec::SmallVec;

use crate::error::{ErrorCode, Refusal};
use crate::id::{SessionRef, ShardId};
use crate::mail::{MuteChange, Mutes};
use crate::message::UserName;
use crate::named::{Named, NamedSlab};

/// The shard that keeps a user's sessions and mutes, the same for every shard of the node.
#[must_use]
pub fn home(user: &UserName, shards: u16) -> ShardId {
    let hash = FixedState::with_seed(0x65_70_75_73_68).hash_one(user.as_str());
    ShardId((hash % u64::from(shards.max(1))) as u16)
}

/// Sessions and mutes of the users at home here.
#[derive(Default)]
pub struct Registry {
    users: NamedSlab<Member>,
    /// Invariant: no list is empty.
    mutes: HashMap<UserName, Mutes, RandomState>,
}

/// A user who is signed in.
struct Member {
    name: UserName,
    /// Invariant: not empty; in the order of signing in.
    sessions: SmallVec<[SessionRef; 1]>,
}

impl Named for Member {
    fn name(&self) -> &str {
        self.name.as_str()
    }
}

impl Registry {
    /// How many users are signed in.
    #[must_use]
    pub fn users(&self) -> usize {
        self.users.len()
    }

    /// The user's sessions, oldest first.
    #[must_use]
    pub fn sessions(&self, user: &UserName) -> SmallVec<[SessionRef; 1]> {
        self.users.find(user.as_str()).map(|slot| self.users[slot].sessions.clone()).unwrap_or_default()
    }

    /// Adds a session. Returns those that have to go, oldest first: the newest `per_user` win (0: no limit).
    pub fn sign_in(&mut self, user: &UserName, session: SessionRef, per_user: usize) -> SmallVec<[SessionRef; 1]> {
        let slot = self
            .users
            .find(user.as_str())
            .unwrap_or_else(|| self.users.insert(Member { name: user.clone(), sessions: SmallVec::new() }));
        let sessions = &mut self.users[slot].sessions;
        sessions.push(session);
        let surplus = if per_user == 0 { 0 } else { sessions.len().saturating_sub(per_user) };
        sessions.drain(..surplus).collect()
    }

    /// Removes a session; nothing happens when it is gone already.
    pub fn sign_out(&mut self, user: &UserName, session: SessionRef) {
        let Some(slot) = self.users.find(user.as_str()) else { return };
        let sessions = &mut self.users[slot].sessions;
        sessions.retain(|other| *other != session);
        if sessions.is_empty() {
            self.users.remove(slot);
        }
    }

    /// The user's muted types.
    #[must_use]
    pub fn mutes(&self, user: &UserName) -> Option<Mutes> {
        self.mutes.get(user).cloned()
    }

    /// Changes the user's muted types and returns the new ones.
    ///
    /// # Errors
    /// `limit_reached` over `types_max` types, or over `users_max` users with any.
    pub fn change_mutes(
        &mut self,
        user: &UserName,
        change: MuteChange,
        types_max: usize,
        users_max: usize,
    ) -> Result<Mutes, Refusal> {
        let mut types: Vec<Arc<str>> = self.mutes.get(user).map(|mutes| mutes.to_vec()).unwrap_or_default();
        match change {
            MuteChange::Add(more) => types.extend(more),
            MuteChange::Remove(gone) => types.retain(|kind| !gone.contains(kind)),
            MuteChange::Replace(new) => types = new,
        }
        types.sort();
        types.dedup();
        if types.len() > types_max {
            return Err(Refusal::new(ErrorCode::LimitReached, format!("at most {types_max} muted types")));
        }
        let mutes: Mutes = types.into();
        if mutes.is_empty() {
            self.mutes.remove(user);
        } else if self.mutes.len() < users_max || self.mutes.contains_key(user) {
            self.mutes.insert(user.clone(), Arc::clone(&mutes));
        } else {
            return Err(Refusal::new(ErrorCode::LimitReached, "too many users with muted types"));
        }
        Ok(mutes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ConnId;

    fn user(name: &str) -> UserName {
        UserName::parse(name).expect("valid")
    }

    fn session(index: u32) -> SessionRef {
        SessionRef { shard: ShardId(0), conn: ConnId { index, generation: 0 } }
    }

    fn types(words: &[&str]) -> Vec<Arc<str>> {
        words.iter().map(|word| Arc::from(*word)).collect()
    }

    #[test]
    fn the_newest_sessions_win() {
        let mut registry = Registry::default();
        assert!(registry.sign_in(&user("7"), session(1), 2).is_empty());
        assert!(registry.sign_in(&user("7"), session(2), 2).is_empty());
        assert_eq!(registry.sign_in(&user("7"), session(3), 2).as_slice(), [session(1)]);
        assert_eq!(registry.sign_in(&user("7"), session(4), 1).as_slice(), [session(2), session(3)]);
    }

    #[test]
    fn a_user_counts_once_until_the_last_session_goes() {
        let mut registry = Registry::default();
        registry.sign_in(&user("7"), session(1), 0);
        registry.sign_in(&user("7"), session(2), 0);
        assert_eq!(registry.users(), 1);
        registry.sign_out(&user("7"), session(1));
        registry.sign_out(&user("7"), session(1));
        assert_eq!(registry.users(), 1);
        registry.sign_out(&user("7"), session(2));
        assert_eq!(registry.users(), 0);
    }

    #[test]
    fn mutes_are_added_removed_and_replaced_and_outlive_the_sessions() {
        let mut registry = Registry::default();
        let mut change = |change| registry.change_mutes(&user("7"), change, 3, 10).expect("within limits").to_vec();
        assert_eq!(change(MuteChange::Add(types(&["b", "a", "b"]))), types(&["a", "b"]));
        assert_eq!(change(MuteChange::Remove(types(&["a", "x"]))), types(&["b"]));
        assert_eq!(change(MuteChange::Replace(types(&["c"]))), types(&["c"]));
        assert_eq!(registry.mutes(&user("7")).expect("kept").to_vec(), types(&["c"]));
    }

    #[test]
    fn mutes_are_bounded_in_types_and_users() {
        let mut registry = Registry::default();
        let add = |words: &[&str]| MuteChange::Add(types(words));
        assert!(registry.change_mutes(&user("7"), add(&["a", "b"]), 1, 1).is_err());
        assert!(registry.change_mutes(&user("7"), add(&["a"]), 1, 1).is_ok());
        assert!(registry.change_mutes(&user("8"), add(&["a"]), 1, 1).is_err());
        assert!(registry.change_mutes(&user("7"), MuteChange::Replace(vec![]), 1, 1).is_ok());
        assert!(registry.mutes(&user("7")).is_none());
    }

    #[test]
    fn every_shard_finds_the_same_home() {
        let homes: std::collections::HashSet<_> = (0..100).map(|n| home(&user(&n.to_string()), 4)).collect();
        assert_eq!(homes.len(), 4);
        assert_eq!(home(&user("42"), 1), ShardId(0));
    }
}
