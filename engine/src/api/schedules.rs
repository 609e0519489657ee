//! Periodic pushes: which there are, when each is due, what it pushes then.
//!
//! A schedule is due at its start plus every multiple of its interval, however late a tick is noticed: it does not
//! drift. A tick that was missed is skipped and counted, not made up for. Knows nothing of who asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use epush_core::error::{ErrorCode, Refusal};
use epush_core::message::{Draft, Publication};
use epush_core::now::Now;
use epush_core::template::TemplateValues;
use epush_core::wheel::{TimerKey, TimerWheel};
use serde::Serialize;
use serde_json::value::RawValue;
use slab::Slab;

use super::body::Shown;
use super::latest::Latest;
use super::plan::{Plan, Scope, Source};
use crate::webhook::{Fetch, Fetched};

/// Characters kept of a fetch's error: a sentence, not the server's page.
const ERROR_CHARS_MAX: usize = 300;

/// All schedules of the node.
pub struct Schedules {
    schedules_max: usize,
    names: BTreeMap<Arc<str>, usize>,
    /// Invariant: each is named once in `names`, and has one timer in `wheel`, which carries its place here.
    slots: Slab<Schedule>,
    wheel: TimerWheel<usize>,
    latest: Latest,
    /// Schedules made so far: tells the fetch of a schedule from that of an earlier one in its slot.
    made: u64,
}

struct Schedule {
    name: Arc<str>,
    number: u64,
    plan: Plan,
    /// Due at this time plus every multiple of the interval.
    start_ms: u64,
    next_ms: u64,
    timer: TimerKey,
    /// Whether a fetch is under way.
    fetching: bool,
    tally: Tally,
}

/// What became of the ticks.
#[derive(Clone, Default, Serialize)]
struct Tally {
    /// Pushed. The next push has this number as its `$seq`.
    fired: u64,
    /// Missed, or with nothing to push.
    skipped: u64,
    /// Fetches that brought nothing.
    failed: u64,
    last_fired_ms: Option<u64>,
    last_error: Option<String>,
}

/// What a due schedule wants done.
pub enum Fire {
    /// Publish this.
    Push(Draft),
    /// Get this; then [`Schedules::fetched`].
    Fetch(Fetch),
}

/// A schedule, whole.
#[derive(Serialize)]
pub struct View<'a> {
    name: &'a str,
    to: Shown<'a>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    module: Option<&'a str>,
    interval_ms: u64,
    source: &'a Source,
    scope: Scope,
    next_in_ms: u64,
    #[serde(flatten)]
    tally: &'a Tally,
}

