//! UTF-8 checked while it arrives: wrong bytes are refused as soon as they cannot become right.

use simdutf8::compat;

/// The bytes are not, and cannot become, UTF-8.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct NotUtf8;

/// Text that arrives in pieces, which may part a character.
#[derive(Default, Debug)]
pub(super) struct Utf8Buffer {
    text: String,
    /// The first bytes of a character whose rest has not arrived.
    ///
    /// Invariant: `tail[..tail_len]` is the beginning of at least one character, and shorter than all of them.
    tail: [u8; 4],
    tail_len: u8,
}

impl Utf8Buffer {
    /// Appends a piece, unless a byte of it can belong to no character.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), NotUtf8> {
        let bytes = self.complete_tail(bytes)?;
        let valid_len = match compat::from_utf8(bytes) {
            Ok(text) => {
                self.text.push_str(text);
                return Ok(());
            }
            Err(error) if error.error_len().is_some() => return Err(NotUtf8),
            Err(error) => error.valid_up_to(),
        };
        let (valid, tail) = bytes.split_at(valid_len);
        self.text.push_str(compat::from_utf8(valid).map_err(|_| NotUtf8)?);
        for &byte in tail {
            self.push_tail(byte)?;
        }
        Ok(())
    }

    /// The whole text, if it does not end inside a character.
    pub(super) fn finish(&self) -> Result<&str, NotUtf8> {
        if self.tail_len == 0 { Ok(&self.text) } else { Err(NotUtf8) }
    }

    /// Bytes received.
    pub(super) fn len(&self) -> usize {
        self.text.len() + usize::from(self.tail_len)
    }

    /// Bytes allocated.
    pub(super) fn capacity(&self) -> usize {
        self.text.capacity()
    }

    /// Makes room for `total` bytes in all.
    pub(super) fn reserve_total(&mut self, total: usize) {
        self.text.reserve_exact(total.saturating_sub(self.text.len()));
    }

    fn complete_tail<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], NotUtf8> {
        let mut rest = bytes;
        while self.tail_len > 0
            && let Some((&byte, after)) = rest.split_first()
        {
            self.push_tail(byte)?;
            rest = after;
        }
        Ok(rest)
    }

    fn push_tail(&mut self, byte: u8) -> Result<(), NotUtf8> {
        let at = usize::from(self.tail_len);
        self.tail[at] = byte;
        match std::str::from_utf8(&self.tail[..=at]) {
            Ok(character) => {
                self.text.push_str(character);
                self.tail_len = 0;
            }
            // After four bytes there is either a character or an error, so `at` stays below 4.
            Err(error) if error.error_len().is_none() => self.tail_len += 1,
            Err(_) => return Err(NotUtf8),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many bytes are taken, one at a time, before the refusal; all of them when there is none.
    fn taken(bytes: &[u8]) -> usize {
        let mut buffer = Utf8Buffer::default();
        bytes.iter().position(|byte| buffer.push(&[*byte]).is_err()).unwrap_or(bytes.len())
    }

    #[test]
    fn text_in_any_two_pieces_is_the_text() {
        let text = "κόσμε 𐍈 € plain and long enough for the vector code to see it €€";
        for cut in 0..=text.len() {
            let mut buffer = Utf8Buffer::default();
            buffer.push(&text.as_bytes()[..cut]).expect("a beginning");
            buffer.push(&text.as_bytes()[cut..]).expect("the rest");
            assert_eq!(buffer.finish(), Ok(text));
            assert_eq!(buffer.len(), text.len());
        }
    }

    #[test]
    fn the_very_byte_that_cannot_be_right_is_refused() {
        assert_eq!(taken(b"\xf4\x90"), 1, "above U+10FFFF");
        assert_eq!(taken(b"\xed\xa0"), 1, "a surrogate");
        assert_eq!(taken(b"\xe0\x80"), 1, "overlong");
        assert_eq!(taken(b"\xf0\x80"), 1, "overlong");
        assert_eq!(taken(b"ab\xc0"), 2, "overlong whatever follows");
        assert_eq!(taken(b"\xf5"), 0, "no character begins so");
        assert_eq!(taken(b"\x80"), 0, "a continuation of nothing");
        assert_eq!(taken(b"\xe2\x82\x28"), 2, "a character broken off");
        assert_eq!(taken("€𐍈".as_bytes()), 7);
    }

    #[test]
    fn a_refusal_does_not_wait_for_the_rest_of_the_piece() {
        let mut buffer = Utf8Buffer::default();
        assert_eq!(buffer.push(b"fine \xf4\x90"), Err(NotUtf8));
        let mut buffer = Utf8Buffer::default();
        buffer.push(b"fine \xf4").expect("could become U+10FFFF");
        assert_eq!(buffer.finish(), Err(NotUtf8));
        assert_eq!(buffer.push(b"\x90 and on"), Err(NotUtf8));
    }
}
