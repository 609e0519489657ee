//! A TOML document as a list of entries, each with its path and where it stands.

use std::fmt;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// An entry: a key of a table, or an element of an array.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The way to it.
    pub path: Path,
    /// Its key; of an element, itself.
    pub span: Range<usize>,
    /// Its value.
    pub value: Range<usize>,
}

/// The way to an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Path(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Element(usize),
}

impl Path {
    /// The path of a key in the table at this one.
    pub(super) fn key(mut self, key: &str) -> Self {
        self.0.push(Step::Key(key.into()));
        self
    }

    fn element(mut self, at: usize) -> Self {
        self.0.push(Step::Element(at));
        self
    }

    /// The keys alone, with dots.
    pub(super) fn words(&self) -> String {
        let keys = self.0.iter().filter_map(|step| match step {
            Step::Key(key) => Some(key.as_str()),
            Step::Element(_) => None,
        });
        keys.collect::<Vec<_>>().join(".")
    }
}

/// As in `group[0].clients`.
impl fmt::Display for Path {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if at == 0 => out.write_str(key)?,
                Step::Key(key) => write!(out, ".{key}")?,
                Step::Element(position) => write!(out, "[{position}]")?,
            }
        }
        Ok(())
    }
}

/// All entries, outer before inner.
pub(super) fn of(document: &DeTable<'_>) -> Vec<Entry> {
    let mut entries = Vec::new();
    table(document, &Path::default(), &mut entries);
    entries
}

fn table(table: &DeTable<'_>, path: &Path, entries: &mut Vec<Entry>) {
    for (key, inner) in table {
        let path = path.clone().key(key.get_ref());
        entries.push(Entry { path: path.clone(), span: key.span(), value: inner.span() });
        value(inner, &path, entries);
    }
}

fn value(value: &Spanned<DeValue<'_>>, path: &Path, entries: &mut Vec<Entry>) {
    match value.get_ref() {
        DeValue::Table(inner) => table(inner, path, entries),
        DeValue::Array(elements) => {
            for (at, element) in elements.iter().enumerate() {
                let path = path.clone().element(at);
                entries.push(Entry { path: path.clone(), span: element.span(), value: element.span() });
                self::value(element, &path, entries);
            }
        }
        _ => {}
    }
}

/// The smallest entry whose key or value is or holds this place.
pub(super) fn innermost<'a>(entries: &'a [Entry], place: &Range<usize>) -> Option<&'a Entry> {
    let holds = |span: &Range<usize>| span.start <= place.start && place.end <= span.end;
    let size = |entry: &Entry| if holds(&entry.span) { entry.span.len() } else { entry.value.len() };
    let holding = entries.iter().filter(|entry| holds(&entry.span) || holds(&entry.value));
    holding.min_by_key(|entry| size(entry))
}

impl Path {
    /// Whether this one leads into, or to, what the other leads to.
    pub(super) fn starts_with(&self, outer: &Self) -> bool {
        self.0.starts_with(&outer.0)
    }
}

/// Takes an entry out.
pub(super) fn remove(document: &mut DeTable<'_>, path: &Path) {
    let Some((Step::Key(first), rest)) = path.0.split_first() else { return };
    match rest.split_first() {
        None => drop(document.remove(first.as_str())),
        Some(_) => {
            if let Some(value) = document.get_mut(first.as_str()) {
                remove_in(value.get_mut(), rest);
            }
        }
    }
}

fn remove_in(value: &mut DeValue<'_>, path: &[Step]) {
    match (value, path) {
        (DeValue::Table(table), path) => remove(table, &Path(path.to_vec())),
        (DeValue::Array(elements), [Step::Element(at)]) => {
            let mut kept = DeArray::new();
            let others = elements.iter().enumerate().filter(|(position, _)| position != at);
            others.for_each(|(_, element)| kept.push(element.clone()));
            *elements = kept;
        }
        (DeValue::Array(elements), [Step::Element(at), rest @ ..]) => {
            if let Some(element) = elements.get_mut(*at) {
                remove_in(element.get_mut(), rest);
            }
        }
        _ => {}
    }
}
