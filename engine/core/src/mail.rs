//! What reaches a shard from other threads, and the questions shards ask each other.
//!
//! Knows nothing of how it crosses threads.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::close::CloseReason;
use crate::counters::Counters;
use crate::error::Refusal;
use crate::http::Response;
use crate::id::{ConnId, SessionRef, ShardId};
use crate::limits::MEMBERS_MAX;
use crate::message::{ChannelName, Publication, UserName};
use crate::page::{ChannelPage, ChannelRange};
use crate::settings::Settings;

/// A user's muted types, sorted; shared by the shards.
pub type Mutes = Arc<[Arc<str>]>;

/// One thing for a shard to do.
#[derive(Debug)]
pub enum Mail {
    /// Deliver to the sessions of this shard, and report how many were reached.
    Publish {
        /// The message.
        publication: Arc<Publication>,
        /// Where the count goes.
        report: Option<Report>,
    },
    /// To a user's home shard: this session wants to be one of the user's.
    SignIn {
        /// The user.
        user: UserName,
        /// The session.
        session: SessionRef,
    },
    /// From a user's home shard: the session is registered.
    SignedIn {
        /// The session.
        conn: ConnId,
        /// The user's muted types.
        mutes: Option<Mutes>,
    },
    /// To a user's home shard: the session is gone.
    SignOut {
        /// The user.
        user: UserName,
        /// The session.
        session: SessionRef,
    },
    /// From a user's home shard to all: the user's muted types changed.
    Muted {
        /// The user.
        user: UserName,
        /// All of them.
        mutes: Mutes,
    },
    /// Close a session.
    Close {
        /// Which; nothing happens when it is gone.
        conn: ConnId,
        /// Why.
        reason: CloseReason,
    },
    /// Another shard, or the API, asks.
    Ask {
        /// What.
        question: Question,
        /// Where the answer goes.
        report: Report,
    },
    /// One shard's part of an answer.
    Answer {
        /// What [`Report::ticket`] named.
        ticket: u64,
        /// The part.
        answer: Answer,
    },
    /// What the application decided about a handshake or a `hello`.
    Verdict {
        /// The connection that waits for it.
        conn: ConnId,
        /// The decision.
        verdict: Verdict,
    },
    /// The application's answer to an `ask`.
    Reply {
        /// The session that asked.
        conn: ConnId,
        /// The `id` of its frame, as JSON text; empty when it gave none.
        id: Box<str>,
        /// The payload, or why not.
        outcome: Result<Box<RawValue>, Refusal>,
    },
    /// A whole frame for one session, from the embedding application or a job.
    Push {
        /// The session.
        conn: ConnId,
        /// The frame, encoded.
        frame: Bytes,
    },
    /// The response to an API request whose answer took a while.
    Respond {
        /// The API connection.
        conn: ConnId,
        /// The response.
        response: Response,
    },
    /// New settings for everything that comes from now on.
    Settings(Arc<Settings>),
    /// Close every session, spread over a time, with 1001.
    Drain {
        /// The time, in ms.
        over_ms: u64,
    },
}

/// Where a shard's part of an answer goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Report {
    /// The shard that collects the parts.
    pub shard: ShardId,
    /// Its name for the question.
    pub ticket: u64,
}

/// What can be asked of shards.
#[derive(Clone, Debug)]
pub enum Question {
    /// The user's sessions.
    User(UserName),
    /// Close the user's sessions; answered by how many. Only the user's home has any to close.
    Kick(UserName),
    /// How many sessions and users there are.
    Online,
    /// The first channels of a range, and how many subscribers each has.
    Channels(ChannelRange),
    /// A channel's subscribers.
    Channel {
        /// Which.
        channel: ChannelName,
        /// Whether to list the users.
        members: bool,
    },
    /// The user's muted types. For the user's home shard.
    Mutes(UserName),
    /// Change the user's muted types; answered by the new ones. For the user's home shard.
    ChangeMutes {
        /// The user.
        user: UserName,
        /// How.
        change: MuteChange,
    },
    /// All counters and gauges.
    Counters,
}

/// A change of a user's muted types.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MuteChange {
    /// Add these.
    Add(Vec<Arc<str>>),
    /// Remove these.
    Remove(Vec<Arc<str>>),
    /// Have exactly these.
    Replace(Vec<Arc<str>>),
}

