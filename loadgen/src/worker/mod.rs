//! Threads of very many clients: sockets, timers, reading and writing.
//!
//! A [`Worker`] is the handle of a thread; the thread's loop is in [`run`]. It asks the [`agenda`] (schedules, each a
//! [`pacer`] over a [`squad`] of clients) what is due, and has the [`fleet`] do it: the [`seat`]s of its clients, each with
//! a [`socket`] over a [`route`].
//!
//! ```text
//! orders ──▶ run ──▶ agenda, opening, sender, reader      when, and for whom
//!             │
//!             └────▶ fleet ──▶ seat ──▶ client (sans-IO)  what happens then
//!                                  └──▶ socket ──▶ tls, backlog
//! ```

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread::{self, JoinHandle};

use crossbeam_channel::Sender;
use mio::{Poll, Waker};

use crate::error::Error;
use crate::plan::Plan;
use crate::talk::{Order, Report};

pub mod agenda;
pub mod alarm;
pub mod backlog;
pub mod descriptors;
pub mod failure;
pub mod fleet;
pub mod opening;
pub mod pacer;
pub mod progress;
pub mod reader;
pub mod route;
pub mod run;
pub mod seat;
pub mod sender;
pub mod socket;
pub mod squad;
pub mod timeouts;
pub mod tls;

pub use descriptors::allow_descriptors;

use route::Route;
use run::Run;

/// Which clients a worker has: pairs of neighbours, by their position in their group, so that neighbours are together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Position of the worker, over all processes.
    pub worker: u32,
    /// All workers.
    pub workers: u32,
}

/// A worker's handle. Dropping it ends the worker, wherever it is.
#[derive(Debug)]
pub struct Worker {
    /// Taken when it is dropped: the thread ends when there is no sender.
    orders: Option<Sender<Order>>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Gives it an order. One whose thread is over does not hear it.
    pub fn tell(&self, order: Order) {
        if let Some(orders) = &self.orders {
            let _ = orders.send(order);
        }
        self.wake();
    }

    /// Whether its thread is over: it reported [`Report::Tally`] or [`Report::Failed`].
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    fn wake(&self) {
        // Fails only when the counter of wake-ups is full, and then it wakes up anyway.
        let _ = self.waker.wake();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.orders = None;
        self.wake();
        if let Some(thread) = self.thread.take() {
            // A panic there was printed there.
            let _ = thread.join();
        }
    }
}

/// Says that a worker panicked, where nobody would notice until the end of the run.
struct Fallen {
    worker: u32,
    reports: Sender<(u32, Report)>,
}

impl Drop for Fallen {
    fn drop(&mut self) {
        if thread::panicking() {
            let words = format!("worker {} panicked: what it said stands above", self.worker);
            // A run that is gone does not want to hear it.
            let _ = self.reports.send((self.worker, Report::Failed(words)));
        }
    }
}

/// Starts a worker, which waits for [`Order::Connect`].
///
/// `delivered` counts its stamped messages as they arrive, for publishers that wait for delivery. The worker ends after
/// [`Report::Tally`] or [`Report::Failed`], or when its handle is dropped.
///
/// # Errors
/// [`Error::Usage`] when the plan's target cannot be what it says, [`Error::Failed`] when the system refuses a thread.
pub fn spawn(
    plan: Arc<Plan>,
    share: Share,
    reports: Sender<(u32, Report)>,
    delivered: Arc<AtomicU64>,
) -> Result<Worker, Error> {
    let failed = |error: io::Error| Error::Failed(format!("a worker cannot start: {error}"));
    let route = Route::new(&plan)?;
    let poll = Poll::new().map_err(failed)?;
    let waker = Waker::new(poll.registry(), run::WAKER).map_err(failed)?;
    let (orders, inbox) = crossbeam_channel::unbounded();
    let fallen = reports.clone();
    let run = Run::new(plan, share, route, poll, inbox, reports, delivered).map_err(failed)?;
    let fallen = Fallen { worker: share.worker, reports: fallen };
    let thread = thread::Builder::new().name(format!("worker-{}", share.worker)).spawn(move || {
        // Moved in: dropped when this thread is over, however that happens.
        let _fallen = fallen;
        run.run();
    });
    Ok(Worker { orders: Some(orders), waker, thread: Some(thread.map_err(failed)?) })
}
