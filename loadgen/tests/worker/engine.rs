//! A worker against the engine itself.

use std::io::{Read, Write};
use std::net::TcpStream;

use epush::config::AuthMode;
use epush::{Config, Engine};
use epush_core::settings::Audience;
use epush_loadgen::clock::now_ns;
use epush_loadgen::scenario::Scenario;
use epush_loadgen::stamp::Stamp;

use crate::rig::Rig;

fn engine() -> Engine {
    let mut config = Config::default();
    config.server.listen.set_port(0);
    config.server.api.set_port(0);
    config.server.reactors = 1;
    config.auth.mode = AuthMode::None;
    config.send.allow = Audience::Anyone;
    Engine::builder().config(config).start().unwrap()
}

fn scenario(engine: &Engine, rest: &str) -> Scenario {
    let text = format!(
        "name = \"engine\"\n[target]\nurl = \"ws://{}\"\n[phases]\nramp_ms = 100\n{rest}",
        engine.addresses().client
    );
    toml::from_str(&text).unwrap()
}

fn publish(engine: &Engine, seq: u64) {
    let mut payload = Vec::new();
    Stamp { run: 0, intended_ns: now_ns(), slip_us: 0, stream: 0, seq }.write(128, &mut payload);
    let body = format!(r#"{{"to":{{"channels":["news"]}},"data":"{}"}}"#, String::from_utf8(payload).unwrap());
    let mut api = TcpStream::connect(engine.addresses().api).unwrap();
    write!(
        api,
        "POST /v1/push HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    api.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
}

#[test]
fn a_fan_out_arrives_whole_and_clients_leave_in_order() {
    let engine = engine();
    let rest = "[[group]]\nclients = 200\nchannels = [\"news\"]\n\
                [[publisher]]\nto = { channels = [\"news\"] }\npace = \"delivered\"\npayload_bytes = 128";
    let rig = Rig::start(scenario(&engine, rest));
    rig.connect(200);
    rig.steady(60_000);
    (0..20).for_each(|seq| publish(&engine, seq));
    rig.published(&[20]);
    rig.settled();
    let tally = rig.finish();
    let counts = &tally.counts;
    assert_eq!((counts.received, counts.lost, counts.in_doubt, counts.damaged), (4_000, 0, 0, 0));
    assert_eq!((counts.closed_by_plan, counts.closed_by_server, counts.failed), (200, 0, 0));
    assert_eq!(tally.failures, []);
}

#[test]
fn neighbours_send_to_each_other() {
    let engine = engine();
    let rest = "[[group]]\nclients = 1\n[[group]]\nname = \"pairs\"\nclients = 6\nuser = \"peer-{client}\"\n\
                activity = { kind = \"peer\", rate_per_s = 50.0, payload_bytes = 100 }";
    let rig = Rig::start(scenario(&engine, rest));
    rig.connect(7);
    rig.steady(400);
    rig.until("all are sent", |progress| progress.counts.sent == 120);
    rig.published(&[]);
    rig.settled();
    let tally = rig.finish();
    assert_eq!((tally.counts.sent, tally.counts.received, tally.counts.lost), (120, 120, 0), "{:?}", tally.failures);
}

#[test]
fn a_drained_engine_is_quoted() {
    let engine = engine();
    let rig = Rig::start(scenario(&engine, "[[group]]\nclients = 10"));
    rig.connect(10);
    engine.begin_drain(std::time::Duration::ZERO);
    rig.until("all are closed", |progress| progress.counts.closed_by_server == 10);
    let tally = rig.finish();
    assert!(tally.failures[0].kind.starts_with("closed with "), "{:?}", tally.failures);
    assert_eq!(tally.failures[0].count, 10);
}
