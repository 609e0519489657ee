//! Sockets as the shard sees them: adopted, read, written, ended.

use std::io::IoSlice;
use std::net::SocketAddr;
use std::rc::Rc;

use super::{Door, End, Shard};
use crate::batch::Batch;
use crate::close::CloseReason;
use crate::connection::{Connection, Flags, Phase};
use crate::counters::Histogram;
use crate::effect::Effect;
use crate::id::ConnId;
use crate::now::Now;

impl Shard {
    /// Takes over a new connection. The reactor keeps its socket at [`ConnId::index`].
    pub fn adopt(&mut self, now: Now, peer: SocketAddr, door: Door) -> ConnId {
        self.now = now;
        let remote = peer.ip().to_canonical();
        let trusted = self.setup.settings.trusted_proxies.iter().any(|network| network.contains(remote));
        let announced = door == Door::Client && self.setup.settings.proxy_protocol && trusted;
        let phase = if announced { Phase::Proxy } else { Phase::Head };
        let entry = self.connections.vacant_entry();
        let index = entry.key();
        if index == self.generations.len() {
            self.generations.push(0);
        }
        let generation = self.generations[index];
        self.generations[index] = generation.wrapping_add(1);
        entry.insert(Connection::new(generation, door, phase, remote, now));
        self.clients += usize::from(door == Door::Client);
        let conn = ConnId { index: index as u32, generation };
        self.arm(conn, now.monotonic_ms() + self.setup.settings.request_timeout_ms);
        if door == Door::Client && self.drain.is_some() {
            self.finish(conn, CloseReason::Drain);
        }
        conn
    }

    /// Whether the reactor should read this connection now. If not, it remembers that bytes may be waiting, and
    /// [`Effect::Resume`] says when they are wanted.
    #[must_use]
    pub fn wants_read(&self, conn: ConnId) -> bool {
        let connection = self.connections.get(conn.index as usize);
        connection.is_some_and(|c| c.generation == conn.generation && c.wants_read())
    }

    /// Bytes from the socket; they are unmasked in place. A stale name is ignored.
    pub fn handle_bytes(&mut self, now: Now, conn: ConnId, bytes: &mut [u8]) {
        self.now = now;
        let Some(connection) = self.find(conn) else { return };
        connection.last_input_ms = now.monotonic_ms();
        let answers_ping = connection.flags.has(Flags::PING_SENT) && connection.is_open();
        connection.flags.set(Flags::PING_SENT, false);
        if answers_ping {
            self.arm_open(conn);
        }
        self.feed(conn, bytes);
        self.settle();
        self.choke(conn);
    }

    /// Gives bytes to whatever reads in the connection's phase; keeps what comes while nothing does.
    pub(super) fn feed(&mut self, conn: ConnId, mut bytes: &mut [u8]) {
        while !bytes.is_empty() {
            let Some(connection) = self.find(conn) else { return };
            if connection.flags.has(Flags::WAITING | Flags::BUSY | Flags::CHOKED) {
                connection.rare().held.extend_from_slice(bytes);
                return;
            }
            match connection.phase {
                Phase::Proxy | Phase::Head | Phase::Body => {
                    self.feed_http(conn, bytes);
                    return;
                }
                Phase::Answering | Phase::Deciding | Phase::SigningIn => {
                    connection.rare().held.extend_from_slice(bytes);
                    return;
                }
                Phase::Open | Phase::Echo | Phase::Closing => bytes = self.feed_frames(conn, bytes),
                Phase::Lingering | Phase::Dead => return,
            }
        }
    }

    /// Reads on after a wait: first what was buffered and kept, then the socket.
    pub(super) fn resume(&mut self, conn: ConnId) {
        let Some(connection) = self.find(conn) else { return };
        let mut held = connection.rare.as_mut().map(|rare| std::mem::take(&mut rare.held)).unwrap_or_default();
        connection.tidy();
        self.advance(conn);
        self.feed(conn, &mut held);
        let Some(connection) = self.find(conn) else { return };
        if !connection.wants_read() {
            return;
        }
        if connection.flags.has(Flags::EOF) {
            self.end_of_input(conn, End::Eof);
        } else {
            self.effects.push_back(Effect::Resume(conn));
        }
    }

