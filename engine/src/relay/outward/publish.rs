//! What is on its way to other nodes: numbered when it is taken in, kept until Redis has it, sent again when in doubt.
//!
//! Knows nothing of connections.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use epush_core::batch::Stream;
use epush_core::message::Target;
use epush_core::relay::{Body, Number, Numbers, UNUSED_MS};

use crate::intake::Permit;
use crate::relay::scripts::{Call, Calls};

/// See the module.
#[derive(Debug, Default)]
pub struct Queue {
    /// Oldest first.
    ///
    /// Invariant: of each stream in the order of their numbers. Hence an announcement of a stream's newest number goes to the back.
    waiting: VecDeque<Outgoing>,
    numbers: Numbers,
    /// Numbers that Redis refused, and their streams: whoever waits for them is to know that they will not come.
    refused: Vec<(Stream, Number)>,
}

/// A message of one stream, or the announcement that there is no more of it.
#[derive(Debug)]
pub struct Outgoing {
    /// To whom.
    pub stream: Stream,
    /// Its place among this node's messages to the stream.
    pub number: Number,
    /// None: everything up to the number has been sent.
    pub message: Option<Message>,
}

/// See [`Outgoing`].
#[derive(Debug)]
pub struct Message {
    /// The message type.
    kind: Option<Arc<str>>,
    /// The whole frame.
    frame: Bytes,
    /// The publication's room in the queue, given back with the last message of it.
    _permit: Arc<Permit>,
}

/// Refused numbers kept to be announced: Redis refuses when its memory is full, and ours is not to follow.
const REFUSED_MAX: usize = 10_000;

/// Losses announced at a time: one that lost of a million streams must not keep messages waiting.
const ANNOUNCED_AT_ONCE: usize = 1_000;

/// Bytes of messages in one pipeline, and how many: what a reply to something more urgent waits for at most. One more goes when
/// the first alone is larger.
const PIPELINE_BYTES: usize = 1024 * 1024;
const PIPELINE_MESSAGES: usize = 4_096;

/// Bytes that a message costs besides its frame: names, number, the script's hash.
const MESSAGE_OVERHEAD: usize = 256;

impl Queue {
    /// Takes a publication in and numbers its messages.
    pub fn publish(&mut self, to: Target, kind: Option<&Arc<str>>, frames: Vec<Bytes>, permit: Permit, now_ms: u64) {
        let permit = Arc::new(permit);
        for (stream, frame) in streams(to).zip(frames) {
            let number = self.numbers.next(&stream, now_ms);
            let message = Message { kind: kind.cloned(), frame, _permit: Arc::clone(&permit) };
            self.waiting.push_back(Outgoing { stream, number, message: Some(message) });
        }
    }

    /// Notes that a publication is lost. Returns how many messages that are.
    pub fn lose(&mut self, to: Target, now_ms: u64) -> u64 {
        streams(to).map(|stream| self.numbers.lose(&stream, now_ms)).count() as u64
    }

    /// The oldest that fit into a pipeline; they come back with [`Queue::put_back`], or are done.
    pub fn take(&mut self) -> Vec<Outgoing> {
        let mut bytes = 0;
        let fits = |outgoing: &&Outgoing| {
            bytes += outgoing.bytes();
            bytes <= PIPELINE_BYTES
        };
        let count = self.waiting.iter().take(PIPELINE_MESSAGES).take_while(fits).count().max(1);
        self.waiting.drain(..count.min(self.waiting.len())).collect()
    }

    /// What was taken and may not have been sent. In the order it was taken in.
    pub fn put_back(&mut self, unsent: Vec<Outgoing>) {
        for outgoing in unsent.into_iter().rev() {
            self.waiting.push_front(outgoing);
        }
    }

    /// Redis has it.
    pub fn heard(&mut self, outgoing: &Outgoing, now_ms: u64) {
        self.numbers.sent(&outgoing.stream, now_ms);
    }

    /// Nobody was there for it. When nothing has come after it the stream is forgotten.
    pub fn unheard(&mut self, outgoing: &Outgoing) {
        if self.numbers.is_newest(&outgoing.stream, outgoing.number) {
            self.numbers.forget(&outgoing.stream);
        }
    }

    /// Redis will not have it.
    pub fn refused(&mut self, outgoing: Outgoing) {
        if self.refused.len() < REFUSED_MAX {
            self.refused.push((outgoing.stream, outgoing.number));
        }
    }

    /// Puts announcements of what was refused behind everything else.
    pub fn announce_refused(&mut self) {
        let refused = std::mem::take(&mut self.refused);
        self.announce(refused);
    }

    /// Puts announcements of some losses that no later message tells behind everything else.
    pub fn announce_losses(&mut self) {
        let lost = self.numbers.take_unannounced(ANNOUNCED_AT_ONCE);
        self.announce(lost);
    }

    /// Puts announcements of all streams used since then behind everything else. What waits announces what was before it
    /// itself; so however often this is asked, no stream waits more than once to be announced.
    pub fn announce_used(&mut self, since_ms: u64) {
        let mut used = self.numbers.used_since(since_ms);
        let waiting: HashSet<&Stream> = self.waiting.iter().map(|outgoing| &outgoing.stream).collect();
        used.retain(|(stream, _)| !waiting.contains(stream));
        self.announce(used);
    }

    fn announce(&mut self, streams: Vec<(Stream, Number)>) {
        let announcements = streams.into_iter().map(|(stream, number)| Outgoing { stream, number, message: None });
        self.waiting.extend(announcements);
    }

    /// Forgets streams that were not used for long. What waits has a number of its stream.
    pub fn prune(&mut self, now_ms: u64) {
        if self.waiting.is_empty() {
            self.numbers.prune(now_ms.saturating_sub(UNUSED_MS));
        }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many streams have losses that are yet to be announced.
    pub fn untold(&self) -> usize {
        self.numbers.unannounced()
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }
}

impl Outgoing {
    /// What the others are told.
    pub fn body(&self) -> Body {
        let (stream, number) = (self.stream.clone(), self.number);
        match &self.message {
            Some(message) => Body::Message { stream, number, kind: message.kind.clone(), frame: message.frame.clone() },
            None => Body::Announce { stream, number },
        }
    }

    /// What carries its envelope.
    pub fn call(&self, calls: &Calls, envelope: &[u8]) -> Call {
        match &self.stream {
            Stream::User(user) => calls.publish_user(user, self.number, envelope),
            Stream::Channel(channel) => calls.publish_channel(channel, self.number, envelope),
            Stream::All => calls.publish_all(self.number, envelope),
        }
    }

    fn bytes(&self) -> usize {
        self.message.as_ref().map_or(0, |message| message.frame.len()) + MESSAGE_OVERHEAD
    }
}

fn streams(to: Target) -> impl Iterator<Item = Stream> {
    let (users, channels, all) = match to {
        Target::Users(users) => (users, Vec::new(), None),
        Target::Channels(channels) => (Vec::new(), channels, None),
        Target::All => (Vec::new(), Vec::new(), Some(Stream::All)),
    };
    users.into_iter().map(Stream::User).chain(channels.into_iter().map(Stream::Channel)).chain(all)
}
