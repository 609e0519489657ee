//! The socket of one connection: what the kernel was asked to tell, and what it told.
//!
//! Knows nothing of what the bytes mean.

use std::io::{self, IoSlice};
use std::net::{IpAddr, Shutdown};

use epush_core::id::ConnId;
use epush_core::shard::Door;
use mio::net::TcpStream;
use mio::{Interest, Registry};
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags};

use super::token::token_of;

/// One connection's socket.
#[derive(Debug)]
pub struct Socket {
    stream: TcpStream,
    /// The listener it came through.
    pub door: Door,
    /// The address it is counted under: the peer's, or behind a proxy the client's.
    pub counted: IpAddr,
    /// Whether bytes may wait in it.
    pub reading: Reading,
    /// What is known of the other end. Only ever gets worse.
    pub peer: Peer,
    writing: Writing,
    /// Whether the kernel was asked for edges.
    watched: bool,
}

/// What is known of a socket's receive buffer. Edges come once, so what they said is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reading {
    /// Drained: the next edge tells.
    Drained,
    /// In the list of sockets to read.
    Listed,
    /// Bytes may wait, but the shard takes none now.
    Parked,
}

/// The other end of a socket, as the kernel tells.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Peer {
    /// There.
    There,
    /// It will send no more: a short read does not mean that the socket is drained.
    Finished,
    /// Reset, or out of reach: whatever is owed to it will not arrive.
    Gone,
}

/// Whether WRITABLE is armed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Writing {
    /// Not armed: nothing was ever refused, or not lately.
    Idle,
    /// Armed, and the last write was taken whole.
    Armed,
    /// Armed, and the socket took less than was offered: the kernel owes an edge.
    Blocked,
}

impl Socket {
    /// A socket that was just accepted. Nothing is known of its bytes, so it belongs into the list of those to read.
    #[must_use]
    pub fn new(stream: TcpStream, door: Door, address: IpAddr) -> Self {
        let (reading, peer, writing) = (Reading::Listed, Peer::There, Writing::Idle);
        Self { stream, door, counted: address, reading, peer, writing, watched: false }
    }

    /// Asks for read edges, once. WRITABLE comes only when a write was short: most connections never need it.
    ///
    /// Called after the first read: the request stands behind the handshake in nearly every socket that is accepted,
    /// and an edge for bytes that are taken already would cost a turn and a read. What comes between the two, the end of
    /// the stream as well, is told at once: the kernel looks at a socket that is added.
    ///
    /// # Errors
    /// When the kernel refuses (`fs.epoll.max_user_watches`, memory).
    #[inline]
    pub fn watch(&mut self, registry: &Registry, conn: ConnId) -> io::Result<()> {
        if !self.watched {
            registry.register(&mut self.stream, token_of(conn), Interest::READABLE)?;
            self.watched = true;
        }
        Ok(())
    }

    /// Takes the socket out of the poll.
    pub fn deregister(&mut self, registry: &Registry) {
        if self.watched {
            // It is closed next, which removes it as well.
            let _ = registry.deregister(&mut self.stream);
        }
    }

    /// One read, repeated when a signal interrupted it. `None`: nothing there.
    ///
    /// # Errors
    /// When the connection is broken.
    pub fn read(&mut self, scratch: &mut [u8]) -> io::Result<Option<usize>> {
        settled(|| Ok(rustix::net::recv(&self.stream, &mut *scratch, RecvFlags::empty())?.0))
    }

    /// One write of one run of bytes; returns what the socket took, 0 when it is full.
    ///
    /// # Errors
    /// When the connection is broken.
    #[inline]
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Not through the C library, which makes every call of a threaded program a cancellation point: 2 % of a write.
        let taken = settled(|| Ok(rustix::net::send(&self.stream, bytes, SendFlags::NOSIGNAL)?))?;
        Ok(taken.unwrap_or(0))
    }

    /// One write of everything; returns what the socket took, 0 when it is full.
    ///
    /// # Errors
    /// When the connection is broken.
    pub fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        // writev(2) cannot be told to leave SIGPIPE, which is whatever the program around the engine made of it.
        let send = || {
            let nothing_else = &mut SendAncillaryBuffer::default();
            Ok(rustix::net::sendmsg(&self.stream, slices, nothing_else, SendFlags::NOSIGNAL)?)
        };
        Ok(settled(send)?.unwrap_or(0))
    }

    /// The last write was short: asks for the edge when there is room again.
    ///
    /// # Errors
    /// When the kernel refuses; then the edge will not come.
    pub fn blocked(&mut self, registry: &Registry, conn: ConnId) -> io::Result<()> {
        if self.writing == Writing::Idle {
            self.watch(registry, conn)?;
            // The kernel looks at the socket when interests change, so room made meanwhile is not missed.
            registry.reregister(&mut self.stream, token_of(conn), Interest::READABLE | Interest::WRITABLE)?;
        }
        self.writing = Writing::Blocked;
        Ok(())
    }

    /// A write edge came; returns whether a write waits for it.
    ///
    /// WRITABLE is disarmed here and not when the last byte is out: a slow consumer blocks again and again, and two
    /// system calls each time would be its price. An edge that nothing waits for rides along with a read edge.
    ///
    /// # Errors
    /// When the kernel refuses to disarm.
    pub fn writable(&mut self, registry: &Registry, conn: ConnId) -> io::Result<bool> {
        match self.writing {
            Writing::Blocked => {
                self.writing = Writing::Armed;
                Ok(true)
            }
            Writing::Armed => {
                self.writing = Writing::Idle;
                registry.reregister(&mut self.stream, token_of(conn), Interest::READABLE)?;
                Ok(false)
            }
            Writing::Idle => Ok(false),
        }
    }

    /// Tells the peer that nothing more comes.
    pub fn shutdown_write(&self) {
        // It fails only on a connection that is already broken, which the next read tells.
        let _ = self.stream.shutdown(Shutdown::Write);
    }
}

