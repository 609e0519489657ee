//! A whole request head: what was asked for, and with which headers.
//!
//! Refuses every shape two readers could understand differently. Knows nothing of what the paths mean.

use std::mem::MaybeUninit;

use smallvec::SmallVec;

use super::error::HttpError;
use super::framing::{BodyFraming, Framing};
use super::scan::HeadScan;
use super::target::{QueryPair, Target};
use crate::http::Request;
use crate::limits::HEADERS_MAX;

/// Header lines kept without an allocation: what browsers send in an upgrade request.
const HEADERS_INLINE: usize = 16;

/// A request head, borrowed from the bytes it was read from.
#[derive(Clone, Debug)]
pub struct Head<'b> {
    method: &'b str,
    raw_target: &'b str,
    target: Target<'b>,
    /// 0 or 1, of HTTP/1.x.
    minor_version: u8,
    headers: SmallVec<[httparse::Header<'b>; HEADERS_INLINE]>,
    keep_alive: bool,
    expect_continue: bool,
    body: BodyFraming,
}

/// Reads the head at the front of `bytes`, and says how many bytes it takes; `Ok(None)`: it is not whole.
///
/// For bytes that are all there; while they arrive, keep a [`HeadScan`], which looks at each byte once.
///
/// # Errors
/// As [`HeadScan::parse`].
pub fn parse_head(bytes: &[u8]) -> Result<Option<(Head<'_>, usize)>, HttpError> {
    HeadScan::default().parse(bytes)
}

impl<'b> Head<'b> {
    /// `GET`, `POST`, …: as it came; methods are case-sensitive.
    #[must_use]
    pub const fn method(&self) -> &'b str {
        self.method
    }

    /// The request target as it came.
    #[must_use]
    pub const fn raw_target(&self) -> &'b str {
        self.raw_target
    }

    /// The percent-decoded path, without the query; `*` for the server as a whole.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.target.path
    }

    /// Decoded query pairs, in order; a name without `=` has an empty value.
    #[must_use]
    pub fn query(&self) -> &[QueryPair<'b>] {
        &self.target.query
    }

    /// The first value of this name in the query.
    #[must_use]
    pub fn query_value(&self, name: &str) -> Option<&str> {
        self.query().iter().find(|(key, _)| key == name).map(|(_, value)| &**value)
    }

    /// Whether the client speaks HTTP/1.0, which has no chunks.
    #[must_use]
    pub const fn is_http_10(&self) -> bool {
        self.minor_version == 0
    }

    /// All header lines in order: names as they came, values without the space around them.
    pub fn headers(&self) -> impl Iterator<Item = (&'b str, &'b [u8])> + '_ {
        self.headers.iter().map(|header| (header.name, header.value))
    }

    /// The values of every line with this name, whatever its case.
    pub fn header_values<'s>(&'s self, name: &'s str) -> impl DoubleEndedIterator<Item = &'b [u8]> + 's {
        let named = move |header: &&httparse::Header<'b>| header.name.eq_ignore_ascii_case(name);
        self.headers.iter().filter(named).map(|header| header.value)
    }

    /// The first value of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'b [u8]> {
        self.header_values(name).next()
    }

    /// The value of this name, if it is there exactly once and is text.
    #[must_use]
    pub fn single_header(&self, name: &str) -> Option<&'b str> {
        let mut values = self.header_values(name);
        let value = values.next().and_then(|value| std::str::from_utf8(value).ok());
        if values.next().is_none() { value } else { None }
    }

    /// The members of a comma-separated header, over all its lines; those that are no text are left out.
    pub fn header_list<'s>(&'s self, name: &'s str) -> impl DoubleEndedIterator<Item = &'b str> + 's {
        self.header_values(name).flat_map(members)
    }

    /// The token of `Authorization: Bearer …`.
    #[must_use]
    pub fn bearer(&self) -> Option<&'b str> {
        let (scheme, token) = self.single_header("authorization")?.split_once(' ')?;
        let token = token.trim_matches(' ');
        (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
    }

    /// Whether the client wants to send another request after this one.
    #[must_use]
    pub const fn keep_alive(&self) -> bool {
        self.keep_alive
    }

    /// Whether the client waits for [`super::CONTINUE`] before it sends the body.
    #[must_use]
    pub const fn expect_continue(&self) -> bool {
        self.expect_continue
    }

    /// How the body is delimited.
    #[must_use]
    pub const fn body(&self) -> BodyFraming {
        self.body
    }

    /// The request as a value, with the body that followed the head.
    #[must_use]
    pub fn to_request(&self, body: Vec<u8>) -> Request {
        let pair = |(name, value): &QueryPair<'b>| (Box::from(&**name), Box::from(&**value));
        Request {
            method: self.method.into(),
            path: self.path().into(),
            query: self.query().iter().map(pair).collect(),
            bearer: self.bearer().map(Box::from),
            body,
        }
    }

    /// Reads a head that is whole.
    pub(super) fn parse(bytes: &'b [u8]) -> Result<Self, HttpError> {
        let mut lines = [const { MaybeUninit::uninit() }; HEADERS_MAX];
        let mut request = httparse::Request::new(&mut []);
        let status = request.parse_with_uninit_headers(bytes, &mut lines).map_err(|error| refusal(error, bytes))?;
        let (true, Some(method), Some(raw_target), Some(minor_version)) =
            (status.is_complete(), request.method, request.path, request.version)
        else {
            return Err(HttpError::bad("malformed request head"));
        };
        let headers = SmallVec::from_slice(request.headers);
        let framing = Framing::of(&headers, minor_version)?;
        Ok(Self {
            method,
            raw_target,
            target: Target::parse(method, raw_target)?,
            minor_version,
            headers,
            keep_alive: framing.keep_alive,
            expect_continue: framing.expect_continue,
            body: framing.body,
        })
    }
}

