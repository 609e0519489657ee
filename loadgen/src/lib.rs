//! `epush-loadgen`: measures any WebSocket push server, shows what it does while it runs, and cannot be fooled.
//!
//! A [`scenario`] becomes a [`plan`]; the run ([`run`]) gives [`talk::Order`]s to workers ([`worker`]), each a thread with very many
//! sans-IO clients ([`client`]), and lets publishers ([`publisher`]) publish on schedule; what they report becomes an [`outcome`],
//! which is shown ([`screen`]) and written ([`report`]).

#![cfg_attr(test, allow(clippy::unwrap_used))]

// Results made up for tests name the crate from outside, so that `tests` can use them too.
#[cfg(test)]
extern crate self as epush_loadgen;

pub mod account;
pub mod client;
pub mod clock;
pub mod dialect;
pub mod error;
pub mod hist;
pub mod ledger;
pub mod outcome;
pub mod plan;
pub mod publisher;
pub mod recorder;
pub mod report;
pub mod run;
pub mod sample;
pub mod scenario;
pub mod schedule;
pub mod screen;
pub mod stamp;
pub mod talk;
pub mod worker;
