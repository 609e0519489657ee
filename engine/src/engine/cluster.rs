//! A node's part in its cluster: the broker, the census and the two threads of the relay, from one configuration.
//!
//! Knows nothing of what the threads do.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use super::builder::spawn;
use super::{Addresses, Outcomes, StartError};
use crate::api::NodeState;
use crate::broker::{Broker, Local, Redis};
use crate::clock::Clock;
use crate::config::Config;
use crate::gauges::NodeGauges;
use crate::intake::Intake;
use crate::mailbox::Mailbox;
use crate::node::Node;
use crate::reactor::Post;
use crate::relay::{self, Arrival, Census, Front, NodeRecord, Order, Pending, RelaySetup};

/// The way to other nodes, if there are to be any. No thread runs yet, and Redis has not been asked.
pub(super) struct Way {
    pub front: Option<Front>,
    pending: Option<Pending>,
}

impl Way {
    /// The way that the configuration names.
    ///
    /// # Errors
    /// When its URL or a certificate cannot be used. A Redis that is away is none.
    pub fn prepare(config: &Config) -> Result<Self, StartError> {
        if config.cluster.redis.is_none() {
            return Ok(Self { front: None, pending: None });
        }
        let (front, pending) = relay::prepare(&config.cluster).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidInput => StartError::Relay(error.to_string()),
            _ => StartError::System(error),
        })?;
        Ok(Self { front: Some(front), pending: Some(pending) })
    }

    /// Who is online where the way leads.
    pub fn census(&self, gauges: &Arc<NodeGauges>, boot: u64, config: &Config) -> Census {
        let Some(front) = &self.front else { return Census::alone(Arc::clone(gauges)) };
        Census::new(Arc::clone(&front.view), Arc::clone(gauges), &hexadecimal(boot), config.cluster.lease_ms)
    }

    /// The broker that takes it.
    pub fn broker(
        &self,
        (shards, intake): (&[Mailbox<Post>], &Intake),
        census: &Census,
        clock: Clock,
    ) -> Box<dyn Broker> {
        let local = Local::new(shards.to_vec(), intake.clone());
        match &self.front {
            Some(front) => Box::new(Redis::new(local, shards.to_vec(), front.clone(), census.clone(), clock)),
            None => Box::new(local),
        }
    }

    /// Starts the relay's threads, if there are any.
    pub fn start(
        self,
        config: &Config,
        node: &Node,
        addresses: Addresses,
        outcomes: &Arc<Outcomes>,
    ) -> io::Result<Vec<JoinHandle<()>>> {
        let Some(pending) = self.pending else { return Ok(Vec::new()) };
        let setup = RelaySetup {
            shards: node.reactors.clone(),
            intake: node.intake.clone(),
            gauges: Arc::clone(&node.gauges),
            clock: node.clock,
            boot: node.boot,
            record: record(node, addresses),
            per_user: config.sessions.per_user,
            muted_types_max: config.limits.muted_types_per_user,
        };
        pending.start(setup).into_iter().map(|(name, run)| spawn(name.into(), outcomes, run)).collect()
    }
}

/// What the node tells the others of itself; the figures are the relay's to fill in.
fn record(node: &Node, addresses: Addresses) -> NodeRecord {
    NodeRecord {
        name: node.name.to_string(),
        boot: hexadecimal(node.boot),
        address: addresses.client.to_string(),
        api: addresses.api.to_string(),
        version: env!("CARGO_PKG_VERSION").into(),
        state: NodeState::Starting.word().into(),
        since: node.clock.now().unix_ms,
        connections: 0,
        users: 0,
        synced: false,
    }
}

fn hexadecimal(boot: u64) -> String {
    format!("{boot:x}")
}

/// Puts what a reload may change of the relay in force.
pub(super) fn reload(front: &Front, config: &Config) {
    front.queue.set_bytes_max(config.cluster.queue_bytes_max);
    front.order(Order::Limits {
        per_user: config.sessions.per_user,
        muted_types_max: config.limits.muted_types_per_user,
    });
}

/// Has the relay leave the cluster and end.
pub(super) fn stop(front: &Front) {
    front.order(Order::Stop);
    front.inward.post(Arrival::Stop);
}
