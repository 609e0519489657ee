//! Flag over environment over file over default: the layers of a configuration and how they become one.
//!
//! Knows no key; what a value must be is `section`'s and `check`'s to say.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::check::{self, Finding};
use super::error::{ConfigError, ConfigErrors, Origin};
use super::path::{KeyPath, NAMED_SECTIONS, SECTIONS, TablePath, keys_of, unknown_key, unknown_section};
use super::sections::Config;
use super::value::Input;
use super::{environment, file};

/// A value for a key, and where it stands written.
pub(crate) struct Assignment {
    pub path: KeyPath,
    pub input: Input,
    pub origin: Origin,
}

/// What one source of configuration says.
#[derive(Default)]
pub(crate) struct Layer {
    /// In the order they were written.
    pub assignments: Vec<Assignment>,
    /// Named tables, which exist even without keys.
    pub tables: Vec<(TablePath, Origin)>,
    pub errors: Vec<ConfigError>,
    pub warnings: Vec<String>,
}

/// Where a node's configuration comes from. Kept, so that a reload reads the same places again.
///
/// ```no_run
/// let loaded = epush::config::Layers::new().file("epush.toml").environment(std::env::vars()).load()?;
/// # Ok::<(), epush::config::ConfigErrors>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Layers {
    file: Option<PathBuf>,
    variables: Vec<(String, String)>,
    flags: Vec<Flag>,
}

#[derive(Clone, Debug)]
struct Flag {
    /// As it is shown in an error.
    name: String,
    key: String,
    text: String,
}

/// A configuration that was read and found valid.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration in force.
    pub config: Config,
    /// What is allowed but probably not meant, a sentence each.
    pub warnings: Vec<String>,
}

impl Layers {
    /// The defaults alone.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With a TOML file over the defaults.
    #[must_use]
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.file = Some(path.into());
        self
    }

    /// With `EPUSH_SECTION_KEY` variables over the file; others are skipped.
    #[must_use]
    pub fn environment(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        self.variables.extend(variables.into_iter().filter(|(name, _)| name.starts_with(environment::PREFIX)));
        self
    }

    /// With a flag over the environment: its name with the dashes, the key it sets, its value.
    #[must_use]
    pub fn flag(mut self, name: impl Into<String>, key: impl Into<String>, text: impl Into<String>) -> Self {
        self.flags.push(Flag { name: name.into(), key: key.into(), text: text.into() });
        self
    }

    /// Reads all layers and checks the whole.
    ///
    /// # Errors
    /// Everything that is wrong, not only the first thing.
    pub fn load(&self) -> Result<Loaded, ConfigErrors> {
        let from_file = self.file.as_deref().map_or_else(Layer::default, read_file);
        self.merge(from_file)
    }

    /// As [`Layers::load`], with the text of the file at hand; `path` is its name in messages.
    ///
    /// # Errors
    /// As [`Layers::load`].
    pub fn load_text(&self, path: &str, text: &str) -> Result<Loaded, ConfigErrors> {
        self.merge(file::read(path, text))
    }

    fn merge(&self, from_file: Layer) -> Result<Loaded, ConfigErrors> {
        let tables: Vec<TablePath> = from_file.tables.iter().map(|(table, _)| table.clone()).collect();
        let mut merge = Merge::default();
        let layers = [from_file, environment::read(&self.variables, &tables), self.read_flags()];
        let mut named = Vec::new();
        for layer in layers {
            merge.errors.extend(layer.errors);
            merge.warnings.extend(layer.warnings);
            merge.tables(layer.tables);
            for assignment in layer.assignments {
                // Namespaces begin as copies of [channels], which all layers must have had their say in.
                if assignment.path.table.name.is_some() {
                    named.push(assignment);
                } else {
                    merge.assign(assignment);
                }
            }
        }
        merge.create_tables();
        named.into_iter().for_each(|assignment| merge.assign(assignment));
        merge.finish()
    }

    fn read_flags(&self) -> Layer {
        let mut layer = Layer::default();
        for Flag { name, key, text } in &self.flags {
            let origin = Origin::Flag(name.clone());
            match KeyPath::parse(key) {
                Some(path) => layer.assignments.push(Assignment { path, input: Input::Text(text.clone()), origin }),
                None => layer.errors.push(ConfigError::new(origin, key, "expected section.key")),
            }
        }
        layer
    }
}

