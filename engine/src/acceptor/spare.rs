//! The descriptor kept for the moment when there is no other.

use std::fs::File;

/// A descriptor kept for the moment when there is no other.
pub(super) struct Spare(pub(super) Option<File>);

impl Spare {
    pub(super) fn new() -> Self {
        Self(File::open("/dev/null").ok())
    }

    /// Frees the descriptor, if it is there.
    pub(super) fn give(&mut self) -> bool {
        self.0.take().is_some()
    }

    /// Another thread may have been quicker; then the next shortage turns nobody away, and tries this again.
    pub(super) fn take_back(&mut self) {
        self.0 = File::open("/dev/null").ok();
    }
}
