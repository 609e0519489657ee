//! Peers that misbehave: each ends in the documented code, never in a panic, never in growth.

use crate::support::raw::{PING, Raw, TEXT, frame, header, upgrade_request};
use crate::support::{Node, json, until};

/// The status of the answer to `bytes`; the connection must end after it. None: it ended without one.
fn refused(node: &Node, bytes: &[u8]) -> Option<u16> {
    let mut raw = node.raw();
    raw.send(bytes);
    status_of(&raw.read_to_end().bytes)
}

fn status_of(bytes: &[u8]) -> Option<u16> {
    let text = String::from_utf8_lossy(bytes);
    let rest = text.strip_prefix("HTTP/1.1 ")?;
    rest.split(' ').next()?.parse().ok()
}

/// The close code that `bytes` end an open session with.
fn close_code(node: &Node, path: &str, bytes: &[u8]) -> u16 {
    let mut raw = Raw::upgrade(node.clients, path);
    raw.send(bytes);
    let code = raw.read_close();
    raw.read_to_end();
    code
}

/// The node works, and holds no connection but the one that asks.
fn is_unharmed(node: &Node) {
    until("no connection is left over", || node.get("/v1/online").json()["node"]["connections"] == 0);
    let mut client = node.anyone();
    assert_eq!(client.call(json!({"op": "ping"}))["op"], "pong");
    assert!(!node.log().contains("panicked"), "{}", node.log());
}

// --- request heads -------------------------------------------------------------

