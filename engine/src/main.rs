//! The program `epush`: arguments in, exit code out.

mod check;
mod cli;
mod client;
mod push;
mod serve;

use std::process::ExitCode;

use cli::Invocation;

fn main() -> ExitCode {
    match cli::parse() {
        Invocation::Serve(layers) => serve::run(&layers, serve::Node::start),
        Invocation::Check(layers, quiet) => check::run(&layers, quiet),
        Invocation::Call(control, call) => client::run(&control, call),
    }
}
