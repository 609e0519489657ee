//! Answers as HTTP responses. Knows nothing of what was asked.

use epush_core::error::{ErrorCode, Refusal};
use epush_core::http::Response;
use serde::Serialize;

/// The media type of a streamed answer: one JSON object a line.
pub const NDJSON: &str = "application/x-ndjson";

/// A value as a JSON response.
pub fn json(status: u16, value: &impl Serialize) -> Response {
    Response::json(status, bytes(value))
}

/// One line of a streamed answer. Its status is always 200: the outcome is in the line.
pub fn line(body: Vec<u8>) -> Response {
    Response { status: 200, content_type: NDJSON, headers: Vec::new(), body }
}

/// A refusal, with the status of its code.
pub fn refused(refusal: &Refusal) -> Response {
    let mut response = Response::json(refusal.code.status(), error_body(refusal));
    if refusal.code == ErrorCode::Unavailable {
        // The intake empties within milliseconds; a second is the least HTTP can say (RFC 9110 §10.2.3).
        response.headers.push(("Retry-After", "1".into()));
    }
    response
}

/// No key, or a wrong one.
pub fn unauthorized() -> Response {
    let mut response =
        refused(&Refusal::new(ErrorCode::Unauthorized, "an API key is required: Authorization: Bearer …"));
    response.headers.push(("WWW-Authenticate", "Bearer".into()));
    response
}

/// A method the path does not have.
pub fn wrong_method(allowed: &'static str) -> Response {
    let refusal = Refusal::new(ErrorCode::BadRequest, format!("the methods of this path are {allowed}"));
    let mut response = Response::json(405, error_body(&refusal));
    response.headers.push(("Allow", allowed.into()));
    response
}

/// `{"error":{…}}`.
pub fn error_body(refusal: &Refusal) -> Vec<u8> {
    #[derive(Serialize)]
    struct Body<'a> {
        error: Inner<'a>,
    }
    #[derive(Serialize)]
    struct Inner<'a> {
        code: &'a str,
        message: &'a str,
    }
    bytes(&Body { error: Inner { code: refusal.code.word(), message: &refusal.message } })
}

/// A value as JSON text.
pub fn bytes(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("structs of text and numbers always serialize")
}
