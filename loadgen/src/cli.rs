//! The command line: what can be asked for.
//!
//! Each scenario is a subcommand with the flags that change it; what flags do to a scenario is [`lay`]'s to know.

pub mod common;
pub mod lay;
pub mod own;
mod values;

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Parser, Subcommand};
use epush_loadgen::scenario::builtin;

use common::Common;

/// Measures any WebSocket push server, shows what it does while it runs, and cannot be fooled.
///
/// A scenario is a subcommand, and a file: `show NAME` prints it, `run FILE` runs your own.
#[derive(Parser, Debug)]
#[command(version, arg_required_else_help = true, args_override_self = true, max_term_width = 110, after_help = AFTER_HELP)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Printed below every list of subcommands.
const AFTER_HELP: &str = "\
Exit codes:
  0  done, and every expectation held
  1  failed while running: nobody could connect, the server closed everybody, nothing that was published or sent was taken,
     sums disagree
  2  flags, a file or the surroundings are wrong: nothing was run
  3  an expectation (--expect) did not hold
  4  this tool was the bottleneck: the numbers measure it, not the server";

/// A subcommand.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Idle connections: what one costs in memory and processor time
    Hold(own::Hold),
    /// A connect storm: as fast as the server takes them, or at a rate
    Storm(own::Storm),
    /// Publications to channels with many subscribers
    Fanout(own::Fanout),
    /// Pushes to single users, in turn
    Direct(own::Direct),
    /// Messages that the server sends back: ping-pong, or at a rate
    Echo(own::Echo),
    /// Messages from client to client, in pairs
    Peer(own::Peer),
    /// Sessions that come and go at a rate, while pushes flow
    Churn(own::Churn),
    /// A share of readers that stall or read slowly
    Slow(own::Slow),
    /// Periodic pushes of the server: jitter against the due time
    Every(own::Every),
    /// Several groups and publishers at once: an example to begin a file with
    Mixed(own::Mixed),
    /// Runs a scenario file of your own
    Run(RunFile),
    /// Shows how two results differ, and whether by more than noise
    Compare {
        /// Two results written by --json; or, before --with, several runs of the first side
        #[arg(value_name = "RESULT", required = true)]
        results: Vec<PathBuf>,
        /// Runs of the second side: several of each side tell what is noise
        #[arg(long, value_name = "RESULT", num_args = 1..)]
        with: Vec<PathBuf>,
    },
    /// Lists the servers whose words are built in; with a name, prints its file
    Dialects {
        /// One of them
        name: Option<String>,
    },
    /// Prints a built-in scenario's file, to begin one of your own
    Show {
        /// Its name
        #[arg(value_parser = PossibleValuesParser::new(builtin::ALL.iter().map(|builtin| builtin.name)))]
        scenario: String,
    },
    /// A process of a run with several: orders come on standard input, reports go to standard output
    #[command(hide = true)]
    Worker,
}

/// `run FILE`.
#[derive(clap::Args, Debug)]
pub struct RunFile {
    /// A scenario file
    pub file: PathBuf,
    #[command(flatten)]
    common: Common,
}
