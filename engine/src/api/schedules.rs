//! All schedules: which there are, and which is due next. Those of the cluster run on every node, which ask it at each
//! tick who fires.
//!
//! Knows nothing of who asked, nor of what a tick does.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use epush_core::error::{ErrorCode, Refusal};
use epush_core::message::{Draft, Publication};
use epush_core::now::Now;
use epush_core::template::TemplateValues;
use epush_core::wheel::TimerWheel;
use slab::Slab;
use tracing::warn;

use super::latest::{Interest, Latest};
use super::plan::{Plan, Source};
use super::schedule::{Fire, Schedule, Summary, Times, View};
use crate::relay::StoredSchedule;
use crate::webhook::Fetched;

/// All schedules this node runs.
pub struct Schedules {
    schedules_max: usize,
    names: BTreeMap<Arc<str>, usize>,
    /// Invariant: each is named once in `names`, and has one timer in `wheel`, which carries its place here.
    slots: Slab<Schedule>,
    wheel: TimerWheel<usize>,
    latest: Latest,
    /// Schedules made so far: tells the fetch of a schedule from that of an earlier one of its name.
    made: u64,
}

impl Schedules {
    /// None yet, and never more than so many.
    pub fn new(schedules_max: usize) -> Self {
        Self {
            schedules_max,
            names: BTreeMap::new(),
            slots: Slab::new(),
            wheel: TimerWheel::new(0),
            latest: Latest::default(),
            made: 0,
        }
    }

    /// Starts a schedule of this node, in place of the one with its name. Says whether the name is new.
    pub fn put(&mut self, now: Now, name: Arc<str>, plan: Plan) -> Result<bool, Refusal> {
        self.check_room(&name)?;
        let is_new = !self.names.contains_key(&name);
        self.insert(now, name, plan);
        Ok(is_new)
    }

    /// Whether one more of this name is allowed.
    pub fn check_room(&self, name: &str) -> Result<(), Refusal> {
        if !self.names.contains_key(name) && self.names.len() >= self.schedules_max {
            let message = format!("there are {} schedules already", self.schedules_max);
            return Err(Refusal::new(ErrorCode::LimitReached, message));
        }
        Ok(())
    }

    fn insert(&mut self, now: Now, name: Arc<str>, plan: Plan) -> usize {
        // Watch before the old schedule stops watching: the newest message of their channel is kept.
        if let Source::Last(channel) = &plan.source {
            self.latest.watch(channel);
        }
        self.remove(&name);
        self.made += 1;
        let entry = self.slots.vacant_entry();
        let slot = entry.key();
        let timer = self.wheel.insert(now.monotonic_ms() + plan.interval_ms, slot);
        self.names.insert(Arc::clone(&name), slot);
        entry.insert(Schedule::new(now, name, plan, self.made, timer));
        slot
    }

    /// Ends a schedule. Says whether there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        let Some(slot) = self.names.remove(name) else { return false };
        let schedule = self.slots.remove(slot);
        self.wheel.cancel(schedule.timer);
        if let Source::Last(channel) = &schedule.plan.source {
            self.latest.unwatch(channel);
        }
        true
    }

    /// Whether there is one of this name, and whether it is the cluster's.
    pub fn find(&self, name: &str) -> Option<bool> {
        self.slot(name).map(|schedule| schedule.shared.is_some())
    }

    fn slot(&self, name: &str) -> Option<&Schedule> {
        self.names.get(name).map(|slot| &self.slots[*slot])
    }

    /// These are the cluster's now, all of them. Those that run already go on.
    pub fn share(&mut self, times: Times, stored: Vec<StoredSchedule>) {
        let there: HashSet<&str> = stored.iter().map(|stored| &*stored.name).collect();
        let gone = self.slots.iter().map(|(_, schedule)| schedule);
        let gone = gone.filter(|schedule| schedule.shared.is_some() && !there.contains(&*schedule.name));
        for name in gone.map(|schedule| Arc::clone(&schedule.name)).collect::<Vec<_>>() {
            self.remove(&name);
        }
        for StoredSchedule { name, number, start_unix_ms, plan } in stored {
            if self.slot(&name).is_some_and(|schedule| schedule.shared == Some(number)) {
                continue;
            }
            match Plan::parse(plan.as_bytes()) {
                Ok(plan) => {
                    let slot = self.insert(times.now, name, plan);
                    self.slots[slot].share(times, number, start_unix_ms);
                    self.arm(slot);
                }
                Err(refusal) => {
                    warn!(schedule = %name, why = %refusal.message, "a schedule of the cluster is not one for this node");
                    if self.find(&name) == Some(true) {
                        self.remove(&name);
                    }
                }
            }
        }
    }

    /// A message passes: the next `last` of its channels.
    pub fn observe(&mut self, publication: &Publication) {
        self.latest.observe(publication);
    }

    /// A channel whose messages are needed from now on, or no longer. Each change is given once.
    pub fn next_interest(&mut self) -> Option<Interest> {
        self.latest.next_interest()
    }

    /// When [`Schedules::pop_due`] should be called, in monotonic µs.
    pub fn next_deadline_us(&self) -> Option<u64> {
        self.wheel.next_deadline_ms().map(|ms| ms.saturating_mul(1_000))
    }

    /// What the next due schedule wants; none when no other is due. Each tick is given once.
    ///
    /// `values` are the present ones, but for `seq`, which is the schedule's.
    pub fn pop_due(&mut self, times: Times, values: &TemplateValues<'_>) -> Option<Fire> {
        loop {
            let (_, slot) = self.wheel.pop_due(times.now.monotonic_ms())?;
            let schedule = &mut self.slots[slot];
            let is_due = schedule.advance(times);
            schedule.timer = self.wheel.insert(schedule.next_ms, slot);
            if let Some(fire) = is_due.then(|| schedule.fire(times.now, &self.latest, values)).flatten() {
                return Some(fire);
            }
        }
    }

    fn arm(&mut self, slot: usize) {
        let schedule = &mut self.slots[slot];
        self.wheel.cancel(schedule.timer);
        schedule.timer = self.wheel.insert(schedule.next_ms, slot);
    }

    /// The cluster says whether this node takes a tick of this schedule, and how many were taken before.
    pub fn claimed(
        &mut self,
        now: Now,
        (name, number): (&str, u64),
        outcome: (bool, u64),
        values: &TemplateValues<'_>,
    ) -> Option<Fire> {
        let schedule = &mut self.slots[*self.names.get(name)?];
        // Replaced meanwhile: the tick was the old one's.
        if schedule.shared != Some(number) {
            return None;
        }
        schedule.claimed(now, outcome, &self.latest, values)
    }

    /// A fetch ended: what to push, if it brought something and its schedule is still the same.
    pub fn fetched(&mut self, now: Now, fetched: Fetched) -> Option<Draft> {
        let (number, name) = fetched.schedule.split_once(':')?;
        let schedule = &mut self.slots[*self.names.get(name)?];
        schedule.fetched(now, number.parse().ok()?, fetched.outcome)
    }

    /// The schedule with this name.
    pub fn view(&self, now: Now, name: &str) -> Option<View<'_>> {
        self.slot(name).map(|schedule| schedule.view(now))
    }

    /// All schedules, by name.
    pub fn list(&self, now: Now) -> Vec<Summary<'_>> {
        self.names.values().map(|slot| self.slots[*slot].summary(now)).collect()
    }
}
