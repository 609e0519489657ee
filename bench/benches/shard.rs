//! What a shard costs without its sockets: `cargo bench -p epush-bench --bench shard`.
//!
//! A fan-out is measured whole, from the publication's arrival to the last `handle_sent`, and reported per delivery; what
//! is missing to the cost on a real node is the write itself.

use std::hint::black_box;
use std::io::IoSlice;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput};
use epush_core::batch::{Batch, Pending, Stream};
use epush_core::connection::{Connection, Rare};
use epush_core::effect::Effect;
use epush_core::hub::Hub;
use epush_core::id::{ConnId, ShardId};
use epush_core::mail::{Identity, Mail, Verdict};
use epush_core::message::{ChannelName, Draft, Publication, Target};
use epush_core::now::Now;
use epush_core::outbox::{Outbox, SLICES_MAX};
use epush_core::settings::Settings;
use epush_core::shard::{Door, Shard, ShardSetup};
use serde_json::value::RawValue;

/// A room, a busy channel, everybody.
const SUBSCRIBERS: [usize; 3] = [1_000, 15_000, 100_000];

const PAYLOADS: [usize; 2] = [128, 1_024];

/// Messages that arrive in one turn.
const MESSAGES: [usize; 3] = [1, 16, 64];

const UPGRADE: &[u8] = b"GET /msg HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

fn main() {
    let (connection, rare, outbox) = (size_of::<Connection>(), size_of::<Rare>(), size_of::<Outbox>());
    println!("bytes of a Connection: {connection} (its Outbox: {outbox}); of its Rare, while it has one: {rare}");
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    fan_out(&mut criterion);
    hub(&mut criterion);
    outboxes(&mut criterion);
    criterion.final_summary();
}

fn now() -> Now {
    Now { monotonic_us: 1_000_000, unix_ms: 1_800_000_000_000 }
}

fn channel() -> ChannelName {
    ChannelName::parse("news").expect("valid")
}

fn publication(bytes: usize) -> Arc<Publication> {
    let data = RawValue::from_string(format!("\"{}\"", "x".repeat(bytes - 2))).expect("JSON");
    Arc::new(Publication::encode(&Draft::new(Target::Channels(vec![channel()]), data), now()))
}

/// A shard with sessions that are subscribed to the channel, through the same bytes that clients would send.
fn crowd(subscribers: usize) -> Shard {
    let settings = Arc::new(Settings::default());
    let mut shard = Shard::new(
        ShardSetup { id: ShardId(0), shards: 1, boot: 1, clustered: false, node: "n1".into(), settings },
        now(),
    );
    for _ in 0..subscribers {
        let conn = shard.adopt(now(), ([127, 0, 0, 1], 5_000).into(), Door::Client);
        shard.handle_bytes(now(), conn, &mut UPGRADE.to_vec());
        let verdict = Verdict::Accept(Identity { channels: vec![channel()], ..Identity::default() });
        shard.handle_mail(now(), Mail::Verdict { conn, verdict });
        write_all(&mut shard);
        shard.end_turn();
    }
    shard
}

/// Takes all output there is, as sockets that never block would.
fn write_all(shard: &mut Shard) {
    while let Some(conn) = shard.next_urgent().or_else(|| shard.next_bulk()) {
        write(shard, conn);
    }
    while let Some(effect) = shard.poll_effect() {
        assert!(!matches!(effect, Effect::Close { .. }));
    }
}

fn write(shard: &mut Shard, conn: ConnId) {
    let mut slices = [IoSlice::new(&[]); SLICES_MAX];
    let filled = shard.output(conn, &mut slices);
    let bytes = black_box(&slices[..filled]).iter().map(|slice| slice.len()).sum();
    shard.handle_sent(now(), conn, bytes, false);
}

fn turn(shard: &mut Shard, publication: &Arc<Publication>, messages: usize) {
    for _ in 0..messages {
        shard.handle_mail(now(), Mail::Publish { publication: Arc::clone(publication), report: None });
    }
    while shard.has_pending() || shard.has_writes() {
        shard.flush(now());
        write_all(shard);
        shard.end_turn();
    }
}

fn fan_out(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fan-out, per delivery");
    for subscribers in SUBSCRIBERS {
        let mut shard = crowd(subscribers);
        for payload in PAYLOADS {
            let publication = publication(payload);
            for messages in MESSAGES {
                group.throughput(Throughput::Elements((subscribers * messages) as u64));
                let name = format!("{messages} x {payload} B");
                group.bench_function(BenchmarkId::new(name, subscribers), |bench| {
                    bench.iter(|| turn(&mut shard, &publication, messages));
                });
            }
        }
    }
    group.finish();
}

fn hub(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hub");
    let name = channel();
    for members in [1_u32, 10_000] {
        let mut hub = Hub::default();
        for session in 0..members {
            hub.join(&name, session, None);
        }
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

fn batch(messages: usize) -> Rc<Batch> {
    let publication = publication(128);
    let mut pending = Pending::default();
    (0..messages).for_each(|_| pending.push(&publication, 0));
    pending.join(|| Stream::Channel(channel())).expect("messages wait")
}

fn outboxes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("outbox");
    let batch = batch(16);
    group.bench_function("push and advance one batch", |bench| {
        let mut outbox = Outbox::default();
        bench.iter(|| {
            outbox.push_shared(&batch, 0..16);
            outbox.advance(outbox.bytes(), drop);
        });
    });
    group.bench_function("push and advance 32 batches, announce between", |bench| {
        let mut outbox = Outbox::default();
        bench.iter(|| {
            (0..32).for_each(|_| outbox.push_shared(&batch, 0..16));
            outbox.announce();
            outbox.advance(outbox.bytes(), drop);
        });
    });
    group.finish();
}
