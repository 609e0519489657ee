//! WebSocket frames of RFC 6455 as a client reads and writes them.

use epush_core::wire::websocket::mask_in_place;

/// A message of text.
pub const TEXT: u8 = 1;
/// A message of bytes.
pub const BINARY: u8 = 2;
/// A further fragment of a message.
pub const CONTINUATION: u8 = 0;
/// Goodbye.
pub const CLOSE: u8 = 8;
/// Wants a pong.
pub const PING: u8 = 9;
/// Answers a ping.
pub const PONG: u8 = 10;

/// Bytes of a frame, and of a message of several: beyond, the client gives up rather than hold so much for each connection.
pub const MESSAGE_MAX: u64 = 16 << 20;

/// Bytes of the longest header a server may send: it does not mask.
pub const HEADER_MAX: usize = 10;

/// The header of a server's frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The last fragment of its message.
    pub is_last: bool,
    /// What it is.
    pub opcode: u8,
    /// Bytes of the header.
    pub header_bytes: usize,
    /// Bytes of the payload.
    pub payload_bytes: usize,
}

impl Header {
    /// Reads the header these bytes begin with. `None`: more bytes are needed.
    ///
    /// # Errors
    /// What RFC 6455 does not allow a server, in words.
    #[inline]
    pub fn read(bytes: &[u8]) -> Result<Option<Self>, &'static str> {
        let [first, second, rest @ ..] = bytes else { return Ok(None) };
        // A whole message of text or bytes that is not very long: what nearly all are.
        if matches!(*first, 0x81 | 0x82) {
            match (*second, rest.first_chunk()) {
                (short @ 0..=125, _) => return Ok(Some(Self::whole(*first, 2, u16::from(short)))),
                (126, Some(length)) if *length >= [0, 126] => {
                    return Ok(Some(Self::whole(*first, 4, u16::from_be_bytes(*length))));
                }
                _ => {}
            }
        }
        Self::read_any(*first, *second, rest)
    }

    const fn whole(first: u8, header_bytes: usize, payload_bytes: u16) -> Self {
        Self { is_last: true, opcode: first & 15, header_bytes, payload_bytes: payload_bytes as usize }
    }

    fn read_any(first: u8, second: u8, rest: &[u8]) -> Result<Option<Self>, &'static str> {
        if second & 0x80 != 0 {
            return Err("a frame of the server is masked");
        }
        if first & 0x70 != 0 {
            return Err("a reserved bit is set");
        }
        let (is_last, opcode) = (first & 0x80 != 0, first & 15);
        let (header_bytes, payload_bytes) = match second {
            126 => {
                let Some(length) = rest.first_chunk() else { return Ok(None) };
                (4, u64::from(u16::from_be_bytes(*length)))
            }
            127 => {
                let Some(length) = rest.first_chunk() else { return Ok(None) };
                (10, u64::from_be_bytes(*length))
            }
            short => (2, u64::from(short)),
        };
        match opcode {
            CONTINUATION | TEXT | BINARY => {}
            CLOSE | PING | PONG if !is_last => return Err("a control frame is fragmented"),
            CLOSE | PING | PONG if second > 125 => return Err("a control frame is longer than 125 bytes"),
            CLOSE | PING | PONG => {}
            _ => return Err("an opcode is unknown"),
        }
        let shortest = match header_bytes {
            4 => 126,
            10 => 65_536,
            _ => 0,
        };
        if payload_bytes < shortest {
            return Err("a length is not written in the shortest way");
        }
        if payload_bytes > MESSAGE_MAX {
            return Err("a frame is longer than 16 MiB");
        }
        Ok(Some(Self { is_last, opcode, header_bytes, payload_bytes: payload_bytes as usize }))
    }

    /// Bytes of the whole frame.
    #[inline]
    #[must_use]
    pub const fn frame_bytes(&self) -> usize {
        self.header_bytes + self.payload_bytes
    }
}

/// Whether bytes are UTF-8, as whole messages of text have to be (§8.1).
///
/// Nearly all text is ASCII, which a vector's width of it at a time tells; only the rest is decoded.
#[inline]
#[must_use]
pub fn is_utf8(text: &[u8]) -> bool {
    text.is_ascii() || is_more_than_ascii(text)
}

#[cold]
fn is_more_than_ascii(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok()
}

/// What is wrong where [`is_utf8`] should hold and does not.
pub const NOT_UTF8: &str = "a message of text is not UTF-8";

