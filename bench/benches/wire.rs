//! What bytes cost on their way in and out: `cargo bench -p epush-bench --bench wire`.

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use epush_core::wire::http::{HeadScan, Upgrade, parse_head, write_switching_protocols};
use epush_core::wire::websocket::{BINARY, Decoder, frame_into, mask_in_place, text_frame};
use epush_instructions::client_frame::{LIMITS, client_frame};

/// A command of the native protocol, a chat message, a large message, an upload.
const PAYLOADS: [usize; 4] = [16, 128, 1_024, 65_536];

/// A long text, and the reads it comes in: 1 451 is no multiple of 2, 3 or 4, so that they part characters.
const TEXT_BYTES: usize = 12_288;
const PIECE_BYTES: usize = 1_451;

/// What Chromium sends to open a WebSocket, cookies left out.
const UPGRADE: &[u8] = b"GET /msg?token=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.c2ln HTTP/1.1\r\n\
Host: push.example.org\r\nConnection: Upgrade\r\nPragma: no-cache\r\nCache-Control: no-cache\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36\r\n\
Upgrade: websocket\r\nOrigin: https://www.example.org\r\nSec-WebSocket-Version: 13\r\n\
Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9\r\n\
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    heads(&mut criterion);
    decoding(&mut criterion);
    fragments(&mut criterion);
    utf8(&mut criterion);
    masking(&mut criterion);
    encoding(&mut criterion);
    criterion.final_summary();
}

/// One connection's request: whole in one read, in single bytes (the worst a client can do), and with the answer.
fn heads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("head");
    group.throughput(Throughput::Bytes(UPGRADE.len() as u64));
    group.bench_function("whole", |bench| {
        bench.iter(|| parse_head(black_box(UPGRADE)).expect("valid").expect("whole").1);
    });
    group.bench_function("single bytes", |bench| {
        bench.iter(|| {
            let mut scan = HeadScan::default();
            (0..=UPGRADE.len()).find_map(|end| scan.parse(black_box(&UPGRADE[..end])).expect("valid"))
        });
    });
    group.bench_function("upgrade and answer", |bench| {
        let mut out = Vec::with_capacity(512);
        bench.iter(|| {
            let (head, _) = parse_head(black_box(UPGRADE)).expect("valid").expect("whole");
            let upgrade = Upgrade::check(&head).expect("an upgrade");
            out.clear();
            write_switching_protocols(&mut out, upgrade.key, None);
            out.len()
        });
    });
    group.finish();
}

/// A whole frame from the read buffer to the message, header, unmasking and UTF-8 included: one frame, and 64 in one read.
fn decoding(criterion: &mut Criterion) {
    for (name, opcode, letter) in
        [("decode binary", 0x82, "x"), ("decode text", 0x81, "x"), ("decode text €", 0x81, "€")]
    {
        let mut group = criterion.benchmark_group(name);
        for payload_len in PAYLOADS {
            let text = letter.repeat(payload_len / letter.len());
            let frame = client_frame(opcode, text.as_bytes());
            group.throughput(Throughput::Bytes(text.len() as u64));
            group.bench_function(BenchmarkId::from_parameter(payload_len), |bench| {
                // Unmasking changes the bytes, so that each run masks them again: with the zero mask that is no change.
                let mut bytes = frame.clone();
                let mut decoder = Decoder::default();
                bench.iter(|| {
                    let mut input = black_box(&mut bytes[..]);
                    black_box(decoder.next(&mut input, &LIMITS)).is_ok()
                });
            });
        }
        group.finish();
    }
    let mut bytes = client_frame(0x81, &[b'x'; 16]).repeat(64);
    let mut group = criterion.benchmark_group("decode a read");
    group.throughput(Throughput::Elements(64));
    group.bench_function("64 text frames of 16", |bench| {
        let mut decoder = Decoder::default();
        bench.iter(|| {
            let mut input = black_box(&mut bytes[..]);
            let mut count = 0;
            while let Ok(Some(item)) = decoder.next(&mut input, &LIMITS) {
                black_box(item);
                count += 1;
            }
            count
        });
    });
    group.finish();
}

/// The slow path: a message that two reads cut, and one in eight fragments.
fn fragments(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode in pieces");
    let cut = client_frame(0x81, &[b'x'; 1_024]);
    group.throughput(Throughput::Bytes(1_024));
    group.bench_function("1024 in two reads", |bench| {
        bench.iter_batched_ref(|| cut.clone(), |bytes| decode_pieces(bytes, 600), BatchSize::SmallInput);
    });
    let mut fragmented = client_frame(0x01, &[b'x'; 128]);
    for _ in 0..6 {
        fragmented.extend(client_frame(0x00, &[b'x'; 128]));
    }
    fragmented.extend(client_frame(0x80, &[b'x'; 128]));
    group.bench_function("1024 in eight fragments", |bench| {
        bench.iter_batched_ref(|| fragmented.clone(), |bytes| decode_pieces(bytes, usize::MAX), BatchSize::SmallInput);
    });
    group.finish();
}

/// UTF-8 on both its ways, beside the same bytes as binary: a message that is there, and one that every read cuts inside a
/// character.
fn utf8(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("utf-8");
    for (name, opcode) in [("binary", 0x82), ("text", 0x81)] {
        for (script, letter) in [("ASCII", "x"), ("Greek", "λ"), ("euro", "€"), ("emoji", "😀")] {
            let payload = letter.repeat(TEXT_BYTES / letter.len());
            let mut bytes = client_frame(opcode, payload.as_bytes());
            group.throughput(Throughput::Bytes(payload.len() as u64));
            group.bench_function(BenchmarkId::new(format!("{name}, whole"), script), |bench| {
                bench.iter(|| decode_pieces(black_box(&mut bytes), usize::MAX));
            });
            group.bench_function(BenchmarkId::new(format!("{name}, in pieces of {PIECE_BYTES}"), script), |bench| {
                bench.iter(|| decode_pieces(black_box(&mut bytes), PIECE_BYTES));
            });
        }
    }
    group.finish();
}

/// Unmasking alone: what of decoding is memory speed.
fn masking(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mask");
    for payload_len in PAYLOADS {
        let mut payload = vec![b'x'; payload_len];
        group.throughput(Throughput::Bytes(payload_len as u64));
        group.bench_function(BenchmarkId::from_parameter(payload_len), |bench| {
            bench.iter(|| mask_in_place(black_box(&mut payload), black_box([1, 2, 3, 4])));
        });
    }
    group.finish();
}

/// Server frames: into a buffer that is there, and as a shared message of their own.
fn encoding(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    for payload_len in PAYLOADS {
        let payload = vec![b'x'; payload_len];
        group.throughput(Throughput::Bytes(payload_len as u64));
        group.bench_function(BenchmarkId::new("into a buffer", payload_len), |bench| {
            let mut out = Vec::new();
            bench.iter(|| {
                out.clear();
                frame_into(&mut out, black_box(BINARY), black_box(&payload));
            });
        });
        group.bench_function(BenchmarkId::new("shared", payload_len), |bench| {
            bench.iter(|| text_frame(|out| out.extend_from_slice(black_box(&payload))));
        });
    }
    group.finish();
}

fn decode_pieces(bytes: &mut [u8], piece_len: usize) -> usize {
    let mut decoder = Decoder::default();
    let mut count = 0;
    for mut input in bytes.chunks_mut(piece_len) {
        while let Ok(Some(item)) = decoder.next(&mut input, &LIMITS) {
            black_box(item);
            count += 1;
        }
    }
    count
}
