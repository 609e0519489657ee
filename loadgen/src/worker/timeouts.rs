//! Deadlines that are all the same time away: a queue, the next at its front.

use std::collections::VecDeque;

/// Whose patience ends when. An entry whose session is over by then means nothing.
#[derive(Debug)]
pub struct Timeouts {
    after_ns: u64,
    entries: VecDeque<Entry>,
}

/// A session: its seat, and which of the seat's sessions it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// Where.
    pub seat: u32,
    /// Counted from the seat's first.
    pub number: u32,
}

#[derive(Debug)]
struct Entry {
    at_ns: u64,
    session: Session,
}

impl Timeouts {
    /// Each so long after its start.
    #[must_use]
    pub const fn new(after_ns: u64) -> Self {
        Self { after_ns, entries: VecDeque::new() }
    }

    /// Starts one. Later starts must not be earlier in time.
    pub fn start(&mut self, now_ns: u64, session: Session) {
        let at_ns = now_ns.saturating_add(self.after_ns);
        debug_assert!(self.entries.back().is_none_or(|last| last.at_ns <= at_ns), "time does not go back");
        self.entries.push_back(Entry { at_ns, session });
    }

    /// When the next one ends; `u64::MAX` without any.
    #[must_use]
    pub fn next_ns(&self) -> u64 {
        self.entries.front().map_or(u64::MAX, |entry| entry.at_ns)
    }

    /// The next that has ended.
    pub fn pop(&mut self, now_ns: u64) -> Option<Session> {
        self.entries.pop_front_if(|entry| entry.at_ns <= now_ns).map(|entry| entry.session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_come_in_the_order_of_their_starts() {
        let session = |seat| Session { seat, number: 0 };
        let mut timeouts = Timeouts::new(100);
        assert_eq!((timeouts.next_ns(), timeouts.pop(u64::MAX)), (u64::MAX, None));
        timeouts.start(5, session(1));
        timeouts.start(7, session(2));
        assert_eq!((timeouts.next_ns(), timeouts.pop(104)), (105, None));
        assert_eq!(
            (timeouts.pop(106), timeouts.pop(106), timeouts.pop(107)),
            (Some(session(1)), None, Some(session(2)))
        );
    }
}
