//! Many nodes on one Redis, as their users meet them: real processes, real servers, one module a topic.

// Tests may unwrap; docs/TESTING.md says what each module proves.
#![allow(clippy::unwrap_used)]

mod accounting;
mod ask;
mod big;
mod books;
mod channels;
mod faults;
mod gateway;
mod harness;
mod mutes;
mod operations;
mod order;
mod presence;
mod push;
mod redis_forms;
mod schedules;
mod sessions;
#[path = "../all/support/mod.rs"]
mod support;
mod versions;
