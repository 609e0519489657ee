//! The same, with the program as it is built: its result as JSON, and its exit code.

use std::io::Write as _;
use std::process::{Command, Stdio};

use epush_loadgen::outcome::Outcome;

use crate::lab::{FANOUT, PROGRAM, compare, text};
use crate::script::{End, Fate, Fault, Script, Welcome};
use crate::server::BadServer;

/// Runs the program; the result is compared with the book, and its exit code returned, with what it said.
fn run(script: Script, arguments: &[&str]) -> (Option<Outcome>, Option<i32>, String) {
    let server = BadServer::start(script);
    let mut file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    file.write_all(text(&server, "", FANOUT).as_bytes()).unwrap();
    let mut command = Command::new(PROGRAM);
    command.arg("run").arg(file.path()).args(["--plain", "--json", "-"]).args(arguments);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let outcome: Option<Outcome> = serde_json::from_slice(&output.stdout).ok();
    let book = server.close();
    if let Some(outcome) = &outcome {
        compare(outcome, &book, &said);
    }
    (outcome, output.status.code(), said)
}

fn faulty() -> Script {
    Script::at(&[
        (0, 3, Fault::Drop),
        (1, 5, Fault::Again(1)),
        (2, 6, Fault::Late(2)),
        (3, 7, Fault::End(End::Close(4_501, "slow consumer"))),
    ])
}

#[test]
fn an_expectation_that_does_not_hold_exits_3_with_the_numbers() {
    let (outcome, code, said) = run(faulty(), &["--expect", "lost=0,duplicates<=1"]);
    let outcome = outcome.unwrap();
    assert_eq!((outcome.counts.lost, outcome.counts.lost_after_close), (14, 13));
    assert_eq!((outcome.counts.duplicates, outcome.counts.reordered, outcome.counts.closed_by_server), (1, 1, 1));
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("lost") && said.contains("14") && said.contains("closed with 4501 slow consumer"), "{said}");
}

#[test]
fn expectations_that_hold_do_not_fail_because_the_server_is_bad() {
    let (outcome, code, said) = run(faulty(), &["--expect", "lost=14,duplicates=1,reordered=1", "--processes", "2"]);
    let is_slow = !outcome.unwrap().client.bottleneck.is_empty();
    assert_eq!(code, Some(if is_slow { 4 } else { 0 }), "{said}");
}

#[test]
fn a_server_that_closes_every_client_exits_1_with_the_whole_report() {
    for (end, kind) in [(End::Close(1_001, ""), "closed with 1001"), (End::Reset, "reset")] {
        let script = Script::by(move |_, seq| if seq == 5 { vec![Fault::End(end)] } else { Vec::new() });
        let (outcome, code, said) = run(script, &["--expect", "lost=0"]);
        let outcome = outcome.unwrap();
        assert_eq!((outcome.counts.closed_by_server, outcome.counts.received, outcome.nobody_left), (5, 25, true));
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("no client was left") && said.contains(&format!("5 × {kind}")), "{said}");
        assert!(said.contains("Look into its log") && said.contains("!! The server went away"), "{said}");
    }
}

#[test]
fn one_client_that_is_left_is_no_failed_run() {
    let end = Fault::End(End::Close(1_001, ""));
    let script = Script::by(move |client, seq| if client > 0 && seq == 5 { vec![end] } else { Vec::new() });
    let (outcome, code, said) = run(script, &[]);
    let outcome = outcome.unwrap();
    assert_eq!((outcome.counts.closed_by_server, outcome.nobody_left), (4, false));
    assert!(matches!(code, Some(0 | 4)), "{said}");
}

#[test]
fn nobody_let_in_exits_1_and_says_why() {
    let (outcome, code, said) = run(Script::welcoming(|_| Welcome::Status(403)), &[]);
    assert!(outcome.is_none());
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("5 × handshake answered 403") && said.contains("target.headers"), "{said}");
}

#[test]
fn a_server_that_takes_none_of_the_publications_exits_1_and_says_so() {
    let (outcome, code, said) = run(Script::fated(|_, _| Fate::Refused), &[]);
    assert_eq!(outcome.unwrap().publishing.refused, 20, "the result is there all the same");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("took none of 20 publications (publication answered 500): check --api"), "{said}");
}
