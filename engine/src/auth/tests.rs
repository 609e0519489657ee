//! Tokens and keys, from the files to the identity.

use std::io::Write;

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::fixtures::{NOW, SECRET, hs256, hs256_setup, path, private, read, sign};
use super::*;

const CLAIMS: &str = r#"{"sub":"42"}"#;
const PUBLIC: [(Algorithm, &str); 3] =
    [(Algorithm::RS256, "rs256"), (Algorithm::ES256, "es256"), (Algorithm::EdDSA, "eddsa")];

fn all_algorithms() -> Vec<String> {
    ["HS256", "RS256", "ES256", "EdDSA"].map(String::from).to_vec()
}

fn pem_setup(file: &str) -> AuthSetup {
    AuthSetup { mode: AuthMode::Jwt, algorithms: all_algorithms(), key_file: path(file), ..AuthSetup::default() }
}

fn pem(file: &str) -> Auth {
    Auth::load(&pem_setup(file)).expect(file)
}

fn load_error(setup: &AuthSetup) -> String {
    Auth::load(setup).err().expect("must not load").to_string()
}

fn user(auth: &Auth, token: &str) -> Result<String, String> {
    let outcome = auth.verify(token, NOW);
    outcome.map(|identity| identity.user.expect("a user").to_string()).map_err(|refusal| {
        assert_eq!(refusal.code, ErrorCode::Unauthorized);
        refusal.message.into_owned()
    })
}

fn jwk(algorithm: Algorithm, key: &EncodingKey, kid: &str) -> Value {
    let mut jwk = Jwk::from_encoding_key(key, algorithm).expect("a JWK");
    jwk.common.key_id = Some(kid.into());
    serde_json::to_value(jwk).expect("JSON")
}

fn private_of(algorithm: Algorithm, name: &str) -> EncodingKey {
    private(algorithm, &format!("{name}.key.pem"))
}

fn with_kid(algorithm: Algorithm, kid: &str) -> Header {
    Header { kid: Some(kid.into()), ..Header::new(algorithm) }
}

/// A file with this key set, and a setup that reads it.
fn key_set(keys: &[Value]) -> (tempfile::NamedTempFile, AuthSetup) {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(json!({ "keys": keys }).to_string().as_bytes()).expect("written");
    let jwks_file = file.path().display().to_string();
    (file, AuthSetup { mode: AuthMode::Jwt, algorithms: all_algorithms(), jwks_file, ..AuthSetup::default() })
}

fn forge(header: &str, claims: &str, signature: &str) -> String {
    // An encoder of the library's would refuse to write such headers: a JWK's "k" is the base64url we need.
    let base64url = |text: &str| {
        let jwk = jwk(Algorithm::HS256, &EncodingKey::from_secret(text.as_bytes()), "");
        jwk["k"].as_str().expect("base64url").to_owned()
    };
    format!("{}.{}.{signature}", base64url(header), base64url(claims))
}

#[test]
fn each_algorithm_signs_in_with_its_own_key_only() {
    assert_eq!(user(&Auth::load(&hs256_setup(SECRET)).expect("keys"), &hs256(SECRET, CLAIMS)), Ok("42".into()));
    for (algorithm, name) in PUBLIC {
        let auth = pem(&format!("{name}.pub.pem"));
        let header = Header::new(algorithm);
        let token = sign(&header, &private_of(algorithm, name), CLAIMS);
        assert_eq!(user(&auth, &token), Ok("42".into()), "{name}");
        let other = sign(&header, &private(algorithm, &format!("{name}_other.key.pem")), CLAIMS);
        assert_eq!(user(&auth, &other), Err("the token's signature does not match".into()), "{name}");
    }
}

#[test]
fn a_token_of_an_algorithm_without_a_key_is_refused() {
    for (algorithm, name) in PUBLIC {
        let token = sign(&Header::new(algorithm), &private_of(algorithm, name), CLAIMS);
        let others = PUBLIC.iter().filter(|(other, _)| *other != algorithm);
        for (_, other) in others {
            assert_eq!(user(&pem(&format!("{other}.pub.pem")), &token), Err("no key fits the token".into()));
        }
        let secret_only = Auth::load(&hs256_setup(SECRET)).expect("keys");
        assert_eq!(user(&secret_only, &token), Err("no key fits the token".into()));
    }
}

