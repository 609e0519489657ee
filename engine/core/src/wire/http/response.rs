//! Responses as bytes, whole or in chunks. Knows nothing of what they say.

use std::io::Write as _;

use crate::http::Response;

/// What a client that sent `Expect: 100-continue` waits for.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Appends a whole response. `head_only`: the body is announced but not sent, as the answer to `HEAD`.
pub fn write_response(out: &mut Vec<u8>, response: &Response, keep_alive: bool, head_only: bool) {
    let may_have_body = !matches!(response.status, 100..=199 | 204 | 304);
    out.reserve(256 + response.body.len());
    write_head(out, response, keep_alive);
    if may_have_body {
        write_line(out, format_args!("content-length: {}", response.body.len()));
    }
    out.extend_from_slice(b"\r\n");
    if may_have_body && !head_only {
        out.extend_from_slice(&response.body);
    }
}

/// Appends the head of a response whose body follows in chunks; the body in `response` is not sent.
///
/// Only for clients that speak HTTP/1.1.
pub fn write_chunked_head(out: &mut Vec<u8>, response: &Response, keep_alive: bool) {
    write_head(out, response, keep_alive);
    out.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
}

/// Appends one chunk. Nothing for no bytes: an empty chunk would end the body.
pub fn write_chunk(out: &mut Vec<u8>, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    out.reserve(bytes.len() + 20);
    write_line(out, format_args!("{:x}", bytes.len()));
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

/// Appends the end of a body in chunks.
pub fn write_last_chunk(out: &mut Vec<u8>) {
    out.extend_from_slice(b"0\r\n\r\n");
}

/// Everything of a head but the body's framing and the empty line.
fn write_head(out: &mut Vec<u8>, response: &Response, keep_alive: bool) {
    write_line(out, format_args!("HTTP/1.1 {} {}", response.status, reason(response.status)));
    if !response.content_type.is_empty() {
        write_line(out, format_args!("content-type: {}", response.content_type));
    }
    for (name, value) in &response.headers {
        write_field(out, name, value);
    }
    // RFC 9110 §7.8: who sends Upgrade also names it in Connection.
    let upgrade = response.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("upgrade"));
    let connection = match (upgrade, keep_alive) {
        (true, true) => "upgrade, keep-alive",
        (true, false) => "upgrade, close",
        (false, true) => "keep-alive",
        (false, false) => "close",
    };
    write_field(out, "connection", connection);
}

/// Control characters, which would end the line or the head, become spaces.
pub(super) fn write_field(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend(value.bytes().map(|byte| if byte.is_ascii_control() { b' ' } else { byte }));
    out.extend_from_slice(b"\r\n");
}

fn write_line(out: &mut Vec<u8>, line: std::fmt::Arguments<'_>) {
    out.write_fmt(line).expect("a Vec takes every write");
    out.extend_from_slice(b"\r\n");
}

/// The phrase of RFC 9110 §15; "Status" for codes without one, for the phrase must not be missing for every client.
const fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "Status",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(response: &Response, keep_alive: bool, head_only: bool) -> String {
        let mut out = Vec::new();
        write_response(&mut out, response, keep_alive, head_only);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn a_response_says_how_long_its_body_is() {
        assert_eq!(
            written(&Response::json(202, "{}"), true, false),
            "HTTP/1.1 202 Accepted\r\ncontent-type: application/json\r\nconnection: keep-alive\r\n\
             content-length: 2\r\n\r\n{}"
        );
        assert_eq!(
            written(&Response::text(200, "ok"), false, true),
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close\r\n\
             content-length: 2\r\n\r\n"
        );
    }

    #[test]
    fn no_content_has_no_length() {
        let response = Response { status: 204, content_type: "", headers: Vec::new(), body: Vec::new() };
        assert_eq!(written(&response, true, false), "HTTP/1.1 204 No Content\r\nconnection: keep-alive\r\n\r\n");
    }

    #[test]
    fn a_header_value_cannot_end_its_line() {
        let mut response = Response::text(200, "");
        response.headers = vec![("location", "a\r\nset-cookie: b".into()), ("upgrade", "websocket".into())];
        let written = written(&response, false, false);
        assert!(
            written.contains("\r\nlocation: a  set-cookie: b\r\nupgrade: websocket\r\nconnection: upgrade, close\r\n")
        );
    }

    #[test]
    fn chunks_read_back_as_they_were_written() {
        use super::super::{Body, BodyFraming, BodyStep};
        let mut out = Vec::new();
        write_chunked_head(&mut out, &Response::json(200, ""), true);
        assert!(out.ends_with(b"connection: keep-alive\r\ntransfer-encoding: chunked\r\n\r\n"));
        out.clear();
        for piece in [&b"one"[..], b"", &[b'2'; 300]] {
            write_chunk(&mut out, piece);
        }
        write_last_chunk(&mut out);
        let mut body = Body::new(BodyFraming::Chunked, 1_000).expect("no length yet");
        let mut input = &out[..];
        assert_eq!(body.next(&mut input), Ok(BodyStep::Piece(b"one")));
        assert_eq!(body.next(&mut input), Ok(BodyStep::Piece(&[b'2'; 300])));
        assert_eq!(body.next(&mut input), Ok(BodyStep::End));
        assert!(input.is_empty());
    }
}
