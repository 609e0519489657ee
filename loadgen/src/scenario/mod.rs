//! What to do to which server: the scenario file.
//!
//! Every table refuses keys it does not know. What a value may be is checked in [`check`].

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::dialect::Dialect;

pub use group::{Activity, Group, Reader};
pub use publisher::{Pace, Publisher, To, Via};

pub mod builtin;
pub mod check;
mod entries;
pub mod file;
mod group;
mod publisher;
pub mod source;
pub mod url;
pub(crate) mod words;

/// A whole scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Short name, for titles. Not set: the file's.
    #[serde(default)]
    pub name: String,
    /// What it shows, in a sentence.
    #[serde(default)]
    pub about: String,
    /// The server.
    #[serde(default)]
    pub target: Target,
    /// How long each phase lasts.
    #[serde(default)]
    pub phases: Phases,
    /// The tool's own shape.
    #[serde(default)]
    pub tool: Tool,
    /// The clients.
    #[serde(default, rename = "group")]
    pub groups: Vec<Group>,
    /// Who publishes.
    #[serde(default, rename = "publisher")]
    pub publishers: Vec<Publisher>,
    /// The words of the server, instead of a ready dialect named by `target.dialect`.
    #[serde(default)]
    pub dialect: Option<Dialect>,
}

/// The server to measure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Target {
    /// `ws://` or `wss://`; `{user}` and `{client}` are replaced. Where it names no path, the dialect's is used.
    pub url: String,
    /// `http://` or `https://`, where publications are posted, when the dialect publishes by HTTP.
    pub api: Option<String>,
    /// A ready dialect's name, or the path of a file with one.
    pub dialect: String,
    /// Header lines added to every handshake and every publication.
    pub headers: BTreeMap<String, String>,
    /// Accept any certificate.
    pub insecure: bool,
    /// PEM file of the authority that signed the server's certificate. Default: the system's.
    pub ca_file: Option<PathBuf>,
    /// The server's process, on this machine: its processor time and memory are sampled.
    pub pid: Option<u32>,
    /// A Prometheus page to scrape before, during and after.
    pub metrics: Option<String>,
}

/// How long each phase lasts, in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Phases {
    /// Connections are opened evenly over this time, where the group says no rate of its own.
    pub ramp_ms: u64,
    /// What is measured happens here.
    pub steady_ms: u64,
    /// Connections are closed evenly over this time.
    pub ramp_down_ms: u64,
    /// After the steady phase, messages still on their way are waited for at most this long.
    pub drain_ms: u64,
    /// The longest a connection may take until it is ready: it counts as failed then.
    pub connect_timeout_ms: u64,
}

/// The tool's own shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tool {
    /// Worker threads of each process. 0: half the processors, at least one.
    pub workers: usize,
    /// Processes the clients are spread over. 1: all in this one.
    pub processes: usize,
    /// Source addresses to connect from, in turn: addresses, or networks such as `127.0.0.0/8`. Empty: the system chooses.
    pub source_addresses: Vec<String>,
}

impl Default for Target {
    fn default() -> Self {
        Self {
            url: String::from("ws://127.0.0.1:7000"),
            api: None,
            dialect: String::from("epush"),
            headers: BTreeMap::new(),
            insecure: false,
            ca_file: None,
            pid: None,
            metrics: None,
        }
    }
}

impl Default for Phases {
    fn default() -> Self {
        Self { ramp_ms: 2_000, steady_ms: 10_000, ramp_down_ms: 0, drain_ms: 5_000, connect_timeout_ms: 10_000 }
    }
}

impl Default for Tool {
    fn default() -> Self {
        Self { workers: 0, processes: 1, source_addresses: Vec::new() }
    }
}
