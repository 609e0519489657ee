//! What a shard costs without its sockets: `cargo bench -p epush-bench --bench shard`.
//!
//! A fan-out is measured whole, from the publication's arrival to the last `handle_sent`, and reported per delivery; what
//! is missing to the cost on a real node is the write itself.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput};
use epush_core::connection::{Connection, Rare};
use epush_core::outbox::Outbox;
use epush_instructions::crowd::{Crowd, publication};

/// A dialogue, a room, a busy channel, everybody; 15 000 are what the benches with sockets have.
const SUBSCRIBERS: [usize; 7] = [1, 10, 100, 1_000, 10_000, 15_000, 100_000];

const PAYLOADS: [usize; 2] = [128, 1_024];

/// Messages that arrive in one turn.
const MESSAGES: [usize; 3] = [1, 16, 64];

fn main() {
    let (connection, rare, outbox) = (size_of::<Connection>(), size_of::<Rare>(), size_of::<Outbox>());
    println!("bytes of a Connection: {connection} (its Outbox: {outbox}); of its Rare, while it has one: {rare}");
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    fan_out(&mut criterion);
    criterion.final_summary();
}

fn fan_out(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fan-out, per delivery");
    for subscribers in SUBSCRIBERS {
        let mut crowd = Crowd::new(subscribers);
        for payload in PAYLOADS {
            let publication = publication(payload);
            for messages in MESSAGES {
                group.throughput(Throughput::Elements((subscribers * messages) as u64));
                let name = format!("{messages} x {payload} B");
                group.bench_function(BenchmarkId::new(name, subscribers), |bench| {
                    bench.iter(|| crowd.turn(&publication, messages));
                });
            }
        }
    }
    group.finish();
}
