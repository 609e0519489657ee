//! The handshake of the benches that use `/echo`.

use std::io::{self, Read};

/// Asks for `/echo`.
pub const ECHO_REQUEST: &[u8] = b"GET /echo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Reads the answer to [`ECHO_REQUEST`], to the end of its head.
///
/// # Errors
/// When the connection ends before, or the answer is another than 101.
pub fn switched(from: &mut impl Read) -> io::Result<()> {
    let (mut head, mut buffer) = (Vec::new(), [0; 1_024]);
    while !head.ends_with(b"\r\n\r\n") {
        match from.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            got => head.extend_from_slice(&buffer[..got]),
        }
    }
    let accepted = head.starts_with(b"HTTP/1.1 101");
    accepted.then_some(()).ok_or_else(|| io::Error::other(String::from_utf8_lossy(&head)))
}
