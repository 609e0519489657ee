//! Server frames: unmasked, never fragmented. Knows nothing of what is in them.

use bytes::Bytes;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

/// The opcode of a text message.
pub const TEXT: OpCode = OpCode::Data(Data::Text);
/// The opcode of a binary message.
pub const BINARY: OpCode = OpCode::Data(Data::Binary);
/// The opcode of a close frame.
pub const CLOSE: OpCode = OpCode::Control(Control::Close);
/// The opcode of a ping.
pub const PING: OpCode = OpCode::Control(Control::Ping);
/// The opcode of a pong.
pub const PONG: OpCode = OpCode::Control(Control::Pong);

/// The longest header of a frame without a mask.
const HEADER_BYTES_MAX: usize = 10;

/// First allocation of a text frame: most messages fit, so that they are allocated once.
const TEXT_FRAME_BYTES: usize = 256;

/// Appends a whole unmasked frame.
pub fn frame_into(out: &mut Vec<u8>, opcode: OpCode, payload: &[u8]) {
    let header = header(opcode);
    out.reserve(header.len(payload.len() as u64) + payload.len());
    header.format(payload.len() as u64, out).expect("a Vec takes every write");
    out.extend_from_slice(payload);
}

/// A whole unmasked text frame whose payload `write` appends.
///
/// The payload is written once: behind room for the longest header, and the header then goes right before it.
/// `write` must only append, and only UTF-8.
pub fn text_frame(write: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut frame = Vec::with_capacity(TEXT_FRAME_BYTES);
    frame.resize(HEADER_BYTES_MAX, 0);
    write(&mut frame);
    debug_assert!(std::str::from_utf8(&frame[HEADER_BYTES_MAX..]).is_ok(), "text frames are UTF-8");
    let payload_len = (frame.len() - HEADER_BYTES_MAX) as u64;
    let header = header(TEXT);
    let start = HEADER_BYTES_MAX - header.len(payload_len);
    header.format(payload_len, &mut &mut frame[start..HEADER_BYTES_MAX]).expect("the room is as long as the header");
    Bytes::from(frame).slice(start..)
}

/// Appends a whole unmasked text frame whose payload `write` appends: for answers, most of which are short.
///
/// As for [`text_frame`], `write` must only append, and only UTF-8.
pub fn text_frame_into(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    let header = header(TEXT);
    let short = header.len(0);
    out.resize(start + short, 0);
    write(out);
    let payload_len = (out.len() - start - short) as u64;
    let needed = header.len(payload_len);
    // A longer header pushes the payload back; only payloads over 125 bytes pay for it.
    out.resize(out.len() + needed - short, 0);
    let end = out.len() - (needed - short);
    out.copy_within(start + short..end, start + needed);
    header.format(payload_len, &mut &mut out[start..start + needed]).expect("the room is as long as the header");
}

fn header(opcode: OpCode) -> FrameHeader {
    FrameHeader { opcode, ..FrameHeader::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_as_short_as_the_payload_allows() {
        for (payload_len, header) in [
            (0, vec![0x81, 0]),
            (125, vec![0x81, 125]),
            (126, vec![0x81, 126, 0, 126]),
            (65_535, vec![0x81, 126, 0xff, 0xff]),
            (65_536, vec![0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let payload = vec![b'x'; payload_len];
            let frame = text_frame(|out| out.extend_from_slice(&payload));
            assert_eq!(frame[..header.len()], header, "{payload_len}");
            assert_eq!(frame[header.len()..], payload);
            let mut same = vec![7];
            frame_into(&mut same, TEXT, &payload);
            assert_eq!(same[1..], frame);
        }
    }

    #[test]
    fn every_frame_names_its_opcode_and_is_final() {
        let first = |opcode| {
            let mut out = Vec::new();
            frame_into(&mut out, opcode, b"");
            out[0]
        };
        assert_eq!([TEXT, BINARY, CLOSE, PING, PONG].map(first), [0x81, 0x82, 0x88, 0x89, 0x8a]);
    }
}
