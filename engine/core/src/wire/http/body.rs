//! The body of a request out of the bytes that follow its head, piece by piece, without copying.
//!
//! Strict about chunks: two readers must never disagree about where one ends.

use std::mem;

use super::error::HttpError;
use super::framing::BodyFraming;

/// Bytes of one chunk-size line: 16 digits, and extensions nobody is known to use.
const CHUNK_LINE_BYTES_MAX: usize = 256;

/// Bytes of all trailer lines, which are ignored.
const TRAILER_BYTES_MAX: usize = 4 * 1024;

/// Digits of a chunk size: as many as a `u64` has.
const CHUNK_SIZE_DIGITS_MAX: usize = 16;

/// What [`Body::next`] found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BodyStep<'a> {
    /// Some of the content, never empty.
    Piece(&'a [u8]),
    /// The input is used up and the body is not at its end.
    More,
    /// The body is at its end; what is left of the input is the next request's.
    End,
}

/// The incremental decoder of one request body.
#[derive(Clone, Debug)]
pub struct Body {
    state: State,
    /// Bytes of content that may still come.
    allowance: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// So many bytes to come, then the end.
    Length(u64),
    /// Inside a chunk-size line.
    Size { size: u64, digits: usize, line_len: usize, extension: bool },
    /// After the CR of a chunk-size line.
    SizeEnd { size: u64 },
    /// So many bytes to come, then the chunk's CR LF.
    Chunk(u64),
    /// Before the CR after a chunk.
    ChunkCr,
    /// Before the LF after a chunk.
    ChunkLf,
    /// Inside the trailer: bytes of it so far, bytes of its line so far.
    Trailer { len: usize, line_len: usize },
    /// After the CR of a trailer line.
    TrailerLineEnd { len: usize, line_len: usize },
    /// Behind the body.
    End,
}

const NEXT_CHUNK: State = State::Size { size: 0, digits: 0, line_len: 0, extension: false };

impl Body {
    /// The decoder for a body framed like this, of at most `bytes_max` bytes of content.
    ///
    /// # Errors
    /// 413, when the announced length is over it already.
    pub const fn new(framing: BodyFraming, bytes_max: u64) -> Result<Self, HttpError> {
        let state = match framing {
            BodyFraming::None => State::End,
            BodyFraming::Length(length) if length > bytes_max => return Err(TOO_BIG),
            BodyFraming::Length(0) => State::End,
            BodyFraming::Length(length) => State::Length(length),
            BodyFraming::Chunked => NEXT_CHUNK,
        };
        Ok(Self { state, allowance: bytes_max })
    }

    /// Whether the whole body was taken.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.state == State::End
    }

    /// Takes the next piece of content off the front of `input`.
    ///
    /// # Errors
    /// 400 for malformed chunks, 413 when a chunk would pass the limit (before its content is taken).
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<BodyStep<'a>, HttpError> {
        loop {
            match self.state {
                State::End => return Ok(BodyStep::End),
                _ if input.is_empty() => return Ok(BodyStep::More),
                State::Length(left) => return Ok(self.take_piece(input, left, State::Length, State::End)),
                State::Chunk(left) => return Ok(self.take_piece(input, left, State::Chunk, State::ChunkCr)),
                _ => {}
            }
            let Some((&byte, rest)) = input.split_first() else { return Ok(BodyStep::More) };
            *input = rest;
            self.state = self.after(byte)?;
        }
    }

    fn take_piece<'a>(
        &mut self,
        input: &mut &'a [u8],
        left: u64,
        going_on: fn(u64) -> State,
        then: State,
    ) -> BodyStep<'a> {
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
        let (piece, rest) = mem::take(input).split_at(count);
        *input = rest;
        let left = left - count as u64;
        self.state = if left == 0 { then } else { going_on(left) };
        BodyStep::Piece(piece)
    }

    /// The state after one byte of a chunk's frame.
    fn after(&mut self, byte: u8) -> Result<State, HttpError> {
        match (self.state, byte) {
            (State::Size { size, digits: 1.., .. }, b'\r') => Ok(State::SizeEnd { size }),
            (State::Size { .. }, _) => self.after_size_byte(byte),
            (State::SizeEnd { size: 0 }, b'\n') => Ok(State::Trailer { len: 0, line_len: 0 }),
            (State::SizeEnd { size }, b'\n') => self.begin_chunk(size),
            (State::ChunkCr, b'\r') => Ok(State::ChunkLf),
            (State::ChunkLf, b'\n') => Ok(NEXT_CHUNK),
            (State::Trailer { len, line_len }, b'\r') => Ok(State::TrailerLineEnd { len, line_len }),
            (State::Trailer { len, line_len }, _) if is_field_byte(byte) => {
                if len >= TRAILER_BYTES_MAX {
                    return Err(HttpError::new(431, "trailers too big"));
                }
                Ok(State::Trailer { len: len + 1, line_len: line_len + 1 })
            }
            (State::TrailerLineEnd { line_len: 0, .. }, b'\n') => Ok(State::End),
            (State::TrailerLineEnd { len, .. }, b'\n') => Ok(State::Trailer { len: len + 2, line_len: 0 }),
            _ => Err(MALFORMED),
        }
    }

    fn after_size_byte(&self, byte: u8) -> Result<State, HttpError> {
        let State::Size { size, digits, line_len, extension } = self.state else { return Err(MALFORMED) };
        if line_len == CHUNK_LINE_BYTES_MAX {
            return Err(HttpError::bad("chunk-size line too long"));
        }
        let line_len = line_len + 1;
        if extension || (byte == b';' && digits > 0) {
            let state = State::Size { size, digits, line_len, extension: true };
            return if is_field_byte(byte) { Ok(state) } else { Err(MALFORMED) };
        }
        match char::from(byte).to_digit(16) {
            Some(digit) if digits < CHUNK_SIZE_DIGITS_MAX => {
                Ok(State::Size { size: size << 4 | u64::from(digit), digits: digits + 1, line_len, extension })
            }
            _ => Err(MALFORMED),
        }
    }

    fn begin_chunk(&mut self, size: u64) -> Result<State, HttpError> {
        self.allowance = self.allowance.checked_sub(size).ok_or(TOO_BIG)?;
        Ok(State::Chunk(size))
    }
}

