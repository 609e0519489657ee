//! One periodic push: when its ticks are, what each of them pushes, and what became of them.
//!
//! Tick n is due at the start plus n intervals, however late one is noticed: a schedule does not drift. A tick that was
//! missed is skipped and counted, not made up for. Knows nothing of other schedules.

use std::sync::Arc;

use epush_core::message::Draft;
use epush_core::now::Now;
use epush_core::template::TemplateValues;
use epush_core::wheel::TimerKey;
use serde::Serialize;
use serde_json::value::RawValue;

use super::body::Shown;
use super::latest::Latest;
use super::plan::{Plan, Scope, Source};
use crate::relay::ScheduleOrder;
use crate::webhook::Fetch;

/// Characters kept of a fetch's error: a sentence, not the server's page.
const ERROR_CHARS_MAX: usize = 300;

/// How often a schedule of the cluster looks for Redis's clock while nobody knows it, in ms.
const CLOCK_UNKNOWN_MS: u64 = 1_000;

/// A schedule that runs.
pub struct Schedule {
    pub name: Arc<str>,
    /// Tells its fetches from those of an earlier one of its name.
    number: u64,
    pub plan: Plan,
    /// What the cluster knows it by; none: it is this node's alone.
    pub shared: Option<u64>,
    /// In ms of its clock: see [`Times`].
    start_ms: u64,
    /// The tick that has not been dealt with yet, from 1; 0 until the clock is known.
    next_tick: u64,
    /// When that is due, in monotonic ms.
    pub next_ms: u64,
    pub timer: TimerKey,
    /// Whether a fetch is under way.
    is_fetching: bool,
    /// Whether the cluster has been asked for a tick, and has not answered.
    is_claiming: bool,
    tally: Tally,
}

/// The clocks: this node's, by which its own schedules are due, and Redis's, by which those of the cluster are.
#[derive(Clone, Copy)]
pub struct Times {
    /// This node's.
    pub now: Now,
    /// Redis's, in ms since 1970; none: nobody knows yet.
    pub redis_unix_ms: Option<u64>,
}

/// What became of the ticks.
#[derive(Default, Serialize)]
pub struct Tally {
    /// Pushed; of a cluster's schedule, on any node. The next push has this number as its `$seq`.
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
    /// Get this; then [`Schedule::fetched`].
    Fetch(Fetch),
    /// Ask the cluster whether this node is the one; then [`Schedule::claimed`].
    Claim(ScheduleOrder),
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

impl Schedule {
    /// A schedule whose first tick comes an interval from now.
    pub fn new(now: Now, name: Arc<str>, plan: Plan, number: u64, timer: TimerKey) -> Self {
        let start_ms = now.monotonic_ms();
        let next_ms = start_ms + plan.interval_ms;
        Self {
            name,
            number,
            plan,
            shared: None,
            start_ms,
            next_tick: 1,
            next_ms,
            timer,
            is_fetching: false,
            is_claiming: false,
            tally: Tally::default(),
        }
    }

    /// Makes it one of the cluster's, which began at this time of Redis's clock. Its earlier ticks are not this node's.
    pub fn share(&mut self, times: Times, number: u64, start_unix_ms: u64) {
        self.shared = Some(number);
        self.start_ms = start_unix_ms;
        self.next_tick = 0;
        self.advance(times);
        self.tally = Tally::default();
    }

    /// Passes every tick up to now; returns whether there was one. Those before the newest are skipped.
    pub fn advance(&mut self, times: Times) -> bool {
        let local_ms = times.now.monotonic_ms();
        let clock = if self.shared.is_some() { times.redis_unix_ms } else { Some(local_ms) };
        let Some(clock_ms) = clock else {
            self.next_ms = local_ms + CLOCK_UNKNOWN_MS;
            return false;
        };
        let interval_ms = self.plan.interval_ms;
        let tick = clock_ms.saturating_sub(self.start_ms) / interval_ms;
        let is_due = tick >= self.next_tick && self.next_tick > 0;
        if is_due {
            self.tally.skipped += tick - self.next_tick;
        }
        self.next_tick = self.next_tick.max(tick + 1);
        // Redis's clock may be behind what it said before: then the tick is due later.
        let due_ms = self.start_ms.saturating_add(self.next_tick.saturating_mul(interval_ms));
        self.next_ms = local_ms.saturating_add(due_ms.saturating_sub(clock_ms));
        is_due
    }

