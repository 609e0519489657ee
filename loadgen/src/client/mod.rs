//! One client without its socket: bytes and the time go in; bytes to send and counts come out.
//!
//! There is one [`Client`] for each number of the plan, for the whole run. A session begins with [`Client::open`] and ends with
//! [`Client::ended`]; after churn the same client opens the next one. [`handshake`] is the request and its answer, [`frame`] what
//! bytes are frames, [`fragments`] which frames are a message, [`parts`] which messages share one, `join` the way to being
//! ready, `message` what frames mean, [`ticks`] when periodic pushes are due, `closing` what a session should have got.

use crate::dialect::template::Fill;
use crate::ledger::Ledger;
use crate::plan::{CLIENT_STREAM, Plan};
use crate::recorder::Recorder;
use crate::scenario::Activity;
use crate::stamp::Stamp;

mod closing;
pub mod fragments;
pub mod frame;
pub mod handshake;
mod inflow;
mod join;
mod message;
pub mod parts;
#[cfg(test)]
mod tests;
pub mod ticks;

use inflow::Begun;
use ticks::Ticks;

/// What a client needs from around it, for one call.
pub struct Turn<'a> {
    /// What everybody does.
    pub plan: &'a Plan,
    /// Where arrivals are counted.
    pub recorder: &'a mut Recorder,
    /// What it wants to send is appended here.
    pub out: &'a mut Vec<u8>,
    /// The time, monotonic nanoseconds.
    pub now_ns: u64,
}

/// How far a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It never had a connection.
    Idle,
    /// Its head is sent, no whole answer is here.
    Handshake,
    /// Steps of the dialect and subscriptions are under way.
    Joining,
    /// Ready.
    Ready,
    /// It wants to go: waits for the server's close frame.
    Leaving,
    /// Nothing more will come.
    Closed,
}

/// Why a client ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Though nobody here wanted it to.
    Failed {
        /// As in `handshake answered 403`.
        kind: String,
        /// The first line of what the server said.
        example: String,
    },
    /// The close frames are exchanged: the socket can be closed.
    Closed,
}

impl Ended {
    pub(crate) fn failed(kind: &str, example: &str) -> Self {
        Self::Failed { kind: kind.to_owned(), example: example.to_owned() }
    }
}

/// A client.
#[derive(Debug)]
pub struct Client {
    /// What its session got, and has to get. Empty while it is not ready, and once it is settled.
    ledger: Ledger,
    /// What came of a frame, or of a message, that is not whole. `None` most of the time: it costs memory only while it is needed.
    begun: Option<Box<Begun>>,
    /// Its periodic pushes, where it asked for some.
    ticks: Option<Box<Ticks>>,
    /// When its connection was due.
    due_ns: u64,
    /// What the key of its handshake is made of.
    nonce: u64,
    /// Messages it sent itself in all its sessions: the number of the next.
    sent: u64,
    number: u32,
    /// Answers that the stage of joining waits for. 0: it waits for what has to come before.
    awaited: u32,
    /// The stage of joining.
    step: u16,
    phase: Phase,
    /// Opened and not ended.
    is_open: bool,
    /// The session was ready.
    was_ready: bool,
    /// The server ended the session, which is not settled.
    was_closed: bool,
    /// Its account is closed for good.
    is_settled: bool,
}

/// The close code of a client that goes as planned.
const NORMAL_CLOSURE: u16 = 1_000;

impl Client {
    /// Client `number` of the plan.
    #[must_use]
    pub fn new(number: u32) -> Self {
        Self {
            ledger: Ledger::default(),
            begun: None,
            ticks: None,
            due_ns: 0,
            nonce: 0,
            sent: 0,
            number,
            awaited: 0,
            step: 0,
            phase: Phase::Idle,
            is_open: false,
            was_ready: false,
            was_closed: false,
            is_settled: false,
        }
    }

    /// Its number in the whole run.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// How far it is.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// The socket is there (TLS, too): writes the request head. `due_ns` is when the connection was due.
    pub fn open(&mut self, due_ns: u64, turn: &mut Turn<'_>) {
        debug_assert!(!self.is_open, "the session before has ended");
        if self.was_closed {
            self.depart_after_close(turn);
        }
        self.due_ns = due_ns;
        self.nonce = turn.recorder.random();
        self.step = 0;
        self.phase = Phase::Handshake;
        self.is_open = true;
        self.was_ready = false;
        let user = turn.plan.user(self.number);
        let channels = turn.plan.channels(self.number);
        let channel = channels.first().map_or("", String::as_str);
        let who = Fill { client: self.number, user: &user, channel, ..Fill::default() };
        handshake::write_request(turn.plan, &who, self.nonce, turn.out);
    }

