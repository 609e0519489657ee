//! What arrived, joined into batches and queued for every receiver.
//!
//! Batches are made when the writes of the fan-out before are done, so that under load messages share writes by
//! themselves: the longer a round of writes takes, the more messages the next round carries in each.

use std::rc::Rc;

use super::Shard;
use super::offer::Policy;
use crate::batch::{Batch, Stream};
use crate::connection::Flags;
use crate::wire::native::reply::GapReason;

/// Receivers up to which a channel does not wait for the fan-out before it: a room's chat must not wait for a
/// broadcast to everybody.
const SMALL_CHANNEL: usize = 64;

impl Shard {
    /// Joins what was published into batches and queues them. Once a turn, before the writes.
    pub fn flush(&mut self, now: crate::now::Now) {
        self.now = now;
        // Only what stood in the list at the last flush counts: sockets that become writable join it all the time.
        // And it is looked at once, or a busy channel would keep broadcasts out for good.
        let idle = self.fanout_left == 0;
        self.flush_users();
        self.flush_channels(idle);
        if idle {
            self.flush_all();
            self.fanout_left = self.bulk.len();
        }
        self.settle();
    }

    /// Whether messages wait for earlier fan-out to be written.
    #[must_use]
    pub fn has_pending(&self) -> bool {
        !self.hub.touched_users.is_empty() || !self.hub.touched_channels.is_empty() || !self.hub.pending_all.is_empty()
    }

    /// All that waits in windows is queued now, whatever is still to be written: its receivers are about to be sent away.
    pub(super) fn flush_windows(&mut self) {
        for slot in self.hub.windows() {
            self.forget_window(slot);
            // About one batch, but one for each run of messages where losses stand between them.
            while self.hub.channel(slot).is_some_and(|channel| !channel.pending.is_empty()) {
                self.flush_channel(slot);
            }
        }
        self.flush_channels(true);
    }

    fn flush_users(&mut self) {
        let policy = Policy { on_slow: self.setup.settings.channels.on_slow_direct, channel: None };
        for slot in std::mem::take(&mut self.hub.touched_users) {
            let Some(user) = self.hub.user_mut(slot) else { continue };
            let name = user.name.clone();
            let (lost, batch) = (user.pending.take_lost(), user.pending.join(|| Stream::User(name)));
            if !user.pending.is_empty() {
                self.hub.touched_users.push(slot);
            }
            let Some(user) = self.hub.user(slot) else { continue };
            let sessions = user.sessions.clone();
            if lost > 0 {
                self.lose(sessions.iter().copied(), &Stream::User(user.name.clone()), lost, true);
            }
            let Some(batch) = batch else { continue };
            for index in sessions {
                self.offer(index, &batch, policy, true);
            }
        }
    }

    fn flush_channels(&mut self, idle: bool) {
        for slot in std::mem::take(&mut self.hub.touched_channels) {
            let Some(channel) = self.hub.channel_mut(slot) else { continue };
            if channel.window.is_some() {
                // Listed was the channel that had the slot before.
                continue;
            }
            if !idle && channel.members.len() > SMALL_CHANNEL {
                self.hub.touched_channels.push(slot);
                continue;
            }
            if self.flush_channel(slot) {
                self.hub.touched_channels.push(slot);
            }
        }
    }

    /// Queues the channel's next batch, and the loss before it; returns whether more waits.
    fn flush_channel(&mut self, slot: u32) -> bool {
        let Some(channel) = self.hub.channel_mut(slot) else { return false };
        let small = channel.members.len() <= SMALL_CHANNEL;
        let name = channel.name.clone();
        let policy = Policy { on_slow: self.setup.settings.channels.of(&name).on_slow, channel: Some(slot) };
        let lost = channel.pending.take_lost();
        let batch = channel.pending.join(|| Stream::Channel(name));
        let more = !channel.pending.is_empty();
        if lost > 0 {
            self.lose_for_members(slot, lost, small);
        }
        if let Some(batch) = batch {
            self.offer_to_members(slot, &batch, policy, small);
        }
        more
    }

    fn offer_to_members(&mut self, slot: u32, batch: &Rc<Batch>, policy: Policy, urgent: bool) {
        let mut members = match self.hub.channel_mut(slot) {
            Some(channel) => std::mem::take(&mut channel.members),
            None => return,
        };
        let mut closing = Vec::new();
        for &index in &members {
            if self.offer_one(index, batch, policy, urgent) {
                closing.push(index);
            }
        }
        if let Some(channel) = self.hub.channel_mut(slot) {
            std::mem::swap(&mut channel.members, &mut members);
        }
        closing.into_iter().for_each(|index| self.close_slow(index));
    }

    fn flush_all(&mut self) {
        let policy = Policy { on_slow: self.setup.settings.channels.on_slow_direct, channel: None };
        let lost = self.hub.pending_all.take_lost();
        if lost > 0 {
            let admitted = self.connections.iter().filter(|(_, connection)| connection.flags.has(Flags::ADMITTED));
            let admitted: Vec<u32> = admitted.map(|(index, _)| index as u32).collect();
            self.lose(admitted.into_iter(), &Stream::All, lost, false);
        }
        let Some(batch) = self.hub.pending_all.join(|| Stream::All) else { return };
        for index in 0..self.generations.len() as u32 {
            let admitted = self.connections.get(index as usize).is_some_and(|c| c.flags.has(Flags::ADMITTED));
            if admitted {
                self.offer(index, &batch, policy, false);
            }
        }
    }

    fn lose_for_members(&mut self, slot: u32, lost: u64, urgent: bool) {
        let Some(channel) = self.hub.channel(slot) else { return };
        let (stream, members) = (Stream::Channel(channel.name.clone()), channel.members.clone());
        self.lose(members.into_iter(), &stream, lost, urgent);
    }

    /// Messages of the stream were lost on their way here: their place in each session's queue becomes a gap. Nobody
    /// knows their types, so that muted ones count too.
    fn lose(&mut self, sessions: impl Iterator<Item = u32>, stream: &Stream, lost: u64, urgent: bool) {
        let count = u32::try_from(lost).unwrap_or(u32::MAX);
        for index in sessions {
            self.connections[index as usize].outbox.push_lost(stream, count, GapReason::Relay);
            self.counters.dropped_relay = self.counters.dropped_relay.saturating_add(lost);
            if urgent { self.mark_urgent(index) } else { self.mark_bulk(index) }
        }
    }
}
