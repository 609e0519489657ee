//! The enumerations of the configuration, by their words in the file.

use super::value::{Value, found, not_one_of, word_values};

/// How clients prove who they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum AuthMode {
    /// `""`: not configured. Acts as [`AuthMode::None`], and only a loopback listener may start with it.
    #[default]
    Unset,
    /// `"none"`: whoever connects is who it says.
    None,
    /// `"jwt"`: a signed token.
    Jwt,
    /// `"webhook"`: the application is asked at every handshake.
    Webhook,
}

/// A signature algorithm of JSON Web Tokens.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Algorithm {
    /// HMAC with SHA-256 and a shared secret.
    Hs256,
    /// RSA with SHA-256.
    Rs256,
    /// ECDSA on P-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

/// The least important log lines that are written.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// What needs somebody's attention now.
    Error,
    /// What may need it soon.
    Warn,
    /// What an operator wants to know of a normal day.
    #[default]
    Info,
    /// Every connection.
    Debug,
    /// Every frame.
    Trace,
}

impl LogLevel {
    /// The word in the file, which `tracing` knows too.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// How a log line is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    /// The word in the file.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

word_values! {
    AuthMode {
        "" => AuthMode::Unset,
        "none" => AuthMode::None,
        "jwt" => AuthMode::Jwt,
        "webhook" => AuthMode::Webhook,
    }
    Algorithm {
        "HS256" => Algorithm::Hs256,
        "RS256" => Algorithm::Rs256,
        "ES256" => Algorithm::Es256,
        "EdDSA" => Algorithm::EdDsa,
    }
    LogLevel {
        "off" => LogLevel::Off,
        "error" => LogLevel::Error,
        "warn" => LogLevel::Warn,
        "info" => LogLevel::Info,
        "debug" => LogLevel::Debug,
        "trace" => LogLevel::Trace,
    }
    LogFormat {
        "text" => LogFormat::Text,
        "json" => LogFormat::Json,
    }
}
