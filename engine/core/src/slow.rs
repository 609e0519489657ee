//! The slow-consumer verdict: what becomes of messages for a session whose socket refuses bytes.
//!
//! A channel's policy only ever drops that channel's own messages. Whatever goes is counted where it would have
//! stood, so that a `gap` reaches the client before the next message of its stream.

use std::ops::Range;
use std::rc::Rc;

use crate::batch::Batch;
use crate::outbox::Outbox;
use crate::settings::OnSlow;
use crate::wire::native::reply::GapReason;

/// How many times the limit may wait for a socket that is not blocked: it holds only while a fan-out outruns the writes
/// of its turn, but then the node must not fill its memory on behalf of fast sockets either.
pub const UNWRITTEN_FACTOR: usize = 16;

/// What became of an offer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Verdict {
    /// Messages queued.
    pub queued: u64,
    /// Messages dropped, queued earlier or just offered.
    pub dropped: u64,
    /// Whether the session has to be closed with 4501.
    pub close: bool,
}

/// Queues `messages` of `batch` for a session under its policy.
///
/// The limit holds while the socket is `blocked`: one that still takes bytes will be written to soon, so only
/// [`UNWRITTEN_FACTOR`] bounds what may wait for that. An empty outbox takes a batch whole, so that a message larger than
/// the limit can be delivered at all. The policy is asked for only when there is something to decide.
#[inline]
pub fn offer(
    outbox: &mut Outbox,
    batch: &Rc<Batch>,
    messages: Range<u16>,
    policy: impl FnOnce() -> OnSlow,
    blocked: bool,
    bytes_max: usize,
) -> Verdict {
    let offered = u64::from(messages.end - messages.start);
    let bytes_max = if blocked { bytes_max } else { bytes_max.saturating_mul(UNWRITTEN_FACTOR) };
    if outbox.is_empty() || !blocked && outbox.bytes() + batch.len(messages.clone()) <= bytes_max {
        outbox.push_shared(batch, messages);
        return Verdict { queued: offered, ..Verdict::default() };
    }
    offer_to_slow(outbox, batch, messages, policy(), bytes_max)
}

fn offer_to_slow(
    outbox: &mut Outbox,
    batch: &Rc<Batch>,
    messages: Range<u16>,
    policy: OnSlow,
    bytes_max: usize,
) -> Verdict {
    let fits = outbox.bytes() + batch.len(messages.clone()) <= bytes_max;
    match policy {
        OnSlow::Latest => keep_latest(outbox, batch, messages, bytes_max),
        _ if fits => {
            let queued = u64::from(messages.end - messages.start);
            outbox.push_shared(batch, messages);
            Verdict { queued, ..Verdict::default() }
        }
        OnSlow::DropOldest => drop_oldest(outbox, batch, messages, bytes_max),
        OnSlow::DropNewest => drop_newest(outbox, batch, messages, bytes_max),
        OnSlow::Close => {
            let lost = messages.end - messages.start;
            outbox.push_lost(batch.stream(), lost.into(), GapReason::SlowConsumer);
            Verdict { dropped: lost.into(), close: true, queued: 0 }
        }
    }
}

fn drop_oldest(outbox: &mut Outbox, batch: &Rc<Batch>, messages: Range<u16>, bytes_max: usize) -> Verdict {
    let excess = (outbox.bytes() + batch.len(messages.clone())).saturating_sub(bytes_max);
    let dropped = outbox.drop_oldest(batch.stream(), |freed| freed >= excess);
    let room = bytes_max.saturating_sub(outbox.bytes());
    let first = messages.clone().find(|first| batch.len(*first..messages.end) <= room).unwrap_or(messages.end);
    queue(outbox, batch, messages.start, first..messages.end, dropped)
}

fn drop_newest(outbox: &mut Outbox, batch: &Rc<Batch>, messages: Range<u16>, bytes_max: usize) -> Verdict {
    let room = bytes_max.saturating_sub(outbox.bytes());
    let fitting = messages.clone().take_while(|last| batch.len(messages.start..last + 1) <= room).count();
    let end = messages.start + u16::try_from(fitting).expect("no more than the batch holds");
    if end > messages.start {
        outbox.push_shared(batch, messages.start..end);
    }
    let dropped = messages.end - end;
    outbox.push_lost(batch.stream(), dropped.into(), GapReason::SlowConsumer);
    Verdict { queued: fitting as u64, dropped: dropped.into(), close: false }
}

fn keep_latest(outbox: &mut Outbox, batch: &Rc<Batch>, messages: Range<u16>, bytes_max: usize) -> Verdict {
    let dropped = outbox.drop_oldest(batch.stream(), |_| false);
    let newest = messages.end - 1;
    let fits = outbox.bytes() + batch.len(newest..messages.end) <= bytes_max;
    let first = if fits { newest } else { messages.end };
    queue(outbox, batch, messages.start, first..messages.end, dropped)
}

/// Queues `kept`, announcing that the messages of the offer before it are lost.
fn queue(outbox: &mut Outbox, batch: &Rc<Batch>, offered: u16, kept: Range<u16>, dropped: u64) -> Verdict {
    let skipped = kept.start - offered;
    if skipped > 0 {
        outbox.push_lost(batch.stream(), skipped.into(), GapReason::SlowConsumer);
    }
    let queued = u64::from(kept.end - kept.start);
    if queued > 0 {
        outbox.push_shared(batch, kept);
    }
    Verdict { queued, dropped: dropped + u64::from(skipped), close: false }
}
