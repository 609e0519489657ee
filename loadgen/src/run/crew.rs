//! All workers of a run, wherever they are: threads of this process, or of others.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crossbeam_channel::{Receiver, unbounded};

use crate::error::Error;
use crate::plan::Plan;
use crate::run::process::Process;
use crate::sample::machine;
use crate::talk::{Order, Report};
use crate::worker::{self, Share, Worker};

/// The workers.
#[derive(Debug)]
pub struct Crew {
    hands: Hands,
    reports: Receiver<(u32, Report)>,
    delivered: Vec<Arc<AtomicU64>>,
    workers: u32,
}

#[derive(Debug)]
enum Hands {
    Threads(Vec<Worker>),
    Processes(Vec<Process>),
}

impl Crew {
    /// Starts them; they wait for [`Order::Connect`]. `executable` is this program, for further processes.
    ///
    /// # Errors
    /// When one of them cannot start.
    pub fn start(plan: &Arc<Plan>, executable: &Path) -> Result<Self, Error> {
        let tool = &plan.scenario.tool;
        let workers_each = workers_each(tool.workers) as u32;
        let processes = tool.processes.max(1) as u32;
        if processes == 1 {
            Self::threads(plan, workers_each)
        } else {
            Self::processes(plan, executable, processes, workers_each)
        }
    }

    fn threads(plan: &Arc<Plan>, workers: u32) -> Result<Self, Error> {
        let (tell, reports) = unbounded();
        let delivered: Vec<_> = (0..workers).map(|_| Arc::new(AtomicU64::new(0))).collect();
        let spawn = |(worker, delivered): (u32, &Arc<AtomicU64>)| {
            worker::spawn(Arc::clone(plan), Share { worker, workers }, tell.clone(), Arc::clone(delivered))
        };
        let threads = (0..workers).zip(&delivered).map(spawn).collect::<Result<_, _>>()?;
        Ok(Self { hands: Hands::Threads(threads), reports, delivered, workers })
    }

    fn processes(plan: &Plan, executable: &Path, processes: u32, workers_each: u32) -> Result<Self, Error> {
        let (tell, reports) = unbounded();
        let workers = processes * workers_each;
        let start = |process: u32| {
            let share = process * workers_each..(process + 1) * workers_each;
            Process::start(executable, plan, share, workers, tell.clone())
        };
        let children = (0..processes).map(start).collect::<Result<Vec<_>, _>>()?;
        children.iter().try_for_each(Process::wait_ready)?;
        Ok(Self { hands: Hands::Processes(children), reports, delivered: Vec::new(), workers })
    }

    /// Gives all of them an order.
    pub fn tell(&mut self, order: &Order) {
        match &mut self.hands {
            Hands::Threads(threads) => threads.iter().for_each(|worker| worker.tell(order.clone())),
            Hands::Processes(processes) => processes.iter_mut().for_each(|process| process.tell(order)),
        }
    }

    /// What they report.
    #[must_use]
    pub const fn reports(&self) -> &Receiver<(u32, Report)> {
        &self.reports
    }

    /// Deliveries by worker; none where they are in other processes.
    #[must_use]
    pub fn delivered(&self) -> Vec<Arc<AtomicU64>> {
        self.delivered.clone()
    }

    /// How many they are.
    #[must_use]
    pub const fn workers(&self) -> u32 {
        self.workers
    }
}

/// Worker threads of a process: half the processors where nobody said, so that a server on the same machine has the rest.
fn workers_each(asked: usize) -> usize {
    if asked > 0 { asked } else { (machine::processors() / 2).max(1) }
}
