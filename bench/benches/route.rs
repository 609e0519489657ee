//! What it costs to find receivers, and to hand a publication over: `cargo bench -p epush-bench --bench route`.

use std::hint::black_box;
use std::thread;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use epush::config::AuthMode;
use epush::{Config, Engine, PushError};
use epush_core::hub::Hub;
use epush_core::id::{ConnId, SessionRef, ShardId};
use epush_core::message::{ChannelName, UserName};
use epush_core::registry::Registry;
use serde_json::value::RawValue;

/// Names that the one looked for is among, and members of a channel: a dialogue to a large node.
const COUNTS: [u32; 6] = [1, 10, 100, 1_000, 10_000, 100_000];

/// Pushes handed over before the publisher makes way: what a busy application does between two of its own events.
const HANDOVERS: usize = 64;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    routes(&mut criterion);
    members(&mut criterion);
    joins(&mut criterion);
    sign_ins(&mut criterion);
    hand_overs(&mut criterion);
    criterion.final_summary();
}

fn channel(number: u32) -> ChannelName {
    ChannelName::parse(&format!("room.{number}")).expect("valid")
}

fn user(number: u32) -> UserName {
    UserName::parse(&format!("user-{number}")).expect("valid")
}

/// From a name to its members, every name in turn: the memory of the others is in the way.
fn routes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("route");
    for names in COUNTS {
        let mut hub = Hub::default();
        let channels: Vec<_> = (0..names).map(channel).collect();
        let users: Vec<_> = (0..names).map(user).collect();
        for session in 0..names {
            hub.join(&channels[session as usize], session, None);
            hub.sign_in(&users[session as usize], session);
        }
        let mut at = 0;
        group.bench_function(BenchmarkId::new("channel", names), |bench| {
            bench.iter(|| {
                at = (at + 7_919) % channels.len();
                hub.find_channel(black_box(&channels[at])).and_then(|slot| hub.channel(slot)).map(|it| it.members[0])
            });
        });
        group.bench_function(BenchmarkId::new("user", names), |bench| {
            bench.iter(|| {
                at = (at + 7_919) % users.len();
                hub.find_user(black_box(&users[at])).and_then(|slot| hub.user(slot)).map(|it| it.sessions[0])
            });
        });
    }
    group.finish();
}

/// A hub with one channel of so many members.
fn crowded(name: &ChannelName, members: u32) -> Hub {
    let mut hub = Hub::default();
    for session in 0..members {
        hub.join(name, session, None);
    }
    hub
}

/// From a name to the last of its members: each is looked at, as a fan-out does.
fn members(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("route to members");
    let name = channel(7);
    for members in COUNTS {
        let hub = crowded(&name, members);
        group.throughput(Throughput::Elements(members.into()));
        group.bench_function(BenchmarkId::from_parameter(members), |bench| {
            bench.iter(|| {
                let slot = hub.find_channel(black_box(&name)).expect("it has members");
                let members = &hub.channel(slot).expect("found").members;
                members.iter().fold(0, |sum, session| black_box(*session) ^ sum)
            });
        });
    }
    group.finish();
}

/// A member more and a member less: of a channel that has others, and of one made and forgotten for it.
fn joins(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hub");
    let name = channel(7);
    for members in COUNTS {
        let mut hub = crowded(&name, members);
        group.bench_function(BenchmarkId::new("join and leave beside others", members), |bench| {
            bench.iter(|| {
                let subscription = hub.join(black_box(&name), members, None);
                hub.leave(subscription)
            });
        });
    }
    let mut hub = Hub::default();
    group.bench_function("first to join, last to leave", |bench| {
        bench.iter(|| {
            let subscription = hub.join(black_box(&name), 1, None);
            hub.leave(subscription)
        });
    });
    group.finish();
}

fn sign_ins(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("registry");
    for names in COUNTS {
        let mut registry = Registry::default();
        let session = |index| SessionRef { shard: ShardId(0), conn: ConnId { index, generation: 0 } };
        (0..names).for_each(|number| drop(registry.sign_in(&user(number), session(number), 0)));
        let newcomer = user(names);
        group.bench_function(BenchmarkId::new("sign in and out beside others", names), |bench| {
            bench.iter(|| {
                registry.sign_in(black_box(&newcomer), session(names), 0);
                registry.sign_out(&newcomer, session(names));
            });
        });
    }
    group.finish();
}

/// A push from the application until it lies in the mailbox of every reactor, encoding included; nobody listens.
fn hand_overs(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hand over");
    group.throughput(Throughput::Elements(HANDOVERS as u64));
    let data = RawValue::from_string(format!("\"{}\"", "x".repeat(126))).expect("JSON");
    for reactors in [1, 2, 4] {
        let mut config = Config::default();
        config.server.listen.set_port(0);
        config.server.api.set_port(0);
        config.server.reactors = reactors;
        config.auth.mode = AuthMode::None;
        let engine = Engine::builder().config(config).start().expect("two free ports");
        let pusher = engine.pusher();
        group.bench_function(BenchmarkId::new("mailboxes", reactors), |bench| {
            bench.iter_batched(
                || vec![data.clone(); HANDOVERS],
                |payloads| {
                    for data in payloads {
                        while let Err(PushError::Full) = pusher.to_channel("news").data(data.clone()).push() {
                            thread::yield_now();
                        }
                    }
                },
                BatchSize::SmallInput,
            );
        });
        engine.stop();
    }
    group.finish();
}
