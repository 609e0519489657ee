//! Everything a reactor asks that is neither a socket nor its shard: authentication, webhooks, the embedder's handler
//! and jobs.
//!
//! Application code runs in here and nowhere else, so this is where its panics end. Knows nothing of sockets.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arc_swap::ArcSwap;
use epush_core::close::CloseReason;
use epush_core::effect::Handshake;
use epush_core::error::{ErrorCode, Refusal};
use epush_core::id::{ConnId, SessionRef, ShardId};
use epush_core::mail::{Identity, Verdict};
use epush_core::now::Now;
use serde_json::value::RawValue;

use crate::auth::Auth;
use crate::handler::{Handler, HandlerError, HandshakeRequest, Message, Reply, Session};
use crate::jobs::{JobCall, Jobs, Surroundings};
use crate::node::Node;
use crate::webhook::{AskCall, Webhooks};

/// One reactor's way to the outside. The parts are shared by all reactors.
#[derive(Clone)]
pub struct Outside {
    /// The node.
    pub node: Arc<Node>,
    /// Swapped as a whole when keys are read again.
    pub auth: Arc<ArcSwap<Auth>>,
    /// The worker pool.
    pub webhooks: Arc<Webhooks>,
    /// The embedder's handler, when there is one.
    pub handler: Option<Arc<dyn Handler>>,
    /// Periodic pushes.
    pub jobs: Arc<Jobs>,
}

/// A question to the application.
pub struct Question {
    /// The session.
    pub conn: ConnId,
    /// The `id` of its frame, as JSON text; empty when it gave none.
    pub id: Box<str>,
    /// `type`.
    pub kind: Box<str>,
    /// `data`.
    pub data: Box<RawValue>,
}

/// What became of a question to the application.
pub enum Asked {
    /// The answer is on its way, or will be.
    Taken,
    /// Nobody answers it: refuse it, under its `id`.
    Refused(Box<str>, Refusal),
}

impl Outside {
    /// Who the client of a handshake is. `None`: the answer comes by mail.
    ///
    /// # Errors
    /// When the handler panics.
    pub fn handshake(
        &self,
        shard: ShardId,
        handshake: Box<Handshake>,
        now: Now,
    ) -> Result<Option<Verdict>, HandlerError> {
        let verdict = self.auth.load().decide(&handshake, now.unix_ms);
        self.confirm(shard, handshake, verdict)
    }

    /// Who a client is that signs in with `hello`. `None`: the answer comes by mail.
    ///
    /// The application sees it as a handshake without path and headers: whom it keeps out there stays out here.
    ///
    /// # Errors
    /// When the handler panics.
    pub fn hello(
        &self,
        shard: ShardId,
        (session, conn): (&Session, ConnId),
        token: Box<str>,
        now: Now,
    ) -> Result<Option<Verdict>, HandlerError> {
        let verdict = self.auth.load().hello(&token, now.unix_ms);
        let hello = Handshake {
            conn,
            remote: session.remote(),
            path: "".into(),
            query: Vec::new(),
            headers: Vec::new(),
            token: Some(token),
            claimed_user: None,
            claims_bad_user: false,
        };
        self.confirm(shard, Box::new(hello), verdict)
    }

    /// Asks the application about a client that authentication accepted.
    fn confirm(
        &self,
        shard: ShardId,
        handshake: Box<Handshake>,
        verdict: Verdict,
    ) -> Result<Option<Verdict>, HandlerError> {
        let Verdict::Accept(identity) = verdict else { return Ok(Some(verdict)) };
        if self.auth.load().asks_webhook() {
            let queued = self.webhooks.handshake(shard, handshake, identity);
            return Ok((!queued).then(busy));
        }
        self.ask_handler(&handshake, identity).map(Some)
    }

    fn ask_handler(&self, handshake: &Handshake, identity: Identity) -> Result<Verdict, HandlerError> {
        let Some(handler) = &self.handler else { return Ok(Verdict::Accept(identity)) };
        let request = HandshakeRequest::new(handshake, &identity);
        self.guard("on_handshake", None, || handler.on_handshake(&request))
    }

