//! Bytes that come late, in pieces, or not at all.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};
use redis::{PushKind, Value, cmd};

use crate::config::ClusterConfig;
use crate::relay::connection::{Access, Connection, Fault, Polled};
use crate::relay::testing::{PATIENCE, RedisServer, config};

fn open(url: &str, timeout_ms: u64) -> Connection {
    let access = Access::new(&ClusterConfig { timeout_ms, ..config(url) }).expect("a URL");
    Connection::open(&access.url().hosts[0], &access).expect("let in")
}

fn bulk(text: &str) -> Value {
    Value::BulkString(text.into())
}

/// A server that greets, and then says what `speak` says.
fn pretender(speak: impl FnOnce(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("redis://{}", listener.local_addr().expect("bound"));
    thread::spawn(move || {
        let (mut peer, _) = listener.accept().expect("somebody comes");
        let mut hello = [0; 1024];
        let _ = peer.read(&mut hello).expect("HELLO");
        peer.write_all(b"%1\r\n$7\r\nversion\r\n$5\r\n7.0.0\r\n").expect("it reads");
        peer.set_nodelay(true).expect("a socket");
        speak(peer);
    });
    url
}

/// Every type there is, with things in one another.
const SPEECH: &[u8] =
    b"*3\r\n$5\r\nhello\r\n:42\r\n%1\r\n+key\r\n~2\r\n_\r\n#t\r\n>3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$4\r\na\r\nb\r\n\
    =8\r\ntxt:text\r\n-MOVED 1 h:1\r\n,1.5\r\n$0\r\n\r\n";

fn is_the_speech(values: &[Value]) {
    assert_eq!(values.len(), 6, "{values:?}");
    let inner =
        Value::Map(vec![(Value::SimpleString("key".into()), Value::Set(vec![Value::Nil, Value::Boolean(true)]))]);
    assert_eq!(values[0], Value::Array(vec![bulk("hello"), Value::Int(42), inner]));
    assert_eq!(values[1], Value::Push { kind: PushKind::Message, data: vec![bulk("c"), bulk("a\r\nb")] });
    assert!(matches!(&values[2], Value::VerbatimString { text, .. } if text == "text"));
    assert!(matches!(&values[3], Value::ServerError(error) if error.code() == "MOVED"));
    assert_eq!((&values[4], &values[5]), (&Value::Double(1.5), &bulk("")));
}

#[test]
fn values_survive_a_time_out_between_any_two_bytes() {
    let (next, wanted) = mpsc::channel::<()>();
    let url = pretender(move |mut peer| {
        for byte in SPEECH {
            if wanted.recv_timeout(PATIENCE).is_err() || peer.write_all(&[*byte]).is_err() {
                return;
            }
        }
        let _ = wanted.recv_timeout(PATIENCE);
    });
    // Short, so that every byte costs a time-out or two.
    let mut connection = open(&url, 10_000);
    connection.timeout = Duration::from_millis(2);
    let (mut values, mut time_outs) = (Vec::new(), 0);
    let start = Instant::now();
    while values.len() < 6 {
        assert!(start.elapsed() < PATIENCE, "{values:?}");
        match connection.receive() {
            Ok(value) => values.push(value),
            Err(error) => {
                assert_eq!(error.fault, Fault::TimedOut);
                time_outs += 1;
                let _ = next.send(());
            }
        }
    }
    is_the_speech(&values);
    assert!(time_outs >= SPEECH.len(), "{time_outs}");
}

#[test]
fn values_survive_would_block_between_any_two_bytes() {
    let (next, wanted) = mpsc::channel::<()>();
    let url = pretender(move |mut peer| {
        for byte in SPEECH {
            if wanted.recv_timeout(PATIENCE).is_err() || peer.write_all(&[*byte]).is_err() {
                return;
            }
        }
        let _ = wanted.recv_timeout(PATIENCE);
    });
    let (mut poll, mut polled) = polled(open(&url, 5_000));
    let mut values = Vec::new();
    for _ in SPEECH {
        assert_eq!(polled.try_receive(), Ok(None));
        next.send(()).expect("it listens");
        wait(&mut poll);
        // A value is there at its last byte; before that it would block.
        values.extend(polled.try_receive().expect("it stands"));
    }
    is_the_speech(&values);
}

#[test]
fn a_server_that_dribbles_does_not_get_more_time() {
    let url = pretender(|mut peer| {
        let _ = peer.write_all(b"$100000000\r\n");
        // Each byte comes well within the time-out, the last one never.
        while peer.write_all(b"1").is_ok() {
            thread::park_timeout(Duration::from_millis(5));
        }
    });
    let mut connection = open(&url, 300);
    let start = Instant::now();
    assert_eq!(connection.receive().expect_err("never whole").fault, Fault::TimedOut);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn a_server_that_is_held_times_out() {
    let server = RedisServer::start();
    let mut connection = open(&server.url(), 200);
    server.stop();
    let start = Instant::now();
    assert_eq!(connection.ask(&cmd("PING")).expect_err("nobody answers").fault, Fault::TimedOut);
    // Its kernel still accepts.
    let access = Access::new(&ClusterConfig { timeout_ms: 200, ..config(&server.url()) }).expect("a URL");
    let error = Connection::open(&access.url().hosts[0], &access).expect_err("nobody answers");
    assert_eq!(error.fault, Fault::TimedOut);
    // It does not read either: what the kernels do not take runs into the same time-out.
    let error = connection.send(&vec![b'x'; 64 * 1024 * 1024]).expect_err("nobody reads");
    assert_eq!(error.fault, Fault::TimedOut);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    server.cont();
    let mut connection = open(&server.url(), 5_000);
    assert!(connection.ask(&cmd("PING")).is_ok());
}

#[test]
fn a_server_that_ends_is_told_apart_from_a_slow_one() {
    let mut server = RedisServer::start();
    let mut connection = open(&server.url(), 5_000);
    let (mut poll, mut polled) = polled(open(&server.url(), 5_000));
    assert_eq!(polled.try_receive(), Ok(None));
    server.kill();
    assert!(matches!(connection.receive().expect_err("it ended").fault, Fault::Closed(_)));
    wait(&mut poll);
    assert!(matches!(polled.try_receive().expect_err("it ended").fault, Fault::Closed(_)));
}

fn polled(connection: Connection) -> (Poll, Polled) {
    let poll = Poll::new().expect("a poll");
    let mut polled = connection.into_polled().expect("a socket");
    poll.registry().register(&mut polled, Token(0), Interest::READABLE | Interest::WRITABLE).expect("registered");
    (poll, polled)
}

fn wait(poll: &mut Poll) {
    let mut events = Events::with_capacity(8);
    poll.poll(&mut events, Some(PATIENCE)).expect("a poll");
    assert!(!events.is_empty(), "nothing within {PATIENCE:?}");
}

/// The next so many values, by polling as the listening thread does.
pub fn gather(poll: &mut Poll, polled: &mut Polled, count: usize) -> Vec<Value> {
    let mut values = Vec::new();
    loop {
        polled.flush().expect("it stands");
        while let Some(value) = polled.try_receive().expect("it stands") {
            values.push(value);
        }
        if values.len() >= count {
            return values;
        }
        wait(poll);
    }
}

#[test]
fn pushes_and_replies_come_in_the_order_of_the_wire() {
    let server = RedisServer::start();
    let (mut poll, mut polled) = polled(open(&server.url(), 5_000));
    polled.queue(&cmd("SUBSCRIBE").arg("c").get_packed_command());
    polled.queue(&cmd("ECHO").arg("one").get_packed_command());
    polled.queue(&cmd("PUBLISH").arg("c").arg("m").get_packed_command());
    polled.queue(&cmd("ECHO").arg("two").get_packed_command());
    let values = gather(&mut poll, &mut polled, 5);
    assert_eq!(values[0], Value::Push { kind: PushKind::Subscribe, data: vec![bulk("c"), Value::Int(1)] });
    assert_eq!(values[1], bulk("one"));
    // Which of the two comes first is a matter of Redis's version.
    let message = Value::Push { kind: PushKind::Message, data: vec![bulk("c"), bulk("m")] };
    assert!(values[2..4].contains(&Value::Int(1)) && values[2..4].contains(&message), "{values:?}");
    assert_eq!(values[4], bulk("two"));
}

#[test]
fn a_message_of_a_megabyte_and_ten_thousand_small_ones_arrive() {
    let server = RedisServer::start();
    let mut sender = open(&server.url(), 5_000);
    let (mut poll, mut polled) = polled(open(&server.url(), 5_000));
    polled.queue(&cmd("SUBSCRIBE").arg("c").get_packed_command());
    gather(&mut poll, &mut polled, 1);
    let large = vec![b'x'; 1024 * 1024];
    let mut pipeline = cmd("PUBLISH").arg("c").arg(&large).get_packed_command();
    for at in 0..10_000 {
        cmd("PUBLISH").arg("c").arg(at).write_packed_command(&mut pipeline);
    }
    sender.send(&pipeline).expect("sent");
    let values = gather(&mut poll, &mut polled, 10_001);
    let texts = values.iter().map(|value| match value {
        Value::Push { kind: PushKind::Message, data } => match &data[1] {
            Value::BulkString(bytes) => bytes,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    });
    for (at, text) in texts.enumerate() {
        match at {
            0 => assert!(*text == large, "{} bytes", text.len()),
            at => assert_eq!(*text, (at - 1).to_string().into_bytes()),
        }
    }
    for _ in 0..10_001 {
        assert_eq!(sender.receive(), Ok(Value::Int(1)));
    }
}

#[test]
fn what_the_socket_does_not_take_waits_for_it() {
    let server = RedisServer::start();
    let (mut poll, mut polled) = polled(open(&server.url(), 5_000));
    server.stop();
    let large = vec![b'x'; 16 * 1024 * 1024];
    polled.queue(&cmd("ECHO").arg(&large).get_packed_command());
    assert_eq!(polled.flush(), Ok(false));
    assert!(polled.waiting() > 0);
    server.cont();
    let values = gather(&mut poll, &mut polled, 1);
    assert!(values[0] == Value::BulkString(large));
    assert_eq!(polled.waiting(), 0);
}

#[test]
fn what_came_before_the_poll_is_not_forgotten() {
    let server = RedisServer::start();
    let mut connection = open(&server.url(), 5_000);
    let mut pipeline = cmd("ECHO").arg("one").get_packed_command();
    cmd("ECHO").arg("two").write_packed_command(&mut pipeline);
    connection.send(&pipeline).expect("sent");
    assert_eq!(connection.receive(), Ok(bulk("one")));
    let (mut poll, mut polled) = polled(connection);
    assert_eq!(gather(&mut poll, &mut polled, 1), [bulk("two")]);
}
