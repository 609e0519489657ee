//! `wss`: certificates that are believed, and those that are not.

use std::io::{Read, Write};
use std::sync::Arc;

use epush_loadgen::clock::now_ns;
use epush_loadgen::talk::{Order, Tally};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::peer::{Peer, echo};
use crate::rig::{Rig, failure, scenario};

const ECHO: &str = "[[group]]\nclients = 3\nactivity = { kind = \"echo\", rate_per_s = 50.0, payload_bytes = 100000 }";

/// How to serve with a certificate of one's own for this name; its file is returned.
fn certified(name: &str) -> (Arc<ServerConfig>, tempfile::NamedTempFile) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed([name.to_owned()]).unwrap();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(cert.pem().as_bytes()).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    (Arc::new(config.with_single_cert(vec![cert.der().clone()], key).unwrap()), file)
}

/// An echo server with a certificate of its own for this name; its file is returned.
fn echo_server(name: &str) -> (Peer, tempfile::NamedTempFile) {
    let (config, file) = certified(name);
    let peer = Peer::of_streams(move |stream, _| {
        let stream = StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream);
        if let Ok(mut socket) = tungstenite::accept(stream) {
            echo(&mut socket);
        }
    });
    (peer, file)
}

fn untrusted(peer: &Peer, target: &str) -> Tally {
    let rig = Rig::start(scenario("wss", peer.address, target, "", ECHO));
    rig.worker.tell(Order::Connect { at_ns: now_ns() });
    rig.until("all have failed", |progress| progress.counts.failed == 3);
    rig.finish()
}

fn trusted(peer: &Peer, target: &str) {
    let rig = Rig::start(scenario("wss", peer.address, target, "", ECHO));
    rig.connect(3);
    rig.steady(200);
    rig.until("all are sent", |progress| progress.counts.sent == 30);
    rig.published(&[]);
    rig.settled();
    let tally = rig.finish();
    assert_eq!((tally.counts.received, tally.counts.lost, tally.counts.closed_by_plan), (30, 0, 3));
    assert_eq!(tally.failures, []);
}

#[test]
fn a_certificate_named_in_ca_file_is_believed() {
    let (peer, file) = echo_server("127.0.0.1");
    trusted(&peer, &format!("ca_file = {:?}", file.path()));
}

#[test]
fn insecure_believes_any_certificate() {
    let (peer, _file) = echo_server("somewhere.example");
    trusted(&peer, "insecure = true");
}

#[test]
fn an_unknown_issuer_is_not_believed_and_the_way_out_is_told() {
    let (peer, _file) = echo_server("127.0.0.1");
    let (_, other) = echo_server("127.0.0.1");
    let tally = untrusted(&peer, &format!("ca_file = {:?}", other.path()));
    let (count, example) = failure(&tally, "certificate not trusted");
    assert!(count == 3 && example.contains("target.insecure"), "{example}");
}

#[test]
fn a_certificate_for_somebody_else_is_not_believed() {
    let (peer, file) = echo_server("somewhere.example");
    assert_eq!(failure(&untrusted(&peer, &format!("ca_file = {:?}", file.path())), "certificate not trusted").0, 3);
}

#[test]
fn a_goodbye_of_tls_ends_a_session_though_tcp_stays_open() {
    let (config, _file) = certified("127.0.0.1");
    let peer = Peer::of_streams(move |stream, number| {
        let mut tcp = stream.try_clone().unwrap();
        let stream = StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream);
        let mut socket = tungstenite::accept(stream).unwrap();
        if number == 0 {
            socket.send(tungstenite::Message::text("last words")).unwrap();
        }
        socket.get_mut().conn.send_close_notify();
        socket.get_mut().flush().unwrap();
        // The client ends TCP, by a FIN or by a reset.
        while tcp.read(&mut [0; 1_024]).is_ok_and(|count| count > 0) {}
    });
    let rig = Rig::start(scenario("wss", peer.address, "insecure = true", "", "[[group]]\nclients = 3"));
    rig.worker.tell(Order::Connect { at_ns: now_ns() });
    rig.until("all are closed", |progress| progress.counts.closed_by_server == 3);
    let tally = rig.finish();
    assert_eq!((tally.counts.ready, tally.counts.failed), (3, 0));
    assert_eq!(failure(&tally, "ended without a close frame").0, 3);
}

#[test]
fn a_server_that_speaks_no_tls_is_found_out() {
    let peer = Peer::of_streams(|mut stream, _| {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    });
    assert!(failure(&untrusted(&peer, "insecure = true"), "no TLS spoken").1.contains("scheme"));
}
