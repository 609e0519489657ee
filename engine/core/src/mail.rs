//! What reaches a shard from other threads, and the questions shards ask each other.
//!
//! Knows nothing of how it crosses threads.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::batch::Stream;
use crate::close::CloseReason;
use crate::counters::Counters;
use crate::error::Refusal;
use crate::http::Response;
use crate::id::{ConnId, SessionId, SessionRef, ShardId};
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
    /// From other nodes, in the order it arrived; the shards share it.
    Relayed(Arc<[Relayed]>),
    /// The cluster's messages to this channel reach the shard from now on, or cannot for now because Redis is away.
    Joined(ChannelName),
    /// To a user's home shard: this session wants to be one of the user's.
    SignIn {
        /// The user.
        user: UserName,
        /// The session.
        session: SessionRef,
        /// When it opened, in ms since 1970.
        since_unix_ms: u64,
        /// The client's address.
        remote: IpAddr,
    },
    /// From a user's home shard, or in a cluster from the relay: the session is registered.
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
    /// To all shards, from a user's home, or in a cluster from the relay: the user's muted types changed.
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

/// One thing another node sent.
#[derive(Debug)]
pub enum Relayed {
    /// A message.
    Publication(Arc<Publication>),
    /// Messages of a stream that will not come.
    Lost {
        /// Which stream.
        stream: Stream,
        /// How many, at least 1.
        count: u64,
    },
}

/// What a shard of a clustered node asks of the cluster. A node that is alone never sees one.
#[derive(Debug)]
pub enum ClusterCall {
    /// From a user's home: a session signed in; [`Mail::SignedIn`] goes to its shard when the cluster knows it.
    SignIn {
        /// The user.
        user: UserName,
        /// The session.
        session: SessionRef,
        /// When, in ms since 1970.
        since_unix_ms: u64,
        /// The client's address.
        remote: IpAddr,
    },
    /// From a user's home: the session is gone. Once for every sign-in, and after it.
    SignOut {
        /// The user.
        user: UserName,
        /// The session.
        session: SessionRef,
    },
    /// The channel has its first subscriber in the shard; one [`Mail::Joined`] answers.
    Join(ChannelName),
    /// The channel lost its last subscriber in the shard. Comes after the answer to its join.
    Leave(ChannelName),
    /// From a user's home: [`Question::Mutes`] and [`Question::ChangeMutes`], which the cluster answers in its place.
    Ask {
        /// What.
        question: Question,
        /// Where the answer goes.
        report: Report,
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
    /// To a publication.
    Delivered {
        /// Sessions of this node it was queued for.
        sessions: u64,
        /// Whether the cluster took it.
        relayed: bool,
    },
    /// To [`Question::User`].
    Sessions(Vec<SessionInfo>),
    /// To [`Question::Kick`]: how many sessions.
    Kicked(u64),
    /// To [`Question::Channels`].
    Channels(ChannelPage),
    /// To [`Question::Online`].
    Online {
        /// Sessions open on this node.
        sessions: u64,
        /// Distinct users of this node.
        users: u64,
        /// The whole cluster; none: this node is all of it.
        cluster: Option<ClusterCounts>,
    },
    /// To [`Question::Channel`].
    Channel {
        /// Which.
        channel: ChannelName,
        /// Sessions of this node subscribed.
        subscribers: u64,
        /// Sessions of other nodes subscribed.
        elsewhere: u64,
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

/// How many are online in a cluster.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ClusterCounts {
    /// Sessions open.
    pub sessions: u64,
    /// Distinct users.
    pub users: u64,
    /// Nodes.
    pub nodes: u64,
}

/// A session as the API shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionInfo {
    /// The node's name.
    pub node: Arc<str>,
    /// Its public name.
    pub session: SessionId,
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
            (Self::Delivered { sessions, relayed }, Self::Delivered { sessions: more, relayed: taken }) => {
                *sessions += more;
                *relayed |= taken;
            }
            (Self::Kicked(sum), Self::Kicked(more)) => *sum += more,
            (Self::Sessions(all), Self::Sessions(more)) => all.extend(more),
            (Self::Channels(page), Self::Channels(part)) => page.merge(part),
            (
                Self::Online { sessions, users, cluster },
                Self::Online { sessions: more, users: more_users, cluster: counted },
            ) => {
                *sessions += more;
                *users += more_users;
                *cluster = cluster.or(counted);
            }
            (
                Self::Channel { subscribers, elsewhere, users, .. },
                Self::Channel { subscribers: here, elsewhere: there, users: more, .. },
            ) => {
                *subscribers = subscribers.saturating_add(here);
                *elsewhere = elsewhere.saturating_add(there);
                users.extend(more);
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
            // The cluster's counts are older than this node's own.
            Self::Online { sessions, users, cluster: Some(cluster) } => {
                cluster.sessions = cluster.sessions.max(*sessions);
                cluster.users = cluster.users.max(*users);
                cluster.nodes = cluster.nodes.max(1);
            }
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
        let part = |users| Answer::Channel { channel: channel.clone(), subscribers: 900, elsewhere: 0, users };
        let mut whole = part(users(0..900));
        whole.merge(part(users(300..1_200)));
        whole.settle();
        let Answer::Channel { subscribers, users, .. } = whole else { panic!("still a channel") };
        assert_eq!((subscribers, users.len()), (1_800, MEMBERS_MAX));
        assert!(users.is_sorted());
    }

    #[test]
    fn a_refusal_wins_over_every_part() {
        let delivered = || Answer::Delivered { sessions: 3, relayed: false };
        let mut whole = delivered();
        whole.merge(Answer::Refused(Refusal::new(crate::error::ErrorCode::Unavailable, "full")));
        whole.merge(delivered());
        assert!(matches!(whole, Answer::Refused(_)));
    }

    #[test]
    fn a_cluster_has_never_fewer_than_this_node() {
        let part = |sessions, users, cluster| Answer::Online { sessions, users, cluster };
        let old = ClusterCounts { sessions: 4, users: 9, nodes: 3 };
        let mut whole = part(3, 2, None);
        whole.merge(part(0, 0, Some(old)));
        whole.merge(part(4, 3, None));
        whole.settle();
        let Answer::Online { sessions, users, cluster: Some(cluster) } = whole else { panic!("still counts") };
        assert_eq!((sessions, users), (7, 5));
        assert_eq!(cluster, ClusterCounts { sessions: 7, users: 9, nodes: 3 });
    }
}
