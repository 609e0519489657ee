//! Envelopes read back as they were written, and nothing else is one.

use std::sync::Arc;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::close::CloseReason;
use crate::id::{ConnId, SessionId, SessionRef, ShardId};
use crate::mail::{Answer, Question};
use crate::page::{ChannelCount, ChannelPage, ChannelRange};
use crate::relay::{Body, Envelope, EnvelopeError, VERSION};
use crate::wire::websocket::text_frame;

fn user_name() -> impl Strategy<Value = UserName> {
    "[a-zé€ ]{1,20}".prop_map(|name| UserName::parse(&name).expect("valid"))
}

fn channel_name() -> impl Strategy<Value = ChannelName> {
    "[a-z.:/]{1,20}".prop_map(|name| ChannelName::parse(&name).expect("valid"))
}

fn stream() -> impl Strategy<Value = Stream> {
    prop_oneof![Just(Stream::All), user_name().prop_map(Stream::User), channel_name().prop_map(Stream::Channel),]
}

fn any_number() -> impl Strategy<Value = Number> {
    (any::<u64>(), 1..=u64::MAX, any::<u64>()).prop_map(|(generation, number, lost)| Number {
        generation,
        number,
        lost: lost % number,
    })
}

fn session() -> impl Strategy<Value = SessionId> {
    any::<(u64, u16, u32, u32)>().prop_map(|(boot, shard, index, generation)| SessionId {
        boot,
        at: SessionRef { shard: ShardId(shard), conn: ConnId { index, generation } },
    })
}

fn question() -> impl Strategy<Value = Question> {
    prop_oneof![
        ("[a-z]{0,9}", "[a-z]{0,9}", 1..=usize::MAX).prop_map(|(prefix, after, channels_max)| {
            Question::Channels(ChannelRange { prefix: prefix.into(), after: after.into(), channels_max })
        }),
        (channel_name(), any::<bool>()).prop_map(|(channel, members)| Question::Channel { channel, members }),
    ]
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        (vec((channel_name(), any::<u64>()), 0..5), any::<bool>()).prop_map(|(channels, more)| {
            let own = |(name, here)| ChannelCount { name, here, elsewhere: 0 };
            Answer::Channels(ChannelPage { channels: channels.into_iter().map(own).collect(), more })
        }),
        (channel_name(), any::<u64>(), vec(user_name(), 0..5)).prop_map(|(channel, subscribers, users)| {
            Answer::Channel { channel, subscribers, elsewhere: 0, users }
        }),
    ]
}

fn body() -> impl Strategy<Value = Body> {
    let frame = (".{0,40}", 0..3_usize)
        .prop_map(|(text, times)| text_frame(|out| out.extend_from_slice(text.repeat(1 + times * 50).as_bytes())));
    let kind = prop::option::of("[a-z€]{0,9}".prop_map(Arc::<str>::from));
    let mutes = prop::collection::btree_set("[a-z€]{0,9}", 0..4);
    prop_oneof![
        (stream(), any_number(), kind, frame).prop_map(|(stream, number, kind, frame)| Body::Message {
            stream,
            number,
            kind,
            frame
        }),
        (stream(), any_number()).prop_map(|(stream, number)| Body::Announce { stream, number }),
        (vec(session(), 0..4), any::<bool>()).prop_map(|(sessions, kicked)| Body::Close {
            sessions,
            reason: if kicked { CloseReason::Kicked } else { CloseReason::Replaced },
        }),
        (user_name(), mutes)
            .prop_map(|(user, mutes)| Body::Muted { user, mutes: mutes.into_iter().map(Arc::from).collect() }),
        (any::<u64>(), question()).prop_map(|(ticket, question)| Body::Ask { ticket, question }),
        (any::<u64>(), answer()).prop_map(|(ticket, answer)| Body::Answer { ticket, answer }),
        Just(()).prop_map(|()| Body::Schedules),
        any::<u64>().prop_map(|ticket| Body::Marker { ticket }),
    ]
}

fn envelope() -> impl Strategy<Value = Envelope> {
    (any::<u64>(), any::<u64>(), body()).prop_map(|(origin, sent_unix_ms, body)| Envelope {
        origin,
        sent_unix_ms,
        body,
    })
}

fn decode(bytes: &[u8]) -> Result<Envelope, EnvelopeError> {
    Envelope::decode(&Bytes::copy_from_slice(bytes))
}

