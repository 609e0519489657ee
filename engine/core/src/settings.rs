//! What an operator may move: limits, time-outs and rules, as the core reads them.
//!
//! Shared by all shards and replaced as a whole on a reload. Knows nothing of files and flags.

use std::collections::HashMap;

use crate::message::ChannelName;
use crate::network::Network;

/// Everything of the configuration that a shard needs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Path of the native endpoint, without a trailing slash: `/msg`.
    pub path: Box<str>,
    /// Whether `/echo` is served.
    pub echo: bool,
    /// Origins a browser may connect from, lower case; empty: any.
    pub origins: Vec<Box<str>>,
    /// Peers whose `X-Forwarded-For` and PROXY headers are believed.
    pub trusted_proxies: Vec<Network>,
    /// Whether trusted peers open every connection with a PROXY protocol v2 header.
    pub proxy_protocol: bool,
    /// Bytes of one message from a client, all fragments together.
    pub message_bytes_max: usize,
    /// Fragments of one message.
    pub fragments_max: u32,
    /// Bytes of one API request body, and of one line of a batch.
    pub body_bytes_max: usize,
    /// Bytes that may wait for one session before its slow-consumer policy acts.
    pub outbox_bytes_max: usize,
    /// Channels one session may be subscribed to.
    pub subscriptions_max: usize,
    /// Channels one shard keeps at a time.
    pub channels_max: usize,
    /// Periodic pushes (`every`) one session may have.
    pub jobs_max: usize,
    /// Shortest interval of `every`, in ms.
    pub interval_ms_min: u64,
    /// Muted types one user may have.
    pub muted_types_max: usize,
    /// Users with muted types that one shard remembers.
    pub muted_users_max: usize,
    /// Frames a session may send a second, and at once; 0: no limit.
    pub frames_per_second: u32,
    /// Sessions one user may have; the newest win; 0: no limit.
    pub sessions_per_user: usize,
    /// Whether a session may stay without a user where signing in is possible.
    pub anonymous: bool,
    /// Whether `hello` can sign in: some key is configured.
    pub hello: bool,
    /// From accept to the end of the request head (and each body), in ms.
    pub request_timeout_ms: u64,
    /// Between two requests of a kept-alive HTTP connection, in ms.
    pub idle_timeout_ms: u64,
    /// From the upgrade to `hello`, where signing in is required, in ms.
    pub sign_in_timeout_ms: u64,
    /// Silence after which the engine pings, in ms.
    pub ping_interval_ms: u64,
    /// Further silence after which it closes, in ms.
    pub ping_timeout_ms: u64,
    /// From our close frame to the peer's, in ms.
    pub close_timeout_ms: u64,
    /// Rules of channels.
    pub channels: Rules,
    /// Who may `send` to users, and what.
    pub send: SendRule,
}

/// Whom a rule lets in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Audience {
    /// No client.
    #[default]
    Nobody,
    /// Sessions that have a user.
    Users,
    /// Sessions subscribed to the channel.
    Subscribers,
    /// Every session.
    Anyone,
}

/// What happens to the messages of a channel that a session is too slow for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OnSlow {
    /// The oldest queued messages of the channel go.
    #[default]
    DropOldest,
    /// The new message goes.
    DropNewest,
    /// Only the newest message of the channel stays.
    Latest,
    /// The session is closed with 4501.
    Close,
}

impl OnSlow {
    /// The policy with this name on the wire and in the config.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "drop_oldest" => Self::DropOldest,
            "drop_newest" => Self::DropNewest,
            "latest" => Self::Latest,
            "close" => Self::Close,
            _ => return None,
        })
    }
}

/// The rules of one namespace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChannelRule {
    /// Who may subscribe.
    pub subscribe: Audience,
    /// Which clients may publish.
    pub publish: Audience,
    /// Who may see the members.
    pub presence: Audience,
    /// The slow-consumer policy, where the subscriber chose none.
    pub on_slow: OnSlow,
    /// The window in which a channel's messages wait for one another to share a write, in ms; 0: they do not wait.
    pub batch_ms: u64,
}

/// The rules of all channels.
#[derive(Clone, Debug)]
pub struct Rules {
    /// For channels whose namespace has no rule of its own.
    pub default: ChannelRule,
    /// By namespace: the part of a channel's name before the first `.`.
    pub namespaces: HashMap<Box<str>, ChannelRule>,
    /// The policy for pushes to a user and to all, which have no channel.
    pub on_slow_direct: OnSlow,
}

impl Rules {
    /// The rule a channel is under.
    #[must_use]
    pub fn of(&self, channel: &ChannelName) -> &ChannelRule {
        self.namespaces.get(channel.namespace()).unwrap_or(&self.default)
    }
}

/// Who may `send` to users.
#[derive(Clone, Debug, Default)]
pub struct SendRule {
    /// Who.
    pub allow: Audience,
    /// Which message types; empty: any, and none.
    pub types: Vec<Box<str>>,
    /// Users in one `send`.
    pub users_max: usize,
}

impl Default for Settings {
    /// The defaults of the config file, in which a test finds the same numbers.
    fn default() -> Self {
        let rule = ChannelRule {
            subscribe: Audience::Anyone,
            publish: Audience::Nobody,
            presence: Audience::Anyone,
            on_slow: OnSlow::DropOldest,
            batch_ms: 0,
        };
        Self {
            path: "/msg".into(),
            echo: false,
            origins: Vec::new(),
            trusted_proxies: Vec::new(),
            proxy_protocol: false,
            message_bytes_max: 1024 * 1024,
            fragments_max: 1_024,
            body_bytes_max: 1024 * 1024,
            outbox_bytes_max: 256 * 1024,
            subscriptions_max: 128,
            channels_max: 1_000_000,
            jobs_max: 16,
            interval_ms_min: 100,
            muted_types_max: 64,
            muted_users_max: 1_000_000,
            frames_per_second: 0,
            sessions_per_user: 0,
            anonymous: true,
            hello: false,
            request_timeout_ms: 10_000,
            idle_timeout_ms: 60_000,
            sign_in_timeout_ms: 10_000,
            ping_interval_ms: 25_000,
            ping_timeout_ms: 20_000,
            close_timeout_ms: 5_000,
            channels: Rules { default: rule, namespaces: HashMap::new(), on_slow_direct: OnSlow::DropOldest },
            send: SendRule { allow: Audience::Nobody, types: Vec::new(), users_max: 100 },
        }
    }
}
