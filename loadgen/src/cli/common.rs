//! The flags of every run: the server, the phases, the tool's shape, the results.

use std::path::PathBuf;

use clap::Args;
use epush_loadgen::scenario::Scenario;
use epush_loadgen::scenario::url::Url;

use super::lay::{Flags, Laid};
use super::values;

/// The flags of every run.
#[derive(Args, Debug, Clone, Default)]
pub struct Common {
    #[command(flatten)]
    target: TargetFlags,
    #[command(flatten)]
    load: LoadFlags,
    /// Where results go.
    #[command(flatten)]
    pub output: Output,
}

/// Which server, and how to reach it.
#[derive(Args, Debug, Clone, Default)]
#[command(next_help_heading = "Server")]
struct TargetFlags {
    /// Where clients connect: ws:// or wss://; {user} and {client} in it are replaced
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Where publications are posted: http:// or https:// [default: the scenario's, on the host of --url]
    #[arg(long, value_name = "URL")]
    api: Option<String>,
    /// The server's words: a name from `epush-loadgen dialects`, or a file
    #[arg(long, value_name = "NAME|FILE")]
    dialect: Option<String>,
    /// A line for every handshake and publication, as in 'Authorization: Bearer x'; repeatable
    #[arg(long, value_name = "'NAME: VALUE'", value_parser = values::header)]
    header: Vec<(String, String)>,
    /// Accept any certificate
    #[arg(long)]
    insecure: bool,
    /// PEM file of the authority that signed the server's certificate [default: the system's]
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    ca_file: Option<PathBuf>,
    /// The server's process on this machine: samples its processor time and memory
    #[arg(long, value_name = "PID")]
    pid: Option<u32>,
    /// A Prometheus page to scrape before, during and after
    #[arg(long, value_name = "URL")]
    metrics: Option<String>,
}

/// How much, how long, from where.
#[derive(Args, Debug, Clone, Default)]
#[command(next_help_heading = "Load")]
struct LoadFlags {
    /// Clients of all groups together
    #[arg(long, value_name = "N")]
    clients: Option<u32>,
    /// Connections a second, all groups together; 0: as fast as the server takes them
    #[arg(long, value_name = "PER_S")]
    connect_rate: Option<f64>,
    /// Time over which connections are opened, without --connect-rate
    #[arg(long, value_name = "TIME", value_parser = values::milliseconds, conflicts_with = "connect_rate")]
    ramp: Option<u64>,
    /// Time that is measured, as in 10s
    #[arg(long, value_name = "TIME", value_parser = values::milliseconds)]
    steady: Option<u64>,
    /// Time over which connections are closed
    #[arg(long, value_name = "TIME", value_parser = values::milliseconds)]
    ramp_down: Option<u64>,
    /// Longest wait for messages still on their way at the end
    #[arg(long, value_name = "TIME", value_parser = values::milliseconds)]
    drain: Option<u64>,
    /// Longest a connection may take until it is ready
    #[arg(long, value_name = "TIME", value_parser = values::milliseconds)]
    connect_timeout: Option<u64>,
    /// Worker threads of each process; 0: half the processors
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// Processes the clients are spread over: each has descriptors of its own
    #[arg(long, value_name = "N")]
    processes: Option<usize>,
    /// Address or network to connect from, as in 127.0.0.0/8; repeatable, taken in turn
    #[arg(long, value_name = "ADDRESS|NETWORK")]
    source: Vec<String>,
}

/// Where results go, and what they have to be.
#[derive(Args, Debug, Clone, Default)]
#[command(next_help_heading = "Results")]
pub struct Output {
    /// Writes the result as JSON; - prints it instead of the table
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Writes the result as a page with charts that needs no network
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// What must hold, as in 'p99<5ms,lost=0': exit code 3 when it does not
    #[arg(long, value_name = "CONDITIONS")]
    pub expect: Option<String>,
    /// A line a second instead of the live screen
    #[arg(long)]
    pub plain: bool,
    /// No screen, no lines, no table: only what goes wrong
    #[arg(long, short)]
    pub quiet: bool,
}