const MALFORMED: HttpError = HttpError::bad("malformed chunk");
const TOO_BIG: HttpError = HttpError::new(413, "request body too big");

/// What may stand in a header line: no controls but tab.
const fn is_field_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The content and what is left after it, given in pieces of `piece_len`.
    fn read(framing: BodyFraming, bytes: &[u8], piece_len: usize) -> Result<(Vec<u8>, bool, usize), u16> {
        let mut body = Body::new(framing, 100).map_err(|error| error.status)?;
        let (mut content, mut used) = (Vec::new(), 0);
        for mut input in bytes.chunks(piece_len) {
            let given = input.len();
            while let BodyStep::Piece(piece) = body.next(&mut input).map_err(|error| error.status)? {
                assert!(!piece.is_empty());
                content.extend_from_slice(piece);
            }
            used += given - input.len();
        }
        Ok((content, body.is_at_end(), bytes.len() - used))
    }

    fn chunked(bytes: &[u8]) -> Result<(Vec<u8>, bool, usize), u16> {
        let whole = read(BodyFraming::Chunked, bytes, bytes.len());
        assert_eq!(whole, read(BodyFraming::Chunked, bytes, 1));
        whole
    }

    #[test]
    fn a_body_of_known_length_ends_there() {
        for piece_len in [1, 3, 100] {
            assert_eq!(read(BodyFraming::Length(5), b"helloGET", piece_len), Ok((b"hello".to_vec(), true, 3)));
        }
        assert_eq!(read(BodyFraming::Length(5), b"hell", 9), Ok((b"hell".to_vec(), false, 0)));
        assert_eq!(read(BodyFraming::Length(0), b"GET", 9), Ok((vec![], true, 3)));
        assert_eq!(read(BodyFraming::None, b"GET", 9), Ok((vec![], true, 3)));
    }

    #[test]
    fn chunks_are_joined() {
        assert_eq!(chunked(b"5\r\nhello\r\n1;x=\"y\"\r\n!\r\n0\r\n\r\nGET"), Ok((b"hello!".to_vec(), true, 3)));
        assert_eq!(chunked(b"0a\r\n0123456789\r\n000\r\nA: b\r\nC: d\r\n\r\n"), Ok((b"0123456789".to_vec(), true, 0)));
        assert_eq!(chunked(b"5\r\nhel"), Ok((b"hel".to_vec(), false, 0)));
        assert_eq!(chunked(b"0\r\n"), Ok((vec![], false, 0)));
    }

    #[test]
    fn malformed_chunks_are_refused() {
        for bytes in [
            &b"\r\n"[..],
            b";x\r\n",
            b"g\r\n",
            b"+5\r\nhello",
            b"0x5\r\nhello",
            b" 5\r\nhello",
            b"5 \r\nhello",
            b"5\nhello",
            b"5\rhello",
            b"5;a\nhello",
            b"5;\0\r\nhello",
            b"5\r\nhello!\r\n",
            b"5\r\nhello\n",
            b"5\r\nhello\r0",
            b"5\r\nhello0\r\n",
            b"0\r\n\n",
            b"0\r\nA: b\n\r\n",
            b"0\r\nA: \0\r\n\r\n",
            b"00000000000000005\r\nhello",
            b"fffffffffffffffff\r\n",
        ] {
            assert_eq!(chunked(bytes), Err(400), "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn a_body_over_the_limit_is_refused_before_its_content_arrives() {
        assert_eq!(read(BodyFraming::Length(101), b"", 1), Err(413));
        assert!(read(BodyFraming::Length(100), b"x", 1).is_ok());
        assert_eq!(chunked(b"64\r\n").map(|(.., left)| left), Ok(0));
        assert_eq!(chunked(b"65\r\n"), Err(413));
        assert_eq!(chunked(b"ffffffffffffffff\r\n"), Err(413));
        assert_eq!(chunked(b"5\r\nhello\r\n60\r\n"), Err(413), "all chunks together");
    }

    #[test]
    fn extensions_and_trailers_are_bounded() {
        let extension = |length| format!("1;{}\r\nx", "e".repeat(length)).into_bytes();
        assert!(chunked(&extension(254)).is_ok());
        assert_eq!(chunked(&extension(255)), Err(400));
        let trailer = |length| format!("0\r\n{}\r\n\r\n", "t".repeat(length)).into_bytes();
        assert!(chunked(&trailer(4_096)).is_ok());
        assert_eq!(chunked(&trailer(4_097)), Err(431));
        assert_eq!(chunked(format!("0\r\n{}", "t\r\n".repeat(5_000)).as_bytes()), Err(431));
    }
}
