//! What is due for whom, and what follows from what happened.

use super::Run;
use crate::scenario::Group;
use crate::worker::agenda::Job;
use crate::worker::fleet::Change;
use crate::worker::pacer::Due;
use crate::worker::reader;
use crate::worker::seat::Stage;
use crate::worker::sender::Sending;

/// Turns of schedules taken before sockets are looked at again.
const DUE_PER_TURN: usize = 128;

impl Run {
    pub(super) fn do_what_is_due(&mut self, now_ns: u64) {
        for _ in 0..DUE_PER_TURN {
            let Some((job, due)) = self.agenda.pop(now_ns) else { return };
            let slip_ns = crate::clock::now_ns().saturating_sub(due.at_ns);
            match job {
                Job::Open => self.fleet.recorder.slip_opening(slip_ns),
                Job::Send | Job::Churn => self.fleet.recorder.slip(slip_ns),
                _ => {}
            }
            self.act(job, due, now_ns);
        }
    }

    pub(super) fn act(&mut self, job: Job, due: Due, now_ns: u64) {
        let (group, position) = self.group(due.seat);
        let (reader, sending) = (group.reader.clone(), Sending::of(&group.activity));
        let fleet = &mut self.fleet;
        match job {
            Job::Open => fleet.dial(due.seat, due.at_ns, now_ns),
            Job::Keepalive => fleet.keepalive(due.seat, now_ns),
            Job::Begin => self.begin(due.seat, now_ns),
            Job::Send => sending.on_due(due, fleet),
            Job::Stall => reader::stall(&reader, position, due.seat, fleet),
            Job::ReadOn => fleet.read_on(due.seat),
            Job::Sip => reader::sip(&reader, due.seat, fleet),
            Job::Churn => {
                Sending::give_up(due.seat, fleet, &self.agenda, now_ns);
                fleet.renew(due.seat, due.at_ns, now_ns);
            }
            Job::Leave => fleet.leave(due.seat, now_ns),
        }
    }

    /// What a ready client does and how it reads begins, if the steady phase has.
    pub(super) fn begin(&mut self, at: usize, now_ns: u64) {
        if self.within_steady(now_ns).is_none() || self.fleet.seats[at].stage != Stage::Ready {
            return;
        }
        let (group, position) = self.group(at);
        let (reader, sending) = (group.reader.clone(), Sending::of(&group.activity));
        reader::begin(&reader, position, at, &mut self.fleet);
        sending.on_answer(at, &mut self.fleet, &self.agenda, Some(now_ns));
    }

    pub(super) fn follow(&mut self, now_ns: u64) {
        std::mem::swap(&mut self.changes, &mut self.fleet.changes);
        let mut changes = std::mem::take(&mut self.changes);
        for change in changes.drain(..) {
            if let Change::Ended(at) = change {
                Sending::give_up(at, &mut self.fleet, &self.agenda, now_ns);
            }
            match change {
                Change::Answered(at) => {
                    let sending = Sending::of(&self.group(at).0.activity);
                    let steady_ns = self.within_steady(now_ns);
                    sending.on_answer(at, &mut self.fleet, &self.agenda, steady_ns);
                }
                Change::Ready(at) => {
                    let sending = Sending::of(&self.group(at).0.activity);
                    sending.on_ready(at, &mut self.fleet, &self.agenda);
                    self.begin(at, now_ns);
                }
                Change::Ended(at) if self.fleet.seats[at].comes_again && !self.is_finishing => {
                    self.fleet.dial(at, now_ns, now_ns);
                }
                Change::Ended(_) => {}
            }
        }
        self.changes = changes;
    }

    /// A seat's group, and the client's position there.
    pub(super) fn group(&self, at: usize) -> (&Group, u32) {
        let squad = &self.squads[usize::from(self.fleet.seats[at].squad)];
        (&self.plan.scenario.groups[squad.group], squad.position(at - squad.seats.start))
    }
}
