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
        Ok(Self { live, threads, notes, before: None })
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
        let now_ns = clock::now_ns();
        let cpu_ns: Vec<u64> = (0..self.live.publishers()).map(|seat| self.live.cpu_ns(seat)).collect();
        let Some((before_ns, before)) = self.before.replace((now_ns, cpu_ns.clone())) else { return 0.0 };
        let used = cpu_ns.iter().zip(before).map(|(now, before)| now.saturating_sub(before));
        used.max().unwrap_or(0) as f64 / now_ns.saturating_sub(before_ns).max(1) as f64
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
