//! When a publisher's next burst is due, and to which stream it goes. Knows nothing of how it is sent.

use super::live::Live;
use super::queue::Burst;
use crate::scenario::Pace;
use crate::schedule::Schedule;

/// A publisher's pace.
#[derive(Debug)]
pub struct Pacer {
    kind: Kind,
    /// Its streams and bursts; without a schedule only the places count.
    schedule: Schedule,
    /// The next burst.
    next: u64,
}

#[derive(Debug)]
enum Kind {
    Scheduled,
    Delivered { since_ns: u64 },
    Taken,
}

/// What the pacer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// This burst is due.
    Due(Burst),
    /// The next is due then.
    At(u64),
    /// The next is due when something happens: ask often.
    Soon,
    /// It waited for deliveries as long as it has patience: so many were missing. The next is due now.
    Impatient(u64),
    /// Nothing will be due any more.
    Over,
}

impl Pacer {
    /// For a publisher whose steady phase begins as the schedule says.
    #[must_use]
    pub const fn new(pace: Pace, schedule: Schedule) -> Self {
        let kind = match pace {
            Pace::RatePerS(_) => Kind::Scheduled,
            Pace::Delivered => Kind::Delivered { since_ns: schedule.from_ns },
            Pace::Taken => Kind::Taken,
        };
        Self { kind, schedule, next: 0 }
    }

    /// The stream the next burst goes to.
    #[must_use]
    pub fn stream(&self) -> u32 {
        self.schedule.place(self.next).0
    }

    /// The stream of the burst that was given out last; before the first, the one it will go to.
    #[must_use]
    pub fn last_stream(&self) -> u32 {
        self.schedule.place(self.next.saturating_sub(1)).0
    }

    /// Messages given out so far, by stream.
    #[must_use]
    pub fn counts(&self) -> Vec<u64> {
        let streams = u64::from(self.schedule.streams.end - self.schedule.streams.start);
        let bursts = |stream: u64| self.next / streams + u64::from(stream < self.next % streams);
        (0..streams).map(|stream| bursts(stream) * u64::from(self.schedule.burst)).collect()
    }

    /// What comes next. `free`: the connection of [`Self::stream`] takes it at once.
    ///
    /// Only the scheduled pace goes on when it is not free.
    pub fn next(&mut self, now_ns: u64, free: bool, live: &Live) -> Next {
        let from_ns = self.schedule.from_ns;
        if now_ns >= live.until_ns() && !matches!(self.kind, Kind::Scheduled) {
            return Next::Over;
        }
        if now_ns < from_ns {
            return Next::At(from_ns);
        }
        match &mut self.kind {
            Kind::Scheduled => self.scheduled(now_ns, live.until_ns()),
            Kind::Taken | Kind::Delivered { .. } if !free => Next::Soon,
            Kind::Taken => Next::Due(self.take(now_ns)),
            Kind::Delivered { since_ns } => match live.outstanding() {
                0 => {
                    *since_ns = now_ns;
                    Next::Due(self.take(now_ns))
                }
                _ if now_ns < *since_ns + PATIENCE_NS => Next::Soon,
                missing => {
                    *since_ns = now_ns;
                    Next::Impatient(missing)
                }
            },
        }
    }

    /// A message that was due before the end is given out even when it is noticed after it.
    fn scheduled(&mut self, now_ns: u64, until_ns: u64) -> Next {
        let due_ns = self.schedule.due_ns(self.next);
        match due_ns {
            _ if due_ns >= until_ns => Next::Over,
            _ if due_ns > now_ns => Next::At(due_ns),
            _ => Next::Due(self.take(due_ns)),
        }
    }

    fn take(&mut self, due_ns: u64) -> Burst {
        let (stream, seq) = self.schedule.place(self.next);
        self.next += 1;
        Burst { due_ns, stream, seq, count: self.schedule.burst }
    }
}

/// How long the delivered pace waits for a message that does not come: longer than any server that works takes, short enough
/// for a run to end.
pub const PATIENCE_NS: u64 = 10_000_000_000;

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    fn schedule() -> Schedule {
        Schedule { from_ns: 1_000, period_ns: 100.0, burst: 2, streams: 5..7 }
    }

    fn burst(due_ns: u64, stream: u32, seq: u64) -> Next {
        Next::Due(Burst { due_ns, stream, seq, count: 2 })
    }

    #[test]
    fn a_schedule_waits_for_nobody_and_keeps_due_times() {
        let live = Live::new(1, vec![]);
        live.end(1_250, 2_000);
        let mut pacer = Pacer::new(Pace::RatePerS(1.0), schedule());
        assert_eq!(pacer.next(0, true, &live), Next::At(1_000));
        assert_eq!(pacer.next(1_000, false, &live), burst(1_000, 5, 0));
        assert_eq!(pacer.next(1_050, false, &live), Next::At(1_100));
        assert_eq!(pacer.next(9_000, false, &live), burst(1_100, 6, 0));
        assert_eq!(pacer.next(9_000, false, &live), burst(1_200, 5, 2));
        assert_eq!(pacer.next(9_000, false, &live), Next::Over);
        assert_eq!(pacer.counts(), [4, 2]);
    }

    #[test]
    fn delivered_waits_for_all_receivers_and_loses_patience() {
        let delivered = Arc::new(AtomicU64::new(0));
        let live = Live::new(1, vec![Arc::clone(&delivered)]);
        let mut pacer = Pacer::new(Pace::Delivered, schedule());
        assert_eq!(pacer.next(1_000, true, &live), burst(1_000, 5, 0));
        live.owe(20);
        assert_eq!(pacer.next(1_001, true, &live), Next::Soon);
        delivered.store(20, Ordering::Relaxed);
        assert_eq!(pacer.next(1_002, true, &live), burst(1_002, 6, 0));
        live.owe(20);
        assert_eq!(pacer.next(1_002 + PATIENCE_NS, true, &live), Next::Impatient(20));
        live.excuse(20);
        assert_eq!(pacer.next(1_003 + PATIENCE_NS, true, &live), burst(1_003 + PATIENCE_NS, 5, 2));
    }

    #[test]
    fn taken_goes_on_when_the_connection_is_free_until_the_end() {
        let live = Live::new(1, vec![]);
        let mut pacer = Pacer::new(Pace::Taken, schedule());
        assert_eq!(pacer.next(1_000, false, &live), Next::Soon);
        assert_eq!(pacer.next(1_001, true, &live), burst(1_001, 5, 0));
        live.end(1_002, 1_002);
        assert_eq!(pacer.next(1_002, true, &live), Next::Over);
    }
}
