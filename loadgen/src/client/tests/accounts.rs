//! What sessions get, and what they miss.

use super::*;

#[test]
fn every_fault_is_told_apart() {
    let mut bench = subscriber();
    for seq in [0, 1, 4, 3, 4, 5] {
        bench.message(0, seq);
    }
    bench.text(r#"{"op":"gap","channel":"news","count":1,"reason":"slow_consumer"}"#);
    let counts = bench.settle(&[8], &[(0, 7)]);
    // 2 and 6 are missing, 7 was not taken.
    assert_eq!((counts.expected, counts.received, counts.gaps, counts.lost), (7, 5, 1, 1));
    assert_eq!((counts.messages, counts.duplicates, counts.reordered), (6, 1, 1));
    assert_eq!(counts.bytes_payload, 6 * 128);
}

#[test]
fn a_refusal_that_is_said_twice_hides_no_loss() {
    let mut bench = subscriber();
    for seq in [0, 1, 2, 3, 4] {
        bench.message(0, seq);
    }
    let counts = bench.settle(&[7], &[(0, 5), (0, 5)]);
    assert_eq!((counts.expected, counts.received, counts.lost), (6, 5, 1));
}

#[test]
fn a_damaged_message_is_not_received() {
    let mut bench = subscriber();
    let good = message(&bench.plan, 0, 0, 0);
    for bad in [
        good.replace("xx\"", "x\""),
        good.replace("xx\"", "xxx\""),
        good.replace("xx\"", "xy\""),
        good.replace(":x", ";x"),
    ] {
        bench.text(&bad);
    }
    let counts = bench.settle(&[1], &[]);
    assert_eq!((counts.damaged, counts.messages, counts.received, counts.lost), (4, 0, 0, 1));
}

#[test]
fn latency_counts_from_when_a_message_was_due_and_once_for_each() {
    let mut bench = subscriber();
    bench.now_ns = 5_000_000;
    for (seq, slip_us) in [(0, 0), (1, 1_000), (1, 1_000)] {
        let mut payload = Vec::new();
        Stamp { run: 0, intended_ns: 3_000_000, slip_us, stream: 0, seq }.write(128, &mut payload);
        bench.receive(&server_frame(0x82, &payload)).unwrap();
    }
    let since = bench.recorder.drain_latency();
    assert_eq!((since.0.len(), since.at(1.0) / 10_000), (2, 200));
    let tally = bench.recorder.finish();
    assert_eq!(tally.latency, since);
    assert_eq!((tally.latency_uncorrected.0.len(), tally.latency_uncorrected.at(0.5) / 10_000), (2, 100));
    assert_eq!(tally.connect.0.len(), 1);
}

#[test]
fn a_message_with_several_receivers_is_watched() {
    let mut bench = subscriber();
    bench.message(0, 0);
    let arrivals = bench.recorder.drain_all_arrivals();
    assert_eq!((arrivals.len(), arrivals[0].seq, arrivals[0].receivers), (1, 0, 1));
}

#[test]
fn who_comes_late_has_to_get_what_is_due_from_then_on() {
    let mut bench = Bench::of(SUBSCRIBER, 1);
    bench.recorder.steady(&bench.plan, 10_000_000);
    bench.shake_hands();
    bench.text(r#"{"op":"welcome"}"#);
    // 3.5 ms later, a thousand a second: 0 to 3 were due.
    bench.now_ns = 13_500_000;
    bench.message(0, 3);
    bench.text(r#"{"op":"ok","id":1,"channel":"news"}"#);
    bench.now_ns = 18_000_000;
    for seq in [3, 4, 6] {
        bench.message(0, seq);
    }
    let counts = bench.settle(&[8], &[]);
    assert_eq!((counts.in_doubt, counts.expected, counts.received, counts.lost), (2, 4, 2, 2));
}

#[test]
fn losses_announced_before_it_was_ready_cover_none_of_its_own() {
    let mut bench = Bench::of(SUBSCRIBER, 0);
    bench.shake_hands();
    bench.text(r#"{"op":"welcome"}"#);
    bench.text(r#"{"op":"gap","channel":"news","count":5,"reason":"relay"}"#);
    bench.text(r#"{"op":"ok","id":1,"channel":"news"}"#);
    let counts = bench.settle(&[2], &[]);
    assert_eq!((counts.gaps, counts.gaps_unfounded, counts.lost), (0, 0, 2));
}

#[test]
fn what_was_due_before_the_run_or_after_its_arrival_is_in_doubt() {
    let mut bench = subscriber();
    bench.recorder.steady(&bench.plan, 10_000_000);
    bench.now_ns = 12_000_000;
    for (seq, due_ns) in [(0, 9_999_999), (7, 1), (0, 12_000_001), (0, 10_000_000)] {
        let text = message(&bench.plan, 0, seq, due_ns);
        bench.text(&text);
    }
    let counts = bench.settle(&[1], &[]);
    assert_eq!((counts.expected, counts.received, counts.in_doubt, counts.duplicates), (1, 1, 3, 0));
    let tally = bench.recorder.finish();
    assert_eq!(tally.latency.count(), 1);
    assert_eq!((tally.failures[0].kind.as_str(), tally.failures[0].count), ("a message due at an impossible time", 3));
}

#[test]
fn a_number_that_is_not_due_yet_is_in_doubt_and_hides_nothing() {
    let mut bench = subscriber();
    bench.recorder.steady(&bench.plan, 10_000_000);
    bench.now_ns = 12_000_000;
    for seq in [0, 1, 3, 1_000_000, 2] {
        bench.message(0, seq);
    }
    let counts = bench.settle(&[3], &[]);
    assert_eq!((counts.expected, counts.received, counts.lost, counts.in_doubt), (3, 3, 0, 2));
    assert_eq!((counts.messages, counts.damaged, counts.reordered), (5, 0, 0));
    assert_eq!(bench.recorder.tally.failures[0].kind, "a message with a number that is not due yet");
}

#[test]
fn gaps_beyond_all_numbers_do_not_overflow_the_sums() {
    let mut bench = subscriber();
    for _ in 0..2 {
        bench.text(r#"{"op":"gap","channel":"news","count":18446744073709551615,"reason":"slow_consumer"}"#);
    }
    let counts = bench.settle(&[1], &[]);
    assert_eq!((counts.gaps, counts.gaps_unfounded, counts.lost), (1, crate::stamp::SEQ_MAX - 1, 0));
}

#[test]
fn who_leaves_as_planned_has_to_get_no_more_than_it_got_but_what_is_missing_before() {
    let mut bench = subscriber();
    for seq in [0, 1, 3, 5] {
        bench.message(0, seq);
    }
    bench.turn(|client, turn| client.leave(turn));
    bench.turn(|client, turn| client.ended(true, turn));
    assert_eq!(bench.counts().expected, 0, "what the server did not take is not known yet");
    bench.recorder.published(vec![100], &[(0, 2)]);
    let counts = bench.recorder.finish().counts;
    assert_eq!((counts.expected, counts.received, counts.lost, counts.lost_after_close), (5, 4, 1, 0));
}

#[test]
fn who_waits_for_the_answer_to_its_goodbye_at_the_end_has_lost_nothing() {
    let mut bench = subscriber();
    for seq in [0, 1, 3] {
        bench.message(0, seq);
    }
    bench.turn(|client, turn| client.leave(turn));
    bench.settle(&[100], &[]);
    bench.turn(|client, turn| client.ended(true, turn));
    let counts = bench.recorder.finish().counts;
    assert_eq!((counts.expected, counts.received, counts.lost, counts.gaps_unfounded), (4, 3, 1, 0));
}

#[test]
fn a_gap_that_is_announced_behind_the_last_message_of_who_leaves_is_not_unfounded() {
    for (announced, unfounded) in [(3, 0), (9, 1)] {
        let mut bench = subscriber();
        bench.message(0, 0);
        bench.message(0, 1);
        bench.text(&format!(r#"{{"op":"gap","channel":"news","count":{announced},"reason":"slow_consumer"}}"#));
        bench.turn(|client, turn| client.leave(turn));
        bench.turn(|client, turn| client.ended(true, turn));
        bench.recorder.published(vec![10], &[]);
        let counts = bench.recorder.finish().counts;
        assert_eq!((counts.expected, counts.gaps, counts.lost, counts.gaps_unfounded), (2, 0, 0, unfounded));
    }
}

#[test]
fn accounts_of_many_who_left_are_bounded_and_those_beyond_are_said() {
    let mut bench = subscriber();
    let leave = |bench: &mut Bench| {
        bench.message(0, 0);
        bench.message(0, 2);
        bench.turn(|client, turn| client.leave(turn));
        bench.turn(|client, turn| client.ended(true, turn));
    };
    bench.recorder.held.departed_bytes_max = 300;
    leave(&mut bench);
    bench.shake_hands();
    bench.text(r#"{"op":"welcome","session":"s"}"#);
    bench.text(r#"{"op":"ok","id":1,"channel":"news"}"#);
    leave(&mut bench);
    assert_eq!((bench.counts().expected, bench.counts().lost), (3, 1), "the second is closed at once");
    let failures = &bench.recorder.tally.failures;
    assert_eq!((failures[0].kind.as_str(), failures[0].count), ("accounts closed before the end", 1));
    // The server did not take what is missing: only the first was kept until that is known.
    bench.recorder.published(vec![3], &[(0, 1)]);
    let counts = bench.recorder.finish().counts;
    assert_eq!((counts.expected, counts.received, counts.lost), (5, 4, 1));
}

#[test]
fn who_is_closed_by_the_server_has_lost_what_came_after() {
    let mut bench = subscriber();
    bench.message(0, 0);
    bench.message(0, 2);
    bench.receive(&server_frame(0x88, b"\x11\x95")).unwrap_err();
    bench.turn(|client, turn| client.ended(false, turn));
    assert!(bench.client.is_complete(0, &bench.recorder), "nothing more can come");
    let counts = bench.settle(&[10], &[]);
    assert_eq!((counts.expected, counts.received, counts.lost, counts.lost_after_close), (10, 2, 8, 7));
    assert_eq!((counts.closed_by_server, counts.closed_by_plan), (1, 0));
}

/// A session that the server closed at the beginning of the steady phase; a message is due each millisecond.
fn closed_after_its_first_message() -> Bench {
    let mut bench = subscriber();
    bench.recorder.steady(&bench.plan, 10_000_000);
    bench.now_ns = 10_000_000;
    bench.message(0, 0);
    bench.receive(&server_frame(0x88, b"\x11\x95")).unwrap_err();
    bench.turn(|client, turn| client.ended(false, turn));
    bench
}

#[test]
fn a_session_that_comes_again_begins_a_new_account_and_the_old_one_counts() {
    let mut bench = closed_after_its_first_message();
    // Messages 1 to 4 were due meanwhile; 5 is the next.
    bench.now_ns = 14_000_001;
    bench.shake_hands();
    bench.text(r#"{"op":"welcome"}"#);
    bench.text(r#"{"op":"ok","id":1,"channel":"news"}"#);
    bench.message(0, 5);
    let counts = bench.settle(&[6], &[]);
    assert_eq!((counts.ready, counts.expected, counts.received), (2, 1, 1));
    let counts = bench.recorder.finish().counts;
    assert_eq!((counts.expected, counts.received, counts.lost, counts.lost_after_close), (6, 2, 4, 4));
}

#[test]
fn a_message_of_another_run_is_foreign_and_nothing_else() {
    let mut bench = subscriber();
    let other = Plan::new(bench.plan.scenario.clone()).unwrap().of_run(bench.plan.run + 1);
    // The numbers of both go side by side, as those of two runs on one channel do.
    for seq in [0, 1] {
        let text = message(&other, 0, seq, bench.now_ns);
        bench.message(0, seq);
        bench.text(&text);
    }
    let counts = bench.settle(&[2], &[]);
    assert_eq!((counts.foreign, counts.messages, counts.expected, counts.received), (2, 2, 2, 2));
    assert_eq!((counts.duplicates, counts.reordered, counts.in_doubt, counts.damaged), (0, 0, 0, 0));
    assert_eq!(bench.recorder.finish().failures, []);
}

#[test]
fn who_comes_again_after_the_end_has_lost_no_more_than_was_published() {
    let mut bench = closed_after_its_first_message();
    // Four were published; by the schedule, 990 would have been due.
    bench.now_ns = 1_000_000_000;
    bench.shake_hands();
    bench.settle(&[4], &[]);
    let counts = bench.recorder.finish().counts;
    assert_eq!((counts.expected, counts.received, counts.lost, counts.lost_after_close), (4, 1, 3, 3));
}

#[test]
fn a_message_for_somebody_else_is_a_failure_and_one_after_the_end_is_not() {
    let mut bench = subscriber();
    bench.message(7, 0);
    assert_eq!(bench.recorder.tally.failures[0].kind, "a message for somebody else");
    bench.recorder.published(vec![0], &[]);
    bench.turn(|client, turn| client.settle(0, turn));
    bench.message(0, 0);
    bench.message(CLIENT_STREAM | 77, 0);
    assert_eq!((bench.counts().in_doubt, bench.recorder.tally.failures[0].count), (3, 1));
}

#[test]
fn a_session_is_complete_when_all_is_here_or_announced() {
    let mut bench = subscriber();
    assert!(!bench.client.is_complete(0, &bench.recorder), "nobody knows yet what was published");
    bench.recorder.published(vec![4], &[(0, 3)]);
    for seq in [0, 2] {
        bench.message(0, seq);
        assert!(!bench.client.is_complete(0, &bench.recorder));
    }
    bench.text(r#"{"op":"gap","channel":"news","count":1,"reason":"relay"}"#);
    assert!(bench.client.is_complete(0, &bench.recorder));
}

const ECHO: &str = "target = { dialect = \"ws-echo\" }\n[[group]]\nclients = 1\n\
                    activity = { kind = \"echo\", rate_per_s = 10.0, payload_bytes = 64 }";

#[test]
fn an_echo_comes_back_or_is_lost() {
    let mut bench = Bench::of(ECHO, 0);
    bench.shake_hands();
    assert_eq!(bench.client.phase(), Phase::Ready, "there is nothing to wait for");
    for due_ns in [1_000, 2_000, 3_000, 4_000] {
        bench.turn(|client, turn| client.send(due_ns, turn));
    }
    assert_eq!(bench.client.in_flight(), 4);
    let sent = bench.sent();
    assert!(sent.iter().all(|payload| payload.len() == 64));
    bench.now_ns = 9_000;
    bench.text(&sent[0]);
    assert_eq!(bench.client.in_flight(), 3);
    bench.text(&sent[2]);
    assert_eq!(bench.client.in_flight(), 1, "the second is not waited for any more");
    assert!(!bench.client.is_complete(0, &bench.recorder));
    let counts = bench.settle(&[], &[]);
    assert_eq!((counts.sent, counts.expected, counts.received, counts.lost), (4, 4, 2, 2));
    assert_eq!(bench.recorder.finish().latency.at(1.0) / 10, 800, "from when the first was due");
}

#[test]
fn an_echo_after_a_new_session_begins_where_the_old_one_ended() {
    let mut bench = Bench::of(ECHO, 0);
    bench.shake_hands();
    bench.turn(|client, turn| client.send(1_000, turn));
    bench.turn(|client, turn| client.ended(true, turn));
    bench.out.clear();
    bench.shake_hands();
    assert_eq!(bench.client.in_flight(), 0);
    bench.turn(|client, turn| client.send(1_000, turn));
    let sent = bench.sent();
    bench.text(&sent[0]);
    let counts = bench.settle(&[], &[]);
    assert_eq!((counts.sent, counts.expected, counts.received), (2, 1, 1));
}

#[test]
fn neighbours_hear_from_each_other() {
    let scenario = "[[group]]\nclients = 2\nactivity = { kind = \"peer\", rate_per_s = 1.0, payload_bytes = 80 }";
    let mut benches = [Bench::of(scenario, 0), Bench::of(scenario, 1)];
    for bench in &mut benches {
        bench.shake_hands();
        bench.text(r#"{"op":"welcome"}"#);
    }
    let [one, other] = &mut benches;
    for _ in 0..3 {
        one.turn(|client, turn| client.send(1_000, turn));
    }
    let sent = one.sent();
    assert!(sent[0].starts_with(r#"{"op":"send","users":["user-1"],"data":"epl2:"#), "{}", sent[0]);
    assert_eq!(one.client.in_flight(), 0);
    other.text(&sent[0].replace("\"op\":\"send\"", "\"op\":\"message\""));
    other.text(&sent[2]);
    other.recorder.published(Vec::new(), &[]);
    other.turn(|client, turn| client.settle(3, turn));
    let counts = other.balanced();
    assert_eq!((counts.expected, counts.received, counts.lost), (3, 2, 1));
}
