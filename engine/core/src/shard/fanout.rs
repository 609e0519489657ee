//! Publications as they arrive: each costs its channel, or its user, one list entry. How many sessions it is for is told
//! at once; the list is emptied by `flush`.

use std::sync::Arc;

use super::Shard;
use crate::batch::Stream;
use crate::connection::Flags;
use crate::mail::{Answer, Mutes, Relayed, Report};
use crate::message::{Publication, Target};

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

    pub(super) fn mutes_of(&self, index: u32) -> Option<&Mutes> {
        let connection = &self.connections[index as usize];
        if !connection.flags.has(Flags::MUTES) {
            return None;
        }
        self.hub.user(connection.user?)?.mutes.as_ref()
    }
}

pub(super) fn is_muted(mutes: Option<&Mutes>, kind: Option<&str>) -> bool {
    let (Some(mutes), Some(kind)) = (mutes, kind) else { return false };
    mutes.binary_search_by(|muted| muted.as_ref().cmp(kind)).is_ok()
}
