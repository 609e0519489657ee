//! A run from start to end: phases, workers, processes, the verdict.
//!
//! | module | owns |
//! |---|---|
//! | [`preflight`] | what must be so before any load |
//! | [`crew`], [`process`] | the workers, in threads of this process or of others |
//! | [`stage`] | the phases, one after the other |
//! | [`hope`], [`advice`] | when connecting is given up; what to do when nobody could connect |
//! | [`press`] | the publishers |
//! | [`closing`] | the result, put together |
//! | [`board`], [`skew`] | what workers reported, merged |
//! | [`timeline`] | what happened in each second |
//! | [`watch`] | both sides seen from outside |
//! | [`balance`] | what must agree |
//! | [`verdict`] | whether the server was measured, or this tool |

use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::error::Error;
use crate::outcome::{Outcome, Tick};
use crate::plan::Plan;
use crate::scenario::Scenario;

pub mod advice;
pub mod balance;
pub mod board;
pub mod closing;
pub mod crew;
pub mod hope;
pub mod preflight;
pub mod press;
pub mod process;
pub mod skew;
pub mod stage;
#[cfg(test)]
mod testing;
pub mod timeline;
pub mod verdict;
pub mod watch;

/// Told while it runs, for the screen.
pub trait Watcher {
    /// A second is over.
    fn tick(&mut self, tick: &Tick, so_far: &SoFar);
    /// Something the person in front of it should read now.
    fn note(&mut self, words: &str);
}

/// How the run stands as a whole.
#[derive(Clone, Debug, Default)]
pub struct SoFar {
    /// Clients the scenario asks for.
    pub clients: u64,
    /// When the current phase ends, milliseconds from the start of the run.
    pub phase_until_ms: u64,
    /// Counts over all workers.
    pub counts: crate::talk::Counts,
    /// Kinds of failures, the most frequent first.
    pub failures: Vec<crate::talk::Failures>,
    /// Latency since the start.
    pub latency: crate::hist::Hist,
    /// Messages published.
    pub published: u64,
}

/// Does what the scenario says. `interrupted` set ends it early, with its result.
///
/// # Errors
/// [`Error::Usage`] before anything was done, [`Error::Failed`] when it could not go on.
pub fn run(scenario: Scenario, interrupted: &Arc<AtomicBool>, watcher: &mut dyn Watcher) -> Result<Outcome, Error> {
    let executable = std::env::current_exe();
    let executable = executable.map_err(|error| Error::Failed(format!("this program cannot find itself: {error}")))?;
    run_with(scenario, &executable, interrupted, watcher)
}

/// The same; further processes are started as `executable worker`.
///
/// # Errors
/// As [`run`].
pub fn run_with(
    scenario: Scenario,
    executable: &Path,
    interrupted: &Arc<AtomicBool>,
    watcher: &mut dyn Watcher,
) -> Result<Outcome, Error> {
    let plan = Arc::new(Plan::new(scenario).map_err(Error::Usage)?.of_run(random_run()));
    let cleared = preflight::check(&plan)?;
    stage::Stage::set(plan, cleared, executable, interrupted, watcher)?.play()
}

/// Two runs at once have the same with a chance of one in four thousand million.
fn random_run() -> u32 {
    // Its keys are random in every process, and in every call: the hash is as random as they are.
    RandomState::new().hash_one(std::process::id()) as u32
}
