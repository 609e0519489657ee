//! The environment layer: `EPUSH_SECTION_KEY`, `EPUSH_NAMESPACES_NAME_KEY`, `EPUSH_JOBS_NAME_TEMPLATE`.
//!
//! Knows how a key is spelt there; what it means is the section's to know.

use super::error::Origin;
use super::layers::{Assignment, Layer};
use super::near::nearest;
use super::path::{KeyPath, NAMED_SECTIONS, SECTIONS, TablePath, keys_of};
use super::value::Input;

/// What the names of all our variables begin with.
pub(crate) const PREFIX: &str = "EPUSH_";

/// The variable that names the config file; it is no key.
pub const CONFIG_VARIABLE: &str = "EPUSH_CONFIG";

/// Reads the variables, of which those of other programs are skipped.
///
/// `tables` are the named tables of the file: a variable cannot spell every name, so it means the one it resembles.
pub(crate) fn read(variables: &[(String, String)], tables: &[TablePath]) -> Layer {
    let mut layer = Layer::default();
    for (name, value) in variables {
        if !name.starts_with(PREFIX) || name == CONFIG_VARIABLE {
            continue;
        }
        match plain_key(name).or_else(|| named_key(name, tables)) {
            Some(path) => {
                let origin = Origin::Environment(name.clone());
                layer.assignments.push(Assignment { path, input: Input::Text(value.clone()), origin });
            }
            None => layer.warnings.push(unknown(name)),
        }
    }
    layer
}

/// The variable of a key.
pub(crate) fn variable(path: &KeyPath) -> String {
    format!("{PREFIX}{}", spelling(&path.to_string()))
}

fn plain_keys() -> impl Iterator<Item = KeyPath> {
    SECTIONS.into_iter().flat_map(|section| {
        keys_of(section).unwrap_or_default().iter().map(move |key| TablePath::new(section).key(key))
    })
}

fn plain_key(name: &str) -> Option<KeyPath> {
    plain_keys().find(|path| variable(path) == name)
}

fn named_key(name: &str, tables: &[TablePath]) -> Option<KeyPath> {
    NAMED_SECTIONS.into_iter().find_map(|section| {
        let rest = name.strip_prefix(&format!("{PREFIX}{}_", spelling(section)))?;
        keys_of(section)?.iter().find_map(|key| {
            let table = rest.strip_suffix(&format!("_{}", spelling(key))).filter(|table| !table.is_empty())?;
            Some(TablePath::named(section, &table_name(section, table, tables)).key(key))
        })
    })
}

/// The table of the file that is spelt so, else the name in lower case.
fn table_name(section: &str, spelt: &str, tables: &[TablePath]) -> String {
    let names = tables.iter().filter(|table| table.section == section).filter_map(|table| table.name.as_deref());
    let known = names.into_iter().find(|name| spelling(name) == spelt);
    known.map_or_else(|| spelt.to_ascii_lowercase(), str::to_owned)
}

fn spelling(name: &str) -> String {
    let letter = |byte: char| if byte.is_ascii_alphanumeric() { byte.to_ascii_uppercase() } else { '_' };
    name.chars().map(letter).collect()
}

fn unknown(name: &str) -> String {
    let known: Vec<String> = plain_keys().map(|path| variable(&path)).collect();
    match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => format!("{name}: no such key, ignored; did you mean {near}?"),
        None => format!("{name}: no such key, ignored"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_keys_share_a_variable() {
        let names: Vec<String> = plain_keys().map(|path| variable(&path)).collect();
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
        assert!(!names.iter().any(|name| name == CONFIG_VARIABLE));
        assert!(names.iter().any(|name| name == "EPUSH_LIMITS_CONNECTIONS_PER_IP"));
    }

    #[test]
    fn a_variable_finds_the_table_of_the_file_it_resembles() {
        let tables = [TablePath::named("namespaces", "Chat-Room")];
        let found = |name: &str| named_key(name, &tables).expect("a key").to_string();
        assert_eq!(found("EPUSH_NAMESPACES_CHAT_ROOM_ON_SLOW"), "namespaces.Chat-Room.on_slow");
        assert_eq!(found("EPUSH_NAMESPACES_NEWS_SUBSCRIBE"), "namespaces.news.subscribe");
        assert_eq!(found("EPUSH_JOBS_TIME_TEMPLATE"), "jobs.time.template");
        assert_eq!(named_key("EPUSH_JOBS__TEMPLATE", &tables), None);
    }
}
