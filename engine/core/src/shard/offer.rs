//! A batch offered to one session: without what it muted, and not without end to one that is slow.

use std::rc::Rc;

use super::Shard;
use super::fanout::is_muted;
use crate::batch::Batch;
use crate::close::CloseReason;
use crate::connection::{Flags, Phase};
use crate::settings::OnSlow;
use crate::slow;

/// What a stream's messages do to slow sessions.
#[derive(Clone, Copy)]
pub(super) struct Policy {
    /// The rule.
    pub(super) on_slow: OnSlow,
    /// The channel whose subscribers may have chosen otherwise.
    pub(super) channel: Option<u32>,
}

impl Shard {
    pub(super) fn offer(&mut self, index: u32, batch: &Rc<Batch>, policy: Policy, urgent: bool) {
        if self.offer_one(index, batch, policy, urgent) {
            self.close_slow(index);
        }
    }

    /// Queues a batch for one session; returns whether the session has to be closed for being slow.
    #[inline]
    pub(super) fn offer_one(&mut self, index: u32, batch: &Rc<Batch>, policy: Policy, urgent: bool) -> bool {
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

    pub(super) fn close_slow(&mut self, index: u32) {
        if let Some(conn) = self.conn_id(index).filter(|_| self.connections[index as usize].phase == Phase::Open) {
            self.close(conn, CloseReason::SlowConsumer);
        }
    }
}
