//! What it costs to cross threads: `cargo bench -p epush-bench --bench mailbox`.
//!
//! The engine keeps its mailbox to itself, so the bench compiles the same file.

#[path = "../../engine/src/mailbox.rs"]
#[allow(dead_code)] // its tests, which are the engine's to run
mod mailbox;

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput};
use mio::{Events, Poll, Token, Waker};

use mailbox::{Inbox, Mailbox, mailbox};

/// Posts between two looks of the receiver: one sender in no hurry, up to a flood.
const POSTS: [u64; 6] = [1, 10, 100, 1_000, 10_000, 100_000];

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    same_thread(&mut criterion);
    across_threads(&mut criterion);
    criterion.final_summary();
}

fn polled() -> (Poll, Mailbox<u64>, Inbox<u64>) {
    let poll = Poll::new().expect("a descriptor");
    let waker = Waker::new(poll.registry(), Token(0)).expect("a descriptor");
    let (mailbox, inbox) = mailbox(waker);
    (poll, mailbox, inbox)
}

/// Posting and taking, and one wake-up for all: the write to the eventfd is most of a single post.
fn same_thread(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("posted, then taken, per post");
    for posts in POSTS {
        let (_poll, mailbox, inbox) = polled();
        group.throughput(Throughput::Elements(posts));
        group.bench_function(BenchmarkId::from_parameter(posts), |bench| {
            bench.iter(|| {
                (0..posts).for_each(|post| mailbox.post(black_box(post)));
                inbox.open();
                while let Some(post) = inbox.take() {
                    black_box(post);
                }
            });
        });
    }
    group.finish();
}

/// One to four senders in a hurry, a receiver that sleeps in its poll whenever nothing waits.
fn across_threads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("posted here, taken there, per post");
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    group.throughput(Throughput::Elements(1));
    for senders in [1, 2, 4] {
        group.bench_function(BenchmarkId::new("senders", senders), |bench| {
            bench.iter_custom(|posts| hand_over(senders, posts.max(senders)));
        });
    }
    group.finish();
}

/// How long so many posts take from the first to the last taken.
fn hand_over(senders: u64, posts: u64) -> Duration {
    let (mut poll, mailbox, inbox) = polled();
    let left = Arc::new(AtomicU64::new(posts));
    let started = Instant::now();
    thread::scope(|scope| {
        for _ in 0..senders {
            let (mailbox, left) = (mailbox.clone(), Arc::clone(&left));
            scope.spawn(move || {
                let take_one = |left: u64| left.checked_sub(1);
                while let Ok(post) = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take_one) {
                    mailbox.post(post);
                }
            });
        }
        let mut events = Events::with_capacity(4);
        let mut taken = 0;
        while taken < posts {
            let patience = if inbox.is_empty() { None } else { Some(Duration::ZERO) };
            poll.poll(&mut events, patience).expect("no signals here");
            inbox.open();
            while let Some(post) = inbox.take() {
                black_box(post);
                taken += 1;
            }
        }
    });
    started.elapsed()
}
