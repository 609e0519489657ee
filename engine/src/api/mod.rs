//! The control API without its I/O: requests and answers go in, [`ApiAction`]s come out.
//!
//! All API connections live on reactor 0, which owns the one [`Api`] of a node; so what the API remembers (idempotency keys,
//! schedules) needs no lock. A call whose answer takes the shards waits in `pending` under a tag, and every tag must come back
//! in [`Api::handle_answer`], whether its connection still stands or not. Knows nothing of sockets, threads and clocks.

mod body;
mod channels;
mod idempotency;
mod keys;
mod latest;
mod nodes;
mod plan;
mod push;
mod respond;
mod routes;
mod schedule;
mod schedules;
mod scheduling;
mod setup;
mod users;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use epush_core::effect::Asker;
use epush_core::error::{ErrorCode, Refusal};
use epush_core::http::{Request, Response};
use epush_core::id::ConnId;
use epush_core::mail::{Answer, ClusterCall, Question};
use epush_core::message::{Draft, Publication, UserName};
use epush_core::now::Now;
use epush_core::page::ChannelRange;

use crate::metrics::{self, MetricsSnapshot, ProcessFigures};
use crate::relay::ScheduleOrder;
use crate::webhook::Fetch;
use idempotency::Idempotency;
use keys::Keys;
use plan::Plan;
use push::{PushCaller, PushUnderWay, Taken};
use routes::{Call, Miss};
use schedules::Schedules;

pub use setup::{ApiRelay, ApiSetup, NodeState};

/// What the API asks of the reactor that owns it.
#[derive(Debug)]
pub enum ApiAction {
    /// Answer a request, or one line of a streamed body.
    Respond {
        /// The connection.
        conn: ConnId,
        /// The response.
        response: Response,
    },
    /// Publish. The count, or the refusal, comes back when somebody asks.
    Publish {
        /// What.
        draft: Draft,
        /// Who asks.
        asker: Asker,
    },
    /// Put a question to every shard; the merged and settled answer comes back.
    AskAll {
        /// What.
        question: Question,
        /// Who asks.
        asker: Asker,
    },
    /// Put a question to the home shard of a user.
    AskHome {
        /// The user.
        user: UserName,
        /// What.
        question: Question,
        /// Who asks.
        asker: Asker,
    },
    /// Ask this of the cluster, in the name of the API.
    Cluster(ClusterCall),
    /// Ask this about the cluster's schedules; comes back in [`Api::handle_schedules`].
    Schedule(ScheduleOrder),
    /// Get a document on the worker pool; comes back in [`Api::handle_fetched`], also when the pool's queue is full.
    Fetch(Fetch),
    /// Start draining the node.
    Drain,
}

/// The control API of one node.
pub struct Api {
    setup: ApiSetup,
    keys: Keys,
    state: NodeState,
    /// Calls that wait for an answer, by tag: one for each connection, and those whose connection went away meanwhile.
    pending: HashMap<u64, Pending>,
    next_tag: u64,
    /// Pushes that were given an id so far.
    ids_given: u64,
    remembered: Idempotency<PushCaller, Taken>,
    schedules: Schedules,
    actions: VecDeque<ApiAction>,
}

/// A call that waits for its answer.
enum Pending {
    Push(PushUnderWay),
    User(UserName),
    Kick(UserName),
    Mutes(UserName),
    Channels(ChannelRange),
    Channel { name: Box<str>, members: bool },
    SetSchedule { name: Arc<str>, plan: Box<Plan>, replaces: bool },
    EndSchedule(Arc<str>),
    Metrics,
}

/// What a call comes to: its response, or none yet; or why not.
type Outcome = Result<Option<Response>, Refusal>;

impl Api {
    /// The API of a node that is [`NodeState::Starting`].
    #[must_use]
    pub fn new(mut setup: ApiSetup) -> Self {
        Self {
            keys: Keys::new(std::mem::take(&mut setup.keys)),
            state: NodeState::Starting,
            pending: HashMap::new(),
            next_tag: 0,
            ids_given: 0,
            remembered: Idempotency::new(setup.idempotency_keys_max, setup.idempotency_ms),
            schedules: Schedules::new(setup.schedules_max),
            actions: VecDeque::new(),
            setup,
        }
    }

    /// Other keys, for every request from now on.
    pub fn set_keys(&mut self, keys: Vec<Box<str>>) {
        self.keys = Keys::new(keys);
    }

    /// Whether the node counts as ready while Redis is away.
    pub fn set_ready_without_redis(&mut self, ready: bool) {
        if let Some(relay) = &mut self.setup.relay {
            relay.ready_without_redis = ready;
        }
    }

    /// The node is so far.
    pub fn set_state(&mut self, state: NodeState) {
        self.state = state;
    }

    /// A whole request, or one line of `POST /v1/push/batch`. Answered by exactly one [`ApiAction::Respond`].
    pub fn handle_request(&mut self, now: Now, conn: ConnId, request: Request) {
        if let Some(response) = self.admit(now, conn, &request) {
            self.respond(conn, response);
        }
    }

    /// The answer to what was asked under this tag.
    pub fn handle_answer(&mut self, now: Now, conn: ConnId, tag: u64, answer: Answer) {
        let Some(pending) = self.pending.remove(&tag) else {
            debug_assert!(false, "tag {tag} was answered before");
            return;
        };
        if let Pending::Push(push) = pending {
            return self.pushed(now, conn, push, answer);
        }
        let response = self.answered(now, pending, answer).unwrap_or_else(|refusal| respond::refused(&refusal));
        self.respond(conn, response);
    }