/// Repeats a call that a signal interrupted. `None`: it would block.
fn settled(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<Option<usize>> {
    loop {
        match call() {
            Ok(bytes) => return Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// A socket that was accepted, and its peer.
#[cfg(test)]
pub(super) fn pair() -> (Socket, std::net::TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let peer = std::net::TcpStream::connect(listener.local_addr().expect("address")).expect("connect");
    let (stream, address) = listener.accept().expect("accept");
    stream.set_nonblocking(true).expect("non-blocking");
    (Socket::new(TcpStream::from_std(stream), Door::Client, address.ip()), peer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::{Events, Poll};
    use std::io::{Read, Write};
    use std::time::{Duration, Instant};

    const CONN: ConnId = ConnId { index: 3, generation: 1 };
    const PATIENCE: Duration = Duration::from_secs(20);

    /// Waits for an event of the kind `wanted` asks for.
    fn event(poll: &mut Poll, wanted: impl Fn(&mio::event::Event) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        let mut events = Events::with_capacity(8);
        while !events.iter().any(&wanted) {
            assert!(Instant::now() < deadline, "the event did not come");
            poll.poll(&mut events, Some(PATIENCE)).expect("poll");
        }
    }

    #[test]
    fn a_full_socket_tells_when_there_is_room_again_and_is_disarmed_later() {
        let mut poll = Poll::new().expect("poll");
        let (mut socket, mut peer) = pair();
        socket.watch(poll.registry(), CONN).expect("register");
        let chunk = vec![7_u8; 64 * 1024];
        let mut sent = 0;
        loop {
            let taken = socket.write(&[IoSlice::new(&chunk), IoSlice::new(&chunk)]).expect("open");
            sent += taken;
            if taken < 2 * chunk.len() {
                break;
            }
        }
        assert!(!socket.writable(poll.registry(), CONN).expect("no call"), "nothing is armed yet");
        socket.blocked(poll.registry(), CONN).expect("arm");

        let reader = std::thread::spawn(move || {
            let mut all = vec![0; sent];
            peer.read_exact(&mut all).expect("everything that was sent");
            peer
        });
        event(&mut poll, mio::event::Event::is_writable);
        assert!(socket.writable(poll.registry(), CONN).expect("edge"), "a write waited for it");
        let mut peer = reader.join().expect("reader");

        peer.write_all(b"x").expect("open");
        event(&mut poll, mio::event::Event::is_readable);
        assert!(!socket.writable(poll.registry(), CONN).expect("disarm"), "nothing waits: disarmed");
        assert_eq!(socket.writing, Writing::Idle);
    }

    #[test]
    fn what_came_before_a_socket_was_watched_is_told_and_what_was_read_is_not() {
        let mut poll = Poll::new().expect("poll");
        let (mut socket, mut peer) = pair();
        let mut scratch = [0; 16];
        peer.write_all(b"early").expect("open");
        while socket.read(&mut scratch).expect("open").is_none() {}
        socket.watch(poll.registry(), CONN).expect("register");
        let mut events = Events::with_capacity(8);
        poll.poll(&mut events, Some(Duration::ZERO)).expect("poll");
        assert!(events.is_empty(), "its bytes are taken");

        let (mut socket, mut peer) = pair();
        peer.write_all(b"between").expect("open");
        drop(peer);
        // Both are there before the kernel is asked.
        while socket.stream.peek(&mut scratch).is_err() {}
        socket.watch(poll.registry(), CONN).expect("register");
        event(&mut poll, mio::event::Event::is_readable);
    }

    #[test]
    fn reads_tell_bytes_nothing_and_the_end_apart() {
        let mut poll = Poll::new().expect("poll");
        let (mut socket, mut peer) = pair();
        socket.watch(poll.registry(), CONN).expect("register");
        let mut scratch = [0; 16];
        assert_eq!(socket.read(&mut scratch).expect("open"), None);
        peer.write_all(b"hello").expect("open");
        event(&mut poll, mio::event::Event::is_readable);
        assert_eq!(socket.read(&mut scratch).expect("open"), Some(5));
        drop(peer);
        event(&mut poll, mio::event::Event::is_read_closed);
        assert_eq!(socket.read(&mut scratch).expect("closed in order"), Some(0));
    }
}
