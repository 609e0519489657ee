//! Where a request head ends, in bytes that arrive piece by piece. Each byte is looked at once, so a head that
//! comes one byte at a time costs no more than one that comes whole; it is parsed when its last line is there.
//!
//! Knows nothing of what the lines say, but that the first must be a request line.

use super::error::HttpError;
use super::head::{Head, check_request_line};
use crate::limits::HEAD_BYTES_MAX;

/// Bytes of a method: the longest registered one (`UPDATEREDIRECTREF`) has 17. What has no space until here is no HTTP.
const METHOD_BYTES_MAX: usize = 24;

/// Positions in a head fit the scan's fields.
const _: () = assert!(HEAD_BYTES_MAX <= u16::MAX as usize);

/// How far the head of one request was looked at. The caller keeps the bytes, from the request's first on.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct HeadScan {
    /// Bytes looked at.
    ///
    /// Invariant: at most [`HEAD_BYTES_MAX`].
    scanned: u16,
    /// Where the line begins that is not whole yet.
    ///
    /// Invariant: at most `scanned`.
    line_start: u16,
    /// The request line is whole.
    begun: bool,
}

impl HeadScan {
    /// Looks at what was appended to `bytes` since the last call. A whole head comes out parsed, with the number
    /// of bytes it takes, and the scan is ready for the next request; `Ok(None)`: more bytes are needed.
    ///
    /// # Errors
    /// The request must be refused: known at the first line that shows it, and for what is no HTTP at all at the
    /// first bytes. Answer and close; neither the scan nor the bytes are of further use.
    pub fn parse<'b>(&mut self, bytes: &'b [u8]) -> Result<Option<(Head<'b>, usize)>, HttpError> {
        let Some(end) = self.find_end(bytes)? else { return Ok(None) };
        let head = Head::parse(&bytes[..end])?;
        *self = Self::default();
        Ok(Some((head, end)))
    }

    /// Whether a request has begun to arrive.
    #[must_use]
    pub const fn is_idle(self) -> bool {
        self.scanned == 0
    }

    fn find_end(&mut self, bytes: &[u8]) -> Result<Option<usize>, HttpError> {
        debug_assert!(bytes.len() >= usize::from(self.scanned), "the caller keeps the bytes of an unfinished head");
        let window = &bytes[..bytes.len().min(HEAD_BYTES_MAX)];
        let fresh = window.get(usize::from(self.scanned)..).unwrap_or_default();
        for newline in fresh.iter().enumerate().filter_map(|(at, byte)| (*byte == b'\n').then_some(at)) {
            if self.end_line(window, usize::from(self.scanned) + newline)? {
                return Ok(Some(usize::from(self.scanned) + newline + 1));
            }
        }
        self.scanned = window.len() as u16;
        if !self.begun {
            check_beginning(&window[usize::from(self.line_start)..])?;
        }
        if window.len() == HEAD_BYTES_MAX {
            return Err(HttpError::new(431, "request head too big"));
        }
        Ok(None)
    }

    /// Takes note of the line that ends at `newline`; whether it ends the head.
    fn end_line(&mut self, window: &[u8], newline: usize) -> Result<bool, HttpError> {
        let start = usize::from(self.line_start);
        if !self.begun {
            check_beginning(&window[start..newline])?;
        }
        let Some(line) = window[start..newline].strip_suffix(b"\r") else {
            return Err(HttpError::bad("lines end in CR LF"));
        };
        self.line_start = newline as u16 + 1;
        match (line.is_empty(), self.begun) {
            (true, true) => return Ok(true),
            // RFC 9112 §2.2: one empty line in front is what some clients send after a body.
            (true, false) if start == 0 => {}
            (true, false) => return Err(HttpError::bad("empty lines in front of the request")),
            (false, false) => {
                check_request_line(&window[start..=newline])?;
                self.begun = true;
            }
            (false, true) => {}
        }
        Ok(false)
    }
}

