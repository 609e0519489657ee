//! What a shard asks for, done: each effect becomes a call on the sockets, the broker, the other shards or the
//! outside.
//!
//! Called after every call into the shard. An effect may call the shard again; what that asks for comes up in the
//! same loop, never in a deeper call.

use epush_core::close::CloseReason;
use epush_core::effect::{Asker, Effect, Handshake};
use epush_core::error::{ErrorCode, Refusal};
use epush_core::id::{ConnId, SessionRef};
use epush_core::mail::{Answer, Mail, Question as ShardQuestion, Report, Verdict};
use epush_core::message::Draft;
use epush_core::shard::{Door, JobRequest, SessionView};
use tracing::{debug, error, info};

use super::outside::{Asked, Question};
use super::run::Reactor;
use super::socket::Reading;
use crate::acceptor::Note;
use crate::api::Api;
use crate::broker::Refused;
use crate::handler::{HandlerError, Session};
use crate::jobs::JobCall;
use crate::logging::Kind;

impl Reactor {
    /// Does everything the shard and the API have asked for.
    #[inline]
    pub(super) fn settle(&mut self) {
        // After most writes nobody asks for anything.
        if self.shard.has_effects() || self.api.as_ref().is_some_and(Api::has_actions) {
            self.settle_all();
        }
    }

    fn settle_all(&mut self) {
        loop {
            while let Some(effect) = self.shard.poll_effect() {
                self.apply(effect);
            }
            if !self.act() {
                return;
            }
        }
    }

    fn apply(&mut self, effect: Effect) {
        match effect {
            Effect::Publish { draft, asker } => self.publish(&draft, asker),
            Effect::Send { to, mail } => self.outside.node.post(to, mail),
            Effect::AskAll { question, asker } => self.ask_all(question, asker),
            Effect::Cluster(call) => self.outside.node.broker.call(self.id, call),
            Effect::Handshake(handshake) => self.handshake(handshake),
            Effect::Hello { conn, token } => self.hello(conn, token),
            Effect::Opened(conn) => self.opened(conn),
            Effect::Closed { conn, user, attributes, remote, reason } => {
                let id = self.outside.node.session_id(SessionRef { shard: self.id, conn });
                let view = SessionView { id, user: user.as_ref(), remote, attributes: attributes.as_deref() };
                self.closed(&Session::new(&self.outside.node, &view), reason);
            }
            Effect::Ask { conn, id, kind, data } => self.ask(Question { conn, id, kind, data }),
            Effect::Binary { conn, bytes } => {
                let Some(session) = self.session(conn) else { return };
                match self.outside.binary(&session, &bytes) {
                    Ok(true) => {}
                    Ok(false) => {
                        self.shard.handle_mail(self.now, Mail::Close { conn, reason: CloseReason::Unsupported });
                    }
                    Err(panic) => self.survive(conn, Err(panic)),
                }
            }
            Effect::Every { conn, id, job, interval_ms, args } => {
                let known = self.outside.jobs.knows(&job);
                let request = JobRequest { conn, id: &id, job: &job, interval_ms, args };
                self.shard.start_job(self.now, request, known);
            }
            Effect::Tick { conn, job, args, seq } => self.tick(conn, &job, args.as_deref(), seq),
            Effect::Request { conn, request } => {
                if let Some(api) = &mut self.api {
                    api.handle_request(self.now, conn, request);
                }
            }
            Effect::Answered { asker, answer } => self.answered(asker, answer),
            Effect::Behind { conn, client, .. } => self.behind(conn, client),
            Effect::Resume(conn) => self.resume(conn),
            Effect::ShutdownWrite(conn) => {
                if let Some(socket) = self.sockets.find(conn) {
                    socket.shutdown_write();
                }
            }
            Effect::Close { conn, reason } => self.close(conn, reason),
        }
    }

    // --- publications and questions ------------------------------------------

    /// The one publish path of this reactor: its clients' and the API's.
    pub(super) fn publish(&mut self, draft: &Draft, asker: Asker) {
        let accepted = match self.outside.node.broker.accept(draft, self.now) {
            Ok(accepted) => accepted,
            Err(refused) => return self.refuse(asker, refusal_of(refused)),
        };
        let relayed = accepted.relayed;
        let report = (asker != Asker::Nobody).then(|| {
            // One part more: whether the cluster took it.
            let ticket = self.shard.expect(asker, usize::from(self.outside.node.shards()) + 1);
            Report { shard: self.id, ticket }
        });
        let publication = self.outside.node.broker.spread(Some(self.id), accepted, report);
        if let Some(api) = &mut self.api {
            api.observe(&publication);
        }
        self.shard.handle_mail(self.now, Mail::Publish { publication, report });
        if let Some(Report { ticket, .. }) = report {
            let answer = Answer::Delivered { sessions: 0, relayed };
            self.shard.handle_mail(self.now, Mail::Answer { ticket, answer });
        }
    }

    pub(super) fn ask_all(&mut self, question: ShardQuestion, asker: Asker) {
        let node = &self.outside.node;
        let others = usize::from(node.relay.is_some() && !matches!(question, ShardQuestion::Counters));
        let ticket = self.shard.expect(asker, usize::from(node.shards()) + others);
        let report = Report { shard: self.id, ticket };
        let asked = node.broker.ask_others(&question, report);
        debug_assert_eq!(asked, others == 1, "a part is expected exactly when one will come");
        for (index, reactor) in node.reactors.iter().enumerate() {
            if index != usize::from(self.id.0) {
                reactor.post(super::Post::Mail(Mail::Ask { question: question.clone(), report }));
            }
        }
        self.shard.handle_mail(self.now, Mail::Ask { question, report });
    }

