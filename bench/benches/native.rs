//! Reading client frames and encoding pushes: `cargo bench -p epush-bench --bench native`.
#![allow(missing_docs)] // of what criterion's macros define

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use epush_core::message::{ChannelName, Publication};
use epush_core::now::Now;
use epush_core::wire::native::{parse, reply};
use epush_instructions::json::{draft, publish_command};

fn reading(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    for (name, frame) in [
        ("ping", r#"{"op":"ping","id":13}"#.to_owned()),
        ("subscribe", r#"{"op":"subscribe","id":2,"channel":"news"}"#.to_owned()),
        ("publish_128", publish_command(128)),
        ("publish_1024", publish_command(1_024)),
        ("publish_16384", publish_command(16_384)),
        ("send_2_users", r#"{"op":"send","id":5,"users":["7","9"],"type":"chat","data":1}"#.to_owned()),
        ("refused", r#"{"op":"subscribe","id":2,"channel":"no such name"}"#.to_owned()),
    ] {
        group.throughput(Throughput::Bytes(frame.len() as u64));
        group.bench_function(name, |bencher| bencher.iter(|| parse(black_box(&frame))));
    }
    group.finish();
}

fn writing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    let channel = ChannelName::parse("news").expect("a valid name");
    for bytes in [16, 128, 1_024, 16_384] {
        let mut draft = draft(&channel, bytes);
        draft.kind = Some("headline".into());
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(format!("message_{bytes}"), |bencher| {
            bencher
                .iter(|| Publication::encode(black_box(&draft), Now { monotonic_us: 1, unix_ms: 1_700_000_000_000 }));
        });
    }
    group.throughput(Throughput::Elements(1));
    let mut out = Vec::new();
    group.bench_function("ok_channel", |bencher| {
        bencher.iter(|| {
            out.clear();
            reply::ok_channel(&mut out, black_box("2"), black_box("news"));
        });
    });
    group.finish();
}

criterion_group!(benches, reading, writing);
criterion_main!(benches);
