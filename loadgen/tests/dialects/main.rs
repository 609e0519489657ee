//! The ready dialects against servers that say what the real ones say: whole runs, every message accounted for.
//!
//! A dialect whose file is broken fails here; the dialect `epush` has its tests against a node, in `against_epush`.

#![allow(clippy::unwrap_used)]

mod server;
mod tongues;
#[allow(dead_code, reason = "the other server breaks more rules than these")]
#[path = "../bad_server/wire.rs"]
mod wire;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use epush_loadgen::dialect::ready;
use epush_loadgen::error::Error;
use epush_loadgen::outcome::{Outcome, Tick};
use epush_loadgen::run::{SoFar, Watcher, run_with};

use server::{Tongue, start};
use tongues::{Centrifugo, Echo, Nchan, Pongs, Pusher, Raw, SocketIo, Stomp};

struct Silent;

impl Watcher for Silent {
    fn tick(&mut self, _: &Tick, _: &SoFar) {}
    fn note(&mut self, _: &str) {}
}

/// Subscribers of two channels, and a publisher to both.
const FANOUT: &str = "[[group]]\nclients = 3\nchannels = [\"news\"]\n\
    [[group]]\nclients = 2\nuser = \"second-{client}\"\nchannels = [\"sport\"]\n\
    [[publisher]]\nto = { channels = [\"news\", \"sport\"] }\nrate_per_s = 100\npayload_bytes = 100\n";

fn run(tongue: impl Tongue, dialect: &str, rest: &str) -> Result<Outcome, Error> {
    let address = start(tongue);
    let text = format!(
        "name = \"test\"\n[target]\nurl = \"ws://{address}\"\napi = \"http://{address}\"\ndialect = \"{dialect}\"\n\
         [tool]\nworkers = 1\n[phases]\nramp_ms = 50\nsteady_ms = 200\ndrain_ms = 20000\n{rest}"
    );
    run_with(toml::from_str(&text).unwrap(), Path::new("unused"), &Arc::new(AtomicBool::new(false)), &mut Silent)
}

/// Everybody got ready, and got exactly what was sent; how much was received.
#[track_caller]
fn whole(outcome: Result<Outcome, Error>, clients: u64) -> u64 {
    let outcome = outcome.unwrap();
    let counts = &outcome.counts;
    let bad =
        [counts.lost, counts.gaps, counts.duplicates, counts.reordered, counts.damaged, counts.failed, counts.refusals];
    assert_eq!(bad, [0; 7], "{counts:?} {:?}", outcome.failures);
    assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
    assert_eq!((counts.ready, counts.expected), (clients, counts.received), "{counts:?}");
    assert_eq!(outcome.balance.disagreements, Vec::<String>::new());
    counts.received
}

/// Twenty messages, to three and to two in turns.
#[track_caller]
fn fanned_out(outcome: Result<Outcome, Error>) {
    assert_eq!(whole(outcome, 5), 10 * 3 + 10 * 2);
}

#[test]
fn centrifugo_publishes_by_http_and_over_websocket() {
    let pongs = Pongs::default();
    fanned_out(run(Centrifugo(Arc::clone(&pongs)), "centrifugo", FANOUT));
    assert_eq!(pongs.load(Ordering::Relaxed), 5, "every ping is answered, in a frame with something else, too");
    let over_websocket = FANOUT.replace("rate_per_s", "via = \"websocket\"\nrate_per_s");
    let pongs = Pongs::default();
    fanned_out(run(Centrifugo(Arc::clone(&pongs)), "centrifugo", &over_websocket));
    assert!(pongs.load(Ordering::Relaxed) > 5, "the publisher answers, too");
}

