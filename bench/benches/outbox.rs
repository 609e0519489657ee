//! What waits for a socket, and how it is joined before: `cargo bench -p epush-bench --bench outbox`.

use std::hint::black_box;
use std::io::IoSlice;
use std::rc::Rc;

use criterion::{BenchmarkId, Criterion, Throughput};
use epush_core::batch::{Batch, Pending, Stream};
use epush_core::outbox::{Outbox, SLICES_MAX};
use epush_core::settings::OnSlow;
use epush_core::slow;
use epush_instructions::crowd::{channel, publication};

/// Messages joined into one batch.
const MESSAGES: [u16; 3] = [1, 16, 64];

/// Batches that wait for a socket: a fast reader's, a slow one's, one's that is about to lose some.
const WAITING: [usize; 4] = [1, 10, 100, 1_000];

/// What a blocked socket takes when it takes something again.
const SHORT_WRITE_BYTES: usize = 4_096;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    joining(&mut criterion);
    passing(&mut criterion);
    waiting(&mut criterion);
    dropping(&mut criterion);
    criterion.final_summary();
}

fn batch(messages: u16) -> Rc<Batch> {
    let publication = publication(128);
    let mut pending = Pending::default();
    (0..messages).for_each(|_| pending.push(&publication, 0));
    pending.join(|| Stream::Channel(channel())).expect("messages wait")
}

/// Takes what a write would, and at most `bytes_max` of it.
fn write(outbox: &mut Outbox, bytes_max: usize) {
    black_box(outbox.announce());
    let mut slices = [IoSlice::new(&[]); SLICES_MAX];
    let filled = outbox.slices(&mut slices);
    let offered: usize = black_box(&slices[..filled]).iter().map(|slice| slice.len()).sum();
    outbox.advance(offered.min(bytes_max), drop);
}

/// From the first message of a turn to the batch that all receivers share.
fn joining(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("join");
    let publication = publication(128);
    for messages in MESSAGES {
        group.throughput(Throughput::Elements(messages.into()));
        group.bench_function(BenchmarkId::from_parameter(messages), |bench| {
            let mut pending = Pending::default();
            bench.iter(|| {
                (0..messages).for_each(|_| pending.push(black_box(&publication), 0));
                pending.join(|| Stream::Channel(channel()))
            });
        });
    }
    group.finish();
}

/// One batch in and out of an empty outbox: what a delivery costs.
fn passing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("in and out");
    for messages in MESSAGES {
        let batch = batch(messages);
        group.bench_function(BenchmarkId::new("batch of", messages), |bench| {
            let mut outbox = Outbox::default();
            bench.iter(|| {
                outbox.push_shared(black_box(&batch), 0..messages);
                write(&mut outbox, usize::MAX);
            });
        });
    }
    group.bench_function("answer of 64 B", |bench| {
        let mut outbox = Outbox::default();
        bench.iter(|| {
            outbox.push_own(|out| out.extend_from_slice(black_box(&[b'x'; 64])));
            write(&mut outbox, usize::MAX);
        });
    });
    group.finish();
}

/// Many batches, then the socket takes everything, or a little at a time.
fn waiting(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("many wait, per batch");
    let batch = batch(16);
    for (name, taken) in [("taken in whole writes", usize::MAX), ("taken in writes of 4 KiB", SHORT_WRITE_BYTES)] {
        for waiting in WAITING {
            group.throughput(Throughput::Elements(waiting as u64));
            group.bench_function(BenchmarkId::new(name, waiting), |bench| {
                let mut outbox = Outbox::default();
                bench.iter(|| {
                    (0..waiting).for_each(|_| outbox.push_shared(&batch, 0..batch.messages()));
                    while !outbox.is_empty() {
                        write(&mut outbox, taken);
                    }
                });
            });
        }
    }
    group.finish();
}

/// An offer to a blocked socket whose outbox is full, under each policy that keeps the session.
fn dropping(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("full and blocked, per offer");
    let batch = batch(16);
    for (name, policy) in
        [("drop-oldest", OnSlow::DropOldest), ("drop-newest", OnSlow::DropNewest), ("latest", OnSlow::Latest)]
    {
        for waiting in WAITING {
            let bytes_max = waiting * batch.len(0..batch.messages());
            group.bench_function(BenchmarkId::new(name, waiting), |bench| {
                let mut outbox = Outbox::default();
                (0..waiting).for_each(|_| outbox.push_shared(&batch, 0..batch.messages()));
                bench.iter(|| slow::offer(&mut outbox, &batch, 0..batch.messages(), || policy, true, bytes_max));
            });
        }
    }
    group.finish();
}