/// Code and reason of a close frame (§5.5.1), where it has them.
///
/// # Errors
/// What RFC 6455 does not allow, in words.
pub fn read_close(payload: &[u8]) -> Result<Option<(u16, &str)>, &'static str> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return if payload.is_empty() { Ok(None) } else { Err("a close frame has half a code") };
    };
    let reason = std::str::from_utf8(reason).map_err(|_| "the reason of a close frame is not UTF-8")?;
    Ok(Some((u16::from_be_bytes(*code), reason)))
}

/// Appends a masked frame.
pub fn write(opcode: u8, payload: &[u8], mask: u32, out: &mut Vec<u8>) {
    write_header(opcode, payload.len(), mask, out);
    let from = out.len();
    out.extend_from_slice(payload);
    mask_in_place(&mut out[from..], mask.to_ne_bytes());
}

/// Makes a masked frame of all bytes from `from` on.
pub fn seal(opcode: u8, from: usize, mask: u32, out: &mut Vec<u8>) {
    let payload_bytes = out.len() - from;
    mask_in_place(&mut out[from..], mask.to_ne_bytes());
    write_header(opcode, payload_bytes, mask, out);
    // The header stands behind its payload: bring it before.
    out[from..].rotate_left(payload_bytes);
}

fn write_header(opcode: u8, payload_bytes: usize, mask: u32, out: &mut Vec<u8>) {
    out.push(0x80 | opcode);
    match payload_bytes {
        0..=125 => out.push(0x80 | payload_bytes as u8),
        126..=65_535 => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(payload_bytes as u16).to_be_bytes());
        }
        _ => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(payload_bytes as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&mask.to_ne_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(
        is_last: bool,
        opcode: u8,
        header_bytes: usize,
        payload_bytes: usize,
    ) -> Result<Option<Header>, &'static str> {
        Ok(Some(Header { is_last, opcode, header_bytes, payload_bytes }))
    }

    #[test]
    fn headers_of_every_length_are_read() {
        assert_eq!(Header::read(&[0x81, 0]), header(true, TEXT, 2, 0));
        assert_eq!(Header::read(&[0x82, 125]), header(true, BINARY, 2, 125));
        assert_eq!(Header::read(&[0x01, 5]), header(false, TEXT, 2, 5));
        assert_eq!(Header::read(&[0x80, 5]), header(true, CONTINUATION, 2, 5));
        assert_eq!(Header::read(&[0x81, 126, 0, 126]), header(true, TEXT, 4, 126));
        assert_eq!(Header::read(&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]), header(true, BINARY, 10, 65_536));
        assert_eq!(Header::read(&[0x89, 125]), header(true, PING, 2, 125));
        for short in [&[][..], &[0x81], &[0x81, 126, 0], &[0x81, 127, 0, 0, 0, 0, 0, 1, 0]] {
            assert_eq!(Header::read(short), Ok(None));
        }
    }

    #[test]
    fn what_a_server_must_not_send_is_refused() {
        for (bytes, words) in [
            (&[0x81, 0x85][..], "masked"),
            (&[0xc1, 5], "reserved bit"),
            (&[0x83, 5], "opcode"),
            (&[0x8b, 5], "opcode"),
            (&[0x09, 5], "fragmented"),
            (&[0x88, 126, 0, 126], "125 bytes"),
            (&[0x81, 126, 0, 125], "shortest"),
            (&[0x81, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff], "shortest"),
            (&[0x81, 127, 0, 0, 0, 0, 1, 0, 0, 1], "16 MiB"),
            (&[0x81, 127, 0xff, 0, 0, 0, 1, 0, 0, 1], "16 MiB"),
        ] {
            assert!(Header::read(bytes).unwrap_err().contains(words), "{bytes:?}");
        }
    }

    #[test]
    fn written_frames_are_masked_and_both_ways_of_writing_agree() {
        for length in [0, 1, 5, 125, 126, 1_000, 65_535, 65_536] {
            let payload: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let mask = 0x1234_5678_u32;
            let (mut written, mut sealed) = (b"before".to_vec(), b"before".to_vec());
            write(TEXT, &payload, mask, &mut written);
            sealed.extend_from_slice(&payload);
            seal(TEXT, 6, mask, &mut sealed);
            assert_eq!(written, sealed);
            assert_eq!((written[6], written[7] & 0x80), (0x81, 0x80));
            let from = written.len() - payload.len();
            assert_eq!(written[from - 4..from], mask.to_ne_bytes());
            mask_in_place(&mut written[from..], mask.to_ne_bytes());
            assert_eq!(written[from..], payload);
        }
    }
}