#[test]
fn garbage_instead_of_a_request_is_400() {
    let node = Node::plain();
    let binary: Vec<u8> = (0..=255).cycle().take(2048).collect();
    for garbage in [&b"hello\r\n\r\n"[..], b"\r\n\r\n\r\n\r\n x", b"GET\r\n\r\n", &binary] {
        assert_eq!(refused(&node, garbage), Some(400), "{:?}", String::from_utf8_lossy(garbage));
    }
    assert_eq!(refused(&node, b"GET / HTTP/9.9\r\n\r\n"), Some(505));
    // A TLS ClientHello: the client took the port for https.
    assert_eq!(refused(&node, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"), Some(400));
    is_unharmed(&node);
}

#[test]
fn a_truncated_request_ends_with_its_connection() {
    let node = Node::plain();
    let request = upgrade_request("/msg", "");
    for length in [1, 10, request.len() / 2, request.len() - 1] {
        let mut raw = node.raw();
        raw.send(&request.as_bytes()[..length]);
        raw.end();
        let tail = raw.read_to_end();
        assert_ne!(status_of(&tail.bytes), Some(101), "{length}");
    }
    is_unharmed(&node);
}

#[test]
fn a_head_over_16_kib_is_431() {
    let node = Node::plain();
    let long_header = upgrade_request("/msg", &format!("Cookie: {}\r\n", "x".repeat(17 * 1024)));
    assert_eq!(refused(&node, long_header.as_bytes()), Some(431));
    let many_headers = upgrade_request("/msg", &"A: b\r\n".repeat(65));
    assert_eq!(refused(&node, many_headers.as_bytes()), Some(431));
    let endless = vec![b'x'; 64 * 1024];
    assert!(matches!(refused(&node, &[b"GET /", &endless[..]].concat()), Some(414 | 431) | None));
    let fits = upgrade_request("/msg", &format!("Cookie: {}\r\n", "x".repeat(15 * 1024)));
    let mut raw = node.raw();
    raw.send(fits.as_bytes());
    assert!(raw.read_head().starts_with("HTTP/1.1 101 "));
    drop(raw);
    is_unharmed(&node);
}

#[test]
fn a_head_that_comes_byte_by_byte_is_closed_on_the_deadline() {
    let node = Node::with("[limits]\nrequest_timeout_ms = 300\n");
    let mut raw = node.raw();
    let start = std::time::Instant::now();
    // One byte each time the node's clock says 20 ms have passed: activity must not move the deadline.
    let mut clock = node.anyone();
    clock.subscribe("ticks");
    let tick = json!({"to": {"channels": ["ticks"]}, "interval_ms": 20, "source": {"template": 1}});
    node.api().put("/v1/schedules/ticks", &tick);
    let request = upgrade_request("/msg", "");
    let taken = request.bytes().take_while(|byte| {
        clock.expect_op("message");
        raw.send(&[*byte])
    });
    let taken = taken.count();
    assert!(taken < request.len(), "it was never cut off");
    assert!(start.elapsed().as_millis() >= 300, "not before the deadline");
    let status = status_of(&raw.read_to_end().bytes);
    assert!(matches!(status, Some(408) | None), "{status:?}");
}

#[test]
fn a_connection_that_says_nothing_is_closed_on_the_deadline() {
    let node = Node::with("[limits]\nrequest_timeout_ms = 200\n");
    let status = status_of(&node.raw().read_to_end().bytes);
    assert!(matches!(status, Some(408) | None), "{status:?}");
    let mut api = Raw::connect(node.control);
    api.send(b"POST /v1/push HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{");
    let status = status_of(&api.read_to_end().bytes);
    assert!(matches!(status, Some(408) | None), "{status:?}");
}

#[test]
fn an_upgrade_byte_by_byte_is_an_upgrade() {
    let node = Node::plain();
    let mut raw = node.raw();
    for byte in upgrade_request("/msg", "").bytes() {
        raw.send(&[byte]);
    }
    assert!(raw.read_head().starts_with("HTTP/1.1 101 "));
    let welcome = raw.read_frame();
    assert!(welcome.1.starts_with(b"{\"op\":\"welcome\""));
    for byte in frame(TEXT, br#"{"op":"ping","id":1}"#) {
        raw.send(&[byte]);
    }
    assert!(raw.read_frame().1.starts_with(b"{\"op\":\"pong\""));
}

#[test]
fn request_smuggling_shapes_are_refused() {
    let node = Node::plain();
    let push = json!({"to": {"all": true}, "data": "smuggled"}).to_string();
    let smuggled = format!("POST /v1/push HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{push}", push.len());
    let mut client = node.anyone();
    for head in [
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 6\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 99999999999999999999999\r\n",
        "X: a\rContent-Length: 5\r\n",
        "X: a\r\n Content-Length: 5\r\n",
        "X: a\r\n\tfolded\r\n",
        "X: a\0b\r\n",
        ": empty\r\n",
    ] {
        let request = format!("POST /v1/push HTTP/1.1\r\nHost: x\r\n{head}\r\n{smuggled}");
        let mut raw = Raw::connect(node.control);
        raw.send(request.as_bytes());
        let bytes = raw.read_to_end().bytes;
        assert!(matches!(status_of(&bytes), Some(400 | 413 | 501)), "{head:?}: {}", String::from_utf8_lossy(&bytes));
        assert_eq!(
            bytes.windows(9).filter(|window| window == b"HTTP/1.1 ").count(),
            1,
            "{head:?}: one answer, then the end"
        );
    }
    node.push(&json!({"to": {"all": true}, "data": "honest"}));
    client.expect_message("honest");
}

#[test]
fn a_bare_line_feed_ends_no_line() {
    let node = Node::plain();
    let status = refused(&node, b"GET /healthz HTTP/1.1\nHost: x\n\n");
    // RFC 9112 §2.2 lets a server take it; what counts is that nothing hides behind it.
    assert!(matches!(status, Some(200 | 400)), "{status:?}");
}

#[test]
fn an_api_body_cut_short_publishes_nothing() {
    let node = Node::plain();
    let mut client = node.anyone();
    let body = json!({"to": {"all": true}, "data": "cut"}).to_string();
    for framing in [
        format!("Content-Length: {}\r\n\r\n{}", body.len() + 1, body),
        format!("Content-Length: {}\r\n\r\n{}", body.len(), &body[..body.len() - 1]),
        format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n", body.len()),
        format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{}", body.len(), &body[..5]),
    ] {
        let mut raw = Raw::connect(node.control);
        raw.send(format!("POST /v1/push HTTP/1.1\r\nHost: x\r\n{framing}").as_bytes());
        raw.end();
        let status = status_of(&raw.read_to_end().bytes);
        assert!(matches!(status, None | Some(400)), "{framing:?} got {status:?}");
    }
    node.push(&json!({"to": {"all": true}, "data": "whole"}));
    client.expect_message("whole");
}

#[test]
fn bad_chunks_are_400() {
    let node = Node::plain();
    for chunks in ["zz\r\n{}\r\n", "-1\r\n", "ffffffffffffffffff\r\n", "2\r\n{}x\r\n0\r\n\r\n", "\r\n{}\r\n"] {
        let mut raw = Raw::connect(node.control);
        raw.send(format!("POST /v1/push HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}").as_bytes());
        let status = status_of(&raw.read_to_end().bytes);
        assert!(matches!(status, Some(400 | 413)), "{chunks:?} got {status:?}");
    }
}

#[test]
fn a_body_over_the_limit_is_413_before_it_was_sent() {
    let node = Node::plain();
    let mut raw = Raw::connect(node.control);
    raw.send(b"POST /v1/push HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n");
    assert!(raw.read_head().starts_with("HTTP/1.1 413 "));
}

// --- frames --------------------------------------------------------------------

#[test]
fn frames_against_the_protocol_end_with_1002() {
    let node = Node::plain();
    let mut unmasked = header(TEXT, 2, false);
    unmasked.extend(b"{}");
    let mut long_form = vec![TEXT, 0xfe, 0, 5];
    long_form.extend([0; 9]);
    for (why, bytes) in [
        ("not masked", unmasked),
        ("rsv1", frame(0xc1, b"{}")),
        ("rsv2", frame(0xa1, b"{}")),
        ("rsv3", frame(0x91, b"{}")),
        ("opcode 3", frame(0x83, b"{}")),
        ("opcode 11", frame(0x8b, b"{}")),
        ("a long ping", frame(PING, &[b'x'; 126])),
        ("a fragmented ping", frame(0x09, b"x")),
        ("a continuation of nothing", frame(0x80, b"x")),
        ("a message within a message", [frame(0x01, b"a"), frame(TEXT, b"b")].concat()),
        ("a close of one byte", frame(0x88, b"x")),
        ("a close with a reserved code", frame(0x88, &1005u16.to_be_bytes())),
        ("a close with no one's code", frame(0x88, &999u16.to_be_bytes())),
        ("a length with its top bit set", header(TEXT, 1 << 63, true)),
    ] {
        for path in ["/msg", "/msg/42"] {
            assert_eq!(close_code(&node, path, &bytes), 1002, "{why}");
        }
    }
    is_unharmed(&node);
}

#[test]
fn text_that_is_not_utf_8_ends_with_1007() {
    let node = Node::plain();
    for bytes in [&b"\xff"[..], b"a\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"cut \xe2\x82"] {
        assert_eq!(close_code(&node, "/msg", &frame(TEXT, bytes)), 1007, "{bytes:?}");
    }
    let split = [frame(0x01, b"\xe2\x82"), frame(0x80, b"\xff")].concat();
    assert_eq!(close_code(&node, "/msg", &split), 1007);
    // Seen as it arrives: the message need not be whole.
    assert_eq!(close_code(&node, "/msg", &frame(0x01, b"\xff")), 1007);
    let mut close = 1000u16.to_be_bytes().to_vec();
    close.extend(b"\xff");
    assert_eq!(close_code(&node, "/msg", &frame(0x88, &close)), 1007);
    is_unharmed(&node);
}

#[test]
fn messages_over_the_limit_end_with_1009_before_they_arrive() {
    let node = Node::with("[limits]\nmessage_bytes_max = 65536\nfragments_max = 8\n");
    for length in [65_537, 1 << 32, (1 << 62) + 7] {
        assert_eq!(close_code(&node, "/msg", &header(TEXT, length, true)), 1009, "{length}");
    }
    let halves = [frame(0x01, &[b'x'; 40_000]), frame(0x80, &[b'x'; 40_000])].concat();
    assert_eq!(close_code(&node, "/msg", &halves), 1009);
    let mut crumbs = frame(0x01, b"x");
    for _ in 0..9 {
        crumbs.extend(frame(0x00, b"x"));
    }
    assert_eq!(close_code(&node, "/msg", &crumbs), 1009);
    is_unharmed(&node);
}

#[test]
fn promised_bytes_take_no_memory() {
    let node = Node::plain();
    let before = node.resident_bytes();
    let mut held: Vec<Raw> = (0..200).map(|_| Raw::upgrade(node.clients, "/msg")).collect();
    for raw in &mut held {
        raw.send(&header(TEXT, 1024 * 1024, true));
        raw.send(b"a few bytes of it");
        raw.read_frame();
    }
    node.get("/healthz");
    let grown = node.resident_bytes().saturating_sub(before);
    assert!(grown < 16 * 1024 * 1024, "200 promises of 1 MiB took {grown} bytes");
}

#[test]
fn a_thousand_subscribe_frames_in_one_write_are_all_answered() {
    let node = Node::plain();
    let mut raw = Raw::upgrade(node.clients, "/msg");
    raw.read_frame();
    let mut bytes = Vec::new();
    for n in 0..1000 {
        bytes.extend(frame(
            TEXT,
            json!({"op": "subscribe", "id": n, "channel": format!("c{n}")}).to_string().as_bytes(),
        ));
    }
    raw.send(&bytes);
    for n in 0..1000 {
        let (_, answer) = raw.read_frame();
        let answer: serde_json::Value = serde_json::from_slice(&answer).expect("JSON");
        assert_eq!(answer["id"], n, "{answer}");
        if n < 128 {
            assert_eq!(answer["op"], "ok", "{answer}");
        } else {
            assert_eq!((&answer["op"], &answer["code"]), (&json!("error"), &json!("limit_reached")), "{answer}");
        }
    }
}

#[test]
fn deep_json_is_a_bad_request() {
    let node = Node::plain();
    let mut client = node.anyone();
    for depth in [200, 100_000] {
        let deep = format!("{{\"op\":\"ping\",\"x\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        client.send_text(&deep);
        let frame = client.next();
        // Unknown fields are ignored, so a parser that needs no stack may take it.
        assert!(frame["code"] == "bad_request" || frame["op"] == "pong", "{depth}: {frame}");
        client.send_text(&"[".repeat(depth));
        let frame = client.next();
        assert_eq!(frame["code"], "bad_request", "{depth}: {frame}");
    }
    let deep = format!("{{\"to\":{{\"all\":true}},\"data\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let status = node.api().request("POST", "/v1/push", Some(deep.as_bytes())).status;
    assert_eq!(status, 400);
    let ask = format!("{{\"op\":\"ask\",\"id\":1,\"type\":\"a\",\"data\":{}{}}}", "[".repeat(129), "]".repeat(129));
    client.send_text(&ask);
    assert_eq!(client.next()["code"], "bad_request");
    client.close();
    is_unharmed(&node);
}

#[test]
fn a_flood_from_one_client_starves_no_other() {
    let node = Node::setup("").args(&["--reactors", "1"]).start();
    let mut raw = Raw::upgrade(node.clients, "/msg");
    raw.read_frame();
    let mut client = node.anyone();
    let frames = frame(TEXT, br#"{"op":"ping"}"#).repeat(50_000);
    std::thread::scope(|scope| {
        // The flooder does not read its answers: it must be held back, not held in memory.
        scope.spawn(move || {
            raw.send(&frames);
        });
        for _ in 0..100 {
            assert_eq!(client.call(json!({"op": "ping"}))["op"], "pong");
        }
    });
}

#[test]
fn a_flooder_that_does_not_read_its_answers_costs_bounded_memory() {
    let node = Node::plain();
    let before = node.resident_bytes();
    let mut raw = Raw::upgrade(node.clients, "/msg");
    let frames = frame(TEXT, br#"{"op":"ping"}"#).repeat(1_000);
    // 400 000 answers of 40 bytes would be 16 MiB.
    std::thread::spawn(move || (0..400).all(|_| raw.send(&frames)));
    let mut client = node.anyone();
    for _ in 0..500 {
        assert_eq!(client.call(json!({"op": "ping"}))["op"], "pong");
    }
    let grown = node.resident_bytes().saturating_sub(before);
    assert!(grown < 8 * 1024 * 1024, "grew by {grown} bytes");
}

#[test]
fn binary_messages_without_an_application_are_refused_with_1003() {
    let node = Node::plain();
    let mut client = node.anyone();
    client.send_binary(b"\x00\x01");
    assert_eq!(client.expect_close(), 1003);
}

#[test]
fn control_frames_between_fragments_are_answered() {
    let node = Node::plain();
    let mut raw = Raw::upgrade(node.clients, "/msg");
    raw.read_frame();
    raw.send(&frame(0x01, br#"{"op":"#));
    raw.send(&frame(PING, b"between"));
    assert_eq!(raw.read_frame(), (0x8a, b"between".to_vec()));
    raw.send(&frame(0x80, br#""ping"}"#));
    assert!(raw.read_frame().1.starts_with(b"{\"op\":\"pong\""));
}

#[test]
fn a_reset_in_the_middle_of_anything_leaves_nothing_behind() {
    let node = Node::plain();
    for cut in [0, 3, 9] {
        let mut client = node.user("42");
        client.subscribe("news");
        let bytes = frame(TEXT, br#"{"op":"ping"}"#);
        std::io::Write::write_all(client.stream(), &bytes[..cut]).expect("open");
        client.reset();
    }
    is_unharmed(&node);
}
