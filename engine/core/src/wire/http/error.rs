//! Why an HTTP request cannot be taken. Knows nothing of what else happens to its connection.

use std::fmt;

use crate::error::ErrorCode;
use crate::http::Response;

/// The request is malformed or over a limit. Where the next one would begin is unknown: answer and close.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HttpError {
    /// The status to answer with.
    pub status: u16,
    /// For the person who reads it.
    pub why: &'static str,
}

impl HttpError {
    pub(super) const fn bad(why: &'static str) -> Self {
        Self { status: 400, why }
    }

    pub(super) const fn new(status: u16, why: &'static str) -> Self {
        Self { status, why }
    }

    /// The answer, in the form of the control API's errors.
    #[must_use]
    pub fn response(self) -> Response {
        let code = if matches!(self.status, 413 | 431) { ErrorCode::TooLarge } else { ErrorCode::BadRequest };
        let why = self.why;
        Response::json(self.status, format!(r#"{{"error":{{"code":"{}","message":"{why}"}}}}"#, code.word()))
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.status, self.why)
    }
}

impl std::error::Error for HttpError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_answers_in_the_form_of_the_api() {
        let response = HttpError::new(431, "too many headers").response();
        assert_eq!(response.status, 431);
        assert_eq!(response.body, br#"{"error":{"code":"too_large","message":"too many headers"}}"#);
    }
}
