//! Publications on their way to outboxes: collected, joined into batches, offered to every receiver.
//!
//! A publication costs its channel one list entry when it arrives. Batches are made when the writes of the fan-out
//! before are done, so that under load messages share writes by themselves: the longer a round of writes takes,
//! the more messages the next round carries in each.

use std::rc::Rc;
use std::sync::Arc;

use super::Shard;
use crate::batch::{Batch, Stream};
use crate::close::CloseReason;
use crate::connection::{Flags, Phase};
use crate::mail::{Answer, Mutes, Relayed, Report};
use crate::message::{Publication, Target};
use crate::settings::OnSlow;
use crate::slow;
use crate::wire::native::reply::GapReason;

/// Receivers up to which a channel does not wait for the fan-out before it: a room's chat must not wait for a
/// broadcast to everybody.
const SMALL_CHANNEL: usize = 64;

/// What a stream's messages do to slow sessions.
#[derive(Clone, Copy)]
struct Policy {
    /// The rule.
    on_slow: OnSlow,
    /// The channel whose subscribers may have chosen otherwise.
    channel: Option<u32>,
}

impl Shard {
    /// Takes a publication in, and reports how many sessions it is for.
    pub(super) fn deliver(&mut self, publication: &Arc<Publication>, report: Option<Report>) {
        let target = match &publication.to {
            Target::Users(_) => 0,
            Target::Channels(_) => 1,
            Target::All => 2,
        };
        self.counters.pushes[target] += 1;
        let reached = self.spread(publication);
        if let Some(report) = report {
            self.report(report, Answer::Delivered { sessions: reached, relayed: false });
        }
    }

    /// Takes in what other nodes sent. Their pushes count there.
    pub(super) fn deliver_relayed(&mut self, mut relayed: Arc<[Relayed]>) {
        for one in &*relayed {
            match one {
                Relayed::Publication(publication) => {
                    self.spread(publication);
                }
                Relayed::Lost { stream, count } => self.deliver_loss(stream, *count),
            }
        }
        // The last shard times what nobody has still to write. Two that end at once may both miss it; twice is it never.
        for one in Arc::get_mut(&mut relayed).unwrap_or_default() {
            let Relayed::Publication(publication) = one else { continue };
            if let Some(accepted_us) = Arc::get_mut(publication).and_then(|last| Arc::get_mut(&mut last.accepted_us)) {
                self.counters.push_seconds.observe(self.now.monotonic_us.saturating_sub(*accepted_us));
            }
        }
    }

    /// Queues a publication for its receivers; returns how many sessions those are.
    fn spread(&mut self, publication: &Arc<Publication>) -> u64 {
        match &publication.to {
            Target::Users(_) => self.deliver_to_users(publication),
            Target::Channels(_) => self.deliver_to_channels(publication),
            Target::All => self.deliver_to_all(publication),
        }
    }

    /// A loss takes its place behind the messages that wait already.
    fn deliver_loss(&mut self, stream: &Stream, count: u64) {
        match stream {
            Stream::User(name) => {
                let Some(slot) = self.hub.find_user(name) else { return };
                let Some(user) = self.hub.user_mut(slot) else { return };
                let touched = !user.pending.is_empty();
                user.pending.push_lost(count);
                if !touched {
                    self.hub.touched_users.push(slot);
                }
            }
            Stream::Channel(name) => {
                let Some(slot) = self.hub.find_channel(name) else { return };
                let Some(channel) = self.hub.channel_mut(slot) else { return };
                let first = channel.pending.is_empty();
                channel.pending.push_lost(count);
                self.gather(slot, first);
            }
            Stream::All => self.hub.pending_all.push_lost(count),
        }
    }

    /// Times a publication that nobody has still to write: nobody was there to receive it, or the others were faster.
    pub(super) fn let_go(&mut self, publication: Arc<Publication>) {
        let last = Arc::into_inner(publication).and_then(|publication| Arc::into_inner(publication.accepted_us));
        if let Some(accepted_us) = last {
            self.counters.push_seconds.observe(self.now.monotonic_us.saturating_sub(accepted_us));
        }
    }

    fn deliver_to_users(&mut self, publication: &Arc<Publication>) -> u64 {
        let Target::Users(names) = &publication.to else { return 0 };
        let mut reached = 0;
        for (frame, name) in names.iter().enumerate() {
            let Some(slot) = self.hub.find_user(name) else { continue };
            let Some(user) = self.hub.user_mut(slot) else { continue };
            if !is_muted(user.mutes.as_ref(), publication.kind.as_deref()) {
                reached += user.sessions.len() as u64;
            }
            if user.pending.is_empty() {
                self.hub.touched_users.push(slot);
            }
            if let Some(user) = self.hub.user_mut(slot) {
                user.pending.push(publication, frame);
            }
        }
        reached
    }

