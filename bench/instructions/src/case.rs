//! The cases by name: what each does, how often, and the one function whose inside is counted.

use std::hint::black_box;
use std::io::IoSlice;
use std::rc::Rc;
use std::sync::Arc;

use epush_core::batch::{Batch, Pending, Stream};
use epush_core::message::Publication;
use epush_core::outbox::{Outbox, SLICES_MAX};
use epush_core::wheel::TimerWheel;
use epush_core::wire::native;
use epush_core::wire::websocket::Decoder;

use crate::client_frame::{LIMITS, client_frame};
use crate::crowd::{Crowd, NOW, channel, publication};
use crate::deadlines::deadline_ms;
use crate::json::{draft, publish_command};

/// Bytes of data in every message: a chat message, a price.
const DATA_BYTES: usize = 128;

/// Sessions of the fan-outs: enough that what is done once a turn does not show.
const RECEIVERS: usize = 1_000;

/// Messages of the larger batches.
const BATCH: usize = 16;

/// Timers already in the wheel: the heartbeats of a small shard.
const TIMERS: u64 = 10_000;

/// How often what takes a microsecond is done.
const ROUNDS: usize = 1_000;

/// How often a fan-out is done.
const TURNS: usize = 10;

/// Something that is counted.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Its name in the baseline and on the command line.
    pub name: &'static str,
    /// What one operation is.
    pub operation: &'static str,
    /// Operations inside [`measured`]: what the count is divided by.
    pub operations: usize,
    run: fn(),
}

impl Case {
    /// Every case.
    pub const ALL: [Self; 8] = [
        Self { name: "decode", operation: "text frame of a client, 128 B", operations: ROUNDS, run: decode },
        Self { name: "parse", operation: "publish command, 128 B", operations: ROUNDS, run: parse },
        Self { name: "encode", operation: "message, 128 B", operations: ROUNDS, run: encode },
        Self { name: "join", operation: "batch of 16, 128 B each", operations: ROUNDS, run: join },
        Self { name: "outbox", operation: "batch in, out, and taken", operations: ROUNDS, run: outbox },
        Self { name: "wheel", operation: "timer set, set again, cancelled", operations: ROUNDS, run: wheel },
        Self { name: "fanout_1", operation: "receiver of 1 message", operations: RECEIVERS * TURNS, run: fanout_1 },
        Self { name: "fanout_16", operation: "receiver of 16 messages", operations: RECEIVERS * TURNS, run: fanout_16 },
    ];

    /// The case of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|case| case.name == name)
    }

    /// Sets up, and does the operations inside [`measured`].
    pub fn run(self) {
        (self.run)();
    }
}

/// What is done in here is counted, with everything it calls: callgrind finds the function by its name, so there is one.
#[inline(never)]
pub fn measured(work: &mut dyn FnMut()) {
    work();
}

/// Does the work twice, and has the second time counted: the first made room in buffers.
fn count(times: usize, mut work: impl FnMut()) {
    let mut rounds = || (0..times).for_each(|_| work());
    rounds();
    measured(&mut rounds);
}

/// Header, unmasking and UTF-8 of a text frame that came in one piece.
fn decode() {
    let mut bytes = client_frame(0x81, &[b'x'; DATA_BYTES]);
    let mut decoder = Decoder::default();
    count(ROUNDS, || {
        let mut input = black_box(&mut bytes[..]);
        assert!(matches!(black_box(decoder.next(&mut input, &LIMITS)), Ok(Some(_))));
    });
}

/// A command of the native protocol, its payload kept as it is.
fn parse() {
    let frame = publish_command(DATA_BYTES);
    count(ROUNDS, || {
        black_box(native::parse(black_box(&frame)));
    });
}

/// A push, once for all its receivers.
fn encode() {
    let draft = draft(&channel(), DATA_BYTES);
    count(ROUNDS, || {
        black_box(Publication::encode(black_box(&draft), NOW));
    });
}

/// One batch into an outbox, out of it, and taken by the socket.
fn outbox() {
    let batch = batch(&publication(DATA_BYTES), BATCH);
    let mut outbox = Outbox::default();
    count(ROUNDS, || {
        outbox.push_shared(black_box(&batch), 0..batch.messages());
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        black_box(outbox.slices(&mut slices));
        outbox.advance(outbox.bytes(), drop);
    });
}

/// A timer's life beside those of the sessions.
fn wheel() {
    let mut wheel = TimerWheel::new(0);
    for number in 0..TIMERS {
        wheel.insert(deadline_ms(number), number);
    }
    let mut number = TIMERS;
    count(ROUNDS, || {
        number += 1;
        let key = wheel.insert(deadline_ms(number), number);
        wheel.rearm(key, deadline_ms(number + 7));
        black_box(wheel.cancel(key));
    });
}

/// What waits for a channel's turn, made into what all its sessions share.
fn join() {
    let publication = publication(DATA_BYTES);
    count(ROUNDS, || drop(black_box(batch(&publication, BATCH))));
}

/// A message at a time through a whole shard, up to what the sockets take.
fn fanout_1() {
    fan_out(1);
}

/// Sixteen messages in one turn.
fn fanout_16() {
    fan_out(BATCH);
}

fn fan_out(messages: usize) {
    let mut crowd = Crowd::new(RECEIVERS);
    let publication = publication(DATA_BYTES);
    count(TURNS, || crowd.turn(&publication, messages));
}

fn batch(publication: &Arc<Publication>, messages: usize) -> Rc<Batch> {
    let mut pending = Pending::default();
    (0..messages).for_each(|_| pending.push(publication, 0));
    pending.join(|| Stream::Channel(channel())).expect("messages wait")
}
