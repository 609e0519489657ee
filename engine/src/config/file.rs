//! The file layer: TOML text to assignments, each with its line.
//!
//! Knows which sections are tables of tables; what a key means is the section's to know.

use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::error::{ConfigError, Origin};
use super::layers::{Assignment, Layer};
use super::path::{NAMED_SECTIONS, SECTIONS, TablePath, unknown_section};
use super::value::Input;

/// Reads a file's text. `path` is its name in messages.
pub(crate) fn read(path: &str, text: &str) -> Layer {
    let mut reader = Reader { path: path.into(), text, layer: Layer::default() };
    let (document, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        reader.document(document.get_ref());
    } else {
        // What was recovered of a broken file would only give follow-up errors.
        errors.iter().for_each(|error| reader.syntax(error));
    }
    reader.layer
}

struct Reader<'a> {
    path: Arc<str>,
    text: &'a str,
    layer: Layer,
}

impl Reader<'_> {
    fn document(&mut self, document: &DeTable<'_>) {
        for (section, value) in document {
            let name = section.get_ref().as_ref();
            let origin = self.origin(section.span().start);
            if NAMED_SECTIONS.contains(&name) {
                self.named_tables(name, origin, value);
            } else if SECTIONS.contains(&name) {
                self.table(&TablePath::new(name), origin, value);
            } else {
                self.layer.errors.push(ConfigError::new(origin, name, unknown_section(name)));
            }
        }
    }

    fn named_tables(&mut self, section: &str, origin: Origin, value: &Spanned<DeValue<'_>>) {
        let Some(tables) = value.get_ref().as_table() else {
            return self.no_table(section.into(), origin, &format!("tables [{section}.NAME]"), value);
        };
        for (name, value) in tables {
            let table = TablePath::named(section, name.get_ref());
            let origin = self.origin(name.span().start);
            self.layer.tables.push((table.clone(), origin.clone()));
            self.table(&table, origin, value);
        }
    }

    fn table(&mut self, path: &TablePath, origin: Origin, value: &Spanned<DeValue<'_>>) {
        let Some(table) = value.get_ref().as_table() else {
            return self.no_table(path.to_string(), origin, "a table", value);
        };
        for (key, value) in table {
            let path = path.key(key.get_ref());
            let origin = self.origin(key.span().start);
            match toml::Value::deserialize(ValueDeserializer::from(value.clone())) {
                Ok(value) => self.layer.assignments.push(Assignment { path, input: Input::Toml(value), origin }),
                Err(error) => self.layer.errors.push(ConfigError::new(origin, path.to_string(), error.message())),
            }
        }
    }

    fn no_table(&mut self, key: String, origin: Origin, expected: &str, value: &Spanned<DeValue<'_>>) {
        let why = format!("expected {expected}, found {}", value.get_ref().type_str());
        self.layer.errors.push(ConfigError::new(origin, key, why));
    }

    /// One syntax error a line: what follows the first on a line is its echo.
    fn syntax(&mut self, error: &toml::de::Error) {
        let offset = error.span().map_or(0, |span| span.start);
        let origin = self.origin(offset);
        if self.layer.errors.iter().any(|known| known.origin == origin) {
            return;
        }
        // Only the message: the error's own Display quotes the line, which may hold a secret.
        let key = self.key_at(offset);
        self.layer.errors.push(ConfigError::new(origin, key, error.message().trim_end()));
    }

    fn origin(&self, offset: usize) -> Origin {
        Origin::File { path: self.path.clone(), line: line_of(self.text.as_bytes(), offset) }
    }

    /// The key whose line the offset is in, as far as one can tell in broken text.
    fn key_at(&self, offset: usize) -> String {
        let line_start = self.text.get(..offset).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
        let line = self.text[line_start..].lines().next().unwrap_or_default().trim();
        if let Some(header) = header(line) {
            return header.into();
        }
        let before = self.text[..line_start].lines().rev().find_map(|line| header(line.trim()));
        let key = line.split(['=', ' ', '\t']).next().filter(|key| is_bare_key(key));
        match (before, key) {
            (Some(header), Some(key)) => format!("{header}.{key}"),
            (None, Some(key)) => key.into(),
            (Some(header), None) => header.into(),
            (None, None) => "syntax".into(),
        }
    }
}

fn header(line: &str) -> Option<&str> {
    let name = line.strip_prefix('[')?.split([']', '#']).next()?.trim();
    is_bare_key(name).then_some(name)
}

fn is_bare_key(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}

/// The line an offset is in, counted from 1.
pub(crate) fn line_of(text: &[u8], offset: usize) -> usize {
    1 + text[..offset.min(text.len())].iter().filter(|byte| **byte == b'\n').count()
}
