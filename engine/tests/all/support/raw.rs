//! Bytes as they are: for peers that misbehave.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use super::client::{tcp, tcp_from};

/// A TCP connection.
pub struct Raw {
    stream: TcpStream,
}

/// What came until the connection ended.
#[derive(Debug)]
pub struct Tail {
    pub bytes: Vec<u8>,
    /// The connection was reset rather than closed.
    pub reset: bool,
}

impl Raw {
    pub fn connect(address: SocketAddr) -> Self {
        Self { stream: tcp(address, None) }
    }

    /// Connects from a local address of choice: all of 127.0.0.0/8 is this machine.
    pub fn connect_from(local: &str, address: SocketAddr) -> Self {
        let local: IpAddr = local.parse().expect("an address");
        Self { stream: tcp_from(Some(local), address, None) }
    }

    /// What comes first; empty when the connection ends without a byte.
    pub fn first_bytes(&mut self) -> Vec<u8> {
        let mut bytes = vec![0; 64];
        match self.stream.read(&mut bytes) {
            Ok(count) => bytes.truncate(count),
            Err(why) if matches!(why.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => bytes.clear(),
            Err(why) => panic!("while an answer was awaited: {why}"),
        }
        bytes
    }

    /// What one read returns, of up to 64 KiB: at most what has come, at least a byte.
    pub fn read_once(&mut self) -> Vec<u8> {
        let mut bytes = vec![0; 64 * 1024];
        let count = self.stream.read(&mut bytes).expect("something comes");
        assert!(count > 0, "the peer closed");
        bytes.truncate(count);
        bytes
    }

    /// Sends, and says whether the peer still took it.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Ends this side's half.
    pub fn end(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Ends the connection with a reset: what a process that is killed over unread bytes leaves behind.
    pub fn reset(self) {
        socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).expect("a socket option");
    }

    /// Reads until the peer closes.
    pub fn read_to_end(&mut self) -> Tail {
        let mut tail = Tail { bytes: Vec::new(), reset: false };
        match self.stream.read_to_end(&mut tail.bytes) {
            Ok(_) => tail,
            Err(why) if matches!(why.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
                tail.reset = true;
                tail
            }
            Err(why) => panic!("the peer did not close: {why}; it sent {:?}", String::from_utf8_lossy(&tail.bytes)),
        }
    }

    /// Reads up to and with the empty line of a head.
    pub fn read_head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.stream.read_exact(&mut byte).unwrap_or_else(|why| {
                panic!("{why} after {:?}", String::from_utf8_lossy(&head));
            });
            head.push(byte[0]);
        }
        String::from_utf8(head).expect("a head in ASCII")
    }

    /// Upgrades at `path`.
    pub fn upgrade(address: SocketAddr, path: &str) -> Self {
        let mut raw = Self::connect(address);
        raw.send(upgrade_request(path, "").as_bytes());
        let head = raw.read_head();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        raw
    }

    /// The next unmasked frame: its first byte (FIN, reserved bits, opcode) and its payload.
    pub fn read_frame(&mut self) -> (u8, Vec<u8>) {
        let mut head = [0; 2];
        self.stream.read_exact(&mut head).expect("a frame");
        assert_eq!(head[1] & 0x80, 0, "a server does not mask");
        let length = match head[1] {
            126 => {
                let mut wide = [0; 2];
                self.stream.read_exact(&mut wide).expect("a length");
                u64::from(u16::from_be_bytes(wide))
            }
            127 => {
                let mut wide = [0; 8];
                self.stream.read_exact(&mut wide).expect("a length");
                u64::from_be_bytes(wide)
            }
            short => u64::from(short),
        };
        let mut payload = vec![0; usize::try_from(length).expect("a small frame")];
        self.stream.read_exact(&mut payload).expect("a payload");
        (head[0], payload)
    }

    /// The code of the close frame; frames before it are thrown away.
    pub fn read_close(&mut self) -> u16 {
        loop {
            let (first, payload) = self.read_frame();
            if first & 0x0f == 8 {
                return payload.get(..2).map_or(1005, |code| u16::from_be_bytes([code[0], code[1]]));
            }
        }
    }
}

/// A whole upgrade request, `extra` being further header lines with their ends.
pub fn upgrade_request(path: &str, extra: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{extra}\r\n"
    )
}

pub const TEXT: u8 = 0x81;
pub const CLOSE: u8 = 0x88;
pub const PING: u8 = 0x89;

/// A masked frame with this first byte.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(first, payload.len() as u64, true);
    bytes.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ MASK[at % 4]));
    bytes
}

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A frame's header for a payload of `length` bytes.
pub fn header(first: u8, length: u64, masked: bool) -> Vec<u8> {
    let mask_bit = if masked { 0x80 } else { 0 };
    let mut bytes = vec![first];
    if let Ok(short @ 0..126) = u8::try_from(length) {
        bytes.push(mask_bit | short);
    } else if let Ok(wide) = u16::try_from(length) {
        bytes.push(mask_bit | 126);
        bytes.extend(wide.to_be_bytes());
    } else {
        bytes.push(mask_bit | 127);
        bytes.extend(length.to_be_bytes());
    }
    if masked {
        bytes.extend(MASK);
    }
    bytes
}

/// A PROXY protocol v2 header: a TCP connection over IPv4 from `client`.
pub fn proxy_v2(client: Ipv4Addr) -> Vec<u8> {
    let mut bytes = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c".to_vec();
    bytes.extend(client.octets());
    bytes.extend([127, 0, 0, 1]);
    bytes.extend([0xc0, 0x00, 0x1b, 0x58]);
    bytes
}
