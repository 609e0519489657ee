//! A client's socket: TCP, TLS over it or not, and what it did not take at once.

use std::io::{self, ErrorKind, Read, Write};

use mio::net::TcpStream;

use super::backlog::Backlog;
use super::failure::Failure;
use super::seat::Stage;
use super::tls::{Peer, Tls};

/// A socket. Small: what few have is in boxes.
#[derive(Debug)]
pub struct Socket {
    stream: TcpStream,
    tls: Option<Box<Tls>>,
    backlog: Option<Box<Backlog>>,
}

/// What reading came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Got {
    /// So many bytes.
    Bytes(usize),
    /// None for now.
    Nothing,
    /// The server ended its side.
    End,
}

/// What was read, with TLS taken off.
#[derive(Debug)]
pub struct Opened<'a> {
    /// The bytes.
    pub plain: &'a [u8],
    /// Nothing comes behind them, and why.
    pub end: Option<End>,
}

/// An end that TLS tells of, not the socket.
#[derive(Debug)]
pub enum End {
    /// The server's goodbye. That TCP stays open says nothing: it will not be spoken over again.
    Goodbye,
    /// It is not the TLS it should be.
    Broken(Failure),
}

impl End {
    /// What that is for a session which is so far.
    #[must_use]
    pub fn failure(self, stage: Stage) -> Failure {
        match self {
            Self::Goodbye => Failure::ended(stage),
            Self::Broken(failure) => failure,
        }
    }
}

impl Socket {
    /// A stream that is connecting, with the TLS that will be spoken over it.
    #[must_use]
    pub const fn new(stream: TcpStream, tls: Option<Box<Tls>>) -> Self {
        Self { stream, tls, backlog: None }
    }

    /// For registering it.
    pub const fn stream_mut(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Whether it is connected, asked when it first became ready.
    ///
    /// # Errors
    /// When it is not.
    pub fn connected(&self) -> io::Result<()> {
        self.stream.take_error()?.map_or(Ok(()), Err)
    }

    /// Whether TLS is spoken, and its handshake goes on.
    #[must_use]
    pub fn is_securing(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_handshaking())
    }

    /// Whether TLS is spoken.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Bytes that wait for the socket.
    #[must_use]
    pub fn backlog_bytes(&self) -> usize {
        self.backlog.as_ref().map_or(0, |backlog| backlog.len())
    }

    /// Reads into `wire` what is there, once.
    ///
    /// # Errors
    /// When the connection is broken.
    pub fn receive(&mut self, wire: &mut [u8]) -> Result<Got, Failure> {
        loop {
            return match self.stream.read(wire) {
                Ok(0) => Ok(Got::End),
                Ok(count) => Ok(Got::Bytes(count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Got::Nothing),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => Err(Failure::of_socket(&error)),
            };
        }
    }

    /// The plain bytes in what was read: `wire` itself, or what TLS makes of it, put into `plain`.
    pub fn open<'a>(&mut self, wire: &'a [u8], plain: &'a mut Vec<u8>) -> Opened<'a> {
        let Some(tls) = &mut self.tls else { return Opened { plain: wire, end: None } };
        plain.clear();
        let end = match tls.open(wire, plain) {
            Ok(Peer::Speaks) => None,
            Ok(Peer::Ended) => Some(End::Goodbye),
            Err(error) => Some(End::Broken(Failure::of_tls(&error))),
        };
        Opened { plain, end }
    }

    /// Sends plain bytes, and whatever TLS has to say; what the socket does not take waits. `wire` is scratch.
    ///
    /// # Errors
    /// When the connection is broken, or too much waits.
    pub fn send(&mut self, plain: &[u8], wire: &mut Vec<u8>) -> Result<(), Failure> {
        match &mut self.tls {
            None => self.put(plain),
            Some(tls) => {
                wire.clear();
                tls.seal(plain, wire);
                self.put(wire)
            }
        }
    }

    /// Goes on with what waits: the socket is writable.
    ///
    /// # Errors
    /// When the connection is broken.
    pub fn flush(&mut self) -> Result<(), Failure> {
        let Some(backlog) = &mut self.backlog else { return Ok(()) };
        let taken = write(&mut self.stream, backlog.front())?;
        backlog.took(taken);
        if backlog.is_empty() {
            self.backlog = None;
        }
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let taken = if self.backlog.is_some() { 0 } else { write(&mut self.stream, bytes)? };
        if taken < bytes.len() {
            self.backlog.get_or_insert_default().push(&bytes[taken..])?;
        }
        Ok(())
    }
}

/// Writes until everything is taken or the socket is full: only then does a new edge come.
fn write(stream: &mut TcpStream, bytes: &[u8]) -> Result<usize, Failure> {
    let mut taken = 0;
    while taken < bytes.len() {
        match stream.write(&bytes[taken..]) {
            Ok(count) => taken += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(Failure::of_socket(&error)),
        }
    }
    Ok(taken)
}
