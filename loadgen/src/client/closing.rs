//! Closing a client's account: what its sessions should have got.

use super::{Client, Phase, Turn};
use crate::account::Account;
use crate::ledger::Parting;
use crate::plan::CLIENT_STREAM;
use crate::recorder::{FOREIGN_STREAM, Recorder};

impl Client {
    /// Whether nothing more is to come for it, by what [`Recorder::published`] said; `neighbour_sent`: what its neighbour sent, 0
    /// where it has none. A session that is over, or not ready, waits for nothing.
    #[must_use]
    pub fn is_complete(&self, neighbour_sent: u64, recorder: &Recorder) -> bool {
        if self.phase != Phase::Ready || self.is_settled {
            return true;
        }
        recorder.is_published() && self.ledger.is_complete(|account| self.end_of(account, neighbour_sent, recorder))
    }

    /// Closes its account, at the end, before it is asked to leave: what is missing now is lost. `neighbour_sent` as above.
    pub fn settle(&mut self, neighbour_sent: u64, turn: &mut Turn<'_>) {
        if std::mem::replace(&mut self.is_settled, true) {
            return;
        }
        if self.phase == Phase::Leaving {
            // Churn: it has said goodbye, and only waits for the server's.
            return self.depart_by_plan(turn);
        }
        let ledger = std::mem::take(&mut self.ledger);
        let mut counts = *turn.recorder.counts();
        let parting = if self.was_closed { Parting::Closed } else { Parting::Stayed };
        ledger.close(|account| self.end_of(account, neighbour_sent, turn.recorder), parting, &mut counts);
        *turn.recorder.counts_mut() = counts;
        self.was_closed = false;
    }

    /// What a stream has to be got up to, and those numbers that the server did not take.
    fn end_of<'a>(&self, account: &Account, neighbour_sent: u64, recorder: &'a Recorder) -> (u64, &'a [u64]) {
        match account.stream() {
            FOREIGN_STREAM => (account.next(), &[]),
            stream if stream == CLIENT_STREAM | self.number => (self.sent, &[]),
            stream if stream & CLIENT_STREAM != 0 => (neighbour_sent, &[]),
            stream => recorder.published_in(stream).unwrap_or((account.next(), &[])),
        }
    }

    /// It left as planned: what was on its way need not have come any more.
    pub(super) fn depart_by_plan(&mut self, turn: &mut Turn<'_>) {
        turn.recorder.depart(std::mem::take(&mut self.ledger), false, |_, account| account.next());
    }

    /// The server closed the session before, and it comes again: what was due until now is lost.
    pub(super) fn depart_after_close(&mut self, turn: &mut Turn<'_>) {
        self.was_closed = false;
        let own = CLIENT_STREAM | self.number;
        let end = |recorder: &Recorder, account: &Account| {
            let due = match account.stream() {
                stream if stream == own => Some(self.sent),
                stream if stream >= FOREIGN_STREAM => None,
                stream => recorder.first_due(turn.plan, stream, turn.now_ns),
            };
            due.unwrap_or_default().max(account.next())
        };
        turn.recorder.depart(std::mem::take(&mut self.ledger), true, end);
    }
}
