//! What happens at a listener: who is accepted, who is refused, when accepting pauses.
//!
//! Knows nothing of the poll.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use epush_core::close::CloseReason;
use epush_core::id::ShardId;
use epush_core::mail::Mail;
use epush_core::shard::Door;
use mio::net::{TcpListener, TcpStream};
use tracing::{debug, warn};

use super::Note;
use super::spare::Spare;
use crate::admission::{Admission, Over};
use crate::clock::Clock;
use crate::gauges::NodeGauges;
use crate::logging::{Kind, Throttle};
use crate::mailbox::Mailbox;
use crate::placement::Placement;
use crate::reactor::Post;
use crate::sys;

/// Sockets accepted from one listener in a turn: bounds how long notes and the other listener wait.
pub(super) const ACCEPTS_PER_TURN: usize = 256;

/// Pause after running out of descriptors or memory: something has to be closed first, and trying is not free.
const PAUSE_US: u64 = 100_000;

const BUSY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const TOO_MANY: &[u8] =
    b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 30\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// A listener, and what is known of its backlog.
pub(super) struct Gate<L> {
    pub(super) door: Door,
    pub(super) listener: L,
    /// Whether connections may wait: edges tell of new ones only, so a turn that stops early must remember.
    pub(super) waiting: bool,
    /// Not to be tried before.
    pub(super) pause_until_us: u64,
}

/// Everything an accept needs but the listener.
pub(super) struct Desk {
    pub(super) admission: Admission,
    pub(super) placement: Placement,
    pub(super) spare: Spare,
    pub(super) reactors: Vec<Mailbox<Post>>,
    pub(super) gauges: Arc<NodeGauges>,
    pub(super) clock: Clock,
    pub(super) throttle: Throttle,
}

/// What is accepted from; a test's fails on demand.
pub(super) trait Listen {
    fn accept(&self) -> io::Result<(TcpStream, SocketAddr)>;
}

impl Listen for TcpListener {
    fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        Self::accept(self)
    }
}

impl<L> Gate<L> {
    pub(super) fn new(door: Door, listener: L) -> Self {
        // Connections may have come between listen and registration.
        Self { door, listener, waiting: true, pause_until_us: 0 }
    }

    /// Whether a turn in which so many came is one of many: several clients at once, and all that had come were taken.
    ///
    /// Who connects one after the other, each waiting for the last, is never a crowd. Nor do callers of the API make one: some
    /// open a connection for every call, and wait for it.
    pub(super) fn is_crowded(&self, came: usize) -> bool {
        came > 1 && !self.waiting && self.door == Door::Client
    }
}

impl Desk {
    /// Accepts until the backlog is empty, the turn's share is used up, or accepting has to pause; returns how many came.
    pub(super) fn accept_turn<L: Listen>(&mut self, gate: &mut Gate<L>) -> usize {
        let now_us = self.clock.monotonic_us();
        if !gate.waiting || now_us < gate.pause_until_us {
            return 0;
        }
        (0..ACCEPTS_PER_TURN).map_while(|_| self.accept_next(gate, now_us)).sum()
    }

    /// Accepts once; how many came by it, nothing when the turn is over.
    fn accept_next<L: Listen>(&mut self, gate: &mut Gate<L>, now_us: u64) -> Option<usize> {
        if gate.door == Door::Client
            && let Err(wait_us) = self.admission.pace(now_us)
        {
            gate.pause_until_us = now_us + wait_us;
            return None;
        }
        match gate.listener.accept() {
            Ok((stream, peer)) => {
                if gate.door == Door::Client {
                    self.admission.spend(now_us);
                }
                self.admit(gate.door, stream, peer);
                Some(1)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                gate.waiting = false;
                None
            }
            Err(error) if self.goes_on_after(&gate.listener, &error) => Some(0),
            Err(_) => {
                gate.pause_until_us = now_us + PAUSE_US;
                None
            }
        }
    }

    fn admit(&mut self, door: Door, stream: TcpStream, peer: SocketAddr) {
        let admitted = match door {
            Door::Client => self.admission.enter(peer.ip()),
            Door::Api => self.admission.enter_api(),
        };
        if let Err(over) = admitted {
            return self.refuse(stream, peer, over);
        }
        self.gauges.accepted.fetch_add(1, Relaxed);
        // The API's memory (idempotency keys, schedules) lives on the first reactor, and so do its connections.
        let shard = if door == Door::Api { ShardId(0) } else { self.placement.fewest() };
        self.placement.handed_over(shard);
        self.reactors[usize::from(shard.0)].post(Post::Adopt { stream, peer, door });
    }

    fn refuse(&mut self, stream: TcpStream, peer: SocketAddr, over: Over) {
        let (counter, limit, response) = match over {
            Over::Connections => (&self.gauges.refused_connections, "limits.connections", BUSY),
            Over::PerIp => (&self.gauges.refused_per_ip, "limits.connections_per_ip", TOO_MANY),
            Over::Api => (&self.gauges.refused_api, "limits.api_connections", BUSY),
        };
        counter.fetch_add(1, Relaxed);
        if self.throttle.admit(Kind::Refused, self.clock.monotonic_us()) {
            warn!(%peer, limit, "connection refused");
        }
        turn_away(stream, response);
    }

    /// Whether a failed accept leaves the next connection to be accepted; if not, accepting has to pause.
    fn goes_on_after<L: Listen>(&mut self, listener: &L, error: &io::Error) -> bool {
        if sys::is_of_one_connection(error) {
            debug!(%error, "a connection ended before it was accepted");
            return true;
        }
        // Descriptors, memory, or something nobody foresaw: whatever it is, the next call would meet it too.
        self.gauges.accept_errors.fetch_add(1, Relaxed);
        if self.throttle.admit(Kind::Accept, self.clock.monotonic_us()) {
            warn!(%error, "cannot accept: pausing");
        }
        if sys::is_out_of_descriptors(error) {
            // One is told, so that it does not wait in the backlog for a server that cannot take it.
            if self.spare.give()
                && let Ok((stream, _)) = listener.accept()
            {
                turn_away(stream, BUSY);
            }
            self.spare.take_back();
        }
        false
    }

    pub(super) fn read_note(&mut self, note: Note) {
        match note {
            Note::Closed { door, shard, ip } => {
                self.placement.closed(shard);
                match door {
                    Door::Client => self.admission.leave(ip),
                    Door::Api => self.admission.leave_api(),
                }
            }
            Note::Behind { shard, conn, before, client } => {
                if !self.admission.behind(before, client) {
                    self.gauges.refused_per_ip.fetch_add(1, Relaxed);
                    let close = Mail::Close { conn, reason: CloseReason::RateLimited };
                    self.reactors[usize::from(shard.0)].post(Post::Mail(close));
                }
            }
            Note::Limits(limits) => self.admission.set_limits(limits),
            Note::Drain { .. } | Note::Stop => {}
        }
    }
}

/// Says why and closes. Best effort: a peer that is refused must not cost more than this.
fn turn_away(mut stream: TcpStream, response: &[u8]) {
    let _ = stream.write(response);
    // Closing over unread bytes would reset the connection and could take the response with it.
    let _ = stream.read(&mut [0; 1_024]);
}
