//! What keys must be together: listeners and who may use them, modes and what they need, limits that hold one another.

use std::net::SocketAddr;

use super::Findings;
use crate::config::sections::{AuthConfig, ClusterConfig, Config};
use crate::config::words::{Algorithm, AuthMode};
use crate::relay::RedisUrl;

/// RFC 7518 §3.2: a key for HS256 has at least as many bytes as its hash.
const HS256_SECRET_BYTES_MIN: usize = 32;

pub(super) fn check(config: &Config, findings: &mut Findings) {
    listeners(config, findings);
    proxies(config, findings);
    auth(&config.auth, findings);
    if config.auth.mode == AuthMode::Webhook && config.webhook.handshake_url.is_none() {
        findings.error("auth.mode", "\"webhook\" needs webhook.handshake_url");
    }
    intake(config, findings);
    cluster(&config.cluster, findings);
}

/// What the world can reach asks who is there, or somebody wrote down that it does not.
fn listeners(config: &Config, findings: &mut Findings) {
    let (listen, api) = (config.server.listen, config.server.api);
    if !is_loopback(listen) {
        match config.auth.mode {
            AuthMode::Unset => findings.error(
                "server.listen",
                format!(
                    "{listen} is not loopback and no authentication is configured: set auth.mode to \"jwt\" or \
                     \"webhook\", or to \"none\" to believe whoever connects"
                ),
            ),
            AuthMode::None => findings.warning(
                "auth.mode",
                "\"none\" on a listener that is not loopback: clients are whoever they say they are",
            ),
            AuthMode::Jwt | AuthMode::Webhook => {}
        }
    }
    if !is_loopback(api) && config.api.keys.is_empty() && config.api.keys_file.is_none() {
        if config.api.open {
            findings.warning("api.open", "anybody who reaches the control API may push to everybody");
        } else {
            let why = format!(
                "{api} is not loopback and no keys are configured: set api.keys or api.keys_file, or api.open = true to let anybody in"
            );
            findings.error("server.api", why);
        }
    }
    if listen == api && listen.port() != 0 {
        findings.contradiction("server.api", "server.listen", "is the address of server.listen");
    }
}

fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

fn proxies(config: &Config, findings: &mut Findings) {
    let server = &config.server;
    if server.proxy_protocol && server.trusted_proxies.is_empty() {
        findings.error("server.proxy_protocol", "needs server.trusted_proxies: nobody else's header is believed");
    }
    let everybody = |network: &&epush_core::network::Network| network.to_string().ends_with("/0");
    if let Some(network) = server.trusted_proxies.iter().find(everybody) {
        findings.warning("server.trusted_proxies", &format!("{network} lets every client choose its own address"));
    }
}

fn auth(auth: &AuthConfig, findings: &mut Findings) {
    match auth.mode {
        AuthMode::Jwt => jwt(auth, findings),
        AuthMode::Unset => {
            if let Some(key) = first_key(auth) {
                findings.error(key, "is given, but auth.mode is not: set it to \"jwt\"");
            }
        }
        AuthMode::None | AuthMode::Webhook => {}
    }
}

fn first_key(auth: &AuthConfig) -> Option<&'static str> {
    let given = [
        ("auth.secret", auth.secret.is_some()),
        ("auth.key_file", auth.key_file.is_some()),
        ("auth.jwks_file", auth.jwks_file.is_some()),
    ];
    given.into_iter().find(|(_, given)| *given).map(|(key, _)| key)
}

fn jwt(auth: &AuthConfig, findings: &mut Findings) {
    if auth.algorithms.is_empty() {
        return findings.error("auth.algorithms", "must name at least one");
    }
    if first_key(auth).is_none() {
        return findings.error("auth.mode", "\"jwt\" needs auth.secret, auth.key_file or auth.jwks_file");
    }
    let shared = auth.algorithms.contains(&Algorithm::Hs256);
    let public = auth.algorithms.iter().any(|algorithm| *algorithm != Algorithm::Hs256);
    if public && auth.key_file.is_none() && auth.jwks_file.is_none() {
        findings.error("auth.algorithms", "RS256, ES256 and EdDSA need auth.key_file or auth.jwks_file");
    } else if auth.secret.is_some() && !shared {
        findings.error("auth.secret", "is for HS256, which auth.algorithms does not name");
    }
    // One key for both would let whoever has the public key sign with it as if it were the shared secret.
    if shared && public && auth.key_file.is_some() && auth.secret.is_none() && auth.jwks_file.is_none() {
        findings.contradiction(
            "auth.algorithms",
            "auth.key_file",
            "HS256 beside a public key needs auth.secret of its own",
        );
    }
    if auth.secret.as_ref().is_some_and(|secret| secret.expose().len() < HS256_SECRET_BYTES_MIN) {
        findings.warning("auth.secret", "is shorter than 32 bytes, so tokens can be forged by trying");
    }
}

/// Whatever a listener lets in, the intake can take, and the queue to the other nodes.
fn intake(config: &Config, findings: &mut Findings) {
    let body = ("api.body_bytes_max", config.api.body_bytes_max);
    let message = ("limits.message_bytes_max", config.limits.message_bytes_max);
    let (key, bytes) = if message.1 > body.1 { message } else { body };
    if config.limits.intake_bytes_max < bytes {
        let why = format!("is under {key}: the largest push could never be taken");
        findings.contradiction("limits.intake_bytes_max", key, why);
    }
    if config.cluster.redis.is_some() && config.cluster.queue_bytes_max < bytes {
        findings.warning("cluster.queue_bytes_max", &format!("is under {key}: the largest pushes are refused"));
    }
}

/// A certificate for Redis has a key, and there is TLS to show it in.
fn cluster(cluster: &ClusterConfig, findings: &mut Findings) {
    match (&cluster.cert_file, &cluster.key_file) {
        (Some(_), None) => findings.error("cluster.cert_file", "needs cluster.key_file"),
        (None, Some(_)) => findings.error("cluster.key_file", "needs cluster.cert_file"),
        _ => {}
    }
    let url = cluster.redis.as_ref().and_then(|url| RedisUrl::parse(url.expose()).ok());
    let files = [("cluster.ca_file", &cluster.ca_file), ("cluster.cert_file", &cluster.cert_file)];
    let given = files.into_iter().find(|(_, file)| file.is_some());
    if let (Some((key, _)), Some(false)) = (given, url.map(|url| url.tls)) {
        findings.warning(key, "is of no use: cluster.redis is without TLS, which rediss:// has");
    }
}