    /// Stops reading from a client that does not read its answers; returns whether it did. Asked after every frame and
    /// request, as the answers to one read can be many times its size.
    pub(super) fn choke(&mut self, conn: ConnId) -> bool {
        let limit = self.setup.settings.outbox_bytes_max;
        let Some(connection) = self.find(conn) else { return false };
        let answers = !matches!(connection.phase, Phase::Closing | Phase::Lingering);
        let choked = answers && connection.outbox.bytes() > limit;
        if choked {
            connection.flags.set(Flags::CHOKED, true);
        }
        choked
    }

    /// The peer's half ended, or all of the connection did.
    pub fn handle_end(&mut self, now: Now, conn: ConnId, end: End) {
        self.now = now;
        let Some(connection) = self.find(conn) else { return };
        if end == End::Eof && !connection.wants_read() {
            connection.flags.set(Flags::EOF, true);
            return;
        }
        self.end_of_input(conn, end);
        self.settle();
    }

    pub(super) fn end_of_input(&mut self, conn: ConnId, end: End) {
        let Some(connection) = self.find(conn) else { return };
        if end == End::Reset {
            let reason = connection.reason.unwrap_or(CloseReason::Reset);
            self.finish(conn, reason);
            return;
        }
        let reason = connection.reason.unwrap_or(CloseReason::Eof);
        let flushed = connection.outbox.is_empty();
        match connection.phase {
            Phase::Head | Phase::Body if connection.request_is_cut() => self.refuse_cut_request(conn),
            // A client may end its half behind its last request (RFC 9112 §9.6): it still gets its answers.
            Phase::Head if !flushed => {
                connection.flags.set(Flags::EOF, true);
                self.linger(conn, CloseReason::HttpDone, self.setup.settings.close_timeout_ms);
            }
            Phase::Closing | Phase::Lingering if !flushed => {
                connection.phase = Phase::Lingering;
                connection.flags.set(Flags::EOF, true);
            }
            Phase::Closing | Phase::Lingering => self.finish(conn, reason),
            Phase::Proxy | Phase::Head | Phase::Body => self.finish(conn, CloseReason::HttpDone),
            _ => self.finish(conn, CloseReason::Eof),
        }
    }

    /// The next connection with answers to write; a bounded number a turn, so that fan-out gets its share.
    pub fn next_urgent(&mut self) -> Option<ConnId> {
        while self.urgent_left > 0 {
            let index = self.urgent.pop_front()?;
            if let Some(conn) = self.writable(index, Flags::URGENT) {
                self.urgent_left -= 1;
                return Some(conn);
            }
        }
        None
    }

    /// The next connection with fan-out to write, first marked first.
    pub fn next_bulk(&mut self) -> Option<ConnId> {
        loop {
            let index = self.bulk.pop_front()?;
            self.fanout_left = self.fanout_left.saturating_sub(1);
            if let Some(conn) = self.writable(index, Flags::BULK) {
                return Some(conn);
            }
        }
    }

    /// Whether connections wait to be written: poll with a zero time-out.
    #[must_use]
    pub fn has_writes(&self) -> bool {
        !self.urgent.is_empty() || !self.bulk.is_empty()
    }

    /// Takes a connection off the list that `flag` stands for; none when there is nothing to write.
    fn writable(&mut self, index: u32, flag: u16) -> Option<ConnId> {
        let connection = self.connections.get_mut(index as usize)?;
        if !connection.flags.has(flag) {
            // Of a connection that had the slot before.
            return None;
        }
        connection.flags.set(flag, false);
        if connection.phase == Phase::Dead || connection.outbox.is_empty() || connection.flags.has(Flags::BLOCKED) {
            return None;
        }
        let before = connection.outbox.bytes();
        self.counters.gaps += connection.outbox.announce();
        self.counters.outbox_bytes += (connection.outbox.bytes() - before) as u64;
        Some(ConnId { index, generation: connection.generation })
    }

    /// What the socket should take next, if that is one run of bytes; else see [`Shard::output`].
    #[must_use]
    #[inline]
    pub fn output_alone(&self, conn: ConnId) -> Option<&[u8]> {
        let connection = self.connections.get(conn.index as usize).filter(|c| c.generation == conn.generation);
        connection.and_then(|connection| connection.outbox.alone())
    }

