//! The embedding application: what it is told, what it may decide, and how it answers.
//!
//! Handlers run on the reactor threads. A handler that waits (for a database, a lock, another server) makes every
//! connection of its reactor wait: move [`Reply`] or [`Session`] to another thread instead. Knows nothing of sockets.

use std::net::IpAddr;
use std::sync::Arc;

use epush_core::close::CloseReason;
use epush_core::effect::Handshake;
use epush_core::error::{ErrorCode, Refusal};
use epush_core::id::{SessionId, SessionRef};
use epush_core::mail::{Identity, Mail, Verdict};
use epush_core::message::UserName;
use epush_core::shard::SessionView;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::{RawValue, to_raw_value};

use crate::node::Node;
use crate::pusher::PushError;

/// What an application does with the sessions of its engine. Every method has a default.
///
/// One handler serves all reactors at once, so it is `Sync`; the calls for one session come in order. A panic closes
/// the session with 1011 and is told to [`Handler::on_error`]; the reactor goes on.
pub trait Handler: Send + Sync + 'static {
    /// A client wants in, or signs in later with `hello`. The configured authentication has already said yes.
    ///
    /// Not called with `auth.mode = "webhook"`: there the webhook decides.
    ///
    /// The default lets it in as who it was found to be.
    fn on_handshake(&self, request: &HandshakeRequest<'_>) -> Verdict {
        request.accept()
    }

    /// A session is open: its `welcome` is on its way, and pushes reach it.
    fn on_open(&self, session: &Session) {
        let _ = session;
    }

    /// A client asks, or sent a binary message. Keep `reply` and return `None`, or give it back when the message is not
    /// for this application: then a configured webhook is asked, and without one the client reads `not_found`.
    ///
    /// The default takes nothing.
    fn on_message(&self, session: &Session, message: Message<'_>, reply: Reply) -> Option<Reply> {
        let _ = (session, message);
        Some(reply)
    }

    /// A session that was open is gone, or going: called once for each that [`Handler::on_open`] was told of, when the
    /// engine stops too.
    fn on_close(&self, session: &Session, reason: CloseReason) {
        let _ = (session, reason);
    }

    /// Application code failed. It is logged as well.
    fn on_error(&self, error: &HandlerError) {
        let _ = error;
    }
}

/// Application code that panicked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HandlerError {
    /// Where: a method of [`Handler`], or the name of a job.
    pub place: Box<str>,
    /// The session it was called for, which is closed with 1011.
    pub session: Option<SessionId>,
    /// What the panic said.
    pub message: Box<str>,
}

impl std::fmt::Display for HandlerError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} panicked: {}", self.place, self.message)
    }
}

impl std::error::Error for HandlerError {}

/// A client that wants in.
#[derive(Clone, Copy)]
pub struct HandshakeRequest<'a> {
    handshake: &'a Handshake,
    identity: &'a Identity,
}

impl<'a> HandshakeRequest<'a> {
    pub(crate) fn new(handshake: &'a Handshake, identity: &'a Identity) -> Self {
        Self { handshake, identity }
    }

    /// Percent-decoded path; empty when the client signs in with `hello`.
    #[must_use]
    pub fn path(&self) -> &'a str {
        &self.handshake.path
    }

    /// The first query value with this name, decoded.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<&'a str> {
        first(&self.handshake.query, name)
    }

    /// The first header with this name (lower case). None are known when the client signs in with `hello`.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a str> {
        first(&self.handshake.headers, name)
    }

    /// The client's address, behind trusted proxies too.
    #[must_use]
    pub fn remote(&self) -> IpAddr {
        self.handshake.remote
    }

    /// The token: `?token=`, the bearer token, or that of `hello`.
    #[must_use]
    pub fn token(&self) -> Option<&'a str> {
        self.handshake.token.as_deref()
    }

    /// Who the configured authentication found the client to be.
    #[must_use]
    pub fn identity(&self) -> &'a Identity {
        self.identity
    }

    /// Lets the client in as who it was found to be.
    #[must_use]
    pub fn accept(&self) -> Verdict {
        Verdict::Accept(self.identity.clone())
    }

    /// Lets the client in as this user, with nothing else changed.
    ///
    /// A name no user can have (empty, over 256 bytes, control characters) is refused with 400.
    #[must_use]
    pub fn accept_user(&self, user: &str) -> Verdict {
        match UserName::parse(user) {
            Some(user) => Verdict::Accept(Identity { user: Some(user), must_sign_in: false, ..self.identity.clone() }),
            None => self.refuse(400, "no user can have this name"),
        }
    }

    /// Keeps the client out with an HTTP status (400–599) and a sentence for the person who reads it.
    #[must_use]
    pub fn refuse(&self, status: u16, message: impl Into<Box<str>>) -> Verdict {
        Verdict::Refuse { status, message: message.into() }
    }
}

