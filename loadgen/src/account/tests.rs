use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// A number that may have been sent.
fn arrived(account: &mut Account, seq: u64) -> Verdict {
    account.arrived(seq, || u64::MAX)
}

#[test]
fn in_order_nothing_is_kept() {
    let mut account = Account::new(7, 128, 5);
    for seq in 5..100 {
        assert_eq!(arrived(&mut account, seq), Verdict::Next);
    }
    assert!(account.holes.is_none());
    assert_eq!(account.close(100, &[]), Closed { expected: 95, received: 95, ..Closed::default() });
    assert_eq!(account.close(103, &[]), Closed { expected: 98, received: 95, missing: 3, unknown: 0 });
}

#[test]
fn a_hole_that_is_filled_is_a_reordering_and_filled_twice_a_duplicate() {
    let mut account = Account::new(0, 128, 0);
    assert_eq!(arrived(&mut account, 0), Verdict::Next);
    assert_eq!(arrived(&mut account, 4), Verdict::Ahead(3));
    assert_eq!(arrived(&mut account, 2), Verdict::Reordered);
    assert_eq!(arrived(&mut account, 2), Verdict::Duplicate);
    assert_eq!(arrived(&mut account, 4), Verdict::Duplicate);
    assert_eq!(account.close(5, &[]), Closed { expected: 5, received: 3, missing: 2, unknown: 0 });
    assert_eq!(arrived(&mut account, 1), Verdict::Reordered);
    assert_eq!(arrived(&mut account, 3), Verdict::Reordered);
    assert!(account.holes.is_none(), "nothing is kept where nothing is missing");
    assert!(account.is_complete(5, &[]));
}

#[test]
fn numbers_before_the_base_are_in_doubt() {
    let mut account = Account::new(0, 128, 10);
    assert_eq!(arrived(&mut account, 9), Verdict::InDoubt);
    assert_eq!(arrived(&mut account, 10), Verdict::Next);
    assert_eq!(account.close(11, &[]).received, 1);
}

#[test]
fn without_a_schedule_the_first_that_arrives_is_the_base() {
    let mut account = Account::new(0, 128, UNKNOWN);
    assert_eq!(account.close(50, &[]), Closed::default(), "nobody can say what it missed");
    assert_eq!(arrived(&mut account, 40), Verdict::Next);
    assert_eq!(arrived(&mut account, 39), Verdict::InDoubt);
    assert_eq!(account.close(42, &[]), Closed { expected: 2, received: 1, missing: 1, unknown: 0 });
}

#[test]
fn what_the_server_did_not_take_is_expected_by_nobody() {
    let mut account = Account::new(0, 128, 0);
    for seq in [0, 1, 4, 5] {
        arrived(&mut account, seq);
    }
    assert_eq!(account.close(8, &[1, 2, 6]), Closed { expected: 6, received: 4, missing: 2, unknown: 0 });
    assert!(account.is_complete(8, &[2, 3, 6, 7]));
    assert!(!account.is_complete(8, &[2, 3, 6]));
}

#[test]
fn numbers_nobody_sent_are_told_apart() {
    let mut account = Account::new(0, 128, 0);
    arrived(&mut account, 0);
    arrived(&mut account, 9);
    assert_eq!(account.close(3, &[]), Closed { expected: 3, received: 1, missing: 2, unknown: 1 });
}

#[test]
fn the_oldest_holes_are_given_up_beyond_the_limit_and_still_missing() {
    let mut account = Account::new(0, 128, 0);
    let odd = 2 * HOLES_MAX as u64 + 100;
    for seq in (1..2 * odd).step_by(2) {
        arrived(&mut account, seq);
    }
    assert!(account.holes.as_ref().expect("half is missing").ranges.len() <= HOLES_MAX);
    assert_eq!(account.close(2 * odd, &[]), Closed { expected: 2 * odd, received: odd, missing: odd, unknown: 0 });
    assert_eq!(account.close(2 * odd, &[0, 2]).missing, odd - 2);
    assert_eq!(arrived(&mut account, 0), Verdict::Duplicate);
    assert_eq!(arrived(&mut account, 2 * odd - 2), Verdict::Reordered);
}

