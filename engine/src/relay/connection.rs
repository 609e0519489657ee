//! A connection to one Redis server, signed in and ready: RESP3, the right user, the right database.
//!
//! Blocking, and every call ends within `cluster.timeout_ms`; [`Polled`] is the same connection for a poll. Knows
//! neither topology nor keys. After any error but a time-out of [`Connection::receive`] a connection is finished.
//!
//! | file | what |
//! |---|---|
//! | `access` | the URL and the certificates, read once |
//! | `greeting` | HELLO, AUTH, SELECT |
//! | `channel` | bytes between the socket, TLS and the parser |
//! | `dial` | names to addresses to a socket, in bounded time |
//! | `polled` | without blocking |
//! | `tls` | certificates |
//! | `error` | what can go wrong |

mod access;
mod channel;
mod dial;
mod error;
mod greeting;
mod polled;
#[cfg(test)]
mod tests;
mod tls;

use std::io;
use std::time::{Duration, Instant};

use redis::{Cmd, Value};

pub use self::access::Access;
use self::channel::Channel;
pub use self::error::{Fault, LinkError};
use self::greeting::{Role, greet};
pub use self::polled::Polled;
use super::url::Host;

/// See the module.
#[derive(Debug)]
pub struct Connection {
    channel: Channel,
    host: Host,
    timeout: Duration,
}

impl Connection {
    /// Connects and signs in, as the user of the URL. Takes up to the time-out for each of the two.
    ///
    /// # Errors
    /// See [`Fault`].
    pub fn open(host: &Host, access: &Access) -> Result<Self, LinkError> {
        Self::open_as(host, access, Role::Server)
    }

    /// [`Connection::open`] for a sentinel: without credentials, and with those of the URL if it asks for some.
    ///
    /// # Errors
    /// See [`Fault`].
    pub fn open_sentinel(host: &Host, access: &Access) -> Result<Self, LinkError> {
        Self::open_as(host, access, Role::Sentinel)
    }

    fn open_as(host: &Host, access: &Access, role: Role) -> Result<Self, LinkError> {
        let at = |fault| LinkError { host: host.clone(), fault };
        let timeout = access.timeout();
        let stream = dial::connect(host, timeout).map_err(at)?;
        let tls = access.tls().map(|config| tls::begin(config, &host.name)).transpose().map_err(at)?;
        let mut connection = Self { channel: Channel::new(stream, tls), host: host.clone(), timeout };
        connection.channel.set_deadline(Instant::now() + timeout);
        greet(&mut connection.channel, access, role).map_err(at)?;
        Ok(connection)
    }

    /// Sends packed commands, all of them within the time-out.
    ///
    /// # Errors
    /// See [`Fault`]. How much of it arrived is not known then.
    pub fn send(&mut self, packed: &[u8]) -> Result<(), LinkError> {
        self.channel.set_deadline(Instant::now() + self.timeout);
        self.channel.write_all(packed).map_err(|fault| self.error(fault))
    }

    /// Waits for the next reply or push, for up to the time-out however it dribbles in.
    ///
    /// What Redis refuses is a [`Value::ServerError`]. After [`Fault::TimedOut`] one may go on waiting: what had come of
    /// the value is kept.
    ///
    /// # Errors
    /// See [`Fault`].
    pub fn receive(&mut self) -> Result<Value, LinkError> {
        self.channel.set_deadline(Instant::now() + self.timeout);
        self.channel.receive().map_err(|fault| self.error(fault))
    }

    /// One command and its reply, which is an error if Redis refuses.
    ///
    /// # Errors
    /// See [`Fault`].
    pub fn ask(&mut self, command: &Cmd) -> Result<Value, LinkError> {
        self.send(&command.get_packed_command())?;
        match self.receive()? {
            Value::ServerError(error) => Err(self.error(Fault::Refused(error::said(&error)))),
            value => Ok(value),
        }
    }

    /// The same connection without blocking. What has been received and not been taken yet goes along.
    ///
    /// # Errors
    /// The system's.
    pub fn into_polled(self) -> io::Result<Polled> {
        Polled::new(self.channel, self.host)
    }

    fn error(&self, fault: Fault) -> LinkError {
        LinkError { host: self.host.clone(), fault }
    }
}
