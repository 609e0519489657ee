//! Names of keys, `limits.connections` and `namespaces.chat.publish`, and the way to each in a [`Config`].
//!
//! Knows no layer and no rule.

use std::fmt;

use super::near::nearest;
use super::section::Section;
use super::sections::{ChannelsConfig, Config, JobConfig};

/// The sections that exist once, in the order of the reference file.
pub(crate) const SECTIONS: [&str; 11] =
    ["server", "api", "auth", "webhook", "limits", "sessions", "channels", "send", "drain", "log", "cluster"];

/// The sections that are tables of named tables.
pub(crate) const NAMED_SECTIONS: [&str; 2] = ["namespaces", "jobs"];

/// A table of the configuration: `[server]` or `[jobs.time]`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct TablePath {
    /// The section.
    pub section: String,
    /// The name within a named section.
    pub name: Option<String>,
}

impl TablePath {
    pub(crate) fn new(section: &str) -> Self {
        Self { section: section.into(), name: None }
    }

    pub(crate) fn named(section: &str, name: &str) -> Self {
        Self { section: section.into(), name: Some(name.into()) }
    }

    /// The path of a key in this table.
    pub(crate) fn key(&self, key: &str) -> KeyPath {
        KeyPath { table: self.clone(), key: key.into() }
    }
}

impl fmt::Display for TablePath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.section)?;
        self.name.as_ref().map_or(Ok(()), |name| write!(out, ".{name}"))
    }
}

/// A key of the configuration.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct KeyPath {
    /// The table it is in.
    pub table: TablePath,
    /// Its name there.
    pub key: String,
}

impl KeyPath {
    /// Reads `section.key` or `section.name.key`; the name of a job may have dots of its own.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (section, rest) = text.split_once('.')?;
        let table = match rest.rsplit_once('.') {
            None => return Some(TablePath::new(section).key(rest)),
            Some((name, _)) => TablePath::named(section, name),
        };
        Some(table.key(rest.rsplit_once('.')?.1))
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.table, self.key)
    }
}

impl Config {
    /// The table at a path; a named one only when it exists.
    pub(crate) fn table(&self, path: &TablePath) -> Option<&dyn Section> {
        Some(match (path.section.as_str(), &path.name) {
            ("server", None) => &self.server,
            ("api", None) => &self.api,
            ("auth", None) => &self.auth,
            ("webhook", None) => &self.webhook,
            ("limits", None) => &self.limits,
            ("sessions", None) => &self.sessions,
            ("channels", None) => &self.channels,
            ("send", None) => &self.send,
            ("drain", None) => &self.drain,
            ("log", None) => &self.log,
            ("cluster", None) => &self.cluster,
            ("namespaces", Some(name)) => self.namespaces.get(name)?,
            ("jobs", Some(name)) => self.jobs.get(name)?,
            _ => return None,
        })
    }

    /// The table at a path, to be changed. A named one comes into being, a namespace with the values of `[channels]`.
    pub(crate) fn table_mut(&mut self, path: &TablePath) -> Option<&mut dyn Section> {
        Some(match (path.section.as_str(), &path.name) {
            ("server", None) => &mut self.server,
            ("api", None) => &mut self.api,
            ("auth", None) => &mut self.auth,
            ("webhook", None) => &mut self.webhook,
            ("limits", None) => &mut self.limits,
            ("sessions", None) => &mut self.sessions,
            ("channels", None) => &mut self.channels,
            ("send", None) => &mut self.send,
            ("drain", None) => &mut self.drain,
            ("log", None) => &mut self.log,
            ("cluster", None) => &mut self.cluster,
            ("namespaces", Some(name)) => self.namespaces.entry(name.clone()).or_insert_with(|| self.channels.clone()),
            ("jobs", Some(name)) => self.jobs.entry(name.clone()).or_default(),
            _ => return None,
        })
    }

    /// Every table there is, in the order of the reference file: named ones after `[channels]` and `[send]`.
    pub(crate) fn tables(&self) -> Vec<TablePath> {
        let mut tables = Vec::new();
        for section in SECTIONS {
            tables.push(TablePath::new(section));
            match section {
                "channels" => tables.extend(self.namespaces.keys().map(|name| TablePath::named("namespaces", name))),
                "send" => tables.extend(self.jobs.keys().map(|name| TablePath::named("jobs", name))),
                _ => {}
            }
        }
        tables
    }
}

/// The keys a section can have, whether or not such a table exists.
pub(crate) fn keys_of(section: &str) -> Option<&'static [&'static str]> {
    match section {
        "namespaces" => Some(ChannelsConfig::default().keys()),
        "jobs" => Some(JobConfig::default().keys()),
        _ => Some(Config::default().table(&TablePath::new(section))?.keys()),
    }
}

/// Says that a section is unknown, and which one was probably meant.
pub(crate) fn unknown_section(section: &str) -> String {
    let known = SECTIONS.into_iter().chain(NAMED_SECTIONS);
    match nearest(section, known).map(str::to_owned).or_else(|| elsewhere(section)) {
        Some(near) => format!("unknown section; did you mean {near}?"),
        None => "unknown section".into(),
    }
}

/// Says that a key is unknown, and which one was probably meant.
pub(crate) fn unknown_key(table: &TablePath, key: &str) -> String {
    let here = keys_of(&table.section).unwrap_or_default();
    let near = nearest(key, here.iter().copied()).map(|near| format!("{table}.{near}"));
    match near.or_else(|| elsewhere(key)) {
        Some(near) => format!("unknown key; did you mean {near}?"),
        None => "unknown key".into(),
    }
}

/// A key of this very name in another section.
fn elsewhere(key: &str) -> Option<String> {
    let has_it = |section: &&str| keys_of(section).is_some_and(|keys| keys.contains(&key));
    SECTIONS.into_iter().find(has_it).map(|section| format!("{section}.{key}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_path_reads_back_as_it_was_written() {
        for text in ["limits.connections", "namespaces.chat.publish", "jobs.a.b.template"] {
            assert_eq!(KeyPath::parse(text).expect("a path").to_string(), text);
        }
        assert_eq!(KeyPath::parse("limits"), None);
    }

    #[test]
    fn a_key_in_the_wrong_section_is_found_in_its_own() {
        let why = unknown_key(&TablePath::new("server"), "connections");
        assert_eq!(why, "unknown key; did you mean limits.connections?");
        assert_eq!(unknown_section("listen"), "unknown section; did you mean server.listen?");
        assert_eq!(unknown_section("limit"), "unknown section; did you mean limits?");
        assert_eq!(unknown_section("telemetry"), "unknown section");
    }

    #[test]
    fn every_section_has_a_table_and_every_table_keys() {
        let config = Config::default();
        for section in SECTIONS {
            assert!(config.table(&TablePath::new(section)).is_some(), "{section}");
        }
        for section in SECTIONS.into_iter().chain(NAMED_SECTIONS) {
            assert!(keys_of(section).is_some_and(|keys| !keys.is_empty()), "{section}");
        }
    }
}
