//! TLS without sockets: bytes of the wire in, plain bytes out, and the other way round.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::scenario::Target;
use crate::scenario::url::Url;

/// The client's side of a TLS connection.
#[derive(Debug)]
pub struct Tls(ClientConnection);

/// Whether the peer may say more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// It may.
    Speaks,
    /// It said goodbye (`close_notify`): whatever follows on the wire is not its word.
    Ended,
}

impl Tls {
    /// Begins one. What it has to say first is taken with [`Tls::seal`].
    ///
    /// # Errors
    /// When the configuration allows no handshake.
    pub fn new(config: &Arc<ClientConfig>, name: &ServerName<'static>) -> Result<Self, rustls::Error> {
        let mut connection = ClientConnection::new(Arc::clone(config), name.clone())?;
        // What waits is bounded behind the socket, in plain sight.
        connection.set_buffer_limit(None);
        Ok(Self(connection))
    }

    /// Whether the handshake still goes on.
    #[must_use]
    pub fn is_handshaking(&self) -> bool {
        self.0.is_handshaking()
    }

    /// Takes what came over the wire; plain bytes are appended to `plain`.
    ///
    /// # Errors
    /// What the peer did wrong, or what is wrong with its certificate. An alert may be waiting for [`Tls::seal`]. What the
    /// peer said well before is in `plain`.
    pub fn open(&mut self, mut wire: &[u8], plain: &mut Vec<u8>) -> Result<Peer, rustls::Error> {
        while !wire.is_empty() {
            let taken = self.0.read_tls(&mut wire).map_err(|error| rustls::Error::General(error.to_string()))?;
            let state = match self.0.process_new_packets() {
                Ok(state) => state,
                Err(error) => {
                    // Until nothing is left, which is an error here, too.
                    let _ = self.0.reader().read_to_end(plain);
                    return Err(error);
                }
            };
            let start = plain.len();
            plain.resize(start + state.plaintext_bytes_to_read(), 0);
            self.0
                .reader()
                .read_exact(&mut plain[start..])
                .map_err(|error| rustls::Error::General(error.to_string()))?;
            if taken == 0 || state.peer_has_closed() {
                return Ok(Peer::Ended);
            }
        }
        Ok(Peer::Speaks)
    }

    /// Appends to `wire` what has to be sent for `plain`, and for the handshake.
    pub fn seal(&mut self, plain: &[u8], wire: &mut Vec<u8>) {
        self.0.writer().write_all(plain).expect("a buffer without limit");
        while self.0.wants_write() {
            self.0.write_tls(wire).expect("writing to memory");
        }
    }
}

/// How to speak TLS, and the name that the server's certificate has to bear.
pub type Named = (Arc<ClientConfig>, ServerName<'static>);

/// How to speak TLS where a URL of a target leads; `None` where nobody does.
///
/// # Errors
/// When its host is no name for a certificate, or there are no certificates to believe, in words.
pub fn of_url(url: &Url, target: &Target) -> Result<Option<Named>, String> {
    if !url.is_secure() {
        return Ok(None);
    }
    let name = ServerName::try_from(url.host.clone());
    let name = name.map_err(|_| format!("{:?} is no name a certificate can have", url.host))?;
    Ok(Some((config(target)?, name)))
}

/// How to speak TLS with a target: which certificates are believed.
///
/// # Errors
/// When there are no certificates to believe, in words.
pub fn config(target: &Target) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(Arc::clone(&provider));
    let versions = versions.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    let verifier: Arc<dyn ServerCertVerifier> = if target.insecure {
        Arc::new(Anybody(provider))
    } else {
        let roots = roots(target.ca_file.as_deref())?;
        WebPkiServerVerifier::builder_with_provider(roots.into(), provider)
            .build()
            .map_err(|error| error.to_string())?
    };
    let mut config = versions.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    // Every client is somebody else: what one learned must not spare the next its handshake.
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let Some(path) = ca_file else {
        let system = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(system.certs);
        if roots.is_empty() {
            return Err(String::from(
                "the system has no certificate authorities: name one in target.ca_file, or accept any certificate with target.insecure",
            ));
        }
        return Ok(roots);
    };
    let wrong = |error: &dyn std::fmt::Display| format!("target.ca_file {}: {error}", path.display());
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| wrong(&error))? {
        let certificate = certificate.map_err(|error| wrong(&error))?;
        roots.add(certificate).map_err(|error| wrong(&error))?;
    }
    if roots.is_empty() { Err(wrong(&"no certificate in it")) } else { Ok(roots) }
}

/// Believes every certificate, though not every signature: the peer still has to own what it shows.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use rcgen::{CertifiedKey, generate_simple_self_signed};
    use rustls::pki_types::PrivatePkcs8KeyDer;
    use rustls::{ServerConfig, ServerConnection};

    use super::*;

    /// Both sides, with their handshake behind them.
    fn pair() -> (Tls, ServerConnection) {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der()).into();
        let server = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let server = server.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let server = server.with_single_cert(vec![cert.der().clone()], key).unwrap();
        let mut server = ServerConnection::new(Arc::new(server)).unwrap();
        let config = config(&Target { insecure: true, ..Target::default() }).unwrap();
        let mut client = Tls::new(&config, &ServerName::try_from("localhost").unwrap()).unwrap();
        while client.is_handshaking() || server.is_handshaking() {
            let (mut wire, mut plain) = (Vec::new(), Vec::new());
            client.seal(b"", &mut wire);
            let mut wire = wire.as_slice();
            while !wire.is_empty() {
                server.read_tls(&mut wire).unwrap();
                server.process_new_packets().unwrap();
            }
            assert_eq!(client.open(&said(&mut server, b""), &mut plain), Ok(Peer::Speaks));
        }
        (client, server)
    }

    /// What the server writes with these words.
    fn said(server: &mut ServerConnection, words: &[u8]) -> Vec<u8> {
        server.writer().write_all(words).unwrap();
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        wire
    }

    #[test]
    fn a_goodbye_ends_what_the_peer_says_and_what_it_said_before_is_taken() {
        let (mut client, mut server) = pair();
        let mut wire = said(&mut server, b"last words");
        server.send_close_notify();
        wire.extend(said(&mut server, b""));
        wire.extend(b"what is no TLS any more");
        let mut plain = Vec::new();
        assert_eq!(client.open(&wire, &mut plain), Ok(Peer::Ended));
        assert_eq!(plain, b"last words");
        assert_eq!(client.open(b"nor this", &mut plain), Ok(Peer::Ended));
        assert_eq!(plain, b"last words");
    }

    #[test]
    fn what_was_said_before_an_error_in_the_same_read_is_taken() {
        let (mut client, mut server) = pair();
        let mut wire = said(&mut server, b"well said");
        let mut forged = said(&mut server, b"forged");
        *forged.last_mut().unwrap() ^= 1;
        wire.extend(forged);
        let mut plain = b"before: ".to_vec();
        assert_eq!(client.open(&wire, &mut plain), Err(rustls::Error::DecryptError));
        assert_eq!(plain, b"before: well said");
    }

    fn words(contents: &str) -> String {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(contents.as_bytes()).unwrap();
        config(&Target { ca_file: Some(file.path().into()), ..Target::default() }).unwrap_err()
    }

    #[test]
    fn a_ca_file_without_certificates_is_refused_by_name() {
        assert!(words("").contains("no certificate in it"));
        assert!(words("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").contains("target.ca_file /"));
        let missing = Target { ca_file: Some("/no/such/file.pem".into()), ..Target::default() };
        assert!(config(&missing).unwrap_err().contains("/no/such/file.pem"));
    }
}
