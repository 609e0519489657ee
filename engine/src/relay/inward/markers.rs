//! Heads of users' streams that wait until everything sent before they were read has arrived.
//!
//! The heads come from the sending thread, what was sent from Redis: two ways, so a marker sent behind the last message
//! says when to compare. Pure; knows nothing of what comparing means.

use std::collections::{HashMap, HashSet, VecDeque};

use epush_core::message::UserName;
use epush_core::relay::Head;

/// Heads of one user.
pub type UserHeads = (UserName, Vec<Head>);

/// See the module.
#[derive(Default, Debug)]
pub struct Markers {
    seen: HashSet<u64>,
    /// What `seen` holds, oldest first.
    order: VecDeque<u64>,
    waiting: HashMap<u64, Vec<UserHeads>>,
}

/// Markers remembered: the heads belonging to one come from a thread next door and are behind by moments, so this is
/// many thousand users' worth; one whose marker is forgotten would wait for the next check of all.
const SEEN_MAX: usize = 65_536;

impl Markers {
    /// A marker arrived. Returns the heads that waited for it.
    pub fn arrived(&mut self, ticket: u64) -> Vec<UserHeads> {
        if self.seen.insert(ticket) {
            self.order.push_back(ticket);
        }
        if self.order.len() > SEEN_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        self.waiting.remove(&ticket).unwrap_or_default()
    }

    /// Heads came that are to be compared behind a marker. Returns them when it has arrived already.
    pub fn wait(&mut self, ticket: u64, heads: UserHeads) -> Option<UserHeads> {
        if self.seen.contains(&ticket) {
            return Some(heads);
        }
        self.waiting.entry(ticket).or_default().push(heads);
        None
    }

    /// A new check of all users begins: what waits is waiting for markers that were lost.
    pub fn restart(&mut self) {
        self.waiting = HashMap::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heads(user: &str) -> UserHeads {
        (UserName::parse(user).expect("valid"), Vec::new())
    }

    #[test]
    fn heads_wait_for_their_marker_and_go_at_once_when_it_was_first() {
        let mut markers = Markers::default();
        assert_eq!(markers.wait(1, heads("ann")), None);
        assert_eq!(markers.wait(1, heads("bob")), None);
        assert_eq!(markers.arrived(2), []);
        assert_eq!(markers.arrived(1), [heads("ann"), heads("bob")]);
        assert_eq!(markers.wait(1, heads("eve")), Some(heads("eve")));
        assert_eq!(markers.wait(2, heads("eve")), Some(heads("eve")));
    }

    #[test]
    fn what_waits_for_a_lost_marker_goes_with_the_next_check_and_what_is_seen_is_bounded() {
        let mut markers = Markers::default();
        assert_eq!(markers.wait(1, heads("ann")), None);
        markers.restart();
        assert_eq!(markers.arrived(1), []);
        (2..).take(SEEN_MAX).for_each(|ticket| drop(markers.arrived(ticket)));
        assert_eq!((markers.seen.len(), markers.order.len()), (SEEN_MAX, SEEN_MAX));
        assert_eq!(markers.wait(1, heads("ann")), None, "forgotten");
    }
}
