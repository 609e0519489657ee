//! Counts, the members of the cluster, liveness and draining. Knows nothing of how other nodes are heard of.

use epush_core::http::Response;
use epush_core::id::ConnId;
use epush_core::mail::ClusterCounts;
use epush_core::now::Now;
use serde::Serialize;

use super::{Api, ApiAction, NodeState, respond};
use crate::relay::NodeRecord;

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
    connections: u64,
    users: u64,
    synced: bool,
}

impl Api {
    pub(super) fn online(&self, now: Now) -> Response {
        #[derive(Serialize)]
        struct Body {
            node: Counts,
            cluster: Counts,
            #[serde(skip_serializing_if = "Option::is_none")]
            relay: Option<&'static str>,
        }
        #[derive(Serialize)]
        struct Counts {
            connections: u64,
            users: u64,
            #[serde(skip_serializing_if = "Option::is_none")]
            nodes: Option<u64>,
        }
        let gauges = &self.setup.gauges;
        let node = Counts { connections: gauges.sessions() as u64, users: gauges.users() as u64, nodes: None };
        let ClusterCounts { sessions, users, nodes } = self.setup.census.counts(now);
        let cluster = Counts { connections: sessions, users, nodes: Some(nodes) };
        respond::json(200, &Body { node, cluster, relay: self.relay_word() })
    }

    /// The cluster's nodes by name, this one as it is now.
    pub(super) fn nodes(&self, now: Now) -> Response {
        #[derive(Serialize)]
        struct Body<'a> {
            nodes: Vec<Node<'a>>,
            #[serde(skip_serializing_if = "Option::is_none")]
            relay: Option<&'static str>,
        }
        let setup = &self.setup;
        let others = setup.census.others(now);
        let mut nodes: Vec<_> = others.iter().map(|record| other(record, now)).collect();
        nodes.push(Node {
            name: &setup.node,
            address: &setup.address,
            api: &setup.api_address,
            version: setup.version,
            state: self.state.word(),
            since: setup.started_unix_ms,
            uptime_ms: now.monotonic_ms(),
            connections: setup.gauges.sessions() as u64,
            users: setup.gauges.users() as u64,
            synced: setup.relay.is_none() || setup.census.is_synced(),
        });
        nodes.sort_by(|left, right| (left.name, left.since).cmp(&(right.name, right.since)));
        respond::json(200, &Body { nodes, relay: self.relay_word() })
    }

    /// Whether Redis is there; none: this node needs none.
    fn relay_word(&self) -> Option<&'static str> {
        self.setup.relay.as_ref().map(|relay| if relay.figures.is_whole() { "up" } else { "down" })
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
        let relay = self.setup.relay.as_ref();
        let is_cut_off = relay.is_some_and(|relay| !relay.ready_without_redis && !relay.figures.is_whole());
        match self.state {
            NodeState::Ready if is_cut_off => Response::text(503, "redis"),
            NodeState::Ready => Response::text(200, NodeState::Ready.word()),
            state => Response::text(503, state.word()),
        }
    }
}

fn other(record: &NodeRecord, now: Now) -> Node<'_> {
    Node {
        name: &record.name,
        address: &record.address,
        api: &record.api,
        version: &record.version,
        state: &record.state,
        since: record.since,
        // By its own clock and ours: no more than a person reads.
        uptime_ms: now.unix_ms.saturating_sub(record.since),
        connections: record.connections,
        users: record.users,
        synced: record.synced,
    }
}
