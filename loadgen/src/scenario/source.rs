//! Where each value of a scenario stands written, and what is wrong with it there: a line of the file, or a flag.
//!
//! Knows no key's meaning.

use std::collections::BTreeMap;
use std::fmt;

use crate::error::Error;

/// Where a scenario's values come from.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// Name of the file in messages.
    file: String,
    /// Lines by path, as in `group[0].clients`, counted from 1.
    lines: BTreeMap<String, usize>,
    /// Flags by the path they set.
    flags: BTreeMap<String, String>,
}

/// One thing that is wrong. Displays as `file:line: key: why`, or `--flag: why`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    origin: Origin,
    key: String,
    why: String,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    /// The file as a whole.
    File(String),
    Line(String, usize),
    Flag(String),
}

impl Source {
    /// Of a file of this name, with nothing in it yet.
    #[must_use]
    pub fn new(file: &str) -> Self {
        Self { file: file.into(), ..Self::default() }
    }

    /// The value at this path stands on this line.
    pub(super) fn line(&mut self, path: String, line: usize) {
        self.lines.insert(path, line);
    }

    /// The value at this path was set by a flag.
    pub fn flag(&mut self, path: impl Into<String>, flag: &str) {
        self.flags.insert(path.into(), flag.into());
    }

    /// What is wrong with the value at a path: found at its flag, else its line, else that of the table it would stand in.
    #[must_use]
    pub fn problem(&self, path: &str, why: impl Into<String>) -> Problem {
        let why = why.into();
        if let Some(flag) = self.flags.get(path) {
            return Problem { origin: Origin::Flag(flag.clone()), key: path.into(), why };
        }
        let known = ancestors(path).find_map(|path| self.lines.get(path));
        match known {
            Some(line) => self.at(*line, &without_positions(path), why),
            None => self.whole(&format!("{path}: {why}")),
        }
    }

    /// What is wrong on a line.
    pub(super) fn at(&self, line: usize, key: &str, why: impl Into<String>) -> Problem {
        Problem { origin: Origin::Line(self.file.clone(), line), key: key.into(), why: why.into() }
    }

    /// What is wrong with the file as a whole.
    pub(super) fn whole(&self, why: &str) -> Problem {
        Problem { origin: Origin::File(self.file.clone()), key: String::new(), why: why.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, key, why } = self;
        match origin {
            Origin::File(file) => write!(out, "{file}: {why}"),
            Origin::Line(file, line) => write!(out, "{file}:{line}: {key}: {why}"),
            Origin::Flag(flag) => write!(out, "{flag}: {why}"),
        }
    }
}

/// Words for all that is wrong, a line each, in the order of the file.
#[must_use]
pub fn refusal(mut problems: Vec<Problem>) -> Error {
    problems.sort();
    problems.dedup();
    Error::Usage(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

/// `a.b[0].c`, `a.b[0]`, `a`: the path, and what it stands in.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |path| path.rsplit_once('.').map(|(table, _)| table))
}

/// `group[0].clients` as people write it where the line says which one: `group.clients`.
fn without_positions(path: &str) -> String {
    let pieces = path.split('[').enumerate();
    pieces
        .map(|(at, piece)| if at == 0 { piece } else { piece.split_once(']').map_or(piece, |(_, rest)| rest) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_at_its_flag_then_its_line_then_its_table() {
        let mut source = Source::new("a.toml");
        source.line("group[0]".into(), 3);
        source.line("group[0].clients".into(), 4);
        source.flag("target.url", "--url");
        assert_eq!(source.problem("group[0].clients", "no").to_string(), "a.toml:4: group.clients: no");
        assert_eq!(
            source.problem("group[0].activity.rate_per_s", "no").to_string(),
            "a.toml:3: group.activity.rate_per_s: no"
        );
        assert_eq!(source.problem("target.url", "no").to_string(), "--url: no");
        assert_eq!(source.problem("phases.ramp_ms", "no").to_string(), "a.toml: phases.ramp_ms: no");
    }
}
