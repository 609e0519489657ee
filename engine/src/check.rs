//! `epush check FILE`: is it valid, and what would be in force?

use std::io::{self, Write};
use std::process::ExitCode;

use epush::config::{Config, Layers};

/// Prints the effective configuration and returns 0, or every error and returns 2. Warnings go to stderr.
///
/// `quiet`: without the configuration.
pub fn run(layers: &Layers, quiet: bool) -> ExitCode {
    let loaded = match layers.load() {
        Ok(loaded) => loaded,
        Err(errors) => {
            // The exit code says it even when stderr is closed.
            let _ = writeln!(io::stderr(), "{errors}");
            return ExitCode::from(2);
        }
    };
    for warning in loaded.warnings.iter().chain(&unreadable(&loaded.config)) {
        let _ = writeln!(io::stderr(), "warning: {warning}");
    }
    if quiet {
        return ExitCode::SUCCESS;
    }
    match io::stdout().write_all(loaded.config.to_toml().as_bytes()) {
        Err(why) if why.kind() != io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}

/// The files that `serve` would fail to read. No error here: the config may be checked on another machine.
fn unreadable(config: &Config) -> Vec<String> {
    let files = [
        ("api.keys_file", &config.api.keys_file),
        ("auth.key_file", &config.auth.key_file),
        ("auth.jwks_file", &config.auth.jwks_file),
        ("cluster.ca_file", &config.cluster.ca_file),
        ("cluster.cert_file", &config.cluster.cert_file),
        ("cluster.key_file", &config.cluster.key_file),
    ];
    let named = files.into_iter().filter_map(|(key, path)| Some((key, path.as_deref()?)));
    let opened = named.map(|(key, path)| (key, path, std::fs::File::open(path)));
    opened.filter_map(|(key, path, file)| Some(format!("{key}: {}: {}", path.display(), file.err()?))).collect()
}
