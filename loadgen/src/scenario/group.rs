//! Clients that do the same: who they are, what they do beside listening, how they read.

use serde::{Deserialize, Serialize};

/// Clients that do the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// For the report.
    #[serde(default)]
    pub name: String,
    /// How many.
    pub clients: u32,
    /// Opened so many a second. Not set: evenly over `phases.ramp_ms`. 0: as fast as the server takes them.
    #[serde(default)]
    pub connect_per_s: Option<f64>,
    /// Who they are: `{client}` is the client's number in the whole run, from 0.
    #[serde(default = "default_user")]
    pub user: String,
    /// Channels each of them subscribes to. `{client}` as above, `{client%N}` its remainder.
    #[serde(default)]
    pub channels: Vec<String>,
    /// What they do beside listening.
    #[serde(default)]
    pub activity: Activity,
    /// How they read.
    #[serde(default)]
    pub reader: Reader,
    /// So many of the group's sessions a second leave and come again, oldest first.
    #[serde(default)]
    pub churn_per_s: f64,
}

/// What a client does beside listening. Rates are for each client; its payload is `payload_bytes` long.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Activity {
    /// Nothing.
    #[default]
    Listen,
    /// Sends to a server that sends it back.
    Echo {
        /// Messages a second of each client, due on a schedule. 0: the next when the answer to the last is there.
        rate_per_s: f64,
        /// Unanswered messages a client may have; one that is due beyond waits, and its latency counts from when it was due. 0: any number.
        #[serde(default)]
        in_flight: u32,
        /// Bytes of each.
        payload_bytes: usize,
        /// Binary messages instead of text.
        #[serde(default)]
        binary: bool,
    },
    /// Sends to its neighbour: clients 0 and 1 of the group to each other, 2 and 3, and so on.
    Peer {
        /// Messages a second of each client.
        rate_per_s: f64,
        /// Bytes of each.
        payload_bytes: usize,
    },
    /// Asks the server for a periodic push; its arrivals are compared with when they were due.
    Every {
        /// Between two of them.
        interval_ms: u64,
        /// The server's name for it.
        #[serde(default = "default_job")]
        job: String,
    },
}

/// How a client reads.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Reader {
    /// At once.
    #[default]
    Prompt,
    /// This share of the group reads nothing for `stall_ms` out of every `period_ms`.
    Stall {
        /// 0 to 1.
        share: f64,
        /// Length of a period.
        period_ms: u64,
        /// Its part without reading; the same as the period: never reads once it is ready.
        stall_ms: u64,
    },
    /// This share of the group reads so slowly.
    Slow {
        /// 0 to 1.
        share: f64,
        /// Bytes it takes a second.
        bytes_per_s: u64,
    },
}

fn default_user() -> String {
    String::from("user-{client}")
}

fn default_job() -> String {
    String::from("time")
}
