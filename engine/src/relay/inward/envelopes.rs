//! What other nodes send, and where each of it goes.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use epush_core::batch::Stream;
use epush_core::close::CloseReason;
use epush_core::id::{SessionId, ShardId};
use epush_core::mail::{Mail, Mutes, Question, Relayed, Report};
use epush_core::message::{Publication, Target, UserName};
use epush_core::relay::{Body, Envelope, EnvelopeError, Head, NodeId, Number};
use redis::Value;
use tracing::warn;

use super::Inward;
use super::link::Heard;
use crate::intake::Refused;
use crate::logging::Kind;
use crate::relay::Order;
use crate::relay::scripts::reply;

/// A message that waits for room in the intake.
#[derive(Debug)]
pub struct Held {
    stream: Stream,
    kind: Option<Arc<str>>,
    frame: Bytes,
}

/// What a message weighs besides its frame: its names, and its places in queues.
const MESSAGE_OVERHEAD_BYTES: usize = 128;

impl Inward {
    /// Does what a link said.
    pub(super) fn heard(&mut self, heard: Heard, now_ms: u64) {
        match heard {
            Heard::Message(bytes) => match Envelope::decode(&Bytes::from(bytes)) {
                Ok(envelope) => self.opened(envelope, now_ms),
                Err(error) => self.skip(error),
            },
            Heard::Heads(stream, reply) => match reply::heads(&reply, self.boot) {
                Ok(heads) => self.heads(stream, &heads, now_ms),
                // What is there in place of heads says nothing about what was sent.
                Err(_) => self.odd_heads(stream, &reply, now_ms),
            },
            Heard::Nothing => {}
        }
    }

    fn opened(&mut self, envelope: Envelope, now_ms: u64) {
        let Envelope { origin, sent_unix_ms, body } = envelope;
        // What this node says to all comes back to it. Close names sessions, whoever says it.
        let is_own = origin == self.boot;
        match body {
            Body::Marker { ticket } if is_own => self.marker(ticket, now_ms),
            Body::Ask { ticket, .. } if is_own => {
                if let Some(done) = self.gather.echo(ticket) {
                    self.answer(done);
                }
            }
            Body::Close { sessions, reason } => self.close(&sessions, reason),
            _ if is_own => {}
            Body::Message { stream, number, kind, frame } => {
                self.observe_lag(sent_unix_ms);
                self.message(stream, origin, number, kind, frame, now_ms);
            }
            Body::Announce { stream, number } => {
                let lost = self.ledger.announced(&stream, origin, number, now_ms);
                self.lost(stream, lost);
            }
            Body::Muted { user, mutes } => {
                // The script that changed them has put its own time in.
                if self.muted(&user, &mutes, sent_unix_ms, now_ms) {
                    self.order(Order::Muted { user, mutes });
                }
            }
            Body::Ask { ticket, question } => self.asked(origin, ticket, &question, now_ms),
            Body::Answer { ticket, answer } => {
                if let Some(done) = self.gather.answered(ticket, origin, answer) {
                    self.answer(done);
                }
            }
            Body::Schedules => self.order(Order::SchedulesChanged),
            // Another's markers come by no way of this node's.
            Body::Marker { .. } => {}
        }
    }

    fn message(
        &mut self,
        stream: Stream,
        origin: NodeId,
        number: Number,
        kind: Option<Arc<str>>,
        frame: Bytes,
        now_ms: u64,
    ) {
        match &stream {
            // Unsubscribed from a moment ago.
            Stream::Channel(channel) if !self.interest.knows(channel) => return,
            Stream::User(user) if !self.ledger.is_open(&stream) => self.early.note(user, origin, number, now_ms),
            _ => {}
        }
        let receipt = self.ledger.receive(&stream, origin, number, now_ms);
        self.lost(stream.clone(), receipt.lost);
        if !receipt.fresh {
            self.figures.duplicates.fetch_add(1, Relaxed);
            return;
        }
        self.figures.received.fetch_add(1, Relaxed);
        self.deliver(Held { stream, kind, frame });
    }

    /// Gives a message to the shards, or holds it until there is room.
    fn deliver(&mut self, message: Held) {
        match self.intake.reserve(message.frame.len() + MESSAGE_OVERHEAD_BYTES) {
            Ok(permit) => {
                let Held { stream, kind, frame } = message;
                let to = match stream {
                    Stream::Channel(channel) => Target::Channels(vec![channel]),
                    Stream::User(user) => Target::Users(vec![user]),
                    Stream::All => Target::All,
                };
                let publication = Publication {
                    to,
                    kind,
                    accepted_us: Arc::new(self.clock.monotonic_us()),
                    frames: vec![frame],
                    permit: Some(Box::new(permit)),
                };
                self.handoff.push(Relayed::Publication(Arc::new(publication)));
            }
            Err(Refused::Full) => {
                // What is collected has to reach the shards, or it never makes room.
                self.handoff.flush();
                self.held = Some(message);
            }
            Err(Refused::TooLarge) => self.lost(message.stream, 1),
        }
    }