impl Flags for Common {
    fn lay(&self, laid: &mut Laid) {
        self.target.lay(laid);
        self.load.lay(laid);
    }
}

impl Flags for TargetFlags {
    fn lay(&self, laid: &mut Laid) {
        laid.set(&self.dialect, "--dialect", "target.dialect", |scenario| &mut scenario.target.dialect);
        if self.dialect.is_some() {
            // The scenario's own words would win over the name.
            laid.scenario.dialect = None;
        }
        let moved = self.moved_api(&laid.scenario);
        laid.set(&self.url, "--url", "target.url", |scenario| &mut scenario.target.url);
        laid.set_optional(&moved, "--url", "target.api", |scenario| &mut scenario.target.api);
        laid.set_optional(&self.api, "--api", "target.api", |scenario| &mut scenario.target.api);
        laid.set_optional(&self.ca_file, "--ca-file", "target.ca_file", |scenario| &mut scenario.target.ca_file);
        laid.set_optional(&self.pid, "--pid", "target.pid", |scenario| &mut scenario.target.pid);
        laid.set_optional(&self.metrics, "--metrics", "target.metrics", |scenario| &mut scenario.target.metrics);
        laid.scenario.target.insecure |= self.insecure;
        for (name, value) in &self.header {
            laid.source.flag(format!("target.headers.{name}"), "--header");
            laid.scenario.target.headers.insert(name.clone(), value.clone());
        }
    }
}

impl TargetFlags {
    /// Where publications go when `--url` names another server and nobody says `--api`: never to the server before.
    fn moved_api(&self, scenario: &Scenario) -> Option<String> {
        let api = Url::http(scenario.target.api.as_ref()?).ok()?;
        let before = Url::websocket(&scenario.target.url).ok()?;
        let url = Url::websocket(self.url.as_ref().unwrap_or(&scenario.target.url)).ok()?;
        let scheme = String::from(if url.is_secure() { "https" } else { "http" });
        // Other servers than epush take publications where clients connect.
        let other_server = self.dialect.as_ref().is_some_and(|dialect| dialect != "epush");
        if other_server {
            return Some(Url { scheme, path: String::new(), ..url }.to_string());
        }
        (api.host == before.host && self.url.is_some()).then(|| Url { scheme, host: url.host, ..api }.to_string())
    }
}

impl Flags for LoadFlags {
    fn lay(&self, laid: &mut Laid) {
        if let Some(clients) = self.clients {
            laid.share_clients(clients);
        }
        if let Some(rate) = self.connect_rate {
            laid.share_connect_rate(rate);
        }
        if self.ramp.is_some() {
            laid.scenario.groups.iter_mut().for_each(|group| group.connect_per_s = None);
        }
        laid.set(&self.ramp, "--ramp", "phases.ramp_ms", |scenario| &mut scenario.phases.ramp_ms);
        laid.set(&self.steady, "--steady", "phases.steady_ms", |scenario| &mut scenario.phases.steady_ms);
        laid.set(&self.ramp_down, "--ramp-down", "phases.ramp_down_ms", |scenario| &mut scenario.phases.ramp_down_ms);
        laid.set(&self.drain, "--drain", "phases.drain_ms", |scenario| &mut scenario.phases.drain_ms);
        let timeout = "phases.connect_timeout_ms";
        laid.set(&self.connect_timeout, "--connect-timeout", timeout, |scenario| {
            &mut scenario.phases.connect_timeout_ms
        });
        laid.set(&self.workers, "--workers", "tool.workers", |scenario| &mut scenario.tool.workers);
        laid.set(&self.processes, "--processes", "tool.processes", |scenario| &mut scenario.tool.processes);
        if !self.source.is_empty() {
            laid.source.flag("tool.source_addresses", "--source");
            laid.scenario.tool.source_addresses.clone_from(&self.source);
        }
    }
}
