//! What is wrong with a configuration, and where it stands written.
//!
//! Knows no key and no layer.

use std::fmt;
use std::sync::Arc;

/// Where a value came from.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Origin {
    /// Nowhere: it is the default, or a program set it.
    Program,
    /// A line of a file, counted from 1; 0: the file as a whole.
    File {
        /// As the user named it.
        path: Arc<str>,
        /// Counted from 1.
        line: usize,
    },
    /// An environment variable.
    Environment(String),
    /// A flag, with its dashes.
    Flag(String),
}

/// One thing that is wrong.
///
/// Displays as `file:line: key: why`, `EPUSH_SECTION_KEY: why`, or `--flag: why`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ConfigError {
    pub(crate) origin: Origin,
    pub(crate) key: String,
    pub(crate) why: String,
}

impl ConfigError {
    pub(crate) fn new(origin: Origin, key: impl Into<String>, why: impl Into<String>) -> Self {
        Self { origin, key: key.into(), why: why.into() }
    }

    /// The key it is about, such as `limits.connections`.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What is wrong with it.
    #[must_use]
    pub fn why(&self) -> &str {
        &self.why
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, key, why } = self;
        match origin {
            Origin::Program => write!(out, "{key}: {why}"),
            Origin::File { path, line: 0 } => write!(out, "{path}: {why}"),
            Origin::File { path, line } => write!(out, "{path}:{line}: {key}: {why}"),
            Origin::Environment(name) | Origin::Flag(name) => write!(out, "{name}: {why}"),
        }
    }
}

/// All that is wrong with a configuration, one line each.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigErrors {
    /// Invariant: not empty.
    errors: Vec<ConfigError>,
}

impl ConfigErrors {
    /// `Err` when there is an error; file lines come first and in order, then the environment, then flags.
    pub(crate) fn none_of(mut errors: Vec<ConfigError>) -> Result<(), Self> {
        errors.sort();
        errors.dedup();
        if errors.is_empty() { Ok(()) } else { Err(Self { errors }) }
    }

    /// The errors, at least one.
    #[must_use]
    pub fn all(&self) -> &[ConfigError] {
        &self.errors
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, error) in self.errors.iter().enumerate() {
            if at > 0 {
                out.write_str("\n")?;
            }
            write!(out, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
