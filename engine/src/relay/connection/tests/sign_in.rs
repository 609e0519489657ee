//! Who gets in, and what the others are told.

use std::net::TcpListener;

use redis::{Value, cmd};

use crate::relay::connection::{Access, Connection, Fault, LinkError};
use crate::relay::testing::{RedisServer, access, sentinel_of};

fn open(url: &str) -> Result<Connection, LinkError> {
    let access = access(url);
    Connection::open(&access.url().hosts[0], &access)
}

fn refused(url: &str) -> String {
    match open(url).expect_err("refused").fault {
        Fault::Refused(why) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_password_lets_in_and_a_wrong_one_does_not() {
    let server = RedisServer::start_with(&["--requirepass", "right@ word"]);
    let port = server.port();
    let mut connection = open(&format!("redis://:right%40%20word@127.0.0.1:{port}")).expect("let in");
    assert_eq!(connection.ask(&cmd("PING")), Ok(Value::SimpleString("PONG".into())));
    let why = refused(&format!("redis://:hunter2@127.0.0.1:{port}"));
    assert!(why.contains("WRONGPASS") && why.contains("wrong user or password"), "{why}");
    assert!(!why.contains("hunter2"), "{why}");
    let why = refused(&format!("redis://127.0.0.1:{port}"));
    assert!(why.contains("NOAUTH") && why.contains("needs a password"), "{why}");
}

#[test]
fn a_user_of_an_acl_gets_in_and_is_told_what_it_may_not_do() {
    let server = RedisServer::start_from("user default off\nuser push on >secret ~p:* &* +@all -flushall", &[]);
    let url = |user: &str| format!("redis://{user}:secret@localhost:{}/5", server.port());
    let mut connection = open(&url("push")).expect("let in");
    assert_eq!(connection.ask(cmd("SET").arg("p:1").arg(1)), Ok(Value::Okay));
    let error = connection.ask(&cmd("FLUSHALL")).expect_err("not allowed");
    assert!(matches!(&error.fault, Fault::Refused(why) if why.starts_with("NOPERM")), "{error}");
    assert!(refused(&url("other")).contains("WRONGPASS"));
}

#[test]
fn a_connection_has_its_database_and_its_name() {
    let server = RedisServer::start();
    let access = access(&format!("{}/3", server.url())).named("node 1");
    let mut connection = Connection::open(&access.url().hosts[0], &access).expect("let in");
    let Ok(Value::VerbatimString { text, .. }) = connection.ask(cmd("CLIENT").arg("INFO")) else { panic!("no info") };
    assert!(text.contains(" db=3 ") && text.contains(" name=epush-node-1 ") && text.contains(" resp=3"), "{text}");
    let why = refused(&format!("{}/99", server.url()));
    assert!(why.contains("names a database that is not there"), "{why}");
}

#[test]
fn a_server_that_knows_no_hello_is_refused_without_repeating_the_password() {
    let server = RedisServer::start_with(&["--rename-command", "HELLO", ""]);
    let why = refused(&format!("redis://:hunter2@127.0.0.1:{}", server.port()));
    assert!(why.contains("Redis 7 or later") && !why.contains("hunter2"), "{why}");
}

#[test]
fn nobody_there_is_unreachable() {
    // Bound and never listening: nobody else gets the port.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port");
    let port = socket.local_addr().expect("bound").as_socket().expect("an address").port();
    let error = open(&format!("redis://:hunter2@127.0.0.1:{port}")).expect_err("nobody there");
    assert!(matches!(error.fault, Fault::Unreachable(_)), "{error}");
    assert!(error.to_string().contains(&format!("127.0.0.1:{port} is unreachable")), "{error}");
    let error = open("redis://no-such-host.invalid").expect_err("nobody there");
    assert!(matches!(error.fault, Fault::Unreachable(_) | Fault::TimedOut), "{error}");
}

#[test]
fn whoever_speaks_something_else_is_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let http = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut peer, _) = listener.accept().expect("somebody comes");
        let mut request = [0; 512];
        let _ = peer.read(&mut request);
        let _ = peer.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let error = open(&format!("redis://{address}")).expect_err("no Redis");
    assert!(matches!(error.fault, Fault::Protocol(_)), "{error}");
    assert_eq!(error.to_string().lines().count(), 1, "{error}");
    http.join().expect("ended");
}

#[test]
fn a_sentinel_gets_the_credentials_only_if_it_asks() {
    let master = RedisServer::start();
    let open_sentinel = |server: &RedisServer| {
        let access: Access = access(&format!("redis+sentinel://:secret@127.0.0.1:{}/main", server.port()));
        Connection::open_sentinel(&access.url().hosts[0], &access).map(drop)
    };
    assert_eq!(open_sentinel(&sentinel_of(&master, "")), Ok(()));
    assert_eq!(open_sentinel(&sentinel_of(&master, "requirepass secret")), Ok(()));
    let error = open_sentinel(&sentinel_of(&master, "requirepass other")).expect_err("another password");
    assert!(matches!(&error.fault, Fault::Refused(why) if why.starts_with("WRONGPASS")), "{error}");
}
