//! Answers of an HTTP/1.1 server, cut out of its bytes: one after the other, whole or in pieces.
//!
//! Knows nothing of sockets, nor of what was asked.

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// As in `200`.
    pub status: u16,
    /// Nothing more will be answered on this connection.
    pub closes: bool,
    /// How its body begins, where the server refused, or may have refused in it.
    pub words: String,
}

/// Cuts answers out of bytes.
#[derive(Debug, Default)]
pub struct Answers {
    /// Bytes of a head or of a chunk's size that are not whole.
    begun: Vec<u8>,
    state: State,
    answer: Answer,
    /// Every body is kept as far as [`BODY_BYTES_MAX`] goes: the server refuses in it under a status that consents.
    keeps_bodies: bool,
    /// The beginning of the current body, where it is kept.
    body: Vec<u8>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Head,
    /// So many bytes of the body are to come.
    Body(u64),
    ChunkSize,
    /// So many bytes of the chunk are to come, its line end included.
    Chunk(u64),
    /// Lines after the last chunk, the last of them empty.
    Trailer,
    /// A body without a length: it ends with the connection.
    UntilClose,
}

/// What a head says about the body.
enum Body {
    Sized(u64),
    Chunked,
    UntilClose,
}

impl Answers {
    /// Of a server that may refuse in the body of an answer whose status consents.
    #[must_use]
    pub fn with_bodies() -> Self {
        Self { keeps_bodies: true, ..Self::default() }
    }

    /// A new connection is open: nothing of the last one is to come.
    pub fn opened(&mut self) {
        *self = Self { keeps_bodies: self.keeps_bodies, ..Self::default() };
    }

    /// Takes bytes; whole answers are appended to `found`.
    ///
    /// # Errors
    /// When the bytes are no HTTP, in words; nothing of the connection can be believed then.
    pub fn receive(&mut self, mut bytes: &[u8], found: &mut Vec<Answer>) -> Result<(), String> {
        while !bytes.is_empty() {
            bytes = match self.state {
                State::Head => self.head(bytes, found)?,
                State::Body(left) => self.body(bytes, left, found),
                State::ChunkSize => self.chunk_size(bytes)?,
                State::Chunk(left) => self.chunk(bytes, left),
                State::Trailer => self.trailer(bytes, found)?,
                State::UntilClose => self.keep(bytes),
            };
        }
        Ok(())
    }

    /// The connection ended: the answer that ends with it, if there is one.
    pub fn end(&mut self) -> Option<Answer> {
        matches!(self.state, State::UntilClose).then(|| self.take())
    }

