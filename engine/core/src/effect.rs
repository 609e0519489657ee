//! What a shard asks the thread around it to do. Drained after every call into the shard.

use std::net::IpAddr;

use serde_json::value::RawValue;

use crate::close::CloseReason;
use crate::http::Request;
use crate::id::{ConnId, ShardId};
use crate::mail::{Answer, ClusterCall, Mail, Question};
use crate::message::{Draft, UserName};

/// One thing to do.
#[derive(Debug)]
pub enum Effect {
    /// Publish through the broker; then, when there is an asker, count it with [`crate::shard::Shard::expect`].
    Publish {
        /// What.
        draft: Draft,
        /// The client that waits for `ok`.
        asker: Asker,
    },
    /// Hand mail to another shard (never to this one).
    Send {
        /// Whose mailbox.
        to: ShardId,
        /// What.
        mail: Mail,
    },
    /// Put a question to every shard, this one too, and collect the parts under one ticket.
    AskAll {
        /// What.
        question: Question,
        /// Who waits.
        asker: Asker,
    },
    /// Ask the cluster. Only a clustered shard does.
    Cluster(ClusterCall),
    /// Decide about a client; the answer is [`Mail::Verdict`].
    Handshake(Box<Handshake>),
    /// Decide about the token of a `hello`; the answer is [`Mail::Verdict`].
    Hello {
        /// The session, which reads no further until then.
        conn: ConnId,
        /// The token.
        token: Box<str>,
    },
    /// A session is open: tell the application.
    Opened(ConnId),
    /// A session that was open is gone, or going: tell the application.
    Closed {
        /// The session.
        conn: ConnId,
        /// Its user.
        user: Option<UserName>,
        /// What the application had attached.
        attributes: Option<Box<RawValue>>,
        /// The client's address.
        remote: IpAddr,
        /// Why.
        reason: CloseReason,
    },
    /// A question to the application; the answer is [`Mail::Reply`].
    Ask {
        /// The session.
        conn: ConnId,
        /// The `id` of its frame, as JSON text; empty when it gave none.
        id: Box<str>,
        /// `type`.
        kind: Box<str>,
        /// `data`; `null` when it gave none.
        data: Box<RawValue>,
    },
    /// A binary message to the application.
    Binary {
        /// The session.
        conn: ConnId,
        /// The message.
        bytes: Box<[u8]>,
    },
    /// A client wants a periodic push: say with [`crate::shard::Shard::start_job`] whether there is such a job.
    Every {
        /// The session, which reads no further until then.
        conn: ConnId,
        /// The `id` of its frame, as JSON text; empty when it gave none.
        id: Box<str>,
        /// The job's name.
        job: Box<str>,
        /// Every how many ms.
        interval_ms: u64,
        /// `args`.
        args: Option<Box<RawValue>>,
    },
    /// A periodic push is due: render it and push it with [`crate::shard::Shard::push_job`].
    Tick {
        /// The session.
        conn: ConnId,
        /// Which of its jobs.
        job: Box<str>,
        /// `args`.
        args: Option<Box<RawValue>>,
        /// How often it fired before.
        seq: u64,
    },
    /// A whole API request, or one line of a streamed body.
    Request {
        /// The API connection, which reads no further until [`crate::shard::Shard::respond`].
        conn: ConnId,
        /// The request.
        request: Request,
    },
    /// All parts of an answer an API connection asked for.
    Answered {
        /// What was given to [`crate::shard::Shard::expect`].
        asker: Asker,
        /// The merged parts.
        answer: Answer,
    },
    /// A connection turned out to be another client's: for the count of connections per address.
    Behind {
        /// The connection.
        conn: ConnId,
        /// The address it counted for until now: the proxy's, or the client before on a kept-alive connection.
        proxy: IpAddr,
        /// The client.
        client: IpAddr,
    },
    /// Read this connection again: it may take more.
    Resume(ConnId),
    /// No more output will come: shut the sending half down.
    ShutdownWrite(ConnId),
    /// Close the socket; the slot is free at the end of the turn.
    Close {
        /// The connection.
        conn: ConnId,
        /// Why.
        reason: CloseReason,
    },
}

/// Who waits for an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Asker {
    /// A session's frame: the shard answers it itself.
    Client {
        /// The session.
        conn: ConnId,
        /// The `id` of its frame, as JSON text; empty when it gave none.
        id: Box<str>,
    },
    /// An API request: the answer comes out as [`Effect::Answered`].
    Api {
        /// The connection.
        conn: ConnId,
        /// A number of the API's own.
        tag: u64,
    },
    /// Nobody.
    Nobody,
}

/// A client that wants in, as the application sees it.
#[derive(Clone, Debug)]
pub struct Handshake {
    /// The connection, which waits.
    pub conn: ConnId,
    /// The client's address, behind trusted proxies too.
    pub remote: IpAddr,
    /// Percent-decoded path.
    pub path: Box<str>,
    /// Decoded query pairs, in order.
    pub query: Vec<(Box<str>, Box<str>)>,
    /// Header lines: names lower case, values as text (bytes outside UTF-8 replaced).
    pub headers: Vec<(Box<str>, Box<str>)>,
    /// `?token=`, or the bearer token of `Authorization`.
    pub token: Option<Box<str>>,
    /// The user the client says it is: `/msg/{user}`, `?user=`, `?userId=`, first match.
    pub claimed_user: Option<UserName>,
    /// Whether the client said it is a user whose name no user can have.
    pub claims_bad_user: bool,
}