/// Numbers as a server with every fault delivers them: some dropped, some twice, in any order within a window.
fn deliveries() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::vec((0_u8..10, 0_u64..12), 0..200).prop_map(|faults| {
        let mut order = Vec::new();
        for (seq, (fault, late)) in faults.into_iter().enumerate() {
            let seq = seq as u64;
            match fault {
                0 => {}
                1 => order.extend([(seq, seq), (seq + late, seq)]),
                2 => order.push((seq + late, seq)),
                _ => order.push((seq, seq)),
            }
        }
        order.sort_by_key(|(when, _)| *when);
        order.into_iter().map(|(_, seq)| seq).collect()
    })
}

proptest! {
    #[test]
    fn it_says_what_a_list_of_all_numbers_says(
        arrivals in deliveries(),
        base in 0_u64..40,
        end in 0_u64..220,
        refused in prop::collection::btree_set(0_u64..220, 0..30),
    ) {
        let mut account = Account::new(0, 128, base);
        let mut seen = BTreeSet::new();
        let mut highest = None;
        for seq in arrivals {
            let expected = if seq < base {
                Verdict::InDoubt
            } else if seen.contains(&seq) {
                Verdict::Duplicate
            } else if highest.is_some_and(|highest| seq < highest) {
                Verdict::Reordered
            } else {
                let next = highest.map_or(base, |highest: u64| highest + 1);
                if seq == next { Verdict::Next } else { Verdict::Ahead(seq - next) }
            };
            prop_assert_eq!(arrived(&mut account, seq), expected, "number {}", seq);
            if seq >= base {
                seen.insert(seq);
                highest = highest.max(Some(seq));
            }
        }
        let end = end.max(base);
        let received = (base..end).filter(|seq| seen.contains(seq)).count() as u64;
        let missing = (base..end).filter(|seq| !seen.contains(seq) && !refused.contains(seq)).count() as u64;
        let refused: Vec<u64> = refused.into_iter().collect();
        let unknown = seen.iter().filter(|seq| **seq >= end).count() as u64;
        prop_assert_eq!(account.close(end, &refused), Closed { expected: received + missing, received, missing, unknown });
        prop_assert_eq!(account.missing(end, &refused), missing);
    }
}

#[test]
fn numbers_of_others_that_no_sequence_has_are_in_doubt() {
    let mut account = Account::new(0, 64, UNKNOWN);
    assert_eq!(account.arrived_foreign(u64::MAX), Verdict::InDoubt);
    assert_eq!(account.arrived_foreign(1_000), Verdict::Next);
    assert_eq!(account.arrived_foreign(1_000 + SEQ_MAX), Verdict::InDoubt);
    assert_eq!(account.arrived_foreign(1_001), Verdict::Next);
    assert_eq!(account.arrived_foreign(account.next()), Verdict::Next);
}

#[test]
fn a_number_that_nobody_can_have_sent_leaves_no_hole() {
    let mut account = Account::new(0, 64, 0);
    assert_eq!(account.arrived(0, || unreachable!("it is the next")), Verdict::Next);
    assert_eq!(account.arrived(5, || 5), Verdict::Beyond);
    assert_eq!(account.arrived(4, || 5), Verdict::Ahead(3));
    assert_eq!(account.arrived(4, || unreachable!("it is here already")), Verdict::Duplicate);
    assert_eq!(account.close(5, &[]), Closed { expected: 5, received: 2, missing: 3, unknown: 0 });
}

#[test]
fn what_arrived_before_the_holes_that_are_given_up_is_received() {
    let mut account = Account::new(0, 64, 0);
    for seq in (0..100).chain((0..1_030).map(|forged| 1_000_002 + 2 * forged)) {
        arrived(&mut account, seq);
    }
    assert_eq!(account.close(100, &[]), Closed { expected: 100, received: 100, missing: 0, unknown: 1_030 });
    assert_eq!(account.close(99, &[7]), Closed { expected: 99, received: 99, missing: 0, unknown: 1_031 });
}
