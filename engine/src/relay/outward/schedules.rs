//! The cluster's schedules: kept in Redis, told to the control API, and remembered for the day Redis forgets them.
//!
//! Knows nothing of what they push, nor when.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use epush_core::error::{ErrorCode, Refusal};
use epush_core::id::ConnId;
use epush_core::relay::Body;
use redis::Value;

use super::Outward;
use super::errand::Then;
use super::questions::unavailable;
use crate::reactor::Post;
use crate::relay::order::{ScheduleNews, ScheduleOrder, StoredSchedule};
use crate::relay::scripts::{Call, Claim, Put, ReplyError, reply};

/// See the module.
#[derive(Debug, Default)]
pub struct Schedules {
    /// As last loaded.
    known: Vec<StoredSchedule>,
    /// Their version; none: they are to be loaded.
    version: Option<u64>,
    /// The version as of the load under way.
    loading: Option<u64>,
    /// Changes to be told when the schedules they led to have been told.
    changes: Vec<ScheduleNews>,
    /// Whether Redis has lost them, and `known` is to be brought back before anything is loaded.
    is_lost: bool,
}

impl Outward {
    pub(super) fn schedule(&mut self, order: ScheduleOrder) {
        let is_up = self.is_up();
        match order {
            ScheduleOrder::Put { conn, tag, name, plan } if is_up => {
                let call = self.calls.put_schedule(&name, random(), &plan);
                self.send(call, Then::SchedulePut { conn, tag });
            }
            ScheduleOrder::Remove { conn, tag, name } if is_up => {
                let call = self.calls.remove_schedule(&name);
                self.send(call, Then::ScheduleRemoved { conn, tag });
            }
            ScheduleOrder::Put { conn, tag, .. } | ScheduleOrder::Remove { conn, tag, .. } => {
                self.tell(ScheduleNews::Changed { conn, tag, outcome: Err(unavailable()) });
            }
            ScheduleOrder::Claim { name, number, tick } if is_up => {
                let call = self.calls.claim(&name, number, tick);
                self.send(call, Then::Claimed { name, number });
            }
            ScheduleOrder::Claim { name, number, .. } => self.not_claimed(name, number),
        }
    }

    pub(super) fn schedule_put(&mut self, conn: ConnId, tag: u64, reply: &Value) {
        self.schedule_changed(conn, tag, Put::read(reply).map(|put| put.existed));
    }

    pub(super) fn schedule_removed(&mut self, conn: ConnId, tag: u64, reply: &Value) {
        self.schedule_changed(conn, tag, reply::flag(reply));
    }

    /// Nobody knows whether it is changed.
    pub(super) fn schedule_in_doubt(&self, conn: ConnId, tag: u64) {
        self.tell(ScheduleNews::Changed { conn, tag, outcome: Err(unavailable()) });
    }

    fn schedule_changed(&mut self, conn: ConnId, tag: u64, existed: Result<bool, ReplyError>) {
        match existed {
            Ok(existed) => {
                // Told behind the schedules themselves: whoever reads on sees the change.
                self.schedules.changes.push(ScheduleNews::Changed { conn, tag, outcome: Ok(existed) });
                if self.is_up() && !self.schedules.is_lost {
                    let changed = self.envelope(Body::Schedules);
                    self.send(self.calls.tell_all(&changed), Then::Nothing);
                    self.load_schedules();
                } else {
                    self.tell_changes();
                }
            }
            Err(error) => {
                let refusal = Refusal::new(ErrorCode::Unavailable, error.to_string());
                self.tell(ScheduleNews::Changed { conn, tag, outcome: Err(refusal) });
            }
        }
    }

    /// Loads all schedules, now or when Redis is back.
    pub(super) fn load_schedules(&mut self) {
        self.schedules.version = None;
        if self.is_up() && !self.schedules.is_lost {
            // The version first: one that is changed in between is loaded once more.
            self.send(self.calls.schedules_version(), Then::SchedulesVersioned);
            self.send(self.calls.schedules(), Then::SchedulesLoaded);
        }
    }

    /// The version as of the load under way.
    pub(super) fn schedules_versioned(&mut self, reply: &Value) {
        self.schedules.loading = reply::count(reply).ok();
    }

    pub(super) fn schedules_loaded(&mut self, reply: &Value) {
        match StoredSchedule::read_all(reply) {
            Ok(schedules) => {
                self.schedules.known.clone_from(&schedules);
                self.schedules.version = self.schedules.loading.take();
                self.tell(ScheduleNews::All(schedules));
            }
            Err(error) => self.complain("cannot load the schedules", &error),
        }
        self.tell_changes();
    }

    /// The schedules are not loaded: the next renewal finds that out.
    pub(super) fn schedules_not_loaded(&mut self) {
        self.schedules.version = None;
        self.tell_changes();
    }

    /// The version Redis has now.
    pub(super) fn note_schedules_version(&mut self, version: u64) {
        if !self.is_up() || self.schedules.version == Some(version) {
            return;
        }
        // It only ever grows. A master of a Redis Cluster may lose its memory while others keep theirs.
        if self.schedules.version.is_some_and(|known| version < known) {
            return self.restore_schedules();
        }
        self.load_schedules();
    }

    pub(super) fn claimed(&self, name: Arc<str>, number: u64, reply: &Value) {
        match Claim::read(reply) {
            Ok(Claim { won, fired }) => self.tell(ScheduleNews::Claimed { name, number, won, fired }),
            Err(_) => self.not_claimed(name, number),
        }
    }

    /// Rather no tick than two.
    pub(super) fn not_claimed(&self, name: Arc<str>, number: u64) {
        self.tell(ScheduleNews::Claimed { name, number, won: false, fired: 0 });
    }

    /// Redis has forgotten them.
    pub(super) fn restore_schedules(&mut self) {
        self.schedules.is_lost = !self.schedules.known.is_empty();
        self.schedules.version = None;
    }

    /// Brings back what was loaded last, where no other node has.
    pub(super) fn restore_some(&mut self) {
        if !self.is_up() || !self.schedules.is_lost {
            return;
        }
        let calls: Vec<Call> = self.schedules.known.iter().map(|known| self.calls.restore_schedule(known)).collect();
        let last = calls.len().saturating_sub(1);
        for (index, call) in calls.into_iter().enumerate() {
            // All of them lie together: when the last is answered they all are.
            self.send(call, if index == last { Then::SchedulesRestored } else { Then::Nothing });
        }
    }

    pub(super) fn schedules_restored(&mut self, reply: &Value) {
        self.schedules.is_lost = false;
        if let Err(error) = Put::read(reply) {
            self.complain("a schedule is lost", &error);
        }
    }

    fn tell_changes(&mut self) {
        for change in std::mem::take(&mut self.schedules.changes) {
            self.tell(change);
        }
    }

    /// The control API is reactor 0's.
    fn tell(&self, news: ScheduleNews) {
        if let Some(api) = self.setup.shards.first() {
            api.post(Post::Schedules(news));
        }
    }
}

/// A number no other schedule of the name has had.
pub(super) fn random() -> u64 {
    // The keys of a RandomState come from the system. Lua's and JSON's numbers hold 53 bits.
    RandomState::new().build_hasher().finish() >> 11
}
