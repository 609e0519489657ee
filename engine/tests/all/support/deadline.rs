//! How long a test waits: long enough for a busy machine, never for ever.

use std::time::{Duration, Instant};

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
