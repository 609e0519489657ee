//! Messages in fragments (RFC 6455 §5.4). It knows nothing of what they say.

use std::borrow::Cow;

use super::frame::{self, CONTINUATION, Header, MESSAGE_MAX, TEXT};

/// The message that is under way, if one is.
#[derive(Debug, Default)]
pub struct Fragments {
    /// What its fragments carry so far.
    message: Vec<u8>,
    /// What the first of them said that it is.
    ///
    /// Invariant: there when `message` has anything in it.
    opcode: Option<u8>,
}

impl Fragments {
    /// Some fragments are here, and not the last.
    #[must_use]
    pub const fn is_begun(&self) -> bool {
        self.opcode.is_some()
    }

    /// Bytes that are kept for it.
    #[must_use]
    pub const fn reserved_bytes(&self) -> usize {
        self.message.capacity()
    }

    /// Takes a frame that is no control frame; returns the message that is whole with it.
    ///
    /// # Errors
    /// What RFC 6455 does not allow, and messages over the limit, in words.
    pub fn take<'a>(&mut self, header: Header, payload: &'a [u8]) -> Result<Option<Cow<'a, [u8]>>, &'static str> {
        let opcode = match self.opcode {
            Some(opcode) if header.opcode == CONTINUATION => opcode,
            None if header.opcode != CONTINUATION => header.opcode,
            _ => return Err("a fragment has no message, or a message begins within another"),
        };
        if (self.message.len() + payload.len()) as u64 > MESSAGE_MAX {
            return Err("a message is longer than 16 MiB");
        }
        if !self.is_begun() && header.is_last {
            return whole(opcode, Cow::Borrowed(payload));
        }
        self.message.extend_from_slice(payload);
        self.opcode = Some(opcode);
        if !header.is_last {
            return Ok(None);
        }
        self.opcode = None;
        whole(opcode, Cow::Owned(std::mem::take(&mut self.message)))
    }
}

/// A letter may be cut by fragments: only the whole message tells whether it is UTF-8.
fn whole(opcode: u8, message: Cow<'_, [u8]>) -> Result<Option<Cow<'_, [u8]>>, &'static str> {
    if opcode != TEXT || frame::is_utf8(&message) { Ok(Some(message)) } else { Err(frame::NOT_UTF8) }
}
