//! A node as a process of its own: its configuration, and the control API as a publisher uses it.
//!
//! Knows nothing of what is measured.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use epush::config::AuthMode;
use epush::{Config, Engine};

use crate::child::{Child, obey};

/// Runs a node with one reactor until its input ends, and prints where its listeners are.
///
/// # Errors
/// When it cannot start.
pub fn serve(change: impl FnOnce(&mut Config)) -> io::Result<()> {
    let mut config = Config::default();
    config.server.listen.set_port(0);
    config.server.api.set_port(0);
    config.server.reactors = 1;
    config.auth.mode = AuthMode::None;
    config.sessions.ping_interval_ms = 3_600_000;
    change(&mut config);
    let engine = Engine::builder().config(config).start().map_err(io::Error::other)?;
    writeln!(io::stdout(), "{} {}", engine.addresses().client, engine.addresses().api)?;
    obey(|_| engine.online().sessions.to_string())
}

/// A running node.
pub struct Node {
    /// Its process.
    pub child: Child,
    /// Where clients connect.
    pub client: SocketAddr,
    /// Where back ends do.
    pub api: SocketAddr,
}

impl Node {
    /// Runs this program with these arguments, which have to make it [`serve`].
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(arguments: &[&str]) -> io::Result<Self> {
        let mut child = Child::start(arguments)?;
        let line = child.line()?;
        let (client, api) = line.split_once(' ').ok_or_else(|| io::Error::other("two addresses"))?;
        Ok(Self { client: address(client)?, api: address(api)?, child })
    }

    /// Processor time so far, in nanoseconds.
    ///
    /// # Errors
    /// When it has ended.
    pub fn rested_cpu_ns(&self) -> io::Result<u64> {
        rested_cpu_ns(&self.child)
    }

    /// Connects to its control API.
    ///
    /// # Errors
    /// When that fails.
    pub fn publisher(&self) -> io::Result<Publisher> {
        let api = TcpStream::connect(self.api)?;
        api.set_nodelay(true)?;
        Ok(Publisher { api })
    }
}

/// Processor time of a process so far. A thread that runs is counted up to its last tick, so it has to sleep first.
///
/// # Errors
/// When it has ended.
pub fn rested_cpu_ns(child: &Child) -> io::Result<u64> {
    thread::sleep(Duration::from_millis(10));
    child.cpu_ns()
}

/// An address as a child printed it.
///
/// # Errors
/// When it is none.
pub fn address(text: &str) -> io::Result<SocketAddr> {
    text.parse().map_err(io::Error::other)
}

/// A kept-alive connection to the control API.
pub struct Publisher {
    api: TcpStream,
}

/// The request for a batch of so many messages to the channel `news`, each with `data` of so many bytes.
#[must_use]
pub fn publication(data_bytes: usize, messages: usize) -> Vec<u8> {
    batch(&format!("\"{}\"", "x".repeat(data_bytes - 2)), messages)
}

/// The request for a batch of so many messages to the channel `news`, each with these data, JSON.
#[must_use]
pub fn batch(data: &str, messages: usize) -> Vec<u8> {
    let body = format!("{{\"to\":{{\"channels\":[\"news\"]}},\"data\":{data}}}\n").repeat(messages);
    format!("POST /v1/push/batch HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

impl Publisher {
    /// Sends a request.
    ///
    /// # Errors
    /// When the connection is broken.
    pub fn publish(&mut self, request: &[u8]) -> io::Result<()> {
        self.api.write_all(request)
    }

    /// Reads the answer to a batch to its end: the last chunk.
    ///
    /// # Errors
    /// When the connection is broken.
    pub fn answered(&mut self) -> io::Result<()> {
        let mut answer = Vec::new();
        let mut buffer = [0; 16 * 1_024];
        while !answer.ends_with(b"\r\n0\r\n\r\n") {
            match self.api.read(&mut buffer)? {
                0 => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the node ended the answer")),
                read => answer.extend_from_slice(&buffer[..read]),
            }
        }
        Ok(())
    }
}
