//! One command to Redis, and what its reply is for.

use std::sync::Arc;

use epush_core::id::{ConnId, SessionRef};
use epush_core::mail::Report;
use epush_core::message::UserName;

use super::publish::Outgoing;
use crate::relay::keys::Incarnation;
use crate::relay::scripts::Call;

/// See the module.
#[derive(Debug)]
pub struct Errand {
    /// What Redis is to do.
    pub call: Call,
    /// What it is for.
    pub then: Then,
}

/// What comes of the reply, or of its absence.
#[derive(Debug)]
pub enum Then {
    /// Nothing: it does no harm when it is lost.
    Nothing,
    /// See [`Outgoing`]. Without a reply it is sent again.
    Published(Outgoing),
    /// The directory has the session.
    SignedIn { user: UserName, session: SessionRef },
    /// The session is out of the directory.
    SignedOut { user: UserName },
    /// The directory has the user's sessions. `ticket`: of the marker sent behind it.
    Synced { user: UserName, ticket: u64 },
    /// The lease of this life is renewed, or lost.
    Renewed,
    /// This life has begun.
    Enrolled,
    /// A partition's number of users.
    Counted { partition: u8 },
    /// A partition's mark: `ours`, if it had none.
    Marked { partition: u8, ours: u64 },
    /// The version of the schedules: the last of what is asked with each renewal.
    Versioned,
    /// Some users of a partition are swept of a dead incarnation.
    Swept { dead: Incarnation, partition: u8 },
    /// A user's sessions.
    Sessions(Report),
    /// Sessions elsewhere were told to close.
    Kicked(Report),
    /// A user's muted types.
    Mutes { user: UserName, report: Report },
    /// A user's muted types, changed.
    MutesChanged { user: UserName, report: Report },
    /// So many nodes got the question.
    Asked { ticket: u64 },
    /// A schedule is stored.
    SchedulePut { conn: ConnId, tag: u64 },
    /// A schedule is removed.
    ScheduleRemoved { conn: ConnId, tag: u64 },
    /// The last of the schedules that Redis had forgotten is there again.
    SchedulesRestored,
    /// The version of the schedules that are loaded next.
    SchedulesVersioned,
    /// All schedules.
    SchedulesLoaded,
    /// Who fires a tick.
    Claimed { name: Arc<str>, number: u64 },
}
