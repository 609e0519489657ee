//! What the kernel tells at once of a socket: one edge, and no second.

use std::io::{ErrorKind, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use mio::{Events, Poll};

use super::*;

/// Longer than a packet takes over loopback on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// One client, whose server speaks or ends its side before the client has looked at its socket for the first time.
fn told_at_once(speak: impl FnOnce(&mut TcpStream)) -> Fleet {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let text = format!(
        "name = \"test\"\n[target]\nurl = \"ws://{}\"\ndialect = \"raw\"\n[[group]]\nclients = 1\n",
        listener.local_addr().unwrap()
    );
    let plan = Arc::new(Plan::new(toml::from_str(&text).unwrap()).unwrap());
    let mut poll = Poll::new().unwrap();
    let route = Route::new(&plan).unwrap();
    let mut fleet = Fleet::new(plan, route, poll.registry().try_clone().unwrap());
    fleet.seats.push(Seat::new(Client::new(0), 0));
    fleet.dial(0, now_ns(), now_ns());
    let (mut server, _) = listener.accept().unwrap();
    speak(&mut server);
    let deadline = Instant::now() + PATIENCE;
    let stream = fleet.seats[0].socket.as_mut().unwrap().stream_mut();
    while matches!(stream.peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock) {
        assert!(Instant::now() < deadline, "nothing came");
        std::thread::yield_now();
    }
    let mut events = Events::with_capacity(8);
    poll.poll(&mut events, Some(PATIENCE)).unwrap();
    assert_eq!(events.iter().count(), 1, "one edge for all");
    events.iter().for_each(|event| fleet.on_event(0, event));
    fleet.catch_up();
    drop(server);
    fleet
}

#[test]
fn what_the_server_says_on_accept_is_read_in_the_event_that_connects() {
    let fleet = told_at_once(|server| server.write_all(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n").unwrap());
    assert_eq!((fleet.opening, fleet.seats[0].stage), (0, Stage::Idle));
    let failures = &fleet.recorder.tally.failures;
    assert!(failures.len() == 1 && failures[0].kind.contains("503"), "{failures:?}");
}

#[test]
fn a_server_that_ends_its_side_on_accept_is_not_waited_for() {
    let fleet = told_at_once(|server| server.shutdown(Shutdown::Write).unwrap());
    assert_eq!((fleet.opening, fleet.seats[0].stage, fleet.recorder.counts().failed), (0, Stage::Idle, 1));
    let failures = &fleet.recorder.tally.failures;
    assert!(failures.len() == 1 && failures[0].kind != "not ready in time", "{failures:?}");
}
