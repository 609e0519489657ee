//! Publishing over WebSocket: the handshake, the dialect's steps before anything else, and a frame for each publication.
//!
//! Knows neither sockets nor when something is due. What subscribers get is of no interest here, even where the server sends
//! it to the publisher, too.

use super::desk::Desk;
use super::http::Verdict;
use super::ledger::{Item, Ledger};
use crate::client::fragments::Fragments;
use crate::client::parts::parts;
use crate::client::{Ended, frame, handshake};
use crate::dialect::template::{Fill, Template};
use crate::plan::Plan;
use crate::stamp::{self, Stamp};

/// One connection.
#[derive(Debug)]
pub struct WebSocket {
    /// The publisher's number in the plan.
    number: usize,
    /// Its name at the server.
    user: String,
    phase: Phase,
    /// What the handshake's key is made of, and every mask.
    nonce: u64,
    /// Bytes of a head or of a frame that is not whole.
    begun: Vec<u8>,
    /// A message in fragments, where one is under way.
    fragments: Fragments,
    /// When it opened, or sent the dialect's keepalive after that; monotonic nanoseconds.
    kept_alive_ns: u64,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Handshake,
    /// At this step of the dialect's; `asked`: what it sends is sent.
    Opening {
        step: usize,
        asked: bool,
    },
    Ready,
    /// Its close frame is written: the server's says that it took everything before.
    Leaving,
}

impl WebSocket {
    /// Not open yet: connection so-and-so of publisher so-and-so.
    #[must_use]
    pub fn new(number: usize, connection: u32) -> Self {
        let user = format!("publisher-{number}-{connection}");
        let nonce = (number as u64) << 32 | u64::from(connection);
        Self {
            number,
            user,
            phase: Phase::Handshake,
            nonce,
            begun: Vec::new(),
            fragments: Fragments::default(),
            kept_alive_ns: 0,
        }
    }

    /// The connection is open: the handshake is appended to `out`.
    pub fn opened(&mut self, now_ns: u64, out: &mut Vec<u8>, plan: &Plan) {
        self.phase = Phase::Handshake;
        self.begun.clear();
        self.fragments = Fragments::default();
        self.kept_alive_ns = now_ns;
        self.next_nonce();
        handshake::write_request(plan, &Fill { user: &self.user, ..Fill::default() }, self.nonce, out);
    }

