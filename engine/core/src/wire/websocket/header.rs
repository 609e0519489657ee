//! One frame header of a client, and every check it can be given without knowing other frames.
//!
//! Reads the bytes itself: through `FrameHeader::parse` of tungstenite a frame of 16 bytes took 28 ns in place of 12
//! (`cargo bench -p epush-bench --bench wire -- decode`). A test holds the two against each other.

use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::error::FrameError;
use crate::limits::CONTROL_PAYLOAD_BYTES_MAX;

/// The longest header: two bytes, eight of length, four of mask.
pub(super) const HEADER_BYTES_MAX: usize = 14;

/// A header that is well formed by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Header {
    pub(super) kind: Kind,
    /// The frame ends its message.
    pub(super) last: bool,
    pub(super) mask: [u8; 4],
    pub(super) payload_len: usize,
    /// Bytes of the header itself.
    pub(super) len: usize,
}

/// What a frame is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Data(DataKind),
    Continuation,
    Control(Control),
}

/// What a message is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum DataKind {
    Text,
    Binary,
}

impl Header {
    /// The header at the start of `bytes`; `None` when it is not whole yet.
    #[inline]
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<Self>, FrameError> {
        let Some((&[first, second], rest)) = bytes.split_first_chunk::<2>() else { return Ok(None) };
        if first & RESERVED_BITS != 0 {
            return Err(FrameError::ReservedBits);
        }
        let kind = Kind::of(first & OPCODE_BITS)?;
        if second & MASK_BIT == 0 {
            return Err(FrameError::Unmasked);
        }
        let Some((payload_len, rest)) = parse_length(second & !MASK_BIT, rest)? else { return Ok(None) };
        let last = first & FINAL_BIT != 0;
        if matches!(kind, Kind::Control(_)) && (!last || payload_len > CONTROL_PAYLOAD_BYTES_MAX) {
            return Err(FrameError::BadControl);
        }
        let Some((&mask, rest)) = rest.split_first_chunk::<4>() else { return Ok(None) };
        Ok(Some(Self { kind, last, mask, payload_len, len: bytes.len() - rest.len() }))
    }
}

/// The length that begins in the header's second byte, and what stands behind it.
#[inline]
fn parse_length(short: u8, rest: &[u8]) -> Result<Option<(usize, &[u8])>, FrameError> {
    let (length, least, rest) = match short {
        126 => {
            let Some((length, rest)) = rest.split_first_chunk() else { return Ok(None) };
            (u16::from_be_bytes(*length).into(), 126, rest)
        }
        127 => {
            let Some((length, rest)) = rest.split_first_chunk() else { return Ok(None) };
            (u64::from_be_bytes(*length), 1 << 16, rest)
        }
        _ => return Ok(Some((short.into(), rest))),
    };
    if length < least || length > i64::MAX as u64 {
        return Err(FrameError::BadLength);
    }
    // A length beyond the address space is over every limit: the clamped one is refused as too big.
    Ok(Some((usize::try_from(length).unwrap_or(usize::MAX), rest)))
}

/// The text of a server's message in one frame, if `bytes` are exactly that: final, unmasked, as long as its header says,
/// UTF-8 (RFC 6455 §5.2, §5.6).
#[must_use]
pub fn whole_text_frame(bytes: &[u8]) -> Option<&str> {
    let (&[first, second], rest) = bytes.split_first_chunk::<2>()?;
    // The opcode of text is 1.
    if first != FINAL_BIT | 1 || second & MASK_BIT != 0 {
        return None;
    }
    let (payload_len, payload) = parse_length(second, rest).ok()??;
    if payload.len() != payload_len {
        return None;
    }
    simdutf8::basic::from_utf8(payload).ok()
}

const FINAL_BIT: u8 = 0x80;
const RESERVED_BITS: u8 = 0x70;
const OPCODE_BITS: u8 = 0x0f;
const MASK_BIT: u8 = 0x80;

