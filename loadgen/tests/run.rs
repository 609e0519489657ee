//! Whole runs against a real server: every message is accounted for.

#![allow(clippy::unwrap_used)]

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use epush::config::AuthMode;
use epush::{Config, Engine};
use epush_core::settings::Audience;
use epush_loadgen::error::Error;
use epush_loadgen::outcome::{Ended, Outcome, Phase, Tick};
use epush_loadgen::plan::Plan;
use epush_loadgen::run::stage::Stage;
use epush_loadgen::run::{SoFar, Watcher, preflight, run_with};
use epush_loadgen::scenario::Scenario;

/// Remembers what it was told; interrupts when the steady phase has gone on for so many ticks.
#[derive(Default)]
struct Told {
    notes: Vec<String>,
    steady: usize,
    interrupt_after: Option<(usize, Arc<AtomicBool>)>,
}

impl Watcher for Told {
    fn tick(&mut self, tick: &Tick, so_far: &SoFar) {
        self.steady += usize::from(tick.phase == Phase::Steady && so_far.clients > 0);
        if let Some((after, flag)) = &self.interrupt_after
            && self.steady >= *after
        {
            flag.store(true, Ordering::Relaxed);
        }
    }

    fn note(&mut self, words: &str) {
        self.notes.push(words.to_owned());
    }
}

fn engine() -> Engine {
    let mut config = Config::default();
    config.server.listen.set_port(0);
    config.server.api.set_port(0);
    config.server.reactors = 1;
    config.auth.mode = AuthMode::None;
    config.limits.outbox_bytes_max = 64 << 20;
    // Clients may publish, and send to each other.
    config.channels.publish = Audience::Anyone;
    config.send.allow = Audience::Anyone;
    Engine::builder().config(config).start().unwrap()
}

/// A scenario against the engine: phases short, one worker.
fn scenario(engine: &Engine, text: &str) -> Scenario {
    let addresses = engine.addresses();
    let head = format!(
        "name = \"test\"\n[target]\nurl = \"ws://{}\"\napi = \"http://{}\"\n[tool]\nworkers = 2\n\
         [phases]\nramp_ms = 100\nsteady_ms = 1500\ndrain_ms = 20000\n",
        addresses.client, addresses.api
    );
    toml::from_str(&(head + text)).unwrap()
}

fn run(scenario: Scenario) -> Result<Outcome, Error> {
    let program = Path::new(env!("CARGO_BIN_EXE_epush-loadgen"));
    run_with(scenario, program, &Arc::new(AtomicBool::new(false)), &mut Told::default())
}

/// Nothing is missing, nothing came twice, all sums agree.
#[track_caller]
fn assert_whole(outcome: &Outcome) {
    let counts = &outcome.counts;
    let bad = [counts.lost, counts.gaps, counts.duplicates, counts.reordered, counts.damaged, counts.failed];
    assert_eq!(bad, [0; 6], "{counts:?} {:?}", outcome.failures);
    assert_eq!(outcome.balance.disagreements, Vec::<String>::new(), "{counts:?}");
    assert!(outcome.balance.messages && outcome.balance.bytes);
    assert_eq!(counts.expected, counts.received);
    assert_eq!(outcome.ended, Ended::Complete);
}

const FANOUT: &str = "[[group]]\nclients = 20\nchannels = [\"news\"]\n\
    [[publisher]]\nto = { channels = [\"news\"] }\nrate_per_s = 200\nburst = 2\npayload_bytes = 128\n";

#[test]
fn a_fan_out_reaches_everybody_exactly_once() {
    let engine = engine();
    let outcome = run(scenario(&engine, FANOUT)).unwrap();
    assert_whole(&outcome);
    assert_eq!((outcome.counts.ready, outcome.publishing.published, outcome.publishing.refused), (20, 300, 0));
    assert_eq!((outcome.counts.received, outcome.counts.messages), (6_000, 6_000));
    assert_eq!((outcome.latency.0.len(), outcome.latency_uncorrected.0.len()), (6_000, 6_000));
    assert!(!outcome.skew.0.is_empty() && outcome.publishing.answered.0.len() == 300);
    let sum = |of: fn(&Tick) -> u64| outcome.timeline.iter().map(of).sum::<u64>();
    assert_eq!((sum(|tick| tick.delivered), sum(|tick| tick.published), sum(|tick| tick.connected)), (6_000, 300, 20));
    engine.stop();
}

