//! Faults with single messages, of sessions that stay.

use std::thread;

use crate::book::Wrong;
use crate::lab::{FANOUT, NUMBERS, check, check_with, failure};
use crate::script::{Damage, Fate, Fault, Oddity, Script, Welcome};

/// Five clients that got everything.
const WHOLE: Wrong = Wrong {
    expected: 5 * NUMBERS,
    received: 5 * NUMBERS,
    messages: 5 * NUMBERS,
    gaps: 0,
    gaps_unfounded: 0,
    lost: 0,
    lost_after_close: 0,
    duplicates: 0,
    reordered: 0,
    damaged: 0,
    foreign: 0,
    closed_by_server: 0,
    in_doubt: 0,
    ready: 5,
    failed: 0,
};

#[test]
fn a_server_without_faults_has_none_reported() {
    assert_eq!(check(Script::good()).1, WHOLE);
}

#[test]
fn dropped_messages_are_lost_wherever_they_were() {
    // The first, one in the middle, two in a row, the last.
    let script = Script::at(&[
        (0, 0, Fault::Drop),
        (1, 7, Fault::Drop),
        (2, 8, Fault::Drop),
        (2, 9, Fault::Drop),
        (3, NUMBERS - 1, Fault::Drop),
    ]);
    let received = WHOLE.received - 5;
    assert_eq!(check(script).1, Wrong { lost: 5, received, messages: received, ..WHOLE });
}

#[test]
fn a_session_that_gets_nothing_lost_everything() {
    let script = Script::by(|client, _| if client == 3 { vec![Fault::Drop] } else { Vec::new() });
    let received = 4 * NUMBERS;
    assert_eq!(check(script).1, Wrong { lost: NUMBERS, received, messages: received, ..WHOLE });
}

#[test]
fn messages_that_come_again_are_duplicates_and_nothing_else() {
    let script = Script::at(&[(0, 0, Fault::Again(1)), (1, 5, Fault::Again(3)), (4, NUMBERS - 1, Fault::Again(2))]);
    assert_eq!(check(script).1, Wrong { duplicates: 6, messages: WHOLE.messages + 6, ..WHOLE });
}

#[test]
fn messages_that_come_late_are_reordered_and_not_lost() {
    let script =
        Script::at(&[(0, 0, Fault::Late(0)), (1, 5, Fault::Late(3)), (2, 6, Fault::Late(9)), (2, 7, Fault::Late(1))]);
    // Held back by none, it keeps its place.
    assert_eq!(check(script).1, Wrong { reordered: 3, ..WHOLE });
}

#[test]
fn damaged_messages_are_counted_and_their_numbers_lost() {
    let script = Script::at(&[
        (0, 1, Fault::Damage(Damage::Filler)),
        (1, 2, Fault::Damage(Damage::Stamp)),
        (2, 3, Fault::Damage(Damage::Cut)),
        (3, 4, Fault::Damage(Damage::Stretched)),
    ]);
    let (outcome, wrong) = check(script);
    let received = WHOLE.received - 4;
    assert_eq!(wrong, Wrong { damaged: 4, lost: 4, received, messages: received, ..WHOLE });
    assert_eq!(outcome.counts.damaged, 4);
}

#[test]
fn losses_that_are_announced_are_gaps() {
    let script = Script::by(|client, seq| match (client, seq) {
        (1, 5) => vec![Fault::Drop, Fault::Announce(1)],
        (2, 5 | 6) => vec![Fault::Drop],
        (2, 7) => vec![Fault::Drop, Fault::Announce(3)],
        // Said before it happens.
        (3, 2) => vec![Fault::Announce(1)],
        (3, 3) => vec![Fault::Drop],
        _ => Vec::new(),
    });
    let received = WHOLE.received - 5;
    assert_eq!(check(script).1, Wrong { gaps: 5, received, messages: received, ..WHOLE });
}

#[test]
fn losses_that_are_announced_falsely_are_told_apart() {
    let script = Script::by(|client, seq| match (client, seq) {
        // Nothing is missing.
        (0, 5) => vec![Fault::Announce(4)],
        // One too many, one too few.
        (1, 5) => vec![Fault::Drop, Fault::Announce(2)],
        (2, 5) => vec![Fault::Drop],
        (2, 6) => vec![Fault::Drop, Fault::Announce(1)],
        _ => Vec::new(),
    });
    let received = WHOLE.received - 3;
    let wrong = Wrong { gaps: 2, gaps_unfounded: 5, lost: 1, received, messages: received, ..WHOLE };
    assert_eq!(check(script).1, wrong);
}

#[test]
fn false_announcements_do_not_keep_the_tool_from_waiting() {
    let script = Script::at(&[(0, 2, Fault::Announce(1_000)), (0, NUMBERS - 3, Fault::Stall(800))]);
    assert_eq!(check(script).1, Wrong { gaps_unfounded: 1_000, ..WHOLE });
}

#[test]
fn a_message_that_was_announced_as_lost_and_comes_late_is_none() {
    let script = Script::at(&[(2, 6, Fault::Announce(1)), (2, 6, Fault::Late(2))]);
    assert_eq!(check(script).1, Wrong { reordered: 1, gaps_unfounded: 1, ..WHOLE });
}

