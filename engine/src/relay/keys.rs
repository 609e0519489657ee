//! The names of everything this service has in Redis, and which of it lies together.
//!
//! Everything about one user shares a hash tag, so that one script may touch all of it in a Redis Cluster too: `{uK}`,
//! where K is the user's partition. So do a channel and its heads, and the schedules. Knows nothing of what the keys
//! hold.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use epush_core::message::{ChannelName, UserName};
use epush_core::relay::NodeId;

use super::topology::slot;

/// How many parts the users are split into.
///
/// Enough to spread over every Redis Cluster anyone runs; few enough for every node to subscribe to its channel in
/// each.
pub const PARTITIONS: u8 = 64;

/// See the module. Clones share the prefix.
#[derive(Clone, Debug)]
pub struct Keys {
    prefix: Arc<str>,
}

impl Keys {
    /// Names that begin with `cluster.prefix`.
    #[must_use]
    pub fn new(prefix: &str) -> Self {
        Self { prefix: prefix.into() }
    }

    /// The partition of a user: all of one lie together.
    #[must_use]
    pub fn partition(&self, user: &UserName) -> u8 {
        (slot(user.as_str().as_bytes()) % u16::from(PARTITIONS)) as u8
    }

    /// The partition whose channel of a node also carries what is about no user.
    #[must_use]
    pub fn node_partition(&self) -> u8 {
        0
    }

    /// Hash: incarnation -> when it was last renewed, and its record.
    #[must_use]
    pub fn nodes(&self) -> String {
        format!("{}:{{nodes}}", self.prefix)
    }

    /// Hash: incarnation to sweep -> until when somebody has claimed that work.
    #[must_use]
    pub fn dead(&self) -> String {
        format!("{}:{{nodes}}:dead", self.prefix)
    }

    /// What all names of a partition begin with.
    #[must_use]
    pub fn of_partition(&self, partition: u8) -> String {
        format!("{}:{{u{partition}}}:", self.prefix)
    }

    /// Hash: a user's sessions, and the heads of what was sent to the user.
    #[must_use]
    pub fn user(&self, user: &UserName) -> String {
        format!("{}u:{user}", self.of_partition(self.partition(user)))
    }

    /// Set: the partition's users with sessions of an incarnation.
    #[must_use]
    pub fn users_of(&self, partition: u8, incarnation: Incarnation) -> String {
        format!("{}o:{incarnation}", self.of_partition(partition))
    }

    /// Number: the partition's users with sessions.
    #[must_use]
    pub fn online(&self, partition: u8) -> String {
        format!("{}n", self.of_partition(partition))
    }

    /// Number: drawn by whoever found none. Another one than before says that the partition's master has lost its memory.
    #[must_use]
    pub fn mark(&self, partition: u8) -> String {
        format!("{}mark", self.of_partition(partition))
    }

    /// Set: a user's muted types.
    #[must_use]
    pub fn mutes(&self, user: &UserName) -> String {
        format!("{}m:{user}", self.of_partition(self.partition(user)))
    }

    /// Channel: what is for one node, about users of a partition.
    #[must_use]
    pub fn to_node(&self, partition: u8, node: NodeId) -> String {
        format!("{}to:{node:x}", self.of_partition(partition))
    }

    /// Channel: a channel's messages.
    #[must_use]
    pub fn channel(&self, channel: &ChannelName) -> String {
        format!("{}:c:{{{channel}}}", self.prefix)
    }

    /// Hash: the heads of what was sent to a channel.
    #[must_use]
    pub fn channel_heads(&self, channel: &ChannelName) -> String {
        format!("{}:h:{{{channel}}}", self.prefix)
    }

    /// Channel: what is for every node.
    #[must_use]
    pub fn all(&self) -> String {
        format!("{}:{{all}}", self.prefix)
    }

    /// Hash: the heads of what was sent to all.
    #[must_use]
    pub fn all_heads(&self) -> String {
        format!("{}:{{all}}:h", self.prefix)
    }

    /// Hash: a schedule's name -> the schedule.
    #[must_use]
    pub fn schedules(&self) -> String {
        format!("{}:{{schedules}}", self.prefix)
    }

    /// Number: another one after every change of the schedules.
    #[must_use]
    pub fn schedules_version(&self) -> String {
        format!("{}:{{schedules}}:v", self.prefix)
    }

    /// Hash: a schedule's name -> its last tick.
    #[must_use]
    pub fn schedules_ticks(&self) -> String {
        format!("{}:{{schedules}}:t", self.prefix)
    }
}

/// One life of a node in the directory: whatever an earlier one wrote may be swept while this one writes.
///
/// Written `boot.count`, the boot in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Incarnation {
    /// The node.
    pub boot: NodeId,
    /// How many of its lives came before.
    pub count: u32,
}

impl fmt::Display for Incarnation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:x}.{}", self.boot, self.count)
    }
}

/// The text is not a boot and a count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotAnIncarnation;

impl FromStr for Incarnation {
    type Err = NotAnIncarnation;

    fn from_str(text: &str) -> Result<Self, NotAnIncarnation> {
        let (boot, count) = text.split_once('.').ok_or(NotAnIncarnation)?;
        let boot = NodeId::from_str_radix(boot, 16).map_err(|_| NotAnIncarnation)?;
        Ok(Self { boot, count: count.parse().map_err(|_| NotAnIncarnation)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Keys {
        Keys::new("p")
    }

    #[test]
    fn everything_of_one_user_lies_in_one_slot() {
        for name in ["42", "{a}", "}{", "Zoë", "{}"] {
            let user = UserName::parse(name).expect("valid");
            let partition = keys().partition(&user);
            assert!(partition < PARTITIONS);
            let life = Incarnation { boot: 7, count: 0 };
            let home = slot(keys().online(partition).as_bytes());
            let names = [keys().user(&user), keys().mutes(&user), keys().users_of(partition, life)];
            assert!(names.iter().all(|key| slot(key.as_bytes()) == home), "{name}");
            assert_eq!(slot(keys().to_node(partition, 7).as_bytes()), home, "{name}");
        }
    }

    #[test]
    fn a_channel_and_its_heads_lie_in_one_slot() {
        let channel = ChannelName::parse("news/a#1@b:c").expect("valid");
        let (messages, heads) = (keys().channel(&channel), keys().channel_heads(&channel));
        assert_eq!(slot(messages.as_bytes()), slot(heads.as_bytes()));
        assert_eq!(slot(keys().all().as_bytes()), slot(keys().all_heads().as_bytes()));
        assert_eq!(slot(keys().nodes().as_bytes()), slot(keys().dead().as_bytes()));
    }

    #[test]
    fn an_incarnation_reads_back_as_it_was_written() {
        let life = Incarnation { boot: 0xfeed, count: 12 };
        assert_eq!(life.to_string(), "feed.12");
        assert_eq!("feed.12".parse(), Ok(life));
        for text in ["", "feed", "feed.", ".1", "x.1", "1.x", "1.2.3"] {
            assert_eq!(text.parse::<Incarnation>(), Err(NotAnIncarnation), "{text}");
        }
    }
}