#[test]
fn a_public_key_is_never_taken_for_a_secret() {
    for (_, name) in PUBLIC {
        let file = format!("{name}.pub.pem");
        let secret = EncodingKey::from_secret(&read(&file));
        let token = sign(&Header::new(Algorithm::HS256), &secret, CLAIMS);
        assert_eq!(user(&pem(&file), &token), Err("no key fits the token".into()));
        let both = Auth::load(&AuthSetup { secret: SECRET.into(), ..pem_setup(&file) }).expect("keys");
        assert_eq!(user(&both, &token), Err("the token's signature does not match".into()));
    }
}

#[test]
fn unsigned_tokens_are_refused_however_none_is_written() {
    let auth = Auth::load(&hs256_setup(SECRET)).expect("keys");
    for alg in ["none", "None", "NONE", "", "HS1"] {
        for signature in ["", "AAAA"] {
            let token = forge(&json!({"typ": "JWT", "alg": alg}).to_string(), CLAIMS, signature);
            assert!(user(&auth, &token).is_err(), "{alg}");
        }
    }
    assert!(user(&auth, &forge(r#"{"alg":"HS256"}"#, CLAIMS, "")).is_err());
}

#[test]
fn an_algorithm_of_the_right_family_is_still_not_the_configured_one() {
    let auth = Auth::load(&hs256_setup(SECRET)).expect("keys");
    let hs512 = sign(&Header::new(Algorithm::HS512), &EncodingKey::from_secret(SECRET.as_bytes()), CLAIMS);
    assert_eq!(user(&auth, &hs512), Err("no key fits the token".into()));
    let ps256 = sign(&Header::new(Algorithm::PS256), &private(Algorithm::RS256, "rs256.key.pem"), CLAIMS);
    assert_eq!(user(&pem("rs256.pub.pem"), &ps256), Err("no key fits the token".into()));
}

#[test]
fn a_changed_token_is_refused_wherever_it_was_changed() {
    for (auth, token) in [
        (Auth::load(&hs256_setup(SECRET)).expect("keys"), hs256(SECRET, CLAIMS)),
        (
            pem("es256.pub.pem"),
            sign(&Header::new(Algorithm::ES256), &private(Algorithm::ES256, "es256.key.pem"), CLAIMS),
        ),
    ] {
        for position in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).expect("ASCII");
            assert!(user(&auth, &changed).is_err(), "{position}: {changed}");
            assert!(user(&auth, &token[..position]).is_err(), "{position}");
        }
    }
}

#[test]
fn the_claims_are_checked_after_the_signature() {
    let setup = AuthSetup { issuer: "id".into(), audience: "epush".into(), ..hs256_setup(SECRET) };
    let auth = Auth::load(&setup).expect("keys");
    let verify = |json: &str| user(&auth, &hs256(SECRET, json));
    assert_eq!(verify(r#"{"sub":1,"iss":"id","aud":"epush","exp":1800000001,"nbf":1800000000}"#), Ok("1".into()));
    for (json, why) in [
        (r#"{"sub":1,"iss":"id","aud":"epush","exp":1800000000}"#, "the token has expired"),
        (r#"{"sub":1,"iss":"id","aud":"epush","nbf":1800000001}"#, "the token is not valid yet"),
        (r#"{"sub":1,"iss":"di","aud":"epush"}"#, "the token is from another issuer"),
        (r#"{"sub":1,"iss":"id","aud":"other"}"#, "the token is for another audience"),
        (r#"{"iss":"id","aud":"epush"}"#, "the token has no \"sub\""),
    ] {
        assert_eq!(verify(json), Err(why.into()), "{json}");
    }
    let other = hs256("another secret", r#"{"sub":1,"iss":"id","aud":"epush","exp":1}"#);
    assert_eq!(user(&auth, &other), Err("the token's signature does not match".into()));
}

#[test]
fn payloads_that_are_no_claims_are_refused() {
    let auth = Auth::load(&hs256_setup(SECRET)).expect("keys");
    for json in ["[]", "7", "\"text\"", "null"] {
        assert_eq!(user(&auth, &hs256(SECRET, json)), Err("the token cannot be decoded".into()), "{json}");
    }
    for text in ["", ".", "..", "...", "a.b.c", "\u{0}.\u{7f}.é"] {
        assert!(user(&auth, text).is_err(), "{text:?}");
    }
}

#[test]
fn an_oversized_token_is_refused_unseen() {
    let auth = Auth::load(&hs256_setup(SECRET)).expect("keys");
    let long = hs256(SECRET, &json!({"sub": "42", "pad": "x".repeat(TOKEN_BYTES_MAX)}).to_string());
    assert_eq!(user(&auth, &long), Err("the token is longer than 8192 bytes".into()));
    assert!(user(&auth, &"a.".repeat(TOKEN_BYTES_MAX / 2)).is_err());
}

#[test]
fn critical_extensions_are_refused() {
    let auth = Auth::load(&hs256_setup(SECRET)).expect("keys");
    let header = Header { crit: Some(vec!["b64".into()]), ..Header::new(Algorithm::HS256) };
    let token = sign(&header, &EncodingKey::from_secret(SECRET.as_bytes()), CLAIMS);
    assert_eq!(user(&auth, &token), Err("the token has critical extensions".into()));
}

#[test]
fn a_key_set_is_searched_by_the_name_in_the_token() {
    let old = private(Algorithm::RS256, "rs256.key.pem");
    let new = private(Algorithm::RS256, "rs256_other.key.pem");
    let ec = private(Algorithm::ES256, "es256.key.pem");
    let keys =
        [jwk(Algorithm::RS256, &old, "old"), jwk(Algorithm::RS256, &new, "new"), jwk(Algorithm::ES256, &ec, "ec")];
    let (_file, setup) = key_set(&keys);
    let auth = Auth::load(&setup).expect("keys");
    assert_eq!(user(&auth, &sign(&with_kid(Algorithm::RS256, "old"), &old, CLAIMS)), Ok("42".into()));
    assert_eq!(user(&auth, &sign(&with_kid(Algorithm::RS256, "new"), &new, CLAIMS)), Ok("42".into()));
    assert!(user(&auth, &sign(&with_kid(Algorithm::RS256, "old"), &new, CLAIMS)).is_err());
    let unknown = sign(&with_kid(Algorithm::RS256, "gone"), &new, CLAIMS);
    assert_eq!(user(&auth, &unknown), Err("no key fits the token".into()));
    let nameless = sign(&Header::new(Algorithm::RS256), &new, CLAIMS);
    assert_eq!(user(&auth, &nameless), Err("the token does not say which key signed it".into()));
    // The only key of its type needs no name.
    assert_eq!(user(&auth, &sign(&Header::new(Algorithm::ES256), &ec, CLAIMS)), Ok("42".into()));
}

#[test]
fn a_secret_or_a_pem_key_serves_tokens_of_any_key_name() {
    let auth = Auth::load(&hs256_setup(SECRET)).expect("keys");
    let token = sign(&with_kid(Algorithm::HS256, "any"), &EncodingKey::from_secret(SECRET.as_bytes()), CLAIMS);
    assert_eq!(user(&auth, &token), Ok("42".into()));
}

#[test]
fn every_kind_of_key_works_from_a_key_set() {
    for (algorithm, name) in PUBLIC {
        let key = private_of(algorithm, name);
        let (_file, setup) = key_set(&[jwk(algorithm, &key, "k")]);
        let auth = Auth::load(&setup).expect(name);
        assert_eq!(user(&auth, &sign(&with_kid(algorithm, "k"), &key, CLAIMS)), Ok("42".into()), "{name}");
    }
    let secret = EncodingKey::from_secret(SECRET.as_bytes());
    let (_file, setup) = key_set(&[jwk(Algorithm::HS256, &secret, "k")]);
    assert_eq!(user(&Auth::load(&setup).expect("keys"), &hs256(SECRET, CLAIMS)), Ok("42".into()));
}

#[test]
fn keys_a_set_has_for_others_are_skipped() {
    let key = private(Algorithm::EdDSA, "eddsa.key.pem");
    let good = jwk(Algorithm::EdDSA, &key, "good");
    let with = |name: &str, value: Value| {
        let mut key = good.clone();
        key[name] = value;
        key["kid"] = json!("other");
        key
    };
    let unusable = [
        json!("text"),
        json!({}),
        json!({"kty": "lattice", "kid": "q", "x": "AAAA"}),
        json!({"kty": "EC", "crv": "P-384", "x": "AAAA", "y": "AAAA"}),
        json!({"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"}),
        json!({"kty": "RSA", "n": "AQAB", "e": "AQAB"}),
        json!({"kty": "oct", "k": ""}),
        with("x", json!("AAAA")),
        with("x", json!("*")),
        with("use", json!("enc")),
        with("key_ops", json!(["sign"])),
        with("alg", json!("RS256")),
    ];
    let (_file, setup) = key_set(&[&unusable[..], &[good.clone(), with("use", json!("sig"))]].concat());
    let auth = Auth::load(&setup).expect("two good keys");
    assert_eq!(user(&auth, &sign(&with_kid(Algorithm::EdDSA, "good"), &key, CLAIMS)), Ok("42".into()));
    for key in unusable {
        let (_file, setup) = key_set(std::slice::from_ref(&key));
        assert!(load_error(&setup).contains("no usable key in the set"), "{key}");
    }
}

#[test]
fn keys_of_a_set_that_are_not_accepted_or_named_twice_are_skipped() {
    let first = private(Algorithm::EdDSA, "eddsa.key.pem");
    let second = private(Algorithm::EdDSA, "eddsa_other.key.pem");
    let (_file, mut setup) = key_set(&[jwk(Algorithm::EdDSA, &first, "k"), jwk(Algorithm::EdDSA, &second, "k")]);
    let auth = Auth::load(&setup).expect("keys");
    assert!(user(&auth, &sign(&with_kid(Algorithm::EdDSA, "k"), &first, CLAIMS)).is_ok());
    assert!(user(&auth, &sign(&with_kid(Algorithm::EdDSA, "k"), &second, CLAIMS)).is_err());
    setup.algorithms = vec!["RS256".into()];
    assert!(load_error(&setup).contains("no usable key in the set"));
}

#[test]
fn a_configuration_that_cannot_work_does_not_load() {
    let jwt = AuthSetup { mode: AuthMode::Jwt, algorithms: all_algorithms(), ..AuthSetup::default() };
    assert!(load_error(&jwt).contains("auth.secret, auth.key_file or auth.jwks_file must be set"));
    let none = AuthSetup { algorithms: vec!["none".into()], ..hs256_setup(SECRET) };
    assert_eq!(load_error(&none), "auth.algorithms: \"none\" is none of HS256, RS256, ES256, EdDSA");
    let missing = load_error(&pem_setup("missing.pem"));
    assert!(missing.starts_with("auth.key_file: ") && missing.contains("missing.pem: No such file"), "{missing}");
    let rsa = AuthSetup { algorithms: vec!["HS256".into()], ..pem_setup("rs256.pub.pem") };
    assert!(load_error(&rsa).starts_with("auth.key_file is a key for RS256, which"));
    let secret = AuthSetup { algorithms: vec!["RS256".into()], ..hs256_setup(SECRET) };
    assert!(load_error(&secret).starts_with("auth.secret is a key for HS256, which"));
    let text = AuthSetup { jwks_file: path("README.md"), ..jwt };
    let text = load_error(&text);
    assert!(text.starts_with("auth.jwks_file: ") && text.ends_with("README.md: not a JSON Web Key Set"), "{text}");
}

#[test]
fn a_pem_file_that_is_no_usable_public_key_does_not_load() {
    for file in ["README.md", "rs256.key.pem", "es256.key.pem", "eddsa.key.pem", "p384.pub.pem", "rsa1024.pub.pem"] {
        let why = load_error(&pem_setup(file));
        assert!(why.contains(file), "{why}");
    }
}

#[test]
fn a_file_is_a_secret_only_where_nothing_else_is_accepted() {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    writeln!(file, "{SECRET}").expect("written");
    let key_file = file.path().display().to_string();
    let setup = AuthSetup { key_file, ..hs256_setup("") };
    assert_eq!(user(&Auth::load(&setup).expect("keys"), &hs256(SECRET, CLAIMS)), Ok("42".into()));
    let more = AuthSetup { algorithms: all_algorithms(), ..setup.clone() };
    assert!(load_error(&more).contains("no PEM file"));
    file.as_file().set_len(0).expect("empty");
    assert!(load_error(&setup).contains("an empty secret"));
    for (_, name) in PUBLIC {
        let public = AuthSetup { key_file: path(&format!("{name}.pub.pem")), ..setup.clone() };
        assert!(load_error(&public).starts_with("auth.key_file is a key for"), "{name}");
    }
}
