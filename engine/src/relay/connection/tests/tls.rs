//! TLS: who is believed, on both sides.

use std::path::{Path, PathBuf};

use mio::{Interest, Poll, Token};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use redis::{Value, cmd};

use super::links::gather;
use crate::config::ClusterConfig;
use crate::relay::connection::access::AccessError;
use crate::relay::connection::{Access, Connection, Fault, LinkError};
use crate::relay::testing::{RedisServer, config};

/// An authority, a certificate of it for Redis on localhost, and one for a node.
struct Certificates {
    dir: tempfile::TempDir,
}

impl Certificates {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        // Under rcgen's own name for all, OpenSSL would take the others for self-signed ones.
        params.distinguished_name.push(DnType::CommonName, "authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a certificate");
        std::fs::write(dir.path().join("ca.pem"), ca.pem()).expect("writable");
        let issue = |file: &str, names: &[&str]| {
            let key = KeyPair::generate().expect("a key");
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let mut params = CertificateParams::new(names).expect("names");
            params.distinguished_name.push(DnType::CommonName, file);
            let certificate = params.signed_by(&key, &ca).expect("a certificate");
            std::fs::write(dir.path().join(format!("{file}.pem")), certificate.pem()).expect("writable");
            std::fs::write(dir.path().join(format!("{file}.key")), key.serialize_pem()).expect("writable");
        };
        issue("redis", &["localhost", "127.0.0.1"]);
        issue("node", &["node.example"]);
        Self { dir }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    fn server(&self, auth_clients: &str) -> RedisServer {
        let path = |file| self.path(file).display().to_string();
        let (cert, key, ca) = (path("redis.pem"), path("redis.key"), path("ca.pem"));
        RedisServer::start_with(&[
            "--port",
            "0",
            "--tls-port",
            "{port}",
            "--tls-cert-file",
            &cert,
            "--tls-key-file",
            &key,
            "--tls-ca-cert-file",
            &ca,
            "--tls-auth-clients",
            auth_clients,
        ])
    }
}

fn open(config: &ClusterConfig) -> Result<Connection, LinkError> {
    let access = Access::new(config).expect("readable");
    Connection::open(&access.url().hosts[0], &access)
}

fn with_ca(server: &RedisServer, host: &str, ca: &Path) -> ClusterConfig {
    let url = format!("rediss://{host}:{}", server.port());
    ClusterConfig { ca_file: Some(ca.to_owned()), ..config(&url) }
}

#[test]
fn tls_carries_commands_and_a_megabyte_both_ways() {
    let certificates = Certificates::new();
    let server = certificates.server("no");
    for host in ["localhost", "127.0.0.1"] {
        let mut connection = open(&with_ca(&server, host, &certificates.path("ca.pem"))).expect("let in");
        assert_eq!(connection.ask(&cmd("PING")), Ok(Value::SimpleString("PONG".into())));
        let large = vec![b'x'; 1024 * 1024];
        assert!(connection.ask(cmd("ECHO").arg(&large)) == Ok(Value::BulkString(large.clone())));

        let mut polled = connection.into_polled().expect("a socket");
        let mut poll = Poll::new().expect("a poll");
        poll.registry().register(&mut polled, Token(0), Interest::READABLE | Interest::WRITABLE).expect("registered");
        polled.queue(&cmd("SUBSCRIBE").arg("c").get_packed_command());
        polled.queue(&cmd("ECHO").arg(&large).get_packed_command());
        polled.queue(&cmd("ECHO").arg("end").get_packed_command());
        let values = gather(&mut poll, &mut polled, 3);
        assert!(matches!(values[0], Value::Push { .. }));
        assert!(values[1] == Value::BulkString(large));
        assert_eq!(values[2], Value::BulkString("end".into()));
    }
}

