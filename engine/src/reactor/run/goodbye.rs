//! The end of a reactor: what was accepted is offered, then every session is closed.

use epush_core::close::CloseReason;
use epush_core::mail::Mail;

use super::Reactor;

impl Reactor {
    /// Offers what was accepted to its sockets, then closes every session. Nothing is read any more, so it ends.
    pub(super) fn say_goodbye(&mut self) {
        // For good: who is read on because its outbox has room may still publish.
        self.shard.allow_windows(false);
        self.write_out();
        for conn in self.sockets.names() {
            self.shard.handle_mail(self.now, Mail::Close { conn, reason: CloseReason::Drain });
            self.settle();
        }
        self.write_out();
    }

    fn write_out(&mut self) {
        while self.shard.has_writes() || self.shard.has_pending() {
            self.shard.flush(self.now);
            self.settle();
            self.write_sockets();
            self.shard.end_turn();
        }
    }
}