/// Without query and headers: they carry tokens and cookies, and this ends up in logs.
impl std::fmt::Debug for HandshakeRequest<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (path, remote) = (self.path(), self.remote());
        out.debug_struct("HandshakeRequest").field("path", &path).field("remote", &remote).finish_non_exhaustive()
    }
}

fn first<'a>(pairs: &'a [(Box<str>, Box<str>)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(key, _)| &**key == name).map(|(_, value)| &**value)
}

/// What a client said to the application.
#[derive(Clone, Copy, Debug)]
pub enum Message<'a> {
    /// An `ask` frame; the client waits for the reply.
    Ask {
        /// Its `type`.
        kind: &'a str,
        /// Its `data`; `null` when it gave none.
        data: &'a RawValue,
    },
    /// A binary message. Nobody waits for a reply to it.
    Binary(&'a [u8]),
}

impl Message<'_> {
    /// The `data` of an `ask`, or the bytes of a binary message, read as JSON.
    ///
    /// # Errors
    /// When it is no JSON of this shape.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        match self {
            Self::Ask { data, .. } => serde_json::from_str(data.get()),
            Self::Binary(bytes) => serde_json::from_slice(bytes),
        }
    }
}

/// A session, as a handle that may be kept and moved to any thread. It does not keep the session open.
#[derive(Clone)]
pub struct Session {
    id: SessionId,
    user: Option<UserName>,
    attributes: Option<Arc<RawValue>>,
    remote: IpAddr,
    node: Arc<Node>,
}

impl Session {
    pub(crate) fn new(node: &Arc<Node>, view: &SessionView<'_>) -> Self {
        Self {
            id: view.id,
            user: view.user.cloned(),
            attributes: view.attributes.map(|raw| Arc::from(raw.to_owned())),
            remote: view.remote,
            node: Arc::clone(node),
        }
    }

    /// The session's public name.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Its user; none: an anonymous session.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_ref().map(UserName::as_str)
    }

    pub(crate) fn user_name(&self) -> Option<&UserName> {
        self.user.as_ref()
    }

    /// The JSON object the handshake attached.
    #[must_use]
    pub fn attributes(&self) -> Option<&RawValue> {
        self.attributes.as_deref()
    }

    /// The client's address, behind trusted proxies too.
    #[must_use]
    pub fn remote(&self) -> IpAddr {
        self.remote
    }

    /// Sends a `message` frame with this payload to this session alone. Never waits.
    ///
    /// A session that is gone is no error: the message is dropped with it.
    ///
    /// # Errors
    /// [`PushError::BadJson`] when the value cannot be JSON, [`PushError::Full`] and [`PushError::Stopped`] as for a
    /// [`Pusher`](crate::pusher::Pusher).
    pub fn send(&self, data: &impl Serialize) -> Result<(), PushError> {
        let data = to_raw_value(data)?;
        if self.node.is_stopped() {
            return Err(PushError::Stopped);
        }
        Ok(self.node.push_to_session(self.id.at, data)?)
    }

    /// Closes the session: `goodbye`, then a close frame with the reason's code.
    ///
    /// [`CloseReason::Application`] takes a code of the application's own, 4000–4999; any other is sent as 4000.
    pub fn close(&self, reason: CloseReason) {
        let SessionRef { shard, conn } = self.id.at;
        let reason = match reason {
            CloseReason::Application(code) if !(4_000..=4_999).contains(&code) => CloseReason::Application(4_000),
            reason => reason,
        };
        self.node.post(shard, Mail::Close { conn, reason });
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Session").field("id", &self.id.to_string()).field("user", &self.user).finish_non_exhaustive()
    }
}

/// The answer to an `ask`, owed once. May be moved to another thread and answered later.
///
/// Dropped unanswered, the client reads the error `internal`.
#[must_use = "dropping a reply tells the client that the application failed"]
pub struct Reply {
    /// None: answered, given back, or nobody waits.
    waiting: Option<Waiting>,
}

struct Waiting {
    node: Arc<Node>,
    at: SessionRef,
    /// The `id` of the question's frame, as JSON text; empty when it gave none.
    id: Box<str>,
}

impl Reply {
    pub(crate) fn new(node: &Arc<Node>, at: SessionRef, id: Box<str>) -> Self {
        Self { waiting: Some(Waiting { node: Arc::clone(node), at, id }) }
    }

    /// For a message that nobody waits for an answer to.
    pub(crate) fn to_nobody() -> Self {
        Self { waiting: None }
    }

    /// Gives the question's `id` back: somebody else answers.
    pub(crate) fn into_id(mut self) -> Box<str> {
        self.waiting.take().map(|waiting| waiting.id).unwrap_or_default()
    }

    /// Answers with any value that can be JSON.
    ///
    /// # Errors
    /// When it cannot; the client then reads `internal`.
    pub fn send(self, data: &impl Serialize) -> Result<(), serde_json::Error> {
        let data = to_raw_value(data)?;
        self.raw(data);
        Ok(())
    }

    /// Answers with JSON that is already text.
    pub fn raw(mut self, data: Box<RawValue>) {
        self.finish(Ok(data));
    }

