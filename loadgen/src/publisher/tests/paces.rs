//! Paces without a schedule, which go as the server lets them.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::super::testing::{OK, Running, http, scenario, server, start, start_counting};
use super::{kinds, seqs, talkative, websocket_server};
use crate::clock;
use crate::publisher::ledger::Ledger;
use crate::scenario::{Pace, Scenario};
use crate::stamp::Stamp;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn as_fast_as_taken_is_faster_than_any_schedule_and_owes_nothing() {
    let (url, stamps) = server(|socket, _| socket.write_all(OK).is_ok());
    let mut scenario = scenario(&url, http(true));
    scenario.publishers[0].pace = Pace::Taken;
    let (_, ledger) = start(scenario).ready().publish(200, 10_000);
    assert!(ledger.counts[0] > 100, "{:?}", ledger.counts);
    assert_eq!((seqs(&stamps).len() as u64, ledger.refused_count), (ledger.counts[0], 0));
}

#[test]
fn delivered_publishes_when_the_last_burst_is_everywhere() {
    let (url, stamps) = server(|socket, _| socket.write_all(OK).is_ok());
    let mut scenario = scenario(&url, http(false));
    (scenario.publishers[0].pace, scenario.publishers[0].burst) = (Pace::Delivered, 3);
    let delivered = Arc::new(AtomicU64::new(0));
    let running: Running = start_counting(scenario, vec![Arc::clone(&delivered)]).ready();
    running.window(clock::now_ns(), 30_000, 10_000);
    for round in 1..=5 {
        for _ in 0..3 {
            stamps.recv_timeout(PATIENCE).expect("the burst arrives");
        }
        assert_eq!((running.live.published(), stamps.len()), (round * 3, 0), "one client, three messages");
        if round == 5 {
            running.live.end(0, u64::MAX);
        }
        delivered.fetch_add(3, Ordering::Relaxed);
    }
    assert_eq!(running.join().counts, [15]);
}

#[test]
fn taken_publishes_one_for_every_answer() {
    let (allow, allowed) = crossbeam_channel::unbounded::<()>();
    let (url, stamps) = server(move |socket, _| allowed.recv().is_ok() && socket.write_all(OK).is_ok());
    let mut scenario = scenario(&url, http(false));
    scenario.publishers[0].pace = Pace::Taken;
    let running = start(scenario).ready();
    running.window(clock::now_ns(), 30_000, 10_000);
    for seq in 0..5 {
        let stamp = stamps.recv_timeout(PATIENCE).expect("one for the last answer");
        assert_eq!((stamp.seq, stamps.len()), (seq, 0));
        if seq == 4 {
            running.live.end(0, u64::MAX);
        }
        allow.send(()).unwrap();
    }
    drop(allow);
    let ledger = running.join();
    // One more may have waited for the last answer when it was told to end.
    assert!((5..=6).contains(&ledger.counts[0]), "{:?}", ledger.counts);
    assert_eq!(ledger.counts[0] - ledger.refused_count, 5, "{:?}", ledger.failures);
}

/// Publishes when all is delivered until so many messages were given out; those that the server takes are delivered.
fn publish_when_delivered(
    scenario: Scenario,
    stamps: &crossbeam_channel::Receiver<Stamp>,
    all: u64,
    refused: &[u64],
) -> Ledger {
    let delivered = Arc::new(AtomicU64::new(0));
    let running: Running = start_counting(scenario, vec![Arc::clone(&delivered)]).ready();
    running.window(clock::now_ns(), 60_000, 10_000);
    for seq in 0..all {
        let stamp = stamps.recv_timeout(PATIENCE).expect("the next is published");
        assert_eq!(stamp.seq, seq);
        if seq + 1 == all {
            running.live.end(0, u64::MAX);
        }
        delivered.fetch_add(u64::from(!refused.contains(&seq)), Ordering::Relaxed);
    }
    running.join()
}

#[test]
fn what_the_server_refuses_is_not_waited_for() {
    let (url, stamps) = server(|socket, number| {
        let refusal = b"HTTP/1.1 500 Oops\r\ncontent-length: 6\r\n\r\nbroken";
        socket.write_all(if number % 4 == 1 { refusal } else { OK }).is_ok()
    });
    let mut scenario = scenario(&url, http(false));
    scenario.publishers[0].pace = Pace::Delivered;
    let ledger = publish_when_delivered(scenario, &stamps, 8, &[1, 5]);
    assert_eq!((ledger.counts.as_slice(), kinds(&ledger)), (&[8][..], vec![("publication answered 500", 2)]));
}

#[test]
fn what_is_refused_over_websocket_is_not_waited_for() {
    let (url, stamps) = websocket_server(u64::MAX);
    let mut scenario = scenario(&url, talkative());
    scenario.publishers[0].pace = Pace::Delivered;
    let ledger = publish_when_delivered(scenario, &stamps, 16, &[3, 13]);
    assert_eq!((ledger.counts.as_slice(), kinds(&ledger)), (&[16][..], vec![("publication refused", 2)]));
}
