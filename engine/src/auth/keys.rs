//! The keys tokens are checked with: where they come from, which one fits a token, and the check itself.
//!
//! Every key is bound to one algorithm when it is loaded, so that what a token says about itself never decides how
//! a key is used (RFC 8725 §3.1). Knows nothing of what the claims mean.

use std::collections::HashSet;
use std::fs;

use epush_core::error::Refusal;
use jsonwebtoken::crypto::rust_crypto;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, OctetKeyPairParameters, PublicKeyUse,
};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, Header, Validation, decode, decode_header};
use serde::Deserialize;

use super::claims::Claims;
use super::{AuthError, AuthSetup, unauthorized};

/// Bytes of a secret under which HS256 can be guessed by trying (RFC 7518 §3.2).
const SECRET_BYTES_SAFE: usize = 32;

/// Bytes of an RSA modulus: RFC 7518 §3.3 asks for 2048 bits, and the RSA library stops at 4096.
const MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=512;

/// What every PEM file has (RFC 7468 §2).
const PEM_MARK: &[u8] = b"-----BEGIN ";

/// All keys of the configuration.
pub(super) struct KeyRing {
    /// Invariant: no two keys share algorithm and `kid`, but several may have none.
    keys: Vec<Key>,
}

struct Key {
    kid: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
    /// The library's own rules: this algorithm and nothing else, claims are ours to check.
    validation: Validation,
}

impl KeyRing {
    /// Reads the secret, the key file and the key set, whichever are set.
    pub fn load(setup: &AuthSetup) -> Result<Self, AuthError> {
        let accepted = parse_algorithms(&setup.algorithms)?;
        let mut ring = Self { keys: Vec::new() };
        if !setup.secret.is_empty() {
            ring.add("auth.secret", Key::from_secret("auth.secret", setup.secret.as_bytes()), &accepted)?;
        }
        if !setup.key_file.is_empty() {
            ring.add("auth.key_file", read_key(&setup.key_file, &accepted)?, &accepted)?;
        }
        if !setup.jwks_file.is_empty() {
            ring.add_key_set(&setup.jwks_file, &accepted)?;
        }
        Ok(ring)
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The claims of a token whose signature holds.
    pub fn open(&self, token: &str) -> Result<Claims, Refusal> {
        let Ok(header) = decode_header(token) else {
            return Err(unauthorized("the token is not a JWT, or its algorithm is not known"));
        };
        // RFC 7515 §4.1.11: an extension marked critical that is not understood makes the token invalid.
        if header.crit.is_some() {
            return Err(unauthorized("the token has critical extensions"));
        }
        let key = self.pick(&header)?;
        decode::<Claims>(token, &key.key, &key.validation).map(|data| data.claims).map_err(|error| match error.kind() {
            ErrorKind::InvalidSignature => unauthorized("the token's signature does not match"),
            _ => unauthorized("the token cannot be decoded"),
        })
    }

    /// The key a token is for: the one it names, else the only nameless one of its algorithm.
    fn pick(&self, header: &Header) -> Result<&Key, Refusal> {
        let fitting = || self.keys.iter().filter(|key| key.algorithm == header.alg);
        let named = fitting().find(|key| key.kid.is_some() && key.kid == header.kid);
        if let Some(key) = named {
            return Ok(key);
        }
        // A secret or a PEM file has no name, so it serves whatever name the issuer gave it. A named key serves
        // its name only, and tokens without one.
        let mut candidates = fitting().filter(|key| header.kid.is_none() || key.kid.is_none());
        match (candidates.next(), candidates.next()) {
            (Some(key), None) => Ok(key),
            (Some(_), Some(_)) => Err(unauthorized("the token does not say which key signed it")),
            (None, _) => Err(unauthorized("no key fits the token")),
        }
    }

    fn add(&mut self, source: &'static str, key: Key, accepted: &[Algorithm]) -> Result<(), AuthError> {
        if !accepted.contains(&key.algorithm) {
            return Err(AuthError::NotAccepted { key: source, algorithm: name_of(key.algorithm) });
        }
        self.keys.push(key);
        Ok(())
    }

    /// Adds the usable keys of a set. Providers publish keys for other purposes beside the ones we want, so a key we
    /// cannot use is no error, but a set without any that we can is.
    fn add_key_set(&mut self, path: &str, accepted: &[Algorithm]) -> Result<(), AuthError> {
        #[derive(Deserialize)]
        struct KeySet {
            keys: Vec<serde_json::Value>,
        }
        let bad = |why| AuthError::BadKey { key: "auth.jwks_file", path: path.to_owned(), why };
        let set: KeySet =
            serde_json::from_slice(&read("auth.jwks_file", path)?).map_err(|_| bad("not a JSON Web Key Set"))?;
        let before = self.keys.len();
        for (position, value) in set.keys.into_iter().enumerate() {
            let added = Key::from_jwk(value).and_then(|key| self.add_of_set(key, accepted));
            if let Err(why) = added {
                tracing::warn!(path, position, "key skipped: {why}");
            }
        }
        if self.keys.len() == before {
            return Err(bad("no usable key in the set"));
        }
        Ok(())
    }

    fn add_of_set(&mut self, key: Key, accepted: &[Algorithm]) -> Result<(), &'static str> {
        if !accepted.contains(&key.algorithm) {
            return Err("auth.algorithms does not accept its algorithm");
        }
        let same = |other: &Key| other.kid == key.kid && other.algorithm == key.algorithm;
        if key.kid.is_some() && self.keys.iter().any(same) {
            return Err("an earlier key has the same kid");
        }
        self.keys.push(key);
        Ok(())
    }
}

