//! The upgrade: what is answered with 101, and with what not.

use crate::support::client::Dial;
use crate::support::raw::{TEXT, frame, upgrade_request};
use crate::support::{Api, Client, Node, Raw, json};

fn head_for(node: &Node, request: &str) -> String {
    let mut raw = node.raw();
    raw.send(request.as_bytes());
    raw.read_head()
}

fn status_for(node: &Node, request: &str) -> u16 {
    let head = head_for(node, request);
    head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("{head}"))
}

#[test]
fn the_upgrade_carries_the_accept_key_of_rfc_6455() {
    let node = Node::plain();
    let head = head_for(&node, &upgrade_request("/msg", ""));
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let lower = head.to_ascii_lowercase();
    assert!(lower.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"), "{head}");
    assert!(lower.contains("upgrade: websocket\r\n"), "{head}");
    assert!(lower.contains("connection: upgrade\r\n"), "{head}");
    assert!(!lower.contains("sec-websocket-extensions"), "none was asked for: {head}");
    assert!(!lower.contains("sec-websocket-protocol"), "none was asked for: {head}");
}

#[test]
fn the_first_frame_is_welcome() {
    let node = Node::setup("").args(&["--node", "n1"]).start();
    let welcome = node.user("42").welcome;
    assert_eq!((&welcome["user"], &welcome["node"]), (&json!("42"), &json!("n1")));
    assert_eq!(welcome["ping_interval_ms"], 25_000);
    assert!(welcome["time_ms"].as_u64().is_some_and(|ms| ms > 1_700_000_000_000), "{welcome}");
    assert!(welcome["session"].as_str().is_some_and(|session| !session.is_empty()), "{welcome}");
    assert!(node.anyone().welcome["user"].is_null());
}

#[test]
fn the_subprotocol_is_ours_when_it_is_offered() {
    let node = Node::plain();
    for offer in ["epush.v1", "other, epush.v1", "epush.v1,mqtt"] {
        let head = head_for(&node, &upgrade_request("/msg", &format!("Sec-WebSocket-Protocol: {offer}\r\n")));
        assert!(head.to_ascii_lowercase().contains("sec-websocket-protocol: epush.v1\r\n"), "{offer}: {head}");
    }
    let head = head_for(&node, &upgrade_request("/msg", "Sec-WebSocket-Protocol: mqtt\r\n"));
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(!head.to_ascii_lowercase().contains("sec-websocket-protocol"), "{head}");
}

#[test]
fn compression_that_is_offered_is_not_taken() {
    let node = Node::plain();
    let head = head_for(&node, &upgrade_request("/msg", "Sec-WebSocket-Extensions: permessage-deflate\r\n"));
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(!head.to_ascii_lowercase().contains("sec-websocket-extensions"), "{head}");
}

#[test]
fn header_names_and_values_are_read_as_http_says() {
    let node = Node::plain();
    let request = "GET /msg HTTP/1.1\r\nhost: test\r\nupgrade: WebSocket\r\nconnection: keep-alive, UPGRADE\r\n\
                   sec-websocket-version: 13\r\nsec-websocket-key:   dGhlIHNhbXBsZSBub25jZQ==  \r\n\r\n";
    assert_eq!(status_for(&node, request), 101);
}

#[test]
fn what_is_no_upgrade_is_refused_with_a_fitting_status() {
    let node = Node::plain();
    let without = |line: &str| upgrade_request("/msg", "").replace(line, "");
    assert_eq!(status_for(&node, &without("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")), 400);
    assert_eq!(status_for(&node, &without("Host: test\r\n")), 400);
    let short_key = upgrade_request("/msg", "").replace("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIA==");
    assert_eq!(status_for(&node, &short_key), 400);

    let old = head_for(&node, &upgrade_request("/msg", "").replace("Version: 13", "Version: 8"));
    assert!(old.starts_with("HTTP/1.1 426 "), "{old}");
    assert!(old.to_ascii_lowercase().contains("sec-websocket-version: 13\r\n"), "{old}");

    assert_eq!(status_for(&node, "GET /msg HTTP/1.1\r\nHost: test\r\n\r\n"), 426);
    assert_eq!(status_for(&node, &upgrade_request("/msg", "").replace("GET", "POST")), 405);
    for path in ["/elsewhere", "/msgs"] {
        assert_eq!(status_for(&node, &upgrade_request(path, "")), 404, "{path}");
    }
    assert!(node.client("/msg/").welcome["user"].is_null(), "no name, no user");
}

#[test]
fn the_echo_endpoint_is_there_only_when_asked_for() {
    assert_eq!(Client::refused(&Node::plain().url("/echo")), 404);
    let node = Node::setup("").args(&["--echo"]).start();
    let mut client = Dial::default().connect(&node.url("/echo")).expect("accepted");
    client.send_text("as it came: {");
    assert_eq!(client.read_message(), tungstenite::Message::text("as it came: {"));
    client.send_binary(&[0, 255]);
    assert_eq!(client.read_message(), tungstenite::Message::binary(vec![0, 255]));
    assert_eq!(client.close(), 1000);
}

#[test]
fn echo_takes_messages_of_16_mib_where_that_is_configured() {
    let node = Node::setup("[limits]\nmessage_bytes_max = 16777216\nfragments_max = 65536\n").args(&["--echo"]).start();
    let mut client = Dial::default().connect(&node.url("/echo")).expect("accepted");
    let message = vec![0xa5; 16 * 1024 * 1024];
    client.send_binary(&message);
    assert_eq!(client.read_message().into_data(), message);
}

#[test]
fn echo_takes_messages_of_65_536_fragments_whatever_the_limits_say() {
    let node = Node::setup("[limits]\nfragments_max = 2\n").args(&["--echo"]).start();
    let message = |fragments: usize| {
        let middle = frame(0x00, b"x").repeat(fragments - 2);
        [frame(0x01, b"x"), middle, frame(0x80, b"x")].concat()
    };
    let mut raw = Raw::upgrade(node.clients, "/echo");
    raw.send(&message(65_536));
    let (first, payload) = raw.read_frame();
    assert_eq!((first, payload.len()), (TEXT, 65_536));
    // With one to spare: suites end such a message with an empty one.
    raw.send(&message(65_538));
    assert_eq!(raw.read_close(), 1009);
}

#[test]
fn only_listed_origins_get_in_and_clients_that_are_no_browsers() {
    let node = Node::with("[server]\norigins = [\"https://app.example\"]\n");
    let from = |origin: &str| Dial::default().header("Origin", origin).connect(&node.url("/msg")).err();
    assert_eq!(from("https://app.example"), None);
    assert_eq!(from("https://APP.example"), None, "a host has no case");
    assert_eq!(from("https://evil.example"), Some(403));
    assert_eq!(from("https://app.example.evil.example"), Some(403));
    assert_eq!(from("null"), Some(403));
    node.anyone();
}

#[test]
fn the_user_is_the_first_of_path_user_and_user_id() {
    let node = Node::plain();
    for (path, user) in [
        ("/msg/7", "7"),
        ("/msg?user=7", "7"),
        ("/msg?userId=7", "7"),
        ("/msg/7?user=8&userId=9", "7"),
        ("/msg?userId=9&user=8", "8"),
        ("/msg/a%40b.example", "a@b.example"),
        ("/msg?user=J%C3%BCrgen+K", "Jürgen K"),
    ] {
        assert_eq!(node.client(path).welcome["user"], user, "{path}");
    }
}

#[test]
fn a_name_no_user_can_have_is_a_bad_request() {
    let node = Node::plain();
    assert_eq!(Client::refused(&node.url("/msg/a%0ab")), 400);
    assert_eq!(Client::refused(&node.url(&format!("/msg/{}", "x".repeat(257)))), 400);
}

#[test]
fn frames_sent_in_the_same_packet_as_the_upgrade_are_not_lost() {
    let node = Node::plain();
    let mut raw = node.raw();
    let mut bytes = upgrade_request("/msg", "").into_bytes();
    bytes.extend(crate::support::raw::frame(0x81, br#"{"op":"ping","id":1}"#));
    raw.send(&bytes);
    assert!(raw.read_head().starts_with("HTTP/1.1 101 "));
    let (_, welcome) = raw.read_frame();
    assert!(welcome.starts_with(b"{\"op\":\"welcome\""));
    let (_, pong) = raw.read_frame();
    assert!(pong.starts_with(b"{\"op\":\"pong\""), "{}", String::from_utf8_lossy(&pong));
}

#[test]
fn the_client_listener_has_no_control_api() {
    let node = Node::plain();
    let mut clients = Api::connect(node.clients);
    assert_eq!(clients.get("/v1/online").status, 404);
}
