//! What a run found out: the schema of `--json`, and all that tables, pages and comparisons are made of.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::hist::Hist;
use crate::scenario::Scenario;
use crate::talk::{Counts, Failures};

mod finite;

/// Name and version of the schema. Fields may be added; a renamed or removed one changes the number.
pub const SCHEMA: &str = "epush-loadgen/1";

/// A run's result. Times are nanoseconds, sizes bytes, unless a name says otherwise.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// [`SCHEMA`].
    pub schema: String,
    /// The tool's version.
    pub version: String,
    /// Milliseconds since 1970.
    pub started_ms: u64,
    /// From the first connection to the report.
    pub duration_ms: u64,
    /// Length of the steady phase as it was.
    pub steady_ms: u64,
    /// Messages that were delivered while the steady phase lasted.
    pub delivered_steady: u64,
    /// How it ended.
    pub ended: Ended,
    /// When the steady phase ended, the server had closed or refused every client.
    #[serde(default)]
    pub nobody_left: bool,
    /// Where it ran.
    pub machine: Machine,
    /// What was asked for, flags applied.
    pub scenario: Scenario,
    /// What was counted, over all clients.
    pub counts: Counts,
    /// Sessions that got ready before the steady phase.
    #[serde(default)]
    pub opened: Opening,
    /// From when a message was due to its arrival.
    pub latency: Hist,
    /// From when it was really written.
    pub latency_uncorrected: Hist,
    /// From when a connection was due to when it was ready.
    pub connect: Hist,
    /// Between a message's first and last receiver.
    pub skew: Hist,
    /// Periodic pushes: how late they were.
    pub jitter: Hist,
    /// Publishing.
    pub publishing: Publishing,
    /// Kinds of failures.
    pub failures: Vec<Failures>,
    /// Whether sent = received + gaps + lost, and the bytes read are those of the frames.
    pub balance: Balance,
    /// The tool's own side.
    pub client: ClientSide,
    /// The server's side, where it was watched.
    pub server: Option<ServerSide>,
    /// What the server's metrics page said, where it was scraped: before, and after.
    pub metrics: Option<Metrics>,
    /// One entry a second.
    pub timeline: Vec<Tick>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// As planned.
    Complete,
    /// By Ctrl-C.
    Interrupted,
}

/// Where it ran.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Kernel name and release.
    pub kernel: String,
    /// Model of the processor.
    pub processor: String,
    /// Processors this process may use.
    pub processors: usize,
    /// All memory.
    pub memory_bytes: u64,
    /// Descriptors a process may have.
    pub descriptors_max: u64,
}

/// How the sessions of the ramp got ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// How many.
    pub count: u64,
    /// From when the first was due to when the last was ready, nanoseconds.
    pub took_ns: u64,
}

/// What publishers did.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Publishing {
    /// Messages that were due.
    pub published: u64,
    /// Of these, not taken by the server.
    pub refused: u64,
    /// How much later than due they were written.
    pub slip: Hist,
    /// Most bytes that waited for a socket.
    pub backlog_bytes_max: u64,
    /// From writing a publication to the server's answer, where there is one.
    pub answered: Hist,
    /// Messages a second, as it was.
    #[serde(deserialize_with = "finite::number")]
    pub per_s: f64,
}

/// Checks that must hold, whatever the server does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// Expected = received + gaps + lost.
    pub messages: bool,
    /// Bytes read = heads + frames + begun frames, and payload bytes = messages × their size.
    pub bytes: bool,
    /// What does not agree, in words.
    pub disagreements: Vec<String>,
}

/// The tool's own side.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ClientSide {
    /// Processor time of all its processes from the beginning of the steady phase until everything had arrived.
    pub cpu_steady_ns: u64,
    /// Of these, the workers', which receive.
    pub receive_cpu_steady_ns: u64,
    /// Messages and periodic pushes that were delivered in the same time, each once: what processor time of either side is
    /// divided by.
    #[serde(default)]
    pub deliveries_steady: u64,
    /// The busiest thread's share of a processor in its busiest second, 0 to 1.
    #[serde(deserialize_with = "finite::number")]
    pub busiest_share: f64,
    /// How late timers and publishers were.
    pub slip: Hist,
    /// Resident memory a connection when all were open, the processes' own share taken off.
    pub bytes_per_connection: Option<f64>,
    /// Why the numbers measure the tool and not the server; empty when they do not.
    pub bottleneck: Vec<String>,
    /// What else to know when reading them: a tool that was busy where nothing was due at a time; empty when nothing was noticed.
    #[serde(default)]
    pub remarks: Vec<String>,
}

/// The server's side.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ServerSide {
    /// Its process.
    pub pid: u32,
    /// Processor time from the beginning of the steady phase until everything had arrived, its children included.
    pub cpu_steady_ns: u64,
    /// The same over the ramp.
    pub cpu_ramp_ns: u64,
    /// The same in microseconds for each of [`ClientSide::deliveries_steady`].
    pub cpu_us_per_delivery: Option<f64>,
    /// Microseconds of processor for each connection of the ramp.
    pub cpu_us_per_connection: Option<f64>,
    /// Before the first connection.
    pub before: Memory,
    /// With all connections open, before the steady phase.
    pub open: Memory,
    /// After the steady phase.
    pub after: Memory,
    /// Growth of resident memory from `before` to `open` for each connection.
    pub bytes_per_connection: Option<f64>,
}

/// A process's memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Resident.
    pub rss_bytes: u64,
    /// Resident, what is shared divided among those who share.
    pub pss_bytes: u64,
    /// Of the whole machine's sockets: TCP memory of the kernel.
    pub socket_bytes: u64,
}

/// A metrics page, twice.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Metrics {
    /// Samples by name with labels.
    #[serde(deserialize_with = "finite::samples")]
    pub before: BTreeMap<String, f64>,
    /// Samples by name with labels.
    #[serde(deserialize_with = "finite::samples")]
    pub after: BTreeMap<String, f64>,
    /// Scrapes that failed.
    pub failed: u64,
}

/// A second of the run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tick {
    /// Its end, from the start of the run.
    pub at_ms: u64,
    /// The phase.
    pub phase: Phase,
    /// Ready connections now.
    pub connections: u64,
    /// Made ready in this second.
    pub connected: u64,
    /// Failed or closed by the server in this second.
    pub failed: u64,
    /// Messages published, or sent by clients.
    pub published: u64,
    /// Messages that were delivered: what came again, or is in doubt, is not counted.
    pub delivered: u64,
    /// Bytes that arrived.
    pub bytes: u64,
    /// Latency of what arrived in this second, corrected.
    pub p50_ns: u64,
    /// 99th percentile.
    pub p99_ns: u64,
    /// The worst.
    pub max_ns: u64,
    /// Processors the tool used.
    #[serde(deserialize_with = "finite::number")]
    pub client_cpu: f64,
    /// Processors the server used, where it is watched.
    pub server_cpu: Option<f64>,
    /// Resident memory of the server, where it is watched.
    pub server_rss_bytes: Option<u64>,
    /// Samples of the metrics page in this second, where it is scraped: those whose value changed.
    #[serde(default, deserialize_with = "finite::samples", skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, f64>,
}

/// Where a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Connections are opened.
    #[default]
    Ramp,
    /// Measuring.
    Steady,
    /// Waiting for what is still on its way.
    Drain,
    /// Connections are closed.
    RampDown,
}
