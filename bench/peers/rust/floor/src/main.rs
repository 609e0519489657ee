//! The floor: what accepting, echoing and fanning out cost at least, because the kernel costs it.
//!
//! One thread, epoll, one `recv` a readable socket, and one plain `send` of a frame made before for each subscriber; messages
//! that arrived together go out together, at most [`BATCH_FRAMES`] in one `send`. It checks nothing, keeps no
//! time, and waits for subscribers that do not read: it takes from publishers only when every socket took everything.
//!
//! `/sub` gets what a path that begins with `/pub` sends, `/echo` gets its own back.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, Socket, Type};
use tungstenite::handshake::derive_accept_key;

/// Frames in one `send`, at most: as many as the comparison's bursts have.
const BATCH_FRAMES: usize = 64;

/// As many connections as the comparison opens at once.
const BACKLOG: i32 = 4_096;

/// As much as a burst of 64 messages of 1 KiB, several times.
const READ_BYTES: usize = 256 * 1_024;

/// The opcode of a close frame.
const CLOSE: u8 = 8;

const KEY: &str = "sec-websocket-key:";

const LISTENER: Token = Token(usize::MAX);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Unknown,
    Subscriber,
    Publisher,
    Echo,
}

struct Connection {
    stream: TcpStream,
    role: Role,
    /// A head or a frame of which the end is not here yet.
    partial: Vec<u8>,
    /// What the socket did not take.
    unsent: Vec<u8>,
}

struct Floor {
    poll: Poll,
    listener: TcpListener,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    subscribers: Vec<usize>,
    /// Sockets with something unsent.
    waiting: usize,
    /// Publishers not read because of them.
    paused: Vec<usize>,
    buffer: Vec<u8>,
    batch: Vec<u8>,
}

fn main() -> io::Result<()> {
    let port = std::env::args().nth(1).unwrap_or_else(|| String::from("0"));
    let address = format!("127.0.0.1:{port}").parse().map_err(io::Error::other)?;
    let poll = Poll::new()?;
    let mut listener = listen(address)?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    println!("ready {}", listener.local_addr()?.port());
    let (buffer, batch) = (vec![0; READ_BYTES], Vec::with_capacity(READ_BYTES));
    let (connections, free, subscribers, paused) = Default::default();
    Floor { poll, listener, connections, free, subscribers, waiting: 0, paused, buffer, batch }.run()
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    // Accepted sockets inherit it.
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(TcpListener::from_std(socket.into()))
}

