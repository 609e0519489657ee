//! What the headers say about the message itself: its body, the connection after it, its host.
//!
//! The shapes behind request smuggling end here, each with 400.

use httparse::Header;

use super::error::HttpError;
use super::head::members;

/// How the body of a request is delimited.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum BodyFraming {
    /// There is none.
    #[default]
    None,
    /// So many bytes.
    Length(u64),
    /// In chunks.
    Chunked,
}

/// What one pass over the headers finds out.
#[derive(Default)]
pub(super) struct Framing {
    pub(super) body: BodyFraming,
    pub(super) keep_alive: bool,
    pub(super) expect_continue: bool,
    length: Option<u64>,
    chunked: bool,
    host: bool,
    wants_close: bool,
    wants_keep_alive: bool,
}

impl Framing {
    pub(super) fn of(headers: &[Header<'_>], minor_version: u8) -> Result<Self, HttpError> {
        let mut framing = Self::default();
        for header in headers {
            framing.note(header, minor_version)?;
        }
        if minor_version == 1 && !framing.host {
            return Err(HttpError::bad("Host is missing"));
        }
        framing.body = match (framing.length, framing.chunked) {
            (Some(_), true) => return Err(HttpError::bad("both Content-Length and Transfer-Encoding")),
            (Some(length), false) => BodyFraming::Length(length),
            (None, true) => BodyFraming::Chunked,
            (None, false) => BodyFraming::None,
        };
        framing.keep_alive = !framing.wants_close && (minor_version == 1 || framing.wants_keep_alive);
        Ok(framing)
    }

    fn note(&mut self, header: &Header<'_>, minor_version: u8) -> Result<(), HttpError> {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("host") {
            self.note_host(header.value)
        } else if is("content-length") {
            self.note_length(header.value)
        } else if is("transfer-encoding") {
            self.note_encoding(header.value, minor_version)
        } else if is("expect") {
            self.note_expectation(header.value, minor_version)
        } else {
            if is("connection") {
                self.note_connection(header.value);
            }
            Ok(())
        }
    }

    fn note_host(&mut self, value: &[u8]) -> Result<(), HttpError> {
        if std::mem::replace(&mut self.host, true) {
            return Err(HttpError::bad("more than one Host"));
        }
        let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=:%[]".contains(byte);
        if value.iter().all(allowed) { Ok(()) } else { Err(HttpError::bad("malformed Host")) }
    }

    fn note_length(&mut self, value: &[u8]) -> Result<(), HttpError> {
        if self.length.is_some() {
            return Err(HttpError::bad("more than one Content-Length"));
        }
        // `u64::from_str` would take a sign.
        let digits = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let length = digits.and_then(|digits| digits.parse().ok()).ok_or(HttpError::bad("malformed Content-Length"))?;
        self.length = Some(length);
        Ok(())
    }

    fn note_encoding(&mut self, value: &[u8], minor_version: u8) -> Result<(), HttpError> {
        if self.chunked || minor_version == 0 || !value.eq_ignore_ascii_case(b"chunked") {
            return Err(HttpError::bad("the only Transfer-Encoding is one `chunked`, in HTTP/1.1"));
        }
        self.chunked = true;
        Ok(())
    }

    fn note_expectation(&mut self, value: &[u8], minor_version: u8) -> Result<(), HttpError> {
        if !value.eq_ignore_ascii_case(b"100-continue") {
            return Err(HttpError::new(417, "the only expectation is 100-continue"));
        }
        // RFC 9110 §10.1.1: in an HTTP/1.0 request it is ignored.
        self.expect_continue = minor_version == 1;
        Ok(())
    }

