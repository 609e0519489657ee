//! The tool against a server that is bad on purpose: it must say exactly what was done to it.
//!
//! | module | owns |
//! |---|---|
//! | `script`, `book` | what the server does wrong, what it did, and what must be reported |
//! | `server`, `hub`, `session`, `wire` | the server |
//! | `lab` | a run against it, and the comparison |
//! | `messages`, `endings`, `welcomes`, `publications`, `program` | a fault each |
//! | `chance` | many faults at once, by chance |
//! | `pauses` | servers that pause: the corrected latency |
//! | `limits` | a tool that is too slow for what it was asked |

#![allow(clippy::unwrap_used)]

mod book;
mod chance;
mod endings;
mod hub;
mod lab;
mod limits;
mod messages;
mod pauses;
mod program;
mod publications;
mod script;
mod server;
mod session;
mod welcomes;
mod wire;
