//! Every scenario that is built in, made small.

use std::process::{Command, Output, Stdio};
use std::thread;

use epush_loadgen::outcome::Outcome;
use epush_loadgen::scenario::builtin::{self, Builtin};
use epush_loadgen::scenario::{Activity, Pace, Scenario, To, file};

use crate::node::{PROGRAM, engine};

/// Few clients, a second, and little a second.
fn small(builtin: &Builtin, url: &str, api: &str) -> Scenario {
    let (mut scenario, _) = file::parse(builtin.path, builtin.text).unwrap();
    scenario.target.url = url.to_owned();
    scenario.target.api = Some(api.to_owned());
    let phases = &mut scenario.phases;
    (phases.ramp_ms, phases.steady_ms, phases.ramp_down_ms, phases.drain_ms) = (100, 1_000, 50, 20_000);
    scenario.tool.workers = 1;
    for group in &mut scenario.groups {
        group.clients = group.clients.min(20);
        group.churn_per_s = group.churn_per_s.min(10.0);
        if let Activity::Every { interval_ms, .. } = &mut group.activity {
            *interval_ms = 200;
        }
    }
    for publisher in &mut scenario.publishers {
        if let Pace::RatePerS(rate) = &mut publisher.pace {
            *rate = rate.min(50.0);
        }
        if let To::Users(users) = &mut publisher.to {
            *users = (*users).min(10);
        }
    }
    scenario
}

/// Runs the program with a scenario.
fn run(scenario: &Scenario) -> (Outcome, Option<i32>, String) {
    let file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    std::fs::write(file.path(), toml::to_string(scenario).unwrap()).unwrap();
    let mut command = Command::new(PROGRAM);
    let expectations = if is_idle(&scenario.name) { "failed=0" } else { "failed=0,lost=0,duplicates=0,reordered=0" };
    command.arg("run").arg(file.path()).args(["--plain", "--json", "-", "--expect", expectations]);
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8(stderr).unwrap();
    let outcome = serde_json::from_slice(&stdout).unwrap_or_else(|error| panic!("{}: {error}: {said}", scenario.name));
    (outcome, status.code(), said)
}

/// No numbered message goes anywhere.
fn is_idle(name: &str) -> bool {
    matches!(name, "hold" | "storm" | "every")
}

/// What clients had to get: where nobody comes and goes it follows from what was sent.
fn expected(outcome: &Outcome) -> Option<u64> {
    let (published, sent) = (outcome.publishing.published, outcome.counts.sent);
    match outcome.scenario.name.as_str() {
        name if is_idle(name) => Some(0),
        "fanout" | "slow" => Some(published * 20),
        "direct" => Some(published),
        "echo" | "peer" => Some(sent),
        _ => None,
    }
}

fn check(builtin: &Builtin) {
    let engine = engine(|_| ());
    let addresses = engine.addresses();
    let scenario = small(builtin, &format!("ws://{}", addresses.client), &format!("http://{}", addresses.api));
    let (outcome, code, said) = run(&scenario);
    let (name, counts) = (builtin.name, &outcome.counts);
    let faults = [counts.lost, counts.gaps, counts.duplicates, counts.reordered, counts.damaged, counts.failed];
    assert_eq!(faults, [0; 6], "{name}: {counts:?} {:?}", outcome.failures);
    assert_eq!((counts.closed_by_server, counts.expected), (0, counts.received), "{name}: {counts:?}");
    assert_eq!(outcome.balance.disagreements, Vec::<String>::new(), "{name}");
    assert_eq!(counts.started, counts.closed_by_plan, "{name}: everybody left as planned");
    if let Some(expected) = expected(&outcome) {
        assert_eq!(counts.expected, expected, "{name}: {counts:?}");
    }
    assert!(is_idle(name) || counts.received > 0, "{name}: {counts:?}");
    assert!(name != "every" || counts.ticks > 0, "{name}: {counts:?}");
    // A busy machine makes the tool late, and it says so.
    let code_expected = if outcome.client.bottleneck.is_empty() { 0 } else { 4 };
    assert_eq!(code, Some(code_expected), "{name}: {said}");
    engine.stop();
}

#[test]
fn every_scenario_that_is_built_in_runs_and_loses_nothing() {
    let all: Vec<&Builtin> = builtin::ALL.iter().collect();
    // A few at a time: this machine does other things, too.
    for some in all.chunks(4) {
        thread::scope(|scope| some.iter().for_each(|builtin| drop(scope.spawn(|| check(builtin)))));
    }
}
