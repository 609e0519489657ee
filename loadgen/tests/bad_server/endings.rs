//! Connections that the server ends, in every way there is.

use std::thread;

use crate::lab::{NUMBERS, check, failure};
use crate::script::{End, Fault, Script, Violation};

/// The end of client 2 instead of its message 8; what is reported is compared with the book.
#[track_caller]
fn ended(end: End) -> epush_loadgen::outcome::Outcome {
    let script =
        Script::by(move |client, seq| if (client, seq) == (2, 8) { vec![Fault::End(end)] } else { Vec::new() });
    let (outcome, wrong) = check(script);
    assert_eq!((wrong.closed_by_server, wrong.ready), (1, 5), "{end:?}");
    assert_eq!((wrong.lost, wrong.lost_after_close), (NUMBERS - 8, NUMBERS - 8), "{end:?}");
    assert_eq!((wrong.expected, wrong.received), (5 * NUMBERS, 4 * NUMBERS + 8), "{end:?}");
    assert_eq!(outcome.counts.closed_by_plan, 4, "{end:?}");
    outcome
}

#[test]
fn a_close_frame_is_quoted_with_its_code_and_reason() {
    thread::scope(|scope| {
        scope.spawn(|| {
            let outcome = ended(End::Close(4_501, "slow consumer"));
            assert_eq!(failure(&outcome, "closed with 4501 slow consumer"), (1, String::from("slow consumer")));
        });
        scope.spawn(|| failure(&ended(End::Close(1_001, "")), "closed with 1001"));
        scope.spawn(|| failure(&ended(End::CloseEmpty), "closed without a code"));
    });
}

#[test]
fn an_end_without_a_word_is_named_by_its_manner() {
    thread::scope(|scope| {
        scope.spawn(|| failure(&ended(End::Reset), "reset"));
        scope.spawn(|| failure(&ended(End::Silent), "ended without a close frame"));
        scope.spawn(|| {
            let outcome = ended(End::HalfFrame);
            failure(&outcome, "ended without a close frame");
            assert_eq!(outcome.counts.bytes_partial, 51, "half of a frame of 102 bytes");
        });
    });
}

#[test]
fn what_rfc_6455_forbids_ends_the_session_and_says_what_it_was() {
    let violations = [
        (Violation::Masked, "masked"),
        (Violation::ReservedBit, "reserved bit"),
        (Violation::UnknownOpcode, "opcode"),
        (Violation::Oversize, "16 MiB"),
        (Violation::LongPing, "125 bytes"),
        (Violation::LooseContinuation, "a fragment has no message"),
        (Violation::HalfCode, "half a code"),
    ];
    thread::scope(|scope| {
        for (violation, words) in violations {
            scope.spawn(move || {
                let (count, example) = failure(&ended(End::Violation(violation)), "broke RFC 6455");
                assert!(count == 1 && example.contains(words), "{example}");
            });
        }
    });
}

#[test]
fn different_ends_are_counted_under_their_names() {
    let ends = [End::Close(4_000, "bye"), End::Reset, End::Silent, End::HalfFrame, End::Close(4_000, "bye")];
    let script = Script::by(move |client, seq| {
        let end = Fault::End(ends[client as usize]);
        if seq == 2 * u64::from(client) { vec![end] } else { Vec::new() }
    });
    let (outcome, wrong) = check(script);
    assert_eq!((wrong.closed_by_server, outcome.counts.closed_by_plan), (5, 0));
    assert_eq!((wrong.received, wrong.lost, wrong.lost_after_close), (20, 80, 80));
    assert_eq!(failure(&outcome, "closed with 4000 bye").0, 2);
    assert_eq!(failure(&outcome, "ended without a close frame").0, 2);
}

#[test]
fn losses_before_the_end_and_after_it_are_told_apart() {
    let script = Script::by(|client, seq| match (client, seq) {
        (1, 3) => vec![Fault::Drop],
        (1, 6) => vec![Fault::Drop, Fault::Announce(1)],
        (1, 10) => vec![Fault::End(End::Close(4_000, "bye"))],
        _ => Vec::new(),
    });
    let (_, wrong) = check(script);
    assert_eq!((wrong.lost, wrong.lost_after_close, wrong.gaps), (1 + NUMBERS - 10, NUMBERS - 10, 1));
}
