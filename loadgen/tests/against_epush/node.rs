//! An engine for one run, and the run.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use epush::config::{AuthMode, JobConfig, TemplateValue};
use epush::{Config, Engine};
use epush_core::settings::Audience;
use epush_loadgen::outcome::{Outcome, Phase, Tick};
use epush_loadgen::run::{SoFar, Watcher, run_with};
use epush_loadgen::scenario::Scenario;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_epush-loadgen");

/// One reactor, and everything allowed that a scenario asks for.
pub fn engine(change: impl FnOnce(&mut Config)) -> Engine {
    let mut config = Config::default();
    config.server.listen.set_port(0);
    config.server.api.set_port(0);
    config.server.reactors = 1;
    config.server.echo = true;
    config.auth.mode = AuthMode::None;
    config.channels.publish = Audience::Anyone;
    config.send.allow = Audience::Anyone;
    config.limits.outbox_bytes_max = 64 << 20;
    let template = TemplateValue::from_json(r#"{"now":{"$time":"ms"}}"#).unwrap();
    config.jobs.insert("time".into(), JobConfig { template });
    change(&mut config);
    Engine::builder().config(config).start().unwrap()
}

/// The target of a scenario for this engine.
pub fn target(engine: &Engine) -> String {
    let addresses = engine.addresses();
    format!("name = \"test\"\n[target]\nurl = \"ws://{}\"\napi = \"http://{}\"\n", addresses.client, addresses.api)
}

/// Does something once, at the first tick of the steady phase.
pub struct Midway<F: FnOnce()> {
    pub act: Option<F>,
    pub notes: Vec<String>,
}

impl<F: FnOnce()> Watcher for Midway<F> {
    fn tick(&mut self, tick: &Tick, _: &SoFar) {
        if tick.phase == Phase::Steady
            && let Some(act) = self.act.take()
        {
            act();
        }
    }

    fn note(&mut self, words: &str) {
        self.notes.push(words.to_owned());
    }
}

/// A whole run, with something done in the middle of it; and what was said.
pub fn run(scenario: Scenario, act: impl FnOnce()) -> (Outcome, Vec<String>) {
    let mut midway = Midway { act: Some(act), notes: Vec::new() };
    let outcome = run_with(scenario, Path::new(PROGRAM), &Arc::new(AtomicBool::new(false)), &mut midway).unwrap();
    assert!(midway.act.is_none(), "the steady phase had a tick");
    assert_eq!(outcome.balance.disagreements, Vec::<String>::new(), "{:?}", outcome.counts);
    (outcome, midway.notes)
}

/// Asks the control API for something.
pub fn ask(engine: &Engine, method: &str, path: &str) -> String {
    let mut api = TcpStream::connect(engine.addresses().api).unwrap();
    write!(api, "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    api.read_to_string(&mut answer).unwrap();
    answer
}
