//! The clients of a group that one worker has.

use std::ops::Range;

use super::Share;

/// A worker's part of a group: pairs of neighbours, taken in turn by the workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Squad {
    /// Which group, as its position in the scenario.
    pub group: usize,
    /// Clients of the whole group, over all workers.
    pub clients: u32,
    /// Where this worker keeps them.
    pub seats: Range<usize>,
    /// The first pair, and how many further the next one is.
    first_pair: u32,
    step: u32,
}

impl Squad {
    /// The part of a group of `clients`, kept from seat `first_seat` on.
    ///
    /// # Panics
    /// When there are no workers.
    #[must_use]
    pub fn new(group: usize, clients: u32, share: Share, first_seat: usize) -> Self {
        // Groups begin with different workers, so that many small groups do not all land on the first.
        let offset = (group % share.workers as usize) as u32;
        let first_pair = (share.worker + share.workers - offset) % share.workers;
        let mut squad = Self { group, clients, seats: first_seat..first_seat, first_pair, step: share.workers };
        let pairs = clients.div_ceil(2).saturating_sub(first_pair).div_ceil(share.workers);
        let most = pairs as usize * 2;
        // The last pair may have only one client.
        let len = if most > 0 && squad.position(most - 1) >= clients { most - 1 } else { most };
        squad.seats.end += len;
        squad
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }

    /// The position in the group of the `place`-th client of the squad.
    #[must_use]
    pub const fn position(&self, place: usize) -> u32 {
        let place = place as u32;
        (self.first_pair + place / 2 * self.step) * 2 + place % 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positions(group: usize, clients: u32, workers: u32) -> Vec<Vec<u32>> {
        let of = |worker| {
            let squad = Squad::new(group, clients, Share { worker, workers }, 10);
            assert_eq!(squad.seats.start, 10);
            (0..squad.seats.len()).map(|place| squad.position(place)).collect()
        };
        (0..workers).map(of).collect()
    }

    #[test]
    fn neighbours_are_together_and_the_odd_one_is_not_lost() {
        assert_eq!(positions(0, 7, 2), [vec![0, 1, 4, 5], vec![2, 3, 6]]);
        assert_eq!(positions(1, 5, 2), [vec![2, 3], vec![0, 1, 4]]);
        assert_eq!(positions(0, 1, 3), [vec![0], vec![], vec![]]);
        assert_eq!(positions(0, 0, 2), [vec![0; 0], vec![]]);
    }

    #[test]
    fn every_client_is_with_exactly_one_worker() {
        for (group, clients, workers) in [(0, 1, 1), (2, 17, 3), (5, 100, 7), (1, 3, 8), (3, 8, 4)] {
            let mut all = positions(group, clients, workers).concat();
            all.sort_unstable();
            assert_eq!(all, (0..clients).collect::<Vec<_>>(), "{clients} over {workers}");
        }
    }
}