impl Key {
    fn new(kid: Option<String>, algorithm: Algorithm, key: DecodingKey) -> Self {
        let mut validation = Validation::new(algorithm);
        // The library would read the system's clock, and takes "exp" for required: claims are checked in `claims`.
        validation.required_spec_claims = HashSet::new();
        validation.validate_exp = false;
        validation.validate_aud = false;
        Self { kid, algorithm, key, validation }
    }

    fn from_secret(source: &'static str, secret: &[u8]) -> Self {
        if secret.len() < SECRET_BYTES_SAFE {
            tracing::warn!("{source}: a secret shorter than {SECRET_BYTES_SAFE} bytes can be guessed");
        }
        Self::new(None, Algorithm::HS256, DecodingKey::from_secret(secret))
    }

    fn from_jwk(value: serde_json::Value) -> Result<Self, &'static str> {
        let jwk: Jwk = serde_json::from_value(value).map_err(|_| "not a JSON Web Key")?;
        let algorithm = algorithm_of(&jwk.algorithm).ok_or("its type or curve is not supported")?;
        let common = &jwk.common;
        if common.key_algorithm.is_some_and(|other| other != KeyAlgorithm::from(algorithm)) {
            return Err("it is for another algorithm");
        }
        if common.public_key_use.as_ref().is_some_and(|usage| *usage != PublicKeyUse::Signature)
            || common.key_operations.as_ref().is_some_and(|all| !all.contains(&KeyOperations::Verify))
        {
            return Err("it is not for verifying signatures");
        }
        let key = DecodingKey::from_jwk(&jwk).map_err(|_| "its numbers are not base64url")?;
        check(algorithm, &key)?;
        Ok(Self::new(jwk.common.key_id, algorithm, key))
    }
}

fn parse_algorithms(names: &[String]) -> Result<Vec<Algorithm>, AuthError> {
    let parse = |name: &String| match name.as_str() {
        "HS256" => Ok(Algorithm::HS256),
        "RS256" => Ok(Algorithm::RS256),
        "ES256" => Ok(Algorithm::ES256),
        "EdDSA" => Ok(Algorithm::EdDSA),
        _ => Err(AuthError::UnknownAlgorithm(name.clone())),
    };
    names.iter().map(parse).collect()
}