    fn head<'a>(&mut self, bytes: &'a [u8], found: &mut Vec<Answer>) -> Result<&'a [u8], String> {
        let had = self.begun.len();
        self.begun.extend_from_slice(bytes);
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut head = httparse::Response::new(&mut headers);
        let len = match head.parse(&self.begun) {
            Ok(httparse::Status::Complete(len)) => len,
            Ok(httparse::Status::Partial) if self.begun.len() <= HEAD_BYTES_MAX => return Ok(&[]),
            Ok(httparse::Status::Partial) => return Err(String::from("the answer's head is too long")),
            Err(error) => return Err(format!("the answer is no HTTP: {error}")),
        };
        self.answer = Answer { status: head.code.unwrap_or(0), closes: closes(&head), words: String::new() };
        let body = body_of(&head)?;
        self.begun.clear();
        self.begin(body, found);
        Ok(&bytes[len - had..])
    }

    fn begin(&mut self, body: Body, found: &mut Vec<Answer>) {
        self.state = match body {
            // 1xx is no answer yet.
            _ if self.answer.status < 200 => State::Head,
            Body::Sized(0) => {
                found.push(self.take());
                State::Head
            }
            Body::Sized(left) => State::Body(left),
            Body::Chunked => State::ChunkSize,
            Body::UntilClose => State::UntilClose,
        };
    }

    fn body<'a>(&mut self, bytes: &'a [u8], left: u64, found: &mut Vec<Answer>) -> &'a [u8] {
        let (body, rest) = bytes.split_at(bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
        self.keep(body);
        self.state = State::Body(left - body.len() as u64);
        if left == body.len() as u64 {
            found.push(self.take());
        }
        rest
    }

    fn chunk_size<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], String> {
        let Some((line, rest)) = self.line(bytes)? else { return Ok(&[]) };
        let digits = line.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(digits, 16).map_err(|_| format!("a chunk has no size: {digits:?}"))?;
        self.state = if size == 0 { State::Trailer } else { State::Chunk(size.saturating_add(2)) };
        Ok(rest)
    }

    fn chunk<'a>(&mut self, bytes: &'a [u8], left: u64) -> &'a [u8] {
        let (chunk, rest) = bytes.split_at(bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
        // The line end of two bytes belongs to the chunk but not to the body.
        let of_body = usize::try_from(left.saturating_sub(2)).unwrap_or(usize::MAX);
        self.keep(&chunk[..chunk.len().min(of_body)]);
        let left = left - chunk.len() as u64;
        self.state = if left == 0 { State::ChunkSize } else { State::Chunk(left) };
        rest
    }

    fn trailer<'a>(&mut self, bytes: &'a [u8], found: &mut Vec<Answer>) -> Result<&'a [u8], String> {
        let Some((line, rest)) = self.line(bytes)? else { return Ok(&[]) };
        if line.is_empty() {
            found.push(self.take());
        }
        Ok(rest)
    }

    /// A line without its end, and what follows; `None` while it is not whole.
    fn line<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<(String, &'a [u8])>, String> {
        let Some(end) = memchr::memchr(b'\n', bytes) else {
            self.begun.extend_from_slice(bytes);
            let fits = self.begun.len() <= HEAD_BYTES_MAX;
            return if fits { Ok(None) } else { Err(String::from("a line of a chunked answer is too long")) };
        };
        self.begun.extend_from_slice(&bytes[..end]);
        let line = String::from_utf8_lossy(&self.begun).trim_end().to_owned();
        self.begun.clear();
        Ok(Some((line, &bytes[end + 1..])))
    }

    /// Keeps the beginning of a body that says something; takes everything.
    fn keep<'a>(&mut self, body: &[u8]) -> &'a [u8] {
        let kept = match (self.keeps_bodies, self.answer.status >= 300) {
            (true, _) => BODY_BYTES_MAX,
            (false, true) => WORDS_BYTES_MAX,
            (false, false) => 0,
        };
        let room = kept.saturating_sub(self.body.len());
        self.body.extend_from_slice(&body[..body.len().min(room)]);
        &[]
    }

    fn take(&mut self) -> Answer {
        self.state = State::Head;
        let words = String::from_utf8_lossy(&self.body).trim().to_owned();
        self.body.clear();
        Answer { words, ..std::mem::take(&mut self.answer) }
    }
}

fn header<'a>(head: &'a httparse::Response<'_, '_>, name: &str) -> Option<&'a str> {
    let found = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
    std::str::from_utf8(found.value).ok().map(str::trim)
}

/// HTTP/1.0 closes unless it says otherwise, HTTP/1.1 stays.
fn closes(head: &httparse::Response<'_, '_>) -> bool {
    let words = header(head, "connection").unwrap_or_default();
    let says = |word: &str| words.split(',').any(|one| one.trim().eq_ignore_ascii_case(word));
    says("close") || (head.version == Some(0) && !says("keep-alive"))
}

/// RFC 9112 §6.3.
fn body_of(head: &httparse::Response<'_, '_>) -> Result<Body, String> {
    if matches!(head.code, Some(100..=199 | 204 | 304)) {
        return Ok(Body::Sized(0));
    }
    if header(head, "transfer-encoding").is_some_and(|coding| coding.to_ascii_lowercase().ends_with("chunked")) {
        return Ok(Body::Chunked);
    }
    match header(head, "content-length") {
        Some(len) => len.parse().map(Body::Sized).map_err(|_| format!("content-length is {len:?}")),
        None => Ok(Body::UntilClose),
    }
}

/// Header lines of an answer: proxies add some, nobody adds a hundred.
const HEADERS_MAX: usize = 100;

/// A longer head is no answer to a publication.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// What is kept of a refusal's body, as an example.
const WORDS_BYTES_MAX: usize = 200;