    fn deliver_to_channels(&mut self, publication: &Arc<Publication>) -> u64 {
        let Target::Channels(names) = &publication.to else { return 0 };
        let mut reached = 0;
        for (frame, name) in names.iter().enumerate() {
            let Some(slot) = self.hub.find_channel(name) else { continue };
            let Some(channel) = self.hub.channel_mut(slot) else { continue };
            let first = channel.pending.is_empty();
            channel.pending.push(publication, frame);
            self.gather(slot, first);
            let Some(channel) = self.hub.channel(slot) else { continue };
            reached += self.listeners(channel.members.iter().copied(), publication.kind.as_deref());
        }
        reached
    }

    fn deliver_to_all(&mut self, publication: &Arc<Publication>) -> u64 {
        self.hub.pending_all.push(publication, 0);
        if self.muted_sessions == 0 || publication.kind.is_none() {
            return self.counters.sessions;
        }
        let admitted = self.connections.iter().filter(|(_, connection)| connection.flags.has(Flags::ADMITTED));
        self.listeners(admitted.map(|(index, _)| index as u32), publication.kind.as_deref())
    }

    /// How many of these sessions have not muted the type.
    fn listeners(&self, sessions: impl Iterator<Item = u32>, kind: Option<&str>) -> u64 {
        if self.muted_sessions == 0 || kind.is_none() {
            return sessions.count() as u64;
        }
        sessions.filter(|index| !is_muted(self.mutes_of(*index), kind)).count() as u64
    }

    fn mutes_of(&self, index: u32) -> Option<&Mutes> {
        let connection = &self.connections[index as usize];
        if !connection.flags.has(Flags::MUTES) {
            return None;
        }
        self.hub.user(connection.user?)?.mutes.as_ref()
    }

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

    fn offer(&mut self, index: u32, batch: &Rc<Batch>, policy: Policy, urgent: bool) {
        if self.offer_one(index, batch, policy, urgent) {
            self.close_slow(index);
        }
    }

    /// Queues a batch for one session; returns whether the session has to be closed for being slow.
    #[inline]
    fn offer_one(&mut self, index: u32, batch: &Rc<Batch>, policy: Policy, urgent: bool) -> bool {
        if self.connections[index as usize].flags.has(Flags::MUTES) {
            return self.offer_unmuted(index, batch, policy, urgent);
        }
        self.offer_range(index, batch, 0..batch.messages(), policy, urgent)
    }

    #[inline]
    fn offer_range(
        &mut self,
        index: u32,
        batch: &Rc<Batch>,
        messages: std::ops::Range<u16>,
        policy: Policy,
        urgent: bool,
    ) -> bool {
        let limit = self.setup.settings.outbox_bytes_max;
        let connection = &mut self.connections[index as usize];
        let blocked = connection.flags.has(Flags::BLOCKED);
        let before = connection.outbox.bytes();
        let subscriptions = &connection.subscriptions;
        let chosen = |slot| subscriptions.iter().find(|held| held.channel == slot)?.on_slow;
        let policy = || policy.channel.and_then(chosen).unwrap_or(policy.on_slow);
        let verdict = slow::offer(&mut connection.outbox, batch, messages, policy, blocked, limit);
        let after = connection.outbox.bytes();
        self.counters.outbox_bytes = self.counters.outbox_bytes + after as u64 - before as u64;
        self.counters.deliveries += verdict.queued;
        self.counters.dropped_slow += verdict.dropped;
        if urgent {
            self.mark_urgent(index)
        } else {
            self.mark_bulk(index)
        }
        verdict.close
    }

    /// Offers the runs of messages between the ones whose type the user muted.
    fn offer_unmuted(&mut self, index: u32, batch: &Rc<Batch>, policy: Policy, urgent: bool) -> bool {
        let mutes = self.mutes_of(index).cloned();
        let mut close = false;
        let mut start = 0;
        for message in 0..batch.messages() {
            if is_muted(mutes.as_ref(), batch.kind(message)) {
                self.counters.dropped_muted += 1;
                if start < message {
                    close |= self.offer_range(index, batch, start..message, policy, urgent);
                }
                start = message + 1;
            }
        }
        if start < batch.messages() {
            close |= self.offer_range(index, batch, start..batch.messages(), policy, urgent);
        }
        close
    }

    fn close_slow(&mut self, index: u32) {
        if let Some(conn) = self.conn_id(index).filter(|_| self.connections[index as usize].phase == Phase::Open) {
            self.close(conn, CloseReason::SlowConsumer);
        }
    }
}

fn is_muted(mutes: Option<&Mutes>, kind: Option<&str>) -> bool {
    let (Some(mutes), Some(kind)) = (mutes, kind) else { return false };
    mutes.binary_search_by(|muted| muted.as_ref().cmp(kind)).is_ok()
}
