//! What can be asked for without a run: built-in files, and two results side by side.

use std::path::PathBuf;
use std::process::ExitCode;

use epush_loadgen::dialect::ready;
use epush_loadgen::error::Error;
use epush_loadgen::report::compare;
use epush_loadgen::scenario::builtin;

use crate::say;

/// Prints a built-in scenario's file.
pub fn show(name: &str) -> Result<ExitCode, Error> {
    let builtin = builtin::named(name).ok_or_else(|| Error::Usage(format!("there is no scenario {name}")))?;
    say::to_stdout(builtin.text)?;
    Ok(ExitCode::SUCCESS)
}

/// Lists the ready dialects, or prints the file of one.
pub fn dialects(name: Option<&str>) -> Result<ExitCode, Error> {
    let Some(name) = name else {
        let lines: Vec<String> = ready::names().iter().map(|name| format!("{name:<12} {}", about(name))).collect();
        say::to_stdout(&lines.join("\n"))?;
        return Ok(ExitCode::SUCCESS);
    };
    let text = ready::text(name);
    let names = || ready::names().join(", ");
    say::to_stdout(text.ok_or_else(|| Error::Usage(format!("there is no dialect {name}: ready are {}", names())))?)?;
    Ok(ExitCode::SUCCESS)
}

/// The first line of a dialect's file says what it is.
fn about(name: &str) -> &'static str {
    let first = ready::text(name).and_then(|text| text.lines().next());
    first.map_or("", |line| line.trim_start_matches('#').trim())
}

/// Shows how two results differ: two alone, or several of each side.
pub fn compare(results: &[PathBuf], with: &[PathBuf]) -> Result<ExitCode, Error> {
    let text = match (results, with) {
        ([before, after], []) => compare::files(std::slice::from_ref(before), std::slice::from_ref(after))?,
        (_, []) => {
            let why = "expected two results: compare A.json B.json, or compare A1.json A2.json --with B1.json B2.json";
            return Err(Error::Usage(String::from(why)));
        }
        (before, after) => compare::files(before, after)?,
    };
    say::to_stdout(&text)?;
    Ok(ExitCode::SUCCESS)
}
