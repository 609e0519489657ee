//! Periodic pushes: when each is due, between what the client can know.

/// Those of one client.
///
/// The server began to count somewhere between the request and its consent. So a push is early if it comes before its time counted
/// from the request, and late by what it comes after its time counted from the consent; between the two nobody can tell.
#[derive(Clone, Copy, Debug)]
pub struct Ticks {
    asked_ns: u64,
    granted_ns: u64,
    interval_ns: u64,
    /// Pushes that came, or were announced as lost.
    count: u64,
}

/// How a push came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Punctuality {
    /// Before it was due, by so many nanoseconds.
    Early(u64),
    /// So many nanoseconds late: 0 for one on time.
    Late(u64),
}

impl Ticks {
    /// Asked for now.
    #[must_use]
    pub const fn new(asked_ns: u64, interval_ns: u64) -> Self {
        Self { asked_ns, granted_ns: asked_ns, interval_ns, count: 0 }
    }

    /// The server consented.
    pub const fn granted(&mut self, now_ns: u64) {
        self.granted_ns = now_ns;
    }

    /// So many will not come: the server said so.
    pub const fn lost(&mut self, count: u64) {
        self.count = self.count.saturating_add(count);
    }

    /// One came.
    pub const fn came(&mut self, now_ns: u64) -> Punctuality {
        self.count = self.count.saturating_add(1);
        let after_ns = self.count.saturating_mul(self.interval_ns);
        let earliest_ns = self.asked_ns.saturating_add(after_ns);
        if now_ns < earliest_ns {
            return Punctuality::Early(earliest_ns - now_ns);
        }
        Punctuality::Late(now_ns.saturating_sub(self.granted_ns.saturating_add(after_ns)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_push_is_early_or_late_only_beyond_what_nobody_can_tell() {
        let mut ticks = Ticks::new(1_000, 500);
        ticks.granted(1_100);
        assert_eq!(ticks.came(1_500), Punctuality::Late(0));
        assert_eq!(ticks.came(2_100), Punctuality::Late(0));
        assert_eq!(ticks.came(2_499), Punctuality::Early(1));
        assert_eq!(ticks.came(3_107), Punctuality::Late(7));
        ticks.lost(2);
        assert_eq!(ticks.came(4_600), Punctuality::Late(0), "the seventh");
    }
}
