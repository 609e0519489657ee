//! Tokens, keys and handshakes for the tests of this room.

use std::path::Path;

use epush_core::effect::Handshake;
use epush_core::id::ConnId;
use epush_core::message::UserName;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};

use super::AuthSetup;
use crate::config::AuthMode;

/// The time of the tests: 1 800 000 000 s.
pub const NOW: u64 = 1_800_000_000_000;

pub const SECRET: &str = "a secret of more than thirty-two bytes";

/// The path of a file in `tests/fixtures`.
pub fn path(file: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(file).display().to_string()
}

pub fn read(file: &str) -> Vec<u8> {
    std::fs::read(path(file)).expect(file)
}

/// The private key of `tests/fixtures/{file}`.
pub fn private(algorithm: Algorithm, file: &str) -> EncodingKey {
    let pem = read(file);
    match algorithm {
        Algorithm::RS256 => EncodingKey::from_rsa_pem(&pem),
        Algorithm::ES256 => EncodingKey::from_ec_pem(&pem),
        _ => EncodingKey::from_ed_pem(&pem),
    }
    .expect(file)
}

pub fn sign(header: &Header, key: &EncodingKey, json: &str) -> String {
    let claims: serde_json::Value = serde_json::from_str(json).expect("test JSON");
    encode(header, &claims, key).expect("a token")
}

pub fn hs256(secret: &str, json: &str) -> String {
    sign(&Header::new(Algorithm::HS256), &EncodingKey::from_secret(secret.as_bytes()), json)
}

pub fn hs256_setup(secret: &str) -> AuthSetup {
    AuthSetup { mode: AuthMode::Jwt, algorithms: vec!["HS256".into()], secret: secret.into(), ..AuthSetup::default() }
}

pub fn handshake(claimed: Option<&str>, token: Option<&str>) -> Handshake {
    Handshake {
        conn: ConnId { index: 1, generation: 0 },
        remote: [127, 0, 0, 1].into(),
        path: "/msg".into(),
        query: Vec::new(),
        headers: Vec::new(),
        token: token.map(Into::into),
        claimed_user: claimed.and_then(UserName::parse),
        claims_bad_user: false,
    }
}
