//! Signed tokens: who gets in, as whom, and for how long.

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};

use crate::support::client::Dial;
use crate::support::token::{SECRET, hs256, jwt_config, key_pair, now_s, token_of};
use crate::support::{Client, Node, json};

#[test]
fn a_token_in_the_query_or_the_header_names_the_user() {
    let node = Node::with(&jwt_config(""));
    let token = token_of("42");
    assert_eq!(node.client(&format!("/msg?token={token}")).welcome["user"], "42");
    let client = Dial::default().header("Authorization", &format!("Bearer {token}")).open(&node.url("/msg"));
    assert_eq!(client.welcome["user"], "42");
}

#[test]
fn a_bad_token_is_401() {
    let node = Node::with(&jwt_config("issuer = \"https://id.example\"\naudience = \"epush\""));
    let (later, earlier) = (now_s() + 3600, now_s() - 10);
    let good = json!({"sub": "42", "exp": later, "iss": "https://id.example", "aud": "epush"});
    let with = |key: &str, value: serde_json::Value| {
        let mut claims = good.clone();
        claims[key] = value;
        hs256(&claims)
    };
    let url = |token: &str| node.url(&format!("/msg?token={token}"));
    Client::open(&url(&hs256(&good)));
    for (why, token) in [
        ("expired", with("exp", json!(earlier))),
        ("not yet", with("nbf", json!(later))),
        ("another issuer", with("iss", json!("https://other.example"))),
        ("another audience", with("aud", json!("other"))),
        ("no token", "x.y.z".into()),
        ("cut", hs256(&good)[..40].into()),
        ("another secret", forged(&good, Algorithm::HS256, b"another secret of thirty-two bytes.")),
        ("another algorithm", forged(&good, Algorithm::HS384, SECRET.as_bytes())),
        ("no signature", unsigned(&good)),
    ] {
        assert_eq!(Client::refused(&url(&token)), 401, "{why}");
    }
}

fn forged(claims: &serde_json::Value, algorithm: Algorithm, secret: &[u8]) -> String {
    encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(secret)).expect("claims")
}

/// `alg: none`, the oldest trick there is.
fn unsigned(claims: &serde_json::Value) -> String {
    let signed = hs256(claims);
    let payload = signed.split('.').nth(1).expect("three parts");
    // {"alg":"none","typ":"JWT"}
    format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{payload}.")
}

#[test]
fn the_user_in_the_path_must_be_the_tokens() {
    let node = Node::with(&jwt_config(""));
    let token = token_of("42");
    assert_eq!(node.client(&format!("/msg/42?token={token}")).welcome["user"], "42");
    for path in ["/msg/7?", "/msg?user=7&", "/msg?userId=7&"] {
        assert_eq!(Client::refused(&node.url(&format!("{path}token={token}"))), 403, "{path}");
    }
}

#[test]
fn hello_signs_in_once() {
    let node = Node::with(&jwt_config(""));
    let mut client = node.anyone();
    assert!(client.welcome["user"].is_null());
    client.error(json!({"op": "subscribe", "channel": "news"}), "unauthorized");
    let ok = client.ok(json!({"op": "hello", "token": token_of("42")}));
    assert_eq!(ok["user"], "42");
    assert_eq!(ok["session"], client.welcome["session"]);
    assert_eq!(node.push(&json!({"to": {"users": ["42"]}, "data": 1}))["local"], 1);
    client.expect_message(1);
    let repeated = client.call(json!({"op": "hello", "token": token_of("42")}));
    assert_eq!(repeated["op"], "error", "{repeated}");
    assert_eq!(client.call(json!({"op": "ping"}))["op"], "pong", "and the connection stays open");
}

#[test]
fn a_bad_hello_ends_the_session_with_4003() {
    let node = Node::with(&jwt_config(""));
    let mut client = node.anyone();
    client.send(&json!({"op": "hello", "id": 1, "token": "x.y.z"}));
    let goodbye = client.expect_goodbye(4003, "unauthorized");
    assert_eq!(goodbye["reconnect"], false, "{goodbye}");
}

#[test]
fn who_does_not_sign_in_is_closed_with_4503() {
    let node = Node::with(&jwt_config("sign_in_timeout_ms = 200"));
    let mut client = node.anyone();
    let goodbye = client.expect_goodbye(4503, "sign_in_timeout");
    assert_eq!(goodbye["reconnect"], true, "{goodbye}");
}

#[test]
fn where_anonymous_sessions_are_allowed_nobody_has_to_sign_in_and_everybody_may() {
    let node = Node::with(&jwt_config("anonymous = true\nsign_in_timeout_ms = 100"));
    let mut client = node.anyone();
    client.subscribe("ticks");
    // The node's own clock passes the time-out: three ticks of it.
    let tick = json!({"to": {"channels": ["ticks"]}, "interval_ms": 100, "source": {"template": "tick"}});
    node.api().put("/v1/schedules/ticks", &tick);
    for _ in 0..3 {
        client.expect_message("tick");
    }
    assert_eq!(client.ok(json!({"op": "hello", "token": token_of("42")}))["user"], "42");
}

#[test]
fn a_session_ends_with_its_token() {
    let node = Node::with(&jwt_config(""));
    let exp = now_s() + 2;
    let mut client = node.client(&format!("/msg?token={}", hs256(&json!({"sub": "42", "exp": exp}))));
    let goodbye = client.expect_goodbye(4004, "token_expired");
    assert_eq!(goodbye["reconnect"], false, "{goodbye}");
    assert!(now_s() >= exp, "not before");
}

#[test]
fn the_channels_claim_subscribes_at_once_whatever_the_rules_say() {
    let node = Node::with(&jwt_config("\n[channels]\nsubscribe = \"nobody\"\n"));
    let claims = json!({"sub": "42", "exp": now_s() + 3600, "channels": ["news", "room.7"]});
    let mut client = node.client(&format!("/msg?token={}", hs256(&claims)));
    for channel in ["news", "room.7"] {
        assert_eq!(node.push(&json!({"to": {"channels": [channel]}, "data": channel}))["local"], 1);
        client.expect_message(channel);
    }
    client.error(json!({"op": "subscribe", "channel": "other"}), "forbidden");

    let mut late = node.anyone();
    late.ok(json!({"op": "hello", "token": hs256(&claims)}));
    node.push(&json!({"to": {"channels": ["news"]}, "data": 2}));
    late.expect_message(2);
}

#[test]
fn public_keys_of_three_kinds_are_read_from_a_file() {
    for (algorithm, name) in [(Algorithm::RS256, "RS256"), (Algorithm::ES256, "ES256"), (Algorithm::EdDSA, "EdDSA")] {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (public, private) = key_pair(dir.path(), algorithm);
        let node = Node::with(&format!(
            "[auth]\nmode = \"jwt\"\nalgorithms = [\"{name}\"]\nkey_file = \"{}\"\n",
            public.display()
        ));
        let claims = json!({"sub": "42", "exp": now_s() + 3600});
        let token = encode(&Header::new(algorithm), &claims, &private).expect("claims");
        assert_eq!(node.client(&format!("/msg?token={token}")).welcome["user"], "42", "{name}");
        // A public key is no shared secret.
        let pem = std::fs::read(&public).expect("the public key");
        let forged = forged(&claims, Algorithm::HS256, &pem);
        assert_eq!(Client::refused(&node.url(&format!("/msg?token={forged}"))), 401, "{name}");
    }
}
