//! The listening sockets, and what every connection inherits from them.
//!
//! Knows nothing of who accepts.

use std::io;
use std::net::SocketAddr;

use mio::net::TcpListener;
use socket2::{Domain, Protocol, Socket, Type};

use super::StartError;
use crate::config::ServerConfig;

/// A listening socket, at the address that the configuration has under `key`.
pub(super) fn listen(key: &'static str, address: SocketAddr, server: &ServerConfig) -> Result<TcpListener, StartError> {
    let bind = || -> io::Result<TcpListener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        // A restart must not wait for the connections of the node before it to leave TIME_WAIT.
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        prepare(&socket, server.send_buffer_bytes);
        socket.bind(&address.into())?;
        socket.listen(i32::try_from(server.backlog).unwrap_or(i32::MAX))?;
        Ok(TcpListener::from_std(socket.into()))
    };
    bind().map_err(|source| StartError::Listen { key, address, source })
}

/// Socket options of the connections that will be accepted. Linux clones those from their listener when the handshake
/// ends, options included: set before anybody can connect, every connection has them, and none costs a call. Best
/// effort: a connection without them still works.
fn prepare(listener: &Socket, send_buffer_bytes: usize) {
    let _ = listener.set_tcp_nodelay(true);
    if send_buffer_bytes > 0 {
        let _ = listener.set_send_buffer_size(send_buffer_bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::SockRef;
    use std::time::{Duration, Instant};

    const SEND_BUFFER_BYTES: usize = 32 * 1024;

    /// What the listener accepts from the first to connect.
    fn first_accepted(server: &ServerConfig) -> mio::net::TcpStream {
        let listener = listen("server.listen", ([127, 0, 0, 1], 0).into(), server).expect("a free port");
        let _peer = std::net::TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            match listener.accept() {
                Ok((stream, _)) => return stream,
                Err(error) => assert!(Instant::now() < deadline, "nobody came: {error}"),
            }
        }
    }

    #[test]
    fn a_connection_has_its_options_though_it_came_before_anybody_accepted() {
        let server = ServerConfig { send_buffer_bytes: SEND_BUFFER_BYTES, ..ServerConfig::default() };
        let stream = first_accepted(&server);
        assert!(stream.nodelay().expect("option"));
        // Which the kernel doubles, for its own needs (socket(7)).
        assert_eq!(SockRef::from(&stream).send_buffer_size().expect("option"), 2 * SEND_BUFFER_BYTES);
    }

    #[test]
    fn without_a_size_the_kernel_chooses_the_send_buffer() {
        let stream = first_accepted(&ServerConfig::default());
        assert!(stream.nodelay().expect("option"));
        assert_ne!(SockRef::from(&stream).send_buffer_size().expect("option"), 0);
    }
}
