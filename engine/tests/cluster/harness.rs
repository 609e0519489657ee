//! The forms of Redis and the proxy of the tests themselves, without any node.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::client::tcp;
use crate::support::redis::SERVICE;
use crate::support::{PATIENCE, Proxy, Redis, eventually};

#[test]
fn a_redis_restarts_empty_on_its_port_and_hangs_and_goes_on() {
    let mut redis = Redis::single();
    let () = redis.ask(&["SET", "a", "1"]);
    let port = redis.servers[0].port;
    redis.kill();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    redis.restart_empty();
    assert_eq!((redis.ask::<Option<String>>(&["GET", "a"]), redis.servers[0].port), (None, port));

    let mut raw = tcp(([127, 0, 0, 1], port).into(), None);
    redis.hang();
    raw.write_all(b"PING\r\n").unwrap();
    raw.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert!(raw.read(&mut [0; 16]).is_err(), "it hangs");
    redis.go_on();
    raw.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = [0; 7];
    raw.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"+PONG\r\n");
}

#[test]
fn a_redis_with_a_login_or_tls_lets_nobody_else_in() {
    let refused = |redis: &Redis| {
        let mut raw = tcp(([127, 0, 0, 1], redis.servers[0].port).into(), None);
        raw.write_all(b"GET a\r\n").unwrap();
        let mut answer = [0; 7];
        raw.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"-NOAUTH");
    };
    refused(&Redis::with_password("secret"));
    let redis = Redis::with_user("push", "secret");
    refused(&redis);
    let users: Vec<String> = redis.ask(&["ACL", "USERS"]);
    assert_eq!(users, ["default", "keeper", "push"]);

    let redis = Redis::with_tls();
    let port: u16 = redis.url.rsplit(':').next().unwrap().parse().unwrap();
    let mut raw = tcp(([127, 0, 0, 1], port).into(), None);
    raw.write_all(b"GET a\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = raw.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"$"), "not without TLS: {answer:?}");
}

#[test]
fn the_sentinels_make_the_replica_master() {
    let mut redis = Redis::sentinel();
    let replica = redis.servers[1].port;
    redis.servers[0].kill();
    eventually(PATIENCE, "the sentinels name the replica", || {
        let named: Vec<String> = redis.sentinels[0].ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE]);
        (named[1] == replica.to_string()).then_some(())
    });
    eventually(PATIENCE, "and it takes writes", || redis.servers[1].try_ask::<String>(&["SET", "a", "1"]).ok());
}

#[test]
fn a_redis_cluster_serves_all_slots_and_comes_back_after_a_restart() {
    let mut redis = Redis::cluster();
    let slot: u64 = redis.ask(&["CLUSTER", "KEYSLOT", "a"]);
    let owner = [0..5461, 5461..10_923, 10_923..16_384].iter().position(|slots| slots.contains(&slot)).unwrap();
    let () = redis.servers[owner].ask(&["SET", "a", "1"]);
    assert!(redis.servers[(owner + 1) % 3].try_ask::<String>(&["GET", "a"]).is_err(), "it has moved");
    redis.kill();
    redis.restart_empty();
    redis.expect_cluster();
    assert_eq!(redis.servers[owner].ask::<Option<String>>(&["GET", "a"]), None);
}

#[test]
fn a_proxy_passes_cuts_holds_heals_and_stalls_subscribers_only() {
    let redis = Redis::single();
    let proxy = Proxy::to(redis.servers[0].port);
    let ping = |stream: &mut TcpStream| {
        stream.write_all(b"PING\r\n").unwrap();
        let mut answer = [0; 7];
        stream.read_exact(&mut answer).map(|()| answer)
    };
    let hurried = || {
        let stream = tcp(proxy.address, None);
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        stream
    };
    let mut stream = tcp(proxy.address, None);
    assert_eq!(ping(&mut stream).unwrap(), *b"+PONG\r\n");
    proxy.cut();
    assert_eq!(stream.read(&mut [0; 1]).unwrap_or(0), 0, "it ended");
    assert_eq!(tcp(proxy.address, None).read(&mut [0; 1]).unwrap_or(0), 0, "so does a new one");

    proxy.heal();
    let mut stream = hurried();
    proxy.hold();
    assert!(ping(&mut stream).is_err());
    proxy.heal();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut late = [0; 7];
    stream.read_exact(&mut late).unwrap();
    assert_eq!(&late, b"+PONG\r\n", "held bytes pass after all");

    let mut subscriber = hurried();
    subscriber.write_all(b"SUBSCRIBE a\r\n").unwrap();
    assert!(subscriber.read(&mut [0; 64]).unwrap() > 0);
    proxy.stall_subscribers();
    let _: u64 = redis.ask(&["PUBLISH", "a", "x"]);
    assert!(subscriber.read(&mut [0; 64]).is_err(), "the subscriber hears nothing");
    assert_eq!(ping(&mut stream).unwrap(), *b"+PONG\r\n", "the other does");
}