/// A schedule in the list of all: without what may be long.
#[derive(Serialize)]
pub struct Summary<'a> {
    name: &'a str,
    to: &'static str,
    interval_ms: u64,
    source: &'static str,
    scope: Scope,
    next_in_ms: u64,
    #[serde(flatten)]
    tally: &'a Tally,
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

    /// Starts a schedule, in place of the one with its name. Says whether the name is new.
    pub fn put(&mut self, now: Now, name: Arc<str>, plan: Plan) -> Result<bool, Refusal> {
        if !self.names.contains_key(&name) && self.names.len() >= self.schedules_max {
            let message = format!("there are {} schedules already", self.schedules_max);
            return Err(Refusal::new(ErrorCode::LimitReached, message));
        }
        // Watch before the old schedule stops watching: the newest message of their channel is kept.
        if let Source::Last(channel) = &plan.source {
            self.latest.watch(channel);
        }
        let is_new = !self.remove(&name);
        let start_ms = now.monotonic_ms();
        let next_ms = start_ms + plan.interval_ms;
        let entry = self.slots.vacant_entry();
        let timer = self.wheel.insert(next_ms, entry.key());
        self.names.insert(Arc::clone(&name), entry.key());
        self.made += 1;
        let (number, tally) = (self.made, Tally::default());
        entry.insert(Schedule { name, number, plan, start_ms, next_ms, timer, fetching: false, tally });
        Ok(is_new)
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

    /// A message passes: the next `last` of its channels.
    pub fn observe(&mut self, publication: &Publication) {
        self.latest.observe(publication);
    }

    /// When [`Schedules::pop_due`] should be called, in monotonic µs.
    pub fn next_deadline_us(&self) -> Option<u64> {
        self.wheel.next_deadline_ms().map(|ms| ms.saturating_mul(1_000))
    }

    /// What the next due schedule wants; none when no other is due. Each tick is given once.
    ///
    /// `values` are the present ones, but for `seq`, which is the schedule's.
    pub fn pop_due(&mut self, now: Now, values: &TemplateValues<'_>) -> Option<Fire> {
        loop {
            let (_, slot) = self.wheel.pop_due(now.monotonic_ms())?;
            let schedule = &mut self.slots[slot];
            schedule.set_next(now.monotonic_ms());
            schedule.timer = self.wheel.insert(schedule.next_ms, slot);
            if let Some(fire) = schedule.fire(now, &self.latest, values) {
                return Some(fire);
            }
        }
    }

    /// A fetch ended: what to push, if it brought something and its schedule is still the same.
    pub fn fetched(&mut self, now: Now, fetched: Fetched) -> Option<Draft> {
        let (number, name) = fetched.schedule.split_once(':')?;
        let schedule = &mut self.slots[*self.names.get(name)?];
        if number.parse() != Ok(schedule.number) {
            return None;
        }
        schedule.fetching = false;
        match fetched.outcome {
            Ok(data) => {
                schedule.tally.last_error = None;
                Some(schedule.draft(now, data))
            }
            Err(error) => {
                schedule.tally.failed += 1;
                schedule.tally.last_error = Some(error.chars().take(ERROR_CHARS_MAX).collect());
                None
            }
        }
    }

    /// The schedule with this name.
    pub fn view(&self, now: Now, name: &str) -> Option<View<'_>> {
        let schedule = &self.slots[*self.names.get(name)?];
        let plan = &schedule.plan;
        Some(View {
            name: &schedule.name,
            to: Shown(&plan.to),
            kind: plan.kind.as_deref(),
            module: plan.module.as_deref(),
            interval_ms: plan.interval_ms,
            source: &plan.source,
            scope: plan.scope,
            next_in_ms: schedule.next_ms.saturating_sub(now.monotonic_ms()),
            tally: &schedule.tally,
        })
    }

    /// All schedules, by name.
    pub fn list(&self, now: Now) -> Vec<Summary<'_>> {
        let summary = |slot: &usize| {
            let Schedule { name, plan, next_ms, tally, .. } = &self.slots[*slot];
            Summary {
                name,
                to: plan.to.word(),
                interval_ms: plan.interval_ms,
                source: plan.source.word(),
                scope: plan.scope,
                next_in_ms: next_ms.saturating_sub(now.monotonic_ms()),
                tally,
            }
        };
        self.names.values().map(summary).collect()
    }
}

impl Schedule {
    /// The first due time after now; those between are missed.
    fn set_next(&mut self, now_ms: u64) {
        let interval_ms = self.plan.interval_ms;
        let next_ms = self.start_ms + (now_ms - self.start_ms) / interval_ms * interval_ms + interval_ms;
        self.tally.skipped += (next_ms - self.next_ms) / interval_ms - 1;
        self.next_ms = next_ms;
    }

    fn fire(&mut self, now: Now, latest: &Latest, values: &TemplateValues<'_>) -> Option<Fire> {
        let said = match &self.plan.source {
            Source::Template { template, .. } => {
                let data = template.to_raw(&TemplateValues { seq: self.tally.fired, ..*values });
                return Some(Fire::Push(self.draft(now, data)));
            }
            Source::Url(url) if !self.fetching => {
                self.fetching = true;
                return Some(Fire::Fetch(Fetch {
                    schedule: format!("{}:{}", self.number, self.name).into(),
                    url: url.clone(),
                }));
            }
            Source::Url(_) => None,
            Source::Last(channel) => latest.said(channel),
        };
        let Some(said) = said else {
            self.tally.skipped += 1;
            return None;
        };
        let mut draft = self.draft(now, said.data);
        draft.kind = draft.kind.or(said.kind.map(Arc::from));
        draft.module = draft.module.or(said.module.map(Arc::from));
        Some(Fire::Push(draft))
    }

    fn draft(&mut self, now: Now, data: Box<RawValue>) -> Draft {
        self.tally.fired += 1;
        self.tally.last_fired_ms = Some(now.unix_ms);
        let Plan { to, kind, module, .. } = &self.plan;
        Draft { kind: kind.clone(), module: module.clone(), ..Draft::new(to.clone(), data) }
    }
}
