//! Bytes to envelopes: whatever they are, an envelope or an error. Knows nothing of writing them.

use std::sync::Arc;

use bytes::Bytes;

use super::{Body, Envelope, EnvelopeError, VERSION, kind, tag};
use crate::batch::Stream;
use crate::close::CloseReason;
use crate::id::{ConnId, SessionId, SessionRef, ShardId};
use crate::mail::{Answer, Mutes, Question};
use crate::message::{ChannelName, UserName};
use crate::page::{ChannelCount, ChannelPage, ChannelRange};
use crate::relay::Number;
use crate::wire::websocket::whole_text_frame;

/// The envelope that `bytes` are, to the last one.
pub(super) fn envelope(bytes: &Bytes) -> Result<Envelope, EnvelopeError> {
    match bytes.first() {
        Some(&VERSION) => Reader { bytes, at: 1 }.envelope().ok_or(EnvelopeError::Malformed),
        Some(&other) => Err(EnvelopeError::Version(other)),
        None => Err(EnvelopeError::Malformed),
    }
}

/// Reads forward; `None`: that is not there.
struct Reader<'b> {
    bytes: &'b Bytes,
    /// Invariant: at most `bytes.len()`.
    at: usize,
}

impl Reader<'_> {
    fn envelope(mut self) -> Option<Envelope> {
        let kind = self.u8()?;
        let (origin, sent_unix_ms) = (self.u64()?, self.u64()?);
        let body = self.body(kind)?;
        (self.at == self.bytes.len()).then_some(Envelope { origin, sent_unix_ms, body })
    }

    fn body(&mut self, kind: u8) -> Option<Body> {
        Some(match kind {
            kind::MESSAGE => self.message()?,
            kind::ANNOUNCE => {
                let (stream, number) = (self.stream()?, self.number()?);
                (number.lost <= number.number).then_some(Body::Announce { stream, number })?
            }
            kind::CLOSE => Body::Close { reason: self.reason()?, sessions: self.list(Self::session)? },
            kind::MUTED => Body::Muted { user: self.user()?, mutes: self.mutes()? },
            kind::ASK => Body::Ask { ticket: self.u64()?, question: self.question()? },
            kind::ANSWER => Body::Answer { ticket: self.u64()?, answer: self.answer()? },
            kind::SCHEDULES => Body::Schedules,
            kind::MARKER => Body::Marker { ticket: self.u64()? },
            _ => return None,
        })
    }

    fn message(&mut self) -> Option<Body> {
        let (stream, number) = (self.stream()?, self.number()?);
        let kind = if self.bool()? { Some(Arc::from(self.text()?)) } else { None };
        // Every client of this node would stumble over a frame that is none.
        whole_text_frame(&self.bytes[self.at..])?;
        let frame = self.bytes.slice(self.at..);
        self.at = self.bytes.len();
        (number.lost < number.number).then_some(Body::Message { stream, number, kind, frame })
    }

    fn stream(&mut self) -> Option<Stream> {
        match self.u8()? {
            tag::STREAM_ALL => Some(Stream::All),
            tag::STREAM_USER => self.user().map(Stream::User),
            tag::STREAM_CHANNEL => self.channel().map(Stream::Channel),
            _ => None,
        }
    }

    fn number(&mut self) -> Option<Number> {
        let number = Number { generation: self.u64()?, number: self.u64()?, lost: self.u64()? };
        (number.number > 0).then_some(number)
    }

    fn reason(&mut self) -> Option<CloseReason> {
        match self.u8()? {
            tag::REPLACED => Some(CloseReason::Replaced),
            tag::KICKED => Some(CloseReason::Kicked),
            _ => None,
        }
    }

    fn session(&mut self) -> Option<SessionId> {
        let boot = self.u64()?;
        let shard = ShardId(u16::from_be_bytes(self.array()?));
        let conn = ConnId { index: self.u32()?, generation: self.u32()? };
        Some(SessionId { boot, at: SessionRef { shard, conn } })
    }

    fn mutes(&mut self) -> Option<Mutes> {
        let words = self.list(|reader| reader.text().map(Arc::<str>::from))?;
        words.is_sorted_by(|one, next| one < next).then(|| words.into())
    }

    fn question(&mut self) -> Option<Question> {
        match self.u8()? {
            tag::CHANNELS => {
                let (prefix, after) = (self.text()?.into(), self.text()?.into());
                let channels_max = self.u64()?.try_into().ok().filter(|max| *max > 0)?;
                Some(Question::Channels(ChannelRange { prefix, after, channels_max }))
            }
            tag::CHANNEL => Some(Question::Channel { channel: self.channel()?, members: self.bool()? }),
            _ => None,
        }
    }

    fn answer(&mut self) -> Option<Answer> {
        match self.u8()? {
            tag::CHANNELS => self.page().map(Answer::Channels),
            tag::CHANNEL => {
                let (channel, subscribers) = (self.channel()?, self.u64()?);
                Some(Answer::Channel { channel, subscribers, elsewhere: 0, users: self.list(Self::user)? })
            }
            _ => None,
        }
    }

    /// The answering node's own counts.
    fn page(&mut self) -> Option<ChannelPage> {
        let more = self.bool()?;
        let channels =
            self.list(|reader| Some(ChannelCount { name: reader.channel()?, here: reader.u64()?, elsewhere: 0 }))?;
        Some(ChannelPage { channels, more })
    }

    fn user(&mut self) -> Option<UserName> {
        self.text().and_then(UserName::parse)
    }

    fn channel(&mut self) -> Option<ChannelName> {
        self.text().and_then(ChannelName::parse)
    }

    /// As many as it says. The count alone reserves nothing: whoever lies about it runs out of bytes.
    fn list<T>(&mut self, mut read: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.u32()?;
        (0..count).map(|_| read(self)).collect()
    }

    fn text(&mut self) -> Option<&str> {
        let len = self.u32()? as usize;
        let bytes = self.take(len)?;
        simdutf8::basic::from_utf8(bytes).ok()
    }

    fn bool(&mut self) -> Option<bool> {
        match self.u8()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    fn array<const LEN: usize>(&mut self) -> Option<[u8; LEN]> {
        self.take(LEN)?.try_into().ok()
    }

    fn take(&mut self, len: usize) -> Option<&[u8]> {
        let taken = self.bytes[self.at..].get(..len)?;
        self.at += len;
        Some(taken)
    }
}
