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
