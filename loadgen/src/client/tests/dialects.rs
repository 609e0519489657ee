//! Getting ready, heartbeats and refusals in the words of several servers.

use super::*;

fn with_dialect(name: &str) -> Bench {
    Bench::of(&format!("target = {{ dialect = \"{name}\" }}\n[[group]]\nclients = 1\nchannels = [\"a\", \"b\"]"), 0)
}

#[test]
fn epush_is_ready_after_welcome_and_one_ok_for_each_channel() {
    let mut bench = with_dialect("epush");
    bench.shake_hands();
    assert_eq!(bench.sent(), [""; 0]);
    bench.text(r#"{"op":"welcome","session":"s"}"#);
    assert_eq!(
        bench.sent(),
        [r#"{"op":"subscribe","id":1,"channel":"a"}"#, r#"{"op":"subscribe","id":1,"channel":"b"}"#]
    );
    bench.text(r#"{"op":"ok","id":1,"channel":"a"}"#);
    assert_eq!(bench.client.phase(), Phase::Joining);
    bench.text(r#"{"op":"ok","id":1,"channel":"b"}"#);
    assert_eq!(bench.client.phase(), Phase::Ready);
    assert_eq!(bench.counts().ready, 1);
}

#[test]
fn a_refused_subscription_fails_the_client_and_a_later_refusal_does_not() {
    let refusal = r#"{"op":"error","id":1,"code":"forbidden","message":"no"}"#;
    let mut bench = with_dialect("epush");
    bench.shake_hands();
    bench.text(r#"{"op":"welcome"}"#);
    let ended = bench.receive(&server_frame(0x81, refusal.as_bytes()));
    assert_eq!(ended, Err(Ended::failed("refused before it was ready", refusal)));
    bench.turn(|client, turn| client.ended(false, turn));
    let counts = bench.balanced();
    assert_eq!((counts.failed, counts.refusals), (1, 1));

    let mut bench = subscriber();
    bench.text(refusal);
    assert_eq!(bench.counts().refusals, 1);
    assert_eq!(bench.recorder.tally.failures[0].example, refusal);
}

#[test]
fn socketio_opens_its_namespace_subscribes_and_answers_heartbeats() {
    let mut bench = with_dialect("socketio");
    bench.shake_hands();
    assert_eq!(bench.sent(), [""; 0], "it waits for the open packet");
    bench.text(r#"0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000}"#);
    assert_eq!(bench.sent(), ["40"]);
    bench.text(r#"40{"sid":"y"}"#);
    assert_eq!(bench.sent(), [r#"421["subscribe","a"]"#, r#"421["subscribe","b"]"#]);
    bench.text("431[]");
    bench.text("2");
    assert_eq!(bench.sent(), ["3"]);
    bench.text("431[]");
    assert_eq!(bench.client.phase(), Phase::Ready);
    bench.turn(|client, turn| client.leave(turn));
    assert_eq!(client_frames(&bench.out)[0], (frame::TEXT, b"41".to_vec()));
}

#[test]
fn centrifugo_may_answer_several_lines_in_a_frame() {
    let mut bench = with_dialect("centrifugo");
    bench.shake_hands();
    assert_eq!(bench.sent(), [r#"{"id":1,"connect":{"name":"user-0"}}"#]);
    bench.text(r#"{"id":1,"connect":{"client":"c","version":"5","ping":25,"pong":true}}"#);
    bench.text("{\"id\":2,\"subscribe\":{}}\n{\"id\":2,\"subscribe\":{}}\n{}");
    assert_eq!(bench.client.phase(), Phase::Ready);
    assert_eq!(bench.sent().last().map(String::as_str), Some("{}"));
}

#[test]
fn several_messages_in_a_frame_are_all_counted() {
    let publisher = "[[publisher]]\nto = { channels = [\"a\"] }\nrate_per_s = 1.0\npayload_bytes = 60";
    let mut bench = Bench::of(
        &format!(
            "target = {{ dialect = \"raw\" }}\n[dialect]\npublish = \"x\"\nmessage = {{ separator = \"\\n\" }}\n[[group]]\nclients = 1\nchannels = [\"a\"]\n{publisher}"
        ),
        0,
    );
    bench.shake_hands();
    let lines: Vec<String> = (0..5).map(|seq| message(&bench.plan, 0, seq, 0)).collect();
    bench.text(&lines.join("\n"));
    assert_eq!(bench.settle(&[5], &[]).received, 5);
}

#[test]
fn pusher_pings_either_way() {
    let mut bench = with_dialect("pusher");
    bench.shake_hands();
    bench.text(r#"{"event":"pusher:connection_established","data":"{\"socket_id\":\"1.2\"}"}"#);
    assert_eq!(bench.sent()[1], r#"{"event":"pusher:subscribe","data":{"channel":"b"}}"#);
    bench.text(r#"{"event":"pusher_internal:subscription_succeeded","channel":"a","data":"{}"}"#);
    bench.text(r#"{"event":"pusher_internal:subscription_succeeded","channel":"b","data":"{}"}"#);
    assert_eq!(bench.client.phase(), Phase::Ready);
    bench.text(r#"{"event":"pusher:ping","data":"{}"}"#);
    assert_eq!(bench.sent(), [r#"{"event":"pusher:pong","data":{}}"#]);
    bench.turn(|client, turn| client.keepalive(turn));
    assert_eq!(bench.sent(), [r#"{"event":"pusher:ping","data":{}}"#]);
}

#[test]
fn nchan_has_its_channel_in_the_path_and_stomp_waits_for_its_receipts() {
    let mut bench = with_dialect("nchan");
    bench.turn(|client, turn| client.open(0, turn));
    assert!(bench.out.starts_with(b"GET /sub/a HTTP/1.1\r\n"));

    let mut bench = with_dialect("stomp");
    bench.shake_hands();
    assert!(bench.sent()[0].starts_with("CONNECT\naccept-version:1.2\n"));
    bench.text("CONNECTED\nversion:1.2\n\n\0");
    assert_eq!(bench.sent()[1], "SUBSCRIBE\nid:b\ndestination:/topic/b\nack:auto\nreceipt:b\n\n\0");
    bench.text("RECEIPT\nreceipt-id:a\n\n\0RECEIPT\nreceipt-id:b\n\n\0");
    assert_eq!(bench.client.phase(), Phase::Ready);
}

#[test]
fn periodic_pushes_are_compared_with_when_they_were_due() {
    let mut bench = Bench::of("[[group]]\nclients = 1\nactivity = { kind = \"every\", interval_ms = 100 }", 0);
    bench.shake_hands();
    bench.now_ns = 1_000_000;
    bench.text(r#"{"op":"welcome"}"#);
    assert_eq!(bench.sent(), [r#"{"op":"every","id":2,"job":"time","interval_ms":100}"#]);
    bench.now_ns = 2_000_000;
    bench.text(r#"{"op":"ok","id":2}"#);
    assert_eq!(bench.client.phase(), Phase::Ready);
    for now_ms in [102, 205, 299] {
        bench.now_ns = now_ms * 1_000_000;
        bench.text(r#"{"op":"message","job":"time","seq":0,"data":1}"#);
    }
    let counts = bench.balanced();
    assert_eq!((counts.ticks, counts.ticks_early, counts.lost), (3, 1, 0));
    let jitter = bench.recorder.finish().jitter;
    assert_eq!((jitter.0.len(), jitter.at(0.0), jitter.at(1.0) / 10_000), (2, 0, 300));
}

#[test]
fn messages_of_others_count_by_their_senders_time_and_number() {
    let mut bench =
        Bench::of("[dialect]\nmessage = { stamp = '\"t\":{time_ms},\"n\":{seq}' }\n[[group]]\nclients = 1", 0);
    bench.shake_hands();
    let sent_ms = bench.recorder.wall_ns(0) / 1_000_000;
    bench.now_ns = 40_000_000;
    for seq in [7, 8, 8, 11] {
        bench.text(&format!("{{\"t\":{sent_ms},\"n\":{seq}}}"));
    }
    let counts = bench.settle(&[], &[]);
    assert_eq!((counts.expected, counts.received, counts.lost, counts.duplicates), (5, 3, 2, 1));
    let latency = bench.recorder.finish().latency;
    assert_eq!((latency.0.len(), latency.at(0.5) / 10_000_000), (3, 4));
}

#[test]
fn messages_of_a_sender_whose_clock_is_ahead_have_no_latency_and_are_counted() {
    let mut bench =
        Bench::of("[dialect]\nmessage = { stamp = '\"t\":{time_ms},\"n\":{seq}' }\n[[group]]\nclients = 1", 0);
    bench.shake_hands();
    bench.now_ns = 40_000_000;
    let now_ms = bench.recorder.wall_ns(bench.now_ns) / 1_000_000;
    // In time, 50 ms ahead, the same once more, and in time.
    for (seq, sent_ms) in [(0, now_ms - 20), (1, now_ms + 51), (1, now_ms + 51), (2, now_ms - 20)] {
        bench.text(&format!("{{\"t\":{sent_ms},\"n\":{seq}}}"));
    }
    let counts = bench.settle(&[], &[]);
    assert_eq!((counts.received, counts.lost, counts.duplicates, counts.from_ahead), (3, 0, 1, 1));
    let tally = bench.recorder.finish();
    assert_eq!((tally.latency.0.len(), tally.latency.at(0.0) / 10_000_000), (2, 2));
    assert_eq!((tally.failures[0].kind.as_str(), tally.failures[0].count), ("a sender's clock is ahead", 1));
}
