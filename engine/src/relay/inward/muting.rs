//! Muted types that changed a moment ago: what is told of them by another way may be older, and must not undo it.
//!
//! A sign-in and a change are answered to the sending thread, other nodes' changes come as messages. Each has the time at
//! which Redis had it so, and the latest counts. Pure.

use std::collections::{HashMap, VecDeque};

use epush_core::mail::Mutes;
use epush_core::message::UserName;

/// See the module.
#[derive(Default, Debug)]
pub struct Muting {
    /// The latest change of each user, and when it was, by Redis's clock.
    latest: HashMap<UserName, (u64, Mutes)>,
    /// Until when each change is kept: soonest first.
    ///
    /// Invariant: one for every change that was noted; those of users with a later one stay until their time.
    order: VecDeque<(u64, UserName, u64)>,
}

/// Changes kept: what users can change within the moment that a reply takes, many times over.
const CHANGES_MAX: usize = 16_384;

/// Time a change is kept: a reply that takes longer ends in a new connection, and a check of all users.
const KEPT_MS: u64 = 10_000;

impl Muting {
    /// A user's muted types have changed. Returns whether that is news: no later change is known.
    pub fn changed(&mut self, user: &UserName, mutes: &Mutes, at_unix_ms: u64, now_ms: u64) -> bool {
        self.forget(now_ms);
        if self.latest.get(user).is_some_and(|(at, _)| *at > at_unix_ms) {
            return false;
        }
        self.latest.insert(user.clone(), (at_unix_ms, mutes.clone()));
        self.order.push_back((now_ms + KEPT_MS, user.clone(), at_unix_ms));
        true
    }

    /// A user's muted types were read at this time. Returns what they are by now.
    pub fn read(&self, user: &UserName, mutes: Option<Mutes>, at_unix_ms: u64) -> Option<Mutes> {
        match self.latest.get(user) {
            Some((at, changed)) if *at >= at_unix_ms => Some(changed.clone()).filter(|mutes| !mutes.is_empty()),
            _ => mutes,
        }
    }

    fn forget(&mut self, now_ms: u64) {
        while self.order.len() >= CHANGES_MAX || self.order.front().is_some_and(|(until_ms, ..)| *until_ms <= now_ms) {
            let Some((_, user, at)) = self.order.pop_front() else { return };
            if self.latest.get(&user).is_some_and(|(latest, _)| *latest == at) {
                self.latest.remove(&user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types(words: &[&str]) -> Mutes {
        words.iter().map(|word| (*word).into()).collect()
    }

    #[test]
    fn the_latest_by_redis_counts_whatever_comes_last() {
        let (mut muting, ann) = (Muting::default(), UserName::parse("ann").expect("valid"));
        let (old, new) = (types(&["a"]), types(&["a", "b"]));
        assert_eq!(muting.read(&ann, Some(old.clone()), 5), Some(old.clone()), "nothing has changed");
        assert!(muting.changed(&ann, &new, 7, 0));
        assert!(!muting.changed(&ann, &old, 6, 0));
        assert_eq!(muting.read(&ann, Some(old.clone()), 6), Some(new));
        assert_eq!(muting.read(&ann, Some(old.clone()), 8), Some(old.clone()));
        assert!(muting.changed(&ann, &types(&[]), 9, 0));
        assert_eq!(muting.read(&ann, Some(old.clone()), 6), None, "nothing is muted any more");
        assert!(muting.changed(&ann, &old, 6, KEPT_MS), "nobody remembers");
    }

    #[test]
    fn changes_are_bounded() {
        let mut muting = Muting::default();
        for n in 0..2 * CHANGES_MAX {
            let user = UserName::parse(&n.to_string()).expect("valid");
            assert!(muting.changed(&user, &types(&["a"]), 1, 0));
        }
        assert!(muting.order.len() <= CHANGES_MAX && muting.latest.len() <= CHANGES_MAX);
    }
}
