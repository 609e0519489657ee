//! The sub-reactors: one thread each, with a poll, the sockets of its connections, and a [`Shard`] that decides
//! everything.
//!
//! | file | what |
//! |---|---|
//! | `run` | the loop: when things happen; its phases of many lines are in `run/` |
//! | `effects`, `control` | what the shard and the control API ask for, done |
//! | `outside` | authentication, webhooks, the embedder's code |
//! | `sockets`, `socket`, `token` | mio's side of a connection |
//! | `busy` | how much of its time a reactor works |
//!
//! [`Shard`]: epush_core::shard::Shard

mod busy;
mod control;
mod effects;
mod outside;
mod run;
mod socket;
mod sockets;
mod token;

use std::net::SocketAddr;

use bytes::Bytes;
use epush_core::id::ConnId;
use epush_core::mail::Mail;
use epush_core::shard::Door;
use mio::net::TcpStream;

use crate::intake::Permit;
use crate::relay::ScheduleNews;
use crate::webhook::Fetched;

pub use outside::Outside;
pub use run::{Reactor, ReactorSetup};
pub use token::WAKE;

/// What crosses threads into a reactor.
#[derive(Debug)]
pub enum Post {
    /// A socket to look after.
    Adopt {
        /// The socket.
        stream: TcpStream,
        /// Its other end.
        peer: SocketAddr,
        /// The listener it came through.
        door: Door,
    },
    /// Something for the shard.
    Mail(Mail),
    /// A frame for one session, from the application.
    Push {
        /// The session.
        conn: ConnId,
        /// The frame, encoded.
        frame: Bytes,
        /// Its bytes in the intake, given back when the shard has taken it.
        permit: Permit,
    },
    /// A document for a schedule.
    Fetched(Fetched),
    /// About the cluster's schedules, for the control API.
    Schedules(ScheduleNews),
    /// Something that changes while the node runs.
    Change(Change),
    /// End, after this turn.
    Stop,
}

/// A reload's part for what is not in the shards' settings.
#[derive(Debug)]
pub enum Change {
    /// Other keys for the control API.
    ApiKeys(Vec<Box<str>>),
    /// Whether `/readyz` says 200 while Redis is away.
    ReadyWithoutRedis(bool),
    /// A drain is about to begin.
    Draining,
}