fn name_of(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::HS256 => "HS256",
        Algorithm::RS256 => "RS256",
        Algorithm::ES256 => "ES256",
        Algorithm::EdDSA => "EdDSA",
        _ => "another algorithm",
    }
}

fn algorithm_of(parameters: &AlgorithmParameters) -> Option<Algorithm> {
    match parameters {
        AlgorithmParameters::OctetKey(_) => Some(Algorithm::HS256),
        AlgorithmParameters::RSA(_) => Some(Algorithm::RS256),
        AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P256 => Some(Algorithm::ES256),
        AlgorithmParameters::OctetKeyPair(OctetKeyPairParameters { curve: EllipticCurve::Ed25519, .. }) => {
            Some(Algorithm::EdDSA)
        }
        _ => None,
    }
}

/// Whether the key is one. The library looks at most of them only when a signature is checked, and there panics on
/// an Ed25519 key that is too short: a bad key must be found here, where it can be reported.
fn check(algorithm: Algorithm, key: &DecodingKey) -> Result<(), &'static str> {
    match algorithm {
        Algorithm::HS256 if key.try_get_as_bytes().is_ok_and(<[u8]>::is_empty) => return Err("an empty secret"),
        Algorithm::EdDSA if !key.try_get_as_bytes().is_ok_and(|bytes| bytes.len() == 32) => {
            return Err("not an Ed25519 public key");
        }
        Algorithm::RS256 if !modulus_bytes(key).is_some_and(|bytes| MODULUS_BYTES.contains(&bytes)) => {
            return Err("not an RSA public key of 2048 to 4096 bits");
        }
        _ => {}
    }
    let usable = jsonwebtoken::crypto::verify("", b"", key, algorithm);
    usable.map(drop).map_err(|_| "not a point of the algorithm's curve")
}

fn modulus_bytes(key: &DecodingKey) -> Option<usize> {
    let significant = |modulus: &[u8]| modulus.iter().skip_while(|byte| **byte == 0).count();
    match key.kind() {
        DecodingKeyKind::RsaModulusExponent { n, .. } => Some(significant(n)),
        DecodingKeyKind::SecretOrDer(der) => {
            let components = rust_crypto::DEFAULT_PROVIDER.key_utils.rsa_pub_components_from_public_key;
            components(der).ok().map(|(modulus, _)| significant(&modulus))
        }
    }
}

fn read(key: &'static str, path: &str) -> Result<Vec<u8>, AuthError> {
    fs::read(path).map_err(|source| AuthError::Unreadable { key, path: path.to_owned(), source })
}

/// The key of a file: a public key in PEM format, or a raw secret.
///
/// A file is a secret only where HS256 is all that is accepted: a public key in some other format must never become
/// a secret that everybody knows.
fn read_key(path: &str, accepted: &[Algorithm]) -> Result<Key, AuthError> {
    let bad = |why| AuthError::BadKey { key: "auth.key_file", path: path.to_owned(), why };
    let bytes = read("auth.key_file", path)?;
    let pem = bytes.windows(PEM_MARK.len()).any(|window| window == PEM_MARK);
    if !pem && accepted == [Algorithm::HS256] {
        // Editors and `echo` end a file with a newline that nobody means.
        let secret = bytes.trim_ascii_end();
        return if secret.is_empty() {
            Err(bad("an empty secret"))
        } else {
            Ok(Key::from_secret("auth.key_file", secret))
        };
    }
    let (algorithm, key) = DecodingKey::from_ed_pem(&bytes)
        .map(|key| (Algorithm::EdDSA, key))
        .or_else(|_| DecodingKey::from_ec_pem(&bytes).map(|key| (Algorithm::ES256, key)))
        .or_else(|_| DecodingKey::from_rsa_pem(&bytes).map(|key| (Algorithm::RS256, key)))
        .map_err(|_| bad("no PEM file with an Ed25519, P-256 or RSA public key"))?;
    check(algorithm, &key).map_err(bad)?;
    Ok(Key::new(None, algorithm, key))
}
