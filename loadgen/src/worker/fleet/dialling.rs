//! The beginning of a session: TCP, TLS, and the first words.

use mio::{Interest, Token};

use super::{Change, Fleet};
use crate::clock::now_ns;
use crate::worker::failure::Failure;
use crate::worker::seat::{Reading, Stage};
use crate::worker::socket::Socket;

impl Fleet {
    /// Begins a session of an idle seat, which was due then.
    pub fn dial(&mut self, at: usize, due_ns: u64, now_ns: u64) {
        let seat = &mut self.seats[at];
        debug_assert_eq!(seat.stage, Stage::Idle, "one session at a time");
        (seat.due_ns, seat.unread, seat.reading, seat.comes_again) = (due_ns, false, Reading::Prompt, false);
        seat.sessions += 1;
        self.recorder.counts_mut().started += 1;
        match self.socket(at) {
            Ok(socket) => {
                let seat = &mut self.seats[at];
                (seat.socket, seat.stage) = (Some(socket), Stage::Dialling);
                self.opening += 1;
                self.open += 1;
                self.opening_timeouts.start(now_ns, seat.session(at));
            }
            Err(failure) => {
                self.recorder.counts_mut().failed += 1;
                self.recorder.failure(&failure.kind, &failure.example);
                self.changes.push(Change::Ended(at));
            }
        }
    }

    pub(super) fn socket(&self, at: usize) -> Result<Socket, Failure> {
        let tls = self.route.tls().map_err(|error| Failure::of_tls(&error))?;
        let stream = self.route.dial(self.seats[at].client.number()).map_err(|error| Failure::of_dialling(&error))?;
        let mut socket = Socket::new(stream, tls);
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registered = self.registry.register(socket.stream_mut(), Token(at), interest);
        registered.map_err(|error| Failure::of_dialling(&error))?;
        Ok(socket)
    }

    pub(super) fn connected(&mut self, at: usize) {
        let seat = &mut self.seats[at];
        let Some(socket) = &mut seat.socket else { return };
        if let Err(error) = socket.connected() {
            return self.finish(at, Some(Failure::of_connecting(&error)));
        }
        if socket.is_tls() {
            seat.stage = Stage::Securing;
            self.out.clear();
            self.say(at);
        } else {
            self.join(at);
        }
    }

    pub(super) fn join(&mut self, at: usize) {
        self.seats[at].stage = Stage::Joining;
        let due_ns = self.seats[at].due_ns;
        self.with_client(at, now_ns(), |client, turn| client.open(due_ns, turn));
        self.look(at);
    }
}
