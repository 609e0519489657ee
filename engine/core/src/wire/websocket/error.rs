//! What can be wrong with a client's frames. Knows nothing of how the connection is closed for it.

use std::fmt;

use crate::close::CloseReason;

/// The client broke RFC 6455 or a limit: the WebSocket connection has failed, and its decoder is not fed further.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrameError {
    /// A reserved bit is set, though no extension was negotiated (§5.2).
    ReservedBits,
    /// An opcode RFC 6455 does not define.
    UnknownOpcode,
    /// A frame without a mask (§5.1).
    Unmasked,
    /// A length written in more bytes than it needs, or with its top bit set (§5.2).
    BadLength,
    /// A ping, pong or close in fragments, or longer than 125 bytes (§5.5).
    BadControl,
    /// A continuation of nothing (§5.4).
    LoneContinuation,
    /// A new data frame before the fragmented message ended (§5.4).
    InterleavedMessage,
    /// A close frame of one byte, or with a code that must not be sent (§7.4).
    BadClose,
    /// Text, or the reason of a close frame, is not UTF-8 (§8.1).
    BadUtf8,
    /// The message is over [`super::FrameLimits::message_bytes_max`].
    MessageTooBig,
    /// The message is in more than [`super::FrameLimits::fragments_max`] frames.
    TooManyFragments,
}

impl FrameError {
    /// The reason the connection ends for, which has the close code.
    #[must_use]
    pub const fn close_reason(self) -> CloseReason {
        match self {
            Self::BadUtf8 => CloseReason::BadUtf8,
            Self::MessageTooBig | Self::TooManyFragments => CloseReason::TooBig,
            _ => CloseReason::Protocol,
        }
    }

    /// What to tell the client's author in the close frame and the log.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::ReservedBits => "reserved bits are set",
            Self::UnknownOpcode => "unknown opcode",
            Self::Unmasked => "client frames must be masked",
            Self::BadLength => "malformed frame length",
            Self::BadControl => "control frames are whole and at most 125 bytes long",
            Self::LoneContinuation => "continuation without a message",
            Self::InterleavedMessage => "new message inside a fragmented one",
            Self::BadClose => "malformed close frame",
            Self::BadUtf8 => "text is not UTF-8",
            Self::MessageTooBig => "message too big",
            Self::TooManyFragments => "message in too many fragments",
        }
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.words())
    }
}

impl std::error::Error for FrameError {}
