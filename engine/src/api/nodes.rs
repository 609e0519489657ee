//! Counts, the members of the cluster, liveness and draining. Knows nothing of other nodes yet: this one is the cluster.

use epush_core::http::Response;
use epush_core::id::ConnId;
use epush_core::now::Now;
use serde::Serialize;

use super::{Api, ApiAction, NodeState, respond};

impl Api {
    pub(super) fn online(&self) -> Response {
        #[derive(Serialize)]
        struct Body {
            node: Counts,
            cluster: Counts,
        }
        #[derive(Clone, Copy, Serialize)]
        struct Counts {
            connections: usize,
            users: usize,
            #[serde(skip_serializing_if = "Option::is_none")]
            nodes: Option<usize>,
        }
        let gauges = &self.setup.gauges;
        let node = Counts { connections: gauges.sessions(), users: gauges.users(), nodes: None };
        respond::json(200, &Body { node, cluster: Counts { nodes: Some(1), ..node } })
    }

    pub(super) fn nodes(&self, now: Now) -> Response {
        #[derive(Serialize)]
        struct Body<'a> {
            nodes: [Node<'a>; 1],
        }
        #[derive(Serialize)]
        struct Node<'a> {
            name: &'a str,
            address: &'a str,
            api: &'a str,
            version: &'a str,
            state: &'a str,
            /// In ms since 1970.
            since: u64,
            uptime_ms: u64,
            connections: usize,
            users: usize,
        }
        let setup = &self.setup;
        let node = Node {
            name: &setup.node,
            address: &setup.address,
            api: &setup.api_address,
            version: setup.version,
            state: self.state.word(),
            since: setup.started_unix_ms,
            uptime_ms: now.monotonic_ms(),
            connections: setup.gauges.sessions(),
            users: setup.gauges.users(),
        };
        respond::json(200, &Body { nodes: [node] })
    }

    /// Starts draining, once. The response goes first: draining closes idle connections.
    pub(super) fn drain(&mut self, conn: ConnId) {
        #[derive(Serialize)]
        struct Body {
            draining: bool,
        }
        self.respond(conn, respond::json(202, &Body { draining: true }));
        if self.state != NodeState::Draining {
            self.state = NodeState::Draining;
            self.actions.push_back(ApiAction::Drain);
        }
    }

    pub(super) fn readyz(&self) -> Response {
        let status = if self.state == NodeState::Ready { 200 } else { 503 };
        Response::text(status, self.state.word())
    }
}