#[test]
fn a_session_that_stalls_is_slow_and_loses_nothing() {
    let script = Script::at(&[(2, 5, Fault::Stall(400))]);
    let (outcome, wrong) = check(script);
    assert_eq!(wrong, WHOLE);
    assert!(outcome.latency.max_ns() >= 400_000_000, "{}", outcome.latency.max_ns());
    assert!(outcome.skew.max_ns() >= 300_000_000, "the others had it at once: {}", outcome.skew.max_ns());
}

#[test]
fn what_is_allowed_and_rare_is_no_fault() {
    let script = Script::at(&[
        (0, 3, Fault::Oddly(Oddity::Fragments)),
        (1, 0, Fault::Oddly(Oddity::Trickle)),
        (1, 9, Fault::Oddly(Oddity::Trickle)),
        (2, 4, Fault::Oddly(Oddity::Binary)),
        (3, 5, Fault::Oddly(Oddity::AfterNoise)),
        (4, 6, Fault::Oddly(Oddity::AfterPing)),
    ]);
    assert_eq!(check(script).1, WHOLE);
}

#[test]
fn what_an_earlier_run_left_is_told_apart() {
    let script = Script {
        welcome: Box::new(|client| if client < 3 { Welcome::Replays } else { Welcome::Good }),
        ..Script::at(&[(3, 4, Fault::Oddly(Oddity::AfterAnOldOne)), (4, 5, Fault::Drop)])
    };
    let (outcome, wrong) = check(script);
    let received = WHOLE.received - 1;
    assert_eq!(wrong, Wrong { received, lost: 1, foreign: 31, messages: received, ..WHOLE });
    assert!(outcome.latency.max_ns() < 60_000_000_000, "it was not this run's time");
    assert_eq!(outcome.failures, [], "that another run was there is nobody's failure");
}

#[test]
fn each_stream_of_a_session_is_counted_by_itself() {
    let rest = "[[group]]\nclients = 4\nchannels = [\"a\", \"b\", \"room.{client%2}\"]\n\
        [[publisher]]\nto = { channels = [\"a\", \"b\"] }\nrate_per_s = 100\nburst = 5\npayload_bytes = 60\n\
        [[publisher]]\nto = { channel_range = { name = \"room\", count = 2 } }\nrate_per_s = 100\npayload_bytes = 60\n";
    let script = Script {
        faults: Box::new(|client, stream, seq| match (client, stream, seq) {
            (0, 0, 3) | (1, 1, 0) => vec![Fault::Drop],
            (2, 2, 4) | (3, 0, 2) => vec![Fault::Again(1)],
            (3, 3, 1) => vec![Fault::Late(6)],
            _ => Vec::new(),
        }),
        ..Script::good()
    };
    let (_, wrong) = check_with(script, |_| (), rest);
    // Ten of each of a, b, and one room.
    let expected = 4 * 30;
    let received = expected - 2;
    let common = Wrong { expected, received, messages: received + 2, ready: 4, ..Wrong::default() };
    assert_eq!(wrong, Wrong { lost: 2, duplicates: 2, reordered: 1, ..common });
}

#[test]
fn what_clients_send_is_accounted_for_by_who_should_get_it() {
    let check = |activity: &str| {
        let rest = format!(
            "[[group]]\nclients = 4\nchannels = [\"x\"]\nactivity = {{ kind = \"{activity}\", rate_per_s = 100, payload_bytes = 100 }}\n"
        );
        let script = Script::at(&[
            (0, 3, Fault::Drop),
            (1, 4, Fault::Again(2)),
            (2, 5, Fault::Late(2)),
            (3, 6, Fault::Damage(Damage::Filler)),
        ]);
        let (outcome, wrong) = check_with(script, |_| (), &rest);
        assert_eq!(wrong.expected, outcome.counts.sent, "{activity}");
        assert_eq!((wrong.lost, wrong.duplicates, wrong.reordered, wrong.damaged), (2, 2, 1, 1), "{activity}");
    };
    thread::scope(|scope| {
        ["echo", "peer"].map(|activity| scope.spawn(move || check(activity))).map(|run| run.join().unwrap())
    });
}

#[test]
fn two_processes_report_the_same_faults() {
    let script = Script::by(|client, seq| match (client, seq) {
        (0 | 4, 3) => vec![Fault::Drop],
        (1, 5) => vec![Fault::Drop, Fault::Announce(2)],
        (2, 6) => vec![Fault::Again(2)],
        (3, 7) => vec![Fault::Late(3)],
        _ => Vec::new(),
    });
    let (outcome, wrong) = check_with(script, |scenario| scenario.tool.processes = 2, FANOUT);
    let received = WHOLE.received - 3;
    let common = Wrong { lost: 2, gaps: 1, gaps_unfounded: 1, duplicates: 2, reordered: 1, ..WHOLE };
    assert_eq!(wrong, Wrong { received, messages: received + 2, ..common });
    assert_eq!(outcome.failures, []);
}

#[test]
fn text_that_refuses_something_is_kept_as_an_example() {
    let rest = FANOUT.replace("payload_bytes", "via = \"websocket\"\npayload_bytes");
    let script = Script::fated(|_, seq| if seq == 4 { Fate::Refused } else { Fate::Taken });
    let (outcome, _) = check_with(script, |_| (), &rest);
    let (count, words) = failure(&outcome, "publication refused");
    assert!(count == 1 && words.starts_with("refused epl2:"), "{words}");
}