impl Floor {
    fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1_024);
        loop {
            match self.poll.poll(&mut events, None) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                done => done?,
            }
            for event in &events {
                if event.token() == LISTENER {
                    self.accept()?;
                    continue;
                }
                let at = event.token().0;
                if event.is_writable() {
                    self.flush(at);
                }
                if event.is_readable() {
                    self.read(at);
                }
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let mut stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            let at = self.free.pop().unwrap_or(self.connections.len());
            if at == self.connections.len() {
                self.connections.push(None);
            }
            self.poll.registry().register(&mut stream, Token(at), Interest::READABLE)?;
            let (partial, unsent) = Default::default();
            self.connections[at] = Some(Connection { stream, role: Role::Unknown, partial, unsent });
        }
    }

    fn read(&mut self, at: usize) {
        loop {
            let Some(connection) = &mut self.connections[at] else { return };
            if connection.role == Role::Publisher && self.waiting > 0 {
                self.paused.push(at);
                return;
            }
            match connection.stream.read(&mut self.buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Ok(0) | Err(_) => return self.close(at),
                Ok(len) => {
                    self.take(at, len);
                    if len < self.buffer.len() {
                        return;
                    }
                }
            }
        }
    }

    /// What the first bytes of the buffer mean on this connection.
    fn take(&mut self, at: usize, len: usize) {
        let Some(connection) = &mut self.connections[at] else { return };
        let buffer = std::mem::take(&mut self.buffer);
        let mut partial = std::mem::take(&mut connection.partial);
        let used = if partial.is_empty() {
            let used = self.understand(at, &buffer[..len]);
            partial.extend_from_slice(&buffer[used..len]);
            0
        } else {
            partial.extend_from_slice(&buffer[..len]);
            self.understand(at, &partial)
        };
        partial.drain(..used);
        self.buffer = buffer;
        if let Some(connection) = self.connections[at].as_mut().filter(|_| !partial.is_empty()) {
            connection.partial = partial;
        }
    }

    /// Answers a head, publishes or returns frames; says how many bytes that took.
    fn understand(&mut self, at: usize, bytes: &[u8]) -> usize {
        let Some(connection) = &mut self.connections[at] else { return bytes.len() };
        let mut used = 0;
        if connection.role == Role::Unknown {
            let Some(end) = bytes.windows(4).position(|end| end == b"\r\n\r\n") else { return 0 };
            used = end + 4;
            let Some(role) = upgrade(&mut connection.stream, &bytes[..used]) else {
                self.close(at);
                return bytes.len();
            };
            connection.role = role;
            if role == Role::Subscriber {
                self.subscribers.push(at);
            }
        }
        let role = connection.role;
        let mut frames = 0;
        while let Some((opcode, header, end)) = masked_frame(&bytes[used..]) {
            if opcode == CLOSE {
                // What came before it counts.
                self.hand_on(at, role);
                self.close(at);
                return bytes.len();
            }
            append_unmasked(&mut self.batch, opcode, &bytes[used + header - 4..used + end]);
            used += end;
            frames += 1;
            if frames == BATCH_FRAMES {
                self.hand_on(at, role);
                frames = 0;
            }
        }
        if frames > 0 {
            self.hand_on(at, role);
        }
        used
    }

    /// Sends what is in the batch to whom it is for.
    fn hand_on(&mut self, at: usize, role: Role) {
        match role {
            Role::Publisher => self.publish(),
            Role::Echo => {
                let batch = std::mem::take(&mut self.batch);
                self.send(at, &batch);
                self.batch = batch;
            }
            Role::Unknown | Role::Subscriber => {}
        }
        self.batch.clear();
    }

    fn publish(&mut self) {
        let (batch, subscribers) = (std::mem::take(&mut self.batch), std::mem::take(&mut self.subscribers));
        subscribers.iter().for_each(|&at| self.send(at, &batch));
        (self.batch, self.subscribers) = (batch, subscribers);
    }

    fn send(&mut self, at: usize, bytes: &[u8]) {
        let Some(connection) = &mut self.connections[at] else { return };
        if connection.unsent.is_empty() {
            // A dead socket is found out by its read.
            let taken = connection.stream.write(bytes).unwrap_or(0);
            if taken < bytes.len() {
                connection.unsent.extend_from_slice(&bytes[taken..]);
                self.waiting += 1;
                let both = Interest::READABLE | Interest::WRITABLE;
                let _ = self.poll.registry().reregister(&mut connection.stream, Token(at), both);
            }
        } else {
            connection.unsent.extend_from_slice(bytes);
        }
    }

    fn flush(&mut self, at: usize) {
        let Some(connection) = self.connections[at].as_mut().filter(|one| !one.unsent.is_empty()) else { return };
        while let Ok(taken) = connection.stream.write(&connection.unsent) {
            connection.unsent.drain(..taken);
            if connection.unsent.is_empty() {
                let _ = self.poll.registry().reregister(&mut connection.stream, Token(at), Interest::READABLE);
                return self.no_longer_waiting();
            }
        }
    }

    fn no_longer_waiting(&mut self) {
        self.waiting -= 1;
        if self.waiting == 0 {
            std::mem::take(&mut self.paused).into_iter().for_each(|at| self.read(at));
        }
    }

    fn close(&mut self, at: usize) {
        let Some(connection) = self.connections[at].take() else { return };
        self.free.push(at);
        if connection.role == Role::Subscriber {
            self.subscribers.retain(|&other| other != at);
        }
        if !connection.unsent.is_empty() {
            self.no_longer_waiting();
        }
    }
}

/// Answers a request head with 101.
fn upgrade(stream: &mut TcpStream, head: &[u8]) -> Option<Role> {
    let head = std::str::from_utf8(head).ok()?;
    let named = |line: &str| line.get(..KEY.len()).is_some_and(|name| name.eq_ignore_ascii_case(KEY));
    let line = head.lines().find(|line| named(line))?;
    let accept = derive_accept_key(line[KEY.len()..].trim().as_bytes());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    stream.write_all(answer.as_bytes()).ok()?;
    Some(match head.split([' ', '?']).nth(1)? {
        "/echo" => Role::Echo,
        path if path.starts_with("/pub") => Role::Publisher,
        _ => Role::Subscriber,
    })
}

/// Opcode, length of the header with its mask, and end of the frame that starts here, if it is whole.
fn masked_frame(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let (header, len) = match bytes.get(1)? & 0x7F {
        126 => (8, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => (14, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize),
        len => (6, usize::from(len)),
    };
    (bytes.len() >= header + len).then_some((bytes[0] & 0x0F, header, header + len))
}

/// The frame a server sends: `masked` is the mask and the payload under it.
fn append_unmasked(out: &mut Vec<u8>, opcode: u8, masked: &[u8]) {
    let (mask, payload) = masked.split_at(4);
    out.push(0x80 | opcode);
    match payload.len() {
        len @ ..126 => out.push(len as u8),
        len @ 126..65_536 => {
            out.push(126);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            out.push(127);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    let from = out.len();
    out.extend_from_slice(payload);
    // Four masks side by side: the compiler makes one instruction of 16 bytes.
    let masks: [u8; 16] = std::array::from_fn(|at| mask[at % 4]);
    for piece in out[from..].chunks_mut(masks.len()) {
        piece.iter_mut().zip(masks).for_each(|(byte, mask)| *byte ^= mask);
    }
}
