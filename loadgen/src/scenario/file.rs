//! Reading a scenario file: TOML to a [`Scenario`], with the line of everything that is wrong.
//!
//! Knows the form alone; what a value may be is `check`'s to say.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, Deserializer};

use super::entries::{self, Entry};
use super::source::{Problem, Source, refusal};
use super::words;
use super::{Scenario, check};
use crate::error::Error;

/// Reads and checks a file.
///
/// # Errors
/// [`Error::Usage`] with everything that is wrong, a line each: `file:line: key: why`.
pub fn read(path: &Path) -> Result<(Scenario, Source), Error> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|why| Error::Usage(format!("{name}: cannot be read: {why}")))?;
    match std::str::from_utf8(&bytes) {
        Ok(text) => parse(&name, text),
        Err(why) => {
            let line = line_of(&bytes, why.valid_up_to());
            Err(refusal(vec![Source::new(&name).at(line, "syntax", "not UTF-8")]))
        }
    }
}

/// Reads the text of a file; `name` is its name in messages. Where it says no `name` of its own, the file's is taken.
///
/// # Errors
/// As [`read`].
pub fn parse(name: &str, text: &str) -> Result<(Scenario, Source), Error> {
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return Err(refusal(errors.iter().map(|error| syntax(name, text, error)).collect()));
    }
    let mut reader =
        Reader { text, document, source: Source::new(name), problems: Vec::new(), incomplete: BTreeSet::new() };
    let scenario = reader.scenario();
    let Reader { mut problems, source, .. } = reader;
    if let Some(mut scenario) = scenario {
        if scenario.name.is_empty() {
            scenario.name = Path::new(name).file_stem().unwrap_or_default().to_string_lossy().into_owned();
        }
        // Rules between keys say nothing while one may be missing only because it is misspelt.
        let findings = check::ranges(&scenario);
        problems.extend(findings.into_iter().map(|found| source.problem(&found.key, found.why)));
        if problems.is_empty() {
            return Ok((scenario, source));
        }
    }
    Err(refusal(problems))
}

struct Reader<'a> {
    text: &'a str,
    document: Spanned<DeTable<'a>>,
    source: Source,
    problems: Vec<Problem>,
    /// Where the tables begin that an entry was taken out of: what they lack from then on may be that entry.
    incomplete: BTreeSet<usize>,
}

impl Reader<'_> {
    /// What is in the document; entries that cannot be read become problems and are left out. `None`: nothing is left to read.
    fn scenario(&mut self) -> Option<Scenario> {
        loop {
            let read = Scenario::deserialize(Deserializer::from(self.document.clone()));
            let entries = entries::of(self.document.get_ref());
            match read {
                Ok(scenario) => {
                    self.note_lines(&entries);
                    return Some(scenario);
                }
                Err(error) => {
                    let culprit = self.blame(&error, &entries)?;
                    entries::remove(self.document.get_mut(), &culprit);
                }
            }
        }
    }

    fn note_lines(&mut self, entries: &[Entry]) {
        for entry in entries {
            self.source.line(entry.path.to_string(), line_of(self.text.as_bytes(), entry.span.start));
        }
    }

    /// Notes what is wrong, and says which entry to read on without.
    fn blame(&mut self, error: &toml::de::Error, entries: &[Entry]) -> Option<entries::Path> {
        let message = error.message();
        let table = entries::innermost(entries, &error.span().unwrap_or_default())?;
        let named = words::key_in(message).map(|key| table.path.clone().key(key));
        // A tagged table keeps no lines of its keys: the message names the one that is unknown.
        let exact = named.as_ref().and_then(|path| entries.iter().find(|entry| entry.path == *path));
        let entry = exact.unwrap_or(table);
        let line = line_of(self.text.as_bytes(), entry.span.start);
        let shown = named.filter(|_| words::is_missing(message)).unwrap_or_else(|| entry.path.clone());
        if !self.incomplete.contains(&entry.span.start) {
            self.problems.push(self.source.at(line, &shown.words(), words::of(message)));
        }
        let around = entries.iter().filter(|outer| entry.path.starts_with(&outer.path));
        self.incomplete.extend(around.map(|outer| outer.span.start));
        Some(entry.path.clone())
    }
}

