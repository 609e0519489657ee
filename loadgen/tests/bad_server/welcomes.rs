//! Clients that are not let in.

use std::thread;

use epush_loadgen::error::Error;

use crate::lab::{FANOUT, NUMBERS, compare, failure, run, text, try_out};
use crate::script::{Script, Welcome};
use crate::server::BadServer;

const WELCOMES: [Welcome; 7] = [
    Welcome::Status(403),
    Welcome::Garbage,
    Welcome::WrongKey,
    Welcome::EndAtOnce,
    Welcome::RefusesToSubscribe,
    Welcome::Silence,
    Welcome::NeverJoins,
];

#[test]
fn who_is_not_let_in_failed_with_what_was_said_and_has_to_get_nothing() {
    let script = Script::welcoming(|client| WELCOMES.get(client as usize).copied().unwrap_or(Welcome::Good));
    let rest = FANOUT.replace("clients = 5", "clients = 12");
    let (outcome, book) = try_out(script, |scenario| scenario.phases.connect_timeout_ms = 4_000, &rest);
    compare(&outcome, &book, "");
    let counts = &outcome.counts;
    assert_eq!((counts.started, counts.failed, counts.ready, counts.closed_by_server), (12, 7, 5, 0));
    assert_eq!((counts.expected, counts.lost), (5 * NUMBERS, 0));
    for (kind, words) in [
        ("handshake answered 403", "No nope"),
        ("the answer is no HTTP", "SSH-2.0-OpenSSH_9.2"),
        ("the handshake's answer is wrong", "not that of the key"),
        ("ended before it was ready", "end of stream"),
        ("refused before it was ready", "refused, as always"),
        ("not ready in time", "silence while"),
    ] {
        let (count, example) = failure(&outcome, kind);
        assert_eq!(count, if kind == "not ready in time" { 2 } else { 1 }, "{kind}");
        assert!(example.contains(words), "{kind}: {example}");
    }
}

#[test]
fn when_nobody_is_let_in_the_run_fails_with_advice() {
    let check = |welcome: Welcome, words: &str| {
        let server = BadServer::start(Script::welcoming(move |_| welcome));
        let ended = run(toml::from_str(&text(&server, "", FANOUT)).unwrap());
        let Err(Error::Failed(said)) = ended else { panic!("{welcome:?}: nobody got in") };
        assert!(said.starts_with("none of the 5 clients got ready: ") && said.contains(words), "{said}");
        assert_eq!(server.close().turned_away.len(), 5);
    };
    let refusals = [
        (Welcome::Status(403), "5 × handshake answered 403 (No nope)"),
        (Welcome::Garbage, "5 × the answer is no HTTP"),
        (Welcome::WrongKey, "5 × the handshake's answer is wrong"),
        (Welcome::EndAtOnce, "5 × ended before it was ready"),
        (Welcome::RefusesToSubscribe, "5 × refused before it was ready (refused, as always)"),
    ];
    thread::scope(|scope| {
        for (welcome, words) in refusals {
            scope.spawn(move || check(welcome, words));
        }
    });
}

/// Far more than fail while the first one has its time.
const CROWD: &str = "[[group]]\nclients = 3000\nchannels = [\"news\"]\n";

#[test]
fn a_crowd_of_which_nobody_is_let_in_is_given_up_before_everyone_was_turned_away() {
    let check = |welcome: Welcome, group: &str, words: [&str; 2]| {
        let server = BadServer::start(Script::welcoming(move |_| welcome));
        let phases = "connect_timeout_ms = 1000";
        let scenario = text(&server, phases, &format!("{CROWD}{group}")).replace("workers = 2", "workers = 1");
        let ended = run(toml::from_str(&scenario.replace("ramp_ms = 50\n", "ramp_ms = 20000\n")).unwrap());
        let Err(Error::Failed(said)) = ended else { panic!("{welcome:?}: nobody got in") };
        assert!(said.starts_with("gave up: ") && said.contains("of the 3000 clients failed"), "{said}");
        assert!(words.iter().all(|words| said.contains(words)), "{said}");
        assert!(server.close().turned_away.len() < 3_000, "most of them were never tried");
    };
    // A path that is never answered, in a storm; a wrong dialect, over a ramp and at a rate.
    check(Welcome::Silence, "connect_per_s = 0", ["not ready in time", "connect_timeout_ms"]);
    check(Welcome::RefusesToSubscribe, "", ["refused before it was ready", "--dialect"]);
    check(Welcome::Status(404), "connect_per_s = 150", ["handshake answered 404", "check the path"]);
}

#[test]
fn one_that_is_let_in_is_reason_enough_to_try_all_the_others() {
    let script = Script::welcoming(|client| if client == 7 { Welcome::Good } else { Welcome::Status(503) });
    let (outcome, _) = try_out(
        script,
        |scenario| {
            (scenario.tool.workers, scenario.phases.connect_timeout_ms) = (1, 1_000);
            scenario.groups[0].connect_per_s = Some(300.0);
        },
        &FANOUT.replace("clients = 5", "clients = 600"),
    );
    let counts = &outcome.counts;
    assert_eq!((counts.started, counts.failed, counts.ready, counts.received), (600, 599, 1, NUMBERS));
}
