//! The timer wheel, empty and with a million timers in it: `cargo bench -p epush-bench --bench wheel`.
#![allow(missing_docs)] // of what criterion's macros define

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use epush_core::wheel::{TimerKey, TimerWheel};

const MILLION: u64 = 1_000_000;

/// Heartbeats of 25 s: what a shard of many idle sessions holds.
const SPREAD_MS: u64 = 25_000;

/// Deadlines in no order the wheel could profit from, the same at every run.
fn scattered(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
}

type Item = (u64, u64);

fn filled() -> (TimerWheel<Item>, Vec<TimerKey>) {
    let mut wheel = TimerWheel::new(0);
    let keys = (0..MILLION).map(|number| wheel.insert(1 + scattered(number) % SPREAD_MS, (number, 0))).collect();
    (wheel, keys)
}

fn single(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wheel");
    group.throughput(Throughput::Elements(1));
    let mut empty = TimerWheel::<Item>::new(0);
    group.bench_function("insert_and_cancel/empty", |bencher| {
        bencher.iter(|| {
            let key = empty.insert(black_box(25_000), (1, 2));
            empty.cancel(key)
        });
    });
    let (mut wheel, keys) = filled();
    let mut number = 0;
    group.bench_function("insert_and_cancel/million", |bencher| {
        bencher.iter(|| {
            number += 1;
            let key = wheel.insert(1 + scattered(number) % SPREAD_MS, (1, 2));
            wheel.cancel(key)
        });
    });
    group.bench_function("rearm/million", |bencher| {
        bencher.iter(|| {
            number += 1;
            wheel.rearm(keys[(scattered(number) % MILLION) as usize], 1 + scattered(number + 7) % SPREAD_MS);
        });
    });
    group.bench_function("next_deadline/million", |bencher| bencher.iter(|| black_box(&wheel).next_deadline_ms()));
    group.finish();
}

fn million(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wheel_million");
    group.sample_size(10).throughput(Throughput::Elements(MILLION));
    group.bench_function("insert", |bencher| bencher.iter_with_large_drop(filled));
    let cancel = |(mut wheel, keys): (TimerWheel<Item>, Vec<TimerKey>)| {
        for key in keys {
            wheel.cancel(key);
        }
        wheel
    };
    group.bench_function("cancel", |bencher| bencher.iter_batched(filled, cancel, BatchSize::PerIteration));
    let advance = |step_ms: u64| {
        move |(mut wheel, _): (TimerWheel<Item>, Vec<TimerKey>)| {
            let (mut now_ms, mut popped) = (0, 0);
            while popped < MILLION {
                now_ms += step_ms;
                while wheel.pop_due(now_ms).is_some() {
                    popped += 1;
                }
            }
            wheel
        }
    };
    group
        .bench_function("advance_by_1_ms", |bencher| bencher.iter_batched(filled, advance(1), BatchSize::PerIteration));
    group.bench_function("advance_at_once", |bencher| {
        bencher.iter_batched(filled, advance(SPREAD_MS), BatchSize::PerIteration);
    });
    group.finish();
}

criterion_group!(benches, single, million);
criterion_main!(benches);
