//! What a single value must be: numbers in their range, names and texts of the right letters.

use epush_core::limits::{CHANNEL_NAME_BYTES_MAX, USERS_PER_PUSH_MAX, WORD_BYTES_MAX};
use epush_core::settings::Audience;

use super::Findings;
use crate::config::path::KeyPath;
use crate::config::sections::Config;
use crate::config::template;
use crate::config::value::Secret;
use crate::relay::RedisUrl;

/// The longest time-out and interval: the timer wheel holds days, and more than one is a slip of the unit.
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// The longest window of a channel: whoever waits longer for a push polls as well.
const BATCH_MS_MAX: i64 = 1_000;

/// One message at most: what the frame parser, and conformance suites, are tested with.
const MESSAGE_BYTES_MAX: i64 = 16 * 1024 * 1024;

/// An API body at most: a batch streams by lines, so a single push is all that must fit.
const BODY_BYTES_MAX: i64 = 64 * 1024 * 1024;

/// No upper bound but the type's.
const ANY: i64 = i64::MAX;

/// Smallest and largest value of each number that has such.
const RANGES: [(&str, i64, i64); 40] = [
    // A shard is numbered with 16 bits, and nobody has more cores than this.
    ("server.reactors", 0, 1_024),
    // listen(2) takes an int and the kernel cuts it to net.core.somaxconn, which is 16 bits in practice.
    ("server.backlog", 1, 65_535),
    ("server.send_buffer_bytes", 0, 1024 * 1024 * 1024),
    ("api.body_bytes_max", 1, BODY_BYTES_MAX),
    ("api.idempotency_keys_max", 0, ANY),
    ("api.idempotency_seconds", 1, DAY_MS / 1_000),
    ("api.schedules_max", 0, ANY),
    ("auth.leeway_seconds", 0, DAY_MS / 1_000),
    ("auth.sign_in_timeout_ms", 1, DAY_MS),
    ("webhook.timeout_ms", 1, DAY_MS),
    // Each is a thread.
    ("webhook.workers", 1, 1_024),
    // The queue's slots are made at the start.
    ("webhook.queue_max", 1, 1_000_000),
    ("limits.connections", 1, ANY),
    ("limits.connections_per_ip", 0, ANY),
    ("limits.api_connections", 1, ANY),
    ("limits.accepts_per_second", 0, ANY),
    ("limits.message_bytes_max", 1, MESSAGE_BYTES_MAX),
    ("limits.fragments_max", 1, 65_536),
    // Room for the engine's own replies beside pushes.
    ("limits.outbox_bytes_max", 4 * 1024, ANY),
    ("limits.intake_bytes_max", 4 * 1024, ANY),
    ("limits.subscriptions_per_session", 1, ANY),
    ("limits.channels_per_reactor", 1, ANY),
    ("limits.jobs_per_session", 0, ANY),
    ("limits.every_interval_ms_min", 1, DAY_MS),
    ("limits.muted_types_per_user", 0, ANY),
    ("limits.muted_users_per_reactor", 0, ANY),
    ("limits.frames_per_second", 0, ANY),
    ("limits.request_timeout_ms", 1, DAY_MS),
    ("limits.idle_timeout_ms", 1, DAY_MS),
    ("sessions.per_user", 0, ANY),
    ("sessions.ping_interval_ms", 1, DAY_MS),
    ("sessions.ping_timeout_ms", 1, DAY_MS),
    ("sessions.close_timeout_ms", 1, DAY_MS),
    ("channels.batch_ms", 0, BATCH_MS_MAX),
    ("send.users_max", 1, USERS_PER_PUSH_MAX as i64),
    ("drain.seconds", 0, DAY_MS / 1_000),
    // A lease is renewed ten times in its life, and each of those is a round trip.
    ("cluster.lease_ms", 1_000, DAY_MS),
    ("cluster.timeout_ms", 10, 60_000),
    ("cluster.queue_bytes_max", 4 * 1024, ANY),
    ("cluster.linger_ms", 0, DAY_MS),
];

/// Paths of the client listener that are, or will be, something else.
const TAKEN_PATHS: [&str; 5] = ["/echo", "/healthz", "/events", "/socket.io", "/stomp"];

/// The prefix stands in every key, and in the name of every channel that is published to.
const PREFIX_BYTES_MAX: usize = 64;

/// Letters of a node's name: it stands in metrics labels, log lines and keys of a cluster.
const NODE_NAME_BYTES_MAX: usize = 64;

pub(super) fn check(config: &Config, findings: &mut Findings) {
    RANGES.iter().for_each(|(key, min, max)| number(config, key, *min, *max, findings));
    server(config, findings);
    secrets(config, findings);
    urls(config, findings);
    channels(config, findings);
    send(config, findings);
    jobs(config, findings);
    cluster(config, findings);
}

fn number(config: &Config, key: &str, min: i64, max: i64, findings: &mut Findings) {
    let path = KeyPath::parse(key).expect("RANGES holds paths");
    let value = config.table(&path.table).and_then(|table| table.value(&path.key));
    let value = value.and_then(|value| value.as_integer()).expect("RANGES holds keys of numbers");
    if value < min && max == ANY {
        findings.error(key, format!("must be at least {min}"));
    } else if value < min || value > max {
        findings.error(key, format!("must be from {min} to {max}"));
    }
}

