//! The sections of the configuration: every key, its type and its default.
//!
//! `config/epush.toml` explains each key to the operator; a test holds the two together.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use epush_core::network::Network;
use epush_core::settings::{Audience, OnSlow};

use super::section::section;
use super::template::TemplateValue;
use super::value::Secret;
use super::words::{Algorithm, AuthMode, LogFormat, LogLevel};

/// The whole configuration of a node.
///
/// `Config::default()` is what `epush` runs with when nothing is configured.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Config {
    /// Listeners and the node itself.
    pub server: ServerConfig,
    /// The control API.
    pub api: ApiConfig,
    /// Who clients are.
    pub auth: AuthConfig,
    /// Questions to the application.
    pub webhook: WebhookConfig,
    /// Every bound that an operator may move.
    pub limits: LimitsConfig,
    /// Sessions of users.
    pub sessions: SessionsConfig,
    /// Rules of the channels that no namespace has rules for.
    pub channels: ChannelsConfig,
    /// Rules by namespace: the part of a channel's name before the first `.`.
    ///
    /// A key that a namespace leaves out has the value of [`Config::channels`].
    pub namespaces: BTreeMap<String, ChannelsConfig>,
    /// Clients sending to users.
    pub send: SendConfig,
    /// Periodic pushes that clients may ask for with `every`.
    pub jobs: BTreeMap<String, JobConfig>,
    /// The end.
    pub drain: DrainConfig,
    /// What is written to stderr.
    pub log: LogConfig,
    /// Other nodes.
    pub cluster: ClusterConfig,
}

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

section! {
    /// `[server]`: listeners and the node itself.
    pub struct ServerConfig {
        /// Address of the client listener; port 0: any free one.
        pub listen: SocketAddr = loopback(7000),
        /// Address of the control API; port 0: any free one.
        pub api: SocketAddr = loopback(7001),
        /// Sub-reactor threads; 0: one per core.
        pub reactors: usize = 0,
        /// The node's name; none: the host's name and a random suffix.
        pub node: Option<String> = None,
        /// Path of the native endpoint.
        pub path: String = "/msg".into(),
        /// Whether `/echo` is served.
        pub echo: bool = false,
        /// Origins that browsers may connect from; empty: any.
        pub origins: Vec<String> = Vec::new(),
        /// Peers whose `X-Forwarded-For` and PROXY headers are believed.
        pub trusted_proxies: Vec<Network> = Vec::new(),
        /// Whether trusted peers open every connection with a PROXY protocol v2 header.
        pub proxy_protocol: bool = false,
        /// Connections the kernel keeps until they are accepted.
        pub backlog: u32 = 4096,
        /// `SO_SNDBUF` of client sockets; 0: the kernel's own sizing.
        pub send_buffer_bytes: usize = 0,
    }
}

section! {
    /// `[api]`: the control API.
    pub struct ApiConfig {
        /// Keys that callers may present as `Authorization: Bearer`.
        pub keys: Vec<Secret> = Vec::new(),
        /// File with further keys, one a line; see [`ApiConfig::read_keys`].
        pub keys_file: Option<PathBuf> = None,
        /// Whether an API listener that is not loopback may do without keys.
        pub open: bool = false,
        /// Bytes of one request body, and of one line of a batch.
        pub body_bytes_max: usize = 1024 * 1024,
        /// Idempotency keys that are remembered.
        pub idempotency_keys_max: usize = 100_000,
        /// How long they are remembered, in seconds.
        pub idempotency_seconds: u64 = 300,
        /// Schedules on this node.
        pub schedules_max: usize = 1_000,
    }
}

section! {
    /// `[auth]`: who clients are.
    pub struct AuthConfig {
        /// How clients prove it.
        pub mode: AuthMode = AuthMode::Unset,
        /// Algorithms a token may be signed with.
        pub algorithms: Vec<Algorithm> = vec![Algorithm::Hs256],
        /// The shared secret of HS256.
        pub secret: Option<Secret> = None,
        /// PEM file with the public key of RS256, ES256 or EdDSA; or the raw secret of HS256.
        pub key_file: Option<PathBuf> = None,
        /// JSON Web Key Set; a token chooses by `kid`.
        pub jwks_file: Option<PathBuf> = None,
        /// What `iss` must be; none: anything.
        pub issuer: Option<String> = None,
        /// What `aud` must contain; none: anything.
        pub audience: Option<String> = None,
        /// Clock difference that `exp` and `nbf` forgive, in seconds.
        pub leeway_seconds: u64 = 0,
        /// Whether a client without a token gets an anonymous session where the mode is `jwt`.
        pub anonymous: bool = false,
        /// From the upgrade to `hello`, in ms.
        pub sign_in_timeout_ms: u64 = 10_000,
    }
}

section! {
    /// `[webhook]`: questions to the application.
    pub struct WebhookConfig {
        /// Where every handshake is asked about, with `auth.mode = "webhook"`.
        pub handshake_url: Option<String> = None,
        /// Where a client's `ask` goes; none: to the embedder's handler.
        pub ask_url: Option<String> = None,
        /// From the call to its whole answer, in ms.
        pub timeout_ms: u64 = 5_000,
        /// Threads that call: as many calls are under way at once.
        pub workers: usize = 4,
        /// Calls that may wait for a thread.
        pub queue_max: usize = 1_024,
        /// The `Authorization` header of the calls.
        pub authorization: Option<Secret> = None,
    }
}

