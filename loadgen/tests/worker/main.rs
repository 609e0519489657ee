//! A worker against real servers on real sockets, one module a topic: the deliberately bad ones live here, and the engine.

// Tests may unwrap.
#![allow(clippy::unwrap_used)]

mod churning;
mod connecting;
mod engine;
mod peer;
mod reading;
mod rig;
mod sending;
mod tls;
