//! `config/production.toml` as it ships, with the keys it asks for: behind the nginx that ships, and behind a load
//! balancer that speaks PROXY protocol v2.

use std::net::Ipv4Addr;

use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use tempfile::TempDir;

use crate::support::client::Dial;
use crate::support::nginx::Nginx;
use crate::support::raw::{proxy_v2, upgrade_request};
use crate::support::token::now_s;
use crate::support::tools::{repository_file, test_file};
use crate::support::{Api, Client, Node, json};

/// Its origin is one of those the file names.
const ORIGIN: (&str, &str) = ("Origin", "https://example.com");

const API_KEY: &str = "key-of-the-publisher";

/// A node on the shipped file, and what it reads beside it.
struct Production {
    node: Node,
    signing: EncodingKey,
    _keys: TempDir,
}

impl Production {
    fn start(args: &[&str]) -> Self {
        let keys = tempfile::tempdir().expect("a temporary directory");
        let file = |name: &str, text: &str| {
            let path = keys.path().join(name);
            std::fs::write(&path, text).expect("writable");
            path.display().to_string()
        };
        let pem = std::fs::read(test_file("fixtures/es256.key.pem")).expect("the key");
        let signing = EncodingKey::from_ec_pem(&pem).expect("a key");
        let mut jwk = Jwk::from_encoding_key(&signing, Algorithm::ES256).expect("a JWK");
        jwk.common.key_id = Some("1".into());
        let jwks = file("jwks.json", &serde_json::to_string(&JwkSet { keys: vec![jwk] }).expect("JSON"));
        let api_keys = file("api-keys", &format!("{API_KEY}\n"));
        let shipped = std::fs::read_to_string(repository_file("config/production.toml")).expect("the file");
        // Only where it listens and where the keys are is different here.
        let node = Node::setup(&shipped)
            .env("EPUSH_AUTH_JWKS_FILE", &jwks)
            .env("EPUSH_API_KEYS_FILE", &api_keys)
            .args(args)
            .start();
        Self { node, signing, _keys: keys }
    }

    fn token(&self, user: &str) -> String {
        let header = Header { kid: Some("1".into()), ..Header::new(Algorithm::ES256) };
        let claims = json!({"sub": user, "aud": "epush", "exp": now_s() + 3600});
        encode(&header, &claims, &self.signing).expect("a token")
    }

    fn api(&self) -> Api {
        self.node.api().key(API_KEY)
    }

    fn remote_of(&self, user: &str) -> serde_json::Value {
        self.api().get(&format!("/v1/users/{user}")).json()["sessions"][0]["remote"].clone()
    }
}

#[test]
fn it_serves_signed_in_clients_behind_nginx_and_takes_pushes_with_a_key() {
    let production = Production::start(&[]);
    let nginx = Nginx::in_front_of(&production.node);
    let url = nginx.url("/msg");
    assert_eq!(Client::refused(&format!("{url}?token=x.y.z")), 401);
    Client::open(&url).error(json!({"op": "subscribe", "channel": "news"}), "unauthorized");
    let bearer = format!("Bearer {}", production.token("42"));
    let dial = || Dial::default().header("Authorization", &bearer);
    assert_eq!(dial().header("Origin", "https://elsewhere.example").connect(&url).err(), Some(403));

    let mut client = dial().header(ORIGIN.0, ORIGIN.1).header("X-Forwarded-For", "203.0.113.7").open(&url);
    assert_eq!(client.welcome["user"], "42");
    // nginx and whoever dialled it are on this machine, which the file trusts: the client is who stands before them.
    assert_eq!(production.remote_of("42"), "203.0.113.7");
    client.subscribe("news");
    client.error(json!({"op": "publish", "channel": "news", "data": 1}), "forbidden");

    let push = json!({"to": {"channels": ["news"]}, "data": "through the API"});
    let mut keyless = production.api().key("key-of-nobody");
    assert_eq!(keyless.post("/v1/push", &push).status, 401);
    let reply = production.api().post("/v1/push", &push);
    assert_eq!((reply.status, &reply.json()["local"]), (202, &json!(1)));
    client.expect_message("through the API");
    assert_eq!(client.close(), 1000);
}

#[test]
fn it_serves_clients_behind_a_load_balancer_that_speaks_proxy_v2() {
    let production = Production::start(&["--set", "server.proxy_protocol=true"]);
    let mut raw = production.node.raw();
    raw.send(&proxy_v2(Ipv4Addr::new(203, 0, 113, 7)));
    raw.send(upgrade_request(&format!("/msg?token={}", production.token("42")), "").as_bytes());
    assert!(raw.read_head().starts_with("HTTP/1.1 101 "));
    assert!(raw.read_frame().1.starts_with(b"{\"op\":\"welcome\""));
    assert_eq!(production.remote_of("42"), "203.0.113.7");
}
