//! What a receiver makes of what arrives, case by case.

use super::*;
use crate::relay::{Ledger, Receipt};

const A: NodeId = 0xa;
const B: NodeId = 0xb;

/// New, with so many lost before it.
fn fresh(lost: u64) -> Receipt {
    Receipt { lost, fresh: true }
}

/// Not to be delivered.
const STALE: Receipt = Receipt { lost: 0, fresh: false };

/// A ledger that listens to one stream, the user `7`, with these heads.
fn listening(heads: &[Head]) -> (Ledger, Stream) {
    let mut ledger = Ledger::default();
    ledger.open(user("7"), heads, 0);
    (ledger, user("7"))
}

#[test]
fn numbers_that_follow_each_other_are_fresh_and_repeated_ones_are_not() {
    let (mut ledger, stream) = listening(&[]);
    let receipts = [1, 2, 2, 1, 3].map(|n| ledger.receive(&stream, A, number(1, n), 0));
    assert_eq!(receipts, [fresh(0), fresh(0), STALE, STALE, fresh(0)]);
}

#[test]
fn a_hole_is_lost_whoever_made_it_and_stays_lost() {
    let (mut ledger, stream) = listening(&[]);
    ledger.receive(&stream, A, number(1, 1), 0);
    assert_eq!(ledger.receive(&stream, A, number(1, 4), 0), fresh(2));
    assert_eq!(ledger.receive(&stream, A, number(1, 3), 0), STALE);
    assert_eq!(ledger.receive(&stream, A, Number { lost: 1, ..number(1, 7) }, 0), fresh(2));
}

#[test]
fn senders_and_streams_count_for_themselves() {
    let (mut ledger, stream) = listening(&[]);
    ledger.open(channel("7"), &[], 0);
    ledger.receive(&stream, A, number(1, 1), 0);
    assert_eq!(ledger.receive(&stream, B, number(1, 1), 0), fresh(0));
    assert_eq!(ledger.receive(&channel("7"), A, number(2, 1), 0), fresh(0));
}

#[test]
fn what_was_sent_before_the_stream_was_opened_is_not_missed() {
    let (mut ledger, stream) = listening(&[head(A, 4, 1, 10)]);
    assert_eq!(ledger.receive(&stream, A, number(4, 10), 0), STALE);
    assert_eq!(ledger.receive(&stream, A, number(4, 12), 0), fresh(1));
    assert_eq!(ledger.receive(&stream, B, number(9, 70), 0), fresh(0), "the first that Redis took");
}

#[test]
fn a_new_sender_is_believed_about_its_own_losses() {
    let (mut ledger, stream) = listening(&[]);
    assert_eq!(ledger.receive(&stream, A, Number { lost: 2, ..number(1, 5) }, 0), fresh(2));
}

#[test]
fn a_new_generation_counts_from_one_and_the_old_one_is_over() {
    let (mut ledger, stream) = listening(&[head(A, 4, 1, 10)]);
    assert_eq!(ledger.receive(&stream, A, number(6, 3), 0), fresh(2));
    assert_eq!(ledger.receive(&stream, A, number(4, 11), 0), STALE);
    assert_eq!(ledger.announced(&stream, A, number(4, 20), 0), 0);
    assert_eq!(ledger.compare(&stream, &[head(A, 4, 1, 20)], 0), 0);
    assert_eq!(ledger.receive(&stream, A, number(6, 4), 0), fresh(0));
}

#[test]
fn of_a_stream_that_is_not_open_everything_is_fresh_and_nothing_is_noted() {
    let mut ledger = Ledger::default();
    let receipts = [1, 9, 1].map(|n| ledger.receive(&Stream::All, A, number(1, n), 0));
    assert_eq!(receipts, [fresh(0); 3]);
    assert_eq!(ledger.announced(&Stream::All, A, number(1, 20), 0), 0);
    assert_eq!(ledger.compare(&Stream::All, &[head(A, 1, 1, 20)], 0), 0);
    assert!(!ledger.is_open(&Stream::All));
    assert_eq!(ledger.streams().count(), 0);
}

#[test]
fn opening_an_open_stream_changes_nothing() {
    let (mut ledger, stream) = listening(&[head(A, 1, 1, 3)]);
    ledger.open(stream.clone(), &[head(A, 1, 1, 9)], 0);
    assert_eq!(ledger.receive(&stream, A, number(1, 4), 0), fresh(0));
    ledger.close(&stream);
    ledger.open(stream.clone(), &[head(A, 1, 1, 9)], 0);
    assert_eq!(ledger.receive(&stream, A, number(1, 4), 0), STALE);
}

#[test]
fn an_announcement_tells_what_no_message_did() {
    let (mut ledger, stream) = listening(&[]);
    ledger.receive(&stream, A, number(1, 1), 0);
    assert_eq!(ledger.announced(&stream, A, Number { lost: 3, ..number(1, 4) }, 0), 3);
    assert_eq!(ledger.announced(&stream, A, Number { lost: 3, ..number(1, 4) }, 0), 0, "arrived twice");
    assert_eq!(ledger.receive(&stream, A, number(1, 4), 0), STALE, "it was told as lost");
    assert_eq!(ledger.receive(&stream, A, number(1, 5), 0), fresh(0));
    assert_eq!(ledger.announced(&stream, B, Number { lost: 2, ..number(1, 2) }, 0), 2, "a new sender's own losses");
}

