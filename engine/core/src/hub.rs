//! Who of this shard hears what: channel and user → sessions, and the messages waiting to be fanned out.
//!
//! Sessions are slab indices here; whether they are alive is the shard's business.

use smallvec::SmallVec;

use crate::batch::Pending;
use crate::mail::Mutes;
use crate::message::{ChannelName, UserName};
use crate::named::{Named, NamedSlab};
use crate::wheel::TimerKey;

/// The channels and users of one shard.
#[derive(Default)]
pub struct Hub {
    channels: NamedSlab<Channel>,
    users: NamedSlab<User>,
    /// Channels with pending messages whose window is over, in the order of the first of them; may name freed slots.
    pub touched_channels: Vec<u32>,
    /// Users with pending messages, likewise.
    pub touched_users: Vec<u32>,
    /// Broadcasts waiting to be fanned out.
    pub pending_all: Pending,
}

/// A channel with at least one subscriber here.
pub struct Channel {
    /// Its name.
    pub name: ChannelName,
    /// Slab indices of its subscribers, in no order.
    ///
    /// Invariant: subscriber `members[p]` holds a [`Subscription`] to this channel with `position == p`.
    pub members: Vec<u32>,
    /// Messages waiting to be fanned out.
    pub pending: Pending,
    /// The end of the window in which they wait for more, if there is one.
    ///
    /// Invariant: while it is there, something is pending.
    pub window: Option<TimerKey>,
}

/// A user with at least one session here.
pub struct User {
    /// The name.
    pub name: UserName,
    /// Slab indices of the sessions, oldest first.
    pub sessions: SmallVec<[u32; 2]>,
    /// Muted types, sorted.
    pub mutes: Option<Mutes>,
    /// Messages waiting to be fanned out.
    pub pending: Pending,
}

impl Named for Channel {
    fn name(&self) -> &str {
        self.name.as_str()
    }
}

impl Named for User {
    fn name(&self) -> &str {
        self.name.as_str()
    }
}

/// A session's end of a membership.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Subscription {
    /// The channel's slot.
    pub channel: u32,
    /// Where the channel's members list the session.
    pub position: u32,
    /// The policy the subscriber chose.
    pub on_slow: Option<crate::settings::OnSlow>,
}

impl Hub {
    /// How many channels have subscribers.
    #[must_use]
    pub fn channels_len(&self) -> usize {
        self.channels.len()
    }

    /// How many users have sessions.
    #[must_use]
    pub fn users_len(&self) -> usize {
        self.users.len()
    }

    /// The channel in this slot.
    #[must_use]
    pub fn channel(&self, slot: u32) -> Option<&Channel> {
        self.channels.get(slot)
    }

    /// The same, to change.
    pub fn channel_mut(&mut self, slot: u32) -> Option<&mut Channel> {
        self.channels.get_mut(slot)
    }

    /// Where a channel is, if it has subscribers.
    #[must_use]
    pub fn find_channel(&self, name: &ChannelName) -> Option<u32> {
        self.channels.find(name.as_str())
    }

    /// Every channel.
    pub fn channels(&self) -> impl Iterator<Item = &Channel> {
        self.channels.iter()
    }

    /// Every channel, with its slot.
    pub fn channels_by_slot(&self) -> impl Iterator<Item = (u32, &Channel)> {
        self.channels.by_slot()
    }

    /// The channels whose messages wait in a window.
    #[must_use]
    pub fn windows(&self) -> Vec<u32> {
        self.channels_by_slot().filter(|(_, channel)| channel.window.is_some()).map(|(slot, _)| slot).collect()
    }

    /// Adds `session` to the channel; the caller keeps the subscription and calls this once per channel.
    pub fn join(&mut self, name: &ChannelName, session: u32, on_slow: Option<crate::settings::OnSlow>) -> Subscription {
        let slot = self.find_channel(name).unwrap_or_else(|| {
            let (name, members, pending) = (name.clone(), Vec::new(), Pending::default());
            self.channels.insert(Channel { name, members, pending, window: None })
        });
        let members = &mut self.channels[slot].members;
        members.push(session);
        Subscription { channel: slot, position: members.len() as u32 - 1, on_slow }
    }

    /// Takes a member out. Returns the session that moved to `subscription.position`: its subscription must be told.
    #[must_use]
    pub fn leave(&mut self, subscription: Subscription) -> Option<u32> {
        let slot = subscription.channel;
        let position = subscription.position as usize;
        let members = &mut self.channels[slot].members;
        members.swap_remove(position);
        let moved = members.get(position).copied();
        if members.is_empty() {
            self.channels.remove(slot);
        } else if members.capacity() > 64 && members.len() < members.capacity() / 4 {
            members.shrink_to(members.len() * 2);
        }
        moved
    }

    /// The user in this slot.
    #[must_use]
    pub fn user(&self, slot: u32) -> Option<&User> {
        self.users.get(slot)
    }

    /// The same, to change.
    pub fn user_mut(&mut self, slot: u32) -> Option<&mut User> {
        self.users.get_mut(slot)
    }

    /// Where a user is, if it has sessions here.
    #[must_use]
    pub fn find_user(&self, name: &UserName) -> Option<u32> {
        self.users.find(name.as_str())
    }

    /// Adds a session of the user; returns the user's slot.
    pub fn sign_in(&mut self, name: &UserName, session: u32) -> u32 {
        let slot = self.find_user(name).unwrap_or_else(|| {
            let (name, sessions) = (name.clone(), SmallVec::new());
            self.users.insert(User { name, sessions, mutes: None, pending: Pending::default() })
        });
        self.users[slot].sessions.push(session);
        slot
    }

    /// Takes a session of the user out.
    pub fn sign_out(&mut self, slot: u32, session: u32) {
        let Some(user) = self.users.get_mut(slot) else { return };
        user.sessions.retain(|other| *other != session);
        if user.sessions.is_empty() {
            self.users.remove(slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(name: &str) -> ChannelName {
        ChannelName::parse(name).expect("valid")
    }

    fn user(name: &str) -> UserName {
        UserName::parse(name).expect("valid")
    }

    #[test]
    fn leaving_moves_the_last_member_into_the_gap() {
        let mut hub = Hub::default();
        let subscriptions: Vec<_> = (10..13).map(|session| hub.join(&channel("news"), session, None)).collect();
        assert_eq!(hub.leave(subscriptions[0]), Some(12));
        let slot = hub.find_channel(&channel("news")).expect("two members are left");
        assert_eq!(hub.channel(slot).expect("there").members, [12, 11]);
    }

    #[test]
    fn the_last_member_takes_the_channel_along() {
        let mut hub = Hub::default();
        let subscription = hub.join(&channel("news"), 1, None);
        assert_eq!(hub.leave(subscription), None);
        assert_eq!(hub.find_channel(&channel("news")), None);
        assert_eq!(hub.channels_len(), 0);
    }

    #[test]
    fn a_user_lives_as_long_as_one_of_its_sessions() {
        let mut hub = Hub::default();
        let slot = hub.sign_in(&user("42"), 1);
        assert_eq!(hub.sign_in(&user("42"), 2), slot);
        hub.sign_out(slot, 1);
        assert_eq!(hub.user(slot).expect("one session left").sessions.as_slice(), [2]);
        hub.sign_out(slot, 2);
        assert_eq!(hub.find_user(&user("42")), None);
    }
}
