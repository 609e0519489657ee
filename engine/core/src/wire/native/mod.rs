//! The native protocol: JSON text frames, one object each, told apart by `op`.
//!
//! [`parse`] turns a client's text into a [`Command`]; the functions of [`reply`] append what the engine answers.
//! Neither knows of sessions, frame headers or sockets. Pushes are encoded by [`crate::message::Publication`].

mod command;
mod field;
pub mod reply;

pub use command::{Command, Incoming, ReplyId, parse};
