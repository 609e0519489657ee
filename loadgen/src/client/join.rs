//! How a client gets ready: the dialect's steps after the handshake, its subscriptions, its periodic push.

use super::ticks::Ticks;
use super::{Client, Ended, Phase, Turn, frame};
use crate::account::{Account, UNKNOWN};
use crate::dialect::template::{Fill, Template};
use crate::dialect::words::{StepWords, Words};
use crate::ledger::Ledger;
use crate::plan::{CLIENT_STREAM, Plan};
use crate::recorder::FOREIGN_STREAM;
use crate::scenario::Activity;

/// A stage of getting ready.
enum Stage<'a> {
    /// A step of the dialect's.
    Open(&'a StepWords),
    /// All subscriptions at once.
    Subscribe(&'a StepWords),
    /// The periodic push.
    Every(&'a StepWords),
    /// Nothing is left to do.
    Ready,
}

impl Client {
    /// The handshake is done: goes on until something has to be waited for.
    pub(super) fn join(&mut self, turn: &mut Turn<'_>) {
        self.phase = Phase::Joining;
        loop {
            let (Stage::Open(step) | Stage::Subscribe(step) | Stage::Every(step)) = self.stage(turn.plan) else {
                return self.become_ready(turn);
            };
            if step.after.is_some() {
                self.awaited = 0;
                return;
            }
            self.perform(turn);
            if self.awaited > 0 {
                return;
            }
            self.step += 1;
        }
    }

    /// A frame arrived that is no message: whether it is what was waited for.
    pub(super) fn joining(&mut self, text: &[u8], turn: &mut Turn<'_>) -> Result<(), Ended> {
        if turn.plan.words.error.as_ref().is_some_and(|error| error.find(text).is_some()) {
            turn.recorder.counts_mut().refusals += 1;
            return Err(Ended::failed("refused before it was ready", &String::from_utf8_lossy(text)));
        }
        let (Stage::Open(step) | Stage::Subscribe(step) | Stage::Every(step)) = self.stage(turn.plan) else {
            return Ok(());
        };
        let awaited = if self.awaited == 0 { step.after.as_ref() } else { step.until.as_ref() };
        if awaited.is_none_or(|awaited| awaited.find(text).is_none()) {
            return Ok(());
        }
        if self.awaited == 0 {
            self.perform(turn);
        } else {
            self.awaited -= 1;
        }
        if self.awaited == 0 {
            if let Some(ticks) = &mut self.ticks {
                ticks.granted(turn.now_ns);
            }
            self.step += 1;
            self.join(turn);
        }
        Ok(())
    }

    fn stage<'a>(&self, plan: &'a Plan) -> Stage<'a> {
        let Words { open, subscribe, every, .. } = &plan.words;
        let step = usize::from(self.step);
        if let Some(step) = open.get(step) {
            return Stage::Open(step);
        }
        let group = plan.group(self.number).1;
        let subscribe = subscribe.as_ref().filter(|_| !group.channels.is_empty()).map(Stage::Subscribe);
        let every = every.as_ref().filter(|_| matches!(group.activity, Activity::Every { .. })).map(Stage::Every);
        [subscribe, every].into_iter().flatten().nth(step - open.len()).unwrap_or(Stage::Ready)
    }

    /// Sends what the stage has to send; `awaited` is then how many answers it wants.
    fn perform(&mut self, turn: &mut Turn<'_>) {
        let plan = turn.plan;
        let user = plan.user(self.number);
        let who = Fill { client: self.number, user: &user, ..Fill::default() };
        self.awaited = 0;
        match self.stage(plan) {
            Stage::Open(step) => self.ask(step, &who, turn),
            Stage::Subscribe(step) => {
                for channel in &plan.channels(self.number) {
                    self.ask(step, &Fill { channel, ..who }, turn);
                }
            }
            Stage::Every(step) => {
                let Activity::Every { interval_ms, job } = &plan.group(self.number).1.activity else { return };
                self.ticks = Some(Box::new(Ticks::new(turn.now_ns, interval_ms * 1_000_000)));
                self.ask(step, &Fill { job, interval_ms: *interval_ms, ..who }, turn);
            }
            Stage::Ready => {}
        }
    }

    fn ask(&mut self, step: &StepWords, fill: &Fill<'_>, turn: &mut Turn<'_>) {
        if let Some(send) = &step.send {
            say(send, fill, turn);
        }
        self.awaited += u32::from(step.until.is_some());
    }

    /// From now on it has to get its streams.
    fn become_ready(&mut self, turn: &mut Turn<'_>) {
        let plan = turn.plan;
        self.phase = Phase::Ready;
        self.was_ready = true;
        // Losses that were announced before are of messages it need not have got.
        self.ledger = Ledger::default();
        turn.recorder.counts_mut().ready += 1;
        turn.recorder.tally.connect.record(turn.now_ns.saturating_sub(self.due_ns));
        if !turn.recorder.is_steady(turn.now_ns) {
            turn.recorder.tally.opened.one(self.due_ns, turn.now_ns);
        }
        for stream in plan.streams_of(self.number) {
            let base = turn.recorder.base(plan, stream, turn.now_ns);
            self.ledger.open(Account::new(stream, plan.payload_bytes(stream) as u32, base));
        }
        if let Some((stream, base)) = self.stream_of_activity(turn) {
            self.ledger.open(Account::new(stream, plan.payload_bytes(stream) as u32, base));
        }
        if plan.words.pattern.is_some() {
            self.ledger.open(Account::new(FOREIGN_STREAM, 0, UNKNOWN));
        }
    }

    /// What clients send to this one: itself (echo), or its neighbour (peer); and the first number it has to get.
    fn stream_of_activity(&self, turn: &Turn<'_>) -> Option<(u32, u64)> {
        match turn.plan.group(self.number).1.activity {
            Activity::Echo { .. } => Some((CLIENT_STREAM | self.number, self.sent)),
            Activity::Peer { .. } => {
                let neighbour = turn.plan.neighbour(self.number)?;
                let base = if turn.recorder.is_steady(turn.now_ns) { UNKNOWN } else { 0 };
                Some((CLIENT_STREAM | neighbour, base))
            }
            Activity::Listen | Activity::Every { .. } => None,
        }
    }
}

/// Appends a frame with this text.
pub(super) fn say(text: &Template, fill: &Fill<'_>, turn: &mut Turn<'_>) {
    let opcode = if turn.plan.words.binary { frame::BINARY } else { frame::TEXT };
    say_as(opcode, text, fill, turn);
}

pub(super) fn say_as(opcode: u8, text: &Template, fill: &Fill<'_>, turn: &mut Turn<'_>) {
    let from = turn.out.len();
    text.expand(fill, turn.out);
    frame::seal(opcode, from, turn.recorder.random() as u32, turn.out);
}
