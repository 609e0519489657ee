//! The publishers of a run: started, watched, and their books added up.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, unbounded};

use crate::clock;
use crate::error::Error;
use crate::hist::Hist;
use crate::outcome::Publishing;
use crate::plan::Plan;
use crate::publisher::socket::Route;
use crate::publisher::thread::Start;
use crate::publisher::{Ledger, Live, ledger, spawn};
use crate::talk::Failures;

/// All publishers.
#[derive(Debug)]
pub struct Press {
    live: Arc<Live>,
    threads: Vec<JoinHandle<Ledger>>,
    notes: Receiver<String>,
    /// When the busiest share was asked last, and each one's processor time then.
    before: Option<(u64, Vec<u64>)>,
    /// The same at the beginning of the steady phase.
    steady: Option<(u64, Vec<u64>)>,
}

/// What all publishers did.
#[derive(Clone, Debug, Default)]
pub struct Books {
    /// Messages given out, by stream of the plan.
    pub counts: Vec<u64>,
    /// Stream and number of those the server did not take.
    pub refused: Vec<(u32, u64)>,
    /// For the result; the rate is not known here.
    pub publishing: Publishing,
    /// How late the threads themselves were.
    pub lateness: Hist,
    /// Kinds of failures.
    pub failures: Vec<Failures>,
}

impl Press {
    /// Starts them: they connect at once.
    ///
    /// # Errors
    /// When the system has no thread.
    pub fn start(
        plan: &Arc<Plan>,
        routes: Vec<(Arc<Route>, String)>,
        delivered: Vec<Arc<AtomicU64>>,
    ) -> Result<Self, Error> {
        let live = Arc::new(Live::new(routes.len(), delivered));
        let (tell, notes) = unbounded();
        let mut threads = Vec::with_capacity(routes.len());
        for (number, (route, host)) in routes.into_iter().enumerate() {
            let (plan, live, notes) = (Arc::clone(plan), Arc::clone(&live), tell.clone());
            let thread = spawn(Start { plan, number, live, route, host, notes });
            threads.push(thread.map_err(|error| Error::Failed(format!("a publisher cannot start: {error}")))?);
        }
        Ok(Self { live, threads, notes, before: None, steady: None })
    }

    /// What they share.
    #[must_use]
    pub fn live(&self) -> &Live {
        &self.live
    }

    /// What they want said.
    pub fn notes(&self) -> impl Iterator<Item = String> {
        self.notes.try_iter()
    }

    /// All are done.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }

    /// The busiest one's share of a processor since this was asked last.
    pub fn busiest_share(&mut self) -> f64 {
        let now = self.cpu_ns();
        self.before.replace(now.clone()).map_or(0.0, |before| busiest(&before, &now))
    }

    /// The steady phase begins.
    pub fn steady(&mut self) {
        let now = self.cpu_ns();
        (self.before, self.steady) = (Some(now.clone()), Some(now));
    }

    /// The busiest one's share of a processor over the steady phase, which is over now. One that is done already counts, too.
    #[must_use]
    pub fn steady_share(&self) -> f64 {
        // Before the phase they only wait: what they said last is what they had used when it began.
        self.steady.as_ref().map_or(0.0, |steady| busiest(steady, &self.cpu_ns()).min(1.0))
    }

    /// The time, and each one's processor time as it last said.
    fn cpu_ns(&self) -> (u64, Vec<u64>) {
        (clock::now_ns(), (0..self.live.publishers()).map(|seat| self.live.cpu_ns(seat)).collect())
    }

    /// Waits for their books and adds them up.
    ///
    /// # Errors
    /// When one of them panicked.
    pub fn close(&mut self, streams: usize) -> Result<Books, Error> {
        let mut books = Books { counts: Vec::with_capacity(streams), ..Books::default() };
        for thread in self.threads.drain(..) {
            let ledger = thread.join().map_err(|_| Error::Failed(String::from("a publisher's thread panicked")))?;
            books.add(ledger);
        }
        Ok(books)
    }
}

fn busiest((before_ns, before): &(u64, Vec<u64>), (now_ns, now): &(u64, Vec<u64>)) -> f64 {
    let used = now.iter().zip(before).map(|(now, before)| now.saturating_sub(*before));
    used.max().unwrap_or(0) as f64 / now_ns.saturating_sub(*before_ns).max(1) as f64
}

impl Drop for Press {
    /// A run that failed leaves no thread behind.
    fn drop(&mut self) {
        self.live.end(0, 0);
        for thread in self.threads.drain(..) {
            // A panic there was printed there.
            let _ = thread.join();
        }
    }
}

impl Books {
    /// Publishers come in the order of the plan, and so do their streams.
    fn add(&mut self, ledger: Ledger) {
        let publishing = &mut self.publishing;
        publishing.published += ledger.counts.iter().sum::<u64>();
        publishing.refused += ledger.refused_count;
        publishing.slip.add(&ledger.slip);
        publishing.answered.add(&ledger.answered);
        publishing.backlog_bytes_max += ledger.backlog_bytes_max;
        self.lateness.add(&ledger.lateness);
        self.counts.extend(ledger.counts);
        self.refused.extend(ledger.refused);
        ledger.failures.iter().for_each(|one| ledger::add(&mut self.failures, one));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publisher_that_is_done_before_anybody_looks_counts_in_a_short_phase() {
        let live = Arc::new(Live::new(2, Vec::new()));
        let mut press = Press { live, threads: Vec::new(), notes: unbounded().1, before: None, steady: None };
        assert_eq!((press.busiest_share(), press.steady_share()), (0.0, 0.0), "nothing to compare with");
        press.live.set_cpu_ns(1, 1_000);
        press.steady();
        press.live.set_cpu_ns(0, 7_000_000_000);
        press.live.set_cpu_ns(1, 2_000);
        assert_eq!(press.steady_share(), 1.0, "no share is more than the whole");
        assert!(press.busiest_share() > 0.0 && press.busiest_share() == 0.0, "a second is asked for once");
        assert_eq!(press.steady_share(), 1.0, "the phase is not");
        assert_eq!(busiest(&(10, vec![5, 5]), &(110, vec![95, 25])), 0.9);
    }
}
