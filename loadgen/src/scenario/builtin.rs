//! The scenarios that are built in, by name: the files of `config/loadgen`.

/// A scenario file that came with the program.
#[derive(Clone, Copy, Debug)]
pub struct Builtin {
    /// Its name, and the subcommand's.
    pub name: &'static str,
    /// Its path in the sources, for messages.
    pub path: &'static str,
    /// Its text.
    pub text: &'static str,
}

macro_rules! builtins {
    ($($name:literal),* $(,)?) => {
        /// All of them, the simplest first.
        pub const ALL: &[Builtin] = &[$(Builtin {
            name: $name,
            path: concat!("config/loadgen/", $name, ".toml"),
            text: include_str!(concat!("../../../config/loadgen/", $name, ".toml")),
        }),*];
    };
}

builtins!["hold", "storm", "fanout", "direct", "echo", "peer", "churn", "slow", "every", "mixed"];

/// The one of this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Builtin> {
    ALL.iter().find(|builtin| builtin.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::file;

    #[test]
    fn every_builtin_scenario_can_be_run_as_it_is() {
        for builtin in ALL {
            let read = file::parse(builtin.path, builtin.text);
            let (scenario, _) = read.unwrap_or_else(|why| panic!("{why}"));
            assert_eq!(scenario.name, builtin.name);
            assert!(!scenario.about.is_empty(), "{} says what it shows", builtin.name);
            let findings = crate::scenario::check::check(&scenario);
            assert!(findings.is_empty(), "{}: {findings:?}", builtin.name);
        }
    }

    #[test]
    fn every_scenario_file_in_the_sources_is_built_in() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/loadgen");
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        for path in files.filter(|path| path.extension().is_some_and(|extension| extension == "toml")) {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            assert!(named(&name).is_some(), "{name}");
        }
    }
}
