//! Readers that do not read at once: which of a group's clients they are, and when they read.

use super::agenda::{Agenda, Job};
use super::fleet::Fleet;
use super::pacer::Pacer;
use super::squad::Squad;
use crate::scenario::Reader;

/// How often a slow reader reads at most: so often that what it reads at once is small, and so seldom that the tool has
/// little to do.
const SIPS_PER_S: u64 = 50;

/// Plans the steady phase of a squad's readers.
pub fn plan(reader: &Reader, at: usize, squad: &Squad, from_ns: u64, until_ns: u64, agenda: &mut Agenda) {
    match *reader {
        Reader::Prompt => {}
        Reader::Stall { period_ms, stall_ms, .. } => {
            let period_ns = period_ms as f64 * 1e6;
            if stall_ms < period_ms {
                let stall_ns = stall_ms.saturating_mul(1_000_000);
                agenda.add(at, Job::Stall, Pacer::new(squad.clone(), from_ns, period_ns, until_ns));
                agenda.add(at, Job::ReadOn, Pacer::new(squad.clone(), from_ns + stall_ns, period_ns, until_ns));
            }
        }
        Reader::Slow { bytes_per_s, .. } => {
            let period_ns = sip_bytes(bytes_per_s) as f64 * 1e9 / bytes_per_s.max(1) as f64;
            agenda.add(at, Job::Sip, Pacer::new(squad.clone(), from_ns, period_ns, until_ns));
        }
    }
}

/// Whether the client at this position reads as soon as there is something, always: a server has no reason to close it for being slow.
#[must_use]
pub fn is_prompt(reader: &Reader, position: u32) -> bool {
    match *reader {
        Reader::Prompt => true,
        Reader::Stall { share, .. } | Reader::Slow { share, .. } => !is_chosen(position, share),
    }
}

/// A client is ready in the steady phase.
pub fn begin(reader: &Reader, position: u32, seat: usize, fleet: &mut Fleet) {
    match *reader {
        Reader::Stall { share, period_ms, stall_ms } if stall_ms >= period_ms && is_chosen(position, share) => {
            fleet.stall(seat);
        }
        Reader::Slow { share, .. } if is_chosen(position, share) => fleet.slow_down(seat),
        _ => {}
    }
}

/// A stall begins for whoever is in this turn.
pub fn stall(reader: &Reader, position: u32, seat: usize, fleet: &mut Fleet) {
    if let Reader::Stall { share, .. } = *reader
        && is_chosen(position, share)
    {
        fleet.stall(seat);
    }
}

/// A slow reader's turn.
pub fn sip(reader: &Reader, seat: usize, fleet: &mut Fleet) {
    if let Reader::Slow { bytes_per_s, .. } = *reader {
        fleet.sip(seat, sip_bytes(bytes_per_s) as usize);
    }
}

fn sip_bytes(bytes_per_s: u64) -> u64 {
    (bytes_per_s / SIPS_PER_S).max(1)
}

/// Whether the client at this position of its group belongs to the share: evenly spread, the same for every worker.
fn is_chosen(position: u32, share: f64) -> bool {
    let chosen_before = |position: u32| (f64::from(position) * share) as u64;
    chosen_before(position + 1) > chosen_before(position)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_spread_evenly() {
        let chosen = |share: f64| (0..10).filter(|position| is_chosen(*position, share)).collect::<Vec<_>>();
        assert!(chosen(0.0).is_empty());
        assert_eq!(chosen(0.2), [4, 9]);
        assert_eq!(chosen(0.5), [1, 3, 5, 7, 9]);
        assert_eq!(chosen(1.0).len(), 10);
    }

    #[test]
    fn slow_readers_read_at_their_rate_whatever_it_is() {
        assert_eq!((sip_bytes(1), sip_bytes(49), sip_bytes(1_000_000)), (1, 1, 20_000));
    }
}
