//! Pushes, batches and ids that are repeated.

use super::*;

const PUSH: &str = r#"{"to":{"users":["42"]},"type":"t","data":{"a":1}}"#;
const KEYED: &str = r#"{"to":{"all":true},"id":"order-7","data":1}"#;

#[test]
fn a_push_is_published_and_its_count_is_the_reply() {
    let mut bench = Bench::new();
    bench.send(1, "POST", "/v1/push", PUSH);
    let (draft, asker) = bench.published();
    bench.idle();
    assert_eq!(draft.to, Target::Users(vec![UserName::parse("42").expect("valid")]));
    assert_eq!((draft.id.as_deref(), draft.kind.as_deref(), draft.data.get()), (Some("b0-1"), Some("t"), r#"{"a":1}"#));
    bench.answer(&asker, Answer::Delivered { sessions: 3, relayed: false });
    let response = bench.response(1);
    assert_eq!((response.status, response.content_type), (202, "application/json"));
    assert_eq!(response.body, br#"{"id":"b0-1","node":"n1","local":3,"relayed":false}"#);
}

#[test]
fn a_push_the_cluster_took_says_so_and_so_do_its_repeats() {
    let mut bench = Bench::new();
    bench.send(1, "POST", "/v1/push", KEYED);
    let (_, asker) = bench.published();
    bench.send(2, "POST", "/v1/push", KEYED);
    bench.answer(&asker, Answer::Delivered { sessions: 0, relayed: true });
    for caller in [1, 2] {
        assert_eq!(body(&bench.response(caller))["relayed"], true);
    }
    assert_eq!(body(&bench.call("POST", "/v1/push", KEYED))["relayed"], true);
}

#[test]
fn a_full_intake_is_503_with_a_time_to_come_back() {
    let mut bench = Bench::new();
    bench.send(1, "POST", "/v1/push", PUSH);
    let (_, asker) = bench.published();
    bench.answer(&asker, refused(ErrorCode::Unavailable));
    let response = bench.response(1);
    assert_eq!((response.status, header(&response, "Retry-After")), (503, Some("1")));
    assert_eq!(body(&response)["error"]["code"], "unavailable");
}

#[test]
fn a_bad_push_publishes_nothing() {
    let mut bench = Bench::new();
    for push in ["", "{}", r#"{"to":{"all":true}}"#, r#"{"to":{"users":[]},"data":1}"#] {
        assert_eq!(bench.call("POST", "/v1/push", push).status, 400, "{push}");
    }
}

#[test]
fn a_repeated_id_gets_the_same_reply_and_pushes_nothing() {
    let mut bench = Bench::new();
    bench.send(1, "POST", "/v1/push", KEYED);
    let (draft, asker) = bench.published();
    assert_eq!(draft.id.as_deref(), Some("order-7"));
    bench.answer(&asker, Answer::Delivered { sessions: 5, relayed: false });
    assert_eq!(bench.response(1).body, br#"{"id":"order-7","node":"n1","local":5,"relayed":false}"#);
    bench.advance(59_999);
    let repeat = bench.call("POST", "/v1/push", KEYED);
    assert_eq!(
        (repeat.status, &body(&repeat)),
        (202, &json!({"id":"order-7","node":"n1","local":5,"relayed":false,"duplicate":true}))
    );
    bench.advance(1);
    bench.send(1, "POST", "/v1/push", KEYED);
    bench.published();
}

#[test]
fn a_repeat_of_a_push_that_is_being_counted_waits_for_its_count() {
    let mut bench = Bench::new();
    bench.send(1, "POST", "/v1/push", KEYED);
    let (_, asker) = bench.published();
    bench.send(2, "POST", "/v1/push", KEYED);
    bench.send(3, "POST", "/v1/push/batch", KEYED);
    bench.idle();
    bench.answer(&asker, Answer::Delivered { sessions: 5, relayed: false });
    assert_eq!(body(&bench.response(1)).get("duplicate"), None);
    let repeat = bench.response(2);
    assert_eq!((repeat.status, &body(&repeat)["duplicate"], &body(&repeat)["local"]), (202, &json!(true), &json!(5)));
    let line = bench.response(3);
    assert_eq!((line.status, line.content_type), (200, "application/x-ndjson"));
    assert_eq!(body(&line)["duplicate"], true);
    bench.idle();
}

#[test]
fn a_refused_push_is_not_remembered_and_its_repeats_are_refused_with_it() {
    let mut bench = Bench::new();
    bench.send(1, "POST", "/v1/push", KEYED);
    let (_, asker) = bench.published();
    bench.send(2, "POST", "/v1/push", KEYED);
    bench.answer(&asker, refused(ErrorCode::Unavailable));
    assert_eq!((bench.response(1).status, bench.response(2).status), (503, 503));
    bench.send(1, "POST", "/v1/push", KEYED);
    bench.published();
}

#[test]
fn every_line_of_a_batch_gets_its_own_result() {
    let mut bench = Bench::new();
    bench.send(1, "POST", "/v1/push/batch", PUSH);
    let (_, asker) = bench.published();
    bench.answer(&asker, Answer::Delivered { sessions: 1, relayed: false });
    assert_eq!(bench.response(1).body, br#"{"id":"b0-1","node":"n1","local":1,"relayed":false}"#);

    let wrong = bench.call("POST", "/v1/push/batch", "{");
    assert_eq!((wrong.status, &body(&wrong)["error"]["code"]), (200, &json!("bad_request")));
    assert!(bench.call("POST", "/v1/push/batch", " \r").body.is_empty());

    bench.send(1, "POST", "/v1/push/batch", PUSH);
    let (_, asker) = bench.published();
    bench.answer(&asker, refused(ErrorCode::Unavailable));
    let full = bench.response(1);
    assert_eq!((full.status, &body(&full)["error"]["code"]), (200, &json!("unavailable")));
}