#[test]
fn a_certificate_of_somebody_else_is_not_believed() {
    let (certificates, others) = (Certificates::new(), Certificates::new());
    let server = certificates.server("no");
    let error = open(&with_ca(&server, "localhost", &others.path("ca.pem"))).expect_err("not believed");
    assert!(matches!(error.fault, Fault::Certificate(_)), "{error}");
    // The system does not know the authority either; where it knows none at all, that is said.
    match Access::new(&config(&format!("rediss://localhost:{}", server.port()))) {
        Ok(access) => {
            let error = Connection::open(&access.url().hosts[0], &access).expect_err("not believed");
            assert!(matches!(error.fault, Fault::Certificate(_)), "{error}");
        }
        Err(error) => assert!(error.to_string().starts_with("cluster.ca_file: the system has no"), "{error}"),
    }
}

#[test]
fn redis_may_ask_for_a_certificate() {
    let certificates = Certificates::new();
    let server = certificates.server("yes");
    let without = with_ca(&server, "localhost", &certificates.path("ca.pem"));
    let error = open(&without).expect_err("it asks for one");
    assert!(matches!(error.fault, Fault::Certificate(_)), "{error}");
    assert!(error.to_string().contains("cluster.cert_file"), "{error}");
    let with = |of: &Certificates| ClusterConfig {
        cert_file: Some(of.path("node.pem")),
        key_file: Some(of.path("node.key")),
        ..without.clone()
    };
    let mut connection = open(&with(&certificates)).expect("let in");
    assert!(connection.ask(&cmd("PING")).is_ok());
    let error = open(&with(&Certificates::new())).expect_err("not believed");
    assert!(matches!(error.fault, Fault::Certificate(_)), "{error}");
}

#[test]
fn tls_and_plain_text_do_not_mix() {
    let certificates = Certificates::new();
    let (tls, plain) = (certificates.server("no"), RedisServer::start());
    // Redis waits for the end of what it takes for a command.
    let hello = ClusterConfig { timeout_ms: 300, ..with_ca(&plain, "localhost", &certificates.path("ca.pem")) };
    let error = open(&hello).expect_err("no TLS there");
    assert!(matches!(error.fault, Fault::Protocol(_) | Fault::Closed(_) | Fault::TimedOut), "{error}");
    let error = open(&config(&tls.url())).expect_err("TLS there");
    assert!(matches!(error.fault, Fault::Protocol(_) | Fault::Closed(_)), "{error}");
}

#[test]
fn files_that_do_not_hold_what_they_should_are_named() {
    let certificates = Certificates::new();
    let good = ClusterConfig {
        ca_file: Some(certificates.path("ca.pem")),
        cert_file: Some(certificates.path("node.pem")),
        key_file: Some(certificates.path("node.key")),
        ..config("rediss://localhost")
    };
    assert!(Access::new(&good).is_ok());
    let why = |config: ClusterConfig| match Access::new(&config) {
        Err(error @ (AccessError::File { .. } | AccessError::Certificates(_))) => error.to_string(),
        other => panic!("{other:?}"),
    };
    let gone = Some(certificates.path("gone.pem"));
    let key = Some(certificates.path("node.key"));
    let other = Some(certificates.path("redis.key"));
    for (key, config) in [
        ("cluster.ca_file: ", ClusterConfig { ca_file: gone.clone(), ..good.clone() }),
        ("cluster.ca_file: ", ClusterConfig { ca_file: key.clone(), ..good.clone() }),
        ("cluster.cert_file: ", ClusterConfig { cert_file: gone.clone(), ..good.clone() }),
        ("cluster.cert_file: ", ClusterConfig { cert_file: key, ..good.clone() }),
        ("cluster.key_file: ", ClusterConfig { key_file: gone, ..good.clone() }),
        ("cluster.key_file: ", ClusterConfig { key_file: good.ca_file.clone(), ..good.clone() }),
        ("cluster.key_file: ", ClusterConfig { key_file: other, ..good.clone() }),
        ("cluster.cert_file: needs", ClusterConfig { key_file: None, ..good.clone() }),
        ("cluster.key_file: needs", ClusterConfig { cert_file: None, ..good.clone() }),
    ] {
        let why = why(config);
        assert!(why.starts_with(key), "{key}: {why}");
    }
}
