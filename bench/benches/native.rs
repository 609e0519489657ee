//! Reading client frames and encoding pushes: `cargo bench -p epush-bench --bench native`.
#![allow(missing_docs)] // of what criterion's macros define

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use epush_core::message::{ChannelName, Draft, Publication, Target};
use epush_core::now::Now;
use epush_core::wire::native::{parse, reply};
use serde_json::value::RawValue;

/// A JSON object of this many bytes, of short fields as chat messages and prices have.
fn payload(bytes: usize) -> String {
    let mut json = String::from("{");
    for field in 0.. {
        let text = format!("\"field_{field}\":\"value {field}\",");
        if json.len() + text.len() + r#""pad":""}"#.len() > bytes {
            break;
        }
        json += &text;
    }
    let pad = bytes - json.len() - r#""pad":""}"#.len();
    json + &format!(r#""pad":"{}"}}"#, "x".repeat(pad))
}

fn reading(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    let publish =
        |bytes| format!(r#"{{"op":"publish","id":4,"channel":"room.7","type":"chat","data":{}}}"#, payload(bytes));
    for (name, frame) in [
        ("ping", r#"{"op":"ping","id":13}"#.to_owned()),
        ("subscribe", r#"{"op":"subscribe","id":2,"channel":"news"}"#.to_owned()),
        ("publish_128", publish(128)),
        ("publish_1024", publish(1_024)),
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
    for bytes in [128, 1_024] {
        let data = RawValue::from_string(payload(bytes)).expect("JSON");
        let mut draft = Draft::new(Target::Channels(vec![channel.clone()]), data);
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
