//! What the other threads ask of the relay pair, and what the pair asks of each other.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use crossbeam_channel::Sender;
use epush_core::error::Refusal;
use epush_core::id::{ConnId, SessionRef, ShardId};
use epush_core::mail::{Answer, Mutes, Question, Report};
use epush_core::message::{ChannelName, Target, UserName};
use epush_core::relay::{Head, NodeId};

use crate::api::NodeState;
use crate::intake::Permit;

/// To the sending thread.
#[derive(Debug)]
pub enum Order {
    /// Send this to the other nodes.
    Publish {
        /// To whom.
        to: Target,
        /// The message type.
        kind: Option<Arc<str>>,
        /// One frame per user or channel of `to` in its order, one for [`Target::All`].
        frames: Vec<Bytes>,
        /// Its bytes in the relay's queue, given back when Redis has it.
        permit: Permit,
    },
    /// A publication that found the queue full: the others are to be told that it is lost.
    Lose {
        /// To whom it was.
        to: Target,
        /// What the note of it weighs, given back when it is noted.
        permit: Permit,
    },
    /// See [`epush_core::mail::ClusterCall::SignIn`].
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
    /// See [`epush_core::mail::ClusterCall::SignOut`].
    SignOut {
        /// The user.
        user: UserName,
        /// The session.
        session: SessionRef,
    },
    /// [`Question::User`], [`Question::Kick`]: other nodes' part. [`Question::Mutes`], [`Question::ChangeMutes`]: whole.
    Ask {
        /// What.
        question: Question,
        /// Where the answer goes.
        report: Report,
    },
    /// From the receiving thread: put a question to the nodes; comes back as [`Arrival::Asked`].
    Query {
        /// Its name.
        ticket: u64,
        /// [`Question::Channels`] (to every node) or [`Question::Channel`] (to those with subscribers).
        question: Question,
    },
    /// From the receiving thread: the answer to another node's question.
    Reply {
        /// Who asked.
        to: NodeId,
        /// The asker's name for it.
        ticket: u64,
        /// This node's part.
        answer: Answer,
    },
    /// About the cluster's schedules; the answer is [`ScheduleNews`].
    Schedule(ScheduleOrder),
    /// From the receiving thread: another node changed the cluster's schedules; load them.
    SchedulesChanged,
    /// From the receiving thread: another node changed the muted types of a user; the shards have been told.
    Muted {
        /// The user.
        user: UserName,
        /// All of them.
        mutes: Mutes,
    },
    /// Other limits from now on.
    Limits {
        /// Sessions a user may have in the cluster; 0: any number.
        per_user: usize,
        /// Types a user may mute.
        muted_types_max: usize,
    },
    /// The node is so far now: tell the others at once.
    State {
        /// How far.
        state: NodeState,
        /// Dropped when they can see it, or Redis is away.
        told: Sender<()>,
    },
    /// From the receiving thread: its connection was lost, and stands again. Check every user's heads.
    Recheck,
    /// Leave the cluster and end.
    Stop,
}

/// To the receiving thread.
#[derive(Debug)]
pub enum Arrival {
    /// A shard's first subscriber; answered by [`epush_core::mail::Mail::Joined`].
    Join {
        /// Whose.
        shard: ShardId,
        /// Of this channel.
        channel: ChannelName,
    },
    /// A shard's last subscriber went.
    Leave {
        /// Whose.
        shard: ShardId,
        /// Of this channel.
        channel: ChannelName,
    },
    /// [`Question::Channels`], [`Question::Channel`]: gather the other nodes' part.
    Ask {
        /// What.
        question: Question,
        /// Where the answer goes.
        report: Report,
    },
    /// A shard's part of the answer to another node's question.
    Answer {
        /// What the report named.
        ticket: u64,
        /// The part.
        answer: Answer,
    },
    /// From the sending thread: a query is out, and so many nodes got it, this one too; none: it could not be sent.
    Asked {
        /// What [`Order::Query`] named.
        ticket: u64,
        /// How many.
        receivers: Option<u64>,
    },
    /// From the sending thread: the directory has the session. Listen to its user, then tell its shard.
    SignedIn {
        /// The user.
        user: UserName,
        /// What was sent to the user before; none: Redis could not be asked, and [`Arrival::Heads`] will tell.
        heads: Option<Vec<Head>>,
        /// The session.
        session: SessionRef,
        /// The user's muted types.
        mutes: Option<Mutes>,
        /// When these were read, in ms since 1970 by Redis's clock; 0: they are what was last heard of.
        at_unix_ms: u64,
    },
    /// From the sending thread: a user's muted types have changed. Tell the shards, unless they know a later change.
    Muted {
        /// The user.
        user: UserName,
        /// All of them.
        mutes: Mutes,
        /// When that was, by Redis's clock.
        at_unix_ms: u64,
    },
    /// From the sending thread: the answer to a question, which may rely on what was told before it.
    Answered {
        /// Where it goes.
        report: Report,
        /// The answer.
        answer: Answer,
    },
    /// From the sending thread: what was sent to a user by now; everything after is still to come.
    Heads {
        /// The user.
        user: UserName,
        /// By whom.
        heads: Vec<Head>,
        /// Compare when [`Body::Marker`] with this ticket has arrived: everything sent before the heads were read comes
        /// before it.
        ///
        /// [`Body::Marker`]: epush_core::relay::Body::Marker
        after: u64,
    },
    /// From the sending thread: the user's last session on this node went.
    SignedOut(UserName),
    /// From the sending thread: Redis is elsewhere, or another; connect anew.
    Reconnect,
    /// End.
    Stop,
}

/// What the API asks about the cluster's schedules.
#[derive(Debug)]
pub enum ScheduleOrder {
    /// Keep this schedule in place of the one with its name.
    Put {
        /// Who waits.
        conn: ConnId,
        /// For what.
        tag: u64,
        /// The name.
        name: Arc<str>,
        /// The body of the request.
        plan: Box<str>,
    },
    /// Forget it.
    Remove {
        /// Who waits.
        conn: ConnId,
        /// For what.
        tag: u64,
        /// The name.
        name: Arc<str>,
    },
    /// May this node fire this tick?
    Claim {
        /// The schedule's name.
        name: Arc<str>,
        /// Which of that name.
        number: u64,
        /// Which tick, counted in intervals since its start.
        tick: u64,
    },
}

/// What the API is told about the cluster's schedules.
#[derive(Debug)]
pub enum ScheduleNews {
    /// To [`ScheduleOrder::Put`] and [`ScheduleOrder::Remove`]: whether there was one before, or why not.
    Changed {
        /// Who waits.
        conn: ConnId,
        /// For what.
        tag: u64,
        /// Whether there was one of that name.
        outcome: Result<bool, Refusal>,
    },
    /// All there are.
    All(Vec<StoredSchedule>),
    /// To [`ScheduleOrder::Claim`].
    Claimed {
        /// The schedule's name.
        name: Arc<str>,
        /// Which of that name.
        number: u64,
        /// Whether this node is to fire.
        won: bool,
        /// How often it fired before, on any node.
        fired: u64,
    },
}

/// A schedule as Redis keeps it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredSchedule {
    /// Its name.
    pub name: Arc<str>,
    /// Drawn anew whenever one of that name is put.
    pub number: u64,
    /// When its interval began, in ms since 1970 by Redis's clock.
    pub start_unix_ms: u64,
    /// The body of the request that put it.
    pub plan: Box<str>,
}
