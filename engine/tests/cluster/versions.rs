//! A rolling upgrade and other noise: what a node does not understand it skips, counts, and goes on.

use crate::ask::{channels_in_redis, push, to_all, to_channel, to_user};
use crate::support::{Cluster, PATIENCE, Redis, eventually};

/// Listens to a pub/sub channel beside the nodes.
struct Ear {
    connection: redis::Connection,
    channel: String,
}

impl Ear {
    fn on(redis: &Redis, channel: &str) -> Self {
        let connection = redis.servers[0].connection().unwrap();
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { connection, channel: channel.into() }
    }

    /// The next message that is published while `publish` runs.
    fn hear(&mut self, publish: impl FnOnce()) -> Vec<u8> {
        let mut listening = self.connection.as_pubsub();
        listening.subscribe(&self.channel).unwrap();
        publish();
        listening.get_message().unwrap().get_payload_bytes().to_vec()
    }
}

fn inject(redis: &Redis, channel: &str, bytes: &[u8]) {
    let receivers = redis.servers[0].publish(channel, bytes);
    assert!(receivers > 0, "nobody listens to {channel}");
}

#[test]
fn a_message_of_a_later_version_is_skipped_and_counted_and_everything_else_goes_on() {
    let redis = Redis::single();
    let nodes = Cluster::start(2, &redis);
    let mut client = nodes[1].user("42");
    client.subscribe("news");
    let own_channels: Vec<String> = redis.ask(&["PUBSUB", "CHANNELS", "epush:*:to:*"]);
    assert_eq!(own_channels.len(), 2 * 64, "each node listens to its channel of every partition");
    let news = channels_in_redis(&redis)[0].clone();
    let mut later = vec![9; 40];
    let mut skipped = 0.0;
    for channel in ["epush:{all}", &news, &own_channels[0], &own_channels[100]] {
        for length in [1, 2, 40] {
            later.resize(length, 9);
            inject(&redis, channel, &later);
        }
    }
    let mut api = nodes[0].api();
    push(&mut api, &to_channel("news", 1));
    client.expect_message(1);
    push(&mut api, &to_user("42", 2));
    client.expect_message(2);
    push(&mut api, &to_all(3));
    client.expect_message(3);
    eventually(PATIENCE, "both have counted them", || {
        let count = |node| nodes[node].metric("epush_relay_skipped_total{reason=\"version\"}");
        skipped = count(0) + count(1);
        // {all} has two listeners, the others one each.
        (skipped == 5.0 * 3.0).then_some(())
    });
    assert!(nodes.nodes().all(|node| node.metric("epush_relay_up") == 1.0));
}

#[test]
fn a_real_message_of_a_later_version_is_skipped_and_then_missed_by_nobody_else() {
    let redis = Redis::single();
    let nodes = Cluster::start(2, &redis);
    let mut client = nodes[1].anyone();
    let mut real = Ear::on(&redis, "epush:{all}").hear(|| drop(nodes[0].push(&to_all(1))));
    client.expect_message(1);
    real[0] = 9;
    inject(&redis, "epush:{all}", &real);
    nodes[0].push(&to_all(2));
    client.expect_message(2);
    assert_eq!(nodes[1].metric("epush_relay_skipped_total{reason=\"version\"}"), 1.0);
    assert_eq!(nodes[1].metric("epush_relay_lost_total"), 0.0);
}

#[test]
fn garbage_is_skipped_and_counted() {
    let redis = Redis::single();
    let nodes = Cluster::start(2, &redis);
    let mut client = nodes[1].anyone();
    client.subscribe("news");
    let channel = channels_in_redis(&redis)[0].clone();
    let real = Ear::on(&redis, &channel).hear(|| drop(nodes[0].push(&to_channel("news", 1))));
    client.expect_message(1);
    let mut garbage: Vec<Vec<u8>> = (0..real.len()).map(|length| real[..length].to_vec()).collect();
    garbage.push([&real[..], b"more"].concat());
    garbage.push([&real[..1], &[0xff; 64]].concat());
    garbage.push(vec![real[0]; 100_000]);
    for bytes in &garbage {
        inject(&redis, &channel, bytes);
    }
    nodes[0].push(&to_channel("news", 2));
    client.expect_message(2);
    let of = |reason: &str| nodes[1].metric(&format!("epush_relay_skipped_total{{reason=\"{reason}\"}}"));
    // Whatever a cut leaves readable is a message that came twice, or none at all.
    let seen = of("malformed") + of("version") + nodes[1].metric("epush_relay_duplicates_total");
    assert_eq!(seen, garbage.len() as f64);
}

#[test]
fn a_message_that_comes_twice_is_delivered_once() {
    let redis = Redis::single();
    let nodes = Cluster::start(2, &redis);
    let mut client = nodes[1].anyone();
    client.subscribe("news");
    let channel = channels_in_redis(&redis)[0].clone();
    let real = Ear::on(&redis, &channel).hear(|| drop(nodes[0].push(&to_channel("news", 1))));
    for _ in 0..3 {
        inject(&redis, &channel, &real);
    }
    nodes[0].push(&to_channel("news", 2));
    client.expect_message(1);
    client.expect_message(2);
    assert_eq!(nodes[1].metric("epush_relay_duplicates_total"), 3.0);
}
