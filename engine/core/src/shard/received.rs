//! Bytes that came and are not all understood yet. What was understood is passed over; the rest stays where it is.
//!
//! Knows nothing of what the bytes say.

/// Bytes of one connection, in the order they came.
#[derive(Default)]
pub(super) struct Received {
    bytes: Vec<u8>,
    /// Bytes at the front that were understood.
    ///
    /// Invariant: below `bytes.len()`, or both are 0.
    understood: usize,
}

impl Received {
    /// Appends what came.
    ///
    /// The rest is moved to the front only where it is shorter than what was understood since it was moved last: however
    /// requests are cut and pipelined, fewer bytes are moved than came.
    pub(super) fn append(&mut self, bytes: &[u8]) {
        if self.rest().len() < self.understood {
            self.bytes.drain(..std::mem::take(&mut self.understood));
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// What is not understood yet.
    pub(super) fn rest(&self) -> &[u8] {
        &self.bytes[self.understood..]
    }

    /// Whether all of it was understood.
    pub(super) const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// So many more bytes were understood.
    pub(super) fn pass(&mut self, bytes: usize) {
        self.understood += bytes;
        debug_assert!(self.understood <= self.bytes.len(), "nobody understands what has not come");
        if self.understood == self.bytes.len() {
            self.bytes.clear();
            self.understood = 0;
        }
    }

    /// Takes the rest out.
    pub(super) fn take_rest(&mut self) -> Vec<u8> {
        self.bytes.drain(..std::mem::take(&mut self.understood));
        std::mem::take(&mut self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_understood_is_passed_over_and_nothing_moves() {
        let mut received = Received::default();
        received.append(&[7; 4_096]);
        let first = received.rest().as_ptr();
        for passed in (0..4_096).step_by(64) {
            assert_eq!(received.rest().as_ptr(), first.wrapping_add(passed));
            received.pass(64);
        }
        assert!(received.is_empty() && received.rest().is_empty());
    }

    #[test]
    fn fewer_bytes_are_moved_than_were_understood() {
        let (mut received, mut moved, mut understood, mut came) = (Received::default(), 0, 0, 0_u64);
        for round in 1..2_000_usize {
            let (rest, passed_over) = (received.rest().len(), received.understood);
            let piece: Vec<u8> = (0..round * 7 % 61).map(|at| (came + at as u64) as u8).collect();
            came += piece.len() as u64;
            received.append(&piece);
            moved += if received.understood < passed_over { rest } else { 0 };
            let step = (round * 11 % 67).min(received.rest().len());
            assert!(received.rest().iter().take(step).zip(understood..).all(|(byte, at)| *byte == at as u8));
            received.pass(step);
            understood += step;
        }
        assert!(moved > 0 && moved <= understood, "{moved} of {understood}");
        assert!(received.bytes.len() <= 2 * (received.rest().len() + 61), "what was understood is let go");
    }

    #[test]
    fn the_rest_comes_out_without_what_was_understood() {
        let mut received = Received::default();
        received.append(b"GET / frames");
        received.pass(6);
        assert_eq!(received.take_rest(), b"frames");
        assert!(received.is_empty());
    }
}
