//! Channels on their way into the cluster: a shard hears of a channel's messages on other nodes only once the relay has
//! joined it, and `ok` to a `subscribe` waits for that. A node that is alone joins nothing.
//!
//! Every join is answered by one [`crate::mail::Mail::Joined`]. The shard leaves only what it has joined: a channel
//! that loses its last subscriber before the answer is left when the answer comes, unless somebody is there again. So
//! joins and leaves alternate, and an answer is always to the join that is out.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;

use super::Shard;
use crate::effect::Effect;
use crate::id::ConnId;
use crate::mail::ClusterCall;
use crate::message::ChannelName;
use crate::wire::native::reply;

/// Joins that are not answered yet, and whose `ok` waits for which.
#[derive(Default)]
pub(super) struct Joins {
    channels: HashMap<ChannelName, Waiting, RandomState>,
}

/// The `id`s of each session's `subscribe` frames, oldest first, by its slot in the shard.
///
/// Invariant: the sessions are subscribed to the channel.
type Waiting = BTreeMap<u32, Vec<Box<str>>>;

impl Joins {
    /// How many joins are under way.
    pub(super) fn len(&self) -> usize {
        self.channels.len()
    }
}

impl Shard {
    /// The channel has its first subscriber in this shard.
    pub(super) fn join_cluster(&mut self, channel: &ChannelName) {
        if self.setup.clustered && !self.joins.channels.contains_key(channel) {
            self.joins.channels.insert(channel.clone(), Waiting::default());
            self.effects.push_back(Effect::Cluster(ClusterCall::Join(channel.clone())));
        }
    }

    /// The channel lost its last subscriber in this shard.
    pub(super) fn leave_cluster(&mut self, channel: ChannelName) {
        if self.setup.clustered && !self.joins.channels.contains_key(&channel) {
            self.effects.push_back(Effect::Cluster(ClusterCall::Leave(channel)));
        }
    }

    /// The cluster's messages to the channel reach the shard: whoever subscribed meanwhile is told.
    pub(super) fn joined(&mut self, channel: &ChannelName) {
        let Some(waiting) = self.joins.channels.remove(channel) else { return };
        if self.hub.find_channel(channel).is_none() {
            self.leave_cluster(channel.clone());
        }
        for (index, ids) in waiting {
            if let Some(conn) = self.conn_id(index) {
                self.answer_subscribed(conn, channel, ids);
            }
        }
    }

    /// Answers a `subscribe`: at once, or when the channel's join is answered.
    pub(super) fn subscribed(&mut self, conn: ConnId, id: &str, channel: &ChannelName) {
        if let Some(waiting) = self.joins.channels.get_mut(channel) {
            waiting.entry(conn.index).or_default().push(id.into());
            return self.asks(conn);
        }
        self.push_text(conn, |out| reply::ok_channel(out, id, channel.as_str()));
    }

    /// The session is about to leave the channel. What it asked before is answered before.
    pub(super) fn stop_waiting(&mut self, conn: ConnId, channel: &ChannelName) {
        let waiting = self.joins.channels.get_mut(channel);
        if let Some(ids) = waiting.and_then(|waiting| waiting.remove(&conn.index)) {
            self.answer_subscribed(conn, channel, ids);
        }
    }

    /// The session has left the channel, and nobody waits for an answer any more.
    pub(super) fn forget_waiting(&mut self, conn: ConnId, channel: &ChannelName) {
        if let Some(waiting) = self.joins.channels.get_mut(channel) {
            waiting.remove(&conn.index);
        }
    }

    fn answer_subscribed(&mut self, conn: ConnId, channel: &ChannelName, ids: Vec<Box<str>>) {
        for id in &ids {
            self.push_text(conn, |out| reply::ok_channel(out, id, channel.as_str()));
        }
        // All of them first: the session may be read again at once, and what it says then is answered behind.
        ids.iter().for_each(|_| self.answered(conn));
    }

    /// Asserts what the fields promise; for tests and debug builds.
    #[cfg(any(test, debug_assertions))]
    pub(super) fn assert_joins(&self) {
        assert!(self.setup.clustered || self.joins.channels.is_empty());
        for (channel, waiting) in &self.joins.channels {
            let slot = self.hub.find_channel(channel);
            for index in waiting.keys() {
                let connection = &self.connections[*index as usize];
                assert!(slot.is_some_and(|slot| connection.subscription(slot).is_some()), "it is subscribed");
            }
        }
    }
}
