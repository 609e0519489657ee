//! Close frames: which codes may be sent (RFC 6455 §7.4), and the payload both ways.

use tungstenite::protocol::frame::coding::CloseCode;

use super::error::FrameError;
use crate::limits::CONTROL_PAYLOAD_BYTES_MAX;

/// Bytes of a reason: what the code leaves of a control frame.
const REASON_BYTES_MAX: usize = CONTROL_PAYLOAD_BYTES_MAX - 2;

/// Bad Gateway: registered with IANA in 2015, and unknown to tungstenite's table.
const BAD_GATEWAY: u16 = 1014;

/// Whether a close frame may carry this code: not 1004–1006 and 1015, not unassigned, nothing from 5000 on.
#[must_use]
pub fn close_code_allowed(code: u16) -> bool {
    code == BAD_GATEWAY || CloseCode::from(code).is_allowed()
}

/// The payload of a close frame. The reason is cut to 123 bytes, between two characters.
#[must_use]
pub fn close_payload(code: u16, reason: &str) -> Vec<u8> {
    debug_assert!(close_code_allowed(code), "{code} must not be sent");
    let reason = &reason[..reason.floor_char_boundary(REASON_BYTES_MAX)];
    let mut payload = Vec::with_capacity(2 + reason.len());
    payload.extend_from_slice(&code.to_be_bytes());
    payload.extend_from_slice(reason.as_bytes());
    payload
}

/// The code and reason in a client's close frame; none when its payload is empty.
pub(super) fn parse_close(payload: &[u8]) -> Result<Option<(u16, &str)>, FrameError> {
    let Some((code, reason)) = payload.split_first_chunk::<2>() else {
        return if payload.is_empty() { Ok(None) } else { Err(FrameError::BadClose) };
    };
    let code = u16::from_be_bytes(*code);
    if !close_code_allowed(code) {
        return Err(FrameError::BadClose);
    }
    let reason = std::str::from_utf8(reason).map_err(|_| FrameError::BadUtf8)?;
    Ok(Some((code, reason)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_codes_that_may_be_sent_are_allowed() {
        for code in [1000, 1001, 1002, 1003, 1007, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999] {
            assert!(close_code_allowed(code), "{code}");
            assert_eq!(parse_close(&close_payload(code, "why")), Ok(Some((code, "why"))));
        }
        for code in [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, u16::MAX] {
            assert!(!close_code_allowed(code), "{code}");
            assert_eq!(parse_close(&code.to_be_bytes()), Err(FrameError::BadClose));
        }
    }

    #[test]
    fn a_long_reason_is_cut_between_two_characters() {
        let payload = close_payload(1000, &"€".repeat(60));
        assert_eq!(payload.len(), 2 + 123);
        let payload = close_payload(1000, &format!("a{}", "€".repeat(60)));
        assert_eq!(payload.len(), 2 + 121);
        assert!(std::str::from_utf8(&payload[2..]).is_ok());
    }

    #[test]
    fn a_close_frame_is_empty_or_has_a_code() {
        assert_eq!(parse_close(b""), Ok(None));
        assert_eq!(parse_close(b"\x03"), Err(FrameError::BadClose));
        assert_eq!(parse_close(b"\x03\xe8"), Ok(Some((1000, ""))));
        assert_eq!(parse_close(b"\x03\xe8\xff"), Err(FrameError::BadUtf8));
    }
}
