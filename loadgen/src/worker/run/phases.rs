//! What the run's orders begin and end: schedules of the phases.

use std::sync::Arc;

use super::Run;
use crate::clock::now_ns;
use crate::talk::Remaining;
use crate::worker::agenda::Job;
use crate::worker::pacer::Pacer;
use crate::worker::reader;
use crate::worker::seat::Stage;
use crate::worker::sender::Sending;

/// The steady phase.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steady {
    from_ns: u64,
    until_ns: u64,
}

impl Run {
    pub(super) fn connect(&mut self, at_ns: u64) {
        let plan = Arc::clone(&self.plan);
        for (index, squad) in self.squads.iter().enumerate() {
            let clients = f64::from(squad.clients);
            match plan.scenario.groups[squad.group].connect_per_s {
                Some(0.0) => self.opening.add(squad.seats.clone(), at_ns),
                Some(per_s) => {
                    self.agenda.add(index, Job::Open, Pacer::once(squad.clone(), at_ns, clients / per_s * 1e9))
                }
                None => {
                    let ramp_ns = plan.scenario.phases.ramp_ms as f64 * 1e6;
                    self.agenda.add(index, Job::Open, Pacer::once(squad.clone(), at_ns, ramp_ns));
                }
            }
            if let Some(keepalive) = &plan.dialect.keepalive {
                let period_ns = keepalive.interval_ms as f64 * 1e6;
                self.agenda.add(index, Job::Keepalive, Pacer::new(squad.clone(), at_ns, period_ns, u64::MAX));
            }
        }
    }

    /// The steady phase. A second order only ends it sooner: what was planned once must not be planned again.
    pub(super) fn steady(&mut self, from_ns: u64, until_ns: u64) {
        if std::mem::replace(&mut self.is_planned, true) {
            if let Some(steady) = &mut self.steady {
                steady.until_ns = steady.until_ns.min(until_ns);
            }
            return;
        }
        self.steady = Some(Steady { from_ns, until_ns });
        self.fleet.recorder.steady(&self.plan, from_ns);
        let plan = Arc::clone(&self.plan);
        for (index, squad) in self.squads.iter().enumerate() {
            let group = &plan.scenario.groups[squad.group];
            self.agenda.add(index, Job::Begin, Pacer::once(squad.clone(), from_ns, 0.0));
            if let Sending::Scheduled { period_ns, .. } = Sending::of(&group.activity) {
                self.agenda.add(index, Job::Send, Pacer::new(squad.clone(), from_ns, period_ns, until_ns));
            }
            if group.churn_per_s > 0.0 {
                // Everybody's turn comes once in the time it takes to renew the whole group: the oldest is always next.
                let period_ns = f64::from(squad.clients) / group.churn_per_s * 1e9;
                self.agenda.add(index, Job::Churn, Pacer::new(squad.clone(), from_ns, period_ns, until_ns));
            }
            reader::plan(&group.reader, index, squad, from_ns, until_ns, &mut self.agenda);
        }
    }

    pub(super) fn published(&mut self, counts: Vec<u64>, refused: Vec<(u32, u64)>) {
        self.end_steady(now_ns());
        self.fleet.recorder.published(counts, &refused);
        self.is_published = true;
    }

    pub(super) fn finish(&mut self, until_ns: u64) {
        let now_ns = now_ns();
        self.end_steady(now_ns);
        self.pulse.settle(self.fleet.recorder.counts());
        for at in 0..self.fleet.seats.len() {
            Sending::give_up(at, &mut self.fleet, &self.agenda, now_ns);
        }
        self.agenda.clear();
        self.opening.clear();
        self.is_finishing = true;
        for at in 0..self.fleet.seats.len() {
            let neighbour_sent = self.neighbour_sent(at);
            self.fleet.settle(at, neighbour_sent, now_ns);
        }
        let down_ns = until_ns.saturating_sub(now_ns) as f64;
        for (index, squad) in self.squads.iter().enumerate() {
            self.agenda.add(index, Job::Leave, Pacer::once(squad.clone(), now_ns, down_ns));
        }
    }

    pub(super) fn next_phase_ns(&self) -> u64 {
        self.steady.map_or(u64::MAX, |steady| if self.pulse.is_steady() { steady.until_ns } else { steady.from_ns })
    }

    pub(super) fn mark_phases(&mut self, now_ns: u64) {
        let Some(steady) = self.steady else { return };
        if now_ns >= steady.from_ns {
            self.pulse.begin_steady(self.fleet.recorder.counts());
        }
        if now_ns >= steady.until_ns {
            self.end_steady(now_ns);
        }
    }

    /// The steady phase is over, perhaps before its time. Who did not read now reads.
    pub(super) fn end_steady(&mut self, now_ns: u64) {
        if self.steady.take().is_none() {
            return;
        }
        self.pulse.end_steady(self.fleet.recorder.counts());
        self.agenda.end_steady(now_ns);
        self.remaining = self.remaining();
        for at in 0..self.fleet.seats.len() {
            self.fleet.read_on(at);
        }
    }

    fn remaining(&self) -> Remaining {
        let mut remaining = Remaining::default();
        for (at, seat) in self.fleet.seats.iter().enumerate() {
            let (group, position) = self.group(at);
            if !reader::is_prompt(&group.reader, position) {
                continue;
            }
            if seat.stage != Stage::Idle || seat.comes_again {
                remaining.there += 1;
            } else {
                remaining.gone += 1;
            }
        }
        remaining
    }

    /// The time, while the steady phase lasts.
    pub(super) fn within_steady(&self, now_ns: u64) -> Option<u64> {
        self.steady.filter(|steady| steady.from_ns <= now_ns && now_ns < steady.until_ns).map(|_| now_ns)
    }
}
