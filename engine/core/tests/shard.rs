//! One shard, one call at a time: what went wrong once in how a session, a request or a fan-out is led, and must not again.

#[path = "shard/node.rs"]
mod node;

use std::io::IoSlice;

use epush_core::close::CloseReason;
use epush_core::effect::{Asker, Effect};
use epush_core::http::Response;
use epush_core::id::{ConnId, SessionRef, ShardId};
use epush_core::mail::{Answer, Mail, Question, Report, Verdict};
use epush_core::message::{Target, UserName};
use epush_core::outbox::SLICES_MAX;
use epush_core::settings::OnSlow;
use epush_core::shard::{Door, End, JobRequest};
use node::{Node, frame, news, text};
use serde_json::value::RawValue;

#[test]
fn a_busy_channel_does_not_keep_broadcasts_out() {
    let mut node = Node::new(|_| {});
    for _ in 0..70 {
        node.session(&["news"], false);
    }
    node.publish(Target::All);
    node.publish(news());
    node.shard.flush(node.now);
    let written = node.write_all();
    assert_eq!(written.matches(r#""channel":"news""#).count(), 70);
    assert_eq!(written.matches("hello").count(), 140);
}

#[test]
fn sockets_that_become_writable_do_not_put_a_fan_out_off() {
    let mut node = Node::new(|_| {});
    let sessions: Vec<_> = (0..70).map(|_| node.session(&["news"], false)).collect();
    // Five of them take a byte at a time.
    node.publish(news());
    node.shard.flush(node.now);
    while let Some((conn, _)) = { node.write(1) } {
        if !sessions[..5].contains(&conn) {
            node.shard.handle_writable(node.now, conn);
            let _ = node.write(usize::MAX);
        }
    }
    node.publish(news());
    // Whenever the fan-out could go, one of the slow ones has just joined the list of writes.
    node.shard.handle_writable(node.now, sessions[0]);
    node.shard.flush(node.now);
    let written = node.write_all();
    assert!(written.matches("hello").count() >= 65, "{written}");
}

#[test]
fn an_answer_that_comes_after_our_close_frame_is_let_go() {
    let mut node = Node::new(|_| {});
    let conn = node.session(&[], false);
    let asker = Asker::Client { conn, id: "1".into() };
    let ticket = node.shard.expect(asker, 1);
    node.mail(Mail::Close { conn, reason: CloseReason::Kicked });
    node.mail(Mail::Answer { ticket, answer: Answer::Delivered { sessions: 1, relayed: false } });
    let written = node.write_all();
    assert!(written.ends_with("kicked") && !written.contains(r#""op":"ok""#), "{written}");
}

#[test]
fn a_client_that_ends_its_half_behind_a_request_gets_its_answer() {
    for door in [Door::Client, Door::Api] {
        let mut node = Node::new(|_| {});
        let conn = node.adopt(door);
        node.receive(conn, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
        node.shard.handle_end(node.now, conn, End::Eof);
        node.shard.respond(node.now, conn, &Response::text(200, "ok"));
        node.collect();
        assert!(node.write_all().ends_with("ok"));
        assert_eq!(node.count(|effect| matches!(effect, Effect::Close { reason: CloseReason::HttpDone, .. })), 1);
    }
}

#[test]
fn a_read_full_of_questions_is_not_answered_without_bound() {
    let mut node = Node::new(|settings| settings.outbox_bytes_max = 4_096);
    let conn = node.session(&[], false);
    let pings = text(r#"{"op":"ping","id":1}"#).repeat(2_000);
    node.receive(conn, &pings);
    assert!(!node.shard.wants_read(conn));
    let mut slices = [IoSlice::new(&[]); SLICES_MAX];
    let filled = node.shard.output(conn, &mut slices);
    assert!(slices[..filled].iter().map(|slice| slice.len()).sum::<usize>() < 5_000);
    // It reads on as the client does, and every one is answered in the end.
    assert_eq!(node.write_all().matches("pong").count(), 2_000);
    assert!(node.shard.wants_read(conn));
}

#[test]
fn what_was_held_is_read_when_the_session_is_closed() {
    let mut node = Node::new(|_| {});
    let conn = node.session(&[], false);
    let frames = [text(r#"{"op":"hello","id":1,"token":"t"}"#), frame(8, b"\x03\xe8")].concat();
    node.receive(conn, &frames);
    node.mail(Mail::Close { conn, reason: CloseReason::Kicked });
    assert!(node.write_all().contains("goodbye"));
    let shut = node.count(|effect| matches!(effect, Effect::ShutdownWrite(_)));
    assert_eq!(shut, 1, "the client's close frame was waiting: nothing more is to be said");
}

#[test]
fn a_job_started_and_cancelled_in_one_read_does_not_run() {
    let mut node = Node::new(|_| {});
    let conn = node.session(&[], false);
    let every = text(r#"{"op":"every","id":1,"job":"time","interval_ms":100}"#);
    node.receive(conn, &[every, text(r#"{"op":"cancel","id":2,"job":"time"}"#)].concat());
    let request = JobRequest { conn, id: "1", job: "time", interval_ms: 100, args: None };
    node.shard.start_job(node.now, request, true);
    node.collect();
    let written = node.write_all();
    assert!(written.contains(r#""op":"ok","id":1"#) && written.contains(r#""op":"ok","id":2"#), "{written}");
    node.pass(1_000);
    assert_eq!(node.count(|effect| matches!(effect, Effect::Tick { .. })), 0);
}

#[test]
fn a_push_of_a_job_never_comes_before_its_interval_is_over() {
    let mut node = Node::new(|_| {});
    let conn = node.session(&[], false);
    node.now.monotonic_us += 900;
    let asked_us = node.now.monotonic_us;
    let request = JobRequest { conn, id: "1", job: "time", interval_ms: 100, args: None };
    node.shard.start_job(node.now, request, true);
    node.collect();
    for number in 1..=3 {
        let due_us = asked_us + number * 100_000;
        node.now.monotonic_us = due_us - 1;
        node.pass(0);
        assert_eq!(node.count(|effect| matches!(effect, Effect::Tick { .. })), number as usize - 1);
        node.now.monotonic_us = due_us + 999;
        node.pass(0);
        assert_eq!(node.count(|effect| matches!(effect, Effect::Tick { .. })), number as usize);
    }
}

#[test]
fn pushes_of_a_job_that_were_lost_are_told_when_it_ends() {
    let mut node = Node::new(|settings| settings.outbox_bytes_max = 100);
    let conn = node.session(&[], false);
    let request = JobRequest { conn, id: "1", job: "time", interval_ms: 100, args: None };
    node.shard.start_job(node.now, request, true);
    let data = RawValue::from_string(format!("\"{}\"", "x".repeat(90))).expect("JSON");
    for seq in 0..5 {
        node.shard.push_job(node.now, conn, "time", seq, &data);
        if seq == 0 {
            let _ = node.write(10);
        }
    }
    node.receive(conn, &text(r#"{"op":"cancel","id":2,"job":"time"}"#));
    node.shard.handle_writable(node.now, conn);
    let mut written = node.write_all();
    // The cancel may have waited for the outbox to empty.
    written += &node.write_all();
    assert!(written.contains(r#"{"op":"gap","job":"time","count":4,"#), "{written}");
}

#[test]
fn a_hello_that_is_decided_late_does_not_keep_the_timer_due() {
    let mut node = Node::new(|settings| settings.sign_in_timeout_ms = 1_000);
    let conn = node.session(&[], true);
    node.receive(conn, &text(r#"{"op":"hello","id":1,"token":"t"}"#));
    node.pass(5_000);
    let next_us = node.shard.next_deadline_us().expect("a heartbeat");
    assert!(next_us > node.now.monotonic_us);
    let verdict = Verdict::Refuse { status: 401, message: "no".into() };
    node.mail(Mail::Verdict { conn, verdict });
    assert!(node.write_all().contains("4003"));
}

#[test]
fn an_error_in_the_middle_of_a_streamed_answer_is_its_last_line() {
    let mut node = Node::new(|settings| settings.request_timeout_ms = 1_000);
    let conn = node.adopt(Door::Api);
    let head = b"POST /v1/push/batch HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{}\n{}";
    node.receive(conn, head);
    node.shard.respond(node.now, conn, &Response::json(200, "{}"));
    node.collect();
    node.pass(2_000);
    let written = node.write_all();
    assert_eq!(written.matches("HTTP/1.1").count(), 1, "{written}");
    assert!(written.contains("no whole request in time") && written.ends_with("0\r\n\r\n"), "{written}");
}

#[test]
fn a_session_closed_for_being_slow_is_told_what_it_will_not_get() {
    let mut node = Node::new(|settings| {
        settings.channels.default.on_slow = OnSlow::Close;
        settings.outbox_bytes_max = 200;
    });
    let conn = node.session(&["news"], false);
    for round in 0..5 {
        node.publish(news());
        node.shard.flush(node.now);
        if round == 0 {
            let _ = node.write(1);
        }
    }
    node.shard.handle_writable(node.now, conn);
    let written = node.write_all();
    assert_eq!(written.matches("hello").count(), 1, "the one it had begun: {written}");
    let (gap, goodbye) = (written.find(r#""op":"gap""#), written.find(r#""op":"goodbye","code":4501"#));
    assert!(gap.is_some() && gap < goodbye, "{written}");
}

#[test]
fn a_client_that_never_reads_its_answers_is_closed_for_silence() {
    let mut node = Node::new(|settings| settings.outbox_bytes_max = 4_096);
    let conn = node.session(&[], false);
    let pings: Vec<u8> = (0..200).flat_map(|_| text(r#"{"op":"ping"}"#)).collect();
    node.receive(conn, &pings);
    // The socket takes one byte, and no more for as long as a heartbeat lasts.
    node.write(1);
    assert!(!node.shard.wants_read(conn), "it has to read first");
    for _ in 0..4 {
        node.pass(25_000);
    }
    let gone = |effect: &Effect| matches!(effect, Effect::Close { reason: CloseReason::HeartbeatTimeout, .. });
    assert_eq!(node.count(gone), 1);
}

#[test]
fn a_kick_reaches_a_session_that_is_just_signing_in() {
    let mut node = Node::new(|_| {});
    let user = UserName::parse("42").expect("valid");
    // Registered by its home here, while it lives in another shard and has not heard of it yet.
    let conn = ConnId { index: 7, generation: 0 };
    let session = SessionRef { shard: ShardId(1), conn };
    node.mail(Mail::SignIn {
        user: user.clone(),
        session,
        since_unix_ms: 1,
        remote: std::net::IpAddr::from([127, 0, 0, 1]),
    });
    node.effects.clear();
    let ticket = node.shard.expect(Asker::Api { conn, tag: 1 }, 1);
    let report = Report { shard: ShardId(0), ticket };
    node.mail(Mail::Ask { question: Question::Kick(user), report });
    let told = |effect: &Effect| {
        matches!(effect, Effect::Send { to: ShardId(1), mail: Mail::Close { reason: CloseReason::Kicked, .. } })
    };
    assert_eq!(node.count(told), 1);
    assert_eq!(node.count(|effect| matches!(effect, Effect::Answered { answer: Answer::Kicked(1), .. })), 1);
}

#[test]
fn a_client_that_answers_pings_stays_whichever_of_the_two_times_is_longer() {
    for (ping_interval_ms, ping_timeout_ms) in [(50, 2_000), (2_000, 50), (1_000, 1_000)] {
        let mut node = Node::new(|settings| {
            (settings.ping_interval_ms, settings.ping_timeout_ms) = (ping_interval_ms, ping_timeout_ms);
        });
        let conn = node.session(&[], false);
        let mut pings = 0;
        for _ in 0..1_000 {
            node.pass(20);
            if node.write_all().contains('\u{fffd}') {
                // Late, but in time: the time-out counts from the ping.
                node.pass(ping_timeout_ms - 10);
                node.receive(conn, &frame(10, b""));
                pings += 1;
            }
        }
        assert_eq!(node.count(|effect| matches!(effect, Effect::Close { .. } | Effect::Closed { .. })), 0);
        let spent_ms = 1_000 * 20 + pings * (ping_timeout_ms - 10);
        assert!(pings >= spent_ms / (ping_interval_ms + ping_timeout_ms + 40), "{pings} pings");
    }
}

#[test]
fn a_drain_spreads_even_a_few_clients_over_its_time() {
    let mut node = Node::new(|_| {});
    for _ in 0..5 {
        node.session(&[], false);
    }
    let told = |node: &mut Node| node.write_all().matches(r#""op":"goodbye""#).count();
    node.mail(Mail::Drain { over_ms: 5_000 });
    assert_eq!(told(&mut node), 1, "the first goes at once");
    // Four fifths of the time are for closing: a fifth of the clients in each fifth of that.
    for so_far in 2..=5 {
        let mut more = 0;
        for _ in 0..80 {
            node.pass(10);
            more += told(&mut node);
        }
        assert_eq!(more, 1, "client {so_far}");
    }
}