/// Refuses what cannot become a request line: TLS, other protocols, noise.
fn check_beginning(line: &[u8]) -> Result<(), HttpError> {
    if line == b"\r" {
        return Ok(());
    }
    let method_len = line.iter().position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'-').unwrap_or(line.len());
    let ended = line.get(method_len).is_none_or(|byte| *byte == b' ' && method_len > 0);
    if !ended || method_len > METHOD_BYTES_MAX {
        return Err(HttpError::bad("not an HTTP request"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::HEADERS_MAX;

    const REQUEST: &[u8] = b"GET /a?b=c HTTP/1.1\r\nHost: x\r\nX-Long: abc\r\n\r\n";

    fn refused(bytes: &[u8]) -> u16 {
        HeadScan::default().parse(bytes).expect_err("refused").status
    }

    /// How many bytes are there when the refusal comes, one byte at a time.
    fn refused_after(bytes: &[u8]) -> usize {
        let mut scan = HeadScan::default();
        (0..=bytes.len()).find(|end| scan.parse(&bytes[..*end]).is_err()).expect("refused")
    }

    #[test]
    fn a_head_in_single_bytes_is_found_at_its_last_byte() {
        let mut scan = HeadScan::default();
        for end in 0..REQUEST.len() {
            assert!(scan.parse(&REQUEST[..end]).expect("valid so far").is_none());
        }
        let (head, used) = scan.parse(REQUEST).expect("valid").expect("whole");
        assert_eq!((head.path(), used), ("/a", REQUEST.len()));
        assert!(scan.is_idle());
    }

    #[test]
    fn what_follows_a_head_is_left_for_the_next_one() {
        let two = [REQUEST, b"POST / HTTP/1.1\r\nHost: y\r\n\r\n"].concat();
        let mut scan = HeadScan::default();
        let (_, used) = scan.parse(&two).expect("valid").expect("whole");
        assert_eq!(used, REQUEST.len());
        let (second, _) = scan.parse(&two[used..]).expect("valid").expect("whole");
        assert_eq!(second.method(), "POST");
    }

    #[test]
    fn one_empty_line_may_stand_in_front() {
        let request = [b"\r\n", REQUEST].concat();
        assert_eq!(HeadScan::default().parse(&request).expect("valid").expect("whole").1, request.len());
        assert_eq!(refused(&[b"\r\n\r\n", REQUEST].concat()), 400);
        assert_eq!(refused(b"\rG"), 400);
    }

    #[test]
    fn what_cannot_be_http_is_refused_at_once() {
        assert_eq!(refused_after(b"\x16\x03\x01\x02\x00\x01\x00"), 1, "TLS");
        assert_eq!(refused_after(b"\0"), 1);
        assert_eq!(refused_after(b" GET"), 1);
        assert_eq!(refused_after(&[b'A'; 100]), METHOD_BYTES_MAX + 1);
        assert_eq!(refused(format!("{} / HTTP/1.1\r\nHost: x\r\n\r\n", "A".repeat(25)).as_bytes()), 400);
        assert_eq!(refused_after(b"GET\t/ HTTP/1.1"), 4);
        assert_eq!(refused_after(b"EHLO example.org\r\n"), 18, "the line is no request line");
        assert_eq!(refused_after(b"GET /a b HTTP/1.1\r\n"), 19);
    }

    #[test]
    fn bare_line_feeds_are_refused() {
        assert_eq!(refused(b"GET / HTTP/1.1\nHost: x\n\n"), 400);
        assert_eq!(refused(b"GET / HTTP/1.1\r\nHost: x\n\r\n"), 400);
        assert_eq!(refused(b"GET / HTTP/1.1\r\nHost: x\r\n\n"), 400);
    }

    #[test]
    fn a_head_over_the_limits_is_431() {
        let head = |name_len: usize| {
            let mut head = b"GET / HTTP/1.1\r\nHost: x\r\nA: ".to_vec();
            head.resize(head.len() + name_len, b'v');
            head.extend(b"\r\n\r\n");
            head
        };
        let fixed = head(0).len();
        let longest = head(HEAD_BYTES_MAX - fixed);
        assert!(HeadScan::default().parse(&longest).expect("valid").is_some());
        assert_eq!(refused(&head(HEAD_BYTES_MAX - fixed + 1)), 431);
        assert_eq!(refused(&longest[..longest.len() - 4].iter().chain(b"more").copied().collect::<Vec<_>>()), 431);

        let lines =
            |count: usize| format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "A: b\r\n".repeat(count - 1)).into_bytes();
        assert!(HeadScan::default().parse(&lines(HEADERS_MAX)).expect("valid").is_some());
        assert_eq!(refused(&lines(HEADERS_MAX + 1)), 431);
    }

    #[test]
    fn other_versions_are_505_and_other_words_400() {
        assert_eq!(refused(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505);
        assert_eq!(refused(b"GET / HTTP/1.2\r\n"), 505);
        assert_eq!(refused(b"GET / HTTP/0.9\r\n"), 505);
        assert_eq!(refused(b"GET / HTTP/1.11\r\n"), 400);
        assert_eq!(refused(b"GET / HTTX/1.1\r\n"), 400);
        assert_eq!(refused(b"GET /\r\n"), 400);
        assert_eq!(refused(b"GET / http/1.1\r\n"), 400);
    }
}
