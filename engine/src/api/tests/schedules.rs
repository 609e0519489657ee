//! Periodic pushes, in virtual time.

use super::*;

fn every(interval_ms: u64, source: &str) -> String {
    format!(r#"{{"to":{{"channels":["news"]}},"interval_ms":{interval_ms},"source":{source}}}"#)
}

#[test]
fn a_template_schedule_renders_at_each_tick_and_does_not_drift() {
    let mut bench = Bench::new();
    bench.gauges.shards[0].store(Gauges { connections: 1, sessions: 7, users: 1 });
    bench.advance(5);
    let source = r#"{"template":{"n":{"$seq":true},"at":{"$time":"ms"},"on":{"$node":true},"now":{"$online":"node"}}}"#;
    assert_eq!(bench.call("PUT", "/v1/schedules/clock", &every(100, source)).status, 201);
    assert!(bench.ticks(99).is_empty());
    assert_eq!(bench.ticks(1), [r#"{"n":0,"at":1105,"on":"n1","now":7}"#]);
    assert!(bench.api.next_deadline_us().is_some_and(|us| us > 105_000 && us <= 205_000));
    // 30 ms late: the next is still due 100 ms after the last was due.
    assert_eq!(bench.ticks(130).len(), 1);
    assert!(bench.ticks(69).is_empty());
    assert_eq!(bench.ticks(1), [r#"{"n":2,"at":1305,"on":"n1","now":7}"#]);
}

#[test]
fn a_tick_is_one_push_whatever_the_number_of_subscribers() {
    let mut bench = Bench::new();
    bench.gauges.shards[0].store(Gauges { connections: 100_000, sessions: 100_000, users: 100_000 });
    bench.call("PUT", "/v1/schedules/clock", &every(100, r#"{"template":1}"#));
    for _ in 0..3 {
        bench.advance(100);
        bench.api.handle_time(bench.now);
        let (draft, _) = bench.published();
        assert_eq!(draft.to, Target::Channels(vec![ChannelName::parse("news").expect("valid")]));
        // What a push costs a shard: core/tests/fanout.rs.
        bench.idle();
    }
}

#[test]
fn missed_ticks_fire_once_and_are_counted() {
    let mut bench = Bench::new();
    bench.call("PUT", "/v1/schedules/tick", &every(100, r#"{"template":1}"#));
    assert_eq!(bench.ticks(350), ["1"]);
    let shown = body(&bench.call("GET", "/v1/schedules/tick", ""));
    assert_eq!((&shown["fired"], &shown["skipped"], &shown["next_in_ms"]), (&json!(1), &json!(2), &json!(50)));
    assert!(bench.ticks(49).is_empty());
    assert_eq!(bench.ticks(1), ["1"]);
}

#[test]
fn schedules_are_made_replaced_shown_listed_and_ended() {
    let mut bench = Bench::new();
    let plan = r#"{"to":{"users":["7"]},"type":"t","module":"m","interval_ms":1000,"source":{"template":{"a":1}},"scope":"cluster"}"#;
    let created = bench.call("PUT", "/v1/schedules/a", plan);
    assert_eq!(created.status, 201);
    let expected = json!({"name":"a","to":{"users":["7"]},"type":"t","module":"m","interval_ms":1000,
        "source":{"template":{"a":1}},"scope":"cluster","next_in_ms":1000,"fired":0,"skipped":0,"failed":0,
        "last_fired_ms":null,"last_error":null});
    assert_eq!(body(&created), expected);
    assert_eq!(body(&bench.call("GET", "/v1/schedules/a", "")), expected);
    bench.advance(900);
    // Replaced: it starts anew, and the old one's timer is gone.
    assert_eq!(bench.call("PUT", "/v1/schedules/a", &every(1_000, r#"{"template":2}"#)).status, 200);
    assert!(bench.ticks(999).is_empty());
    assert_eq!(bench.ticks(1), ["2"]);
    bench.call("PUT", "/v1/schedules/A", &every(1_000, r#"{"last":"x"}"#));
    let list = body(&bench.call("GET", "/v1/schedules", ""));
    assert_eq!(list["schedules"][0]["source"], "last");
    assert_eq!((&list["schedules"][1]["name"], &list["schedules"][1]["fired"]), (&json!("a"), &json!(1)));
    assert_eq!(bench.call("DELETE", "/v1/schedules/a", "").status, 200);
    assert_eq!(bench.call("DELETE", "/v1/schedules/a", "").status, 404);
    assert_eq!(bench.call("GET", "/v1/schedules/a", "").status, 404);
    bench.call("DELETE", "/v1/schedules/A", "");
    assert!(bench.ticks(5_000).is_empty());
    assert_eq!(bench.api.next_deadline_us(), None);
}

#[test]
fn a_bad_schedule_changes_nothing_and_their_number_is_bounded() {
    let mut bench = Bench::new();
    let good = every(1_000, r#"{"template":1}"#);
    for name in ["a", "b", "c"] {
        assert_eq!(bench.call("PUT", &format!("/v1/schedules/{name}"), &good).status, 201);
    }
    assert_eq!(bench.call("PUT", "/v1/schedules/d", &good).status, 429);
    assert_eq!(bench.call("PUT", "/v1/schedules/a", &every(9, r#"{"template":2}"#)).status, 400);
    assert_eq!(bench.call("PUT", "/v1/schedules/a", &every(50, r#"{"template":{"$time":"never"}}"#)).status, 400);
    assert_eq!(bench.call("PUT", &format!("/v1/schedules/{}", "x".repeat(129)), &good).status, 400);
    assert_eq!(bench.ticks(1_000), ["1", "1", "1"]);
    assert_eq!(bench.call("PUT", "/v1/schedules/a", &good).status, 200);
}

fn news(bench: &mut Bench, kind: &str, data: &str) {
    let to = Target::Channels(vec![ChannelName::parse("news").expect("valid")]);
    let draft = Draft { kind: Some(kind.into()), ..Draft::new(to, raw(data)) };
    bench.api.observe(&Publication::encode(&draft, bench.now));
}

#[test]
fn a_last_schedule_repeats_the_newest_message_of_its_channel() {
    let mut bench = Bench::new();
    news(&mut bench, "t", "0");
    bench.call("PUT", "/v1/schedules/again", &every(100, r#"{"last":"news"}"#));
    // Nothing passed since it watches.
    assert!(bench.ticks(100).is_empty());
    news(&mut bench, "t", "1");
    news(&mut bench, "t", "{ \"two\": 2.0 }");
    bench.advance(100);
    bench.api.handle_time(bench.now);
    let (draft, asker) = bench.published();
    assert_eq!((draft.data.get(), draft.kind.as_deref(), asker), ("{ \"two\": 2.0 }", Some("t"), Asker::Nobody));
    for long in ["x".repeat(200), "x".repeat(70_000)] {
        let data = format!("\"{long}\"");
        news(&mut bench, "t", &data);
        assert_eq!(bench.ticks(100), [data]);
    }
    // Replaced by another of the same channel: the newest message is kept.
    bench.call("PUT", "/v1/schedules/again", &every(50, r#"{"last":"news"}"#));
    assert_eq!(bench.ticks(50).len(), 1);
    let shown = body(&bench.call("GET", "/v1/schedules/again", ""));
    assert_eq!((&shown["fired"], &shown["skipped"]), (&json!(1), &json!(0)));
}

#[track_caller]
fn fetch(bench: &mut Bench) -> Fetch {
    match bench.action() {
        ApiAction::Fetch(fetch) => fetch,
        action => panic!("{action:?} fetches nothing"),
    }
}

fn fetched(bench: &mut Bench, fetch: &Fetch, outcome: Result<&str, &str>) {
    let outcome = outcome.map(raw).map_err(str::to_owned);
    bench.api.handle_fetched(bench.now, Fetched { schedule: fetch.schedule.clone(), outcome });
}

#[test]
fn a_url_schedule_fetches_once_at_a_time_and_pushes_what_came() {
    let mut bench = Bench::new();
    bench.call("PUT", "/v1/schedules/we:ather", &every(100, r#"{"url":"http://127.0.0.1:9/w"}"#));
    bench.advance(100);
    bench.api.handle_time(bench.now);
    let first = fetch(&mut bench);
    assert_eq!(&*first.url, "http://127.0.0.1:9/w");
    assert!(bench.ticks(100).is_empty());
    fetched(&mut bench, &first, Ok("21"));
    assert_eq!(bench.published().0.data.get(), "21");

    bench.advance(100);
    bench.api.handle_time(bench.now);
    let second = fetch(&mut bench);
    fetched(&mut bench, &second, Err("connection refused"));
    bench.idle();
    let shown = body(&bench.call("GET", "/v1/schedules/we:ather", ""));
    assert_eq!((&shown["fired"], &shown["skipped"], &shown["failed"]), (&json!(1), &json!(1), &json!(1)));
    assert_eq!(shown["last_error"], "connection refused");
    assert!(bench.api.next_deadline_us().is_some());
}

#[test]
fn a_fetch_of_a_replaced_schedule_pushes_nothing() {
    let mut bench = Bench::new();
    bench.call("PUT", "/v1/schedules/w", &every(100, r#"{"url":"http://a/"}"#));
    bench.advance(100);
    bench.api.handle_time(bench.now);
    let old = fetch(&mut bench);
    bench.call("PUT", "/v1/schedules/w", &every(100, r#"{"url":"http://b/"}"#));
    fetched(&mut bench, &old, Ok("1"));
    bench.idle();
    bench.call("DELETE", "/v1/schedules/w", "");
    fetched(&mut bench, &old, Ok("1"));
    bench.idle();
}
