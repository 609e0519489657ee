//! Replies to their places; and what becomes of errands without one.

use std::sync::atomic::Ordering::Relaxed;

use epush_core::batch::Stream;
use epush_core::mail::Answer;
use redis::Value;

use super::Outward;
use super::errand::Then;
use super::publish::Outgoing;
use super::questions::unavailable;
use crate::relay::order::Arrival;
use crate::relay::scripts::reply;

impl Outward {
    /// Redis has done it, or refuses to.
    pub(super) fn answered(&mut self, then: Then, reply: &Value) {
        match then {
            Then::Nothing => {}
            Then::Published(outgoing) => self.published(outgoing, reply),
            Then::SignedIn { user, session } => self.signed_in(user, session, reply),
            Then::SignedOut { user } => self.signed_out(user, reply),
            Then::Synced { user, ticket } => self.synced(user, ticket, reply),
            Then::Renewed => self.renewed(reply),
            Then::Enrolled => self.enrolled(reply),
            Then::Counted { partition } => self.counted(partition, reply),
            Then::Marked { partition, ours } => self.marked(partition, ours, reply),
            Then::Versioned => self.versioned(reply),
            Then::Swept { dead, partition } => self.swept(dead, partition, reply),
            Then::Sessions(report) => self.sessions(report, reply),
            Then::Kicked(report) => self.kicked(report, reply),
            Then::Mutes { user, report } => self.mutes(&user, report, reply),
            Then::MutesChanged { user, report } => self.mutes_changed(&user, report, reply),
            Then::Asked { ticket } => self.asked(ticket, reply),
            Then::SchedulePut { conn, tag } => self.schedule_put(conn, tag, reply),
            Then::ScheduleRemoved { conn, tag } => self.schedule_removed(conn, tag, reply),
            Then::SchedulesVersioned => self.schedules_versioned(reply),
            Then::SchedulesRestored => self.schedules_restored(reply),
            Then::SchedulesLoaded => self.schedules_loaded(reply),
            Then::Claimed { name, number } => self.claimed(name, number, reply),
        }
    }

    /// The link broke: none of this was done, or nobody knows. Messages are kept, the directory is corrected later, and whoever
    /// waits is answered.
    pub(super) fn unanswered(&mut self, errands: Vec<Then>) {
        let mut messages = Vec::new();
        for then in errands {
            match then {
                Then::Published(outgoing) => messages.push(outgoing),
                Then::SignedIn { user, session } => self.let_in(user, session),
                Then::SignedOut { user } => self.sign_out_later(user),
                Then::Synced { user, .. } => self.sync_later(&user),
                Then::Sessions(report) => self.answer(report, Answer::Sessions(Vec::new())),
                Then::Mutes { user, report } => self.answer_mutes_from_here(&user, report),
                Then::Kicked(report) | Then::MutesChanged { report, .. } => {
                    self.answer(report, Answer::Refused(unavailable()));
                }
                Then::Asked { ticket } => self.setup.inward.post(Arrival::Asked { ticket, receivers: None }),
                Then::SchedulePut { conn, tag } | Then::ScheduleRemoved { conn, tag } => {
                    self.schedule_in_doubt(conn, tag);
                }
                Then::SchedulesLoaded => self.schedules_not_loaded(),
                Then::Claimed { name, number } => self.not_claimed(name, number),
                // Asked again, or of no use, when there is a link.
                Then::Nothing
                | Then::Renewed
                | Then::Enrolled
                | Then::Counted { .. }
                | Then::Marked { .. }
                | Then::Versioned
                | Then::SchedulesVersioned
                | Then::SchedulesRestored
                | Then::Swept { .. } => {}
            }
        }
        self.queue.put_back(messages);
    }

    fn published(&mut self, outgoing: Outgoing, reply: &Value) {
        let is_message = outgoing.message.is_some();
        let heard = match &outgoing.stream {
            Stream::User(_) => reply::reach(reply).map(|nodes| nodes.is_some()),
            Stream::Channel(_) | Stream::All => reply::count(reply).map(|_| true),
        };
        match heard {
            Ok(heard) => {
                if heard {
                    self.queue.heard(&outgoing, self.now_ms());
                } else {
                    self.queue.unheard(&outgoing);
                }
                self.setup.figures.sent.fetch_add(u64::from(is_message), Relaxed);
            }
            Err(error) => {
                self.setup.figures.dropped.fetch_add(u64::from(is_message), Relaxed);
                self.queue.refused(outgoing);
                self.complain("a message is lost: Redis does not take it", &error);
            }
        }
    }
}