    /// Bytes came in; counts what is in them and answers what wants an answer. It takes them all.
    ///
    /// # Errors
    /// When the connection has to end: what is in `turn.out` by then should still be sent.
    #[inline]
    pub fn receive(&mut self, bytes: &[u8], turn: &mut Turn<'_>) -> Result<(), Ended> {
        if self.phase == Phase::Ready && self.begun.is_none() {
            return self.take_frames(bytes, turn);
        }
        self.take(bytes, turn)
    }

    /// Sends the next message of its activity (echo or peer), due at this time.
    pub fn send(&mut self, due_ns: u64, turn: &mut Turn<'_>) {
        let plan = turn.plan;
        if self.phase != Phase::Ready {
            return;
        }
        let (to, text, opcode) = match plan.group(self.number).1.activity {
            Activity::Echo { binary: true, .. } => (None, Some(&plan.words.echo), frame::BINARY),
            Activity::Echo { .. } => (None, Some(&plan.words.echo), frame::TEXT),
            Activity::Peer { .. } => (plan.neighbour(self.number), plan.words.send_user.as_ref(), frame::TEXT),
            Activity::Listen | Activity::Every { .. } => return,
        };
        let Some(text) = text else { return };
        let opcode = if plan.words.binary { frame::BINARY } else { opcode };
        let stream = CLIENT_STREAM | self.number;
        let slip_us = (turn.now_ns.saturating_sub(due_ns) / 1_000).min(u64::from(u32::MAX)) as u32;
        let stamp = Stamp { run: plan.run, intended_ns: due_ns, slip_us, stream, seq: self.sent };
        // Who, to whom, and the payload, one behind the other: nothing is allocated for a message.
        let mut scratch = std::mem::take(&mut turn.recorder.scratch);
        scratch.clear();
        plan.write_user(self.number, &mut scratch);
        let user_end = scratch.len();
        if let Some(to) = to {
            plan.write_user(to, &mut scratch);
        }
        let to_end = scratch.len();
        stamp.write(plan.payload_bytes(stream), &mut scratch);
        let name = |range: std::ops::Range<usize>| std::str::from_utf8(&scratch[range]).unwrap_or_default();
        let (user, to) = (name(0..user_end), name(user_end..to_end));
        let fill = Fill { client: self.number, user, to, payload: &scratch[to_end..], ..Fill::default() };
        join::say_as(opcode, text, &fill, turn);
        turn.recorder.scratch = scratch;
        turn.recorder.counts_mut().sent += 1;
        self.sent += 1;
    }

    /// Messages of its own that it waits to have back (echo). One that came out of its turn says that those before are lost,
    /// so that a loss does not hold it up for ever.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        let own = CLIENT_STREAM | self.number;
        let account = self.ledger.accounts().iter().find(|account| account.stream() == own);
        account.map_or(0, |account| self.sent.saturating_sub(account.next()) as u32)
    }

    /// Messages it sent in all its sessions.
    #[must_use]
    pub const fn sent(&self) -> u64 {
        self.sent
    }

    /// Sends the dialect's keepalive.
    pub fn keepalive(&mut self, turn: &mut Turn<'_>) {
        if let (Phase::Joining | Phase::Ready, Some(text)) = (self.phase, &turn.plan.words.keepalive) {
            self.say(text, turn);
        }
    }

    /// Says goodbye as planned. Then it is [`Phase::Leaving`]; or, if there was nobody to say it to, [`Phase::Closed`].
    pub fn leave(&mut self, turn: &mut Turn<'_>) {
        if !matches!(self.phase, Phase::Joining | Phase::Ready) {
            self.phase = Phase::Closed;
            return;
        }
        if let Some(text) = &turn.plan.words.leave {
            self.say(text, turn);
        }
        frame::write(frame::CLOSE, &NORMAL_CLOSURE.to_be_bytes(), turn.recorder.random() as u32, turn.out);
        self.phase = Phase::Leaving;
    }

    /// Its connection is over: `by_plan`, or by the server. What it missed until then stays in its account. To be called once
    /// for every [`Client::open`].
    pub fn ended(&mut self, by_plan: bool, turn: &mut Turn<'_>) {
        if !std::mem::take(&mut self.is_open) {
            return;
        }
        turn.recorder.held.let_go(self.reserved_bytes());
        let begun = self.begun.take();
        self.ticks = None;
        self.phase = Phase::Closed;
        let was_ready = std::mem::take(&mut self.was_ready);
        let counts = turn.recorder.counts_mut();
        counts.bytes_partial += begun.map_or(0, |begun| begun.held_bytes());
        match (by_plan, was_ready) {
            (true, _) => counts.closed_by_plan += 1,
            (false, true) => counts.closed_by_server += 1,
            (false, false) => counts.failed += 1,
        }
        if by_plan {
            self.depart_by_plan(turn);
        } else {
            self.was_closed = was_ready && !self.is_settled;
        }
    }

    fn say(&self, text: &crate::dialect::template::Template, turn: &mut Turn<'_>) {
        let user = turn.plan.user(self.number);
        join::say(text, &Fill { client: self.number, user: &user, ..Fill::default() }, turn);
    }
}
