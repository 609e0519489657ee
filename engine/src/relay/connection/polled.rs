//! A connection for a poll.
//!
//! Edge-triggered: a poll says "readable" once, so read on until [`Polled::try_receive`] says none, and flush again on
//! "writable" until [`Polled::flush`] says that nothing is left. What came before the registration wakes nobody: call
//! both once right after it.

use std::io;

use mio::event::Source;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use redis::Value;

use super::channel::Channel;
use super::error::{Fault, LinkError};
use crate::relay::url::Host;

/// See the module.
#[derive(Debug)]
pub struct Polled {
    channel: Channel,
    host: Host,
    /// What is to be sent, oldest first.
    outbox: Vec<u8>,
    /// Bytes of `outbox` that are sent. Invariant: 0 when it is empty, else less than its length.
    sent: usize,
}

impl Polled {
    pub(super) fn new(mut channel: Channel, host: Host) -> io::Result<Self> {
        channel.unblock()?;
        Ok(Self { channel, host, outbox: Vec::new(), sent: 0 })
    }

    /// Keeps packed commands for the next [`Polled::flush`].
    pub fn queue(&mut self, packed: &[u8]) {
        self.outbox.extend_from_slice(packed);
    }

    /// Bytes that wait for the socket.
    #[cfg(test)]
    pub fn waiting(&self) -> usize {
        self.outbox.len() - self.sent
    }

    /// Sends what the socket takes. Whether nothing is left; otherwise the poll says when to go on.
    ///
    /// # Errors
    /// The connection is finished.
    pub fn flush(&mut self) -> Result<bool, LinkError> {
        match self.send() {
            Ok(()) => Ok(true),
            Err(Fault::TimedOut) => Ok(false),
            Err(fault) => Err(LinkError { host: self.host.clone(), fault }),
        }
    }

    fn send(&mut self) -> Result<(), Fault> {
        while self.sent < self.outbox.len() {
            self.sent += self.channel.write(&self.outbox[self.sent..])?;
        }
        self.outbox.clear();
        self.outbox.shrink_to(OUTBOX_KEPT_BYTES);
        self.sent = 0;
        self.channel.flush()
    }

    /// The next reply or push, in the order of the wire; none: it would block, and nothing that has come is left.
    ///
    /// What Redis refuses is a [`Value::ServerError`].
    ///
    /// # Errors
    /// The connection is finished.
    pub fn try_receive(&mut self) -> Result<Option<Value>, LinkError> {
        match self.channel.receive() {
            Ok(value) => Ok(Some(value)),
            Err(Fault::TimedOut) => Ok(None),
            Err(fault) => Err(LinkError { host: self.host.clone(), fault }),
        }
    }

    /// Whose it is.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }
}

impl Source for Polled {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        SourceFd(&self.channel.fd()).register(registry, token, interests)
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        SourceFd(&self.channel.fd()).reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        SourceFd(&self.channel.fd()).deregister(registry)
    }
}

/// Room that an empty outbox keeps: subscriptions to a few thousand channels come in one piece, once.
const OUTBOX_KEPT_BYTES: usize = 64 * 1024;
