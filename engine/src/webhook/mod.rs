//! Questions to the application over HTTP: handshakes, asks, and the sources of url schedules.
//!
//! Owns a few threads and the bounded queue in front of them, so that a slow application holds up those who wait
//! for it and nobody else. Everything it is handed is answered exactly once, whatever happens. Knows nothing of
//! reactors: answers leave through two callbacks.

mod bodies;
mod calls;
mod pool;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use epush_core::id::ConnId;
use epush_core::message::UserName;
use serde_json::value::RawValue;

pub use self::pool::Webhooks;

/// Section `[webhook]` of the config, and the name the node goes by.
#[derive(Clone)]
pub struct WebhookSetup {
    /// Sent along as `node`.
    pub node: Arc<str>,
    /// Whom to ask about handshakes; empty: nobody, and every handshake handed in is refused.
    pub handshake_url: String,
    /// Whom to pass an `ask` on to; empty: nobody.
    pub ask_url: String,
    /// From being queued to the whole response, in ms.
    pub timeout_ms: u64,
    /// Threads, and so calls under way at a time.
    pub workers: usize,
    /// Calls that may wait for a thread.
    pub queue_max: usize,
    /// The `Authorization` header of calls to the two URLs; empty: none.
    pub authorization: String,
}

/// An `ask` frame for the application.
#[derive(Debug)]
pub struct AskCall {
    /// The session that asks.
    pub conn: ConnId,
    /// The `id` of its frame, as JSON text; empty when it gave none.
    pub id: Box<str>,
    /// `type`.
    pub kind: Box<str>,
    /// `data`.
    pub data: Box<RawValue>,
    /// The session's user.
    pub user: Option<UserName>,
    /// The session's public name.
    pub session: String,
}

/// A document to fetch for a schedule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fetch {
    /// The schedule's name.
    pub schedule: Box<str>,
    /// Where the document is.
    pub url: Box<str>,
}

/// What a [`Fetch`] came to.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The schedule's name.
    pub schedule: Box<str>,
    /// The document, or why there is none.
    pub outcome: Result<Box<RawValue>, String>,
}

/// Why the webhooks cannot start.
#[derive(Debug)]
pub enum WebhookError {
    /// A URL is not one of HTTP.
    BadUrl {
        /// The config key.
        key: &'static str,
        /// Its value.
        url: String,
    },
    /// `webhook.authorization` cannot be a header's value. It is a secret, so it is not repeated.
    BadAuthorization,
    /// A thread could not be started.
    Thread(std::io::Error),
}

impl fmt::Display for WebhookError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadUrl { key, url } => write!(out, "{key}: {url:?} is not an http or https URL"),
            Self::BadAuthorization => out.write_str("webhook.authorization: not a header value"),
            Self::Thread(error) => write!(out, "no thread for webhooks: {error}"),
        }
    }
}

impl std::error::Error for WebhookError {}
