//! One peer: its phase, what waits for it, and what it may do.
//!
//! Plain state; the rules that move it are the shard's.

use std::net::IpAddr;

use serde_json::value::RawValue;
use smallvec::SmallVec;

use crate::close::CloseReason;
use crate::hub::Subscription;
use crate::mail::Identity;
use crate::outbox::Outbox;
use crate::rate::TokenBucket;
use crate::shard::Door;
use crate::shard::exchange::Exchange;
use crate::wheel::TimerKey;
use crate::wire::websocket::Decoder;

/// Where a connection stands. docs/LIFECYCLE.md has the picture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// A trusted proxy owes its PROXY header.
    Proxy,
    /// Reading an HTTP request head, or waiting for one.
    Head,
    /// Reading the body of an API request.
    Body,
    /// An API request is being answered; nothing is read.
    Answering,
    /// The application decides whether to let the client in; nothing is read.
    Deciding,
    /// The user's home registers the session; nothing is read.
    SigningIn,
    /// Speaking the native protocol.
    Open,
    /// Speaking to `/echo`.
    Echo,
    /// Our close frame is queued, the peer's has not come.
    Closing,
    /// Nothing more will be said; the outbox drains, then the peer's end is awaited.
    Lingering,
    /// Gone; the slot is free at the end of the turn.
    Dead,
}

/// Small facts, one bit each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Flags(u16);

impl Flags {
    /// Stands in the list of urgent writes.
    pub const URGENT: u16 = 1;
    /// Stands in the list of fan-out writes.
    pub const BULK: u16 = 1 << 1;
    /// The socket took less than was offered.
    pub const BLOCKED: u16 = 1 << 2;
    /// A ping is out and nothing was heard since.
    pub const PING_SENT: u16 = 1 << 3;
    /// Gets broadcasts and counts as a session: open, and signed in where that is required.
    pub const ADMITTED: u16 = 1 << 4;
    /// Open, but a `hello` or an `every` is being decided; nothing is read.
    pub const WAITING: u16 = 1 << 5;
    /// Too many of its questions are unanswered; nothing is read.
    pub const BUSY: u16 = 1 << 11;
    /// Not read because its outbox is over the limit.
    pub const CHOKED: u16 = 1 << 6;
    /// The sending half was shut down.
    pub const SHUT: u16 = 1 << 7;
    /// Its user has muted types.
    pub const MUTES: u16 = 1 << 8;
    /// The peer's half ended while an answer was due.
    pub const EOF: u16 = 1 << 9;
    /// Has a user for whom the home shard was told.
    pub const REGISTERED: u16 = 1 << 10;

    /// Whether one of the bits is set.
    #[must_use]
    pub const fn has(self, bits: u16) -> bool {
        self.0 & bits != 0
    }

    /// Sets or clears the bit.
    pub const fn set(&mut self, bit: u16, on: bool) {
        if on {
            self.0 |= bit;
        } else {
            self.0 &= !bit;
        }
    }
}

/// One peer. An idle signed-in session owns no heap but its user's name and a second subscription's list.
pub struct Connection {
    /// How many connections used this slot before.
    pub generation: u32,
    /// Where it stands.
    pub phase: Phase,
    /// Which listener it came through.
    pub door: Door,
    /// Small facts.
    pub flags: Flags,
    /// Questions that others have to answer, and have not.
    pub unanswered: u16,
    /// Why it ends, once that is known.
    pub reason: Option<CloseReason>,
    /// Its one timer.
    pub deadline: Option<TimerKey>,
    /// The user's slot in the hub.
    pub user: Option<u32>,
    /// The client's address, behind trusted proxies too.
    pub remote: IpAddr,
    /// When it opened, in ms since 1970.
    pub since_unix_ms: u64,
    /// When bytes last came, in monotonic ms.
    pub last_input_ms: u64,
    /// What waits for the socket.
    pub outbox: Outbox,
    /// Frames half received.
    pub decoder: Decoder,
    /// Channels it is subscribed to.
    pub subscriptions: SmallVec<[Subscription; 1]>,
    /// What few connections need, or need briefly.
    pub rare: Option<Box<Rare>>,
}

/// What few connections need, or need briefly.
#[derive(Default)]
pub struct Rare {
    /// The HTTP side, until the upgrade.
    pub exchange: Option<Exchange>,
    /// Bytes that came while nothing was read.
    pub held: Vec<u8>,
    /// Who it will be, once its home agrees.
    pub identity: Option<Identity>,
    /// What the application attached.
    pub attributes: Option<Box<RawValue>>,
    /// When its token runs out, in ms since 1970.
    pub expires_unix_ms: Option<u64>,
    /// By when it must have signed in, in monotonic ms.
    pub sign_in_by_ms: Option<u64>,
    /// The `id` of the `hello` that is being decided, as JSON text.
    pub hello_id: Box<str>,
    /// Its periodic pushes: keys of the shard's jobs.
    pub jobs: Vec<u32>,
    /// How fast it may send.
    pub bucket: Option<TokenBucket>,
    /// Frames refused in a row for coming too fast.
    pub refused_frames: u32,
}

impl Rare {
    fn is_empty(&self) -> bool {
        self.exchange.is_none()
            && self.held.is_empty()
            && self.identity.is_none()
            && self.attributes.is_none()
            && self.expires_unix_ms.is_none()
            && self.sign_in_by_ms.is_none()
            && self.hello_id.is_empty()
            && self.jobs.is_empty()
            && self.bucket.is_none()
    }
}

impl Connection {
    /// A connection that has said nothing yet.
    #[must_use]
    pub fn new(generation: u32, door: Door, phase: Phase, remote: IpAddr, now: crate::now::Now) -> Self {
        Self {
            generation,
            phase,
            door,
            flags: Flags::default(),
            unanswered: 0,
            reason: None,
            deadline: None,
            user: None,
            remote,
            since_unix_ms: now.unix_ms,
            last_input_ms: now.monotonic_ms(),
            outbox: Outbox::default(),
            decoder: Decoder::default(),
            subscriptions: SmallVec::new(),
            rare: None,
        }
    }

    /// The rare part, made when missing.
    pub fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// Gives the rare part's memory back when nothing is in it.
    pub fn tidy(&mut self) {
        if self.rare.as_ref().is_some_and(|rare| rare.is_empty()) {
            self.rare = None;
        }
    }

    /// Whether it speaks WebSocket and has not begun to close.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::Echo)
    }

    /// Whether its bytes are wanted now.
    #[must_use]
    pub const fn wants_read(&self) -> bool {
        let waits = matches!(self.phase, Phase::Answering | Phase::Deciding | Phase::SigningIn | Phase::Dead);
        !waits && !self.flags.has(Flags::WAITING | Flags::BUSY | Flags::CHOKED)
    }

    /// Whether some, but not all, of an HTTP request has come.
    #[must_use]
    pub fn request_is_cut(&self) -> bool {
        self.rare.as_ref().and_then(|rare| rare.exchange.as_ref()).is_some_and(Exchange::is_cut)
    }

    /// The subscription to the channel in this slot of the hub.
    #[must_use]
    pub fn subscription(&self, channel: u32) -> Option<Subscription> {
        self.subscriptions.iter().find(|subscription| subscription.channel == channel).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_small() {
        assert!(size_of::<Connection>() <= 144, "{}", size_of::<Connection>());
    }
}