impl Kind {
    #[inline]
    fn of(opcode: u8) -> Result<Self, FrameError> {
        match OpCode::from(opcode) {
            OpCode::Data(Data::Text) => Ok(Self::Data(DataKind::Text)),
            OpCode::Data(Data::Binary) => Ok(Self::Data(DataKind::Binary)),
            OpCode::Data(Data::Continue) => Ok(Self::Continuation),
            OpCode::Data(Data::Reserved(_)) | OpCode::Control(Control::Reserved(_)) => Err(FrameError::UnknownOpcode),
            OpCode::Control(control) => Ok(Self::Control(control)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(bytes: &[u8]) -> FrameError {
        Header::parse(bytes).expect_err("refused")
    }

    #[test]
    fn a_header_is_read_when_its_last_byte_is_there() {
        let bytes = [0x82, 0x80 | 126, 0x01, 0x00, 1, 2, 3, 4, 99];
        for cut in 0..8 {
            assert_eq!(Header::parse(&bytes[..cut]), Ok(None), "{cut}");
        }
        let expected =
            Header { kind: Kind::Data(DataKind::Binary), last: true, mask: [1, 2, 3, 4], payload_len: 256, len: 8 };
        assert_eq!(Header::parse(&bytes), Ok(Some(expected)));
    }

    #[test]
    fn reserved_bits_and_opcodes_are_refused() {
        for bit in [0x40, 0x20, 0x10] {
            assert_eq!(refused(&[0x81 | bit, 0x80, 0, 0, 0, 0]), FrameError::ReservedBits);
        }
        for opcode in [3, 4, 5, 6, 7, 0xb, 0xc, 0xd, 0xe, 0xf] {
            assert_eq!(refused(&[0x80 | opcode, 0x80, 0, 0, 0, 0]), FrameError::UnknownOpcode);
        }
    }

    #[test]
    fn unmasked_frames_are_refused() {
        assert_eq!(refused(&[0x81, 0]), FrameError::Unmasked);
    }

    #[test]
    fn lengths_are_minimal_and_below_two_to_the_63() {
        assert_eq!(refused(&[0x81, 0x80 | 126, 0, 125, 0, 0, 0, 0]), FrameError::BadLength);
        assert_eq!(refused(&[0x81, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0]), FrameError::BadLength);
        assert_eq!(refused(&[0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), FrameError::BadLength);
        let huge = Header::parse(&[0x81, 0xff, 0x7f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).expect("a limit's business");
        assert_eq!(huge.expect("whole").payload_len, 0x7f << 56);
    }

    #[test]
    fn control_frames_are_whole_and_short() {
        assert_eq!(refused(&[0x09, 0x80, 0, 0, 0, 0]), FrameError::BadControl);
        assert_eq!(refused(&[0x89, 0x80 | 126, 0, 126, 0, 0, 0, 0]), FrameError::BadControl);
        assert!(Header::parse(&[0x89, 0x80 | 125, 0, 0, 0, 0]).expect("allowed").is_some());
    }

    #[test]
    fn a_whole_text_frame_is_what_the_encoder_writes_and_nothing_else() {
        for payload_len in [0, 1, 125, 126, 65_535, 65_536] {
            let text = "x".repeat(payload_len);
            let frame = super::super::text_frame(|out| out.extend_from_slice(text.as_bytes()));
            assert_eq!(whole_text_frame(&frame), Some(&*text));
            assert_eq!(whole_text_frame(&frame[..frame.len() - 1]), None, "cut short");
            assert_eq!(whole_text_frame(&[&frame[..], b"x"].concat()), None, "too long");
        }
        let wrong: [&[u8]; 8] = [
            b"",
            b"\x81",
            b"\x01\x01a",
            b"\x82\x01a",
            b"\xc1\x01a",
            b"\x81\x81\0\0\0\0a",
            b"\x81\x7e\0\x01a",
            b"\x81\x01\xff",
        ];
        wrong.iter().for_each(|bytes| assert_eq!(whole_text_frame(bytes), None, "{}", bytes.escape_ascii()));
    }

    #[test]
    fn what_is_accepted_reads_as_tungstenite_reads_it() {
        use tungstenite::protocol::frame::FrameHeader;
        let tails: [[u8; 12]; 3] = [
            [0, 126, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
            [0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4],
            [0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        ];
        let mut accepted = 0;
        for (first, second, tail) in
            (0..=u16::MAX).flat_map(|two| tails.map(|tail| (two as u8, (two >> 8) as u8, tail)))
        {
            let bytes = [&[first, second], &tail[..]].concat();
            let Ok(Some(header)) = Header::parse(&bytes) else { continue };
            let mut cursor = std::io::Cursor::new(&bytes);
            let (theirs, length) = FrameHeader::parse(&mut cursor).expect("valid").expect("whole");
            assert_eq!((header.len as u64, header.payload_len as u64), (cursor.position(), length));
            assert_eq!((header.last, Some(header.mask)), (theirs.is_final, theirs.mask));
            assert_eq!(Ok(header.kind), Kind::of(theirs.opcode.into()));
            accepted += 1;
        }
        // Six opcodes, those of messages with and without FIN, by every length the tails make well formed.
        assert!(accepted > 9 * 126 * 3, "{accepted}");
    }
}
