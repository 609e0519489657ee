//! Envelopes to bytes. Knows nothing of reading them back.

use super::{Body, Envelope, VERSION, kind, tag};
use crate::batch::Stream;
use crate::close::CloseReason;
use crate::id::SessionId;
use crate::mail::{Answer, Question};
use crate::page::ChannelPage;
use crate::relay::Number;

/// What an envelope takes beside its texts and its frame: enough that most are allocated once.
const FIXED_BYTES: usize = 64;

/// Appends the whole envelope.
pub(super) fn envelope(envelope: &Envelope, out: &mut Vec<u8>) {
    out.reserve(FIXED_BYTES + texts_len(&envelope.body));
    out.extend_from_slice(&[VERSION, kind_of(&envelope.body)]);
    u64(out, envelope.origin);
    u64(out, envelope.sent_unix_ms);
    match &envelope.body {
        Body::Message { stream, number, kind, frame } => {
            self::stream(out, stream);
            self::number(out, *number);
            out.push(kind.is_some().into());
            kind.iter().for_each(|kind| text(out, kind));
            out.extend_from_slice(frame);
        }
        Body::Announce { stream, number } => {
            self::stream(out, stream);
            self::number(out, *number);
        }
        Body::Close { sessions, reason } => {
            out.push(self::reason(*reason));
            list(out, sessions, session);
        }
        Body::Muted { user, mutes } => {
            debug_assert!(mutes.is_sorted_by(|one, next| one < next), "muted types are sorted: {mutes:?}");
            text(out, user.as_str());
            list(out, mutes, |out, word| text(out, word));
        }
        Body::Ask { ticket, question } => {
            u64(out, *ticket);
            self::question(out, question);
        }
        Body::Answer { ticket, answer } => {
            u64(out, *ticket);
            self::answer(out, answer);
        }
        Body::Marker { ticket } => u64(out, *ticket),
        Body::Schedules => {}
    }
}

const fn kind_of(body: &Body) -> u8 {
    match body {
        Body::Message { .. } => kind::MESSAGE,
        Body::Announce { .. } => kind::ANNOUNCE,
        Body::Close { .. } => kind::CLOSE,
        Body::Muted { .. } => kind::MUTED,
        Body::Ask { .. } => kind::ASK,
        Body::Answer { .. } => kind::ANSWER,
        Body::Schedules => kind::SCHEDULES,
        Body::Marker { .. } => kind::MARKER,
    }
}

/// Bytes of what makes messages long; the rest grows as it is written.
fn texts_len(body: &Body) -> usize {
    let Body::Message { stream, kind, frame, .. } = body else { return 0 };
    name(stream).len() + kind.as_ref().map_or(0, |kind| kind.len()) + frame.len()
}

fn name(stream: &Stream) -> &str {
    match stream {
        Stream::All => "",
        Stream::User(user) => user.as_str(),
        Stream::Channel(channel) => channel.as_str(),
    }
}

fn stream(out: &mut Vec<u8>, stream: &Stream) {
    match stream {
        Stream::All => return out.push(tag::STREAM_ALL),
        Stream::User(_) => out.push(tag::STREAM_USER),
        Stream::Channel(_) => out.push(tag::STREAM_CHANNEL),
    }
    text(out, name(stream));
}

fn number(out: &mut Vec<u8>, number: Number) {
    u64(out, number.generation);
    u64(out, number.number);
    u64(out, number.lost);
}

fn reason(reason: CloseReason) -> u8 {
    match reason {
        CloseReason::Replaced => tag::REPLACED,
        CloseReason::Kicked => tag::KICKED,
        _ => {
            debug_assert!(false, "no other node closes for {reason:?}");
            tag::NEVER
        }
    }
}

fn session(out: &mut Vec<u8>, id: &SessionId) {
    u64(out, id.boot);
    out.extend_from_slice(&id.at.shard.0.to_be_bytes());
    out.extend_from_slice(&id.at.conn.index.to_be_bytes());
    out.extend_from_slice(&id.at.conn.generation.to_be_bytes());
}

fn question(out: &mut Vec<u8>, question: &Question) {
    match question {
        Question::Channels(range) => {
            out.push(tag::CHANNELS);
            text(out, &range.prefix);
            text(out, &range.after);
            u64(out, range.channels_max as u64);
        }
        Question::Channel { channel, members } => {
            out.push(tag::CHANNEL);
            text(out, channel.as_str());
            out.push((*members).into());
        }
        _ => {
            debug_assert!(false, "answered from the directory: {question:?}");
            out.push(tag::NEVER);
        }
    }
}

fn answer(out: &mut Vec<u8>, answer: &Answer) {
    match answer {
        Answer::Channels(page) => {
            out.push(tag::CHANNELS);
            self::page(out, page);
        }
        Answer::Channel { channel, subscribers, users, elsewhere: _ } => {
            out.push(tag::CHANNEL);
            text(out, channel.as_str());
            u64(out, *subscribers);
            list(out, users, |out, user| text(out, user.as_str()));
        }
        _ => {
            debug_assert!(false, "of no question that crosses: {answer:?}");
            out.push(tag::NEVER);
        }
    }
}

/// Own counts only: what other nodes have, they say themselves.
fn page(out: &mut Vec<u8>, page: &ChannelPage) {
    out.push(page.more.into());
    list(out, &page.channels, |out, channel| {
        text(out, channel.name.as_str());
        u64(out, channel.here);
    });
}

fn list<T>(out: &mut Vec<u8>, things: &[T], mut write: impl FnMut(&mut Vec<u8>, &T)) {
    len(out, things.len());
    things.iter().for_each(|thing| write(out, thing));
}

fn text(out: &mut Vec<u8>, text: &str) {
    len(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

fn len(out: &mut Vec<u8>, len: usize) {
    let len = u32::try_from(len).expect("names and lists are far below 4 GiB");
    out.extend_from_slice(&len.to_be_bytes());
}

fn u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_be_bytes());
}
