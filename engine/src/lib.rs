//! A push engine: very many WebSocket clients, pushed to at once.
//!
//! This crate is the program `epush` and the library to embed it with. An application builds an [`Engine`], gives it a
//! [`Handler`] that is told of sessions and decides about them, and publishes with a
//! [`Pusher`] from any thread:
//!
//! ```no_run
//! use epush::{Handler, HandshakeRequest, Message, Reply, Session, Verdict};
//!
//! struct Shop;
//!
//! impl Handler for Shop {
//!     fn on_handshake(&self, request: &HandshakeRequest<'_>) -> Verdict {
//!         match request.query("key") {
//!             Some("secret") => request.accept(),
//!             _ => request.refuse(401, "a key is needed"),
//!         }
//!     }
//!
//!     fn on_message(&self, _: &Session, message: Message<'_>, reply: Reply) -> Option<Reply> {
//!         match message {
//!             Message::Ask { kind: "order.status", .. } => {
//!                 let _ = reply.send(&"shipped");
//!                 None
//!             }
//!             _ => Some(reply),
//!         }
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = epush::Engine::builder().handler(Shop).start()?;
//! engine.pusher().to_user("42").kind("order.paid").json(&7)?.push()?;
//! # Ok(()) }
//! ```
//!
//! # The map
//!
//! | module | owns |
//! |---|---|
//! | [`engine`] | a running node: starting, reloading, draining, stopping |
//! | [`handler`], [`pusher`], [`jobs`] | what an embedding application sees |
//! | [`config`], [`logging`] | the configuration and the log |
//! | `acceptor`, `admission`, `placement` | the main reactor: who may come in, and whose shard it is |
//! | `reactor` | the sub-reactors: a poll and a [`Shard`](epush_core::shard::Shard) each |
//! | `mailbox`, `intake`, `broker` | what crosses threads, how much of it, and how a publication spreads |
//! | [`auth`], [`webhook`] | who a client is; questions to the application over HTTP |
//! | [`api`], [`metrics`], [`gauges`] | the control API and its numbers |
//! | `relay` | the thread pair that joins nodes through Redis |
//! | `node`, `clock`, `process`, `sys` | what all threads share; what only the system knows |
//!
//! Everything that can be wrong about a protocol, a queue, a timer or a route is in [`epush_core`].

mod acceptor;
mod admission;
pub mod api;
pub mod auth;
mod broker;
mod clock;
pub mod config;
pub mod engine;
pub mod gauges;
pub mod handler;
mod intake;
pub mod jobs;
pub mod logging;
mod mailbox;
pub mod metrics;
mod node;
mod placement;
mod process;
pub mod pusher;
mod reactor;
mod relay;
mod sys;
#[cfg(test)]
mod testing;
pub mod webhook;

pub use config::Config;
pub use engine::Engine;
pub use epush_core::close::CloseReason;
pub use epush_core::error::ErrorCode;
pub use epush_core::mail::{Identity, Verdict};
pub use epush_core::message::{ChannelName, Target, UserName};
pub use handler::{Handler, HandshakeRequest, Message, Reply, Session};
pub use pusher::{PushError, Pusher};

/// The programs in the README are compiled with the documentation's own.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
