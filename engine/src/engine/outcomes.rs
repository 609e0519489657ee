//! What a node's threads tell its owner.

use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_channel::{Receiver, Sender, unbounded};

/// Something the owner of an engine may want to act on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// The control API was asked to drain the node. Nothing has happened yet: call
    /// [`Engine::begin_drain`](super::Engine::begin_drain) or [`Engine::drain`](super::Engine::drain).
    DrainRequested,
    /// Draining, and the last client is gone.
    Drained,
    /// A thread of the engine ended, which it must not: stop the engine.
    Failed {
        /// Its name.
        thread: Box<str>,
        /// Why, as far as it is known.
        message: Box<str>,
    },
}

/// The threads' side of the events.
pub(crate) struct Outcomes {
    /// Few: one per request to drain, one per thread that fails.
    events: Sender<Event>,
    shards_left: AtomicUsize,
    drained: Sender<()>,
}

impl Outcomes {
    /// Both sides, for a node of so many shards: the threads', the owner's events, and the end of a drain.
    pub fn new(shards: u16) -> (Self, Receiver<Event>, Receiver<()>) {
        let (events, owner) = unbounded();
        let (drained, end) = unbounded();
        (Self { events, shards_left: AtomicUsize::new(usize::from(shards)), drained }, owner, end)
    }

    /// Tells the owner.
    pub fn post(&self, event: Event) {
        // An owner that does not listen is no reason to stop.
        let _ = self.events.send(event);
    }

    /// One more shard has no client left. The last one tells the owner. Called once by each.
    pub fn shard_drained(&self) {
        if self.shards_left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.post(Event::Drained);
            let _ = self.drained.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_drained_when_its_last_shard_is() {
        let (outcomes, events, end) = Outcomes::new(2);
        outcomes.shard_drained();
        assert!(events.try_recv().is_err() && end.try_recv().is_err());
        outcomes.shard_drained();
        assert_eq!(events.try_recv(), Ok(Event::Drained));
        assert_eq!(end.try_recv(), Ok(()));
    }
}
