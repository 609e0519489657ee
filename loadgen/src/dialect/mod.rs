//! The words a server understands, as data: how to open, subscribe, publish and send, and what arrives.
//!
//! Ready ones are in `config/loadgen/dialects`, built in by name. In every text that is sent, `{…}` stands for what [`template`]
//! lists; a text that is looked for stands for itself. [`words`] is what a run works with.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::scenario::Via;

pub mod pattern;
pub mod ready;
pub mod template;
pub mod words;

/// A server's words.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Dialect {
    /// Its name.
    pub name: String,
    /// Path and query of the handshake, where the target's URL has none. `{user}`, `{client}`, and `{channel}`: the client's first.
    pub path: String,
    /// Header lines of the handshake.
    pub headers: BTreeMap<String, String>,
    /// `Sec-WebSocket-Protocol` to ask for.
    pub subprotocol: Option<String>,
    /// Sent and waited for in this order after the handshake, before anything else.
    pub open: Vec<Step>,
    /// Once for every channel. `{channel}`.
    pub subscribe: Option<Step>,
    /// To be asked for a periodic push: `{job}`, `{interval_ms}`.
    pub every: Option<Step>,
    /// Frames that are answered: heartbeats of the protocol inside WebSocket.
    pub answer: Vec<Answer>,
    /// Sent by each client every so often, where the server wants to hear from it.
    pub keepalive: Option<Keepalive>,
    /// A frame that says goodbye, before the close frame.
    pub leave: Option<String>,
    /// What a client sends to have it back: `{payload}`. Not set: the payload alone.
    pub echo: Option<String>,
    /// What a client sends to another user: `{to}`, `{payload}`.
    pub send_user: Option<String>,
    /// What a client sends to a channel, and a publisher over WebSocket too: `{channel}`, `{payload}`.
    pub publish: Option<String>,
    /// What a publisher over WebSocket sends to everybody: `{payload}`.
    pub publish_all: Option<String>,
    /// What a publisher sends over its WebSocket to a user, where it differs from `send_user`.
    pub publish_user: Option<String>,
    /// Why there are no words to publish with, and what to do instead: part of the refusal of a scenario that wants to.
    pub cannot_publish: Option<String>,
    /// Publishing by HTTP.
    pub http: Option<HttpPublish>,
    /// What a message looks like.
    pub message: Message,
    /// What an announced loss looks like.
    pub gap: Option<Gap>,
    /// A frame that contains this is a refusal: counted, its text kept as an example. A client that is not ready yet fails by it.
    pub error: Option<String>,
    /// Frames are binary: what clients send, too.
    pub binary: bool,
}

/// One thing to send, and what to wait for after it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Step {
    /// Wait for a frame that contains this before sending.
    pub after: Option<String>,
    /// The text frame to send. Not set: nothing.
    pub send: Option<String>,
    /// Done when a frame that contains this is here. Not set: at once.
    pub until: Option<String>,
}

/// An answer to a frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The whole frame; with a `*` at its end, what the frame begins with.
    pub when: String,
    /// What is sent.
    pub send: String,
}

/// A frame sent every so often.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keepalive {
    /// What is sent.
    pub send: String,
    /// How often, in milliseconds.
    pub interval_ms: u64,
}

/// A publication as an HTTP request: `{channel}`, `{to}` (a user) and `{payload}` in paths and bodies.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpPublish {
    /// `POST` where empty.
    pub method: String,
    /// Path to a channel.
    pub path: String,
    /// Path to everybody; empty: `path`.
    pub path_all: String,
    /// Path to a user; empty: `path`.
    pub path_user: String,
    /// Header lines.
    pub headers: BTreeMap<String, String>,
    /// Body of a publication to a channel.
    pub body: String,
    /// Body of one to everybody, where the server can.
    pub body_all: Option<String>,
    /// Body of one to a user, where the server can.
    pub body_user: Option<String>,
    /// Several requests may be under way on a connection; its answers come in order.
    pub pipelined: bool,
    /// An answer whose body contains this is a refusal, whatever its status. Not set: the status alone says it.
    pub refused: Option<String>,
}

/// What a message looks like.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Message {
    /// For messages that this tool did not publish: the text before the sender's time, as in `"time_ms":{time_ms}`.
    /// `{time_s}`, `{time_ms}`, `{time_us}`, `{time_ns}`: since 1970; `{seq}` may follow or precede. Not set: the tool's own stamp.
    pub stamp: Option<String>,
    /// A frame that contains this is a periodic push (`every`).
    pub every: Option<String>,
    /// Stands between messages, where several may share a frame.
    pub separator: Option<String>,
}

/// What an announced loss looks like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gap {
    /// What the frame contains.
    pub contains: String,
    /// What stands before the number of messages lost. Not set: one.
    pub count: Option<String>,
}

impl Dialect {
    /// The way it publishes where nobody chose.
    #[must_use]
    pub const fn via(&self) -> Via {
        if self.http.is_some() { Via::Http } else { Via::WebSocket }
    }

    /// What it says of why it cannot publish, as the end of a sentence; nothing where it does not say.
    pub(crate) fn why_not(&self) -> String {
        self.cannot_publish.as_ref().map(|why| format!(": {why}")).unwrap_or_default()
    }
}
