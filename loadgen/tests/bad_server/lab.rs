//! The tool against the server: scenarios, runs, and the comparison of the report with the book.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use epush_loadgen::error::Error;
use epush_loadgen::outcome::{Outcome, Tick};
use epush_loadgen::run::{SoFar, Watcher, run_with};
use epush_loadgen::scenario::Scenario;

use crate::book::{Book, Entry, Wrong};
use crate::script::{End, Script};
use crate::server::BadServer;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_epush-loadgen");

/// The words of the server.
pub const DIALECT: &str = r#"
[dialect]
name = "bad"
path = "/s/{user}"
echo = "echo {payload}"
send_user = "to {to} {payload}"
publish = "pub {channel} {payload}"
error = "refused"
open = [{ until = "welcome" }]
subscribe = { send = "sub {channel}", until = "joined" }
gap = { contains = "gap ", count = "gap " }
http = { path = "/pub/{channel}", body = "{payload}" }
"#;

/// Twenty messages to five clients.
pub const FANOUT: &str = "[[group]]\nclients = 5\nchannels = [\"news\"]\n\
    [[publisher]]\nto = { channels = [\"news\"] }\nrate_per_s = 100\npayload_bytes = 100\n";

/// Numbers of [`FANOUT`].
pub const NUMBERS: u64 = 20;

/// A scenario file for a server: what is missing at the end is waited for a while, on a busy machine, too.
pub fn text(server: &BadServer, phases: &str, rest: &str) -> String {
    format!(
        "name = \"test\"\n[target]\nurl = \"ws://{}\"\napi = \"http://{}\"\n[tool]\nworkers = 2\n\
         [phases]\nramp_ms = 50\nsteady_ms = 200\ndrain_ms = 1500\n{phases}\n{rest}\n{DIALECT}",
        server.clients, server.api
    )
}

struct Silent;

impl Watcher for Silent {
    fn tick(&mut self, _: &Tick, _: &SoFar) {}
    fn note(&mut self, _: &str) {}
}

pub fn run(scenario: Scenario) -> Result<Outcome, Error> {
    run_with(scenario, Path::new(PROGRAM), &Arc::new(AtomicBool::new(false)), &mut Silent)
}

/// A whole run: what the tool says, and what the server did.
pub fn try_out(script: Script, change: impl FnOnce(&mut Scenario), rest: &str) -> (Outcome, Book) {
    let server = BadServer::start(script);
    let mut scenario: Scenario = toml::from_str(&text(&server, "", rest)).unwrap();
    change(&mut scenario);
    let outcome = run(scenario).unwrap();
    (outcome, server.close())
}

/// The usual run, and that it says exactly what was done.
#[track_caller]
pub fn check(script: Script) -> (Outcome, Wrong) {
    check_with(script, |_| (), FANOUT)
}

#[track_caller]
pub fn check_with(script: Script, change: impl FnOnce(&mut Scenario), rest: &str) -> (Outcome, Wrong) {
    let (outcome, book) = try_out(script, change, rest);
    compare(&outcome, &book, "");
    (outcome, book.wrong())
}

/// The report says what the book says, no more and no less.
#[track_caller]
pub fn compare(outcome: &Outcome, book: &Book, words: &str) {
    let counts = &outcome.counts;
    assert_eq!(Wrong::from(counts), book.wrong(), "{words} {:?} {:#?}", outcome.failures, book.sessions);
    assert_eq!(outcome.balance.disagreements, Vec::<String>::new(), "{words} {counts:?}");
    assert!(outcome.balance.messages && outcome.balance.bytes, "{words}");
    assert_eq!(outcome.latency.count(), counts.received, "{words}: each counts once in the latency");
    assert_eq!(outcome.latency_uncorrected.count(), counts.received, "{words}");
    assert_eq!(outcome.publishing.refused, book.refused, "{words} {:?}", outcome.failures);
    assert_eq!(kinds(outcome), book.kinds(), "{words}");
    assert_eq!(book.pongs, book.pings, "{words}: every ping is answered");
    let ends = book.sessions.values().flat_map(|session| &session.entries);
    if !ends.clone().any(|entry| *entry == Entry::Ended(End::Reset)) {
        assert_eq!(counts.bytes_read, book.bytes, "{words}: every byte that was written was read");
    }
}

/// Kinds of failures of clients, and how often each.
pub fn kinds(outcome: &Outcome) -> BTreeMap<String, u64> {
    let of_clients = outcome.failures.iter().filter(|failure| !failure.kind.starts_with("publi"));
    of_clients.map(|failure| (failure.kind.clone(), failure.count)).collect()
}

/// How often something failed, and the words of the first.
#[track_caller]
pub fn failure(outcome: &Outcome, kind: &str) -> (u64, String) {
    let found = outcome.failures.iter().find(|failure| failure.kind == kind);
    let found = found.unwrap_or_else(|| panic!("no {kind:?} in {:?}", outcome.failures));
    (found.count, found.example.clone())
}
