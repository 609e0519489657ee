//! What a whole message means: a stamped payload, a tick, an announced loss, a refusal, a heartbeat.

use super::frame;
use super::inflow::violation;
use super::join::say;
use super::parts::parts;
use super::ticks::Punctuality;
use super::{Client, Ended, Phase, Turn};
use crate::account::Verdict;
use crate::dialect::template::Fill;
use crate::recorder::FOREIGN_STREAM;
use crate::stamp::{self, Stamp};

/// Of a stream that is not the session's.
const SOMEBODY_ELSES: &str = "a message for somebody else";

/// Of this run, but due before it began or later than it came: somebody changed its time.
const IMPOSSIBLE_TIME: &str = "a message due at an impossible time";

/// Of this run, but not due yet: somebody changed its number.
const IMPOSSIBLE_NUMBER: &str = "a message with a number that is not due yet";

impl Client {
    /// A whole message arrived: takes it apart where several may share it. `is_text`: it has to be UTF-8 (RFC 6455 §8.1).
    #[inline]
    pub(super) fn message(&mut self, text: &[u8], is_text: bool, turn: &mut Turn<'_>) -> Result<(), Ended> {
        match &turn.plan.words.separator {
            None => self.part(text, is_text, turn),
            separator => parts(text, separator.as_ref()).try_for_each(|part| self.part(part, is_text, turn)),
        }
    }

    #[inline]
    fn part(&mut self, text: &[u8], is_text: bool, turn: &mut Turn<'_>) -> Result<(), Ended> {
        // The frames of a stream are alike: the stamp is most often where it was last time.
        let at = turn.recorder.mark_at;
        if let Some(from_stamp) = text.get(at..)
            && let Some(stamp) = turn.recorder.stamps.read(from_stamp)
            && turn.plan.words.pattern.is_none()
        {
            let compared = self.stamped(&stamp, from_stamp, turn);
            // What is as it was sent is ASCII. To look at the rest only makes a message of 1 KiB cost 40 ns and not 52.
            return must_be_utf8(is_text, &text[..at]).and_then(|()| must_be_utf8(is_text, &from_stamp[compared..]));
        }
        must_be_utf8(is_text, text)?;
        self.other_part(text, turn)
    }

    fn other_part(&mut self, text: &[u8], turn: &mut Turn<'_>) -> Result<(), Ended> {
        if turn.plan.words.pattern.is_none()
            && let Some(at) = stamp::find(text)
        {
            match Stamp::read(&text[at..]) {
                Some(stamp) => {
                    turn.recorder.mark_at = at;
                    let _ = self.stamped(&stamp, &text[at..], turn);
                }
                None => turn.recorder.counts_mut().damaged += 1,
            }
            return Ok(());
        }
        self.plain(text, turn)
    }

    /// A payload of this tool. Returns how many of its bytes are as they were sent.
    #[inline]
    fn stamped(&mut self, stamp: &Stamp, from_stamp: &[u8], turn: &mut Turn<'_>) -> usize {
        if stamp.run != turn.plan.run {
            // Beside this one on the same channel, or kept by the server since: on nobody's account here.
            turn.recorder.counts_mut().foreign += 1;
            return 0;
        }
        if !turn.recorder.is_possible(stamp.intended_ns, turn.now_ns) {
            self.stray(stamp, IMPOSSIBLE_TIME, turn);
            return 0;
        }
        let Some(account) = self.ledger.account(stamp.stream) else {
            self.stray(stamp, SOMEBODY_ELSES, turn);
            return 0;
        };
        if !stamp::is_whole(from_stamp, account.payload_bytes()) {
            turn.recorder.counts_mut().damaged += 1;
            return 0;
        }
        let verdict = account.arrived(stamp.seq, || turn.recorder.limit(turn.plan, stamp.stream, turn.now_ns));
        let payload_bytes = account.payload_bytes();
        if verdict == Verdict::Beyond {
            self.stray(stamp, IMPOSSIBLE_NUMBER, turn);
            return payload_bytes;
        }
        let counts = turn.recorder.counts_mut();
        counts.messages += 1;
        counts.bytes_payload += payload_bytes as u64;
        match verdict {
            Verdict::Next | Verdict::Ahead(_) => {}
            Verdict::Reordered => counts.reordered += 1,
            Verdict::Duplicate => {
                counts.duplicates += 1;
                return payload_bytes;
            }
            Verdict::InDoubt | Verdict::Beyond => {
                counts.in_doubt += 1;
                return payload_bytes;
            }
        }
        turn.recorder.arrived(stamp.intended_ns, stamp.slip_us, turn.now_ns);
        turn.recorder.delivered(stamp.stream);
        if turn.recorder.is_watched(stamp.seq) && turn.plan.receivers(stamp.stream) > 1 {
            turn.recorder.watched(stamp.stream, stamp.seq, turn.now_ns);
        }
        payload_bytes
    }

