//! Windows: the time for which a channel's messages wait for one another, to share their writes.
//!
//! The first message opens the window of its channel, `batch_ms` long. All that come until its end go to the flush
//! together; so they do before it, once they fill a batch. An open window is an entry of the shard's wheel; a channel
//! without one costs nothing. Knows nothing of what waits, and of the flush only the list of channels it takes.

use super::Shard;
use super::deadlines::Due;

impl Shard {
    /// Something new is pending in the channel, for the first time if `first`: lists the channel for the flush, unless
    /// it has a window to wait for.
    #[inline]
    pub(super) fn gather(&mut self, slot: u32, first: bool) {
        let Some(channel) = self.hub.channel_mut(slot) else { return };
        if channel.window.is_some() {
            if channel.pending.fills_a_batch() {
                self.end_window(slot);
            }
        } else if first {
            let batch_ms = self.setup.settings.channels.of(&channel.name).batch_ms;
            // Who is about to be sent away gets first what there is.
            let may_wait = self.windows_allowed && self.drain.is_none();
            if batch_ms == 0 || !may_wait || channel.pending.fills_a_batch() {
                self.hub.touched_channels.push(slot);
            } else {
                let ends_ms = self.now.monotonic_ms() + batch_ms;
                channel.window = Some(self.wheel.insert(ends_ms, Due::Window(slot)));
            }
        }
    }

    /// The time of the channel's window is over.
    pub(super) fn window_is_over(&mut self, slot: u32) {
        let Some(channel) = self.hub.channel_mut(slot) else { return };
        channel.window = None;
        self.hub.touched_channels.push(slot);
    }

    /// Whether messages may wait in windows from now on. If not, those that wait go out with the next flush: they hold
    /// bytes that others are refused for, or there will be no later.
    pub fn allow_windows(&mut self, allowed: bool) {
        if self.windows_allowed && !allowed {
            for slot in self.hub.windows() {
                self.end_window(slot);
            }
        }
        self.windows_allowed = allowed;
    }

    /// The channel is about to be gone, and what waits in it.
    pub(super) fn forget_window(&mut self, slot: u32) {
        if let Some(window) = self.hub.channel_mut(slot).and_then(|channel| channel.window.take()) {
            self.wheel.cancel(window);
        }
    }

    fn end_window(&mut self, slot: u32) {
        self.forget_window(slot);
        self.hub.touched_channels.push(slot);
    }

    /// Whether messages wait in a window; for tests.
    #[cfg(any(test, debug_assertions))]
    #[must_use]
    pub fn has_windows(&self) -> bool {
        !self.hub.windows().is_empty()
    }

    /// Asserts that what is pending in a channel waits either for its window or for the flush.
    #[cfg(any(test, debug_assertions))]
    pub(super) fn assert_windows(&self) {
        for (slot, channel) in self.hub.channels_by_slot() {
            let listed = self.hub.touched_channels.contains(&slot);
            assert!(channel.window.is_none() || !channel.pending.is_empty());
            assert!(channel.window.is_none() || self.windows_allowed);
            assert!(channel.pending.is_empty() || channel.window.is_some() || listed, "somebody will flush it");
        }
    }
}
