//! Programs of others that tests need. A missing one fails the test: `./test` installs them all.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::node::{Ended, run_to_end};

/// Where the program is.
///
/// # Panics
/// When it is not installed.
pub fn tool(name: &str) -> PathBuf {
    // Debian keeps servers in sbin, which is not on everybody's path.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let found = folders.map(|folder| folder.join(name)).find(|file| file.is_file());
    found.unwrap_or_else(|| panic!("{name} is not installed: run ./test, which installs it"))
}

/// The Python of `./test`, which has `websockets`.
pub fn python() -> PathBuf {
    cached("venv/bin/python3", "Python's websockets")
}

/// The folder whose `node_modules` has `ws`, `wscat` and `playwright-core`.
pub fn node_modules() -> PathBuf {
    cached("node/node_modules", "the npm packages ws, wscat and playwright-core")
}

/// A file of `engine/tests`.
pub fn test_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

/// A file of the repository.
pub fn repository_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("engine/ is in the repository").join(name)
}

/// Runs a command that must succeed within the deadline.
pub fn succeeds(command: &mut Command) -> Ended {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let name = format!("{command:?}");
    let ended = run_to_end(command, "");
    assert_eq!(ended.code, Some(0), "{name}\nstdout:\n{}\nstderr:\n{}", ended.stdout, ended.stderr);
    ended
}

fn cached(file: &str, what: &str) -> PathBuf {
    let found = cache().join(file);
    assert!(found.exists(), "{what} is not in {}: run ./test, which installs it", cache().display());
    found
}

/// `EPUSH_TEST_CACHE`, or `epush-test` in the user's cache folder: as in `./test`.
fn cache() -> PathBuf {
    if let Some(folder) = std::env::var_os("EPUSH_TEST_CACHE") {
        return folder.into();
    }
    let home = || PathBuf::from(std::env::var_os("HOME").expect("HOME is set")).join(".cache");
    std::env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from).join("epush-test")
}
