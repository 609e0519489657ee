//! First and last arrival of watched messages at a worker's clients.

use crate::talk::Arrival;

/// Watched messages that are not reported yet.
#[derive(Debug, Default)]
pub struct Arrivals {
    /// A slot each by stream and number: where two want the same, the older is reported and begins anew if it goes on. The run
    /// adds up what belongs together.
    slots: Vec<Option<Arrival>>,
    /// What lost its slot.
    out: Vec<Arrival>,
}

/// Slots: at the 1000 messages a second that are watched, none is needed twice within a second but by chance.
const SLOTS: usize = 1_024;

/// Reports that may wait: beyond, the skew of some messages is not known. 2.6 MB.
const OUT_MAX: usize = 65_536;

/// A message that came to nobody for so long is reported.
const QUIET_NS: u64 = 1_000_000_000;

impl Arrivals {
    /// A watched message arrived; `turn` is its number among the watched ones of its stream.
    pub fn saw(&mut self, stream: u32, seq: u64, turn: u64, now_ns: u64) {
        if self.slots.is_empty() {
            self.slots = vec![None; SLOTS];
        }
        // Streams are spread by a multiplicative hash, numbers of one stream are next to each other.
        let at = (turn as usize).wrapping_add(stream as usize * 0x9e37) % SLOTS;
        let slot = &mut self.slots[at];
        if let Some(arrival) = slot.as_mut().filter(|arrival| arrival.seq == seq && arrival.stream == stream) {
            arrival.last_ns = now_ns;
            arrival.receivers += 1;
            return;
        }
        let new = Arrival { stream, seq, first_ns: now_ns, last_ns: now_ns, receivers: 1 };
        if let Some(old) = slot.replace(new)
            && self.out.len() < OUT_MAX
        {
            self.out.push(old);
        }
    }

    /// Takes out those that are quiet; `u64::MAX` for `now_ns`: all.
    pub fn drain(&mut self, now_ns: u64) -> Vec<Arrival> {
        let quiet = |arrival: &mut Arrival| now_ns.saturating_sub(arrival.last_ns) >= QUIET_NS;
        let mut out = std::mem::take(&mut self.out);
        out.extend(self.slots.iter_mut().filter_map(|slot| slot.take_if(quiet)));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_and_last_are_kept_until_it_is_quiet() {
        let mut arrivals = Arrivals::default();
        for now_ns in [100, 150, 190] {
            arrivals.saw(3, 64, 4, now_ns);
            arrivals.saw(4, 64, 4, now_ns + 1);
        }
        assert_eq!(arrivals.drain(500), [], "more may come");
        let mut quiet = arrivals.drain(190 + QUIET_NS);
        quiet.sort_by_key(|arrival| arrival.stream);
        assert_eq!(quiet, [Arrival { stream: 3, seq: 64, first_ns: 100, last_ns: 190, receivers: 3 }]);
        assert_eq!(arrivals.drain(u64::MAX).len(), 1);
        assert_eq!(arrivals.drain(u64::MAX), []);
    }

    #[test]
    fn one_that_is_pushed_out_of_its_slot_is_reported_in_parts() {
        let mut arrivals = Arrivals::default();
        arrivals.saw(0, 1, 1, 10);
        arrivals.saw(0, 1 + SLOTS as u64, 1 + SLOTS as u64, 20);
        arrivals.saw(0, 1, 1, 30);
        let all = arrivals.drain(u64::MAX);
        let of_first: Vec<_> = all.iter().filter(|arrival| arrival.seq == 1).collect();
        assert_eq!(of_first.iter().map(|arrival| arrival.receivers).sum::<u32>(), 2);
        assert_eq!(of_first.iter().map(|arrival| arrival.first_ns).min(), Some(10));
        assert_eq!(of_first.iter().map(|arrival| arrival.last_ns).max(), Some(30));
    }
}
