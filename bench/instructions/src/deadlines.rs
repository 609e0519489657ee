//! When timers fire: as scattered as the heartbeats of sessions that came at different times.

/// Heartbeats of 25 s are spread over so many milliseconds.
pub const SPREAD_MS: u64 = 25_000;

/// The deadline of a timer, in no order the wheel could profit from, the same at every run: 1 to [`SPREAD_MS`].
#[must_use]
pub const fn deadline_ms(number: u64) -> u64 {
    1 + scattered(number) % SPREAD_MS
}

/// A number far from those of its neighbours.
#[must_use]
pub const fn scattered(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
}
