//! The timer wheel, with one timer to a million in it: `cargo bench -p epush-bench --bench wheel`.
#![allow(missing_docs)] // of what criterion's macros define

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use epush_core::wheel::{TimerKey, TimerWheel};
use epush_instructions::deadlines::{SPREAD_MS, deadline_ms, scattered};

const MILLION: u64 = 1_000_000;

/// Timers of the others: a session's, up to more than a node has sessions.
const OTHERS: [u64; 7] = [1, 10, 100, 1_000, 10_000, 100_000, MILLION];

type Item = (u64, u64);

fn filled(timers: u64) -> (TimerWheel<Item>, Vec<TimerKey>) {
    let mut wheel = TimerWheel::new(0);
    let keys = (0..timers).map(|number| wheel.insert(deadline_ms(number), (number, 0))).collect();
    (wheel, keys)
}

fn single(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wheel, one timer beside");
    group.throughput(Throughput::Elements(1));
    let mut number = 0;
    for others in OTHERS {
        let (mut wheel, keys) = filled(others);
        group.bench_function(BenchmarkId::new("insert and cancel", others), |bencher| {
            bencher.iter(|| {
                number += 1;
                let key = wheel.insert(deadline_ms(number), (1, 2));
                wheel.cancel(key)
            });
        });
        group.bench_function(BenchmarkId::new("rearm", others), |bencher| {
            bencher.iter(|| {
                number += 1;
                wheel.rearm(keys[(scattered(number) % others) as usize], deadline_ms(number + 7));
            });
        });
        group.bench_function(BenchmarkId::new("next deadline", others), |bencher| {
            bencher.iter(|| black_box(&wheel).next_deadline_ms());
        });
    }
    group.finish();
}

fn million(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wheel_million");
    group.sample_size(10).throughput(Throughput::Elements(MILLION));
    group.bench_function("insert", |bencher| bencher.iter_with_large_drop(|| filled(MILLION)));
    let cancel = |(mut wheel, keys): (TimerWheel<Item>, Vec<TimerKey>)| {
        for key in keys {
            wheel.cancel(key);
        }
        wheel
    };
    group.bench_function("cancel", |bencher| bencher.iter_batched(|| filled(MILLION), cancel, BatchSize::PerIteration));
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
    group.bench_function("advance_by_1_ms", |bencher| {
        bencher.iter_batched(|| filled(MILLION), advance(1), BatchSize::PerIteration)
    });
    group.bench_function("advance_at_once", |bencher| {
        bencher.iter_batched(|| filled(MILLION), advance(SPREAD_MS), BatchSize::PerIteration);
    });
    group.finish();
}

criterion_group!(benches, single, million);
criterion_main!(benches);
