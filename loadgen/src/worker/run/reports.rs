//! What a worker tells the run.

use std::sync::atomic::Ordering;

use super::Run;
use crate::clock::thread_cpu_ns;
use crate::recorder::Recorder;
use crate::talk::{Arrival, Progress, Report};
use crate::worker::progress::Work;
use crate::worker::sender::Sending;

impl Run {
    pub(super) fn tell(&mut self, now_ns: u64) {
        let delivered = self.fleet.recorder.delivered;
        if delivered != self.delivered_told {
            self.delivered.fetch_add(delivered - self.delivered_told, Ordering::Relaxed);
            self.delivered_told = delivered;
        }
        if self.pulse.is_due(now_ns) {
            let arrivals = self.fleet.recorder.drain_arrivals(now_ns);
            self.give_progress(arrivals);
        }
    }

    pub(super) fn give_progress(&mut self, arrivals: Vec<Arrival>) {
        let progress = Progress {
            counts: *self.fleet.recorder.counts(),
            latency: self.fleet.recorder.drain_latency(),
            arrivals,
            settled: self.is_settled(),
            cpu_ns: thread_cpu_ns(),
            failures: self.fleet.recorder.tally.failures.clone(),
        };
        self.report(Report::Progress(Box::new(progress)));
    }

    pub(super) fn give_tally(&mut self) {
        let arrivals = self.fleet.recorder.drain_all_arrivals();
        self.give_progress(arrivals);
        let recorder = std::mem::replace(&mut self.fleet.recorder, Recorder::new(&self.plan));
        let mut tally = recorder.finish();
        let Work { cpu_ns, deliveries } = self.pulse.steady();
        (tally.cpu_steady_ns, tally.deliveries_steady) = (cpu_ns, deliveries);
        tally.delivered_steady = self.pulse.delivered_steady();
        tally.remaining = self.remaining;
        self.report(Report::Tally(Box::new(tally)));
    }

    pub(super) fn report(&self, report: Report) {
        // A run that is gone does not want to hear it; the loop finds out by its orders.
        let _ = self.reports.send((self.share.worker, report));
    }

    pub(super) fn is_settled(&self) -> bool {
        let settled = |at: usize| {
            let sending = Sending::of(&self.group(at).0.activity);
            let client = &self.fleet.seats[at].client;
            !sending.owes(at, &self.fleet, &self.agenda)
                && client.is_complete(self.neighbour_sent(at), &self.fleet.recorder)
        };
        // Who is still coming back, with churn, would else be cut short.
        self.is_published && self.fleet.opening == 0 && (0..self.fleet.seats.len()).all(settled)
    }

    /// How much a seat's neighbour sent it.
    pub(super) fn neighbour_sent(&self, at: usize) -> u64 {
        let seat = &self.fleet.seats[at];
        if self.plan.neighbour(seat.client.number()).is_none() {
            return 0;
        }
        let first = self.squads[usize::from(seat.squad)].seats.start;
        self.fleet.seats[first + ((at - first) ^ 1)].client.sent()
    }
}