#[test]
fn two_processes_count_exactly_what_one_counts() {
    let engine = engine();
    let mut scenario = scenario(&engine, FANOUT);
    scenario.tool.processes = 2;
    let outcome = run(scenario).unwrap();
    assert_whole(&outcome);
    assert_eq!((outcome.counts.ready, outcome.publishing.published, outcome.counts.received), (20, 300, 6_000));
    assert_eq!(outcome.latency.0.len(), 6_000);
    engine.stop();
}

#[test]
fn publishing_over_websocket_reaches_everybody_too() {
    let engine = engine();
    let outcome = run(scenario(&engine, &FANOUT.replace("burst = 2", "burst = 2\nvia = \"websocket\""))).unwrap();
    assert_whole(&outcome);
    assert_eq!((outcome.publishing.published, outcome.counts.received), (300, 6_000), "{:?}", outcome.failures);
    engine.stop();
}

#[test]
fn users_get_what_is_theirs() {
    let engine = engine();
    let text = "[[group]]\nclients = 30\n\
        [[publisher]]\nto = { users = 10 }\nrate_per_s = 200\npayload_bytes = 64\nconnections = 3\n";
    let outcome = run(scenario(&engine, text)).unwrap();
    assert_whole(&outcome);
    assert_eq!((outcome.publishing.published, outcome.counts.received), (300, 300));
    engine.stop();
}

#[test]
fn waiting_for_delivery_loses_nothing_and_goes_on_at_once() {
    let engine = engine();
    let outcome = run(scenario(&engine, &FANOUT.replace("rate_per_s = 200", "pace = \"delivered\""))).unwrap();
    assert_whole(&outcome);
    let published = outcome.publishing.published;
    assert!(published > 20, "{published}");
    assert_eq!(outcome.counts.received, published * 20);
    engine.stop();
}

#[test]
fn neighbours_hear_each_other() {
    let engine = engine();
    let text = "[[group]]\nclients = 10\nactivity = { kind = \"peer\", rate_per_s = 20, payload_bytes = 64 }\n";
    let outcome = run(scenario(&engine, text)).unwrap();
    assert_whole(&outcome);
    assert!(outcome.counts.sent >= 200 && outcome.counts.received == outcome.counts.sent, "{:?}", outcome.counts);
    engine.stop();
}

#[test]
fn who_comes_and_goes_misses_nothing_that_was_meant_for_it() {
    let engine = engine();
    let outcome = run(scenario(&engine, &FANOUT.replace("clients = 20", "clients = 20\nchurn_per_s = 20"))).unwrap();
    assert_whole(&outcome);
    assert!(outcome.counts.started > 30 && outcome.counts.closed_by_plan > 10, "{:?}", outcome.counts);
    engine.stop();
}

#[test]
fn what_is_echoed_is_counted_from_when_it_was_due() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            thread::spawn(move || echo(socket));
        }
    });
    let text = format!(
        "name = \"test\"\n[target]\nurl = \"{url}\"\ndialect = \"ws-echo\"\n[phases]\nramp_ms = 100\nsteady_ms = 1000\n\
         [[group]]\nclients = 6\nactivity = {{ kind = \"echo\", rate_per_s = 50, payload_bytes = 100 }}\n"
    );
    let outcome = run(toml::from_str(&text).unwrap()).unwrap();
    assert_whole(&outcome);
    assert!(outcome.counts.sent >= 290 && outcome.counts.received == outcome.counts.sent, "{:?}", outcome.counts);
}

