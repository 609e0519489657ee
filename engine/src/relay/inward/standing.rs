//! Connections to Redis that come and go, and what follows for streams and waiting shards.

use std::sync::atomic::Ordering::Relaxed;

use epush_core::batch::Stream;
use epush_core::mail::Mail;
use tracing::{info, warn};

use super::Inward;
use super::connector::News;
use super::link::Loss;
use super::muting::Muting;
use crate::relay::{LinkError, Order, Polled, Topology};

/// When to connect again.
#[derive(Default, Debug)]
pub struct Retry {
    at_ms: u64,
    /// The pause after the next failure; 0: there was none since everything stood.
    pause_ms: u64,
    /// Until when failures are not told: one line says that Redis is away.
    quiet_until_ms: u64,
}

/// The first pause: a Redis that restarts is back in a moment.
const PAUSE_MIN_MS: u64 = 50;

/// The longest: Redis is used again within a second of its return, and a thousand nodes that try do not hurt it.
const PAUSE_MAX_MS: u64 = 1_000;

/// How often it is said again that Redis is away: an outage of an hour is not to fill the log.
const SAID_AGAIN_MS: u64 = 60_000;

impl Retry {
    /// When.
    #[must_use]
    pub fn at_ms(&self) -> u64 {
        self.at_ms
    }

    fn pause(&mut self, now_ms: u64) {
        self.pause_ms = (self.pause_ms * 2).clamp(PAUSE_MIN_MS, PAUSE_MAX_MS);
        self.at_ms = now_ms + self.pause_ms;
    }

    fn begin_anew(&mut self, now_ms: u64) {
        *self = Self { at_ms: now_ms, ..Self::default() };
    }

    /// Whether to say now that Redis is away.
    fn admit(&mut self, now_ms: u64) -> bool {
        let is_due = now_ms >= self.quiet_until_ms;
        if is_due {
            self.quiet_until_ms = now_ms + SAID_AGAIN_MS;
        }
        is_due
    }
}

impl Inward {
    /// Begins to connect when a connection is missing and it is time.
    pub(super) fn connect_if_due(&mut self, now_ms: u64) {
        if !self.links.is_one_missing() || self.connector.is_busy() || now_ms < self.retry.at_ms() {
            return;
        }
        // Counted before it is known how it goes: one that is lost as soon as it stands waits too.
        self.retry.pause(now_ms);
        if let Err(error) = self.connector.begin(self.links.standing()) {
            warn!(%error, "cannot start a thread to connect to Redis");
        }
    }

    /// Takes what the attempt to connect brought.
    pub(super) fn take_news(&mut self) {
        self.connector.silence();
        let now_ms = self.now_ms();
        while let Some(news) = self.connector.take() {
            match news {
                News::Found(topology) => self.found(topology, now_ms),
                News::Opened { master, polled } => self.stand(master, polled, now_ms),
                News::Failed(error) => self.failed(&error, now_ms),
                News::Over => {}
            }
        }
    }

    fn found(&mut self, topology: Topology, now_ms: u64) {
        if self.links.lead_to(&topology) {
            return;
        }
        // Slots may have moved between masters that stayed: their links no longer carry what they are subscribed to.
        self.lose_all(&Loss::Replaced, now_ms);
        self.links.move_to(topology);
    }

    fn stand(&mut self, master: usize, polled: Polled, now_ms: u64) {
        if self.links.get(master).is_some() {
            return;
        }
        let host = polled.host().to_string();
        let backlog = self.interest.revive(|channel| self.links.master_of(channel) == Some(master));
        info!(%host, channels = backlog.len(), "subscribing in Redis");
        self.figures.connects.fetch_add(1, Relaxed);
        if let Err(error) = self.links.stand(master, polled, backlog, self.poll.registry(), now_ms) {
            warn!(%error, %host, "the connection to Redis cannot be polled");
            self.cut(master);
        }
    }

    fn failed(&mut self, error: &LinkError, now_ms: u64) {
        if self.retry.admit(now_ms) {
            warn!(%error, "cannot subscribe in Redis");
        }
    }

    /// A link is finished.
    pub(super) fn lose(&mut self, master: usize, loss: &Loss, now_ms: u64) {
        if self.links.take(master, self.poll.registry()).is_none() {
            return;
        }
        if self.retry.admit(now_ms) {
            warn!(%loss, "a subscriber connection to Redis is lost");
        }
        self.cut(master);
    }

    /// All links are finished.
    fn lose_all(&mut self, loss: &Loss, now_ms: u64) {
        (0..self.links.len()).for_each(|master| self.lose(master, loss, now_ms));
    }

    /// Drops every connection, looks again where Redis is, and connects.
    pub(super) fn connect_anew(&mut self, loss: &Loss, now_ms: u64) {
        // While nothing stands, attempts keep their pace, however often this is asked.
        if self.links.standing_links().next().is_some() {
            self.retry.begin_anew(now_ms);
        }
        self.lose_all(loss, now_ms);
        // The clock of another Redis is another.
        self.muting = Muting::default();
        self.connector.abandon();
    }

    /// What comes by a master comes no longer.
    fn cut(&mut self, master: usize) {
        let cut = self.interest.cut(|channel| self.links.master_of(channel) == Some(master));
        for channel in cut.forgotten {
            self.ledger.close(&Stream::Channel(channel));
        }
        self.ledger.cut();
        for (shard, channel) in cut.waited {
            self.handoff.post(shard, Mail::Joined(channel));
        }
    }

    /// Everything is subscribed, for the first time or again.
    pub(super) fn settled(&mut self) {
        let now_ms = self.now_ms();
        self.retry.begin_anew(now_ms);
        info!(channels = self.interest.subscribed(), "everything is subscribed in Redis");
        // Users signed in before this, or while a connection was lost: what was sent to them meanwhile did not come.
        self.markers.restart();
        self.order(Order::Recheck);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redis_away_is_said_once_a_minute_and_again_when_it_was_back() {
        let mut retry = Retry::default();
        let said = (0..120_000).step_by(1_000).filter(|now_ms| retry.admit(*now_ms)).count();
        assert_eq!(said, 2);
        retry.begin_anew(119_500);
        assert!(retry.admit(119_600) && !retry.admit(119_700));
    }
}
