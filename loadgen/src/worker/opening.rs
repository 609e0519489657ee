//! Opening connections as fast as the server takes them.

use std::ops::Range;

use super::fleet::Fleet;

/// Sessions of a worker that may be on their way to being ready at once: enough to keep a server busy, and well below the
/// queue of new connections any server has.
pub const OPENING_MAX: usize = 256;

/// Connections begun before sockets get their turn.
const DIALS_PER_TURN: usize = 32;

/// Seats that wait to be opened.
#[derive(Debug, Default)]
pub struct Opening {
    seats: Vec<Range<usize>>,
    /// When it may begin.
    from_ns: u64,
}

impl Opening {
    /// These, too, from then on.
    pub fn add(&mut self, seats: Range<usize>, from_ns: u64) {
        self.from_ns = from_ns;
        self.seats.push(seats);
    }

    /// Nobody any more.
    pub fn clear(&mut self) {
        self.seats.clear();
    }

    /// When to look again; `u64::MAX`: when something else happens.
    #[must_use]
    pub fn next_ns(&self, fleet: &Fleet) -> u64 {
        let may = self.seats.iter().any(|seats| !seats.is_empty()) && fleet.opening < OPENING_MAX;
        if may { self.from_ns } else { u64::MAX }
    }

    /// Opens as many as may be opened now.
    pub fn go_on(&mut self, fleet: &mut Fleet, now_ns: u64) {
        if now_ns < self.from_ns {
            return;
        }
        let mut waiting = self.seats.iter_mut().flatten();
        for _ in 0..DIALS_PER_TURN {
            if fleet.opening >= OPENING_MAX {
                return;
            }
            let Some(at) = waiting.next() else { return };
            fleet.dial(at, now_ns, now_ns);
        }
    }
}
