//! The time as an argument: the core never reads a clock.

/// One reading of both clocks, taken by the reactor at most a few times a turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Now {
    /// Microseconds since the engine started; never goes back. Deadlines and durations are counted in it.
    pub monotonic_us: u64,
    /// Milliseconds since 1970-01-01 UTC; may jump. Only ever shown to people and clients.
    pub unix_ms: u64,
}

impl Now {
    /// Whole milliseconds since the engine started: the unit of the timer wheel.
    #[must_use]
    pub const fn monotonic_ms(self) -> u64 {
        self.monotonic_us / 1_000
    }
}
