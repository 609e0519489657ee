//! Very many clients on one thread, doing as little as possible for each: they drain their sockets and count.
//!
//! Knows of the protocol only what it takes to be subscribed, and where a frame ends.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Clients connected before their answers are read: the node's backlog is 4096.
const WAVE: usize = 500;

/// Nothing for this long is a stall.
const PATIENCE: Duration = Duration::from_secs(60);

/// All clients.
pub struct Fleet {
    poll: Poll,
    events: Events,
    members: Vec<Member>,
    scratch: Vec<u8>,
    received: u64,
    frames: Frames,
}

struct Member {
    stream: TcpStream,
    /// What came of the handshake; nothing once it is over.
    handshake: Vec<u8>,
    ready: bool,
}

/// Counts the frames of the first client: what it got, all have to get.
#[derive(Default)]
struct Frames {
    partial: Vec<u8>,
    count: u64,
    bytes: u64,
}

impl Fleet {
    /// Connects users `0..count` over WebSocket, each subscribed to the channel that `channel_of` says.
    ///
    /// # Errors
    /// When a connection fails or is refused.
    pub fn subscribe(to: SocketAddr, count: usize, channel_of: impl Fn(usize) -> String) -> io::Result<Self> {
        let hello = |index: usize| {
            let head = format!(
                "GET /msg/user-{index} HTTP/1.1\r\nHost: {to}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            );
            let command = format!(r#"{{"op":"subscribe","id":1,"channel":"{}"}}"#, channel_of(index));
            // A mask of zeros leaves the payload as it is.
            let header = [0x81, 0x80 | u8::try_from(command.len()).expect("a short command"), 0, 0, 0, 0];
            [head.as_bytes(), &header, command.as_bytes()].concat()
        };
        Self::connect(to, count, Some(&hello))
    }

    /// Connects clients that only read.
    ///
    /// # Errors
    /// When a connection fails.
    pub fn listen(to: SocketAddr, count: usize) -> io::Result<Self> {
        Self::connect(to, count, None)
    }

    fn connect(to: SocketAddr, count: usize, hello: Option<&dyn Fn(usize) -> Vec<u8>>) -> io::Result<Self> {
        let mut fleet = Self {
            poll: Poll::new()?,
            events: Events::with_capacity(1_024),
            members: Vec::with_capacity(count),
            scratch: vec![0; 256 * 1_024],
            received: 0,
            frames: Frames::default(),
        };
        for index in 0..count {
            let stream = std::net::TcpStream::connect(to)?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            fleet.poll.registry().register(&mut stream, Token(index), Interest::READABLE)?;
            if let Some(hello) = hello {
                stream.write_all(&hello(index))?;
            }
            fleet.members.push(Member { stream, handshake: Vec::new(), ready: hello.is_none() });
            if (index + 1) % WAVE == 0 || index + 1 == count {
                fleet.run_until("everybody is subscribed", |fleet| fleet.members.iter().all(|member| member.ready))?;
            }
        }
        fleet.received = 0;
        Ok(fleet)
    }

    /// Reads until every client has `messages` more messages; returns the bytes of one client's.
    ///
    /// # Errors
    /// When a connection fails, or nothing comes any more.
    pub fn receive(&mut self, messages: u64) -> io::Result<u64> {
        self.frames = Frames::default();
        let clients = self.members.len() as u64;
        self.run_until("everybody has every message", |fleet| {
            fleet.frames.count >= messages && fleet.received >= fleet.frames.bytes * clients
        })?;
        let bytes = self.frames.bytes;
        assert_eq!((self.frames.count, self.received), (messages, bytes * clients), "nothing more, nothing less");
        self.received = 0;
        Ok(bytes)
    }

    /// Reads until every client has `bytes` more bytes.
    ///
    /// # Errors
    /// When a connection fails, or nothing comes any more.
    pub fn receive_bytes(&mut self, bytes: u64) -> io::Result<()> {
        let all = bytes * self.members.len() as u64;
        self.run_until("everybody has every byte", |fleet| fleet.received >= all)?;
        assert_eq!(self.received, all, "nothing more, nothing less");
        self.received = 0;
        Ok(())
    }

    /// Reads what there is, waiting for it up to `patience`, and shows it: whose, and what.
    ///
    /// # Errors
    /// When a connection fails.
    pub fn read_once(&mut self, patience: Duration, mut show: impl FnMut(usize, &[u8])) -> io::Result<()> {
        self.poll.poll(&mut self.events, Some(patience))?;
        for event in &self.events {
            let index = event.token().0;
            loop {
                match self.members[index].stream.read(&mut self.scratch) {
                    Ok(0) => return Err(io::Error::new(ErrorKind::UnexpectedEof, "the node closed a connection")),
                    Ok(got) => {
                        show(index, &self.scratch[..got]);
                        if got < self.scratch.len() {
                            break;
                        }
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    fn run_until(&mut self, what: &str, done: impl Fn(&Self) -> bool) -> io::Result<()> {
        let mut heard = Instant::now();
        while !done(self) {
            self.poll.poll(&mut self.events, Some(Duration::from_secs(1)))?;
            if !self.events.is_empty() {
                heard = Instant::now();
            } else if heard.elapsed() > PATIENCE {
                return Err(io::Error::new(ErrorKind::TimedOut, format!("waited in vain until {what}")));
            }
            for event in &self.events {
                let index = event.token().0;
                let member = &mut self.members[index];
                loop {
                    let got = match member.stream.read(&mut self.scratch) {
                        Ok(0) => return Err(io::Error::new(ErrorKind::UnexpectedEof, "the node closed a connection")),
                        Ok(got) => got,
                        Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                        Err(error) => return Err(error),
                    };
                    if !member.ready {
                        member.shake(&self.scratch[..got]);
                        continue;
                    }
                    self.received += got as u64;
                    if index == 0 {
                        self.frames.take(&self.scratch[..got]);
                    }
                    if got < self.scratch.len() {
                        break;
                    }
                }
            }
        }
        Ok(())
    }
}

impl Member {
    /// The handshake ends with the answer to `subscribe`, the last thing the node says by itself.
    fn shake(&mut self, bytes: &[u8]) {
        self.handshake.extend_from_slice(bytes);
        self.ready = self.handshake.windows(9).any(|window| window == br#""op":"ok""#);
        if self.ready {
            self.handshake = Vec::new();
        }
    }
}

impl Frames {
    fn take(&mut self, bytes: &[u8]) {
        self.partial.extend_from_slice(bytes);
        let mut at = 0;
        while let Some(len) = frame_len(&self.partial[at..]).filter(|len| at + len <= self.partial.len()) {
            at += len;
            self.count += 1;
        }
        self.bytes += at as u64;
        self.partial.drain(..at);
    }
}

/// The length of the unmasked frame that starts here, header included.
fn frame_len(bytes: &[u8]) -> Option<usize> {
    match (bytes.get(1)?, bytes.get(2..4), bytes.get(2..10)) {
        (126, Some(&[high, low]), _) => Some(4 + usize::from(u16::from_be_bytes([high, low]))),
        (127, _, Some(len)) => Some(10 + u64::from_be_bytes(len.try_into().ok()?) as usize),
        (126 | 127, ..) => None,
        (len, ..) => Some(2 + usize::from(*len)),
    }
}

/// Raises the limit on descriptors as far as it goes.
///
/// # Panics
/// When `wanted` do not fit.
pub fn allow_descriptors(wanted: usize) {
    let most = getrlimit(Resource::Nofile).maximum;
    // A limit that stays where it is shows below.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most });
    let allowed = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    assert!(allowed >= wanted as u64, "{allowed} descriptors, {wanted} wanted: raise the hard limit (ulimit -Hn)");
}