    fn note_connection(&mut self, value: &[u8]) {
        for option in members(value) {
            self.wants_close |= option.eq_ignore_ascii_case("close");
            self.wants_keep_alive |= option.eq_ignore_ascii_case("keep-alive");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse_head;
    use super::*;

    /// Body, keep-alive, expect-continue.
    fn framing(version: &str, lines: &str) -> Result<(BodyFraming, bool, bool), u16> {
        let request = format!("POST / HTTP/{version}\r\n{lines}\r\n");
        let parsed = parse_head(request.as_bytes()).map_err(|error| error.status)?;
        let (head, _) = parsed.expect("whole");
        Ok((head.body(), head.keep_alive(), head.expect_continue()))
    }

    fn body(lines: &str) -> Result<BodyFraming, u16> {
        framing("1.1", &format!("Host: x\r\n{lines}")).map(|(body, ..)| body)
    }

    #[test]
    fn the_body_is_as_long_as_the_headers_say() {
        assert_eq!(body(""), Ok(BodyFraming::None));
        assert_eq!(body("Content-Length: 0\r\n"), Ok(BodyFraming::Length(0)));
        assert_eq!(body("content-length: 0012 \r\n"), Ok(BodyFraming::Length(12)));
        assert_eq!(body("Content-Length: 18446744073709551615\r\n"), Ok(BodyFraming::Length(u64::MAX)));
        assert_eq!(body("Transfer-Encoding: Chunked\r\n"), Ok(BodyFraming::Chunked));
    }

    #[test]
    fn bodies_of_doubtful_length_are_refused() {
        for lines in [
            "Content-Length: 5\r\nContent-Length: 5\r\n",
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            "Content-Length: 5, 5\r\n",
            "Content-Length: +5\r\n",
            "Content-Length: -5\r\n",
            "Content-Length: 5x\r\n",
            "Content-Length: 0x5\r\n",
            "Content-Length: 5 5\r\n",
            "Content-Length:\r\n",
            "Content-Length: \x0b5\r\n",
            "Content-Length: 18446744073709551616\r\n",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: chunked, chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
            "Transfer-Encoding: identity\r\n",
            "Transfer-Encoding: xchunked\r\n",
            "Transfer-Encoding:\r\n",
            "Transfer-Encoding: \"chunked\"\r\n",
        ] {
            assert_eq!(body(lines), Err(400), "{lines:?}");
        }
        assert_eq!(framing("1.0", "Transfer-Encoding: chunked\r\n"), Err(400));
    }

    #[test]
    fn http_11_needs_one_good_host() {
        assert_eq!(framing("1.1", ""), Err(400));
        assert_eq!(framing("1.1", "Host: a\r\nhost: a\r\n"), Err(400));
        assert_eq!(framing("1.0", "Host: a\r\nhost: a\r\n"), Err(400));
        for host in ["a b", "a,b", "a/b", "u@a", "a\\b", "é"] {
            assert_eq!(framing("1.1", &format!("Host: {host}\r\n")), Err(400), "{host}");
        }
        for host in ["example.org:80", "[::1]:7000", "", "a_b"] {
            assert!(framing("1.1", &format!("Host: {host}\r\n")).is_ok(), "{host}");
        }
        assert!(framing("1.0", "").is_ok());
    }

    #[test]
    fn http_11_keeps_the_connection_and_http_10_only_when_asked() {
        let keep_alive = |version, lines: &str| framing(version, &format!("Host: x\r\n{lines}")).map(|found| found.1);
        assert_eq!(keep_alive("1.1", ""), Ok(true));
        assert_eq!(keep_alive("1.1", "Connection: Close\r\n"), Ok(false));
        assert_eq!(keep_alive("1.1", "Connection: keep-alive\r\nConnection: x, close\r\n"), Ok(false));
        assert_eq!(keep_alive("1.1", "Connection: Upgrade\r\n"), Ok(true));
        assert_eq!(keep_alive("1.0", ""), Ok(false));
        assert_eq!(keep_alive("1.0", "Connection: Keep-Alive\r\n"), Ok(true));
        assert_eq!(keep_alive("1.0", "Connection: keep-alive, close\r\n"), Ok(false));
    }

    #[test]
    fn the_only_expectation_is_continue() {
        let expect = |version, value| framing(version, &format!("Host: x\r\nExpect: {value}\r\n")).map(|found| found.2);
        assert_eq!(expect("1.1", "100-Continue"), Ok(true));
        assert_eq!(expect("1.0", "100-continue"), Ok(false));
        assert_eq!(expect("1.1", "something"), Err(417));
        assert_eq!(framing("1.1", "Host: x\r\n").map(|found| found.2), Ok(false));
    }
}
