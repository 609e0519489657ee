//! Why a connection could not be made or did not last: a kind to count, and words for the person who reads them.

use std::io::{self, ErrorKind};

use rustls::{AlertDescription, Error as TlsError};

use super::backlog::{BACKLOG_BYTES_MAX, Full};
use super::seat::Stage;
use crate::client;

/// A connection's end that nobody wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What it is counted under.
    pub kind: String,
    /// What was said, and what to do.
    pub example: String,
}

impl Failure {
    fn new(kind: &str, example: impl Into<String>) -> Self {
        Self { kind: kind.into(), example: example.into() }
    }

    /// A socket that could not be made or bound.
    #[must_use]
    pub fn of_dialling(error: &io::Error) -> Self {
        match error.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
            Some(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE) => Self::new(
                "no descriptor left",
                "every connection takes one: raise the limit (ulimit -n), use fewer clients, or spread them (--processes)",
            ),
            _ => Self::of_connecting(error),
        }
    }

    /// A connection that did not come about.
    #[must_use]
    pub fn of_connecting(error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::ConnectionRefused => {
                Self::new("connection refused", "nothing listens there, or its queue of new connections is full")
            }
            ErrorKind::TimedOut => Self::new("connecting timed out", error.to_string()),
            ErrorKind::AddrNotAvailable if error.raw_os_error().is_none() => {
                Self::new("source address not usable", format!("{error}: name addresses of this machine"))
            }
            ErrorKind::AddrNotAvailable => Self::new(
                "no local port left",
                "from one address about 28 000 connections go to a target: give more source addresses \
                 (tool.source_addresses = [\"127.0.0.0/8\"]) or widen net.ipv4.ip_local_port_range",
            ),
            ErrorKind::ConnectionReset => Self::new("reset while connecting", error.to_string()),
            ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable => Self::new("unreachable", error.to_string()),
            _ => Self::new("cannot connect", error.to_string()),
        }
    }

    /// An open connection that broke.
    #[must_use]
    pub fn of_socket(error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::ConnectionReset => Self::new("reset", error.to_string()),
            ErrorKind::BrokenPipe => Self::new("closed while sending", error.to_string()),
            ErrorKind::TimedOut => Self::new("the network lost the connection", error.to_string()),
            _ => Self::new("broken connection", error.to_string()),
        }
    }

    /// A TLS connection that broke, or was not to be trusted.
    #[must_use]
    pub fn of_tls(error: &TlsError) -> Self {
        match error {
            TlsError::InvalidCertificate(why) => Self::new(
                "certificate not trusted",
                format!("{why}: name its authority in target.ca_file, or accept any certificate with target.insecure"),
            ),
            TlsError::InvalidMessage(why) => {
                Self::new("no TLS spoken", format!("{why:?}: is the URL's scheme right (ws instead of wss)?"))
            }
            TlsError::AlertReceived(AlertDescription::CloseNotify) => Self::ended(Stage::Ready),
            error => Self::new("TLS failed", error.to_string()),
        }
    }

    /// The server ended the connection, and said nothing about it.
    #[must_use]
    pub fn ended(stage: Stage) -> Self {
        match stage {
            Stage::Ready | Stage::Leaving => Self::new("ended without a close frame", "end of stream"),
            _ => Self::new("ended before it was ready", format!("end of stream while {}", doing(stage))),
        }
    }

    /// It took too long until it was ready.
    #[must_use]
    pub fn too_slow(stage: Stage) -> Self {
        match stage {
            Stage::Dialling => Self::new("connecting timed out", "no answer to the first packet"),
            stage => Self::new("not ready in time", format!("silence while {}", doing(stage))),
        }
    }

    /// It was on its way when the run ended.
    #[must_use]
    pub fn cut_short(stage: Stage) -> Self {
        Self::new("not ready when the run ended", format!("it was {}", doing(stage)))
    }

    /// The server spoke before it was spoken to.
    #[must_use]
    pub fn spoke_first() -> Self {
        Self::new("spoke before it was asked", "bytes right behind the TLS handshake: no WebSocket server begins")
    }

    /// What the client says.
    #[must_use]
    pub fn of_client(ended: client::Ended) -> Option<Self> {
        match ended {
            client::Ended::Failed { kind, example } => Some(Self { kind, example }),
            client::Ended::Closed => None,
        }
    }
}

impl From<Full> for Failure {
    fn from(_: Full) -> Self {
        let mib = BACKLOG_BYTES_MAX >> 20;
        Self::new("the server stopped reading", format!("{mib} MiB wait for one client's socket"))
    }
}

const fn doing(stage: Stage) -> &'static str {
    match stage {
        Stage::Idle | Stage::Dialling => "connecting",
        Stage::Securing => "shaking hands for TLS",
        Stage::Joining => "upgrading, signing in or subscribing",
        Stage::Ready => "ready",
        Stage::Leaving => "leaving",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_tool_ran_out_of_says_what_to_do() {
        let of = |errno: rustix::io::Errno| Failure::of_dialling(&io::Error::from_raw_os_error(errno.raw_os_error()));
        let cases = [
            (rustix::io::Errno::MFILE, "no descriptor left", "ulimit -n"),
            (rustix::io::Errno::ADDRNOTAVAIL, "no local port left", "source_addresses"),
            (rustix::io::Errno::CONNREFUSED, "connection refused", "nothing listens"),
            (rustix::io::Errno::NETUNREACH, "unreachable", "unreachable"),
        ];
        for (errno, kind, part) in cases {
            let failure = of(errno);
            assert_eq!(failure.kind, kind);
            assert!(failure.example.contains(part), "{failure:?}");
        }
    }
}
