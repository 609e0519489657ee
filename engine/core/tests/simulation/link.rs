//! A connection between a client and a shard: two byte streams with buffers of their own, as the kernel keeps them.

use std::collections::VecDeque;

use epush_core::id::ConnId;
use epush_core::shard::End;

use super::peer::Peer;

pub struct Link {
    pub shard: usize,
    pub conn: ConnId,
    pub peer: Peer,
    /// Written by the client, not arrived.
    pub outgoing: VecDeque<u8>,
    /// Arrived at the node, not read.
    pub arrived: VecDeque<u8>,
    /// Written by the node, not read by the client.
    pub inbox: VecDeque<u8>,
    /// Bytes `inbox` holds at most.
    pub capacity: usize,
    /// Bytes the client reads at a time.
    pub pace: usize,
    /// How the client's half ends once `outgoing` is empty.
    pub end: Option<End>,
    pub end_told: bool,
    /// The reactor has it on its list of readable sockets.
    pub ready: bool,
    /// The shard did not want it read: only a `Resume` brings it back to the list, whatever arrives.
    pub parked: bool,
    /// A write was short: the next `writable` event is due when the client reads.
    pub blocked: bool,
    pub shut: bool,
    pub closed: bool,
    /// The client knows that it is over.
    pub over: bool,
}

impl Link {
    pub fn new(shard: usize, conn: ConnId, peer: Peer, capacity: usize, pace: usize) -> Self {
        Self {
            shard,
            conn,
            peer,
            outgoing: VecDeque::new(),
            arrived: VecDeque::new(),
            inbox: VecDeque::new(),
            capacity,
            pace,
            end: None,
            end_told: false,
            ready: false,
            parked: false,
            blocked: false,
            shut: false,
            closed: false,
            over: false,
        }
    }

    /// Brings some of the client's bytes, and then its end, to the node.
    pub fn carry(&mut self, bytes: usize) {
        if self.closed {
            self.outgoing.clear();
            return;
        }
        let bytes = bytes.min(self.outgoing.len());
        self.arrived.extend(self.outgoing.drain(..bytes));
        let ends = self.end.is_some() && self.outgoing.is_empty() && !self.end_told;
        if (bytes > 0 || ends) && !self.parked {
            self.ready = true;
        }
    }

    /// The client breaks the connection off.
    pub fn reset(&mut self) {
        self.end = Some(End::Reset);
        self.outgoing.clear();
        self.arrived.clear();
        self.inbox.clear();
        self.over = true;
    }

    /// Whether nothing moves on it unless somebody acts.
    pub fn is_quiet(&self) -> bool {
        let inbound = self.outgoing.is_empty() && (self.arrived.is_empty() || self.parked) && !self.ready;
        let ended = self.end.is_none() || self.end_told || self.parked;
        self.closed && self.inbox.is_empty() && self.over
            || !self.closed && inbound && ended && self.inbox.is_empty() && !self.blocked
    }
}