#[test]
fn redis_without_memory_may_have_taken_all_of_a_generation_but_not_from_those_who_came_after() {
    let (mut ledger, stream) = listening(&[]);
    ledger.cut();
    ledger.open(channel("new"), &[], 0);
    assert_eq!(ledger.compare(&stream, &[], 0), 0);
    assert_eq!(ledger.announced(&stream, A, number(1, 5), 0), 5);
    assert_eq!(ledger.announced(&channel("new"), A, number(2, 5), 0), 0);
    assert_eq!(ledger.receive(&channel("new"), A, number(2, 6), 0), fresh(0));
}

#[test]
fn after_a_cut_the_heads_say_what_is_missing() {
    let (mut ledger, stream) = listening(&[head(A, 1, 1, 2)]);
    ledger.cut();
    assert_eq!(ledger.compare(&stream, &[head(A, 1, 1, 5), head(B, 7, 3, 6)], 0), 3 + 4);
    assert_eq!(ledger.compare(&stream, &[head(A, 1, 1, 5), head(B, 7, 3, 6)], 0), 0, "told once");
    assert_eq!(ledger.receive(&stream, A, number(1, 5), 0), STALE, "it was told as lost");
    assert_eq!(ledger.receive(&stream, A, number(1, 6), 0), fresh(0));
    assert_eq!(ledger.compare(&stream, &[head(A, 2, 1, 2)], 0), 2, "a new generation");
}

#[test]
fn what_came_before_the_heads_are_compared_counts_neither_twice_nor_never() {
    let (mut ledger, stream) = listening(&[head(A, 1, 1, 2)]);
    ledger.cut();
    assert_eq!(ledger.receive(&stream, A, number(1, 4), 0), fresh(1));
    assert_eq!(ledger.receive(&stream, B, number(7, 5), 0), fresh(0), "nothing is known of B yet");
    assert_eq!(ledger.receive(&stream, B, number(7, 7), 0), fresh(1));
    assert_eq!(ledger.compare(&stream, &[head(A, 1, 1, 3), head(B, 7, 2, 6)], 0), 3, "2, 3 and 4 of B");
    assert_eq!(ledger.compare(&stream, &[head(B, 7, 2, 7)], 0), 0);
}

#[test]
fn a_stream_opened_in_the_dark_misses_nothing_of_before_the_light() {
    let mut ledger = Ledger::default();
    ledger.cut();
    ledger.open_blind(user("7"));
    // Redis is away once more before anything was compared.
    ledger.cut();
    assert_eq!(ledger.compare(&user("7"), &[head(A, 1, 1, 500)], 0), 0);
    assert_eq!(ledger.receive(&user("7"), A, number(1, 501), 0), fresh(0));
    ledger.cut();
    assert_eq!(ledger.compare(&user("7"), &[head(A, 1, 1, 502), head(B, 1, 1, 4)], 0), 1 + 4);
}

#[test]
fn a_stream_opened_with_the_heads_of_a_redis_that_is_back_misses_what_follows() {
    let mut ledger = Ledger::default();
    ledger.cut();
    ledger.open(user("7"), &[head(A, 1, 1, 5)], 0);
    assert_eq!(ledger.compare(&user("7"), &[head(A, 1, 1, 6), head(B, 1, 1, 2)], 0), 1 + 2);
    ledger.cut();
    ledger.open(user("8"), &[], 0);
    assert_eq!(ledger.compare(&user("8"), &[head(B, 1, 1, 2)], 0), 2, "nobody had sent anything");
}

#[test]
fn a_sender_unheard_for_long_is_forgotten_and_its_old_head_means_nothing() {
    let (mut ledger, stream) = listening(&[head(A, 3, 1, 100), head(B, 1, 1, 1)]);
    ledger.receive(&stream, B, number(1, 2), 3_600_000);
    ledger.prune(1_800_000);
    ledger.cut();
    assert_eq!(ledger.compare(&stream, &[head(A, 3, 1, 100), head(B, 1, 1, 2)], 3_700_000), 0);
    ledger.prune(3_650_000);
    assert_eq!(ledger.receive(&stream, A, number(4, 1), 3_700_000), fresh(0));
    ledger.prune(9_000_000);
    ledger.cut();
    assert_eq!(ledger.compare(&stream, &[head(A, 5, 1, 2)], 9_000_000), 2, "a newer one was sent since");
}

#[test]
fn impossible_numbers_do_not_panic() {
    let (mut ledger, stream) = listening(&[head(A, 1, 0, u64::MAX)]);
    for (first, last) in [(0, 0), (9, 1), (0, u64::MAX), (u64::MAX, u64::MAX)] {
        ledger.compare(&stream, &[head(A, 1, first, last), head(B, 2, first, last), head(A, last, first, last)], 0);
        ledger.receive(&stream, B, Number { generation: last, number: first, lost: last }, 0);
        ledger.announced(&stream, A, Number { generation: first, number: last, lost: last }, u64::MAX);
    }
}

#[test]
fn memory_goes_with_the_streams() {
    let mut ledger = Ledger::default();
    let streams: Vec<_> = (0..10_000).map(|n| user(&n.to_string())).collect();
    streams.iter().for_each(|stream| ledger.open(stream.clone(), &[], 0));
    assert_eq!(ledger.streams().count(), 10_000);
    streams.iter().for_each(|stream| ledger.close(stream));
    assert_eq!(ledger.streams().count(), 0);
    assert!(ledger.streams_capacity() <= 1_024 * 2, "{}", ledger.streams_capacity());
}

#[test]
fn a_stream_takes_as_many_bytes_as_the_ledger_says() {
    assert_eq!(Ledger::BYTES_OF_STREAM_AND_SENDER, (40, 40));
}
