//! Bytes between a socket and values: TLS where there is some, and the parser.
//!
//! Serves both modes. With a deadline it blocks until then at the longest; without one the socket does not block, and
//! "would block" comes out as [`Fault::TimedOut`] of a wait of no time.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Instant;

use redis::{Parser, Value};
use rustls::ClientConnection;

use super::error::Fault;

/// See the module.
pub(super) struct Channel {
    link: Link,
    /// Keeps what it has of a value between calls.
    parser: Parser,
}

impl Channel {
    pub(super) fn new(stream: TcpStream, tls: Option<ClientConnection>) -> Self {
        let socket = Socket { stream, deadline: None };
        let inlet = Inlet { socket, bytes: vec![0; INLET_BYTES].into(), taken: 0, filled: 0 };
        Self { link: Link { inlet, tls: tls.map(Box::new) }, parser: Parser::new() }
    }

    /// No call ends later than this, until the next deadline.
    pub(super) fn set_deadline(&mut self, deadline: Instant) {
        self.link.inlet.socket.deadline = Some(deadline);
    }

    /// No call blocks any more.
    pub(super) fn unblock(&mut self) -> io::Result<()> {
        let socket = &mut self.link.inlet.socket;
        socket.deadline = None;
        socket.stream.set_nonblocking(true)
    }

    pub(super) fn fd(&self) -> RawFd {
        self.link.inlet.socket.stream.as_raw_fd()
    }

    /// The next value.
    pub(super) fn receive(&mut self) -> Result<Value, Fault> {
        let mut reading = Reading { link: &mut self.link, error: None };
        let parsed = self.parser.parse_value(&mut reading);
        match (parsed, reading.error) {
            (Ok(value), _) => Ok(value),
            (Err(_), Some(error)) => Err(Fault::of_socket(&error)),
            (Err(why), None) => Err(Fault::of_parser(&why.to_string())),
        }
    }

    /// Writes everything.
    pub(super) fn write_all(&mut self, mut bytes: &[u8]) -> Result<(), Fault> {
        while !bytes.is_empty() {
            let written = self.write(bytes)?;
            bytes = &bytes[written..];
        }
        self.flush()
    }

    /// Writes some, at least one byte.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        self.link.write(bytes).map_err(|error| Fault::of_socket(&error))
    }

    /// Writes what TLS still holds.
    pub(super) fn flush(&mut self) -> Result<(), Fault> {
        self.link.flush().map_err(|error| Fault::of_socket(&error))
    }
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Channel").field("socket", &self.link.inlet.socket).finish_non_exhaustive()
    }
}

/// Lends the link to the parser, and keeps the error: the parser's own does not give it back.
struct Reading<'a> {
    link: &'a mut Link,
    error: Option<io::Error>,
}

impl Read for Reading<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let error = match self.link.read(buffer) {
            // The parser remembers an end for good.
            Ok(0) if !buffer.is_empty() => io::ErrorKind::UnexpectedEof.into(),
            Ok(count) => return Ok(count),
            Err(error) => error,
        };
        let kind = error.kind();
        self.error = Some(error);
        Err(kind.into())
    }
}

/// Plain text, whatever is below.
struct Link {
    inlet: Inlet,
    tls: Option<Box<ClientConnection>>,
}

impl Link {
    /// Does not tell a clean end from a cut: both are the end of the connection.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.inlet.read(buffer) };
        loop {
            match tls.reader().read(buffer) {
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
            // In a handshake it is our turn first. A socket that takes nothing may still have something to give.
            match write_tls(tls, &mut self.inlet.socket) {
                Err(why) if why.kind() != io::ErrorKind::WouldBlock => return Err(why),
                _ => {}
            }
            tls.read_tls(&mut self.inlet)?;
            if let Err(why) = tls.process_new_packets() {
                // Tells the peer why; that it may not hear it changes nothing.
                let _ = write_tls(tls, &mut self.inlet.socket);
                return Err(io::Error::new(io::ErrorKind::InvalidData, why));
            }
        }
    }

    /// Takes some bytes, at least one. TLS may still hold them.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return some(self.inlet.socket.write(bytes)?) };
        // Before it takes more, it gives away what it has: its buffer is bounded.
        write_tls(tls, &mut self.inlet.socket)?;
        some(tls.writer().write(bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.tls {
            Some(tls) => write_tls(tls, &mut self.inlet.socket),
            None => Ok(()),
        }
    }
}

fn some(count: usize) -> io::Result<usize> {
    if count == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(count) }
}

fn write_tls(tls: &mut ClientConnection, socket: &mut Socket) -> io::Result<()> {
    while tls.wants_write() {
        some(tls.write_tls(socket)?)?;
    }
    Ok(())
}

/// Reads large, gives out small: one system call for many small messages.
struct Inlet {
    socket: Socket,
    bytes: Box<[u8]>,
    /// Invariant: `taken <= filled`; between them lies what was read and not given out.
    taken: usize,
    filled: usize,
}

impl Read for Inlet {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.filled {
            self.filled = self.socket.read(&mut self.bytes)?;
            self.taken = 0;
        }
        let count = buffer.len().min(self.filled - self.taken);
        buffer[..count].copy_from_slice(&self.bytes[self.taken..self.taken + count]);
        self.taken += count;
        Ok(count)
    }
}

/// A socket whose calls end at a deadline, or that does not block.
#[derive(Debug)]
struct Socket {
    stream: TcpStream,
    deadline: Option<Instant>,
}

impl Socket {
    /// What is left of the time for the next call; none without a deadline.
    fn left(&self) -> io::Result<Option<std::time::Duration>> {
        let Some(deadline) = self.deadline else { return Ok(None) };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(Some(left)) }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(left) = self.left()? {
                self.stream.set_read_timeout(Some(left))?;
            }
            match self.stream.read(buffer) {
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            if let Some(left) = self.left()? {
                self.stream.set_write_timeout(Some(left))?;
            }
            match self.stream.write(bytes) {
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What one read takes at most: hundreds of small messages.
const INLET_BYTES: usize = 64 * 1024;
