//! TLS to Redis: whose certificates are believed, and which one this node shows.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use super::access::AccessError;
use super::error::Fault;
use crate::config::ClusterConfig;

/// Reads the certificates.
pub(super) fn load(config: &ClusterConfig) -> Result<Arc<ClientConfig>, AccessError> {
    let roots = match config.ca_file.as_deref() {
        Some(path) => roots_of(path)?,
        None => roots_of_the_system()?,
    };
    // The provider is given here and not for the whole process: an embedding application may have one of its own.
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|why| AccessError::Certificates(format!("TLS to Redis: {why}")))?
        .with_root_certificates(roots);
    let config = match (config.cert_file.as_deref(), config.key_file.as_deref()) {
        (Some(cert), Some(key)) => {
            let certificates = certificates_of("cluster.cert_file", cert)?;
            let secret = PrivateKeyDer::from_pem_file(key)
                .map_err(|why| AccessError::file("cluster.key_file", key, in_words(&why)))?;
            let config = builder.with_client_auth_cert(certificates, secret);
            config.map_err(|why| AccessError::file("cluster.key_file", key, why))?
        }
        (None, None) => builder.with_no_client_auth(),
        (Some(_), None) => return Err(AccessError::Certificates("cluster.cert_file: needs cluster.key_file".into())),
        (None, Some(_)) => return Err(AccessError::Certificates("cluster.key_file: needs cluster.cert_file".into())),
    };
    Ok(Arc::new(config))
}

/// One side of a handshake with the server of this name, before the first byte.
pub(super) fn begin(config: &Arc<ClientConfig>, name: &str) -> Result<ClientConnection, Fault> {
    let server = ServerName::try_from(name.to_owned())
        .map_err(|_| Fault::Certificate(format!("no certificate can be for the name {name:?}")))?;
    ClientConnection::new(Arc::clone(config), server).map_err(|error| Fault::of_tls(&error))
}

fn roots_of(path: &Path) -> Result<RootCertStore, AccessError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates_of("cluster.ca_file", path)? {
        roots.add(certificate).map_err(|why| AccessError::file("cluster.ca_file", path, why))?;
    }
    Ok(roots)
}

fn roots_of_the_system() -> Result<RootCertStore, AccessError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Systems have old ones among them that nobody can read any more.
    let (usable, _) = roots.add_parsable_certificates(found.certs);
    if usable > 0 {
        return Ok(roots);
    }
    let why = found.errors.first().map_or_else(String::new, |error| format!(": {error}"));
    Err(AccessError::Certificates(format!(
        "cluster.ca_file: the system has no certificates that Redis's could be checked against, so name a file{why}"
    )))
}

fn certificates_of(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, AccessError> {
    let certificates = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(AccessError::file(key, path, "holds no certificate")),
        Ok(certificates) => Ok(certificates),
        Err(why) => Err(AccessError::file(key, path, in_words(&why))),
    }
}

fn in_words(error: &pem::Error) -> String {
    match error {
        pem::Error::Io(why) => why.to_string(),
        pem::Error::NoItemsFound => "holds no key in PEM".into(),
        other => format!("is not PEM: {other}"),
    }
}