proptest! {
    #[test]
    fn an_envelope_reads_back_as_it_was_written(envelope in envelope()) {
        let bytes = envelope.encode();
        let read = decode(&bytes).expect("just written");
        prop_assert_eq!(format!("{read:?}"), format!("{envelope:?}"));
        prop_assert_eq!(read.encode(), bytes);
    }

    #[test]
    fn an_envelope_cut_short_anywhere_or_one_byte_too_long_is_none(envelope in envelope()) {
        let mut bytes = envelope.encode();
        for len in 0..bytes.len() {
            prop_assert_eq!(decode(&bytes[..len]).err(), Some(EnvelopeError::Malformed), "{}", len);
        }
        bytes.push(0);
        prop_assert_eq!(decode(&bytes).err(), Some(EnvelopeError::Malformed));
    }

    #[test]
    fn whatever_is_read_is_written_the_same(
        envelope in envelope(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = envelope.encode();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(read) = decode(&bytes) {
            prop_assert_eq!(read.encode(), bytes);
        }
    }

    #[test]
    fn arbitrary_bytes_are_an_envelope_or_an_error(mut bytes in vec(any::<u8>(), 0..200), versioned: bool) {
        if versioned && let Some(first) = bytes.first_mut() {
            *first = VERSION;
        }
        let _ = decode(&bytes);
    }
}

fn message(frame: &[u8], number: Number) -> Vec<u8> {
    let frame = Bytes::copy_from_slice(frame);
    let body = Body::Message { stream: channel("news"), number, kind: Some("t".into()), frame };
    Envelope { origin: 1, sent_unix_ms: 2, body }.encode()
}

#[test]
fn the_frame_shares_the_bytes_it_came_in() {
    let bytes = Bytes::from(message(b"\x81\x02{}", number(1, 1)));
    let Ok(Envelope { body: Body::Message { frame, .. }, .. }) = Envelope::decode(&bytes) else { panic!("a message") };
    assert_eq!(frame.as_ptr(), bytes[bytes.len() - 4..].as_ptr());
}

#[test]
fn a_message_whose_frame_clients_would_stumble_over_is_refused() {
    assert!(decode(&message(b"\x81\x02{}", number(1, 1))).is_ok());
    let frames: [&[u8]; 6] = [b"", b"\x81\x01{}", b"\x81\x03{}", b"\x82\x02{}", b"\x01\x02{}", b"\x81\x02\xc0\x80"];
    for frame in frames {
        let refused = decode(&message(frame, number(1, 1))).err();
        assert_eq!(refused, Some(EnvelopeError::Malformed), "{}", frame.escape_ascii());
    }
}

#[test]
fn numbers_are_from_one_and_more_than_what_was_lost_before() {
    let refused = |number| decode(&message(b"\x81\0", number)).is_err();
    assert!(refused(number(1, 0)));
    assert!(refused(Number { lost: 3, ..number(1, 3) }));
    assert!(!refused(Number { lost: 2, ..number(1, 3) }));
    let announce = |number| {
        let body = Body::Announce { stream: Stream::All, number };
        decode(&Envelope { origin: 1, sent_unix_ms: 2, body }.encode())
    };
    assert!(announce(Number { lost: 3, ..number(1, 3) }).is_ok(), "an announced one may be lost itself");
    assert!(announce(Number { lost: 4, ..number(1, 3) }).is_err());
}

#[test]
fn another_version_is_told_apart_whatever_follows() {
    assert_eq!(decode(&[VERSION + 1]).err(), Some(EnvelopeError::Version(VERSION + 1)));
    assert_eq!(decode(&[0, 1, 2, 3]).err(), Some(EnvelopeError::Version(0)));
    assert_eq!(decode(&[]).err(), Some(EnvelopeError::Malformed));
    let mut unknown = Envelope { origin: 1, sent_unix_ms: 2, body: Body::Schedules }.encode();
    unknown[1] = 99;
    assert_eq!(decode(&unknown).err(), Some(EnvelopeError::Malformed));
}

#[test]
fn a_count_that_lies_reserves_nothing() {
    let body = Body::Close { sessions: Vec::new(), reason: CloseReason::Kicked };
    let mut bytes = Envelope { origin: 1, sent_unix_ms: 2, body }.encode();
    let count = bytes.len() - 4;
    bytes[count..].fill(0xff);
    // Reserving 4 294 967 295 sessions would take 77 GB.
    assert_eq!(decode(&bytes).err(), Some(EnvelopeError::Malformed));
}

#[test]
fn names_are_those_of_the_rest_of_the_engine() {
    let muted = |mutes: &[&str]| Body::Muted {
        user: UserName::parse("u").expect("valid"),
        mutes: mutes.iter().map(|word| Arc::from(*word)).collect(),
    };
    let mut bytes = Envelope { origin: 1, sent_unix_ms: 2, body: muted(&["a", "b"]) }.encode();
    let last = bytes.len() - 1;
    bytes[last] = b'a';
    assert!(decode(&bytes).is_err(), "muted types are ascending");
    let mut bytes = message(b"\x81\0", number(1, 1));
    let name = bytes.windows(4).position(|window| window == b"news").expect("its channel");
    bytes[name] = b'!';
    assert!(decode(&bytes).is_err(), "no channel has this name");
}

#[test]
fn what_is_appended_leaves_the_bytes_before_it() {
    let envelope = Envelope { origin: 1, sent_unix_ms: 2, body: Body::Schedules };
    let mut out = b"before".to_vec();
    envelope.encode_into(&mut out);
    assert_eq!(out, [b"before", &envelope.encode()[..]].concat());
}

#[test]
fn the_corpus_of_the_fuzzer_holds_every_kind() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/envelope");
    let mut kinds = std::collections::BTreeSet::new();
    for file in std::fs::read_dir(folder).expect("a corpus") {
        let bytes = std::fs::read(file.expect("an entry").path()).expect("readable");
        kinds.extend(decode(&bytes).is_ok().then(|| bytes[1]));
    }
    assert_eq!(kinds, (1..=8).collect());
}
