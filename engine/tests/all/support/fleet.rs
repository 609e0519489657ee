//! Very many clients on one thread: an epoll loop and as little as possible per client.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use serde_json::Value;

use super::client::tcp_from;
use super::raw::{TEXT, frame, upgrade_request};

/// Connections from one local address: well under the 28 000 local ports that Linux gives out.
const PER_ADDRESS: usize = 10_000;

/// Clients connected before their answers are read: the node's backlog is 4 096.
const WAVE: usize = 1_000;

/// A poll without an event for this long is a stall, and the test says so.
const POLL_TIMEOUT: Duration = Duration::from_secs(30);

/// All clients.
pub struct Fleet {
    poll: Poll,
    events: Events,
    members: Vec<Member>,
    scratch: Vec<u8>,
}

/// One client.
pub struct Member {
    stream: TcpStream,
    /// Bytes of a head or frame that is not whole yet.
    partial: Vec<u8>,
    upgraded: bool,
    /// Its place in the fleet, which ends its user's name.
    pub index: usize,
    pub subscribed: bool,
    /// The number the next message must have.
    pub next: u64,
    pub close_code: Option<u16>,
}

impl Fleet {
    /// Connects `count` users, each subscribed to `channel`.
    pub fn connect(address: SocketAddr, count: usize, channel: &str) -> Self {
        Self::connect_as(address, count, channel, "user")
    }

    /// The same, with users of the names `{prefix}-0`, `{prefix}-1` and so on.
    pub fn connect_as(address: SocketAddr, count: usize, channel: &str, prefix: &str) -> Self {
        let mut fleet = Self {
            poll: Poll::new().expect("epoll"),
            events: Events::with_capacity(1024),
            members: Vec::with_capacity(count),
            scratch: vec![0; 64 * 1024],
        };
        let subscribe = frame(TEXT, format!(r#"{{"op":"subscribe","id":1,"channel":"{channel}"}}"#).as_bytes());
        for index in 0..count {
            let local = Ipv4Addr::new(127, 0, 0, 10 + u8::try_from(index / PER_ADDRESS).expect("few addresses"));
            let stream = tcp_from(Some(local.into()), address, None);
            stream.set_nonblocking(true).expect("a socket option");
            let mut stream = TcpStream::from_std(stream);
            let interest = Interest::READABLE;
            fleet.poll.registry().register(&mut stream, Token(index), interest).expect("room in epoll");
            let mut hello = upgrade_request(&format!("/msg/{prefix}-{index}"), "").into_bytes();
            hello.extend_from_slice(&subscribe);
            stream.write_all(&hello).expect("an empty socket buffer takes a few hundred bytes");
            let partial = Vec::new();
            fleet.members.push(Member {
                stream,
                partial,
                upgraded: false,
                index,
                subscribed: false,
                next: 0,
                close_code: None,
            });
            if index % WAVE == WAVE - 1 || index + 1 == count {
                fleet.run_until(POLL_TIMEOUT, "a wave is in", |member| member.subscribed);
            }
        }
        fleet
    }

    /// Reads until `done` holds for every client.
    ///
    /// # Panics
    /// When it does not within the deadline, or a client got what it must not get.
    pub fn run_until(&mut self, deadline: Duration, what: &str, done: impl Fn(&Member) -> bool) {
        let start = Instant::now();
        let mut waiting = self.members.iter().filter(|member| !done(member)).count();
        while waiting > 0 {
            assert!(start.elapsed() < deadline, "not within {deadline:?}: {what}: {waiting} wait");
            self.poll.poll(&mut self.events, Some(POLL_TIMEOUT)).expect("epoll");
            assert!(!self.events.is_empty(), "nothing came for {POLL_TIMEOUT:?}: {what}: {waiting} wait");
            for event in &self.events {
                let member = &mut self.members[event.token().0];
                let before = done(member);
                member.read(&mut self.scratch);
                if !before && done(member) {
                    waiting -= 1;
                }
            }
        }
    }
}

impl Member {
    /// Reads what is there: the events are edge-triggered.
    fn read(&mut self, scratch: &mut [u8]) {
        loop {
            match self.stream.read(scratch) {
                Ok(0) => {
                    assert!(self.close_code.is_some(), "closed without a close frame");
                    return;
                }
                Ok(count) => self.take(&scratch[..count]),
                Err(why) if why.kind() == ErrorKind::WouldBlock => return,
                Err(why) if why.kind() == ErrorKind::Interrupted => {}
                Err(why) => panic!("{why}"),
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.partial.extend_from_slice(bytes);
        let partial = std::mem::take(&mut self.partial);
        let mut rest = &partial[..];
        while let Some(used) = self.take_one(rest) {
            rest = &rest[used..];
        }
        if !rest.is_empty() {
            self.partial = rest.to_vec();
        }
    }

    /// Takes one head or frame; how long it was.
    fn take_one(&mut self, bytes: &[u8]) -> Option<usize> {
        if !self.upgraded {
            let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
            let head = String::from_utf8_lossy(&bytes[..end]);
            assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
            self.upgraded = true;
            return Some(end);
        }
        let (head, length) = match *bytes.get(1)? {
            126 => (4, usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]))),
            short @ 0..126 => (2, usize::from(short)),
            _ => panic!("no frame of this test is that long"),
        };
        let payload = bytes.get(head..head + length)?;
        match bytes[0] {
            TEXT => self.take_text(payload),
            0x88 => {
                self.close_code = Some(u16::from_be_bytes([payload[0], payload[1]]));
                // The answer that ends the close handshake.
                self.write(&frame(0x88, &payload[..2]));
            }
            0x89 => self.write(&frame(0x8a, payload)),
            other => panic!("an unexpected frame: {other:#x}"),
        }
        Some(head + length)
    }

    fn take_text(&mut self, payload: &[u8]) {
        let value: Value = serde_json::from_slice(payload).expect("JSON");
        match value["op"].as_str() {
            Some("welcome" | "goodbye") => {}
            Some("ok") => self.subscribed = true,
            Some("message") => {
                assert_eq!(value["data"]["n"], self.next, "{value}");
                self.next += 1;
            }
            _ => panic!("{value}"),
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        // The node may already be gone; what it must have sent has been read.
        let _ = self.stream.write_all(bytes);
    }
}
