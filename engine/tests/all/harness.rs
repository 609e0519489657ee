//! The harness against a server of a few lines: when this fails, believe no other failure.

use std::net::TcpListener;

use crate::support::client::Dial;
use crate::support::hook::Hook;
use crate::support::raw::{TEXT, frame, header};
use crate::support::tools::test_file;
use crate::support::{Api, Client, json};

/// Echoes one client's messages; closes with 1000 when told.
fn echo_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a client");
        let mut socket = tungstenite::accept(stream).expect("a handshake");
        while let Ok(message) = socket.read() {
            // The library answers a close by itself, at the next read.
            if !message.is_close() && socket.send(message).is_err() {
                return;
            }
        }
    });
    format!("ws://{address}/msg")
}

#[test]
fn an_answer_is_found_behind_frames_that_came_early() {
    let mut client = Dial::default().narrow().connect(&echo_server()).expect("accepted");
    client.send(&json!({"op": "message", "data": 1}));
    client.send(&json!({"op": "message", "data": 2, "id": "1"}));
    let answer = client.call(json!({"op": "ok"}));
    assert_eq!(answer, json!({"op": "ok", "id": 1}));
    client.expect_message(1);
    client.expect_message(2);
    assert_eq!(client.close(), 1000);
}

#[test]
fn the_http_client_reads_lengths_and_statuses_on_one_connection() {
    let hook =
        Hook::answering(|call| if call.path == "/no" { (404, "{}".into()) } else { (200, call.body.to_string()) });
    let address = hook.url("").trim_start_matches("http://").parse().expect("an address");
    let mut api = Api::connect(address);
    assert_eq!(api.post("/yes", &json!({"a": 1})).json(), json!({"a": 1}));
    assert_eq!(api.get("/no").status, 404);
    assert_eq!(hook.call().method, "POST");
}

#[test]
fn a_refused_handshake_is_told_by_its_status() {
    let hook = Hook::answering(|_| (403, "{}".into()));
    let url = hook.url("/msg").replace("http://", "ws://");
    assert_eq!(Client::refused(&url), 403);
}

#[test]
fn frames_written_by_hand_are_as_rfc_6455_shows_them() {
    // RFC 6455 §5.7: a single-frame masked text message with "Hello".
    assert_eq!(frame(TEXT, b"Hello"), [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    assert_eq!(header(0x82, 256, false), [0x82, 0x7e, 0x01, 0x00]);
    assert_eq!(header(0x82, 65_536, false), [0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0]);
}

#[test]
fn the_files_of_the_other_clients_are_where_tests_look() {
    for file in ["clients/python_websockets.py", "clients/node_ws.mjs", "clients/browser.mjs", "clients/page.html"] {
        assert!(test_file(file).is_file(), "{file}");
    }
}
