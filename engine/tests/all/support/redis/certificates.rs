//! Certificates made for one test: an authority, a server on 127.0.0.1, and a client.

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

/// `ca.pem`, `server.pem`, `server.key`, `client.pem`, `client.key`, as long as it lives.
pub struct Certificates {
    dir: TempDir,
}

impl Certificates {
    pub fn new() -> Self {
        let dir = TempDir::new().expect("a temporary directory");
        let certificates = Self { dir };
        let mut params = params(&[], "an authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, key()).expect("a certificate");
        certificates.write("ca.pem", &authority.pem());
        for (name, hosts) in [("server", &["localhost", "127.0.0.1"][..]), ("client", &["client"])] {
            let key = key();
            let certificate = self::params(hosts, name).signed_by(&key, &authority).expect("a certificate");
            certificates.write(&format!("{name}.pem"), &certificate.pem());
            certificates.write(&format!("{name}.key"), &key.serialize_pem());
        }
        certificates
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, pem: &str) {
        std::fs::write(self.file(name), pem).expect("a writable directory");
    }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

fn params(hosts: &[&str], name: &str) -> CertificateParams {
    let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(hosts).expect("names");
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