fn server(config: &Config, findings: &mut Findings) {
    let server = &config.server;
    if let Some(node) = &server.node
        && (node.len() > NODE_NAME_BYTES_MAX || !is_made_of(node, b"._-"))
    {
        findings.error("server.node", format!("must be up to {NODE_NAME_BYTES_MAX} letters, digits and any of ._-"));
    }
    if let Err(why) = path(&server.path) {
        findings.error("server.path", why);
    }
    for origin in &server.origins {
        if !is_origin(origin) {
            let why =
                format!("{origin:?} is no origin: scheme and host, as in \"https://example.com\", without a path");
            findings.error("server.origins", why);
        }
    }
    if (1..4_096).contains(&server.send_buffer_bytes) {
        findings.error("server.send_buffer_bytes", "must be 0 (the kernel's own sizing) or at least 4096");
    }
}

fn path(path: &str) -> Result<(), String> {
    let Some(segments) = path.trim_end_matches('/').strip_prefix('/') else {
        return Err("must be \"/\" and a name, as in \"/msg\"".into());
    };
    if segments.split('/').any(|segment| !is_made_of(segment, b"._~-") || segment == "." || segment == "..") {
        return Err("must be names of letters, digits and any of ._~-, each after a \"/\"".into());
    }
    match TAKEN_PATHS.into_iter().find(|taken| path.trim_end_matches('/') == *taken) {
        Some(taken) => Err(format!("{taken} is taken")),
        None => Ok(()),
    }
}

/// RFC 6454: scheme, host, port; or the word that opaque origins are written as.
fn is_origin(origin: &str) -> bool {
    origin == "null"
        || origin.split_once("://").is_some_and(|(scheme, host)| {
            is_made_of(scheme, b"+-.") && !host.is_empty() && is_visible(host) && !host.contains(['/', '?', '#', '*'])
        })
}

fn secrets(config: &Config, findings: &mut Findings) {
    for (at, key) in config.api.keys.iter().enumerate() {
        if key.expose().is_empty() || !is_visible(key.expose()) {
            findings.error("api.keys", format!("item {} must be visible ASCII letters, at least one", at + 1));
        }
    }
    // What a header may carry: visible letters with spaces between.
    let header = config.webhook.authorization.as_ref().map(Secret::expose);
    if header.is_some_and(|header| header.trim() != header || !is_visible(&header.replace(' ', ""))) {
        findings.error("webhook.authorization", "must be visible ASCII letters, as in \"Bearer …\"");
    }
}

fn urls(config: &Config, findings: &mut Findings) {
    let webhook = &config.webhook;
    for (key, url) in [("webhook.handshake_url", &webhook.handshake_url), ("webhook.ask_url", &webhook.ask_url)] {
        if url.as_ref().is_some_and(|url| !is_http_url(url)) {
            findings.error(key, "must be an absolute http:// or https:// URL");
        }
    }
}

fn is_http_url(url: &str) -> bool {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    rest.is_some_and(|rest| is_visible(rest) && rest.split(['/', '?', '#']).next().is_some_and(|host| !host.is_empty()))
}

fn channels(config: &Config, findings: &mut Findings) {
    subscribe_rule("channels", config.channels.subscribe, findings);
    for (name, rules) in &config.namespaces {
        let key = format!("namespaces.{name}");
        // The letters of a channel's name but the dot, which ends the namespace.
        if name.len() > CHANNEL_NAME_BYTES_MAX || !is_made_of(name, b"_-:/#@") {
            let why = format!("must be up to {CHANNEL_NAME_BYTES_MAX} letters, digits and any of _-:/#@, and no dot");
            findings.error(&key, why);
        }
        // What it has from [channels] is reported there.
        if rules.subscribe != config.channels.subscribe {
            subscribe_rule(&key, rules.subscribe, findings);
        }
        if rules.batch_ms != config.channels.batch_ms && rules.batch_ms > BATCH_MS_MAX as u64 {
            findings.error(format!("{key}.batch_ms"), format!("must be from 0 to {BATCH_MS_MAX}"));
        }
    }
}

fn subscribe_rule(table: &str, subscribe: Audience, findings: &mut Findings) {
    if subscribe == Audience::Subscribers {
        findings.error(format!("{table}.subscribe"), "\"subscribers\" could never become any");
    }
}

fn send(config: &Config, findings: &mut Findings) {
    if config.send.allow == Audience::Subscribers {
        findings.error("send.allow", "there is no channel to be a subscriber of: nobody, users or anyone");
    }
    if let Some(kind) = config.send.types.iter().find(|kind| !is_word(kind)) {
        findings.error("send.types", not_a_word(kind));
    }
}

fn jobs(config: &Config, findings: &mut Findings) {
    for (name, job) in &config.jobs {
        if !is_word(name) {
            findings.error(format!("jobs.{name}"), not_a_word(name));
        }
        if let Err(why) = template::check(&job.template) {
            findings.error(format!("jobs.{name}.template"), why);
        }
    }
}

fn cluster(config: &Config, findings: &mut Findings) {
    let cluster = &config.cluster;
    if let Some(Err(why)) = cluster.redis.as_ref().map(|url| RedisUrl::parse(url.expose())) {
        findings.error("cluster.redis", why.to_string());
    }
    // No braces: what stands between those decides the slot of a key.
    if cluster.prefix.len() > PREFIX_BYTES_MAX || !is_made_of(&cluster.prefix, b"._-:") {
        findings.error("cluster.prefix", format!("must be 1 to {PREFIX_BYTES_MAX} letters, digits and any of ._-:"));
    }
}

fn is_word(word: &str) -> bool {
    !word.is_empty() && word.len() <= WORD_BYTES_MAX
}

fn not_a_word(word: &str) -> String {
    format!("{word:?} is not 1 to {WORD_BYTES_MAX} bytes long")
}

/// Letters, digits and these: at least one.
fn is_made_of(text: &str, others: &[u8]) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || others.contains(&byte))
}

fn is_visible(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}
