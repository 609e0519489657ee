//! Signed tokens, and keys made for the test that uses them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::Value;

use super::tools::tool;

/// The shared secret of the HS256 tests.
pub const SECRET: &str = "a secret of at least thirty-two bytes";

/// A config that asks for HS256 tokens signed with [`SECRET`].
pub fn jwt_config(more: &str) -> String {
    format!("[auth]\nmode = \"jwt\"\nsecret = \"{SECRET}\"\n{more}\n")
}

/// An HS256 token with these claims.
pub fn hs256(claims: &Value) -> String {
    encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(SECRET.as_bytes())).expect("claims")
}

/// A token of the user that is good for an hour.
pub fn token_of(user: &str) -> String {
    hs256(&serde_json::json!({"sub": user, "exp": now_s() + 3600}))
}

/// Seconds since 1970.
pub fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

/// A key pair in `dir`, made by openssl: the public key's file and the private key.
pub fn key_pair(dir: &Path, algorithm: Algorithm) -> (PathBuf, EncodingKey) {
    let (private, public) = (dir.join("private.pem"), dir.join("public.pem"));
    let kind: &[&str] = match algorithm {
        Algorithm::RS256 => &["RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
        Algorithm::ES256 => &["EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
        Algorithm::EdDSA => &["ED25519"],
        other => panic!("no keys for {other:?}"),
    };
    openssl(Command::new(tool("openssl")).args(["genpkey", "-algorithm"]).args(kind).arg("-out").arg(&private));
    openssl(Command::new(tool("openssl")).args(["pkey", "-pubout", "-in"]).arg(&private).arg("-out").arg(&public));
    let pem = std::fs::read(&private).expect("openssl wrote it");
    let key = match algorithm {
        Algorithm::RS256 => EncodingKey::from_rsa_pem(&pem),
        Algorithm::ES256 => EncodingKey::from_ec_pem(&pem),
        _ => EncodingKey::from_ed_pem(&pem),
    };
    (public, key.expect("a key openssl made"))
}

fn openssl(command: &mut Command) {
    let output = command.output().expect("openssl starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
