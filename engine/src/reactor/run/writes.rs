//! Phase 6: what waits in outboxes, written.

use std::io::{self, IoSlice};

use epush_core::id::ConnId;
use epush_core::shard::{End, Shard};

use super::super::socket::Socket;
use super::Reactor;

/// Fan-out writes per turn. At some 5 µs a write, a broadcast to everybody lets reads in every 3 ms.
pub(super) const BULK_WRITES_PER_TURN: usize = 512;

/// Chunks of one vectored write: 64 messages in a write cost 0.07 µs each, and more gain little.
const SLICES_PER_WRITE: usize = 64;

impl Reactor {
    pub(super) fn write_sockets(&mut self) {
        if !self.shard.has_writes() {
            return;
        }
        self.now = self.outside.node.clock.now();
        // The shard ends the answers of a turn itself.
        while let Some(conn) = self.shard.next_urgent() {
            self.write(conn);
            self.settle();
        }
        for _ in 0..BULK_WRITES_PER_TURN {
            let Some(conn) = self.shard.next_bulk() else { return };
            self.write(conn);
            self.settle();
        }
    }

    fn write(&mut self, conn: ConnId) {
        let Some(socket) = self.sockets.find(conn) else { return };
        let (offered, outcome) = match self.shard.output_alone(conn) {
            Some(bytes) => (bytes.len(), socket.send(bytes)),
            None => gather(&self.shard, conn, socket),
        };
        let outcome = outcome.and_then(|taken| {
            if taken < offered {
                socket.blocked(self.poll.registry(), conn)?;
            }
            Ok(taken)
        });
        match outcome {
            Ok(taken) => self.shard.handle_sent(self.now, conn, taken, taken < offered),
            Err(_) => self.shard.handle_end(self.now, conn, End::Reset),
        }
    }
}

/// Writes several runs of bytes at once; how many they have, and how many the socket took. Apart from the write of one
/// run: to clear the slices costs as much as the rest of that.
#[inline(never)]
fn gather(shard: &Shard, conn: ConnId, socket: &mut Socket) -> (usize, io::Result<usize>) {
    let mut slices = [IoSlice::new(&[]); SLICES_PER_WRITE];
    let filled = shard.output(conn, &mut slices);
    let offered = slices[..filled].iter().map(|slice| slice.len()).sum();
    (offered, if offered == 0 { Ok(0) } else { socket.write(&slices[..filled]) })
}
