//! `/v1/users/{user}` and `/v1/users/{user}/mutes`. Knows nothing of where sessions live.

use std::net::IpAddr;
use std::sync::Arc;

use epush_core::http::Response;
use epush_core::id::ConnId;
use epush_core::mail::{MuteChange, Question, SessionInfo};
use epush_core::message::UserName;
use serde::Serialize;

use super::{Api, Outcome, Pending, body, respond};

impl Api {
    pub(super) fn user(&mut self, conn: ConnId, name: &str) -> Outcome {
        let user = body::user(name)?;
        self.ask_all(conn, Question::User(user.clone()), Pending::User(user))
    }

    pub(super) fn kick(&mut self, conn: ConnId, name: &str) -> Outcome {
        let user = body::user(name)?;
        self.ask_all(conn, Question::Kick(user.clone()), Pending::Kick(user))
    }

    pub(super) fn mutes(&mut self, conn: ConnId, name: &str) -> Outcome {
        let user = body::user(name)?;
        self.ask_home(conn, user.clone(), Question::Mutes(user))
    }

    pub(super) fn set_mutes(&mut self, conn: ConnId, name: &str, body: &[u8]) -> Outcome {
        let user = body::user(name)?;
        let change = MuteChange::Replace(body::mutes(body)?);
        self.ask_home(conn, user.clone(), Question::ChangeMutes { user, change })
    }

    /// A user's sessions. One without any is not an error: users are whoever is online.
    pub(super) fn sessions(&self, user: &UserName, sessions: &[SessionInfo]) -> Response {
        #[derive(Serialize)]
        struct Body<'a> {
            user: &'a str,
            sessions: Vec<Session<'a>>,
        }
        #[derive(Serialize)]
        struct Session<'a> {
            node: &'a str,
            session: String,
            /// In ms since 1970.
            since: u64,
            remote: IpAddr,
        }
        let shown = sessions.iter().map(|info| Session {
            node: &info.node,
            session: info.session.to_string(),
            since: info.since_unix_ms,
            remote: info.remote,
        });
        respond::json(200, &Body { user: user.as_str(), sessions: shown.collect() })
    }
}

/// How many sessions a kick closed.
pub fn kicked(user: &UserName, kicked: u64) -> Response {
    #[derive(Serialize)]
    struct Body<'a> {
        user: &'a str,
        kicked: u64,
    }
    respond::json(200, &Body { user: user.as_str(), kicked })
}

/// A user's muted types.
pub fn muted(user: &UserName, types: &[Arc<str>]) -> Response {
    #[derive(Serialize)]
    struct Body<'a> {
        user: &'a str,
        types: Vec<&'a str>,
    }
    respond::json(200, &Body { user: user.as_str(), types: types.iter().map(|kind| &**kind).collect() })
}
