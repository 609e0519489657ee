//! Publications that the server does not take, or takes and forgets.

use std::thread;

use crate::lab::{FANOUT, NUMBERS, check_with, failure};
use crate::script::{Fate, Fault, Script};

fn over_websocket() -> String {
    FANOUT.replace("payload_bytes", "via = \"websocket\"\npayload_bytes")
}

fn refusing(seqs: &'static [u64], fate: Fate) -> Script {
    Script::fated(move |_, seq| if seqs.contains(&seq) { fate } else { Fate::Taken })
}

#[test]
fn refused_publications_are_expected_by_nobody() {
    let check = |rest: String, kind: &str| {
        let (outcome, wrong) = check_with(refusing(&[0, 7, 8, NUMBERS - 1], Fate::Refused), |_| (), &rest);
        assert_eq!((outcome.publishing.published, outcome.publishing.refused), (NUMBERS, 4), "{kind}");
        assert_eq!((wrong.expected, wrong.received, wrong.lost), (5 * (NUMBERS - 4), 5 * (NUMBERS - 4), 0), "{kind}");
        assert_eq!(failure(&outcome, kind).0, 4);
    };
    thread::scope(|scope| {
        scope.spawn(|| check(FANOUT.to_owned(), "publication answered 500"));
        scope.spawn(|| check(over_websocket(), "publication refused"));
    });
}

#[test]
fn what_was_refused_and_comes_all_the_same_is_received() {
    let (outcome, wrong) = check_with(refusing(&[5, 6], Fate::RefusedAndSent), |_| (), FANOUT);
    assert_eq!((outcome.publishing.refused, wrong.expected, wrong.received, wrong.lost), (2, 100, 100, 0));
}

#[test]
fn what_was_taken_and_forgotten_is_lost_by_everybody() {
    let check = |rest: String| {
        let (outcome, wrong) = check_with(refusing(&[0, 5, NUMBERS - 1], Fate::Forgotten), |_| (), &rest);
        assert_eq!((outcome.publishing.refused, wrong.expected, wrong.lost), (0, 5 * NUMBERS, 15));
    };
    thread::scope(|scope| {
        scope.spawn(|| check(FANOUT.to_owned()));
        scope.spawn(|| check(over_websocket()));
    });
}

#[test]
fn a_publication_that_is_never_answered_is_expected_by_nobody() {
    let (outcome, wrong) = check_with(
        refusing(&[3], Fate::Unanswered),
        // What is due while the connection is opened again is not sent: so seldom that nothing is.
        |scenario| scenario.publishers[0].pace = epush_loadgen::scenario::Pace::RatePerS(25.0),
        FANOUT,
    );
    assert_eq!((outcome.publishing.published, outcome.publishing.refused), (5, 1), "{:?}", outcome.failures);
    assert_eq!((wrong.expected, wrong.received, wrong.lost), (20, 20, 0));
    assert_eq!(failure(&outcome, "publication never answered").0, 1);
}

#[test]
fn a_server_that_takes_nothing_makes_nobody_lose_anything() {
    let (outcome, wrong) = check_with(Script::fated(|_, _| Fate::Refused), |_| (), FANOUT);
    assert_eq!((outcome.publishing.published, outcome.publishing.refused), (NUMBERS, NUMBERS));
    assert_eq!((wrong.expected, wrong.received, wrong.lost), (0, 0, 0));
}

#[test]
fn the_delivered_pace_waits_for_the_slowest_receiver() {
    const STALL_MS: u64 = 50;
    let script = Script::by(|client, _| if client == 3 { vec![Fault::Stall(STALL_MS)] } else { Vec::new() });
    let pace = epush_loadgen::scenario::Pace::Delivered;
    let steady_ms = 1_000;
    let (outcome, wrong) = check_with(
        script,
        |scenario| (scenario.publishers[0].pace, scenario.phases.steady_ms) = (pace, steady_ms),
        FANOUT,
    );
    let published = outcome.publishing.published;
    assert!(published > 1 && published <= steady_ms / STALL_MS + 1, "each waits for the one before: {published}");
    assert_eq!((wrong.expected, wrong.received, outcome.publishing.refused), (5 * published, 5 * published, 0));
}