section! {
    /// `[limits]`: every bound that an operator may move.
    pub struct LimitsConfig {
        /// Client connections of the node.
        pub connections: usize = 100_000,
        /// Client connections of one address; 0: no limit.
        pub connections_per_ip: usize = 0,
        /// Connections to the control API.
        pub api_connections: usize = 1_000,
        /// Connections accepted a second; 0: no limit.
        pub accepts_per_second: u32 = 0,
        /// Bytes of one message from a client, all fragments together.
        pub message_bytes_max: usize = 1024 * 1024,
        /// Fragments of one message.
        pub fragments_max: u32 = 1_024,
        /// Bytes that may wait for one session before its slow-consumer policy acts.
        pub outbox_bytes_max: usize = 256 * 1024,
        /// Bytes of publications under way inside the node.
        pub intake_bytes_max: usize = 64 * 1024 * 1024,
        /// Channels one session may be subscribed to.
        pub subscriptions_per_session: usize = 128,
        /// Channels one reactor keeps at a time.
        pub channels_per_reactor: usize = 1_000_000,
        /// Periodic pushes (`every`) of one session.
        pub jobs_per_session: usize = 16,
        /// Shortest interval of `every`, in ms.
        pub every_interval_ms_min: u64 = 100,
        /// Muted types of one user.
        pub muted_types_per_user: usize = 64,
        /// Users with muted types that one reactor remembers.
        pub muted_users_per_reactor: usize = 1_000_000,
        /// Frames a session may send a second; 0: no limit.
        pub frames_per_second: u32 = 0,
        /// From accept to the end of the request head, in ms.
        pub request_timeout_ms: u64 = 10_000,
        /// Between two requests of a kept-alive HTTP connection, in ms.
        pub idle_timeout_ms: u64 = 60_000,
    }
}

section! {
    /// `[sessions]`: sessions of users.
    pub struct SessionsConfig {
        /// Sessions one user may have; the newest win; 0: no limit.
        pub per_user: usize = 0,
        /// Silence after which the engine pings, in ms.
        pub ping_interval_ms: u64 = 25_000,
        /// Further silence after which it closes, in ms.
        pub ping_timeout_ms: u64 = 20_000,
        /// From our close frame to the peer's, in ms.
        pub close_timeout_ms: u64 = 5_000,
        /// The slow-consumer policy of pushes to users and to all.
        pub on_slow: OnSlow = OnSlow::DropOldest,
    }
}

section! {
    /// `[channels]`, and each of `[namespaces.NAME]`: who may do what with a channel.
    pub struct ChannelsConfig {
        /// Who may subscribe.
        pub subscribe: Audience = Audience::Anyone,
        /// Which clients may publish.
        pub publish: Audience = Audience::Nobody,
        /// Who may see the members.
        pub presence: Audience = Audience::Anyone,
        /// The slow-consumer policy, where the subscriber chose none.
        pub on_slow: OnSlow = OnSlow::DropOldest,
        /// The window in which a channel's messages wait for one another to share a write, in ms; 0: they do not wait.
        pub batch_ms: u64 = 0,
    }
}

section! {
    /// `[send]`: clients sending to users.
    pub struct SendConfig {
        /// Who may.
        pub allow: Audience = Audience::Nobody,
        /// Message types that may be sent; empty: any, and none.
        pub types: Vec<String> = Vec::new(),
        /// Users in one `send`.
        pub users_max: usize = 100,
    }
}

section! {
    /// `[jobs.NAME]`: a periodic push that clients may ask for with `every`.
    pub struct JobConfig {
        /// What is pushed: any value, with `{"$time":"ms"}` and its like filled in at each tick.
        pub template: TemplateValue = TemplateValue::default(),
    }
}

section! {
    /// `[drain]`: the end.
    pub struct DrainConfig {
        /// Time over which sessions are closed, in seconds.
        pub seconds: u64 = 30,
    }
}

section! {
    /// `[log]`: what is written to stderr.
    pub struct LogConfig {
        /// The least important lines that are written.
        pub level: LogLevel = LogLevel::Info,
        /// How a line looks.
        pub format: LogFormat = LogFormat::Text,
    }
}

section! {
    /// `[cluster]`: other nodes.
    pub struct ClusterConfig {
        /// URL of the Redis that joins nodes; none: this node is alone.
        pub redis: Option<Secret> = None,
        /// What the names of all keys and channels in Redis begin with: services that share a Redis differ in it.
        pub prefix: String = "epush".to_owned(),
        /// Time after which a node that is gone, and its sessions, are gone for all others, in ms.
        pub lease_ms: u64 = 10_000,
        /// Time that Redis may take to connect and to answer, in ms.
        pub timeout_ms: u64 = 2_000,
        /// Bytes of publications that may wait for Redis. A larger one is refused.
        pub queue_bytes_max: usize = 64 * 1024 * 1024,
        /// Time a channel stays subscribed in Redis after its last subscriber here, in ms.
        pub linger_ms: u64 = 2_000,
        /// Whether `/readyz` says 200 while Redis is away.
        pub ready_without_redis: bool = true,
        /// Certificates that Redis's is checked against, PEM; none: the system's.
        pub ca_file: Option<PathBuf> = None,
        /// This node's certificate for Redis, PEM.
        pub cert_file: Option<PathBuf> = None,
        /// Its key, PEM.
        pub key_file: Option<PathBuf> = None,
    }
}
