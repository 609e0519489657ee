//! `/v1/schedules` and `/v1/schedules/{name}`: whose each is, and what the cluster says about its own.
//!
//! Knows nothing of when a schedule fires.

use std::sync::Arc;

use epush_core::error::{ErrorCode, Refusal};
use epush_core::http::Response;
use epush_core::id::ConnId;
use epush_core::mail::ClusterCall;
use epush_core::now::Now;
use epush_core::template::TemplateValues;
use serde::Serialize;

use super::latest::Interest;
use super::plan::{Plan, Scope};
use super::schedule::{Fire, Tally, Times, View};
use super::{Api, ApiAction, Outcome, Pending, body, respond};
use crate::relay::{ScheduleNews, ScheduleOrder};
use crate::webhook::Fetched;

impl Api {
    /// What became of a [`ApiAction::Fetch`].
    pub fn handle_fetched(&mut self, now: Now, fetched: Fetched) {
        if let Some(draft) = self.schedules.fetched(now, fetched) {
            self.publish_for_nobody(draft);
        }
    }

    /// The cluster tells of its schedules, or answers a [`ApiAction::Schedule`].
    pub fn handle_schedules(&mut self, now: Now, news: ScheduleNews) {
        match news {
            ScheduleNews::Changed { conn, tag, outcome } => {
                let Some(pending) = self.pending.remove(&tag) else {
                    debug_assert!(false, "tag {tag} was answered before");
                    return;
                };
                let changed = outcome.and_then(|was_there| self.schedule_changed(pending, was_there));
                let response = changed.unwrap_or_else(|refusal| respond::refused(&refusal));
                self.respond(conn, response);
            }
            ScheduleNews::All(stored) => {
                self.schedules.share(self.times(now), stored);
                self.tell_interests();
            }
            ScheduleNews::Claimed { name, number, won, fired } => {
                let node = Arc::clone(&self.setup.node);
                let values = self.template_values(now, &node);
                if let Some(fire) = self.schedules.claimed(now, (&name, number), (won, fired), &values) {
                    self.fire(fire);
                }
            }
        }
    }

    /// Time passed: fires the schedules that are due.
    pub fn handle_time(&mut self, now: Now) {
        let node = Arc::clone(&self.setup.node);
        let (times, values) = (self.times(now), self.template_values(now, &node));
        while let Some(fire) = self.schedules.pop_due(times, &values) {
            self.fire(fire);
        }
    }

    fn fire(&mut self, fire: Fire) {
        match fire {
            Fire::Push(draft) => self.publish_for_nobody(draft),
            Fire::Fetch(fetch) => self.actions.push_back(ApiAction::Fetch(fetch)),
            Fire::Claim(order) => self.actions.push_back(ApiAction::Schedule(order)),
        }
    }

    fn times(&self, now: Now) -> Times {
        Times { now, redis_unix_ms: self.setup.census.redis_unix_ms(now) }
    }

    /// All but `seq`, which is each schedule's own.
    fn template_values<'n>(&self, now: Now, node: &'n str) -> TemplateValues<'n> {
        let online_node = self.setup.gauges.sessions() as u64;
        let online_cluster = self.setup.census.counts(now).sessions;
        TemplateValues { unix_ms: now.unix_ms, seq: 0, node, online_node, online_cluster }
    }

    pub(super) fn list_schedules(&self, now: Now) -> Response {
        #[derive(Serialize)]
        struct Body<T> {
            schedules: T,
        }
        respond::json(200, &Body { schedules: self.schedules.list(now) })
    }

    pub(super) fn schedule(&self, now: Now, name: &str) -> Result<Response, Refusal> {
        self.schedules.view(now, name).map(|view| respond::json(200, &view)).ok_or_else(|| unknown(name))
    }

    pub(super) fn set_schedule(&mut self, now: Now, conn: ConnId, name: &str, body: &[u8]) -> Outcome {
        let key = body::a_word("the schedule's name", name)?;
        let plan = Plan::parse(body)?;
        let is_clustered = self.setup.relay.is_some();
        if is_clustered && plan.scope == Scope::Cluster {
            self.schedules.check_room(name)?;
            let text = std::str::from_utf8(body).map_err(|_| body::bad("the body is not UTF-8"))?;
            let replaces = self.schedules.find(name).is_some();
            let tag = self.wait_for(Pending::SetSchedule { name: Arc::clone(&key), plan: Box::new(plan), replaces });
            let order = ScheduleOrder::Put { conn, tag, name: key, plan: text.into() };
            self.actions.push_back(ApiAction::Schedule(order));
            return Ok(None);
        }
        if self.schedules.find(name) == Some(true) {
            return Err(body::bad(
                "the cluster has a schedule of this name: end that first, or put one for the cluster",
            ));
        }
        let is_new = self.schedules.put(now, key, plan)?;
        self.tell_interests();
        let mut response = self.schedule(now, name)?;
        response.status = if is_new { 201 } else { 200 };
        Ok(Some(response))
    }

    pub(super) fn end_schedule(&mut self, conn: ConnId, name: &str) -> Outcome {
        if self.setup.relay.is_some() && self.schedules.find(name) != Some(false) {
            // Another node may have put it a moment ago: the cluster knows.
            let name = body::a_word("the schedule's name", name)?;
            let tag = self.wait_for(Pending::EndSchedule(Arc::clone(&name)));
            self.actions.push_back(ApiAction::Schedule(ScheduleOrder::Remove { conn, tag, name }));
            return Ok(None);
        }
        let was_there = self.schedules.remove(name);
        self.tell_interests();
        if was_there { Ok(Some(ended(name))) } else { Err(unknown(name)) }
    }

    /// The cluster did as it was asked. That it has another set now comes as [`ScheduleNews::All`], before or after.
    fn schedule_changed(&mut self, pending: Pending, was_there: bool) -> Result<Response, Refusal> {
        match pending {
            Pending::SetSchedule { name, plan, replaces } => {
                let tally = Tally::default();
                let view = View::new(&name, &plan, plan.interval_ms, &tally);
                Ok(respond::json(if was_there || replaces { 200 } else { 201 }, &view))
            }
            Pending::EndSchedule(name) => {
                if self.schedules.find(&name) == Some(true) {
                    self.schedules.remove(&name);
                    self.tell_interests();
                }
                if was_there { Ok(ended(&name)) } else { Err(unknown(&name)) }
            }
            _ => {
                debug_assert!(false, "a tag of something else");
                Err(Refusal::new(ErrorCode::Internal, "the cluster answered something else"))
            }
        }
    }

    /// In a cluster, the messages of a channel reach the node only while somebody wants them.
    fn tell_interests(&mut self) {
        while let Some(interest) = self.schedules.next_interest() {
            if self.setup.relay.is_some() {
                let call = match interest {
                    Interest::Begins(channel) => ClusterCall::Join(channel),
                    Interest::Ends(channel) => ClusterCall::Leave(channel),
                };
                self.actions.push_back(ApiAction::Cluster(call));
            }
        }
    }
}

fn ended(name: &str) -> Response {
    #[derive(Serialize)]
    struct Body<'a> {
        deleted: &'a str,
    }
    respond::json(200, &Body { deleted: name })
}

fn unknown(name: &str) -> Refusal {
    Refusal::new(ErrorCode::NotFound, format!("there is no schedule {name}"))
}
