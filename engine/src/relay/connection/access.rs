//! What is needed to get into Redis: the URL and the certificates, read once.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use rustls::ClientConfig;

use super::tls;
use crate::config::ClusterConfig;
use crate::relay::url::{RedisUrl, UrlError};

/// See the module. Clones share everything.
#[derive(Clone, Debug)]
pub struct Access {
    url: Arc<RedisUrl>,
    tls: Option<Arc<ClientConfig>>,
    timeout: Duration,
    name: Arc<str>,
}

/// Why the configuration does not get anybody into any Redis: a sentence that begins with its key.
#[derive(Debug)]
pub enum AccessError {
    /// `cluster.redis` is not set.
    None,
    /// `cluster.redis` is no URL.
    Url(UrlError),
    /// A file cannot be read, or does not hold what it should.
    File {
        /// The key that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Two keys that belong together, or certificates that do not.
    Certificates(String),
}

impl Access {
    /// Reads the certificates of a `rediss` URL. Blocks on the file system.
    ///
    /// # Errors
    /// See [`AccessError`].
    pub fn new(config: &ClusterConfig) -> Result<Self, AccessError> {
        let url = config.redis.as_ref().ok_or(AccessError::None)?;
        let url = RedisUrl::parse(url.expose()).map_err(AccessError::Url)?;
        let tls = url.tls.then(|| tls::load(config)).transpose()?;
        let timeout = Duration::from_millis(config.timeout_ms);
        Ok(Self { url: Arc::new(url), tls, timeout, name: "epush".into() })
    }

    /// What Redis shows this node's connections as, in `CLIENT LIST`: `epush-` and this.
    #[must_use]
    pub fn named(mut self, node: &str) -> Self {
        // Redis takes visible ASCII letters only.
        let node: String = node.chars().map(|letter| if letter.is_ascii_graphic() { letter } else { '-' }).collect();
        self.name = format!("epush-{node}").into();
        self
    }

    /// Where Redis is.
    #[must_use]
    pub fn url(&self) -> &RedisUrl {
        &self.url
    }

    pub(super) fn tls(&self) -> Option<&Arc<ClientConfig>> {
        self.tls.as_ref()
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

impl AccessError {
    pub(super) fn file(key: &'static str, path: &Path, why: impl fmt::Display) -> Self {
        Self::File { key, path: path.to_owned(), why: why.to_string() }
    }
}

impl fmt::Display for AccessError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => out.write_str("cluster.redis: is not set"),
            Self::Url(why) => write!(out, "cluster.redis: {why}"),
            Self::File { key, path, why } => write!(out, "{key}: {}: {why}", path.display()),
            Self::Certificates(why) => out.write_str(why),
        }
    }
}

impl std::error::Error for AccessError {}

impl From<AccessError> for io::Error {
    fn from(error: AccessError) -> Self {
        Self::new(io::ErrorKind::InvalidInput, error)
    }
}