fn syntax(name: &str, text: &str, error: &toml::de::Error) -> Problem {
    let line = line_of(text.as_bytes(), error.span().map_or(0, |span| span.start));
    Source::new(name).at(line, "syntax", error.message().trim_end())
}

/// The line an offset is in, counted from 1.
fn line_of(text: &[u8], offset: usize) -> usize {
    1 + text[..offset.min(text.len())].iter().filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        parse("a.toml", text).unwrap_err().to_string()
    }

    #[test]
    fn everything_wrong_in_a_file_is_said_at_once_with_its_line() {
        let text = r#"
nam = "a"
[target]
url = "http://a"
pid = "x"
[phases]
steady = 3
[[group]]
clients = 10
chanels = ["a"]
[[group]]
name = "b"
[[group]]
clients = 0
activity = { kind = "ecko" }
[[group]]
clients = 1
[group.activity]
kind = "echo"
rate_per_s = 1
payload_byte = 128
[[publisher]]
to = { channel = ["a"] }
rate_per_s = "fast"
payload_bytes = 3
"#;
        let lines = [
            "a.toml:2: nam: unknown key; did you mean `name`?",
            "a.toml:4: target.url: `http://` is not for this: expected ws:// or wss://",
            "a.toml:5: target.pid: expected a whole number, 0 or more, found string \"x\"",
            "a.toml:7: phases.steady: unknown key; did you mean `steady_ms`?",
            "a.toml:10: group.chanels: unknown key; did you mean `channels`?",
            "a.toml:11: group.clients: is missing",
            "a.toml:14: group.clients: expected 1 to 10000000",
            "a.toml:15: group.activity.kind: nothing is called `ecko`; did you mean `echo`?",
            "a.toml:21: group.activity.payload_byte: unknown key; did you mean `payload_bytes`?",
            "a.toml:23: publisher.to.channel: nothing is called `channel`; did you mean `channels`?",
            "a.toml:24: publisher.rate_per_s: expected a number, found string \"fast\"",
        ];
        let found = refused(text);
        assert_eq!(found.lines().collect::<Vec<_>>(), lines, "{found}");
    }

    #[test]
    fn broken_toml_names_its_line() {
        let found = refused("name = \"a\"\n[[group]\nclients = 1\n");
        assert!(found.starts_with("a.toml:2: syntax: "), "{found}");
    }

    #[test]
    fn a_pace_and_a_rate_exclude_each_other() {
        let publisher = "[[group]]\nclients = 1\n[[publisher]]\nto = \"all\"\npayload_bytes = 64\n";
        let both = refused(&format!("{publisher}rate_per_s = 1\npace = \"taken\"\n"));
        assert_eq!(both, "a.toml:3: publisher: rate_per_s and pace exclude each other: a pace has no rate");
        assert!(refused(publisher).contains("set rate_per_s"), "{}", refused(publisher));
        let (scenario, _) = parse("a.toml", &format!("{publisher}pace = \"taken\"\n")).unwrap();
        assert_eq!(scenario.publishers[0].pace, crate::scenario::Pace::Taken);
        assert_eq!(scenario.name, "a", "the file's name is its title");
    }

    #[test]
    fn a_scenario_survives_json_between_processes() {
        for builtin in crate::scenario::builtin::ALL {
            let (scenario, _) = parse(builtin.path, builtin.text).unwrap();
            let json = serde_json::to_string(&scenario).unwrap();
            assert_eq!(serde_json::from_str::<Scenario>(&json).unwrap(), scenario, "{json}");
        }
    }
}
