//! Who a client is: tokens and the rule of the handshake.
//!
//! Keys are read from files when an [`Auth`] is built, at start and on SIGHUP, never on a reactor; checking a
//! token is pure computation. Knows nothing of connections, threads and webhooks.

mod claims;
mod decide;
#[cfg(test)]
mod fixtures;
mod keys;
#[cfg(test)]
mod tests;

use std::fmt;

use epush_core::error::{ErrorCode, Refusal};
use epush_core::mail::Identity;

use self::claims::ClaimRules;
use self::keys::KeyRing;
use crate::config::AuthMode;

pub(crate) use self::claims::{channels_of, object_of, user_of};

/// Bytes of one token. A request head has 16 KiB in all, and identity providers stay under 4 KiB; longer text is
/// refused before it costs any decoding.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// Section `[auth]` of the config, as far as it decides who a client is. An empty text means "not set".
#[derive(Clone, Default)]
pub struct AuthSetup {
    /// Where the identity comes from.
    pub mode: AuthMode,
    /// Accepted signature algorithms: `HS256`, `RS256`, `ES256`, `EdDSA`.
    pub algorithms: Vec<String>,
    /// The shared secret of HS256.
    pub secret: String,
    /// A PEM file with one public key; where HS256 is the only algorithm, a file with the raw secret.
    pub key_file: String,
    /// A file with a JSON Web Key Set.
    pub jwks_file: String,
    /// What `iss` must be.
    pub issuer: String,
    /// What `aud` must be or contain.
    pub audience: String,
    /// Clock difference allowed to `exp` and `nbf`, in seconds.
    pub leeway_seconds: u64,
    /// Whether, with tokens required to be somebody, a client may stay nobody.
    pub anonymous: bool,
}

/// Decides who a client is. Immutable: a reload builds a new one.
pub struct Auth {
    mode: AuthMode,
    keys: KeyRing,
    rules: ClaimRules,
    anonymous: bool,
}

impl Auth {
    /// Reads the keys. Blocks on the file system.
    ///
    /// # Errors
    ///
    /// An algorithm is unknown, a key file cannot be read or holds no usable key, a key is given whose algorithm is
    /// not accepted, or `jwt` is asked for without any key.
    pub fn load(setup: &AuthSetup) -> Result<Self, AuthError> {
        let keys = KeyRing::load(setup)?;
        if setup.mode == AuthMode::Jwt && keys.is_empty() {
            return Err(AuthError::NoKey);
        }
        let rules = ClaimRules::new(&setup.issuer, &setup.audience, setup.leeway_seconds);
        Ok(Self { mode: setup.mode, keys, rules, anonymous: setup.anonymous })
    }

    /// Whether a token can be checked at all: some key is configured.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Whether what [`Auth::decide`] accepts must still be asked about by webhook.
    #[must_use]
    pub fn asks_webhook(&self) -> bool {
        self.mode == AuthMode::Webhook
    }

    /// Checks a token: signature, `exp`, `nbf`, `iss`, `aud`, and that its claims make an identity.
    ///
    /// # Errors
    ///
    /// What to tell the client, always `unauthorized`. The text helps whoever made the token and tells nothing
    /// about the keys.
    pub fn verify(&self, token: &str, now_unix_ms: u64) -> Result<Identity, Refusal> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(unauthorized("the token is longer than 8192 bytes"));
        }
        let claims = self.keys.open(token)?;
        self.rules.identify(claims, now_unix_ms)
    }
}

fn unauthorized(message: &'static str) -> Refusal {
    Refusal::new(ErrorCode::Unauthorized, message)
}

/// Why the keys cannot be used. The text names the config key and never the secret.
#[derive(Debug)]
pub enum AuthError {
    /// `auth.algorithms` names something else than the four.
    UnknownAlgorithm(String),
    /// A key file cannot be read.
    Unreadable {
        /// The config key that names it.
        key: &'static str,
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A key file holds no key that can be used.
    BadKey {
        /// The config key that names it.
        key: &'static str,
        /// Which.
        path: String,
        /// Why.
        why: &'static str,
    },
    /// A key is for an algorithm that `auth.algorithms` does not accept: one of the two is a mistake.
    NotAccepted {
        /// The config key that gave it.
        key: &'static str,
        /// What it is for.
        algorithm: &'static str,
    },
    /// Mode `jwt` without a secret, a key file or a key set.
    NoKey,
}

impl fmt::Display for AuthError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownAlgorithm(name) => {
                write!(out, "auth.algorithms: {name:?} is none of HS256, RS256, ES256, EdDSA")
            }
            Self::Unreadable { key, path, source } => write!(out, "{key}: {path}: {source}"),
            Self::BadKey { key, path, why } => write!(out, "{key}: {path}: {why}"),
            Self::NotAccepted { key, algorithm } => {
                write!(out, "{key} is a key for {algorithm}, which auth.algorithms does not accept")
            }
            Self::NoKey => {
                out.write_str("auth.mode is \"jwt\": auth.secret, auth.key_file or auth.jwks_file must be set")
            }
        }
    }
}

impl std::error::Error for AuthError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreadable { source, .. } => Some(source),
            _ => None,
        }
    }
}