/// What is kept of a body that a refusal is looked for in: servers that answer each publication answer with less, and what
/// stands further back is no answer to one.
const BODY_BYTES_MAX: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(text: &str) -> Vec<Answer> {
        let mut found = Vec::new();
        Answers::default().receive(text.as_bytes(), &mut found).expect("it is HTTP");
        found
    }

    fn answer(status: u16, closes: bool, words: &str) -> Answer {
        Answer { status, closes, words: words.into() }
    }

    #[test]
    fn answers_in_one_read_are_told_apart() {
        let text = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok\
                    HTTP/1.1 204 None\r\n\r\n\
                    HTTP/1.1 429 Slow\r\nContent-Length: 5\r\nConnection: Close\r\n\r\nwait\n";
        assert_eq!(answers(text), [answer(200, false, ""), answer(204, false, ""), answer(429, true, "wait")]);
    }

    #[test]
    fn chunked_answers_end_at_the_empty_chunk_and_trailer() {
        let text = "HTTP/1.1 500 Bad\r\ntransfer-encoding: gzip, chunked\r\n\r\n\
                    3;x=y\r\nabc\r\n1\r\nd\r\n0\r\nexpires: never\r\n\r\n\
                    HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(answers(text), [answer(500, false, "abcd"), answer(200, true, "")]);
    }

    #[test]
    fn every_cut_of_the_bytes_gives_the_same_answers() {
        let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 400 No\r\ntransfer-encoding: chunked\r\n\r\n\
                    a\r\n0123456789\r\n2\r\nab\r\n0\r\n\r\nHTTP/1.1 404 No\r\ncontent-length: 3\r\n\r\nxyz";
        let whole = answers(text);
        assert_eq!(whole, [answer(400, false, "0123456789ab"), answer(404, false, "xyz")]);
        for step in 1..text.len() {
            let (mut parser, mut found) = (Answers::default(), Vec::new());
            for piece in text.as_bytes().chunks(step) {
                parser.receive(piece, &mut found).expect("it is HTTP");
            }
            assert_eq!(found, whole, "{step} bytes at a time");
        }
    }

    #[test]
    fn a_body_without_a_length_ends_with_the_connection() {
        let (mut parser, mut found) = (Answers::default(), Vec::new());
        parser.receive(b"HTTP/1.0 503 Away\r\n\r\ncome back later", &mut found).expect("it is HTTP");
        assert_eq!(found, []);
        assert_eq!(parser.end(), Some(answer(503, true, "come back later")));
        assert_eq!(parser.end(), None);
    }

    #[test]
    fn bodies_of_consent_are_kept_where_they_may_refuse_and_only_their_beginning() {
        let long = "x".repeat(BODY_BYTES_MAX + 9);
        let text = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno\
             HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{long}HTTP/1.1 204 None\r\n\r\n",
            long.len()
        );
        for step in [1, 7, text.len()] {
            let (mut parser, mut found) = (Answers::with_bodies(), Vec::new());
            for piece in text.as_bytes().chunks(step) {
                parser.receive(piece, &mut found).expect("it is HTTP");
            }
            let words: Vec<&str> = found.iter().map(|answer| answer.words.as_str()).collect();
            assert_eq!(words, ["no", &long[..BODY_BYTES_MAX], ""], "{step} bytes at a time");
        }
        let mut parser = Answers::with_bodies();
        parser.receive(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", &mut Vec::new()).expect("begun");
        parser.opened();
        let mut found = Vec::new();
        parser.receive(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nall", &mut found).expect("it is HTTP");
        assert_eq!(found, [answer(200, false, "all")], "what the last connection began is forgotten");
    }

    #[test]
    fn what_is_no_http_is_an_error() {
        for text in [
            "SSH-2.0-OpenSSH\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnope\r\n",
        ] {
            assert!(Answers::default().receive(text.as_bytes(), &mut Vec::new()).is_err(), "{text}");
        }
        let endless = vec![b'a'; HEAD_BYTES_MAX + 64];
        let mut parser = Answers::default();
        parser.receive(b"HTTP/1.1 200 OK\r\nx: ", &mut Vec::new()).expect("begun");
        assert!(parser.receive(&endless, &mut Vec::new()).is_err());
    }
}