fn echo(socket: TcpStream) {
    let Ok(mut socket) = tungstenite::accept(socket) else { return };
    while let Ok(message) = socket.read() {
        if (message.is_text() || message.is_binary()) && socket.send(message).is_err() {
            return;
        }
    }
}

#[test]
fn an_interrupted_run_drains_and_reports_in_full() {
    let engine = engine();
    let mut scenario = scenario(&engine, FANOUT);
    scenario.phases.steady_ms = 600_000;
    let flag = Arc::new(AtomicBool::new(false));
    let mut told = Told { interrupt_after: Some((1, Arc::clone(&flag))), ..Told::default() };
    let outcome = run_with(scenario, Path::new("unused"), &flag, &mut told).unwrap();
    assert_eq!(outcome.ended, Ended::Interrupted);
    assert!(outcome.steady_ms < 600_000 && outcome.publishing.published > 0);
    assert_eq!((outcome.counts.lost, outcome.counts.received), (0, outcome.publishing.published * 20));
    assert_eq!(outcome.balance.disagreements, Vec::<String>::new());
    engine.stop();
}

#[test]
fn a_server_that_closes_everybody_gets_a_result_that_says_so() {
    let engine = Arc::new(std::sync::Mutex::new(Some(engine())));
    let scenario = scenario(engine.lock().unwrap().as_ref().unwrap(), "[[group]]\nclients = 5\n");
    /// Stops the engine at the first tick of the steady phase.
    struct Stops(Arc<std::sync::Mutex<Option<Engine>>>, Vec<String>);
    impl Watcher for Stops {
        fn tick(&mut self, tick: &Tick, _so_far: &SoFar) {
            if tick.phase == Phase::Steady
                && let Some(engine) = self.0.lock().unwrap().take()
            {
                engine.stop();
            }
        }
        fn note(&mut self, words: &str) {
            self.1.push(words.to_owned());
        }
    }
    let scenario =
        Scenario { phases: epush_loadgen::scenario::Phases { steady_ms: 3_500, ..scenario.phases }, ..scenario };
    let mut watcher = Stops(Arc::clone(&engine), Vec::new());
    let outcome = run_with(scenario, Path::new("unused"), &Arc::new(AtomicBool::new(false)), &mut watcher).unwrap();
    assert_eq!((outcome.counts.ready, outcome.counts.closed_by_server), (5, 5), "{:?}", outcome.failures);
    assert!(watcher.1.iter().any(|words| words.contains("closed 5 connections")), "{:?}", watcher.1);
}

#[test]
fn when_nobody_gets_in_the_most_frequent_failure_is_said_with_advice() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        for mut socket in listener.incoming().flatten() {
            let _ = socket.read(&mut [0; 4_096]);
            let _ = socket.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 4\r\n\r\nnope");
        }
    });
    let text = format!(
        "name = \"test\"\n[target]\nurl = \"{url}\"\n[phases]\nramp_ms = 100\nconnect_timeout_ms = 5000\n[[group]]\nclients = 5\n"
    );
    let Err(Error::Failed(words)) = run(toml::from_str(&text).unwrap()) else { panic!("nobody got in") };
    assert!(words.contains("403") && words.contains("target.headers"), "{words}");
}

#[test]
fn a_worker_that_panics_fails_the_run_with_its_words() {
    let engine = engine();
    let mut plan = Plan::new(scenario(&engine, FANOUT)).unwrap();
    // A group that the plan was not made with: who looks its clients' names up panics.
    plan.scenario.groups.push(plan.scenario.groups[0].clone());
    plan.groups.push(20..21);
    let plan = Arc::new(plan);
    let (never, mut told) = (AtomicBool::new(false), Told::default());
    let program = Path::new(env!("CARGO_BIN_EXE_epush-loadgen"));
    let cleared = preflight::check(&plan).unwrap();
    let ended = Stage::set(plan, cleared, program, &never, &mut told).unwrap().play();
    let error = ended.expect_err("a worker is missing");
    assert!(matches!(&error, Error::Failed(words) if words.contains("panicked")), "{error}");
    assert_eq!(error.exit_code(), 1);
}
