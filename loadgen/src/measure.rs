//! A run from its scenario to its exit code.

use std::path::Path;
use std::process::ExitCode;

use epush_loadgen::error::Error;
use epush_loadgen::outcome::Outcome;
use epush_loadgen::report::expect::{self, Expectations};
use epush_loadgen::report::{html, json, table};
use epush_loadgen::run::{self, advice};
use epush_loadgen::screen::{Display, Show};

use crate::cli::common::Output;
use crate::cli::lay::Asked;
use crate::{say, signals};

/// The server closed every client, or took nothing at all, or sums that must agree do not: what was measured is not what was
/// asked for.
const EXIT_FAILED: u8 = 1;
/// An expectation did not hold.
const EXIT_UNEXPECTED: u8 = 3;
/// The numbers measure this tool.
const EXIT_BOTTLENECK: u8 = 4;

/// Runs, reports, judges.
pub fn measure(Asked { scenario, output }: Asked) -> Result<ExitCode, Error> {
    let expectations = output.expectations()?;
    output.check()?;
    let interrupted = signals::watch().map_err(|why| Error::Failed(format!("cannot watch for signals: {why}")))?;
    let mut display = Display::open(output.show(), &scenario, &interrupted);
    let ended = run::run(scenario, &interrupted, &mut display);
    // The terminal is given back before anything is said.
    drop(display);
    let outcome = ended?;
    report(&outcome, &output)?;
    Ok(ExitCode::from(judge(&outcome, expectations.as_ref(), &output)))
}

/// Puts the result everywhere it was asked for, also where one of these places cannot have it.
fn report(outcome: &Outcome, output: &Output) -> Result<(), Error> {
    let prints_json = output.json.as_deref() == Some(Path::new("-"));
    let table = match (output.quiet, prints_json) {
        (true, _) => Ok(()),
        (false, true) => {
            say::to_stderr(&table::render(outcome));
            Ok(())
        }
        (false, false) => say::to_stdout(&table::render(outcome)),
    };
    let json = match &output.json {
        Some(_) if prints_json => say::whole_to_stdout(&json::text(outcome)),
        Some(path) => json::write(outcome, path),
        None => Ok(()),
    };
    let html = output.html.as_deref().map_or(Ok(()), |path| html::write(outcome, path));
    table.and(json).and(html)
}

/// The exit code, its reason said: what was expected comes before a tool that was too slow.
fn judge(outcome: &Outcome, expectations: Option<&Expectations>, output: &Output) -> u8 {
    let verdicts = expectations.map(|expectations| expectations.check(outcome)).unwrap_or_default();
    let held = verdicts.iter().all(|verdict| verdict.held);
    if !verdicts.is_empty() && (!held || !output.quiet) {
        say::to_stderr(&expect::render(&verdicts));
    }
    if let Some(words) = advice::nobody_left(outcome) {
        say::to_stderr(&format!("epush-loadgen: {words}"));
        return EXIT_FAILED;
    }
    if let Some(words) = none_taken(outcome).or_else(|| all_refused(outcome)) {
        say::to_stderr(&words);
        return EXIT_FAILED;
    }
    if !(outcome.balance.messages && outcome.balance.bytes) {
        let why = outcome.balance.disagreements.join("; ");
        say::to_stderr(&format!("epush-loadgen: its own sums disagree, so nothing here can be believed: {why}"));
        return EXIT_FAILED;
    }
    match (held, outcome.client.bottleneck.is_empty()) {
        (false, _) => EXIT_UNEXPECTED,
        (true, false) => {
            let why = outcome.client.bottleneck.join("; ");
            say::to_stderr(&format!("epush-loadgen: this tool was the bottleneck: {why}"));
            EXIT_BOTTLENECK
        }
        (true, true) => 0,
    }
}

/// Words for a run in which nothing was published, though it should have been.
fn none_taken(outcome: &Outcome) -> Option<String> {
    let publishing = &outcome.publishing;
    let kinds = outcome.failures.iter().find(|failed| failed.kind.starts_with("publication"));
    (publishing.published > 0 && publishing.refused >= publishing.published).then(|| {
        let most = kinds.map_or_else(String::new, |failed| format!(" ({})", failed.kind));
        format!(
            "epush-loadgen: the server took none of {} publications{most}: check --api, --dialect, and what the server allows",
            publishing.published
        )
    })
}

/// Words for a run in which the server refused whatever its clients sent.
fn all_refused(outcome: &Outcome) -> Option<String> {
    let counts = &outcome.counts;
    (counts.sent > 0 && counts.refusals >= counts.sent && counts.received == 0).then(|| {
        format!(
            "epush-loadgen: the server refused all {} messages of its clients: check --dialect, and what the server allows",
            counts.sent
        )
    })
}

impl Output {
    fn show(&self) -> Show {
        match (self.quiet, self.plain) {
            (true, _) => Show::Nothing,
            (false, true) => Show::Lines,
            (false, false) => Show::Screen,
        }
    }

    fn expectations(&self) -> Result<Option<Expectations>, Error> {
        let text = self.expect.as_deref();
        text.map(Expectations::parse).transpose().map_err(|why| Error::Usage(format!("--expect: {why}")))
    }

    /// Before a long run: whether its results can be written.
    fn check(&self) -> Result<(), Error> {
        if self.json.is_some() && self.json == self.html {
            return Err(Error::Usage(String::from("--json and --html name the same file: one would be lost")));
        }
        let json = self.json.as_deref().filter(|path| *path != Path::new("-"));
        for (flag, path) in [("--json", json), ("--html", self.html.as_deref())] {
            let Some(path) = path else { continue };
            try_write(path)
                .map_err(|why| Error::Usage(format!("{flag}: {} cannot be written: {why}", path.display())))?;
        }
        Ok(())
    }
}

/// Leaves what is there as it is, and nothing where nothing was: a run that fails has no result.
fn try_write(path: &Path) -> std::io::Result<()> {
    match std::fs::OpenOptions::new().create_new(true).append(true).open(path) {
        Ok(_) => std::fs::remove_file(path),
        Err(why) if why.kind() == std::io::ErrorKind::AlreadyExists => {
            std::fs::OpenOptions::new().append(true).open(path).map(drop)
        }
        Err(why) => Err(why),
    }
}
