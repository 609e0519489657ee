//! Bytes as clients see them: masked frames out; frames and HTTP responses in.

use super::random::Random;

pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// A masked frame; `last` says whether it ends its message.
pub fn frame(random: &mut Random, last: bool, opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![opcode | if last { 0x80 } else { 0 }];
    match payload.len() {
        short @ 0..=125 => frame.push(0x80 | short as u8),
        long @ 126..=65_535 => {
            frame.push(0x80 | 126);
            frame.extend((long as u16).to_be_bytes());
        }
        long => {
            frame.push(0xff);
            frame.extend((long as u64).to_be_bytes());
        }
    }
    let mask = (random.next() as u32).to_be_bytes();
    frame.extend(mask);
    frame.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]));
    frame
}

/// A message in one frame, or in several with a ping between.
pub fn message(random: &mut Random, opcode: u8, payload: &[u8]) -> Vec<u8> {
    if payload.len() < 2 || !random.one_in(5) {
        return frame(random, true, opcode, payload);
    }
    let cut = random.between(1, payload.len() - 1);
    let mut bytes = frame(random, false, opcode, &payload[..cut]);
    if random.one_in(2) {
        bytes.extend(frame(random, true, PING, b"between"));
    }
    bytes.extend(frame(random, true, 0, &payload[cut..]));
    bytes
}

/// A frame of the server's: opcode and payload.
pub struct Frame {
    pub opcode: u8,
    pub payload: Vec<u8>,
}

/// Takes the first frame off `bytes`, if it is whole.
pub fn take_frame(bytes: &mut Vec<u8>) -> Option<Frame> {
    let (start, len) = match bytes.get(1)? {
        126 => (4, u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?).into()),
        127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize),
        short => {
            assert!(*short < 126, "server frames are not masked");
            (2, usize::from(*short))
        }
    };
    assert_eq!(bytes[0] & 0xf0, 0x80, "whole frames without reserved bits");
    let payload = bytes.get(start..start + len)?.to_vec();
    let opcode = bytes[0] & 0x0f;
    bytes.drain(..start + len);
    Some(Frame { opcode, payload })
}

/// An HTTP response, its body without chunks.
pub struct Response {
    pub status: u16,
    pub close: bool,
    pub body: Vec<u8>,
}

/// Takes the first response off `bytes`, if it is whole. The answer 101 has no body.
pub fn take_response(bytes: &mut Vec<u8>) -> Option<Response> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&bytes[..end]).expect("a head is text").to_owned();
    let status = head.get(9..12).and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("no head: {head:?}"));
    let header =
        |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).map(str::to_owned);
    let close = header("connection").is_some_and(|value| value.contains("close"));
    let (body, used) = if status < 200 {
        (Vec::new(), end)
    } else if let Some(length) = header("content-length") {
        let length: usize = length.parse().expect("a number");
        (bytes.get(end..end + length)?.to_vec(), end + length)
    } else {
        assert_eq!(header("transfer-encoding").as_deref(), Some("chunked"), "{head}");
        let (body, used) = chunks(&bytes[end..])?;
        (body, end + used)
    };
    bytes.drain(..used);
    Some(Response { status, close, body })
}

fn chunks(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let line_len = bytes[at..].windows(2).position(|two| two == b"\r\n")?;
        let line = std::str::from_utf8(&bytes[at..at + line_len]).expect("a size");
        let size = usize::from_str_radix(line, 16).expect("a size in hexadecimal");
        at += line_len + 2;
        let chunk = bytes.get(at..at + size + 2)?;
        assert_eq!(&chunk[size..], b"\r\n");
        body.extend_from_slice(&chunk[..size]);
        at += size + 2;
        if size == 0 {
            return Some((body, at));
        }
    }
}
