//! Bytes a socket did not take at once.

/// Bytes that may wait for one client's socket: a server that reads so little of what one client sends is stuck, and the
/// memory of the tool is not for keeping what it will never read.
pub const BACKLOG_BYTES_MAX: usize = 16 << 20;

/// What waits for a socket, oldest first.
#[derive(Debug, Default)]
pub struct Backlog {
    bytes: Vec<u8>,
    /// Bytes of `bytes` the socket took. Invariant: less than `bytes.len()`, or both are 0.
    sent: usize,
}

/// More would wait than [`BACKLOG_BYTES_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl Backlog {
    /// Bytes that wait.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Whether nothing waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Lets more wait.
    ///
    /// # Errors
    /// When it would be too much.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Full> {
        if self.len() + bytes.len() > BACKLOG_BYTES_MAX {
            return Err(Full);
        }
        if self.sent > self.bytes.len() / 2 {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// What to give to the socket next.
    #[must_use]
    pub fn front(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    /// The socket took so many of [`Backlog::front`].
    pub fn took(&mut self, count: usize) {
        self.sent += count;
        debug_assert!(self.sent <= self.bytes.len(), "no more than there was");
        if self.is_empty() {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_leave_in_the_order_they_came() {
        let mut backlog = Backlog::default();
        let mut left = Vec::new();
        for round in 0..100_u8 {
            backlog.push(&[round; 7]).unwrap();
            let take = backlog.len().min(usize::from(round % 11));
            left.extend_from_slice(&backlog.front()[..take]);
            backlog.took(take);
        }
        left.extend_from_slice(backlog.front());
        assert_eq!(left, (0..100).flat_map(|round| [round; 7]).collect::<Vec<_>>());
    }

    #[test]
    fn too_much_is_refused_and_changes_nothing() {
        let mut backlog = Backlog::default();
        backlog.push(&vec![1; BACKLOG_BYTES_MAX - 1]).unwrap();
        assert_eq!(backlog.push(&[2, 2]), Err(Full));
        assert_eq!(backlog.len(), BACKLOG_BYTES_MAX - 1);
        backlog.took(1);
        assert_eq!(backlog.push(&[2, 2]), Ok(()));
    }
}
