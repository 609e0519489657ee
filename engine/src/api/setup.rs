//! What the API is told about its node. Knows nothing of calls.

use std::sync::Arc;

use crate::gauges::NodeGauges;
use crate::intake::Intake;
use crate::relay::{Census, RelayFigures};

/// What the API is told once.
pub struct ApiSetup {
    /// The node's name.
    pub node: Arc<str>,
    /// Drawn at random when the node starts; part of session ids and of the ids given to pushes.
    pub boot: u64,
    /// The engine's version.
    pub version: &'static str,
    /// Where clients connect, as `host:port`.
    pub address: Box<str>,
    /// Where this API is served, as `host:port`.
    pub api_address: Box<str>,
    /// When the node started, in ms since 1970.
    pub started_unix_ms: u64,
    /// Bearer keys; none: the API is open.
    pub keys: Vec<Box<str>>,
    /// Finished pushes whose ids are remembered, at most.
    pub idempotency_keys_max: usize,
    /// For how long, in ms.
    pub idempotency_ms: u64,
    /// Schedules, at most.
    pub schedules_max: usize,
    /// Figures of the node.
    pub gauges: Arc<NodeGauges>,
    /// Who is online in the cluster.
    pub census: Census,
    /// The way to other nodes; none: this one is alone.
    pub relay: Option<ApiRelay>,
}

/// What the API is told of the relay.
pub struct ApiRelay {
    /// Its numbers.
    pub figures: Arc<RelayFigures>,
    /// What waits in it.
    pub queue: Intake,
    /// Whether the node counts as ready while Redis is away.
    pub ready_without_redis: bool,
}

/// How far the node is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NodeState {
    /// Not every listener accepts yet.
    Starting,
    /// In service.
    Ready,
    /// Sessions are being closed; no new ones come.
    Draining,
}

impl NodeState {
    /// Its name in answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Draining => "draining",
        }
    }
}
