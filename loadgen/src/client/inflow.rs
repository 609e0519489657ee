//! From bytes to messages: the answer to the handshake, frames whole and in parts, fragments, control frames.

use super::fragments::Fragments;
use super::frame::{self, BINARY, CLOSE, Header, PING, PONG, TEXT};
use super::{Client, Ended, Phase, Turn, handshake};
use crate::recorder::held::{TOO_MUCH_BEGUN, TOO_MUCH_BEGUN_WORDS};

/// What is not whole yet.
#[derive(Debug, Default)]
pub(super) struct Begun {
    /// The beginning of a frame, or of the handshake's answer.
    raw: Vec<u8>,
    /// A message in fragments, where one is under way.
    fragments: Fragments,
}

/// Bytes reserved at once for a frame that is announced: a server that announces much and sends little costs no more than this.
const RESERVE_MAX: usize = 65_536;

impl Begun {
    /// Bytes that were read and are in no frame yet. Fragments were frames.
    pub(super) fn held_bytes(&self) -> u64 {
        self.raw.len() as u64
    }

    /// Bytes that are kept for what is not whole.
    pub(super) const fn reserved_bytes(&self) -> usize {
        self.raw.capacity() + self.fragments.reserved_bytes()
    }
}

impl Client {
    /// Bytes came in while something is begun, or the client is not ready.
    pub(super) fn take(&mut self, bytes: &[u8], turn: &mut Turn<'_>) -> Result<(), Ended> {
        let held = self.begun.as_ref().map_or(0, |begun| begun.held_bytes());
        let reserved = self.reserved_bytes();
        let counted_before = counted(turn);
        let outcome = match self.phase {
            Phase::Idle | Phase::Closed => Err(Ended::Closed),
            Phase::Handshake => self.take_answer(bytes, turn),
            Phase::Joining | Phase::Ready | Phase::Leaving => self.take_rest(bytes, turn),
        };
        let unseen = held + bytes.len() as u64 - (counted(turn) - counted_before);
        self.conclude(outcome, reserved, unseen, turn)
    }

    /// Some of what was read is kept, in place of so much before; or the session ends, with so many bytes that are in no frame.
    #[cold]
    fn conclude(
        &mut self,
        outcome: Result<(), Ended>,
        reserved_before: usize,
        unseen: u64,
        turn: &mut Turn<'_>,
    ) -> Result<(), Ended> {
        let reserved = self.reserved_bytes();
        let outcome = outcome.and_then(|()| {
            let has_room = turn.recorder.held.begin(reserved_before, reserved);
            if has_room { Ok(()) } else { Err(Ended::failed(TOO_MUCH_BEGUN, TOO_MUCH_BEGUN_WORDS)) }
        });
        if outcome.is_err() {
            // Whatever came after the reason to end is not looked at.
            self.begun = None;
            turn.recorder.held.let_go(reserved_before);
            turn.recorder.counts_mut().bytes_partial += unseen;
            self.phase = Phase::Closed;
        }
        outcome
    }

    /// Bytes that are kept for what is not whole.
    pub(super) fn reserved_bytes(&self) -> usize {
        self.begun.as_ref().map_or(0, |begun| begun.reserved_bytes())
    }

    fn take_answer(&mut self, bytes: &[u8], turn: &mut Turn<'_>) -> Result<(), Ended> {
        let begun = self.begun.take();
        let kept = begun.map(|begun| [&begun.raw, bytes].concat());
        let all = kept.as_deref().unwrap_or(bytes);
        let subprotocol = turn.plan.words.subprotocol.as_deref();
        let Some(head_bytes) = handshake::read_answer(all, self.nonce, subprotocol)? else {
            self.keep(all, all.len());
            return Ok(());
        };
        turn.recorder.counts_mut().bytes_handshake += head_bytes as u64;
        self.join(turn);
        self.frames(&all[head_bytes..], turn)
    }

    fn take_rest(&mut self, bytes: &[u8], turn: &mut Turn<'_>) -> Result<(), Ended> {
        let rest = self.complete_frame(bytes, turn)?;
        self.frames(rest, turn)
    }

    /// Bytes came in, and nothing is begun: the way of nearly all.
    #[inline]
    pub(super) fn take_frames(&mut self, bytes: &[u8], turn: &mut Turn<'_>) -> Result<(), Ended> {
        let counted_before = counted(turn);
        let outcome = self.frames(bytes, turn);
        if outcome.is_ok() && self.begun.is_none() {
            return Ok(());
        }
        let unseen = bytes.len() as u64 - (counted(turn) - counted_before);
        self.conclude(outcome, 0, unseen, turn)
    }