    /// Answers with an `error` frame.
    pub fn refuse(mut self, code: ErrorCode, message: impl Into<String>) {
        self.finish(Err(Refusal::new(code, message.into())));
    }

    fn finish(&mut self, outcome: Result<Box<RawValue>, Refusal>) {
        let Some(Waiting { node, at, id }) = self.waiting.take() else { return };
        node.post(at.shard, Mail::Reply { conn: at.conn, id, outcome });
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.finish(Err(Refusal::new(ErrorCode::Internal, "the application did not answer")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::Post;
    use crate::testing;
    use epush_core::id::{ConnId, ShardId};

    const CONN: ConnId = ConnId { index: 5, generation: 1 };
    const AT: SessionRef = SessionRef { shard: ShardId(1), conn: CONN };

    fn outcome(node: &testing::Bench) -> Option<Result<String, ErrorCode>> {
        match node.inboxes[1].take()? {
            Post::Mail(Mail::Reply { conn, id, outcome }) => {
                assert_eq!((conn, &*id), (CONN, "7"));
                Some(outcome.map(|data| data.get().to_owned()).map_err(|refusal| refusal.code))
            }
            _ => panic!("expected a reply"),
        }
    }

    #[test]
    fn a_reply_answers_once_from_any_thread() {
        let bench = testing::bench(2, 1_000);
        let reply = Reply::new(&bench.node, AT, "7".into());
        std::thread::spawn(move || reply.send(&[1, 2]).expect("JSON")).join().expect("no panic");
        assert_eq!(outcome(&bench), Some(Ok("[1,2]".into())));
        assert_eq!(outcome(&bench), None);
    }

    #[test]
    fn a_reply_that_is_dropped_or_refused_is_an_error_for_the_client() {
        let bench = testing::bench(2, 1_000);
        drop(Reply::new(&bench.node, AT, "7".into()));
        assert_eq!(outcome(&bench), Some(Err(ErrorCode::Internal)));
        Reply::new(&bench.node, AT, "7".into()).refuse(ErrorCode::NotFound, "no such order");
        assert_eq!(outcome(&bench), Some(Err(ErrorCode::NotFound)));
        assert_eq!(&*Reply::new(&bench.node, AT, "7".into()).into_id(), "7");
        drop(Reply::to_nobody());
        assert_eq!(outcome(&bench), None);
    }

    #[test]
    fn a_session_sends_and_closes_through_its_shard() {
        let bench = testing::bench(2, 1_000);
        let session = testing::session(&bench);
        session.send(&"hello").expect("room");
        let Some(Post::Push { conn, frame, permit }) = bench.inboxes[0].take() else { panic!("expected a push") };
        assert_eq!(conn, session.id().at.conn);
        let text = String::from_utf8_lossy(&frame).into_owned();
        assert!(text.contains(r#""op":"message""#) && text.ends_with(r#""data":"hello"}"#), "{text}");
        assert!(bench.node.intake.bytes() > 0);
        drop(permit);
        assert_eq!(bench.node.intake.bytes(), 0);

        session.close(CloseReason::Application(4100));
        let Some(Post::Mail(Mail::Close { reason, .. })) = bench.inboxes[0].take() else { panic!("expected a close") };
        assert_eq!(reason, CloseReason::Application(4100));
        for code in [0, 1_000, 1_005, 3_999, 5_000] {
            session.close(CloseReason::Application(code));
            let Some(Post::Mail(Mail::Close { reason, .. })) = bench.inboxes[0].take() else { panic!("no close") };
            assert_eq!(reason, CloseReason::Application(4_000), "{code} may not be sent");
        }
    }

    #[test]
    fn a_session_that_is_sent_too_much_at_once_says_so() {
        let bench = testing::bench(2, 10);
        let session = testing::session(&bench);
        session.send(&"12345").expect("fits");
        assert!(matches!(session.send(&"12345"), Err(PushError::Full)));
    }

    #[test]
    fn a_request_is_accepted_as_found_or_as_somebody_else() {
        let handshake = Handshake {
            conn: CONN,
            remote: "192.0.2.1".parse().expect("address"),
            path: "/msg".into(),
            query: vec![("key".into(), "a b".into())],
            headers: vec![("user-agent".into(), "test".into())],
            token: None,
            claimed_user: None,
            claims_bad_user: false,
        };
        let identity = Identity { must_sign_in: true, ..Identity::default() };
        let request = HandshakeRequest::new(&handshake, &identity);
        assert_eq!((request.query("key"), request.header("user-agent")), (Some("a b"), Some("test")));
        let Verdict::Accept(accepted) = request.accept_user("7") else { panic!("accepted") };
        assert_eq!(accepted.user.as_ref().map(UserName::as_str), Some("7"));
        assert!(!accepted.must_sign_in);
        assert!(matches!(request.accept_user("\n"), Verdict::Refuse { status: 400, .. }));
    }
}
