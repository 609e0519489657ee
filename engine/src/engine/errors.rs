//! Why an engine did not start, reload or end as it was asked to.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use crate::auth::AuthError;
use crate::config::ConfigErrors;
use crate::webhook::WebhookError;

/// Why an engine did not start. Nothing of it is left running.
#[derive(Debug)]
pub enum StartError {
    /// The configuration is invalid.
    Config(ConfigErrors),
    /// The template of a job is wrong.
    Job(String),
    /// The keys cannot be used.
    Auth(AuthError),
    /// The API keys cannot be read.
    ApiKeys(io::Error),
    /// The worker pool cannot start.
    Webhook(WebhookError),
    /// The URL of Redis, or a certificate for it, cannot be used.
    Relay(String),
    /// An address cannot be listened on.
    Listen {
        /// The config key.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The system refused a poll or a thread.
    System(io::Error),
}

impl StartError {
    /// Whether the configuration is at fault, and not the machine.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Config(_) | Self::Job(_) | Self::Auth(_) | Self::ApiKeys(_) | Self::Webhook(_) | Self::Relay(_)
        )
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(errors) => write!(out, "{errors}"),
            Self::Job(why) | Self::Relay(why) => out.write_str(why),
            Self::Auth(error) => write!(out, "{error}"),
            Self::ApiKeys(error) => write!(out, "{error}"),
            Self::Webhook(error) => write!(out, "{error}"),
            Self::Listen { key, address, source } => write!(out, "{key}: cannot listen on {address}: {source}"),
            Self::System(error) => write!(out, "the system refused a thread or its poll: {error}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Listen { source, .. } => Some(source),
            Self::ApiKeys(error) | Self::System(error) => Some(error),
            Self::Auth(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

/// Why a configuration was not put into force. Nothing has changed.
#[derive(Debug)]
pub enum ReloadError {
    /// It is invalid.
    Config(ConfigErrors),
    /// The keys cannot be used.
    Auth(AuthError),
    /// The API keys cannot be read.
    ApiKeys(io::Error),
}

impl fmt::Display for ReloadError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(errors) => write!(out, "{errors}"),
            Self::Auth(error) => write!(out, "{error}"),
            Self::ApiKeys(error) => write!(out, "{error}"),
        }
    }
}

impl std::error::Error for ReloadError {}

/// Clients were left when the time of a drain was over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DrainError {
    /// How many sessions were cut off.
    pub sessions_left: usize,
}

impl fmt::Display for DrainError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} sessions were left when the time was over", self.sessions_left)
    }
}

impl std::error::Error for DrainError {}