    #[inline]
    fn frames(&mut self, bytes: &[u8], turn: &mut Turn<'_>) -> Result<(), Ended> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let header = Header::read(rest).map_err(violation)?;
            let Some((header, (frame, after))) =
                header.and_then(|header| Some((header, rest.split_at_checked(header.frame_bytes())?)))
            else {
                self.keep(rest, header.map_or(frame::HEADER_MAX, |header| header.frame_bytes()));
                return Ok(());
            };
            self.frame(header, &frame[header.header_bytes..], turn)?;
            rest = after;
        }
        Ok(())
    }

    /// Keeps the beginning of what will be so long.
    #[cold]
    fn keep(&mut self, bytes: &[u8], whole_bytes: usize) {
        let raw = &mut self.begun.get_or_insert_default().raw;
        raw.reserve_exact(whole_bytes.min(bytes.len() + RESERVE_MAX).max(bytes.len()));
        raw.extend_from_slice(bytes);
    }

    /// Completes the frame that is begun, and returns what comes after it.
    fn complete_frame<'a>(&mut self, bytes: &'a [u8], turn: &mut Turn<'_>) -> Result<&'a [u8], Ended> {
        let mut rest = bytes;
        let Some(begun) = self.begun.as_mut().filter(|begun| !begun.raw.is_empty()) else { return Ok(rest) };
        let header = loop {
            if let Some(header) = Header::read(&begun.raw).map_err(violation)? {
                break header;
            }
            let Some((first, after)) = rest.split_first() else { return Ok(rest) };
            begun.raw.push(*first);
            rest = after;
        };
        let missing = header.frame_bytes() - begun.raw.len();
        let (more, after) = rest.split_at(missing.min(rest.len()));
        begun.raw.reserve_exact(missing.min(more.len() + RESERVE_MAX));
        begun.raw.extend_from_slice(more);
        if more.len() < missing {
            return Ok(after);
        }
        let raw = std::mem::take(&mut begun.raw);
        if !begun.fragments.is_begun() {
            self.begun = None;
        }
        self.frame(header, &raw[header.header_bytes..], turn)?;
        Ok(after)
    }

    #[inline]
    fn frame(&mut self, header: Header, payload: &[u8], turn: &mut Turn<'_>) -> Result<(), Ended> {
        let counts = turn.recorder.counts_mut();
        counts.frames += 1;
        counts.bytes_frames += header.frame_bytes() as u64;
        if header.is_last && matches!(header.opcode, TEXT | BINARY) && self.begun.is_none() {
            return self.message(payload, header.opcode == TEXT, turn);
        }
        self.rare_frame(header, payload, turn)
    }

    #[cold]
    fn rare_frame(&mut self, header: Header, payload: &[u8], turn: &mut Turn<'_>) -> Result<(), Ended> {
        match header.opcode {
            CLOSE => Err(self.goodbye(payload, turn)),
            PING => {
                frame::write(PONG, payload, turn.recorder.random() as u32, turn.out);
                Ok(())
            }
            PONG => Ok(()),
            _ => self.fragment(header, payload, turn),
        }
    }

    fn fragment(&mut self, header: Header, payload: &[u8], turn: &mut Turn<'_>) -> Result<(), Ended> {
        let begun = self.begun.get_or_insert_default();
        let Some(message) = begun.fragments.take(header, payload).map_err(violation)? else { return Ok(()) };
        self.begun = None;
        // Whether it is UTF-8 was looked at when it became whole.
        self.message(&message, false, turn)
    }

    /// The server's close frame: the answer to ours, or one of its own, which is answered (§5.5.1).
    fn goodbye(&self, payload: &[u8], turn: &mut Turn<'_>) -> Ended {
        if self.phase == Phase::Leaving {
            return Ended::Closed;
        }
        let close = match frame::read_close(payload) {
            Ok(close) => close,
            Err(what) => return violation(what),
        };
        let code_only = &payload[..payload.len().min(2)];
        frame::write(CLOSE, code_only, turn.recorder.random() as u32, turn.out);
        match close {
            Some((code, reason)) => Ended::failed(format!("closed with {code} {reason}").trim_end(), reason),
            None => Ended::failed("closed without a code", ""),
        }
    }
}

const fn counted(turn: &Turn<'_>) -> u64 {
    let counts = turn.recorder.counts();
    counts.bytes_handshake + counts.bytes_frames
}

pub(super) fn violation(what: &str) -> Ended {
    Ended::failed("broke RFC 6455", what)
}
