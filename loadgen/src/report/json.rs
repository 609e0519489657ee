//! The result in a file: [`Outcome`] as JSON. Its schema is in `docs/LOADGEN.md`.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::error::Error;
use crate::outcome::{Outcome, SCHEMA};
use crate::report::{secrets, units};

/// Writes a result, without the scenario's secrets.
///
/// # Errors
/// [`Error::Failed`] when the file cannot be written.
pub fn write(outcome: &Outcome, path: &Path) -> Result<(), Error> {
    fs::write(path, text(outcome)).map_err(|error| Error::Failed(format!("cannot write {}: {error}", path.display())))
}

/// The result as text.
#[must_use]
pub fn text(outcome: &Outcome) -> String {
    let mut shown = outcome.clone();
    shown.scenario = secrets::hidden(&outcome.scenario);
    let mut text = serde_json::to_string_pretty(&shown).expect("names and numbers, no maps with other keys");
    text.push('\n');
    text
}

/// Reads a result.
///
/// # Errors
/// [`Error::Usage`] when the file cannot be read, is no result, or has another version's schema.
pub fn read(path: &Path) -> Result<Outcome, Error> {
    let text = fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"));
    text.and_then(|text| parse(&text)).map_err(|words| Error::Usage(format!("{} {words}", path.display())))
}

/// From text. The error continues a sentence that begins with the file's name.
fn parse(text: &str) -> Result<Outcome, String> {
    let any: Value = serde_json::from_str(text).map_err(|error| {
        format!("is not a result of epush-loadgen: it is no JSON ({error}). Results are made with --json")
    })?;
    let (ours, _) = SCHEMA.split_once('/').expect("a name and a number");
    match any.get("schema").and_then(Value::as_str) {
        Some(SCHEMA) => serde_json::from_str(text).map_err(|error| unfitting(&any, &error)),
        Some(other) if other.split('/').next() == Some(ours) => Err(format!(
            "has the schema {}, and this version ({}) reads {SCHEMA}: use the version that wrote it",
            units::harmless(other, VERSION_MAX),
            env!("CARGO_PKG_VERSION")
        )),
        _ => Err(format!(
            "is not a result of epush-loadgen: it has no \"schema\": \"{SCHEMA}\". Results are made with --json"
        )),
    }
}

/// Right schema, wrong fields: a damaged file, or another version's that knows more.
fn unfitting(any: &Value, error: &serde_json::Error) -> String {
    let writer = any.get("version").and_then(Value::as_str).unwrap_or("?");
    let writer = units::harmless(writer, VERSION_MAX);
    format!("was written by version {writer} and cannot be read by {}: {error}", env!("CARGO_PKG_VERSION"))
}

/// Longest version in a message.
const VERSION_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample_outcome;

    #[test]
    fn a_result_is_read_as_it_was_written() {
        for outcome in [sample_outcome::busy(), sample_outcome::empty()] {
            let written = text(&outcome);
            let again = parse(&written).expect("what was written");
            let differing =
                written.lines().zip(text(&again).lines()).find(|(a, b)| a != b).map(|(a, b)| format!("{a}\n{b}"));
            assert_eq!(differing, None);
            assert_eq!(again.latency, outcome.latency);
            assert_eq!(again.timeline, outcome.timeline);
        }
    }

    #[test]
    fn a_file_lands_on_the_disk_and_comes_back() {
        let path = std::env::temp_dir().join(format!("epush-loadgen-json-{}.json", std::process::id()));
        write(&sample_outcome::busy(), &path).expect("written");
        let read = read(&path).expect("read");
        fs::remove_file(&path).expect("removed");
        assert_eq!(read.counts, sample_outcome::busy().counts);
    }

    #[test]
    fn what_is_no_result_is_refused_in_words() {
        let cases = [
            ("", "it is no JSON"),
            ("[1]", "it has no \"schema\""),
            ("{\"schema\":\"other/1\"}", "it has no \"schema\": \"epush-loadgen/1\""),
            ("{\"schema\":\"epush-loadgen/99\"}", "use the version that wrote it"),
            ("{\"schema\":\"epush-loadgen/1\"}", "was written by version ? and cannot be read by"),
        ];
        for (text, words) in cases {
            let error = parse(text).expect_err(text);
            assert!(error.contains(words), "{error}");
        }
        let error = read(Path::new("/nonexistent/a.json")).expect_err("no file").to_string();
        assert!(error.starts_with("/nonexistent/a.json cannot be read: "), "{error}");
    }

    #[test]
    fn numbers_that_are_none_do_not_spoil_the_file() {
        let mut outcome = sample_outcome::busy();
        outcome.publishing.per_s = f64::NAN;
        outcome.metrics = Some(crate::outcome::Metrics {
            before: [("a".to_owned(), f64::NAN), ("b".to_owned(), 1.0)].into(),
            ..Default::default()
        });
        let again = parse(&text(&outcome)).expect("still a result");
        assert_eq!(again.publishing.per_s, 0.0);
        assert_eq!(again.metrics.expect("there").before, [("b".to_owned(), 1.0)].into());
    }

    #[test]
    fn remarks_are_a_list_even_where_there_are_none() {
        let mut outcome = sample_outcome::busy();
        let remarks = |outcome: &Outcome| {
            let any: Value = serde_json::from_str(&text(outcome)).expect("JSON");
            any["client"]["remarks"].clone()
        };
        assert_eq!(remarks(&outcome), serde_json::json!([]));
        outcome.client.remarks = vec!["busy".to_owned()];
        assert_eq!(remarks(&outcome), serde_json::json!(["busy"]));
        let before = text(&outcome).replace("\"remarks\"", "\"unknown\"");
        assert_eq!(parse(&before).expect("a result from before there were any").client.remarks, Vec::<String>::new());
    }

    #[test]
    fn secrets_stay_out_of_the_file() {
        let mut outcome = sample_outcome::busy();
        outcome.scenario.target.headers.insert("Authorization".to_owned(), "Bearer hush".to_owned());
        assert!(!text(&outcome).contains("hush"));
    }
}
