//! Sessions that the engine ends in the middle of a run.

use std::process::Command;
use std::sync::{Arc, Mutex};

use epush_core::settings::Audience;

use crate::node::{ask, engine, run, target};

const LOAD: &str = "[phases]\nramp_ms = 50\nsteady_ms = 2500\ndrain_ms = 20000\n\
    [[group]]\nclients = 10\nchannels = [\"news\"]\n\
    [[publisher]]\nto = { channels = [\"news\"] }\nrate_per_s = 100\npayload_bytes = 100\n";

#[test]
fn a_kicked_session_misses_the_rest_and_nobody_else_does() {
    let engine = engine(|_| ());
    let scenario = toml::from_str(&(target(&engine) + LOAD)).unwrap();
    let (outcome, _) = run(scenario, || {
        let answer = ask(&engine, "DELETE", "/v1/users/user-3");
        assert!(answer.contains(r#""kicked":1"#), "{answer}");
    });
    let counts = &outcome.counts;
    assert_eq!((outcome.publishing.published, outcome.publishing.refused, counts.closed_by_server), (250, 0, 1));
    assert!(!outcome.nobody_left);
    assert_eq!((counts.expected, counts.gaps, counts.duplicates, counts.reordered), (2_500, 0, 0, 0));
    // The others have theirs, and the one has what came before.
    assert!(counts.lost > 0 && counts.lost < 250, "{counts:?}");
    assert_eq!(counts.lost, counts.lost_after_close);
    let failure = &outcome.failures[0];
    assert!(failure.kind.starts_with("closed with 4002") && failure.count == 1, "{:?}", outcome.failures);
    engine.stop();
}

#[test]
fn an_engine_that_stops_midway_leaves_a_result_that_adds_up() {
    let engine = Arc::new(Mutex::new(Some(engine(|_| ()))));
    let scenario = toml::from_str(&(target(engine.lock().unwrap().as_ref().unwrap()) + LOAD)).unwrap();
    let (outcome, notes) = run(scenario, || engine.lock().unwrap().take().unwrap().stop());
    let counts = &outcome.counts;
    assert_eq!((counts.ready, counts.closed_by_server, counts.closed_by_plan), (10, 10, 0));
    assert_eq!(counts.lost, counts.lost_after_close, "until the end nothing was lost: {counts:?}");
    assert_eq!(outcome.publishing.published, 250, "the schedule waits for nobody");
    assert!(outcome.publishing.refused > 0);
    assert_eq!(counts.expected, counts.received + counts.lost);
    assert!(counts.received > 0 && counts.expected <= 10 * (250 - outcome.publishing.refused), "{counts:?}");
    assert!(outcome.nobody_left);
    assert!(notes.iter().any(|words| words.contains("closed 10 connections, none is left")), "{notes:?}");
    let kinds: Vec<&str> = outcome.failures.iter().map(|failure| failure.kind.as_str()).collect();
    assert!(kinds.contains(&"publication not sent"), "{kinds:?}");
}

#[test]
fn readers_that_read_nothing_do_not_hide_that_the_engine_is_gone() {
    let engine = Arc::new(Mutex::new(Some(engine(|_| ()))));
    let stalled =
        "channels = [\"news\"]\nreader = { kind = \"stall\", share = 0.2, period_ms = 1000, stall_ms = 1000 }\n";
    let load = LOAD.replacen("channels = [\"news\"]\n", stalled, 1);
    let scenario = toml::from_str(&(target(engine.lock().unwrap().as_ref().unwrap()) + &load)).unwrap();
    let (outcome, _) = run(scenario, || engine.lock().unwrap().take().unwrap().stop());
    assert!(outcome.nobody_left, "{:?}", outcome.counts);
}

#[test]
fn clients_of_whom_everything_is_refused_are_a_failed_run() {
    let engine = engine(|config| config.send.allow = Audience::Nobody);
    let url = format!("ws://{}", engine.addresses().client);
    let flags = ["peer", "--url", &url, "--clients", "4", "--rate", "20", "--steady", "300ms", "--drain", "300ms"];
    let done = Command::new(env!("CARGO_BIN_EXE_epush-loadgen")).args(flags).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(1), "{said}");
    assert!(said.contains("the server refused all ") && said.contains("messages of its clients"), "{said}");
    engine.stop();
}