    fn refuse(&mut self, asker: Asker, refusal: Refusal) {
        match asker {
            Asker::Api { .. } => self.answered(asker, Answer::Refused(refusal)),
            asker => self.shard.refuse(self.now, asker, refusal),
        }
    }

    fn answered(&mut self, asker: Asker, answer: Answer) {
        if let (Asker::Api { conn, tag }, Some(api)) = (asker, &mut self.api) {
            api.handle_answer(self.now, conn, tag, answer);
        }
    }

    // --- the application -----------------------------------------------------

    fn handshake(&mut self, handshake: Box<Handshake>) {
        let conn = handshake.conn;
        let outcome = self.outside.handshake(self.id, handshake, self.now);
        self.decided(conn, outcome);
    }

    fn hello(&mut self, conn: ConnId, token: Box<str>) {
        let Some(session) = self.session(conn) else { return };
        let outcome = self.outside.hello(self.id, (&session, conn), token, self.now);
        self.decided(conn, outcome);
    }

    fn decided(&mut self, conn: ConnId, outcome: Result<Option<Verdict>, HandlerError>) {
        let verdict = match outcome {
            Ok(Some(verdict)) => verdict,
            Ok(None) => return,
            Err(panic) => {
                self.log_panic(&panic);
                Verdict::Refuse { status: 500, message: "the application failed".into() }
            }
        };
        self.shard.handle_mail(self.now, Mail::Verdict { conn, verdict });
    }

    fn opened(&mut self, conn: ConnId) {
        if self.outside.handler.is_none() {
            return;
        }
        let Some(session) = self.session(conn) else { return };
        let outcome = self.outside.opened(&session);
        self.survive(conn, outcome);
    }

    fn closed(&mut self, session: &Session, reason: CloseReason) {
        let (id, user, remote, reason_word) = (session.id(), session.user(), session.remote(), reason.word());
        if !is_peers_fault(reason) {
            debug!(session = %id, user, %remote, reason = reason_word, "session closed");
        } else if self.throttle.admit(Kind::Closed, self.now.monotonic_us) {
            info!(session = %id, user, %remote, reason = reason_word, "session closed");
        }
        self.outside.closed(session, reason);
    }

    fn ask(&mut self, question: Question) {
        let conn = question.conn;
        let Some(session) = self.session(conn) else { return };
        match self.outside.ask(self.id, &session, question) {
            Ok(Asked::Taken) => {}
            Ok(Asked::Refused(id, refusal)) => {
                self.shard.handle_mail(self.now, Mail::Reply { conn, id, outcome: Err(refusal) });
            }
            Err(panic) => self.survive(conn, Err(panic)),
        }
    }

    fn tick(&mut self, conn: ConnId, job: &str, args: Option<&serde_json::value::RawValue>, seq: u64) {
        let Some(session) = self.session(conn) else { return };
        let call = JobCall { session: &session, args, seq, time_ms: self.now.unix_ms };
        match self.outside.render(job, &call) {
            Ok(Some(data)) => self.shard.push_job(self.now, conn, job, seq, &data),
            Ok(None) => {}
            Err(panic) => self.survive(conn, Err(panic)),
        }
    }

    fn session(&self, conn: ConnId) -> Option<Session> {
        self.shard.view(conn).map(|view| Session::new(&self.outside.node, &view))
    }

    /// Application code that panicked costs its session, not the reactor.
    fn survive(&mut self, conn: ConnId, outcome: Result<(), HandlerError>) {
        let Err(panic) = outcome else { return };
        self.log_panic(&panic);
        self.shard.handle_mail(self.now, Mail::Close { conn, reason: CloseReason::Internal });
    }

    fn log_panic(&mut self, panic: &HandlerError) {
        if self.throttle.admit(Kind::Application, self.now.monotonic_us) {
            let session = panic.session.map(|id| id.to_string());
            error!(place = %panic.place, session, message = %panic.message, "application code panicked");
        }
    }

    // --- sockets -------------------------------------------------------------

    fn behind(&mut self, conn: ConnId, client: std::net::IpAddr) {
        let Some(socket) = self.sockets.find(conn) else { return };
        let before = std::mem::replace(&mut socket.counted, client);
        if socket.door == Door::Client {
            self.notes.post(Note::Behind { shard: self.id, conn, before, client });
        }
    }

    fn resume(&mut self, conn: ConnId) {
        let Some(socket) = self.sockets.find(conn) else { return };
        if socket.reading == Reading::Parked {
            socket.reading = Reading::Listed;
            self.readable.push_back(conn);
        }
    }

    fn close(&mut self, conn: ConnId, reason: CloseReason) {
        let Some(mut socket) = self.sockets.remove(conn) else { return };
        socket.deregister(self.poll.registry());
        debug!(shard = self.id.0, index = conn.index, peer = %socket.counted, reason = reason.word(), "closed");
        self.notes.post(Note::Closed { door: socket.door, shard: self.id, ip: socket.counted });
    }
}

/// What a publisher is told whose publication was not taken.
fn refusal_of(refused: Refused) -> Refusal {
    match refused {
        Refused::Full => Refusal::new(ErrorCode::Unavailable, "too many messages are under way, try again"),
        Refused::TooLarge => Refusal::new(ErrorCode::TooLarge, "larger than everything that may be under way"),
    }
}

/// Whether an operator may want to hear of it: not of clients that come and go.
const fn is_peers_fault(reason: CloseReason) -> bool {
    use CloseReason as Why;
    matches!(reason, Why::Protocol | Why::BadUtf8 | Why::TooBig | Why::SlowConsumer | Why::RateLimited | Why::Internal)
}
