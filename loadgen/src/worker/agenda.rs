//! What is due for whom: schedules, each with what to do.

use super::pacer::{Due, Pacer};

/// What a seat's turn is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// Begin its first session.
    Open,
    /// Say that it is alive.
    Keepalive,
    /// Begin what it does and how it reads in the steady phase.
    Begin,
    /// Send a message.
    Send,
    /// Read nothing.
    Stall,
    /// Read again.
    ReadOn,
    /// Read a little.
    Sip,
    /// Leave and come again.
    Churn,
    /// Leave for good.
    Leave,
}

impl Job {
    /// Whether it belongs to the steady phase alone.
    const fn is_of_steady(self) -> bool {
        matches!(self, Self::Begin | Self::Send | Self::Stall | Self::Sip | Self::Churn)
    }
}

/// Schedules under way.
#[derive(Debug, Default)]
pub struct Agenda {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    squad: usize,
    job: Job,
    pacer: Pacer,
}

impl Agenda {
    /// Adds a schedule for a squad.
    pub fn add(&mut self, squad: usize, job: Job, pacer: Pacer) {
        self.entries.push(Entry { squad, job, pacer });
    }

    /// When somebody is due next; `u64::MAX` when nobody is.
    #[must_use]
    pub fn next_ns(&self) -> u64 {
        self.entries.iter().map(|entry| entry.pacer.next_ns()).min().unwrap_or(u64::MAX)
    }

    /// The next turn at or before `now_ns`, over all schedules in order of time.
    pub fn pop(&mut self, now_ns: u64) -> Option<(Job, Due)> {
        let first = self.entries.iter_mut().min_by_key(|entry| entry.pacer.next_ns())?;
        first.pacer.pop(now_ns).map(|due| (first.job, due))
    }

    /// A squad's schedule for a job.
    #[must_use]
    pub fn pacer(&self, squad: usize, job: Job) -> Option<&Pacer> {
        self.entries.iter().find(|entry| (entry.squad, entry.job) == (squad, job)).map(|entry| &entry.pacer)
    }

    /// The steady phase is over at `now_ns`: nothing of it is due any more from then on.
    pub fn end_steady(&mut self, now_ns: u64) {
        for entry in self.entries.iter_mut().filter(|entry| entry.job.is_of_steady()) {
            entry.pacer.end(now_ns);
        }
    }

    /// Nothing is due any more.
    pub fn clear(&mut self) {
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::super::Share;
    use super::super::squad::Squad;
    use super::*;

    fn squad(group: usize, first_seat: usize) -> Squad {
        Squad::new(group, 2, Share { worker: 0, workers: 1 }, first_seat)
    }

    #[test]
    fn turns_of_several_schedules_come_in_order_of_time() {
        let mut agenda = Agenda::default();
        assert_eq!((agenda.next_ns(), agenda.pop(u64::MAX)), (u64::MAX, None));
        agenda.add(0, Job::Open, Pacer::once(squad(0, 0), 100, 20.0));
        agenda.add(1, Job::Send, Pacer::new(squad(1, 2), 95, 20.0, 1_000));
        let turns: Vec<_> =
            std::iter::from_fn(|| agenda.pop(115)).map(|(job, due)| (job, due.seat, due.at_ns)).collect();
        let expected =
            [(Job::Send, 2, 95), (Job::Open, 0, 100), (Job::Send, 3, 105), (Job::Open, 1, 110), (Job::Send, 2, 115)];
        assert_eq!(turns, expected);
        assert_eq!(agenda.next_ns(), 125);
        agenda.end_steady(120);
        assert_eq!(agenda.next_ns(), u64::MAX);
        assert_eq!(agenda.pacer(1, Job::Send).map(|pacer| pacer.round_of(2)), Some(2));
    }
}
