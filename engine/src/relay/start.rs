//! The relay pair in the making: what can fail fails before the node exists; the threads start when its shards do.

use std::io;
use std::sync::Arc;

use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, Sender, unbounded};
use epush_core::relay::NodeId;
use mio::{Poll, Waker};

use super::connection::Access;
use super::figures::RelayFigures;
use super::front::Front;
use super::inward::{self, Inward, InwardSetup};
use super::keys::Keys;
use super::order::{Arrival, Order};
use super::outward::{Outward, OutwardSetup};
use super::view::{ClusterView, NodeRecord};
use crate::clock::Clock;
use crate::config::ClusterConfig;
use crate::gauges::NodeGauges;
use crate::intake::Intake;
use crate::mailbox::{Inbox, Mailbox, mailbox};
use crate::reactor::Post;

/// The threads' own halves of what [`Front`] is the other half of.
pub struct Pending {
    access: Access,
    keys: Keys,
    orders: Receiver<Order>,
    outward: Sender<Order>,
    poll: Poll,
    inbox: Inbox<Arrival>,
    inward: Mailbox<Arrival>,
    figures: Arc<RelayFigures>,
    view: Arc<ArcSwap<ClusterView>>,
    lease_ms: u64,
    timeout_ms: u64,
    linger_ms: u64,
}

/// What the pair is told once there is a node.
pub struct RelaySetup {
    /// The sub-reactors, by shard.
    pub shards: Vec<Mailbox<Post>>,
    /// Room for publications on this node.
    pub intake: Intake,
    /// The node's counts.
    pub gauges: Arc<NodeGauges>,
    /// Its clock.
    pub clock: Clock,
    /// Which node it is.
    pub boot: NodeId,
    /// What the others are told of it.
    pub record: NodeRecord,
    /// Sessions a user may have in the cluster; 0: any number.
    pub per_user: usize,
    /// Types a user may mute.
    pub muted_types_max: usize,
}

/// What a thread runs.
pub type Run = Box<dyn FnOnce() -> io::Result<()> + Send>;

/// Bytes of notes of lost messages, 65 536 of them: what is lost in a second while the sending thread waits for Redis. They are
/// given back as soon as it has counted.
const LOSSES_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Reads what is needed to get into Redis, and makes both sides of the queues.
///
/// # Errors
/// The URL or the certificates are of no use, or the system refuses a poll.
pub fn prepare(config: &ClusterConfig) -> io::Result<(Front, Pending)> {
    let access = Access::new(config).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error.to_string()))?;
    let (outward, orders) = unbounded();
    let poll = Poll::new()?;
    let (inward, inbox) = mailbox(Waker::new(poll.registry(), inward::WAKE)?);
    let (figures, view) = (Arc::new(RelayFigures::default()), Arc::default());
    let front = Front {
        outward: outward.clone(),
        inward: inward.clone(),
        queue: Intake::new(config.queue_bytes_max),
        losses: Intake::new(LOSSES_BYTES_MAX),
        view: Arc::clone(&view),
        figures: Arc::clone(&figures),
    };
    let pending = Pending {
        access,
        keys: Keys::new(&config.prefix),
        orders,
        outward,
        poll,
        inbox,
        inward,
        figures,
        view,
        lease_ms: config.lease_ms,
        timeout_ms: config.timeout_ms,
        linger_ms: config.linger_ms,
    };
    Ok((front, pending))
}

impl Pending {
    /// The two threads, by name: the sending one ends with [`Order::Stop`], the receiving one with [`Arrival::Stop`].
    pub fn start(self, setup: RelaySetup) -> Vec<(&'static str, Run)> {
        let access = self.access.named(&setup.record.name);
        let outward = OutwardSetup {
            orders: self.orders,
            inward: self.inward,
            shards: setup.shards.clone(),
            access: access.clone(),
            keys: self.keys.clone(),
            boot: setup.boot,
            record: setup.record,
            gauges: setup.gauges,
            clock: setup.clock,
            figures: Arc::clone(&self.figures),
            view: Arc::clone(&self.view),
            per_user: setup.per_user,
            muted_types_max: setup.muted_types_max,
            lease_ms: self.lease_ms,
            timeout_ms: self.timeout_ms,
        };
        let inward = InwardSetup {
            poll: self.poll,
            inbox: self.inbox,
            access,
            keys: self.keys,
            boot: setup.boot,
            shards: setup.shards,
            outward: self.outward,
            intake: setup.intake,
            figures: self.figures,
            view: self.view,
            clock: setup.clock,
            linger_ms: self.linger_ms,
            timeout_ms: self.timeout_ms,
        };
        let send = move || {
            Outward::new(outward).run();
            Ok(())
        };
        let receive = move || Inward::new(inward)?.run();
        vec![("relay-out", Box::new(send)), ("relay-in", Box::new(receive))]
    }
}
