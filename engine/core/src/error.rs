//! The words an error answer may use, in the native protocol and in the control API.

/// A code of an `error` frame or of an API error body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorCode {
    /// The request itself is wrong: 400.
    BadRequest,
    /// Who is asking is not known: 401.
    Unauthorized,
    /// Who is asking may not: 403.
    Forbidden,
    /// There is no such thing: 404.
    NotFound,
    /// Over a size limit: 413.
    TooLarge,
    /// Too many requests in a time: 429.
    RateLimited,
    /// Over a number limit: 429.
    LimitReached,
    /// Not now: 503.
    Unavailable,
    /// Our mistake: 500.
    Internal,
}

impl ErrorCode {
    /// The word on the wire.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::TooLarge => "too_large",
            Self::RateLimited => "rate_limited",
            Self::LimitReached => "limit_reached",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }

    /// The HTTP status that carries it.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::TooLarge => 413,
            Self::RateLimited | Self::LimitReached => 429,
            Self::Unavailable => 503,
            Self::Internal => 500,
        }
    }
}

/// An answer that says no: the code, and a sentence for the person who reads it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// The word a program acts on.
    pub code: ErrorCode,
    /// The sentence a person reads.
    pub message: std::borrow::Cow<'static, str>,
}

impl Refusal {
    /// A refusal with this code and sentence.
    pub fn new(code: ErrorCode, message: impl Into<std::borrow::Cow<'static, str>>) -> Self {
        Self { code, message: message.into() }
    }
}
