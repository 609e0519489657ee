//! Counting the instructions of a case: this program again, under valgrind.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::{fmt, fs, process};

use crate::case::Case;

/// The function whose inside is counted, as callgrind writes its name; the star is for what compilers append.
const COUNTED: &str = "epush_instructions::case::measured*";

/// Why nothing was counted.
#[derive(Debug)]
pub enum CountError {
    /// valgrind could not be started.
    Valgrind(io::Error),
    /// It ended badly: what it said.
    Failed(String),
    /// Its result could not be read.
    Result(io::Error),
    /// It ended well and has counted nothing: the function has another name now.
    Nothing,
}

impl fmt::Display for CountError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Valgrind(error) if error.kind() == io::ErrorKind::NotFound => {
                out.write_str("valgrind is missing: apt-get install valgrind (./test installs it)")
            }
            Self::Valgrind(error) => write!(out, "valgrind does not start: {error}"),
            Self::Failed(said) => write!(out, "valgrind failed: {said}"),
            Self::Result(error) => write!(out, "the result of valgrind is not readable: {error}"),
            Self::Nothing => write!(out, "valgrind counted nothing: is there no function {COUNTED} any more?"),
        }
    }
}

impl std::error::Error for CountError {}

/// Instructions per operation of the case; `program` is this program, which does `run CASE`.
///
/// # Errors
/// When valgrind is missing or fails.
pub fn count(program: &Path, case: Case) -> Result<f64, CountError> {
    let result = std::env::temp_dir().join(format!("epush-instructions.{}.{}", process::id(), case.name));
    let output = Command::new("valgrind")
        .arg("--tool=callgrind")
        .arg(format!("--toggle-collect={COUNTED}"))
        .arg(format!("--callgrind-out-file={}", result.display()))
        .arg(program)
        .args(["run", case.name])
        .stdin(Stdio::null())
        .output()
        .map_err(CountError::Valgrind)?;
    let written = fs::read_to_string(&result);
    // Not there when valgrind failed, which is said below.
    let _ = fs::remove_file(&result);
    if !output.status.success() {
        return Err(CountError::Failed(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    match total(&written.map_err(CountError::Result)?) {
        Some(instructions) if instructions > 0 => Ok(instructions as f64 / case.operations as f64),
        _ => Err(CountError::Nothing),
    }
}

/// The version of valgrind, as it writes it; none when it is missing.
#[must_use]
pub fn version() -> Option<String> {
    first_line("valgrind", "valgrind-")
}

/// The version of the compiler, as it writes it.
#[must_use]
pub fn rustc() -> Option<String> {
    first_line(std::env::var("RUSTC").as_deref().unwrap_or("rustc"), "rustc ")
}

fn first_line(program: &str, prefix: &str) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.lines().next()?.trim_start_matches(prefix).to_owned())
}

/// All instructions of a callgrind file.
fn total(written: &str) -> Option<u64> {
    written.lines().find_map(|line| line.strip_prefix("summary: "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_the_summary_of_the_file() {
        assert_eq!(total("version: 1\nevents: Ir\nsummary: 270027\n\nfn=(0) main\n1 5\n"), Some(270_027));
        assert_eq!(total("version: 1\nevents: Ir\n"), None);
    }

    #[test]
    fn a_missing_valgrind_is_named_with_the_way_to_install_it() {
        let missing = CountError::Valgrind(io::Error::from(io::ErrorKind::NotFound));
        assert!(missing.to_string().contains("apt-get install valgrind"));
    }
}
