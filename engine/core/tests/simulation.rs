//! Seeded simulation: a node of one to three shards in virtual time, with clients that speak real bytes and behave
//! badly.
//!
//! Shards are wired as the engine wires them (`simulation/world.rs`): turns in the reactor's phases, mail between shards,
//! one encoding per publication, tickets for questions. Sockets (`simulation/link.rs`) have small buffers, take part of
//! a write, and only say once that they became readable or writable, so that a lost wake-up shows as a client that
//! waits for ever. Clients (`simulation/native.rs`, `api.rs`, `odd.rs`) send commands in frames cut anywhere, bursts,
//! garbage; they read slowly, reset, half-close. The application (`simulation/app.rs`) answers after random delays, and
//! names of dead connections are used on purpose.
//!
//! In the second test the node is one of a cluster (`simulation/cluster.rs`): the relay signs sessions in, joins channels
//! and answers after delays, closes sessions before and after they are signed in, brings other nodes' messages, and tells
//! of those it lost.
//!
//! After every turn the shard's invariants are asserted. At quiet moments every client's accounts must be settled
//! (`simulation/ledger.rs`): for each stream received + announced = taken in by its shard since it subscribed, in that
//! order; every question answered exactly once. When everybody left, nothing may remain.
//!
//! A failure prints its seed and step. `EPUSH_SEED=<seed> cargo test -p epush-core --test simulation` replays one;
//! `EPUSH_SEEDS=<count>` runs more of them than the ordinary test does.

#[path = "simulation/api.rs"]
mod api;
#[path = "simulation/app.rs"]
mod app;
#[path = "simulation/cluster.rs"]
mod cluster;
#[path = "simulation/ledger.rs"]
mod ledger;
#[path = "simulation/link.rs"]
mod link;
#[path = "simulation/native.rs"]
mod native;
#[path = "simulation/odd.rs"]
mod odd;
#[path = "simulation/peer.rs"]
mod peer;
#[path = "simulation/random.rs"]
mod random;
#[path = "simulation/scenario.rs"]
mod scenario;
#[path = "simulation/wire.rs"]
mod wire;
#[path = "simulation/world.rs"]
mod world;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Seeds of the ordinary test.
const SEEDS: u64 = 250;

#[test]
fn a_node_keeps_its_promises_whatever_its_clients_do() {
    run(false);
}

#[test]
fn a_node_in_a_cluster_keeps_them_whatever_the_relay_delays_and_loses() {
    run(true);
}

fn run(clustered: bool) {
    let variable = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let seeds = match variable("EPUSH_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..variable("EPUSH_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        let step = Cell::new(0);
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| scenario::run(seed, clustered, &step))) {
            println!("EPUSH_SEED={seed} failed in step {}", step.get());
            resume_unwind(panic);
        }
    }
}
