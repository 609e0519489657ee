//! The part of the configuration that shards see.

use epush_core::settings::{ChannelRule, Rules, SendRule, Settings};

use super::sections::{ChannelsConfig, Config};
use super::words::AuthMode;

impl Config {
    /// What the core needs to know of the configuration.
    #[must_use]
    pub fn settings(&self) -> Settings {
        let Self { server, api, auth, limits, sessions, send, .. } = self;
        Settings {
            path: server.path.trim_end_matches('/').into(),
            echo: server.echo,
            origins: server.origins.iter().map(|origin| origin.to_ascii_lowercase().into()).collect(),
            trusted_proxies: server.trusted_proxies.clone(),
            proxy_protocol: server.proxy_protocol,
            message_bytes_max: limits.message_bytes_max,
            fragments_max: limits.fragments_max,
            body_bytes_max: api.body_bytes_max,
            outbox_bytes_max: limits.outbox_bytes_max,
            subscriptions_max: limits.subscriptions_per_session,
            channels_max: limits.channels_per_reactor,
            jobs_max: limits.jobs_per_session,
            interval_ms_min: limits.every_interval_ms_min,
            muted_types_max: limits.muted_types_per_user,
            muted_users_max: limits.muted_users_per_reactor,
            frames_per_second: limits.frames_per_second,
            sessions_per_user: sessions.per_user,
            anonymous: auth.mode != AuthMode::Jwt || auth.anonymous,
            hello: auth.mode == AuthMode::Jwt,
            request_timeout_ms: limits.request_timeout_ms,
            idle_timeout_ms: limits.idle_timeout_ms,
            sign_in_timeout_ms: auth.sign_in_timeout_ms,
            ping_interval_ms: sessions.ping_interval_ms,
            ping_timeout_ms: sessions.ping_timeout_ms,
            close_timeout_ms: sessions.close_timeout_ms,
            channels: self.rules(),
            send: SendRule {
                allow: send.allow,
                types: send.types.iter().map(|kind| kind.as_str().into()).collect(),
                users_max: send.users_max,
            },
        }
    }

    fn rules(&self) -> Rules {
        Rules {
            default: self.channels.rule(),
            namespaces: self.namespaces.iter().map(|(name, rule)| (name.as_str().into(), rule.rule())).collect(),
            on_slow_direct: self.sessions.on_slow,
        }
    }
}

impl ChannelsConfig {
    fn rule(&self) -> ChannelRule {
        let Self { subscribe, publish, presence, on_slow, batch_ms } = *self;
        ChannelRule { subscribe, publish, presence, on_slow, batch_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_config_and_default_settings_agree() {
        assert_eq!(format!("{:?}", Config::default().settings()), format!("{:?}", Settings::default()));
    }

    #[test]
    fn with_tokens_a_session_signs_in_unless_anonymity_is_allowed() {
        let mut config = Config::default();
        config.auth.mode = AuthMode::Jwt;
        assert!(config.settings().hello && !config.settings().anonymous);
        config.auth.anonymous = true;
        assert!(config.settings().hello && config.settings().anonymous);
    }
}
