//! What is fuzzed: one function per target, which takes any bytes and panics where a promise is broken.
//!
//! Used by the targets of cargo-fuzz and by `engine/core/tests/fuzz_corpus.rs`. A new target is a function here,
//! a line in [`TARGETS`], a file in `fuzz_targets/` with its `[[bin]]`, and a folder in `corpus/`.
#![allow(dead_code)] // Each of cargo-fuzz's programs uses one of them.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use epush_core::relay::{Envelope, EnvelopeError, VERSION};
use epush_core::wire::http::{self, Body, BodyStep, Head, HeadScan, HttpError, Upgrade};
use epush_core::wire::native::{self, Command, Incoming};
use epush_core::wire::proxy;
use epush_core::wire::websocket::{Decoder, FrameError, FrameLimits};
use serde_json::value::RawValue;

#[path = "shard_operations.rs"]
mod shard_operations;

/// One target: any bytes in, a panic where a promise is broken.
pub type Target = fn(&[u8]);

/// Every target under the name of its corpus.
pub const TARGETS: &[(&str, Target)] = &[
    ("request_head", request_head),
    ("frames", frames),
    ("native_json", native_json),
    ("shard_operations", shard_operations),
    ("envelope", envelope),
];

/// Bytes that may wait beyond twice what was received: the decoder's box itself.
const DECODER_BYTES: usize = 512;

/// A request means the same however its bytes arrive: head, body and what is left behind it.
pub fn request_head(data: &[u8]) {
    let _ = proxy::parse(data);
    let whole = http::parse_head(data);
    assert_eq!(summary(&whole), summary(&head_in_pieces(data, 1)), "one byte at a time");
    assert_eq!(summary(&whole), summary(&head_in_pieces(data, 7)), "seven bytes at a time");
    let Ok(Some((head, used))) = whole else { return };
    assert!(used <= epush_core::limits::HEAD_BYTES_MAX);
    let _ = Upgrade::check(&head).map_err(|error| error.response());
    let _ = http::forwarded_for(&head, Ipv4Addr::LOCALHOST.into(), &["127.0.0.0/8".parse().expect("a network")]);
    assert_eq!(&*head.to_request(Vec::new()).path, head.path());
    let rest = &data[used..];
    let body = body_in_pieces(&head, rest, rest.len().max(1));
    assert_eq!(body, body_in_pieces(&head, rest, 1), "one byte at a time");
    assert!(body.is_none_or(|(content, left)| content.len() as u64 <= BODY_BYTES_MAX && left <= rest.len()));
}

/// Client frames mean the same however they arrive, and what is unfinished takes no more memory than came.
pub fn frames(data: &[u8]) {
    for limits in [
        FrameLimits { message_bytes_max: 1 << 20, fragments_max: 1_024 },
        FrameLimits { message_bytes_max: 40, fragments_max: 2 },
    ] {
        let whole = items(data, data.len().max(1), limits);
        for piece_len in [1, 2, 3, 5, 16] {
            assert_eq!(whole, items(data, piece_len, limits), "{piece_len} bytes at a time");
        }
    }
}

/// Any text is a command or a refusal, and what answers it is JSON with the client's id.
pub fn native_json(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Incoming { id, command } = native::parse(&text);
    assert!(id.len() <= 40);
    let mut answer = Vec::new();
    match command {
        Ok(Command::Publish { data, .. } | Command::Send { data, .. }) => {
            assert!(text.contains(data.get()), "passed through untouched");
            native::reply::reply(&mut answer, &id, data);
        }
        Ok(Command::Subscribe { channel, .. }) => native::reply::ok_channel(&mut answer, &id, channel.as_str()),
        Ok(Command::Every { interval_ms, .. }) => assert!(interval_ms > 0),
        Ok(Command::Mute { types } | Command::Unmute { types }) => native::reply::ok_types(&mut answer, &id, &types),
        Ok(_) => native::reply::pong(&mut answer, &id, 1),
        Err(refusal) => native::reply::error(&mut answer, &id, &refusal),
    }
    if !answer.is_empty() {
        // Raw values: a lone surrogate in the client's own data is valid JSON text that no Rust string can hold.
        let value: HashMap<String, &RawValue> = serde_json::from_slice(&answer).expect("an answer is JSON");
        assert_eq!(value.contains_key("id"), !id.is_empty());
    }
}

/// Whatever happens to a shard, in whatever order, its invariants hold, and nothing is left when all have gone.
pub fn shard_operations(data: &[u8]) {
    shard_operations::run(data);
}

/// Whatever another node sends is an envelope that is written the same, or an error.
pub fn envelope(data: &[u8]) {
    match Envelope::decode(&data.to_vec().into()) {
        Ok(envelope) => assert_eq!(envelope.encode(), data),
        Err(EnvelopeError::Version(version)) => assert_ne!(version, VERSION),
        Err(EnvelopeError::Malformed) => {}
    }
}

const BODY_BYTES_MAX: u64 = 4_096;

fn head_in_pieces(data: &[u8], piece_len: usize) -> Result<Option<(Head<'_>, usize)>, HttpError> {
    let mut scan = HeadScan::default();
    for end in (0..data.len()).step_by(piece_len).chain([data.len()]) {
        let step = scan.parse(&data[..end]);
        if !matches!(step, Ok(None)) {
            return step;
        }
    }
    Ok(None)
}

/// Everything a head says, comparable.
fn summary(parsed: &Result<Option<(Head<'_>, usize)>, HttpError>) -> String {
    format!("{parsed:?}")
}

/// Content, and the bytes left behind the body; none: refused.
fn body_in_pieces(head: &Head<'_>, rest: &[u8], piece_len: usize) -> Option<(Vec<u8>, usize)> {
    let mut body = Body::new(head.body(), BODY_BYTES_MAX).ok()?;
    let (mut content, mut taken) = (Vec::new(), 0);
    for mut input in rest.chunks(piece_len) {
        let given = input.len();
        while let BodyStep::Piece(piece) = body.next(&mut input).ok()? {
            content.extend_from_slice(piece);
        }
        taken += given - input.len();
        assert!(input.is_empty() || body.is_at_end());
    }
    Some((content, rest.len() - taken))
}

/// The messages in `data`, and how they end.
fn items(data: &[u8], piece_len: usize, limits: FrameLimits) -> (Vec<String>, Option<FrameError>) {
    let mut bytes = data.to_vec();
    let mut decoder = Decoder::default();
    let (mut items, mut received) = (Vec::new(), 0);
    for mut input in bytes.chunks_mut(piece_len) {
        received += input.len();
        loop {
            match decoder.next(&mut input, &limits) {
                Ok(Some(item)) => items.push(format!("{item:?}")),
                Ok(None) => break,
                Err(error) => return (items, Some(error)),
            }
        }
        assert!(input.is_empty());
        assert!(decoder.held_bytes() <= 2 * received.min(limits.message_bytes_max + 200) + DECODER_BYTES);
    }
    (items, None)
}
