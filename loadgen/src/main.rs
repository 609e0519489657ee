//! The program `epush-loadgen`: arguments in, exit code out.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod cli;
mod listing;
mod measure;
mod say;
mod signals;

use std::process::ExitCode;

use clap::Parser as _;
use epush_loadgen::error::Error;
use epush_loadgen::run::process;

use cli::{Cli, Command};

fn main() -> ExitCode {
    let Cli { command } = Cli::parse();
    let done = match (command.asked(), command) {
        (Some(asked), _) => asked.and_then(measure::measure),
        (None, Command::Compare { results, with }) => listing::compare(&results, &with),
        (None, Command::Dialects { name }) => listing::dialects(name.as_deref()),
        (None, Command::Show { scenario }) => listing::show(&scenario),
        (None, Command::Worker) => process::serve().map(|()| ExitCode::SUCCESS),
        (None, _) => unreachable!("every other subcommand asks for a run"),
    };
    done.unwrap_or_else(|error| refuse(&error))
}

/// Says why nothing, or nothing more, was done.
fn refuse(error: &Error) -> ExitCode {
    say::to_stderr(&format!("epush-loadgen: {error}"));
    ExitCode::from(error.exit_code())
}
