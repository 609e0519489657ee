//! `bench/instructions/check`: counts the instructions of the hottest parts and compares them with the baseline.
//!
//! | command | does | status |
//! |---|---|---|
//! | `check` | counts, and compares with `baseline.toml` | 1 when a count is beyond its tolerance |
//! | `record` | counts, and writes `baseline.toml` | |
//! | `run CASE` | does one case, for callgrind by hand | |
//!
//! Status 2: nothing could be counted. On another architecture than the baseline's there is no verdict, and the status is 0.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs};

use epush_instructions::baseline::Baseline;
use epush_instructions::callgrind;
use epush_instructions::case::Case;
use epush_instructions::comparison::{Comparison, Row};

type Error = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        ["check"] => check(),
        ["record"] => record(),
        ["run", name] => run(name),
        _ => Err(usage().into()),
    };
    outcome.unwrap_or_else(|error| {
        // Nobody is left to tell when this fails.
        let _ = writeln!(io::stderr(), "{error}");
        ExitCode::from(2)
    })
}

fn usage() -> String {
    let names = Case::ALL.map(|case| case.name).join(", ");
    format!("usage: bench/instructions/check [check | record | run CASE]\ncases: {names}")
}

fn run(name: &str) -> Result<ExitCode, Error> {
    Case::named(name).ok_or_else(usage)?.run();
    Ok(ExitCode::SUCCESS)
}

fn check() -> Result<ExitCode, Error> {
    let baseline = fs::read_to_string(path()).map_err(|error| format!("{}: {error}", path().display()))?;
    let baseline = Baseline::parse(&baseline).map_err(|error| format!("{}: {error}", path().display()))?;
    let rows = counts()?.into_iter().map(|(case, now)| Row::new(case, now, &baseline));
    let comparison = Comparison { rows: rows.collect() };
    let mut out = io::stdout().lock();
    writeln!(out, "{comparison}")?;
    let here = conditions();
    baseline.differences(&here).iter().try_for_each(|line| writeln!(out, "{line}"))?;
    if baseline.arch != here.arch {
        writeln!(out, "Other processors have other instructions: no verdict.")?;
        return Ok(ExitCode::SUCCESS);
    }
    comparison.advice().iter().try_for_each(|line| writeln!(out, "{line}"))?;
    Ok(if comparison.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn record() -> Result<ExitCode, Error> {
    // The tolerances of a file that is there are kept; one that cannot be read is replaced.
    let before = fs::read_to_string(path()).ok().and_then(|text| Baseline::parse(&text).ok()).unwrap_or_default();
    let mut baseline = Baseline { cases: before.cases, ..conditions() };
    counts()?.into_iter().for_each(|(case, now)| baseline.record(case, now));
    fs::write(path(), baseline.to_toml())?;
    writeln!(io::stdout(), "{}", baseline.to_toml())?;
    Ok(ExitCode::SUCCESS)
}

fn counts() -> Result<Vec<(Case, f64)>, Error> {
    let program = env::current_exe()?;
    Case::ALL.into_iter().map(|case| Ok((case, callgrind::count(&program, case)?))).collect()
}

/// What counts are taken with here and now; no cases.
fn conditions() -> Baseline {
    let unknown = || "unknown".to_owned();
    Baseline {
        rustc: callgrind::rustc().unwrap_or_else(unknown),
        arch: env::consts::ARCH.to_owned(),
        valgrind: callgrind::version().unwrap_or_else(unknown),
        ..Baseline::default()
    }
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("baseline.toml")
}