    /// Tells the application that a session is open.
    ///
    /// # Errors
    /// When the handler panics.
    pub fn opened(&self, session: &Session) -> Result<(), HandlerError> {
        let Some(handler) = &self.handler else { return Ok(()) };
        self.guard("on_open", Some(session), || handler.on_open(session))
    }

    /// Tells the application that a session is gone. A panic is told to `on_error` and no one else: nothing is left
    /// to close.
    pub fn closed(&self, session: &Session, reason: CloseReason) {
        let Some(handler) = &self.handler else { return };
        let _ = self.guard("on_close", Some(session), || handler.on_close(session, reason));
    }

    /// Puts a question to the handler, and if it does not take it, to the webhook.
    ///
    /// # Errors
    /// When the handler panics; the client has its answer then.
    pub fn ask(&self, shard: ShardId, session: &Session, question: Question) -> Result<Asked, HandlerError> {
        let Question { conn, mut id, kind, data } = question;
        if let Some(handler) = &self.handler {
            let reply = Reply::new(&self.node, SessionRef { shard, conn }, id);
            let message = Message::Ask { kind: &kind, data: &data };
            match self.guard("on_message", Some(session), || handler.on_message(session, message, reply))? {
                Some(given_back) => id = given_back.into_id(),
                None => return Ok(Asked::Taken),
            }
        }
        if !self.webhooks.takes_asks() {
            let refusal = Refusal::new(ErrorCode::NotFound, "nobody answers questions of this type");
            return Ok(Asked::Refused(id, refusal));
        }
        let user = session.user_name().cloned();
        let call = AskCall { conn, id: id.clone(), kind, data, user, session: session.id().to_string() };
        if self.webhooks.ask(shard, call) {
            return Ok(Asked::Taken);
        }
        Ok(Asked::Refused(id, Refusal::new(ErrorCode::Unavailable, "too many questions wait for an answer")))
    }

    /// Hands a binary message to the application.
    ///
    /// # Errors
    /// When the handler panics.
    pub fn binary(&self, session: &Session, bytes: &[u8]) -> Result<bool, HandlerError> {
        let Some(handler) = &self.handler else { return Ok(false) };
        let call = || handler.on_message(session, Message::Binary(bytes), Reply::to_nobody());
        self.guard("on_message", Some(session), call).map(|given_back| given_back.is_none())
    }

    /// What a tick of a job pushes.
    ///
    /// # Errors
    /// When the closure panics.
    pub fn render(&self, job: &str, call: &JobCall<'_>) -> Result<Option<Box<RawValue>>, HandlerError> {
        let node = &self.node;
        let around = Surroundings {
            node: &node.name,
            online_node: node.gauges.sessions() as u64,
            online_cluster: node.census.counts(node.clock.now()).sessions,
        };
        self.guard(job, Some(call.session), || self.jobs.render(job, call, around))
    }

    /// Runs application code; a panic in it becomes an error, which the application is told.
    ///
    /// `AssertUnwindSafe`: what the application shares with itself across its panics is its own to keep whole.
    fn guard<R>(&self, place: &str, session: Option<&Session>, call: impl FnOnce() -> R) -> Result<R, HandlerError> {
        let panic = match catch_unwind(AssertUnwindSafe(call)) {
            Ok(returned) => return Ok(returned),
            Err(panic) => panic,
        };
        let said = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        let message = said.unwrap_or("no message").into();
        let error = HandlerError { place: place.into(), session: session.map(Session::id), message };
        if let Some(handler) = &self.handler {
            // A panic in on_error has nobody left to tell.
            let _ = catch_unwind(AssertUnwindSafe(|| handler.on_error(&error)));
        }
        Err(error)
    }
}

fn busy() -> Verdict {
    Verdict::Refuse { status: 503, message: "too many clients wait for a decision".into() }
}

#[cfg(test)]
mod tests;