    /// When [`Api::handle_time`] wants to be called, in monotonic µs.
    #[must_use]
    pub fn next_deadline_us(&self) -> Option<u64> {
        self.schedules.next_deadline_us()
    }

    /// A publication reaches reactor 0: what `last` schedules repeat.
    pub fn observe(&mut self, publication: &Publication) {
        self.schedules.observe(publication);
    }

    /// Whether there is something to do: see [`Api::poll_action`].
    #[inline]
    pub fn has_actions(&self) -> bool {
        !self.actions.is_empty()
    }

    /// The next thing to do. Drained after every call above.
    pub fn poll_action(&mut self) -> Option<ApiAction> {
        self.actions.pop_front()
    }

    fn admit(&mut self, now: Now, conn: ConnId, request: &Request) -> Option<Response> {
        let found = Call::find(&request.method, &request.path);
        let is_open = found.is_ok_and(Call::is_open);
        if !is_open && !self.keys.admit(request.bearer.as_deref()) {
            return Some(respond::unauthorized());
        }
        match found {
            Ok(Call::PushLine) => self.push_line(now, conn, &request.body),
            Ok(call) => self.serve(now, conn, call, request).unwrap_or_else(|refusal| Some(respond::refused(&refusal))),
            Err(Miss::Method(allowed)) => Some(respond::wrong_method(allowed)),
            Err(Miss::Path) => {
                Some(respond::refused(&Refusal::new(ErrorCode::NotFound, "there is nothing at this path")))
            }
        }
    }

    fn serve(&mut self, now: Now, conn: ConnId, call: Call<'_>, request: &Request) -> Outcome {
        match call {
            Call::Push | Call::PushLine => self.push(now, PushCaller { conn, is_line: false }, &request.body),
            Call::User(name) => self.user(conn, name),
            Call::Kick(name) => self.kick(conn, name),
            Call::Mutes(name) => self.mutes(conn, name),
            Call::SetMutes(name) => self.set_mutes(conn, name, &request.body),
            Call::Channels => self.channels(conn, &request.query),
            Call::Channel(name) => self.channel(conn, name, &request.query),
            Call::Schedules => Ok(Some(self.list_schedules(now))),
            Call::Schedule(name) => self.schedule(now, name).map(Some),
            Call::SetSchedule(name) => self.set_schedule(now, conn, name, &request.body),
            Call::EndSchedule(name) => self.end_schedule(conn, name),
            Call::Online => Ok(Some(self.online(now))),
            Call::Nodes => Ok(Some(self.nodes(now))),
            Call::Drain => {
                self.drain(conn);
                Ok(None)
            }
            Call::Healthz => Ok(Some(Response::text(200, "ok"))),
            Call::Readyz => Ok(Some(self.readyz())),
            Call::Metrics => self.ask_all(conn, Question::Counters, Pending::Metrics),
        }
    }

    fn answered(&self, now: Now, pending: Pending, answer: Answer) -> Result<Response, Refusal> {
        match (pending, answer) {
            (_, Answer::Refused(refusal)) => Err(refusal),
            (Pending::User(user), Answer::Sessions(sessions)) => Ok(self.sessions(&user, &sessions)),
            (Pending::Kick(user), Answer::Kicked(kicked)) => Ok(users::kicked(&user, kicked)),
            (Pending::Mutes(user), Answer::Mutes(types)) => Ok(users::muted(&user, &types)),
            (Pending::Channels(range), Answer::Channels(page)) => Ok(channels::list(page, &range)),
            (Pending::Channel { name, members }, Answer::Channel { subscribers, elsewhere, users, .. }) => {
                Ok(channels::show(&name, subscribers, elsewhere, members.then_some(&*users)))
            }
            (Pending::Metrics, Answer::Counters(counters)) => {
                let gauges = &*self.setup.gauges;
                let snapshot = MetricsSnapshot {
                    counters: *counters,
                    gauges,
                    process: ProcessFigures::of(gauges),
                    relay: self.setup.relay.as_ref().map(|relay| (&*relay.figures, relay.queue.bytes())),
                    cluster: self.setup.census.counts(now),
                };
                let body = metrics::render(&snapshot);
                Ok(Response { status: 200, content_type: metrics::CONTENT_TYPE, headers: Vec::new(), body })
            }
            (_, answer) => {
                debug_assert!(false, "not the answer to the question: {answer:?}");
                Err(Refusal::new(ErrorCode::Internal, "the shards answered something else"))
            }
        }
    }

    fn ask_all(&mut self, conn: ConnId, question: Question, pending: Pending) -> Outcome {
        let asker = self.wait(conn, pending);
        self.actions.push_back(ApiAction::AskAll { question, asker });
        Ok(None)
    }

    fn ask_home(&mut self, conn: ConnId, user: UserName, question: Question) -> Outcome {
        let asker = self.wait(conn, Pending::Mutes(user.clone()));
        self.actions.push_back(ApiAction::AskHome { user, question, asker });
        Ok(None)
    }

    fn wait(&mut self, conn: ConnId, pending: Pending) -> Asker {
        Asker::Api { conn, tag: self.wait_for(pending) }
    }

    /// A tag under which the answer to what is pending comes back.
    fn wait_for(&mut self, pending: Pending) -> u64 {
        let tag = self.next_tag;
        self.next_tag += 1;
        self.pending.insert(tag, pending);
        tag
    }

    fn respond(&mut self, conn: ConnId, response: Response) {
        self.actions.push_back(ApiAction::Respond { conn, response });
    }
}
