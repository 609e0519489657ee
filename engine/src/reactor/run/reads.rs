//! Phase 3: sockets that may have bytes, in the order in which that was heard.

use epush_core::id::ConnId;
use epush_core::shard::{Door, End};
use mio::event::Event as PollEvent;

use super::super::socket::{Peer, Reading};
use super::super::token::conn_of;
use super::Reactor;

/// Sockets read per turn, one read each: bounds how long a flood keeps timers and writes waiting.
pub(super) const READS_PER_TURN: usize = 512;

/// Bytes read per turn, give or take one buffer: a crowd of floods may send each socket's buffer full.
pub(super) const READ_BYTES_PER_TURN: usize = 4 * 1024 * 1024;

/// What is read of a client at once: 64 messages of 1 KiB that a client publishes together, so that they share their writes.
const CLIENT_READ_BYTES: usize = 128 * 1024;

impl Reactor {
    /// Notes what the kernel tells of a socket; what there is to read is read in its phase.
    pub(super) fn note_event(&mut self, event: &PollEvent) {
        let conn = conn_of(event.token());
        let Some(socket) = self.sockets.find(conn) else { return };
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            socket.peer = socket.peer.max(peer_of(event));
            // A peer that is gone is looked at even where nothing is read: nobody waits for the answer any more.
            if socket.reading == Reading::Drained || socket.reading == Reading::Parked && socket.peer == Peer::Gone {
                socket.reading = Reading::Listed;
                self.readable.push_back(conn);
            }
        }
        if event.is_writable() {
            match socket.writable(self.poll.registry(), conn) {
                Ok(true) => self.shard.handle_writable(self.now, conn),
                Ok(false) => return,
                Err(_) => self.shard.handle_end(self.now, conn, End::Reset),
            }
            self.settle();
        }
    }

    pub(super) fn read_sockets(&mut self) {
        // Counted beforehand: a socket that goes back to the end of the line is read again next turn at the earliest.
        let mut bytes_left = READ_BYTES_PER_TURN;
        for _ in 0..self.readable.len().min(READS_PER_TURN) {
            let Some(conn) = self.readable.pop_front() else { return };
            bytes_left = bytes_left.saturating_sub(self.read(conn));
            self.settle();
            if bytes_left == 0 {
                return;
            }
        }
    }

    /// Reads one socket once; returns how many bytes came.
    fn read(&mut self, conn: ConnId) -> usize {
        let Some(socket) = self.sockets.find(conn) else { return 0 };
        if !self.shard.wants_read(conn) {
            socket.reading = Reading::Parked;
            if socket.peer == Peer::Gone {
                self.shard.handle_end(self.now, conn, End::Reset);
            }
            return 0;
        }
        let scratch = match socket.door {
            Door::Client => &mut self.scratch[..CLIENT_READ_BYTES],
            Door::Api => &mut self.scratch[..],
        };
        let outcome = socket.read(scratch);
        let outcome = socket.watch(self.poll.registry(), conn).and(outcome);
        // A short read leaves a stream socket empty (epoll(7)), unless the end of the stream waits behind the bytes.
        let more = match outcome {
            Ok(Some(0) | None) | Err(_) => false,
            Ok(Some(bytes)) => bytes == scratch.len() || socket.peer != Peer::There,
        };
        socket.reading = if more { Reading::Listed } else { Reading::Drained };
        if more {
            self.readable.push_back(conn);
        }
        match outcome {
            Ok(Some(0)) => self.shard.handle_end(self.now, conn, End::Eof),
            Ok(Some(bytes)) => self.shard.handle_bytes(self.now, conn, &mut self.scratch[..bytes]),
            Ok(None) => {}
            Err(_) => self.shard.handle_end(self.now, conn, End::Reset),
        }
        outcome.ok().flatten().unwrap_or(0)
    }
}

fn peer_of(event: &PollEvent) -> Peer {
    // EPOLLERR, or EPOLLHUP: both halves are over. Where nothing is read we have not shut ours, so it was a reset.
    if event.is_error() || event.is_write_closed() {
        Peer::Gone
    } else if event.is_read_closed() {
        Peer::Finished
    } else {
        Peer::There
    }
}
