//! Memory that servers can make a worker hold for its sessions: so much of it over all, and no more.
//!
//! It knows nothing of what is held: sizes go in, and whether there is room comes out.

/// Bytes that are held.
#[derive(Debug)]
pub(crate) struct Held {
    /// Of messages that are not whole, over all clients.
    begun_bytes: usize,
    /// Of accounts of sessions that are over.
    departed_bytes: usize,
    /// Most of `begun_bytes`.
    pub(crate) begun_bytes_max: usize,
    /// Most of `departed_bytes`.
    pub(crate) departed_bytes_max: usize,
}

/// Bytes of messages that are not whole, over all clients of a worker: room for 64 of the longest. A fan-out of long
/// messages needs most of it; a server that begins one at every client and ends none stops here, not where the machine does.
const BEGUN_BYTES_MAX: usize = 1 << 30;

/// Bytes of the accounts of sessions that are over and wait for what the server did not take, for each worker: those of
/// 4 000 sessions with as many holes as are kept, and of far more than may wait with a few.
const DEPARTED_BYTES_MAX: usize = 64 << 20;

/// Messages that are not whole need more than [`BEGUN_BYTES_MAX`].
pub(crate) const TOO_MUCH_BEGUN: &str = "begun messages fill the tool's memory";

/// What to do about it.
pub(crate) const TOO_MUCH_BEGUN_WORDS: &str =
    "1 GiB of messages that are not whole waits in one worker: more workers, fewer clients or shorter messages";

/// More sessions ended with something missing than can be kept until the end.
pub(crate) const TOO_MANY_DEPARTED: &str = "accounts closed before the end";

/// What that means.
pub(crate) const TOO_MANY_DEPARTED_WORDS: &str =
    "too many sessions ended with something missing: what the server refused to take counts as lost to these";

impl Default for Held {
    fn default() -> Self {
        Self {
            begun_bytes: 0,
            departed_bytes: 0,
            begun_bytes_max: BEGUN_BYTES_MAX,
            departed_bytes_max: DEPARTED_BYTES_MAX,
        }
    }
}

impl Held {
    /// A client holds so much of what is not whole, after so much. Returns whether that may be; if not, it counts as before.
    pub(crate) fn begin(&mut self, before: usize, after: usize) -> bool {
        let others = self.without(before);
        if after > before && others + after > self.begun_bytes_max {
            return false;
        }
        self.begun_bytes = others + after;
        true
    }

    /// A client lets go of it.
    pub(crate) fn let_go(&mut self, bytes: usize) {
        self.begun_bytes = self.without(bytes);
    }

    fn without(&self, bytes: usize) -> usize {
        debug_assert!(bytes <= self.begun_bytes, "what a client holds was counted");
        self.begun_bytes.saturating_sub(bytes)
    }

    /// An account of this size shall be kept until the end. Returns whether it may be.
    pub(crate) fn depart(&mut self, bytes: usize) -> bool {
        let has_room = self.departed_bytes + bytes <= self.departed_bytes_max;
        self.departed_bytes += if has_room { bytes } else { 0 };
        has_room
    }

    #[cfg(test)]
    pub(crate) const fn begun_bytes(&self) -> usize {
        self.begun_bytes
    }
}
