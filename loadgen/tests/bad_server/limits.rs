//! A tool that is asked for more than it can do, and one that is not.

use std::process::{Command, Output, Stdio};

use epush_loadgen::outcome::Outcome;
use epush_loadgen::run::verdict::{BUSY_SHARE_MAX, SLIP_P99_NS_MAX};

use crate::lab::{FANOUT, PROGRAM, text};
use crate::script::Script;
use crate::server::BadServer;

fn measure(phases: &str, rest: &str) -> (Outcome, Option<i32>, String) {
    let server = BadServer::start(Script::good());
    let file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    std::fs::write(file.path(), text(&server, phases, rest)).unwrap();
    let mut command = Command::new(PROGRAM);
    command.arg("run").arg(file.path()).args(["--plain", "--json", "-"]).stdin(Stdio::null());
    let Output { status, stdout, stderr } = command.output().unwrap();
    let said = String::from_utf8(stderr).unwrap();
    let outcome = serde_json::from_slice(&stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    (outcome, status.code(), said)
}

#[test]
fn a_rate_beyond_what_a_thread_can_do_exits_4_and_says_so() {
    // Two hundred nanoseconds for each message: no thread writes as fast.
    let rest = FANOUT.replace("rate_per_s = 100", "rate_per_s = 5e6\nvia = \"websocket\"");
    let (outcome, code, said) = measure("", &rest);
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("this tool was the bottleneck: "), "{said}");
    assert!(!outcome.client.bottleneck.is_empty());
    assert_eq!(outcome.balance.disagreements, Vec::<String>::new());
}

#[test]
fn a_publisher_that_is_far_behind_stops_when_the_time_is_over() {
    let rest = FANOUT.replace("rate_per_s = 100", "rate_per_s = 1e8\nvia = \"websocket\"");
    let (outcome, code, said) = measure("", &rest);
    assert_eq!(code, Some(4), "{said}");
    assert!(outcome.publishing.published < 20_000_000, "not all that was due: {}", outcome.publishing.published);
    assert_eq!(outcome.balance.disagreements, Vec::<String>::new());
}

#[test]
fn without_a_schedule_nothing_is_late_and_the_tool_is_no_bottleneck() {
    let rest = "[[group]]\nclients = 3\nchannels = [\"x\"]\nactivity = { kind = \"echo\", rate_per_s = 0, payload_bytes = 64 }\n";
    let (outcome, code, said) = measure("", rest);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(outcome.client.bottleneck, Vec::<String>::new());
    assert!(outcome.counts.received > 0 && outcome.counts.lost == 0);
    // A fifth of a second is judged, too; and what is no bottleneck is still said, in the result as in words.
    let (busiest, remarks) = (outcome.client.busiest_share, &outcome.client.remarks);
    assert!(busiest > 0.0 && busiest <= 1.0, "{busiest}");
    assert_eq!(remarks.iter().any(|words| words.contains("was busy for")), busiest > BUSY_SHARE_MAX, "{remarks:?}");
    assert!(remarks.iter().all(|words| said.contains(words)), "{said}");
}

#[test]
fn an_ordinary_run_is_only_suspected_where_the_numbers_say_so() {
    let (outcome, code, said) = measure("", FANOUT);
    let (bottleneck, latency) = (&outcome.client.bottleneck, outcome.latency.at(0.99));
    assert_eq!(code, Some(if bottleneck.is_empty() { 0 } else { 4 }), "{said}");
    // On a machine that is busy with something else this tool may be late; where it is not, nothing is said.
    let is_late = outcome.client.slip.at(0.99) > SLIP_P99_NS_MAX.min(latency / 4);
    assert!(bottleneck.is_empty() || is_late || said.contains("waited for one"), "{bottleneck:?}");
}
