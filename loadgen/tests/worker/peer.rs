//! Servers that do what a test wants: a thread for each connection.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use epush_loadgen::clock::now_ns;
use epush_loadgen::stamp::Stamp;
use tungstenite::protocol::CloseFrame;
use tungstenite::{Message, WebSocket};

/// A server. It stops taking connections when it is dropped; those it has end with their threads.
pub struct Peer {
    pub address: SocketAddr,
    /// Connections it took.
    pub taken: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
}

impl Peer {
    /// Serves each TCP connection with this, told which one it is.
    pub fn of_streams(serve: impl Fn(TcpStream, u64) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (taken, is_over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (counter, over, serve) = (Arc::clone(&taken), Arc::clone(&is_over), Arc::new(serve));
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let (number, serve) = (counter.fetch_add(1, Ordering::SeqCst), Arc::clone(&serve));
                thread::spawn(move || serve(stream, number));
            }
        });
        Self { address, taken, is_over }
    }

    /// Serves each WebSocket with this.
    pub fn of_sockets(serve: impl Fn(WebSocket<TcpStream>, u64) + Send + Sync + 'static) -> Self {
        Self::of_streams(move |stream, number| {
            stream.set_nodelay(true).unwrap();
            if let Ok(socket) = tungstenite::accept(stream) {
                serve(socket, number);
            }
        })
    }

    /// Sends everything back.
    pub fn echo() -> Self {
        Self::of_sockets(|mut socket, _| echo(&mut socket))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

/// Sends messages back until the client leaves.
pub fn echo<S: Read + Write>(socket: &mut WebSocket<S>) {
    while let Ok(message) = socket.read() {
        if (message.is_text() || message.is_binary()) && socket.send(message).is_err() {
            return;
        }
    }
}

/// Listens until the client leaves, and answers its close frame.
pub fn see_off<S: Read + Write>(socket: &mut WebSocket<S>) {
    while socket.read().is_ok() {}
}

/// Closes with a code and waits for the answer.
pub fn close(socket: &mut WebSocket<TcpStream>, code: u16, reason: &str) {
    let _ = socket.close(Some(CloseFrame { code: code.into(), reason: reason.to_owned().into() }));
    see_off(socket);
}

/// A message of the first publisher, due now.
pub fn message(seq: u64, payload_bytes: usize) -> Message {
    let mut payload = Vec::new();
    Stamp { run: 0, intended_ns: now_ns(), slip_us: 0, stream: 0, seq }.write(payload_bytes, &mut payload);
    Message::text(String::from_utf8(payload).unwrap())
}