    /// Fills `slices` with what the socket should take next; returns how many were filled.
    pub fn output<'a>(&'a self, conn: ConnId, slices: &mut [IoSlice<'a>]) -> usize {
        let connection = self.connections.get(conn.index as usize).filter(|c| c.generation == conn.generation);
        connection.map_or(0, |connection| connection.outbox.slices(slices))
    }

    /// The socket took `bytes`; `blocked`, when that was less than it was offered.
    pub fn handle_sent(&mut self, now: Now, conn: ConnId, bytes: usize, blocked: bool) {
        self.now = now;
        let Some(connection) = self.connections.get_mut(conn.index as usize) else { return };
        if connection.generation != conn.generation || connection.phase == Phase::Dead {
            return;
        }
        let seconds = &mut self.counters.push_seconds;
        connection.outbox.advance(bytes, |batch| {
            // The last reference: every receiver of this shard has it.
            if Rc::strong_count(&batch) == 1 {
                time(seconds, batch, now);
            }
        });
        connection.flags.set(Flags::BLOCKED, blocked);
        self.counters.delivery_bytes += bytes as u64;
        self.counters.outbox_bytes -= bytes as u64;
        if connection.flags.has(Flags::CHOKED) {
            if bytes > 0 {
                // A choked session is not read, so reading what it was sent is all it can do to show that it lives.
                connection.last_input_ms = now.monotonic_ms();
            }
            self.unchoke(conn);
        }
        let Some(connection) = self.connections.get_mut(conn.index as usize) else { return };
        if connection.outbox.is_empty() {
            if connection.phase == Phase::Lingering {
                self.shut_down(conn);
            }
        } else if !blocked {
            self.mark_bulk(conn.index);
        }
    }

    fn unchoke(&mut self, conn: ConnId) {
        let limit = self.setup.settings.outbox_bytes_max;
        let Some(connection) = self.find(conn) else { return };
        if connection.outbox.bytes() <= limit / 2 {
            connection.flags.set(Flags::CHOKED, false);
            self.resume(conn);
            self.settle();
        }
    }

    /// The socket takes bytes again.
    pub fn handle_writable(&mut self, now: Now, conn: ConnId) {
        self.now = now;
        let Some(connection) = self.find(conn) else { return };
        connection.flags.set(Flags::BLOCKED, false);
        if !connection.outbox.is_empty() {
            self.mark_bulk(conn.index);
        }
    }

    pub(super) fn mark_bulk(&mut self, index: u32) {
        let connection = &mut self.connections[index as usize];
        if !connection.flags.has(Flags::BULK) && !connection.flags.has(Flags::BLOCKED) {
            connection.flags.set(Flags::BULK, true);
            self.bulk.push_back(index);
        }
    }

    /// Says nothing more: once the outbox is empty the sending half is shut, then the peer's end is awaited.
    ///
    /// Closing at once would make the kernel answer bytes still under way with a reset, which can destroy what we
    /// sent before the peer read it (RFC 9112 §9.6).
    pub(super) fn linger(&mut self, conn: ConnId, reason: CloseReason, timeout_ms: u64) {
        let Some(connection) = self.find(conn) else { return };
        connection.phase = Phase::Lingering;
        connection.reason.get_or_insert(reason);
        let empty = connection.outbox.is_empty();
        connection.flags.set(Flags::CHOKED, false);
        let by = self.now.monotonic_ms() + timeout_ms;
        self.arm(conn, by);
        if empty {
            self.shut_down(conn);
        }
    }

    fn shut_down(&mut self, conn: ConnId) {
        let Some(connection) = self.find(conn) else { return };
        if connection.flags.has(Flags::EOF) {
            let reason = connection.reason.unwrap_or(CloseReason::Eof);
            self.finish(conn, reason);
        } else if !connection.flags.has(Flags::SHUT) {
            connection.flags.set(Flags::SHUT, true);
            self.effects.push_back(Effect::ShutdownWrite(conn));
            self.effects.push_back(Effect::Resume(conn));
        }
    }
}

/// Times the messages of a batch that every receiver of this shard has. Once a batch: out of the way of every write.
#[cold]
#[inline(never)]
fn time(seconds: &mut Histogram, batch: Rc<Batch>, now: Now) {
    let last = Rc::into_inner(batch).into_iter().flat_map(Batch::into_last_accepted_us);
    last.for_each(|accepted_us| seconds.observe(now.monotonic_us.saturating_sub(accepted_us)));
}