#[test]
fn centrifugo_refuses_in_the_body_of_an_answer_that_consents() {
    // Its namespace is unknown to the API.
    let outcome = run(Centrifugo::default(), "centrifugo", &FANOUT.replace("sport", "sport:today")).unwrap();
    assert_eq!((outcome.publishing.published, outcome.publishing.refused), (20, 10));
    assert_eq!((outcome.counts.expected, outcome.counts.received, outcome.counts.lost), (30, 30, 0), "the others");
    let [failure] = outcome.failures.as_slice() else { panic!("{:?}", outcome.failures) };
    assert_eq!((failure.kind.as_str(), failure.count), ("publication answered 200 with a refusal", 10));
    assert_eq!(failure.example, r#"{"error":{"code":102,"message":"unknown channel"}}"#);
}

#[test]
fn pusher_subscribes_and_gets_what_something_that_signs_publishes() {
    let pongs = Pongs::default();
    // As docs/LOADGEN.md has it for a server whose publications have to be signed.
    let http = "[dialect.http]\npath = \"/apps/app-id/events\"\n\
        body = '{\"name\":\"load\",\"channels\":[\"{channel}\"],\"data\":\"{payload}\"}'\n";
    let dialect =
        ready::text("pusher").unwrap().replace("\n[[", "\n[[dialect.").replace("\n[subscribe", "\n[dialect.subscribe");
    let dialect = dialect.replace("\n[keepalive", "\n[dialect.keepalive");
    fanned_out(run(Pusher(Arc::clone(&pongs)), "pusher", &format!("{FANOUT}[dialect]\n{dialect}{http}")));
    assert_eq!(pongs.load(Ordering::Relaxed), 5);
}

#[test]
fn pusher_says_why_it_cannot_publish_before_anything_is_run() {
    let Err(Error::Usage(words)) = run(Pusher::default(), "pusher", FANOUT) else { panic!("it cannot publish") };
    for part in ["the dialect pusher does not say how to publish to a channel", "signed", "docs/LOADGEN.md"] {
        assert!(words.contains(part), "{words}");
    }
}

#[test]
fn stomp_publishes_to_topics() {
    fanned_out(run(Stomp::default(), "stomp", FANOUT));
}

#[test]
fn socketio_publishes_and_sends_and_echoes() {
    let pongs = Pongs::default();
    fanned_out(run(SocketIo(Arc::clone(&pongs)), "socketio", FANOUT));
    assert_eq!(pongs.load(Ordering::Relaxed), 5);
    let to_users = "[[group]]\nclients = 4\n\
        [[publisher]]\nto = { users = 4 }\nrate_per_s = 100\npayload_bytes = 100\n\
        [[publisher]]\nto = \"all\"\nrate_per_s = 50\npayload_bytes = 100\n";
    assert_eq!(whole(run(SocketIo::default(), "socketio", to_users), 4), 20 + 10 * 4);
    for activity in ["echo", "peer"] {
        let group = format!(
            "[[group]]\nclients = 4\nactivity = {{ kind = \"{activity}\", rate_per_s = 50, payload_bytes = 100 }}\n"
        );
        assert!(whole(run(SocketIo::default(), "socketio", &group), 4) > 0, "{activity}");
    }
}

#[test]
fn nchan_has_its_channel_in_the_path() {
    fanned_out(run(Nchan, "nchan", FANOUT));
}

#[test]
fn raw_gives_to_everybody_and_ws_echo_gives_back() {
    let one_channel = "[[group]]\nclients = 3\nchannels = [\"news\"]\n\
        [[publisher]]\nto = { channels = [\"news\"] }\nrate_per_s = 100\npayload_bytes = 100\n";
    assert_eq!(whole(run(Raw, "raw", one_channel), 3), 20 * 3);
    let echo = "[[group]]\nclients = 3\nactivity = { kind = \"echo\", rate_per_s = 50, payload_bytes = 100 }\n";
    assert!(whole(run(Echo, "ws-echo", echo), 3) > 0);
}

#[test]
fn refused_subscriptions_are_told_in_the_servers_words() {
    let refused = |outcome: Result<Outcome, Error>, words: &str| {
        let Err(Error::Failed(told)) = outcome else { panic!("nobody gets in") };
        assert!(told.contains("refused before it was ready") && told.contains(words), "{told}");
    };
    let group = |channel: &str| format!("[[group]]\nclients = 2\nchannels = [\"{channel}\"]\n");
    refused(run(Centrifugo::default(), "centrifugo", &group("secret")), "permission denied");
    refused(run(Pusher::default(), "pusher", &group("private-news")), "The connection is unauthorized");
    refused(run(Stomp::default(), "stomp", &group("secret")), "access_refused");
}

#[test]
fn every_ready_dialect_is_tried() {
    let tried = ["epush", "raw", "ws-echo", "socketio", "centrifugo", "pusher", "nchan", "stomp"];
    assert_eq!(ready::names(), tried, "a new one wants a tongue, and a test above");
}
