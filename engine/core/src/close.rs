//! Why connections end: the one table of close codes, log words and metric labels.
//!
//! Knows nothing of how a connection is closed.

/// The reason a connection ended. Every connection ends in exactly one.
///
/// Codes below 3000 are RFC 6455 §7.4.1's. Of ours, 4000–4499 tell the client not to come back by itself and
/// 4500–4999 to come back with back-off.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CloseReason {
    /// The client closed, with a close frame or between two HTTP requests.
    ClientClosed,
    /// The client's half ended without a close frame.
    Eof,
    /// The connection was reset, or a socket call failed.
    Reset,
    /// An HTTP exchange ended the connection as it should.
    HttpDone,
    /// The HTTP request was refused (bad request, forbidden, over a limit).
    HttpRefused,
    /// The node is draining: 1001.
    Drain,
    /// Frames against RFC 6455: 1002.
    Protocol,
    /// Binary messages, which no application takes: 1003.
    Unsupported,
    /// Text that is not UTF-8: 1007.
    BadUtf8,
    /// A message or frame over the limit: 1009.
    TooBig,
    /// Our mistake: 1011.
    Internal,
    /// The same user signed in elsewhere: 4001.
    Replaced,
    /// Kicked through the API: 4002.
    Kicked,
    /// The token was refused: 4003.
    Unauthorized,
    /// The token ran out while connected: 4004.
    TokenExpired,
    /// Could not keep up and its policy is `close`: 4501.
    SlowConsumer,
    /// Nothing heard for the ping interval and the time-out after it: 4502.
    HeartbeatTimeout,
    /// No sign-in in time: 4503.
    SignInTimeout,
    /// Sent more than it may: 4504.
    RateLimited,
    /// No whole request head or body in time (before the upgrade).
    RequestTimeout,
    /// The application closed the session with a code of its own.
    Application(u16),
}

impl CloseReason {
    /// Every reason but [`CloseReason::Application`], for tables and metrics.
    pub const ALL: [Self; 20] = [
        Self::ClientClosed,
        Self::Eof,
        Self::Reset,
        Self::HttpDone,
        Self::HttpRefused,
        Self::Drain,
        Self::Protocol,
        Self::BadUtf8,
        Self::TooBig,
        Self::Internal,
        Self::Replaced,
        Self::Kicked,
        Self::Unauthorized,
        Self::TokenExpired,
        Self::SlowConsumer,
        Self::HeartbeatTimeout,
        Self::SignInTimeout,
        Self::RateLimited,
        Self::RequestTimeout,
        Self::Unsupported,
    ];

    /// The code of the close frame and of `goodbye`.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::ClientClosed | Self::Eof | Self::Reset => 1000,
            Self::HttpDone | Self::HttpRefused | Self::RequestTimeout => 1000,
            Self::Drain => 1001,
            Self::Protocol => 1002,
            Self::Unsupported => 1003,
            Self::BadUtf8 => 1007,
            Self::TooBig => 1009,
            Self::Internal => 1011,
            Self::Replaced => 4001,
            Self::Kicked => 4002,
            Self::Unauthorized => 4003,
            Self::TokenExpired => 4004,
            Self::SlowConsumer => 4501,
            Self::HeartbeatTimeout => 4502,
            Self::SignInTimeout => 4503,
            Self::RateLimited => 4504,
            Self::Application(code) => code,
        }
    }

    /// The word in logs, in `goodbye.reason` and on the metric label.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::ClientClosed => "client_closed",
            Self::Eof => "eof",
            Self::Reset => "reset",
            Self::HttpDone => "http_done",
            Self::HttpRefused => "http_refused",
            Self::Drain => "drain",
            Self::Protocol => "protocol",
            Self::Unsupported => "unsupported",
            Self::BadUtf8 => "bad_utf8",
            Self::TooBig => "too_big",
            Self::Internal => "internal",
            Self::Replaced => "replaced",
            Self::Kicked => "kicked",
            Self::Unauthorized => "unauthorized",
            Self::TokenExpired => "token_expired",
            Self::SlowConsumer => "slow_consumer",
            Self::HeartbeatTimeout => "heartbeat_timeout",
            Self::SignInTimeout => "sign_in_timeout",
            Self::RateLimited => "rate_limited",
            Self::RequestTimeout => "request_timeout",
            Self::Application(_) => "application",
        }
    }

    /// Whether the client should come back by itself (`goodbye.reconnect`).
    #[must_use]
    pub const fn reconnect(self) -> bool {
        matches!(self.code(), 1001 | 1011..=1013 | 4500..=4999)
    }

    /// Where counters keep this reason: below [`CloseReason::SLOTS`].
    #[must_use]
    pub const fn slot(self) -> usize {
        match self {
            Self::ClientClosed => 0,
            Self::Eof => 1,
            Self::Reset => 2,
            Self::HttpDone => 3,
            Self::HttpRefused => 4,
            Self::Drain => 5,
            Self::Protocol => 6,
            Self::BadUtf8 => 7,
            Self::TooBig => 8,
            Self::Internal => 9,
            Self::Replaced => 10,
            Self::Kicked => 11,
            Self::Unauthorized => 12,
            Self::TokenExpired => 13,
            Self::SlowConsumer => 14,
            Self::HeartbeatTimeout => 15,
            Self::SignInTimeout => 16,
            Self::RateLimited => 17,
            Self::RequestTimeout => 18,
            Self::Unsupported => 19,
            Self::Application(_) => 20,
        }
    }

    /// How many counters the reasons need.
    pub const SLOTS: usize = 21;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_reason_has_its_own_word_and_its_own_slot() {
        let words: HashSet<_> = CloseReason::ALL.iter().map(|reason| reason.word()).collect();
        assert_eq!(words.len(), CloseReason::ALL.len());
        for (position, reason) in CloseReason::ALL.iter().enumerate() {
            assert_eq!(reason.slot(), position);
        }
        assert_eq!(CloseReason::Application(4100).slot(), CloseReason::SLOTS - 1);
    }

    #[test]
    fn codes_from_4500_ask_the_client_to_come_back() {
        assert!(!CloseReason::Replaced.reconnect());
        assert!(CloseReason::SlowConsumer.reconnect());
        assert!(CloseReason::Drain.reconnect());
        assert!(!CloseReason::Application(4100).reconnect());
        assert!(CloseReason::Application(4600).reconnect());
    }
}
