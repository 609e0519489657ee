//! What a connection of a publisher has to write: bytes, and which messages are in them.
//!
//! Knows nothing of sockets, and nothing of what the bytes say.

use std::io;

use super::ledger::Item;

/// Bytes on their way to a socket.
#[derive(Debug, Default)]
pub struct Output {
    bytes: Vec<u8>,
    /// Bytes that the socket took.
    ///
    /// Invariant: below `bytes.len()`, or both are 0.
    sent: usize,
    /// Messages in `bytes` and where each ends there. Invariant: empty when `bytes` is.
    ends: Vec<(usize, Item)>,
}

/// Enough for one `send` to be worth its price; bursts are never cut.
const WRITE_BYTES: usize = 256 << 10;

/// Bytes that may wait for the socket: a write's worth of the largest messages, and room for what the server asks meanwhile.
const BYTES_MAX: usize = 64 << 20;

impl Output {
    /// To append to.
    pub const fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// What was appended last is this message.
    pub fn ends_message(&mut self, item: Item) {
        self.ends.push((self.bytes.len(), item));
    }

    /// Nothing waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Some of what is being written are messages.
    #[must_use]
    pub const fn has_messages(&self) -> bool {
        !self.ends.is_empty()
    }

    /// There is enough for one write.
    #[must_use]
    pub const fn is_a_write(&self) -> bool {
        self.bytes.len() >= WRITE_BYTES
    }

    /// What the socket has not taken.
    #[must_use]
    pub fn rest(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    /// The socket took so many; whether it has all now.
    pub fn sent(&mut self, bytes: usize) -> bool {
        self.sent += bytes;
        debug_assert!(self.sent <= self.bytes.len(), "the socket takes what it was given");
        let all = self.sent == self.bytes.len();
        if all {
            self.clear();
        }
        all
    }

    /// Messages that were not written to their end.
    pub fn unsent(&self) -> impl Iterator<Item = Item> {
        self.ends.iter().filter(|(end, _)| *end > self.sent).map(|(_, item)| *item)
    }

    /// Messages are appended only while there are none; answers to a server that pings and does not read are not bounded so.
    ///
    /// # Errors
    /// When more waits than a server that reads would leave.
    pub fn bounded(&self) -> io::Result<()> {
        if self.rest().len() <= BYTES_MAX {
            return Ok(());
        }
        Err(io::Error::other("the server stopped reading"))
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.sent = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_unsent_until_its_last_byte_is_taken() {
        let mut output = Output::default();
        for seq in 0..2 {
            output.bytes().extend_from_slice(b"abc");
            output.ends_message(Item { due_ns: 0, stream: 0, seq });
        }
        assert!(!output.sent(5));
        assert_eq!(output.rest(), b"c");
        assert_eq!(output.unsent().map(|item| item.seq).collect::<Vec<_>>(), [1]);
        assert!(output.sent(1));
        assert!(output.is_empty() && !output.has_messages());
    }

    #[test]
    fn a_server_that_does_not_read_its_answers_is_noticed() {
        let mut output = Output::default();
        output.bytes().resize(BYTES_MAX + 2, 0);
        assert!(!output.sent(1) && output.bounded().is_err());
        assert!(!output.sent(1) && output.bounded().is_ok());
    }
}
