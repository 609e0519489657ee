//! The result, put together from what workers, publishers and the watch have to say.

use super::board;
use super::press::Books;
use super::verdict::{self, Signs};
use super::watch::Watch;
use super::{balance, verdict::Verdict};
use crate::hist::Hist;
use crate::outcome::{Ended, Opening, Outcome, SCHEMA, Tick};
use crate::plan::Plan;
use crate::publisher::ledger;
use crate::sample::machine;
use crate::scenario::{Activity, Pace};
use crate::talk::{Opened, Tally};

/// All that a run found out.
#[derive(Debug)]
pub struct Closing<'a> {
    /// What was asked for.
    pub plan: &'a Plan,
    /// Of the workers.
    pub tally: Tally,
    /// Between first and last receivers.
    pub skew: Hist,
    /// Of the publishers.
    pub books: Books,
    /// Of both sides.
    pub watch: &'a mut Watch,
    /// Second by second.
    pub timeline: Vec<Tick>,
    /// The busiest thread's share of a processor in its busiest second, where one was seen whole.
    pub busiest_share: f64,
    /// Ready connections before the steady phase.
    pub open: u64,
    /// Milliseconds since 1970.
    pub started_ms: u64,
    /// Of the whole run.
    pub duration_ms: u64,
    /// Of the steady phase, as it was.
    pub steady_ms: u64,
    /// How it ended.
    pub ended: Ended,
}

impl Closing<'_> {
    /// The result.
    #[must_use]
    pub fn outcome(self) -> Outcome {
        let Self { plan, tally, skew, mut books, watch, .. } = self;
        let counts = tally.counts;
        let deliveries = tally.deliveries_steady;
        let mut client = watch.client_side(self.open);
        client.receive_cpu_steady_ns = tally.cpu_steady_ns;
        client.deliveries_steady = deliveries;
        client.busiest_share = self.busiest_share.max(watch.busiest_share());
        let signs = Signs {
            busiest_share: client.busiest_share,
            slip_p99_ns: tally.slip.at(0.99).max(books.lateness.at(0.99)),
            latency_p99_ns: tally.latency.at(0.99),
            opening_slip_p99_ns: tally.slip_opening.at(0.99),
            connect_p99_ns: tally.connect.at(0.99),
            has_connect_rate: plan
                .scenario
                .groups
                .iter()
                .any(|group| group.connect_per_s.is_some_and(|per_s| per_s > 0.0)),
            idle_share: watch.idle_share(),
            waited_share: watch.waited_share(),
            has_schedule: has_schedule(plan),
        };
        client.slip = tally.slip;
        client.slip.add(&books.lateness);
        let Verdict { bottleneck, mut remarks } = verdict::weigh(&signs);
        remarks.extend(held_back(&books));
        (client.bottleneck, client.remarks) = (bottleneck, remarks);
        books.publishing.per_s = per_s(books.publishing.published, self.steady_ms);
        let mut failures = tally.failures;
        books.failures.iter().for_each(|one| ledger::add(&mut failures, one));
        board::sort(&mut failures);
        Outcome {
            schema: SCHEMA.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_ms: self.started_ms,
            duration_ms: self.duration_ms,
            steady_ms: self.steady_ms,
            delivered_steady: tally.delivered_steady,
            ended: self.ended,
            nobody_left: counts.ready > 0 && tally.remaining.is_nobody(),
            machine: machine::describe(),
            scenario: plan.scenario.clone(),
            counts,
            opened: opening(&tally.opened),
            latency: tally.latency,
            latency_uncorrected: tally.latency_uncorrected,
            connect: tally.connect,
            skew,
            jitter: tally.jitter,
            publishing: books.publishing,
            failures,
            balance: balance::check(&counts, balance::payload_bytes(plan)),
            client,
            server: watch.server_side(self.open, deliveries),
            metrics: watch.metrics(),
            timeline: self.timeline,
        }
    }
}

/// The tool was in time, and the server took publications late: the corrected latency has that in it.
fn held_back(books: &Books) -> Option<String> {
    let slip_ns = books.publishing.slip.at(0.99);
    let is_late = slip_ns > verdict::SLIP_P99_NS_MAX && books.lateness.at(0.99) <= verdict::SLIP_P99_NS_MAX;
    let slip_ms = slip_ns as f64 / 1e6;
    is_late.then(|| {
        format!("the server took one in a hundred publications {slip_ms:.1} ms after it was due or later: the latency counts from when it was due")
    })
}

fn opening(opened: &Opened) -> Opening {
    Opening { count: opened.count, took_ns: opened.last_ready_ns.saturating_sub(opened.first_due_ns) }
}

fn per_s(count: u64, over_ms: u64) -> f64 {
    if over_ms > 0 { count as f64 * 1e3 / over_ms as f64 } else { 0.0 }
}

/// Something is due at a time that does not depend on the server.
fn has_schedule(plan: &Plan) -> bool {
    let publishers = plan.scenario.publishers.iter().any(|publisher| matches!(publisher.pace, Pace::RatePerS(_)));
    publishers
        || plan.scenario.groups.iter().any(|group| match group.activity {
            Activity::Echo { rate_per_s, .. } | Activity::Peer { rate_per_s, .. } => rate_per_s > 0.0,
            Activity::Every { .. } => true,
            Activity::Listen => false,
        })
}
