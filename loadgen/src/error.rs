//! Why a run could not be done: words for the person who started it, and the exit code.

use std::{fmt, io};

use serde::{Deserialize, Serialize};

/// A run that was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Error {
    /// Flags, a file or the surroundings are wrong; nothing was run. Exit code 2.
    Usage(String),
    /// It failed while running. Exit code 1.
    Failed(String),
}

impl Error {
    /// What the process ends with.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(words) | Self::Failed(words) => f.write_str(words),
        }
    }
}

impl std::error::Error for Error {}

/// A socket's error in the fewest words, the same for every occurrence.
#[must_use]
pub fn words(error: &io::Error) -> String {
    let words = match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused",
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => "reset",
        io::ErrorKind::TimedOut => "timed out",
        io::ErrorKind::UnexpectedEof => "ended",
        io::ErrorKind::NetworkUnreachable => "network unreachable",
        io::ErrorKind::HostUnreachable => "host unreachable",
        io::ErrorKind::AddrNotAvailable => "no local port is free",
        _ => return error.to_string(),
    };
    words.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_tell_the_usage_from_the_run() {
        assert_eq!(Error::Failed(String::new()).exit_code(), 1);
        assert_eq!(Error::Usage(String::new()).exit_code(), 2);
    }

    #[test]
    fn socket_errors_have_short_words() {
        assert_eq!(words(&io::ErrorKind::ConnectionRefused.into()), "connection refused");
        assert_eq!(words(&io::ErrorKind::BrokenPipe.into()), "reset");
    }
}
