//! When each of many clients is due, again and again: they take turns, evenly spaced over a period.
//!
//! A due time is computed from the schedule, never from when anything was done. No timers: the next one due is always the
//! next in line.

use super::squad::Squad;

/// A schedule for the clients of a squad. Of a group of `n`, the client at position `p` is due in round `r` at
/// `from + (p / n + r) · period`, whichever worker has it.
#[derive(Clone, Debug)]
pub struct Pacer {
    squad: Squad,
    from_ns: u64,
    period_ns: f64,
    /// Nothing is due then or later.
    until_ns: u64,
    /// The next in line, as its place in the squad.
    next: usize,
    round: u64,
    /// Nobody is due oftener.
    rounds: u64,
}

/// Somebody's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// The client's seat.
    pub seat: usize,
    /// How often it was due before.
    pub round: u64,
    /// Monotonic nanoseconds.
    pub at_ns: u64,
}

impl Pacer {
    /// Rounds of `period_ns`, from then until then. A squad without clients never has anybody due.
    #[must_use]
    pub const fn new(squad: Squad, from_ns: u64, period_ns: f64, until_ns: u64) -> Self {
        Self { squad, from_ns, period_ns, until_ns, next: 0, round: 0, rounds: u64::MAX }
    }

    /// One round over `period_ns`: everybody once.
    #[must_use]
    pub const fn once(squad: Squad, from_ns: u64, period_ns: f64) -> Self {
        Self { squad, from_ns, period_ns, until_ns: u64::MAX, next: 0, round: 0, rounds: 1 }
    }

    /// When the next one is due; `u64::MAX` when nobody is any more.
    #[must_use]
    pub fn next_ns(&self) -> u64 {
        if self.squad.is_empty() || self.round >= self.rounds {
            return u64::MAX;
        }
        let at_ns = self.at_ns(self.next, self.round);
        if at_ns < self.until_ns { at_ns } else { u64::MAX }
    }

    /// Nothing is due from then on.
    pub fn end(&mut self, at_ns: u64) {
        self.until_ns = self.until_ns.min(at_ns);
    }

    /// The next one due at or before `now_ns`, in order of time.
    pub fn pop(&mut self, now_ns: u64) -> Option<Due> {
        let at_ns = self.next_ns();
        if at_ns > now_ns || at_ns == u64::MAX {
            return None;
        }
        let due = Due { seat: self.squad.seats.start + self.next, round: self.round, at_ns };
        self.next += 1;
        if self.next == self.squad.seats.len() {
            self.next = 0;
            self.round += 1;
        }
        Some(due)
    }

    /// When a seat of the squad is due in a round.
    #[must_use]
    pub fn due_ns(&self, seat: usize, round: u64) -> u64 {
        self.at_ns(seat - self.squad.seats.start, round)
    }

    /// The first round in which a seat has not had its turn by what [`Pacer::pop`] gave out.
    #[must_use]
    pub const fn round_of(&self, seat: usize) -> u64 {
        self.round + (seat - self.squad.seats.start < self.next) as u64
    }

    fn at_ns(&self, place: usize, round: u64) -> u64 {
        let share = f64::from(self.squad.position(place)) / f64::from(self.squad.clients);
        self.from_ns + ((share + round as f64) * self.period_ns) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::super::Share;
    use super::*;

    fn squad(worker: u32, workers: u32) -> Squad {
        Squad::new(0, 6, Share { worker, workers }, 0)
    }

    fn all(pacer: &mut Pacer, now_ns: u64) -> Vec<(usize, u64)> {
        std::iter::from_fn(|| pacer.pop(now_ns)).map(|due| (due.seat, due.at_ns)).collect()
    }

    #[test]
    fn clients_are_due_evenly_and_in_order() {
        let mut pacer = Pacer::new(squad(0, 1), 1_000, 600.0, 1_750);
        assert_eq!(pacer.next_ns(), 1_000);
        assert_eq!(all(&mut pacer, 1_250), [(0, 1_000), (1, 1_100), (2, 1_200)]);
        assert_eq!(pacer.next_ns(), 1_300);
        assert_eq!(all(&mut pacer, 9_999), [(3, 1_300), (4, 1_400), (5, 1_500), (0, 1_600), (1, 1_700)]);
        assert_eq!((pacer.next_ns(), pacer.pop(u64::MAX)), (u64::MAX, None));
    }

    #[test]
    fn workers_share_one_schedule() {
        let mut due: Vec<u64> = (0..3)
            .flat_map(|worker| all(&mut Pacer::once(squad(worker, 3), 0, 600.0), 9_999))
            .map(|due| due.1)
            .collect();
        due.sort_unstable();
        assert_eq!(due, [0, 100, 200, 300, 400, 500]);
    }

    #[test]
    fn a_round_without_length_is_due_at_once() {
        assert_eq!(all(&mut Pacer::once(squad(0, 1), 7, 0.0), 7).len(), 6);
        assert_eq!(all(&mut Pacer::once(squad(3, 4), 7, 0.0), 7), []);
    }

    #[test]
    fn rounds_of_a_seat_can_be_looked_up() {
        let mut pacer = Pacer::new(squad(0, 1), 0, 600.0, 10_000);
        assert_eq!(all(&mut pacer, 700).len(), 8);
        assert_eq!((pacer.round_of(1), pacer.round_of(2)), (2, 1));
        assert_eq!((pacer.due_ns(1, 2), pacer.due_ns(2, 1)), (1_300, 800));
    }
}