    /// What the tick that [`Schedule::advance`] passed wants done.
    ///
    /// `values` are the present ones, but for `seq`, which is the schedule's.
    pub fn fire(&mut self, now: Now, latest: &Latest, values: &TemplateValues<'_>) -> Option<Fire> {
        let has_nothing = match &self.plan.source {
            Source::Template { .. } => false,
            Source::Url(_) => self.is_fetching,
            Source::Last(channel) => !latest.has(channel),
        };
        if has_nothing || self.is_claiming {
            self.tally.skipped += 1;
            return None;
        }
        let Some(number) = self.shared else { return self.push(now, latest, values) };
        self.is_claiming = true;
        let tick = self.next_tick - 1;
        Some(Fire::Claim(ScheduleOrder::Claim { name: Arc::clone(&self.name), number, tick }))
    }

    /// The cluster's answer to [`Fire::Claim`]: `fired` ticks were taken before.
    pub fn claimed(
        &mut self,
        now: Now,
        (won, fired): (bool, u64),
        latest: &Latest,
        values: &TemplateValues<'_>,
    ) -> Option<Fire> {
        self.is_claiming = false;
        self.tally.fired = self.tally.fired.max(fired);
        if won { self.push(now, latest, values) } else { None }
    }

    fn push(&mut self, now: Now, latest: &Latest, values: &TemplateValues<'_>) -> Option<Fire> {
        let said = match &self.plan.source {
            Source::Template { template, .. } => {
                let data = template.to_raw(&TemplateValues { seq: self.tally.fired, ..*values });
                return Some(Fire::Push(self.draft(now, data)));
            }
            Source::Url(url) => {
                self.is_fetching = true;
                let schedule = format!("{}:{}", self.number, self.name).into();
                return Some(Fire::Fetch(Fetch { schedule, url: url.clone() }));
            }
            Source::Last(channel) => latest.said(channel)?,
        };
        let mut draft = self.draft(now, said.data);
        draft.kind = draft.kind.or(said.kind.map(Arc::from));
        draft.module = draft.module.or(said.module.map(Arc::from));
        Some(Fire::Push(draft))
    }

    /// A fetch of the schedule with this number ended: what to push, if it brought something.
    pub fn fetched(&mut self, now: Now, number: u64, outcome: Result<Box<RawValue>, String>) -> Option<Draft> {
        if number != self.number {
            return None;
        }
        self.is_fetching = false;
        match outcome {
            Ok(data) => {
                self.tally.last_error = None;
                Some(self.draft(now, data))
            }
            Err(error) => {
                self.tally.failed += 1;
                self.tally.last_error = Some(error.chars().take(ERROR_CHARS_MAX).collect());
                None
            }
        }
    }

    fn draft(&mut self, now: Now, data: Box<RawValue>) -> Draft {
        self.tally.fired += 1;
        self.tally.last_fired_ms = Some(now.unix_ms);
        let Plan { to, kind, module, .. } = &self.plan;
        Draft { kind: kind.clone(), module: module.clone(), ..Draft::new(to.clone(), data) }
    }

    /// The schedule as it is shown.
    pub fn view(&self, now: Now) -> View<'_> {
        let next_in_ms = self.next_ms.saturating_sub(now.monotonic_ms());
        View::new(&self.name, &self.plan, next_in_ms, &self.tally)
    }

    /// The schedule as it is listed.
    pub fn summary(&self, now: Now) -> Summary<'_> {
        let plan = &self.plan;
        Summary {
            name: &self.name,
            to: plan.to.word(),
            interval_ms: plan.interval_ms,
            source: plan.source.word(),
            scope: plan.scope,
            next_in_ms: self.next_ms.saturating_sub(now.monotonic_ms()),
            tally: &self.tally,
        }
    }
}

impl<'a> View<'a> {
    /// A schedule of this plan.
    pub fn new(name: &'a str, plan: &'a Plan, next_in_ms: u64, tally: &'a Tally) -> Self {
        View {
            name,
            to: Shown(&plan.to),
            kind: plan.kind.as_deref(),
            module: plan.module.as_deref(),
            interval_ms: plan.interval_ms,
            source: &plan.source,
            scope: plan.scope,
            next_in_ms,
            tally,
        }
    }
}
