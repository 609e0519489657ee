//! A connection that never blocks, plain or with TLS. Knows nothing of what is said over it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use rustix::event::PollFlags;
use rustls::{ClientConnection, StreamOwned};
use socket2::{Domain, Protocol, Type};

use crate::worker::tls::Named;

/// Where a connection goes.
#[derive(Clone, Debug)]
pub struct Route {
    /// Address and port.
    pub address: SocketAddr,
    /// With TLS: whose certificates are believed, and which name they have to bear.
    pub tls: Option<Named>,
}

/// An open socket.
#[derive(Debug)]
pub enum Socket {
    /// Without TLS.
    Plain(TcpStream),
    /// With TLS, whose handshake goes on under reads and writes.
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Socket {
    /// Begins to connect; [`Self::connected`] says when that is done.
    ///
    /// # Errors
    /// The system's.
    pub fn connect(route: &Route) -> io::Result<Self> {
        let socket = socket2::Socket::new(Domain::for_address(route.address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        match socket.connect(&route.address.into()) {
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {}
            other => other?,
        }
        let socket = TcpStream::from(socket);
        let Some((config, name)) = &route.tls else { return Ok(Self::Plain(socket)) };
        let tls = ClientConnection::new(Arc::clone(config), name.clone()).map_err(io::Error::other)?;
        Ok(Self::Tls(Box::new(StreamOwned::new(tls, socket))))
    }

    /// Whether the TCP connection is there; to be asked when the socket is writable.
    ///
    /// # Errors
    /// Why there is none.
    pub fn connected(&self) -> io::Result<bool> {
        if let Some(error) = self.tcp().take_error()? {
            return Err(error);
        }
        match self.tcp().peer_addr() {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Writes some of it; 0 when the socket takes nothing now.
    ///
    /// # Errors
    /// When the connection broke.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        };
        later(written, 0)
    }

    /// Hands TLS records that wait to the socket.
    ///
    /// # Errors
    /// When the connection broke.
    pub fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tls(stream) if stream.conn.wants_write() => later(stream.flush(), ()),
            _ => Ok(()),
        }
    }

    /// Reads what is there: `Some(0)` at the end, `None` when there is nothing now.
    ///
    /// # Errors
    /// When the connection broke.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let read = match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        };
        // Many servers end TLS connections without saying so; nothing hangs on it here.
        let ended = |error: &io::Error| error.kind() == io::ErrorKind::UnexpectedEof;
        match read {
            Err(error) if ended(&error) => Ok(Some(0)),
            other => later(other.map(Some), None),
        }
    }

    /// What to wait for, when so much is to be written.
    #[must_use]
    pub fn interest(&self, has_output: bool) -> PollFlags {
        let writes = match self {
            Self::Plain(_) => has_output,
            // In its handshake TLS waits for the other side, though there is output.
            Self::Tls(stream) => stream.conn.wants_write() || (has_output && !stream.conn.is_handshaking()),
        };
        if writes { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN }
    }

    const fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => &stream.sock,
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.tcp().as_fd()
    }
}

/// Not now is no error.
fn later<T>(result: io::Result<T>, nothing: T) -> io::Result<T> {
    match result {
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(nothing),
        other => other,
    }
}
