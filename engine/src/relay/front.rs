//! The other threads' side of the relay: its bounded queue, and what they may read of the cluster.
//!
//! Nothing here waits.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use arc_swap::ArcSwap;
use crossbeam_channel::Sender;

use super::figures::RelayFigures;
use super::order::{Arrival, Order};
use super::view::ClusterView;
use crate::intake::{Intake, Permit, Refused};
use crate::mailbox::Mailbox;

/// See the module. Clones share everything.
#[derive(Clone, Debug)]
pub struct Front {
    /// To the sending thread. Bounded by the intakes below, and for control orders by who waits for an answer.
    pub outward: Sender<Order>,
    /// To the receiving thread.
    pub inward: Mailbox<Arrival>,
    /// Bytes of publications that wait for Redis.
    pub queue: Intake,
    /// Bytes of notes of publications that found the queue full.
    pub losses: Intake,
    /// The cluster as last seen.
    pub view: Arc<ArcSwap<ClusterView>>,
    /// The relay's numbers.
    pub figures: Arc<RelayFigures>,
}

/// Room for a publication on its way to the other nodes.
#[derive(Debug)]
pub enum Room {
    /// The whole publication.
    Whole(Permit),
    /// Only the note that it is lost.
    Loss(Permit),
}

impl Front {
    /// Reserves room in the queue for a publication of so many bytes to so many streams.
    ///
    /// # Errors
    /// [`Refused::TooLarge`] when it is larger than the whole queue: it could never cross. [`Refused::Full`] when there is
    /// not even room to note that it is lost.
    pub fn reserve(&self, bytes: usize, streams: usize) -> Result<Room, Refused> {
        match self.queue.reserve(bytes) {
            Ok(permit) => return Ok(Room::Whole(permit)),
            Err(Refused::TooLarge) => return Err(Refused::TooLarge),
            Err(Refused::Full) if self.figures.untold.load(Relaxed) >= UNTOLD_MAX => return Err(Refused::Full),
            Err(Refused::Full) => {}
        }
        self.losses.reserve(streams.saturating_mul(LOSS_BYTES)).map(Room::Loss).map_err(|_| Refused::Full)
    }

    /// Hands an order to the sending thread.
    pub fn order(&self, order: Order) {
        // A thread that has ended leaves nobody who waits: the node stops.
        let _ = self.outward.send(order);
    }

    /// Whether Redis answers.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.figures.is_up.load(Relaxed)
    }
}

/// Users and channels with losses that are yet to be told. Each is remembered until Redis is back, in some 200 bytes: 100 MB
/// in an outage that is long enough.
const UNTOLD_MAX: u64 = 500_000;

/// What the note of one lost message weighs: its stream's name, and its place in a map.
const LOSS_BYTES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_never_cross_is_refused_and_so_is_what_nobody_could_be_told_is_lost() {
        let config = crate::config::ClusterConfig {
            redis: Some(crate::config::Secret::new("redis://127.0.0.1".to_owned())),
            queue_bytes_max: 1_000,
            ..crate::config::ClusterConfig::default()
        };
        let (front, _pending) = crate::relay::prepare(&config).expect("a URL");
        assert!(matches!(front.reserve(1_001, 1), Err(Refused::TooLarge)));
        let whole = front.reserve(1_000, 1);
        assert!(matches!(whole, Ok(Room::Whole(_))));
        assert!(matches!(front.reserve(1, 1), Ok(Room::Loss(_))));
        front.figures.untold.store(UNTOLD_MAX, Relaxed);
        assert!(matches!(front.reserve(1, 1), Err(Refused::Full)));
        drop(whole);
        assert!(matches!(front.reserve(1, 1), Ok(Room::Whole(_))), "there is room again");
    }
}
