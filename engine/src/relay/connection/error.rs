//! What can go wrong with a connection to Redis, by blame.

use std::error::Error;
use std::{fmt, io};

use redis::ServerError;

use crate::relay::url::Host;

/// Why a connection could not be made, or is finished.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LinkError {
    /// Whose.
    pub host: Host,
    /// Why.
    pub fault: Fault,
}

/// See [`LinkError`]. None holds a secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Its name leads nowhere, nobody listens there, or the way is barred.
    Unreachable(String),
    /// Nothing, or not all of it, within `cluster.timeout_ms`.
    TimedOut,
    /// It ended a connection that stood.
    Closed(String),
    /// Redis does not want this: user, password, rights, version. In its own words.
    Refused(String),
    /// What it says is not what Redis says.
    Protocol(String),
    /// One of the two certificates is not believed.
    Certificate(String),
}

impl Fault {
    /// Sorts an error of a socket that stood.
    pub(super) fn of_socket(error: &io::Error) -> Self {
        if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return Self::of_tls(tls);
        }
        match error.kind() {
            // Not the kernel's own "timed out": that one says that the peer is gone.
            io::ErrorKind::WouldBlock => Self::TimedOut,
            io::ErrorKind::UnexpectedEof => Self::Closed("without a word".into()),
            _ => Self::Closed(error.to_string()),
        }
    }

    /// Sorts an error of the parser, which takes several lines to say what it expected; the first says what is wrong.
    pub(super) fn of_parser(error: &str) -> Self {
        Self::Protocol(error.lines().next().unwrap_or_default().to_owned())
    }

    pub(super) fn of_tls(error: &rustls::Error) -> Self {
        use rustls::{AlertDescription as Alert, Error as Tls};
        match error {
            Tls::InvalidCertificate(_) | Tls::NoCertificatesPresented | Tls::UnsupportedNameType => {
                Self::Certificate(format!("the certificate of Redis: {error}"))
            }
            Tls::AlertReceived(
                Alert::CertificateRequired
                | Alert::BadCertificate
                | Alert::UnknownCA
                | Alert::UnsupportedCertificate
                | Alert::CertificateExpired
                | Alert::CertificateRevoked
                | Alert::CertificateUnknown
                | Alert::AccessDenied
                // One of an authority that only has the right name.
                | Alert::DecryptError
                // OpenSSL's word for a missing certificate before TLS 1.3.
                | Alert::HandshakeFailure,
            ) => Self::Certificate(format!(
                "Redis does not believe this node's certificate, see cluster.cert_file: {error}"
            )),
            Tls::InvalidMessage(_) => Self::Protocol(format!("this is no TLS: {error}")),
            _ => Self::Protocol(format!("TLS: {error}")),
        }
    }
}

/// What Redis said, on one line.
///
/// Redis repeats the arguments of commands it does not know, and those of HELLO hold the password: they are cut off.
pub(super) fn said(error: &ServerError) -> String {
    let detail = error.details().unwrap_or_default();
    let detail = detail.split(", with args beginning with").next().unwrap_or_default();
    format!("{} {detail}", error.code()).trim_end().to_owned()
}

impl fmt::Display for LinkError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = &self.host;
        match &self.fault {
            Fault::Unreachable(why) => write!(out, "Redis at {host} is unreachable: {why}"),
            Fault::TimedOut => write!(out, "Redis at {host} did not answer in time (cluster.timeout_ms)"),
            Fault::Closed(why) => write!(out, "Redis at {host} ended the connection: {why}"),
            Fault::Refused(why) => write!(out, "Redis at {host} refused: {why}"),
            Fault::Protocol(why) => write!(out, "what is at {host} does not speak as Redis does: {why}"),
            Fault::Certificate(why) => write!(out, "Redis at {host}: {why}"),
        }
    }
}

impl Error for LinkError {}
