//! One run: clients come and go for some hundred steps, then there is peace, then everybody leaves.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;

use epush_core::effect::Asker;
use epush_core::mail::Mail;
use epush_core::settings::{Audience, ChannelRule, OnSlow, SendRule, Settings};
use epush_core::shard::End;

use super::api::ApiPeer;
use super::link::Link;
use super::native::{Native, State};
use super::odd::Odd;
use super::peer::Peer;
use super::random::Random;
use super::world::World;

/// Virtual time in which everything under way must come to rest: more than the longest delay of the application.
const PEACE_STEPS: usize = 4_000;

pub fn run(seed: u64, clustered: bool, step: &Cell<usize>) {
    let mut random = Random::new(seed);
    let settings = settings(&mut random);
    let mut world = World::new(random, settings, clustered);
    let (steps, crowd) = (world.random.between(50, 400), world.random.between(2, 14));
    for number in 0..steps {
        step.set(number);
        storm(&mut world, crowd);
    }
    calm(&mut world);
    peace(&mut world);
    // Whoever is still there gets all of what is published now.
    for _ in 0..20 {
        let shard = world.random.below(world.shards.len());
        let draft = world.draft(shard);
        world.publish(shard, &draft, Asker::Nobody);
        if clustered {
            world.push_far();
        }
        world.turn(shard);
    }
    peace(&mut world);
    settle(&world);
    leave(&mut world);
}

fn settings(random: &mut Random) -> Settings {
    let mut settings = Settings {
        echo: true,
        hello: true,
        message_bytes_max: 8_192,
        body_bytes_max: 4_096,
        outbox_bytes_max: *random.pick(&[1_000, 4_000, 20_000]),
        subscriptions_max: random.between(2, 4),
        jobs_max: random.between(1, 2),
        interval_ms_min: 50,
        sessions_per_user: random.below(4),
        frames_per_second: *random.pick(&[0, 0, 0, 40]),
        ping_interval_ms: *random.pick(&[700, 25_000]),
        send: SendRule { allow: Audience::Users, types: Vec::new(), users_max: 10 },
        ..Settings::default()
    };
    let policies = [OnSlow::DropOldest, OnSlow::DropNewest, OnSlow::Latest, OnSlow::Close];
    let rule = |on_slow, batch_ms| ChannelRule {
        subscribe: Audience::Anyone,
        publish: Audience::Anyone,
        presence: Audience::Subscribers,
        on_slow,
        batch_ms,
    };
    let windows = [0, 0, 1, 20, 300];
    settings.channels.default = rule(*random.pick(&policies), *random.pick(&windows));
    settings.channels.namespaces.insert("last".into(), rule(OnSlow::Latest, *random.pick(&windows)));
    settings.channels.namespaces.insert("big".into(), rule(*random.pick(&policies), *random.pick(&windows)));
    settings.channels.on_slow_direct = *random.pick(&policies);
    settings
}

/// One step of ordinary life: somebody may come, everybody may act, the shards have turns.
fn storm(world: &mut World, crowd: usize) {
    let here = world.links.iter().filter(|link| !link.closed).count();
    if here < crowd && world.random.one_in(3) {
        connect(world);
    }
    for number in 0..world.links.len() {
        let link = &mut world.links[number];
        if link.closed || link.end.is_some() {
            continue;
        }
        let bytes = link.peer.act(&mut world.random, &mut world.ledger);
        link.outgoing.extend(bytes);
        if world.random.one_in(150) {
            leave_somehow(world, number);
        }
    }
    if world.random.one_in(4) {
        let shard = world.random.below(world.shards.len());
        for _ in 0..if world.random.one_in(30) { 200 } else { 2 } {
            let draft = world.draft(shard);
            world.publish(shard, &draft, Asker::Nobody);
        }
    }
    if world.cluster.is_some() && world.random.one_in(4) {
        world.push_far();
    }
    if world.random.one_in(15) {
        world.use_stale_names();
    }
    if world.random.one_in(100) {
        change_settings(world);
    }
    let us = *world.random.pick(&[10, 500, 5_000, 50_000, 400_000]);
    world.pass(us);
    step(world, false);
}

fn step(world: &mut World, all: bool) {
    world.network(all);
    world.post();
    for shard in 0..world.shards.len() {
        if all || !world.random.one_in(4) {
            world.turn(shard);
        }
    }
}

fn connect(world: &mut World) {
    let shard = world.random.below(world.shards.len());
    let random = &mut world.random;
    let name = format!("c{}", world.links.len());
    let peer = match random.below(10) {
        0 | 1 => Peer::Api(ApiPeer::default()),
        2 => Peer::Odd(Odd::new(random)),
        _ => {
            let mut native = Native::new(random, &world.ledger, name, shard);
            native.rated = world.settings.frames_per_second > 0;
            Peer::Native(Box::new(native))
        }
    };
    // API connections live on the first reactor.
    let shard = if matches!(peer, Peer::Api(_)) { 0 } else { shard };
    let capacity = *random.pick(&[60, 700, 5_000, 100_000]);
    let pace = *random.pick(&[3, 100, 2_000, 100_000]);
    let door = World::door(&peer);
    world.connect(shard, door, peer, capacity, pace);
}

