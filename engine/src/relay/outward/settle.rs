//! Redis came back without its memory, or without the last of it: nobody publishes into a directory that is being rebuilt.
//!
//! Every node finds out by itself, writes its sessions again and says so in its record. Knows nothing of how they are written.

use tracing::info;

use super::Outward;
use crate::relay::keys::Incarnation;

/// See the module.
#[derive(Debug)]
pub struct Settling {
    /// The other nodes' lives there were, each of which ends; none: nobody knows whom to wait for.
    awaited: Option<Vec<Incarnation>>,
    /// When to go on without them.
    until_us: u64,
}

/// How long the others have to write their sessions: they find out within a second, and some may be gone for good.
const SETTLE_MS: u64 = 3_000;

/// How often the lease is renewed meanwhile: that is how they are seen to be back.
pub const SETTLE_RENEW_MS: u64 = 100;

/// Streams used this recently are announced: their last messages may have died in Redis's memory, on their way out.
const IN_DOUBT_MS: u64 = 60_000;

impl Outward {
    /// Redis has forgotten everything, or some of it: holds messages back, and writes what nodes remember. `awaited`: the
    /// others that will say when they are done; none: they have leases that say nothing about it.
    pub(super) fn begin_settling(&mut self, awaited: Option<Vec<Incarnation>>) {
        let until_us = self.now_us() + SETTLE_MS * 1_000;
        info!(
            nodes = awaited.as_ref().map(Vec::len),
            "Redis has lost its memory, or the last of it: it is told again, and messages wait for that"
        );
        self.settling = Some(Settling { awaited, until_us });
        self.directory.restore_mutes();
        self.restore_schedules();
    }

    /// Goes on when everybody is back, or was waited for long enough.
    pub(super) fn end_settling_when_done(&mut self) {
        let Some(settling) = &self.settling else { return };
        if !self.is_up() {
            return;
        }
        let is_over = settling.until_us <= self.now_us();
        let is_back = |life: &Incarnation| self.lease.is_back(*life);
        let all_back = settling.awaited.as_ref().is_some_and(|awaited| awaited.iter().all(is_back));
        if is_over || (self.directory.is_clean() && all_back) {
            self.settling = None;
            self.queue.announce_used(self.now_ms().saturating_sub(IN_DOUBT_MS));
        }
    }
}