/// One shard's part of an answer, or all parts merged.
#[derive(Clone, Debug)]
pub enum Answer {
    /// To a publication: sessions it was queued for.
    Delivered(u64),
    /// To [`Question::User`].
    Sessions(Vec<SessionInfo>),
    /// To [`Question::Kick`]: how many sessions.
    Kicked(u64),
    /// To [`Question::Channels`].
    Channels(ChannelPage),
    /// To [`Question::Online`].
    Online {
        /// Sessions open.
        sessions: u64,
        /// Distinct users.
        users: u64,
    },
    /// To [`Question::Channel`].
    Channel {
        /// Which.
        channel: ChannelName,
        /// Sessions subscribed.
        subscribers: u64,
        /// Their users, at most [`MEMBERS_MAX`]; empty unless asked for. Each once, when all parts are merged.
        users: Vec<UserName>,
    },
    /// To [`Question::Mutes`] and [`Question::ChangeMutes`].
    Mutes(Mutes),
    /// To [`Question::Counters`].
    Counters(Box<Counters>),
    /// To any: no, and why.
    Refused(Refusal),
}

/// A session as the API shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionInfo {
    /// Where it lives.
    pub session: SessionRef,
    /// When it opened, in ms since 1970.
    pub since_unix_ms: u64,
    /// The client's address.
    pub remote: IpAddr,
}

/// What the application says to a client that wants in.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// Come in.
    Accept(Identity),
    /// No. Before the upgrade the status is the response's; after `hello` it ends in 4003.
    Refuse {
        /// HTTP status, 400–599.
        status: u16,
        /// For the person who reads it.
        message: Box<str>,
    },
}

/// Who a session is.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// The user; none: an anonymous session.
    pub user: Option<UserName>,
    /// A JSON object the application attached.
    pub attributes: Option<Box<RawValue>>,
    /// Channels to subscribe at once, whatever the rules say.
    pub channels: Vec<ChannelName>,
    /// When the token runs out, in ms since 1970.
    pub expires_unix_ms: Option<u64>,
    /// Whether the session must say `hello` before the sign-in time-out.
    pub must_sign_in: bool,
}

impl Answer {
    /// Adds another shard's part.
    pub fn merge(&mut self, part: Self) {
        match (self, part) {
            (Self::Delivered(sum), Self::Delivered(more)) | (Self::Kicked(sum), Self::Kicked(more)) => *sum += more,
            (Self::Sessions(all), Self::Sessions(more)) => all.extend(more),
            (Self::Channels(page), Self::Channels(part)) => page.merge(part),
            (Self::Online { sessions, users }, Self::Online { sessions: more, users: more_users }) => {
                *sessions += more;
                *users += more_users;
            }
            (Self::Channel { subscribers, users, .. }, Self::Channel { subscribers: more, users: more_users, .. }) => {
                *subscribers += more;
                users.extend(more_users);
            }
            (Self::Counters(all), Self::Counters(more)) => all.merge(&more),
            (whole, part @ Self::Refused(_)) => *whole = part,
            (Self::Refused(_) | Self::Mutes(_), _) => {}
            (whole, part) => debug_assert!(false, "parts of different answers: {whole:?} and {part:?}"),
        }
    }

    /// Brings a merged answer into the order people see it in, each thing once.
    pub fn settle(&mut self) {
        match self {
            Self::Sessions(sessions) => sessions.sort_by_key(|info| info.since_unix_ms),
            Self::Channels(page) => page.settle(),
            Self::Channel { users, .. } => {
                users.sort();
                users.dedup();
                users.truncate(MEMBERS_MAX);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_named_once_and_not_without_bound() {
        let users = |names: std::ops::Range<usize>| names.filter_map(|n| UserName::parse(&n.to_string())).collect();
        let channel = ChannelName::parse("a").expect("valid");
        let part = |users| Answer::Channel { channel: channel.clone(), subscribers: 900, users };
        let mut whole = part(users(0..900));
        whole.merge(part(users(300..1_200)));
        whole.settle();
        let Answer::Channel { subscribers, users, .. } = whole else { panic!("still a channel") };
        assert_eq!((subscribers, users.len()), (1_800, MEMBERS_MAX));
        assert!(users.is_sorted());
    }

    #[test]
    fn a_refusal_wins_over_every_part() {
        let mut whole = Answer::Delivered(3);
        whole.merge(Answer::Refused(Refusal::new(crate::error::ErrorCode::Unavailable, "full")));
        whole.merge(Answer::Delivered(3));
        assert!(matches!(whole, Answer::Refused(_)));
    }
}