fn leave_somehow(world: &mut World, number: usize) {
    let how = world.random.below(4);
    let link = &mut world.links[number];
    match (how, &mut link.peer) {
        (0, _) => link.reset(),
        (1, Peer::Native(native)) => {
            native.broken = true;
            link.end = Some(End::Eof);
        }
        (1, _) => link.end = Some(End::Eof),
        (2, Peer::Native(native)) => {
            let bytes = native.close(&mut world.random);
            link.outgoing.extend(bytes);
        }
        (_, Peer::Native(native)) => {
            let bytes = native.break_rules(&mut world.random);
            link.outgoing.extend(bytes);
        }
        _ => {}
    }
}

fn change_settings(world: &mut World) {
    let mut settings = Settings::clone(&world.settings);
    settings.outbox_bytes_max = *world.random.pick(&[500, 4_000, 50_000]);
    settings.subscriptions_max = world.random.between(1, 4);
    settings.channels.default.batch_ms = *world.random.pick(&[0, 5, 50]);
    world.settings = Arc::new(settings);
    for shard in 0..world.shards.len() {
        world.mail[shard].push_back(Mail::Settings(Arc::clone(&world.settings)));
        let room_to_wait = world.random.between(0, 2) > 0;
        world.shards[shard].allow_windows(room_to_wait);
    }
}

/// Nobody begins anything new, and everybody reads.
fn calm(world: &mut World) {
    for link in &mut world.links {
        match &mut link.peer {
            Peer::Native(native) => native.calm = true,
            Peer::Api(api) => {
                api.calm = true;
                if api.cut {
                    link.end.get_or_insert(End::Eof);
                }
            }
            Peer::Odd(_) => {}
        }
        link.capacity = link.capacity.max(10_000);
    }
}

/// Runs until nothing moves but time.
fn peace(world: &mut World) {
    for _ in 0..PEACE_STEPS {
        if world.is_quiet() {
            return;
        }
        let soonest = world.later.iter().map(|(at, ..)| at.saturating_sub(world.now.monotonic_us)).min();
        world.pass(soonest.unwrap_or(0).clamp(1_000, 100_000));
        step(world, true);
    }
    for (number, link) in world.links.iter().enumerate().filter(|(_, link)| !link.is_quiet()) {
        let native = if let Peer::Native(native) = &link.peer { format!("{native:?}") } else { String::new() };
        println!(
            "{number}: ready {} parked {} blocked {} shut {} closed {} end {:?} told {} inbox {} out {} arrived {} {native}",
            link.ready,
            link.parked,
            link.blocked,
            link.shut,
            link.closed,
            link.end,
            link.end_told,
            link.inbox.len(),
            link.outgoing.len(),
            link.arrived.len()
        );
    }
    panic!("it never comes to rest: {} later, {:?} mail", world.later.len(), world.mail);
}

/// The accounts of everybody who is there.
fn settle(world: &World) {
    let mut sessions: HashMap<&str, usize> = HashMap::new();
    for link in world.links.iter().filter(|link| !link.closed && link.end.is_none()) {
        assert!(!link.parked, "everything sent is read");
        match &link.peer {
            Peer::Native(native) => {
                assert_ne!(native.state, State::Connecting, "{} waits for the answer to its handshake", native.name);
                if native.is_live() {
                    native.settle(&world.ledger);
                }
            }
            Peer::Api(api) => api.settle(),
            Peer::Odd(odd) => odd.settle(),
        }
    }
    for user in world.live_users() {
        *sessions.entry(user).or_default() += 1;
    }
    let most = world.settings.sessions_per_user;
    assert!(most == 0 || sessions.values().all(|count| *count <= most), "{sessions:?}");
    let users: usize = world.shards.iter().map(|shard| shard.gauges().users).sum();
    let half_gone = |link: &&Link| !link.closed && matches!(&link.peer, Peer::Native(native) if !native.is_live());
    let doubtful = world.links.iter().filter(half_gone).count();
    let expected = sessions.len()..=sessions.len() + doubtful;
    assert!(expected.contains(&users), "{users} users, every one at home once: {sessions:?}");
}

/// Everybody leaves, by themselves or because the node drains; then nothing is left.
fn leave(world: &mut World) {
    if world.random.one_in(3) {
        for shard in 0..world.shards.len() {
            world.mail[shard].push_back(Mail::Drain { over_ms: 5_000 });
        }
        for _ in 0..200 {
            world.pass(100_000);
            step(world, true);
        }
        assert!(world.shards.iter().all(|shard| shard.is_drained()));
        assert!(world.links.iter().all(|link| link.closed || matches!(link.peer, Peer::Api(_))));
    }
    for number in 0..world.links.len() {
        if !world.links[number].closed {
            leave_somehow(world, number);
            world.links[number].end.get_or_insert(End::Eof);
        }
    }
    for _ in 0..100 {
        world.pass(1_000_000);
        step(world, true);
    }
    for shard in &world.shards {
        shard.assert_idle();
    }
    if let Some(cluster) = &world.cluster {
        cluster.assert_idle();
    }
    assert_eq!(world.opened, world.ended, "every session that opened was told closed");
    assert!(world.links.iter().all(|link| link.closed));
}
