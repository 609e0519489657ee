//! The end of a session: by plan, by time, by what broke.

use super::{Change, Fleet};
use crate::clock::now_ns;
use crate::worker::failure::Failure;
use crate::worker::seat::Stage;
use crate::worker::timeouts::Session;

impl Fleet {
    /// What the last turn left: sockets with more to read, and broken ones.
    pub fn catch_up(&mut self) {
        for session in std::mem::take(&mut self.more) {
            if self.is_current(session) {
                self.readable(session.seat as usize, true);
            }
        }
        for (session, failure) in std::mem::take(&mut self.broken) {
            // Its last words say more than the error does. Reading may break it again: that is then an old session's.
            if self.is_current(session) {
                self.read(session.seat as usize, true);
            }
            if self.is_current(session) {
                self.finish(session.seat as usize, Some(failure));
            }
        }
    }

    /// Ends sessions whose time is over.
    pub fn expire(&mut self, now_ns: u64) {
        while let Some(session) = self.opening_timeouts.pop(now_ns) {
            let at = session.seat as usize;
            if self.is_current(session) && self.seats[at].is_opening() {
                self.finish(at, Some(Failure::too_slow(self.seats[at].stage)));
            }
        }
        while let Some(session) = self.leaving_timeouts.pop(now_ns) {
            if self.is_current(session) && self.seats[session.seat as usize].stage == Stage::Leaving {
                self.finish(session.seat as usize, None);
            }
        }
    }

    pub(super) fn is_current(&self, session: Session) -> bool {
        let seat = &self.seats[session.seat as usize];
        seat.stage != Stage::Idle && seat.sessions == session.number
    }

    /// Ends a session: by plan without a failure, and whatever happens while it leaves.
    pub(super) fn finish(&mut self, at: usize, failure: Option<Failure>) {
        let seat = &mut self.seats[at];
        let (stage, was_opening) = (seat.stage, seat.is_opening());
        let Some(socket) = seat.socket.take() else { return };
        seat.stage = Stage::Idle;
        self.opening -= usize::from(was_opening);
        self.open -= 1;
        self.recorder.counts_mut().backlog_bytes -= socket.backlog_bytes() as u64;
        let failure = failure.filter(|_| stage != Stage::Leaving);
        if let Some(failure) = &failure {
            self.recorder.failure(&failure.kind, &failure.example);
        }
        if stage >= Stage::Joining {
            self.with_client(at, now_ns(), |client, turn| client.ended(failure.is_none(), turn));
        } else {
            self.recorder.counts_mut().failed += 1;
        }
        self.changes.push(Change::Ended(at));
    }
}
