//! How long a test waits: long enough for a busy machine, never for ever.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// The longest any single wait may take. Nothing takes a tenth of it on an idle machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks until there is an answer. `ask` must itself wait for the node (a request, a read), so that this does not spin.
///
/// # Panics
/// When there is none within [`PATIENCE`].
pub fn within<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::yield_now();
    }
}

/// [`within`] for a condition.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    within(what, || holds().then_some(()));
}

/// Asks until there is an answer, with a breath between two questions: for what happens in other processes, where
/// asking does not wait for it and asking at full speed would take the processor from it.
///
/// # Panics
/// When there is none within `deadline`.
pub fn eventually<T>(deadline: Duration, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    let (_open, nothing) = std::sync::mpsc::channel::<()>();
    loop {
        // Before asking: an answer may itself take long, and it counts when it was asked for in time.
        let is_over = start.elapsed() >= deadline;
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(!is_over, "not within {deadline:?}: {what}");
        let _ = nothing.recv_timeout(BREATH);
    }
}

/// Between two questions of [`eventually`]: far below every time a test measures.
const BREATH: Duration = Duration::from_millis(10);

/// SIGSTOP, and waits until it has stopped: each thread goes on until the kernel has got hold of it.
pub fn stop_process(pid: Pid) {
    kill_process(pid, Signal::STOP).expect("it runs");
    eventually(PATIENCE, "it has stopped", || {
        let threads = std::fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero())).expect("it runs");
        let mut states = threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("stat")).ok());
        // Behind the name, which may hold anything but ends with the last parenthesis.
        states.all(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))).then_some(())
    });
}