    /// Whether nothing is held any more.
    pub(super) fn retry_held(&mut self, now_ms: u64) -> bool {
        let Some(message) = self.held.take() else { return true };
        self.deliver(message);
        if self.held.is_some() {
            return false;
        }
        for (_, link) in self.links.standing_links() {
            link.excuse(now_ms);
        }
        true
    }

    /// Tells the sessions of a stream that so many messages will not come, if any.
    pub(super) fn lost(&mut self, stream: Stream, count: u64) {
        if count > 0 {
            self.figures.lost.fetch_add(count, Relaxed);
            self.handoff.push(Relayed::Lost { stream, count });
        }
    }

    /// What was sent by now: what of it did not come is lost.
    pub(super) fn compare(&mut self, stream: Stream, heads: &[Head], now_ms: u64) {
        if self.ledger.is_open(&stream) {
            let lost = self.ledger.compare(&stream, heads, now_ms);
            self.lost(stream, lost);
        }
    }

    /// Tells the shards a user's muted types, unless they know a later change. Returns whether it did.
    pub(super) fn muted(&mut self, user: &UserName, mutes: &Mutes, at_unix_ms: u64, now_ms: u64) -> bool {
        let is_news = self.muting.changed(user, mutes, at_unix_ms, now_ms);
        if is_news {
            self.handoff.post_all(|| Mail::Muted { user: user.clone(), mutes: mutes.clone() });
        }
        is_news
    }

    /// What was sent to a stream before everything that comes from now on.
    fn heads(&mut self, stream: Stream, heads: &[Head], now_ms: u64) {
        // Opened by these heads, the stream lacks nothing; open since before a cut, it may.
        self.ledger.open(stream.clone(), heads, now_ms);
        self.compare(stream.clone(), heads, now_ms);
        self.confirm(stream);
    }

    fn odd_heads(&mut self, stream: Stream, reply: &Value, now_ms: u64) {
        if self.throttle.admit(Kind::Relay, now_ms * 1_000) {
            warn!(?stream, ?reply, "what Redis keeps in place of the heads of a stream says nothing");
        }
        self.ledger.open(stream.clone(), &[], now_ms);
        self.confirm(stream);
    }

    fn confirm(&mut self, stream: Stream) {
        let Stream::Channel(channel) = stream else { return };
        for shard in self.interest.confirmed(&channel) {
            self.handoff.post(shard, Mail::Joined(channel.clone()));
        }
    }

    fn marker(&mut self, ticket: u64, now_ms: u64) {
        for (user, heads) in self.markers.arrived(ticket) {
            self.compare(Stream::User(user), &heads, now_ms);
        }
    }

    fn close(&mut self, sessions: &[SessionId], reason: CloseReason) {
        for session in sessions.iter().filter(|session| session.boot == self.boot) {
            self.handoff.post(session.at.shard, Mail::Close { conn: session.at.conn, reason });
        }
    }

    fn asked(&mut self, origin: NodeId, ticket: u64, question: &Question, now_ms: u64) {
        let shards = self.handoff.shards();
        let Some(own) = self.gather.asked_by(origin, ticket, question, shards, now_ms) else { return };
        let report = Report { shard: ShardId::RELAY, ticket: own };
        self.handoff.post_all(|| Mail::Ask { question: question.clone(), report });
    }

    fn skip(&mut self, error: EnvelopeError) {
        let counter = match error {
            EnvelopeError::Version(_) => &self.figures.skipped_version,
            EnvelopeError::Malformed => &self.figures.skipped_malformed,
        };
        counter.fetch_add(1, Relaxed);
        if self.throttle.admit(Kind::Relay, self.clock.monotonic_us()) {
            warn!(?error, "skipped what another node sent");
        }
    }

    fn observe_lag(&self, sent_unix_ms: u64) {
        let unix_ms = self.clock.now().unix_ms.saturating_add_signed(self.view.load().clock_offset_ms);
        // Clocks agree to a few milliseconds at best: a message from the future has just been sent.
        self.figures.lag.observe(unix_ms.saturating_sub(sent_unix_ms).saturating_mul(1_000));
    }
}
