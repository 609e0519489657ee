//! What goes through sockets, in and out.

use mio::event::Event;

use super::{Change, Fleet, WIRE_BYTES};
use crate::client::{Phase, Turn};
use crate::clock::now_ns;
use crate::worker::failure::Failure;
use crate::worker::seat::{Reading, Stage};
use crate::worker::socket::{Got, Opened, Socket};

/// Reads of one socket before others get their turn.
const READS_PER_TURN: usize = 4;

impl Fleet {
    /// A socket is ready for something.
    pub fn on_event(&mut self, at: usize, event: &Event) {
        if self.seats[at].stage == Stage::Dialling {
            // No return: what the server said or ended on accept may be in this same edge, and there is no second one.
            self.connected(at);
        } else if event.is_writable() {
            self.flush(at);
        }
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            self.readable(at, event.is_read_closed() || event.is_error());
        }
    }

    pub(super) fn readable(&mut self, at: usize, to_the_end: bool) {
        let seat = &mut self.seats[at];
        if seat.reading != Reading::Prompt && seat.stage == Stage::Ready {
            seat.unread = true;
        } else {
            self.read(at, to_the_end);
        }
    }

    /// Reads what is there: once, when that leaves room in the buffer, as the socket is then empty and tells when it is not.
    /// `to_the_end`: until it says that it is empty, for an end or an error gives no second edge.
    pub fn read(&mut self, at: usize, to_the_end: bool) {
        for _ in 0..READS_PER_TURN {
            let Some(count) = self.read_once(at, WIRE_BYTES) else { return };
            if count < WIRE_BYTES && !to_the_end {
                return;
            }
        }
        self.more.push(self.seats[at].session(at));
    }

    /// Reads so much at most. Nothing: the socket has no more for now, or the session is over.
    pub(super) fn read_once(&mut self, at: usize, bytes_max: usize) -> Option<usize> {
        let seat = &mut self.seats[at];
        match seat.socket.as_mut()?.receive(&mut self.wire[..bytes_max]) {
            Ok(Got::Bytes(count)) => self.take(at, count).then_some(count),
            Ok(Got::Nothing) => {
                seat.unread = false;
                None
            }
            Ok(Got::End) => {
                let stage = seat.stage;
                self.finish(at, Some(Failure::ended(stage)));
                None
            }
            Err(failure) => {
                self.finish(at, Some(failure));
                None
            }
        }
    }

    /// The client takes the first `count` bytes of `wire`. Returns whether the session goes on.
    pub(super) fn take(&mut self, at: usize, count: usize) -> bool {
        let now_ns = now_ns();
        let Self { plan, seats, recorder, wire, plain, out, .. } = self;
        let seat = &mut seats[at];
        let Some(socket) = &mut seat.socket else { return false };
        out.clear();
        let Opened { plain, end } = socket.open(&wire[..count], plain);
        let is_tls = socket.is_tls();
        if seat.stage == Stage::Securing {
            let (is_over, spoke) = (!socket.is_securing(), !plain.is_empty());
            // The alert, too, where TLS has one.
            self.say(at);
            if spoke || end.is_some() {
                let failure =
                    if spoke { Some(Failure::spoke_first()) } else { end.map(|end| end.failure(Stage::Securing)) };
                self.finish(at, failure);
                return false;
            }
            if is_over {
                self.join(at);
            }
            return true;
        }
        recorder.counts_mut().bytes_read += plain.len() as u64;
        let ended = seat.client.receive(plain, &mut Turn { plan, recorder, out, now_ns });
        let answers_matter = seat.answers_matter;
        if is_tls || !out.is_empty() {
            self.say(at);
        }
        if let Err(ended) = ended {
            self.finish(at, Failure::of_client(ended));
            return false;
        }
        self.look(at);
        if answers_matter {
            self.changes.push(Change::Answered(at));
        }
        let Some(end) = end else { return true };
        let failure = end.failure(self.seats[at].stage);
        self.finish(at, Some(failure));
        false
    }

    /// Notes that a session got ready.
    pub(super) fn look(&mut self, at: usize) {
        let seat = &mut self.seats[at];
        if seat.stage == Stage::Joining && seat.client.phase() == Phase::Ready {
            seat.stage = Stage::Ready;
            self.opening -= 1;
            self.changes.push(Change::Ready(at));
        }
    }

    pub(super) fn flush(&mut self, at: usize) {
        self.write(at, |socket, _, _| socket.flush());
    }

    /// Sends what is in `out`, and what TLS has to say.
    pub(super) fn say(&mut self, at: usize) {
        let bytes = self.out.len() as u64;
        self.recorder.counts_mut().bytes_written += bytes;
        self.write(at, |socket, out, sealed| socket.send(out, sealed));
    }

    pub(super) fn write(
        &mut self,
        at: usize,
        write: impl FnOnce(&mut Socket, &[u8], &mut Vec<u8>) -> Result<(), Failure>,
    ) {
        let Self { seats, recorder, out, sealed, .. } = self;
        let seat = &mut seats[at];
        let Some(socket) = &mut seat.socket else { return };
        let before = socket.backlog_bytes() as u64;
        let written = write(socket, out, sealed);
        let counts = recorder.counts_mut();
        counts.backlog_bytes = counts.backlog_bytes - before + socket.backlog_bytes() as u64;
        if let Err(failure) = written {
            self.broken.push((seat.session(at), failure));
        }
    }
}