/// Checks a request line, its end included, before any header is there.
pub(super) fn check_request_line(line: &[u8]) -> Result<(), HttpError> {
    match httparse::Request::new(&mut []).parse(line) {
        Ok(_) => Ok(()),
        Err(error) => Err(refusal(error, line)),
    }
}

/// The members of one line of a comma-separated header.
pub(super) fn members(value: &[u8]) -> impl DoubleEndedIterator<Item = &str> {
    let text = |member| std::str::from_utf8(member).ok().map(|text| text.trim_matches([' ', '\t']));
    value.split(|byte| *byte == b',').filter_map(text).filter(|member| !member.is_empty())
}

fn refusal(error: httparse::Error, bytes: &[u8]) -> HttpError {
    match error {
        httparse::Error::TooManyHeaders => HttpError::new(431, "too many headers"),
        httparse::Error::Version if names_a_version(bytes) => HttpError::new(505, "only HTTP/1.1 and HTTP/1.0"),
        httparse::Error::Token | httparse::Error::Version | httparse::Error::Status => {
            HttpError::bad("malformed request line")
        }
        httparse::Error::HeaderName => HttpError::bad("malformed header name"),
        httparse::Error::HeaderValue => HttpError::bad("malformed header value"),
        httparse::Error::NewLine => HttpError::bad("lines end in CR LF"),
    }
}

/// Whether the first line that is not empty ends in some `HTTP/d.d`.
fn names_a_version(bytes: &[u8]) -> bool {
    let line = bytes.trim_ascii_start().split(|byte| *byte == b'\r').next().unwrap_or_default();
    let word = line.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
    matches!(word, [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(request: &str) -> Head<'_> {
        let (head, used) = parse_head(request.as_bytes()).expect("valid").expect("whole");
        assert_eq!(used, request.len());
        head
    }

    fn refused(lines: &str) -> u16 {
        let request = format!("GET / HTTP/1.1\r\n{lines}\r\n\r\n");
        parse_head(request.as_bytes()).expect_err(lines).status
    }

    #[test]
    fn a_head_says_what_was_asked_for() {
        let head = head("POST /v1/a%20b?x=1&y=a+b%21&z HTTP/1.1\r\nHost: x:1\r\nA: 1\r\na:  2 \r\nEmpty:\r\n\r\n");
        assert_eq!((head.method(), head.path()), ("POST", "/v1/a b"));
        assert_eq!(head.raw_target(), "/v1/a%20b?x=1&y=a+b%21&z");
        assert_eq!(head.query_value("y"), Some("a b!"));
        assert_eq!(head.query_value("z"), Some(""));
        assert_eq!(head.query_value("w"), None);
        assert_eq!(head.header_values("A").collect::<Vec<_>>(), [b"1", b"2"]);
        assert_eq!(head.header("EMPTY"), Some(&b""[..]));
        assert_eq!(head.single_header("a"), None, "twice");
        assert_eq!(head.headers().count(), 4);
        assert!(head.keep_alive());
        let request = head.to_request(b"body".to_vec());
        assert_eq!((&*request.path, &*request.query[1].1, &request.body[..]), ("/v1/a b", "a b!", &b"body"[..]));
    }

    #[test]
    fn the_bearer_token_is_the_one_of_authorization() {
        let bearer = |lines: &str| {
            let request = format!("GET / HTTP/1.1\r\nHost: x\r\n{lines}\r\n");
            head(&request).bearer().map(str::to_owned)
        };
        assert_eq!(bearer("Authorization: Bearer a.b.c\r\n").as_deref(), Some("a.b.c"));
        assert_eq!(bearer("authorization: bearer   t  \r\n").as_deref(), Some("t"));
        assert_eq!(bearer("Authorization: Basic abc\r\n"), None);
        assert_eq!(bearer("Authorization: Bearer\r\n"), None);
        assert_eq!(bearer("Authorization: Bearer a\r\nAuthorization: Bearer b\r\n"), None, "which?");
        assert_eq!(bearer(""), None);
    }

    #[test]
    fn lines_two_readers_could_read_differently_are_refused() {
        for lines in [
            "Host: x\r\nA: b\r\n folded",
            "Host: x\r\n\tA: b",
            "Host: x\r\nA : b",
            "Host: x\r\nA\t: b",
            "Host : x",
            " Host: x",
            "Host: x\r\nA: b\rc",
            "Host: x\r\nA: \0",
            "Host: x\r\nA: b\x01",
            "Host: x\r\nA: b\x7f",
            "Host: x\r\nA\0: b",
            "Host: x\r\nno colon",
            "Host: x\r\n: no name",
            "Host: x\r\nA(b: c",
        ] {
            assert_eq!(refused(lines), 400, "{lines:?}");
        }
    }

    #[test]
    fn bytes_beyond_ascii_may_stand_in_a_value() {
        let (head, _) =
            parse_head(b"GET / HTTP/1.1\r\nHost: x\r\nA: \xff\t\xc3\xa9\r\n\r\n").expect("valid").expect("whole");
        assert_eq!(head.header("a"), Some(&b"\xff\t\xc3\xa9"[..]));
        assert_eq!(head.single_header("a"), None);
    }

    #[test]
    fn lists_are_read_over_all_lines() {
        let head = head("GET / HTTP/1.1\r\nHost: x\r\nL: a, b ,,c\r\nl:\td\r\n\r\n");
        assert_eq!(head.header_list("L").collect::<Vec<_>>(), ["a", "b", "c", "d"]);
        assert_eq!(head.header_list("L").next_back(), Some("d"));
    }
}
