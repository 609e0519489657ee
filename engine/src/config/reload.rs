//! What a reload can change while the node runs.
//!
//! Knows which keys are live; carrying a change out is the engine's.

use super::path::KeyPath;
use super::sections::Config;

/// What a new configuration changes, by key.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Reload {
    /// In force at once.
    pub applied: Vec<String>,
    /// In force after a restart.
    pub needs_restart: Vec<String>,
}

impl Config {
    /// Which keys differ in the new configuration, and which of those can change while the node runs.
    #[must_use]
    pub fn reloadable_difference(&self, new: &Self) -> Reload {
        let mut reload = Reload::default();
        for path in self.difference(new) {
            let applied = self.is_live(new, &path);
            if applied { &mut reload.applied } else { &mut reload.needs_restart }.push(path.to_string());
        }
        reload
    }

    /// This configuration with the changes of the new one that need no restart: what is in force after a reload.
    #[must_use]
    pub fn reloaded(&self, new: &Self) -> Self {
        let mut reloaded = self.clone();
        if self.auth.mode == new.auth.mode {
            reloaded.auth = new.auth.clone();
        }
        reloaded.api.keys.clone_from(&new.api.keys);
        reloaded.api.keys_file.clone_from(&new.api.keys_file);
        reloaded.limits = new.limits.clone();
        reloaded.sessions = new.sessions.clone();
        reloaded.channels = new.channels.clone();
        reloaded.namespaces.clone_from(&new.namespaces);
        reloaded.send = new.send.clone();
        reloaded.log.level = new.log.level;
        reloaded.cluster.queue_bytes_max = new.cluster.queue_bytes_max;
        reloaded.cluster.ready_without_redis = new.cluster.ready_without_redis;
        reloaded
    }

    fn is_live(&self, new: &Self, path: &KeyPath) -> bool {
        match (path.table.section.as_str(), path.key.as_str()) {
            // The keys of a mode come with it: half of a change of mode would lock everybody out.
            ("auth", _) => self.auth.mode == new.auth.mode,
            ("api", "keys" | "keys_file") | ("log", "level") => true,
            ("cluster", "queue_bytes_max" | "ready_without_redis") => true,
            ("limits" | "sessions" | "channels" | "namespaces" | "send", _) => true,
            _ => false,
        }
    }

    /// The keys that differ, those of tables that only one has among them.
    fn difference(&self, new: &Self) -> Vec<KeyPath> {
        let mut tables = self.tables();
        tables.extend(new.tables().into_iter().filter(|path| self.table(path).is_none()));
        let mut changed = Vec::new();
        for path in tables {
            let (old, new) = (self.table(&path), new.table(&path));
            let keys = old.or(new).map(super::section::Section::keys).unwrap_or_default();
            let differs = |key: &&&str| old.map(|old| old.value(key)) != new.map(|new| new.value(key));
            changed.extend(keys.iter().filter(differs).map(|key| path.key(key)));
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{AuthMode, ChannelsConfig, LogFormat, LogLevel, Secret};
    use epush_core::settings::Audience;

    #[test]
    fn nothing_changed_is_nothing_to_do() {
        assert_eq!(Config::default().reloadable_difference(&Config::default()), Reload::default());
    }

    #[test]
    fn limits_and_keys_change_at_once_and_listeners_do_not() {
        let (old, mut new) = (Config::default(), Config::default());
        new.limits.connections = 5;
        new.api.keys = vec![Secret::new("k")];
        new.api.open = true;
        new.log.level = LogLevel::Debug;
        new.log.format = LogFormat::Json;
        new.server.reactors = 2;
        let reload = old.reloadable_difference(&new);
        assert_eq!(reload.applied, ["api.keys", "limits.connections", "log.level"]);
        assert_eq!(reload.needs_restart, ["server.reactors", "api.open", "log.format"]);
        let rest = old.reloaded(&new).reloadable_difference(&new);
        assert_eq!(rest, Reload { applied: Vec::new(), needs_restart: reload.needs_restart });
    }

    #[test]
    fn of_the_cluster_only_what_is_this_nodes_own_changes_at_once() {
        let (old, mut new) = (Config::default(), Config::default());
        new.cluster.redis = Some(Secret::new("redis://h"));
        new.cluster.lease_ms = 5_000;
        new.cluster.queue_bytes_max = 8_192;
        new.cluster.ready_without_redis = false;
        let reload = old.reloadable_difference(&new);
        assert_eq!(reload.applied, ["cluster.queue_bytes_max", "cluster.ready_without_redis"]);
        assert_eq!(reload.needs_restart, ["cluster.redis", "cluster.lease_ms"]);
        assert_eq!(old.reloaded(&new).reloadable_difference(&new).needs_restart, reload.needs_restart);
    }

    #[test]
    fn a_namespace_comes_and_goes_at_once() {
        let (old, mut new) = (Config::default(), Config::default());
        new.namespaces.insert("chat".into(), ChannelsConfig { publish: Audience::Users, ..Default::default() });
        let keys =
            ["subscribe", "publish", "presence", "on_slow", "batch_ms"].map(|key| format!("namespaces.chat.{key}"));
        assert_eq!(old.reloadable_difference(&new).applied, keys);
        assert_eq!(new.reloadable_difference(&old).applied, keys);
        assert_eq!(old.reloaded(&new), new);
    }

    #[test]
    fn keys_change_at_once_but_not_together_with_the_mode() {
        let mut old = Config::default();
        old.auth.mode = AuthMode::Jwt;
        old.auth.secret = Some(Secret::new("old"));
        let mut new = old.clone();
        new.auth.secret = Some(Secret::new("new"));
        assert_eq!(old.reloadable_difference(&new).applied, ["auth.secret"]);
        new.auth.mode = AuthMode::None;
        assert_eq!(old.reloadable_difference(&new).needs_restart, ["auth.mode", "auth.secret"]);
        assert_eq!(old.reloaded(&new).auth, old.auth);
    }
}
