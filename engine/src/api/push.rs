//! `POST /v1/push`, and each line of `POST /v1/push/batch`. Knows nothing of how a push reaches anybody.

use std::sync::Arc;

use epush_core::effect::Asker;
use epush_core::error::{ErrorCode, Refusal};
use epush_core::http::Response;
use epush_core::id::ConnId;
use epush_core::mail::Answer;
use epush_core::message::Draft;
use epush_core::now::Now;
use serde::Serialize;

use super::idempotency::Begun;
use super::{Api, ApiAction, Outcome, Pending, body, respond};

/// Who waits for the outcome of a push.
#[derive(Clone, Copy)]
pub struct PushCaller {
    /// The connection.
    pub conn: ConnId,
    /// Whether the answer is one line of a streamed one.
    pub is_line: bool,
}

/// A push whose outcome is not known yet.
pub struct PushUnderWay {
    id: Arc<str>,
    /// Whether the caller gave the id, and may repeat it.
    is_keyed: bool,
    is_line: bool,
}

/// What became of a push that was taken.
#[derive(Clone, Copy)]
pub struct Taken {
    /// Sessions of this node it was queued for.
    local: u64,
    /// Whether the cluster took it.
    relayed: bool,
}

/// The answer to a push.
#[derive(Serialize)]
struct Pushed<'a> {
    id: &'a str,
    node: &'a str,
    local: u64,
    relayed: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    duplicate: bool,
}

impl Api {
    /// One line of a batch. A blank line is no push, and its answer no line.
    pub(super) fn push_line(&mut self, now: Now, conn: ConnId, line: &[u8]) -> Option<Response> {
        if line.trim_ascii().is_empty() {
            return Some(respond::line(Vec::new()));
        }
        let outcome = self.push(now, PushCaller { conn, is_line: true }, line);
        outcome.unwrap_or_else(|refusal| Some(respond::line(respond::error_body(&refusal))))
    }

    /// Publishes what a body says; its answer comes in [`Api::pushed`], unless it is a repeat.
    pub(super) fn push(&mut self, now: Now, caller: PushCaller, body: &[u8]) -> Outcome {
        let mut draft = body::push(body)?;
        let is_keyed = draft.id.is_some();
        let id = draft.id.take().unwrap_or_else(|| self.fresh_id());
        if is_keyed {
            match self.remembered.begin(now, &id, caller) {
                Begun::New => {}
                Begun::Waits => return Ok(None),
                Begun::Done(taken) => return Ok(Some(self.push_response(&id, taken, true, caller.is_line))),
            }
        }
        draft.id = Some(Arc::clone(&id));
        let asker = self.wait(caller.conn, Pending::Push(PushUnderWay { id, is_keyed, is_line: caller.is_line }));
        self.actions.push_back(ApiAction::Publish { draft, asker });
        Ok(None)
    }

    /// The outcome of a push: for its caller, and for those who repeated it meanwhile.
    pub(super) fn pushed(&mut self, now: Now, conn: ConnId, push: PushUnderWay, answer: Answer) {
        let PushUnderWay { id, is_keyed, is_line } = push;
        let outcome = match answer {
            Answer::Delivered { sessions, relayed } => Ok(Taken { local: sessions, relayed }),
            Answer::Refused(refusal) => Err(refusal),
            answer => {
                debug_assert!(false, "not the answer to a push: {answer:?}");
                Err(Refusal::new(ErrorCode::Internal, "the shards answered something else"))
            }
        };
        let repeats = match &outcome {
            _ if !is_keyed => Vec::new(),
            Ok(taken) => self.remembered.finish(now, &id, *taken),
            Err(_) => self.remembered.abandon(&id),
        };
        self.tell(PushCaller { conn, is_line }, &id, &outcome, false);
        for caller in repeats {
            self.tell(caller, &id, &outcome, true);
        }
    }

    /// A schedule's push: nobody waits for its outcome.
    pub(super) fn publish_for_nobody(&mut self, mut draft: Draft) {
        draft.id = Some(self.fresh_id());
        self.actions.push_back(ApiAction::Publish { draft, asker: Asker::Nobody });
    }

    fn tell(&mut self, caller: PushCaller, id: &str, outcome: &Result<Taken, Refusal>, duplicate: bool) {
        let response = match outcome {
            Ok(taken) => self.push_response(id, *taken, duplicate, caller.is_line),
            Err(refusal) if caller.is_line => respond::line(respond::error_body(refusal)),
            Err(refusal) => respond::refused(refusal),
        };
        self.respond(caller.conn, response);
    }

    fn push_response(&self, id: &str, Taken { local, relayed }: Taken, duplicate: bool, is_line: bool) -> Response {
        let body = Pushed { id, node: &self.setup.node, local, relayed, duplicate };
        if is_line { respond::line(respond::bytes(&body)) } else { respond::json(202, &body) }
    }

    /// A name no other push of the service has: the node's boot number and a count.
    fn fresh_id(&mut self) -> Arc<str> {
        self.ids_given += 1;
        format!("{:x}-{:x}", self.setup.boot, self.ids_given).into()
    }
}
