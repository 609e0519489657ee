//! The engine as its users meet it: a real process, real sockets, one module a topic.

// Tests may unwrap; docs/TESTING.md says what each module proves.
#![allow(clippy::unwrap_used)]

mod api;
mod bad_input;
mod cli;
mod clients;
mod examples;
mod handshake;
mod harness;
mod jobs;
mod limits;
mod load;
mod metrics;
mod native;
mod production;
mod proxy;
mod quickstart;
mod schedules;
mod slow;
mod start;
mod stop;
mod support;
mod tokens;
mod users;
mod webhooks;
mod windows;