    /// Publications may be written.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.phase == Phase::Ready
    }

    /// It said goodbye.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.phase == Phase::Leaving
    }

    /// Says goodbye.
    pub fn leave(&mut self, out: &mut Vec<u8>) {
        if self.phase == Phase::Ready {
            self.phase = Phase::Leaving;
            frame::write(frame::CLOSE, &NORMAL_CLOSURE.to_be_bytes(), self.next_nonce(), out);
        }
    }

    /// Appends the dialect's keepalive to `out`, where it is due.
    pub fn keep_alive(&mut self, now_ns: u64, out: &mut Vec<u8>, plan: &Plan) {
        let (Some(text), Some(keepalive)) = (&plan.words.keepalive, &plan.dialect.keepalive) else { return };
        let interval_ns = keepalive.interval_ms.saturating_mul(1_000_000);
        let speaks = matches!(self.phase, Phase::Opening { .. } | Phase::Ready);
        if speaks && now_ns.saturating_sub(self.kept_alive_ns) >= interval_ns {
            self.kept_alive_ns = now_ns;
            self.say(text, out, plan);
        }
    }

    /// Appends a publication to `out`.
    pub fn publish(&mut self, item: Item, slip_ns: u64, out: &mut Vec<u8>, desk: &mut Desk) {
        let mask = self.next_nonce();
        let opcode = if desk.plan.words.binary { frame::BINARY } else { frame::TEXT };
        frame::write(opcode, desk.composer.frame(&desk.plan, item, slip_ns), mask, out);
    }

    /// Bytes came in; answers to them are appended to `out`.
    pub fn receive(&mut self, bytes: &[u8], out: &mut Vec<u8>, plan: &Plan, ledger: &mut Ledger) -> Verdict {
        let mut begun = std::mem::take(&mut self.begun);
        begun.extend_from_slice(bytes);
        let taken = self.take(&begun, out, plan, ledger);
        begun.drain(..taken.as_ref().copied().unwrap_or(0));
        self.begun = begun;
        taken.map_or_else(Verdict::Broken, |_| Verdict::Stays)
    }

    /// Takes what is whole; returns how many bytes that were.
    fn take(&mut self, bytes: &[u8], out: &mut Vec<u8>, plan: &Plan, ledger: &mut Ledger) -> Result<usize, String> {
        let mut at = 0;
        if self.phase == Phase::Handshake {
            let answer = handshake::read_answer(bytes, self.nonce, plan.words.subprotocol.as_deref());
            let Some(head) = answer.map_err(|ended| words(ended, ledger))? else { return Ok(0) };
            at = head;
            self.step(0, out, plan);
        }
        while let Some(header) = frame::Header::read(&bytes[at..])? {
            let Some(whole) = bytes[at..].get(..header.frame_bytes()) else { break };
            self.frame(header, &whole[header.header_bytes..], out, plan, ledger)?;
            at += header.frame_bytes();
        }
        Ok(at)
    }

    fn frame(
        &mut self,
        header: frame::Header,
        payload: &[u8],
        out: &mut Vec<u8>,
        plan: &Plan,
        ledger: &mut Ledger,
    ) -> Result<(), String> {
        match header.opcode {
            frame::PING => frame::write(frame::PONG, payload, self.next_nonce(), out),
            frame::PONG => {}
            frame::CLOSE => return Err(closed(payload)),
            _ => {
                let Some(message) = self.fragments.take(header, payload)? else { return Ok(()) };
                let mut parts = parts(&message, plan.words.separator.as_ref());
                return parts.try_for_each(|part| self.message(part, out, plan, ledger));
            }
        }
        Ok(())
    }

    /// One of the messages that may share a frame.
    fn message(&mut self, text: &[u8], out: &mut Vec<u8>, plan: &Plan, ledger: &mut Ledger) -> Result<(), String> {
        if let Some(answer) = plan.words.answers.iter().find(|answer| answer.fits(text)) {
            self.say(&answer.send, out, plan);
            return Ok(());
        }
        if plan.words.error.as_ref().is_some_and(|error| error.find(text).is_some()) {
            return self.refused(text, plan, ledger);
        }
        if let Phase::Opening { step, asked } = self.phase
            && let Some(words) = plan.words.open.get(step)
        {
            let awaited = if asked { &words.until } else { &words.after };
            if awaited.as_ref().is_some_and(|awaited| awaited.find(text).is_some()) {
                self.advance(step, asked, out, plan);
            }
        }
        Ok(())
    }

    /// A refusal names its message where it repeats the payload; else nobody knows which one it was. A message that this
    /// publisher did not give out is none of its.
    fn refused(&self, text: &[u8], plan: &Plan, ledger: &mut Ledger) -> Result<(), String> {
        let words: String = String::from_utf8_lossy(text).chars().take(WORDS_MAX).collect();
        if !matches!(self.phase, Phase::Ready | Phase::Leaving) {
            return Err(format!("refused before it was ready: {words}"));
        }
        let first_stream = plan.publishers[self.number].start;
        let stamp = stamp::find(text).and_then(|at| Stamp::read(&text[at..]));
        match stamp.filter(|stamp| stamp.run == plan.run && ledger.gave_out(first_stream, stamp.stream, stamp.seq)) {
            Some(stamp) => ledger.refuse(stamp.stream, stamp.seq, REFUSED, &words),
            None => ledger.refuse_unnumbered(REFUSED, &words),
        }
        Ok(())
    }

    /// Goes on at a step until something has to be waited for.
    fn step(&mut self, step: usize, out: &mut Vec<u8>, plan: &Plan) {
        self.phase = Phase::Opening { step, asked: false };
        match plan.words.open.get(step) {
            None => self.phase = Phase::Ready,
            Some(words) if words.after.is_some() => {}
            Some(_) => self.advance(step, false, out, plan),
        }
    }

    /// What a step waited for is here: before it sends, or after.
    fn advance(&mut self, step: usize, asked: bool, out: &mut Vec<u8>, plan: &Plan) {
        let words = &plan.words.open[step];
        if asked {
            return self.step(step + 1, out, plan);
        }
        if let Some(send) = &words.send {
            self.say(send, out, plan);
        }
        self.phase = Phase::Opening { step, asked: true };
        if words.until.is_none() {
            self.step(step + 1, out, plan);
        }
    }

    fn say(&mut self, text: &Template, out: &mut Vec<u8>, plan: &Plan) {
        let mask = self.next_nonce();
        let opcode = if plan.words.binary { frame::BINARY } else { frame::TEXT };
        let from = out.len();
        text.expand(&Fill { user: &self.user, ..Fill::default() }, out);
        frame::seal(opcode, from, mask, out);
    }

    /// The next of a sequence without a short period: Knuth's multiplier.
    const fn next_nonce(&mut self) -> u32 {
        self.nonce = self.nonce.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.nonce >> 32) as u32
    }
}

fn words(ended: Ended, ledger: &mut Ledger) -> String {
    match ended {
        Ended::Failed { kind, example } => {
            ledger.fail(&format!("publisher: {kind}"), &example);
            kind
        }
        Ended::Closed => String::from("closed by the server"),
    }
}

fn closed(payload: &[u8]) -> String {
    match frame::read_close(payload) {
        Ok(Some((code, reason))) => format!("closed with {code} {reason}").trim().to_owned(),
        Ok(None) => String::from("closed without a code"),
        Err(what) => what.to_owned(),
    }
}

const REFUSED: &str = "publication refused";

/// RFC 6455 §7.4.1.
const NORMAL_CLOSURE: u16 = 1_000;

/// Characters of a refusal that are kept as an example.
const WORDS_MAX: usize = 200;