impl Config {
    /// The configuration of this TOML text over the defaults, checked.
    ///
    /// # Errors
    /// Everything that is wrong, with line numbers in `<text>`.
    pub fn from_toml(text: &str) -> Result<Self, ConfigErrors> {
        Layers::new().load_text("<text>", text).map(|loaded| loaded.config)
    }

    /// Whether an engine can run with this configuration; for one that a program put together.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn check(&self) -> Result<(), ConfigErrors> {
        let findings = check::check(self);
        let errors = findings.errors.into_iter();
        ConfigErrors::none_of(errors.map(|found| ConfigError::new(Origin::Program, found.key, found.why)).collect())
    }
}

fn read_file(path: &Path) -> Layer {
    let name = path.display().to_string();
    let fail = |line, key: &str, why: String| {
        let origin = Origin::File { path: name.as_str().into(), line };
        Layer { errors: vec![ConfigError::new(origin, key, why)], ..Layer::default() }
    };
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(why) => return fail(0, "", format!("cannot be read: {why}")),
    };
    match std::str::from_utf8(&bytes) {
        Ok(text) => file::read(&name, text),
        Err(why) => fail(file::line_of(&bytes, why.valid_up_to()), "syntax", "not UTF-8".into()),
    }
}

/// The layers on their way to one configuration.
#[derive(Default)]
struct Merge {
    config: Config,
    /// Where the value in force of each key, or the header of each table, stands written.
    origins: HashMap<String, Origin>,
    /// Named tables to create once [channels] is settled.
    named_tables: Vec<TablePath>,
    errors: Vec<ConfigError>,
    warnings: Vec<String>,
}

impl Merge {
    fn tables(&mut self, tables: Vec<(TablePath, Origin)>) {
        for (table, origin) in tables {
            self.origins.insert(table.to_string(), origin);
            self.named_tables.push(table);
        }
    }

    fn create_tables(&mut self) {
        for table in std::mem::take(&mut self.named_tables) {
            self.config.table_mut(&table).expect("only tables of named sections are collected");
        }
    }

    fn assign(&mut self, Assignment { path, input, origin }: Assignment) {
        let result = match known(&path) {
            Ok(()) => self.config.table_mut(&path.table).and_then(|table| table.set(&path.key, &input)),
            Err(why) => Some(Err(why)),
        };
        match result.unwrap_or_else(|| Err(unknown_key(&path.table, &path.key))) {
            Ok(()) => {
                self.origins.entry(path.table.to_string()).or_insert_with(|| origin.clone());
                self.origins.insert(path.to_string(), origin);
            }
            Err(why) => self.errors.push(ConfigError::new(origin, path.to_string(), why)),
        }
    }

    fn finish(mut self) -> Result<Loaded, ConfigErrors> {
        let findings = check::check(&self.config);
        // Rules between keys say nothing while a key may be missing only because it is misspelt.
        let warnings = findings.warnings.clone();
        let rules = if self.errors.is_empty() { findings.errors } else { findings.out_of_range() };
        for finding in rules {
            let origin = self.origin_of(&finding);
            self.errors.push(ConfigError::new(origin, finding.key, finding.why));
        }
        ConfigErrors::none_of(self.errors)?;
        self.warnings.extend(warnings);
        Ok(Loaded { config: self.config, warnings: self.warnings })
    }

    fn origin_of(&self, Finding { key, other, .. }: &Finding) -> Origin {
        let origin = self.origins.get(key).or_else(|| self.origins.get(other.unwrap_or_default()));
        origin.cloned().unwrap_or(Origin::Program)
    }
}

/// Refuses a path before its table comes into being.
fn known(path: &KeyPath) -> Result<(), String> {
    let KeyPath { table, key } = path;
    let (plain, named) = (SECTIONS.contains(&table.section.as_str()), NAMED_SECTIONS.contains(&table.section.as_str()));
    if !plain && !named {
        return Err(unknown_section(&table.section));
    }
    if named && table.name.is_none() {
        return Err(format!("expected {}.NAME.KEY", table.section));
    }
    let known = keys_of(&table.section).is_some_and(|keys| keys.contains(&key.as_str()));
    if known && (named || table.name.is_none()) { Ok(()) } else { Err(unknown_key(table, key)) }
}
