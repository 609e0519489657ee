//! The ready dialects, by name, and where a scenario's dialect comes from.

use std::path::Path;

use super::Dialect;
use crate::scenario::Scenario;

/// Names and files, built in.
const READY: [(&str, &str); 8] = [
    ("epush", include_str!("../../../config/loadgen/dialects/epush.toml")),
    ("raw", include_str!("../../../config/loadgen/dialects/raw.toml")),
    ("ws-echo", include_str!("../../../config/loadgen/dialects/ws-echo.toml")),
    ("socketio", include_str!("../../../config/loadgen/dialects/socketio.toml")),
    ("centrifugo", include_str!("../../../config/loadgen/dialects/centrifugo.toml")),
    ("pusher", include_str!("../../../config/loadgen/dialects/pusher.toml")),
    ("nchan", include_str!("../../../config/loadgen/dialects/nchan.toml")),
    ("stomp", include_str!("../../../config/loadgen/dialects/stomp.toml")),
];

/// The names of all ready dialects.
#[must_use]
pub fn names() -> Vec<&'static str> {
    READY.iter().map(|(name, _)| *name).collect()
}

/// The file of a ready dialect.
#[must_use]
pub fn text(name: &str) -> Option<&'static str> {
    READY.iter().find(|(ready, _)| *ready == name).map(|(_, text)| *text)
}

/// The words of the server that a scenario is about: its own `[dialect]`, a ready one, or a file.
///
/// # Errors
/// There is none of that name, or its file is wrong: in words.
pub fn of(scenario: &Scenario) -> Result<Dialect, String> {
    if let Some(own) = &scenario.dialect {
        return Ok(own.clone());
    }
    let name = &scenario.target.dialect;
    if let Some((_, text)) = READY.iter().find(|(ready, _)| ready == name) {
        return parse(name, text);
    }
    let path = Path::new(name);
    if path.extension().is_none() && path.components().count() == 1 {
        return Err(format!(
            "there is no dialect {name}: ready are {}; or give the path of a file",
            names().join(", ")
        ));
    }
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read the dialect {name}: {error}"))?;
    parse(name, &text)
}

fn parse(name: &str, text: &str) -> Result<Dialect, String> {
    toml::from_str(text).map_err(|error| format!("the dialect {name}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::words::Words;

    #[test]
    fn every_ready_dialect_is_understood() {
        for (name, text) in READY {
            let dialect = parse(name, text).unwrap();
            assert_eq!(dialect.name, name);
            Words::new(&dialect).unwrap();
        }
    }

    #[test]
    fn every_file_of_the_folder_is_built_in() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/loadgen/dialects");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        files.sort();
        let mut ready = names();
        ready.sort_unstable();
        assert_eq!(files, ready);
    }

    fn scenario(dialect: &str) -> Scenario {
        toml::from_str(&format!("name = \"test\"\ngroup = []\n[target]\ndialect = \"{dialect}\"")).unwrap()
    }

    #[test]
    fn a_dialect_may_be_a_file() {
        let path = format!("{}/../config/loadgen/dialects/stomp.toml", env!("CARGO_MANIFEST_DIR"));
        assert_eq!(of(&scenario(&path)).unwrap().name, "stomp");
    }

    #[test]
    fn a_dialect_there_is_not_is_named_with_those_there_are() {
        let words = of(&scenario("sockio")).unwrap_err();
        assert!(words.starts_with("there is no dialect sockio: ready are epush, raw,"), "{words}");
        assert!(of(&scenario("/nowhere/x.toml")).unwrap_err().starts_with("cannot read the dialect /nowhere/x.toml"));
    }

    #[test]
    fn what_is_wrong_with_a_dialect_is_said_with_its_line() {
        let words = parse("mine", "name = \"mine\"\nsuscribe = 1").unwrap_err();
        assert!(words.contains("line 2") && words.contains("suscribe"), "{words}");
    }
}
