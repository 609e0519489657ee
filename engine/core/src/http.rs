//! HTTP requests and responses as values, for the API and the small paths of the client listener.
//!
//! Their bytes are [`crate::wire::http`]'s.

/// A whole request of the API listener, body included.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: Box<str>,
    /// Percent-decoded path, without the query.
    pub path: Box<str>,
    /// Decoded query pairs, in order.
    pub query: Vec<(Box<str>, Box<str>)>,
    /// The bearer token of `Authorization`.
    pub bearer: Option<Box<str>>,
    /// The body, or one line of it where the path streams lines.
    pub body: Vec<u8>,
}

/// A response, before it is encoded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The media type of the body.
    pub content_type: &'static str,
    /// Further headers.
    pub headers: Vec<(&'static str, Box<str>)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// A JSON response.
    #[must_use]
    pub fn json(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, content_type: "application/json", headers: Vec::new(), body: body.into() }
    }

    /// A plain-text response.
    #[must_use]
    pub fn text(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", headers: Vec::new(), body: body.into() }
    }
}