    /// A message that is on no account: of a stream this session has none of, as it came before the session was ready or is
    /// not for it; or one of a time that cannot be.
    #[cold]
    fn stray(&mut self, stamp: &Stamp, kind: &str, turn: &mut Turn<'_>) {
        let payload_bytes = turn.plan.payload_bytes(stamp.stream) as u64;
        let counts = turn.recorder.counts_mut();
        counts.messages += 1;
        counts.in_doubt += 1;
        counts.bytes_payload += payload_bytes;
        let expects = self.phase == Phase::Ready && !self.is_settled;
        if expects {
            let words = format!("number {} of stream {} came to client {}", stamp.seq, stamp.stream, self.number);
            turn.recorder.failure(kind, &words);
        }
    }

    /// Anything without a stamp.
    fn plain(&mut self, text: &[u8], turn: &mut Turn<'_>) -> Result<(), Ended> {
        let plan = turn.plan;
        let words = &plan.words;
        if let Some(answer) = words.answers.iter().find(|answer| answer.fits(text)) {
            let user = plan.user(self.number);
            say(&answer.send, &Fill { client: self.number, user: &user, ..Fill::default() }, turn);
            return Ok(());
        }
        if let Some(count) = words.announced(text) {
            self.announced(count);
        } else if self.phase == Phase::Joining {
            return self.joining(text, turn);
        } else if words.tick.as_ref().is_some_and(|tick| tick.find(text).is_some()) {
            self.ticked(turn);
        } else if words.error.as_ref().is_some_and(|error| error.find(text).is_some()) {
            turn.recorder.counts_mut().refusals += 1;
            turn.recorder.failure("refused", &String::from_utf8_lossy(text));
        } else if let Some(found) = words.pattern.as_ref().and_then(|pattern| pattern.find(text)) {
            self.foreign(found.time_ns, found.seq, text.len(), turn);
        }
        Ok(())
    }

    /// The server dropped messages and said so. Where the session has no streams, they were periodic pushes.
    fn announced(&mut self, count: u64) {
        match &mut self.ticks {
            Some(ticks) if self.ledger.is_empty() => ticks.lost(count),
            _ => self.ledger.announce(count),
        }
    }

    fn ticked(&mut self, turn: &mut Turn<'_>) {
        let Some(ticks) = &mut self.ticks else { return };
        let punctuality = ticks.came(turn.now_ns);
        turn.recorder.counts_mut().ticks += 1;
        match punctuality {
            Punctuality::Early(_) => turn.recorder.counts_mut().ticks_early += 1,
            Punctuality::Late(ns) => turn.recorder.tally.jitter.record(ns),
        }
    }

    /// A message of somebody else's, with its sender's time, and its number where there is one.
    fn foreign(&mut self, time_ns: u64, seq: Option<u64>, bytes: usize, turn: &mut Turn<'_>) {
        let now_ns = turn.recorder.wall_ns(turn.now_ns);
        let counts = turn.recorder.counts_mut();
        counts.messages += 1;
        counts.bytes_payload += bytes as u64;
        let verdict = match self.ledger.account(FOREIGN_STREAM) {
            // Without numbers each is the next.
            Some(account) => account.arrived_foreign(seq.unwrap_or(account.next())),
            None => Verdict::InDoubt,
        };
        match verdict {
            Verdict::Next | Verdict::Ahead(_) => {}
            Verdict::Reordered => counts.reordered += 1,
            Verdict::Duplicate => counts.duplicates += 1,
            Verdict::InDoubt | Verdict::Beyond => counts.in_doubt += 1,
        }
        match time_ns.checked_sub(now_ns) {
            _ if matches!(verdict, Verdict::Duplicate | Verdict::InDoubt | Verdict::Beyond) => {}
            None | Some(0) => turn.recorder.arrived(time_ns, 0, now_ns),
            Some(ahead_ns) => turn.recorder.came_before_it_was_sent(ahead_ns),
        }
    }
}

#[inline]
fn must_be_utf8(is_text: bool, bytes: &[u8]) -> Result<(), Ended> {
    if is_text && !frame::is_utf8(bytes) { Err(violation(frame::NOT_UTF8)) } else { Ok(()) }
}
