//! Frames as clients send them.

use epush_core::wire::websocket::{FrameLimits, TEXT, frame_into};

/// What a node allows its clients in the benches: everything they send here.
pub const LIMITS: FrameLimits = FrameLimits { message_bytes_max: 1 << 20, fragments_max: 1_024 };

/// A client frame whose mask is zero: unmasking does all its work and leaves the bytes as they were, so that the same
/// bytes can be read again. `first` is the first byte: FIN and opcode.
#[must_use]
pub fn client_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    frame_into(&mut frame, TEXT, payload);
    let header_len = frame.len() - payload.len();
    frame[0] = first;
    frame[1] |= 0x80;
    frame.splice(header_len..header_len, [0; 4]);
    frame
}
