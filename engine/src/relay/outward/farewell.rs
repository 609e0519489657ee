//! The node stops: what waits is sent, everybody is signed out, and the lease is given back.
//!
//! Takes a time-out and what the last pipeline takes. What is not done by then others do when the lease has run out.

use std::sync::atomic::Ordering::Relaxed;

use super::Outward;
use super::lease::SWEPT_AT_ONCE;
use crate::relay::keys::PARTITIONS;
use crate::relay::scripts::{Call, reply};

impl Outward {
    pub(super) fn farewell(mut self) {
        let until_us = self.now_us() + self.setup.timeout_ms * 1_000;
        self.settling = None;
        while self.may_go_on(until_us) && !(self.queue.is_empty() && self.pipeline.is_empty()) {
            self.release_messages();
            self.flush();
        }
        let mut left: Vec<u8> = (0..PARTITIONS).collect();
        while self.may_go_on(until_us) && !left.is_empty() {
            left = self.sweep_own(&left);
        }
        // With sessions left the lease stays: when it has run out they are swept.
        if self.may_go_on(until_us) && left.is_empty() {
            let leave = self.calls.leave();
            // Without a reply it runs out.
            let _ = self.link.exchange(&[&leave]);
        }
        self.setup.figures.is_up.store(false, Relaxed);
        self.setup.figures.queued.store(0, Relaxed);
    }

    fn may_go_on(&self, until_us: u64) -> bool {
        self.is_up() && self.now_us() < until_us
    }

    /// Takes some of this node's users in these partitions from the directory. Returns the partitions that may hold more.
    fn sweep_own(&mut self, partitions: &[u8]) -> Vec<u8> {
        let sweep = |partition: &u8| self.calls.sweep(*partition, self.calls.me, SWEPT_AT_ONCE);
        let calls: Vec<Call> = partitions.iter().map(sweep).collect();
        let (replies, outcome) = self.link.exchange(&calls.iter().collect::<Vec<_>>());
        if let Err(broken) = outcome {
            self.lose_link(&broken.0);
        }
        let swept = replies.iter().map(|reply| reply.as_ref().map_or(0, |reply| reply::count(reply).unwrap_or(0)));
        partitions.iter().zip(swept).filter(|(_, swept)| *swept > 0).map(|(partition, _)| *partition).collect()
    }
}
