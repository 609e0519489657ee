//! The acceptor against real sockets, and against listeners that fail.

use super::desk::{ACCEPTS_PER_TURN, Listen};
use super::*;
use crate::mailbox::mailbox;
use epush_core::close::CloseReason;
use mio::Waker;
use mio::net::TcpStream;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::Read;
use std::net::{Shutdown, SocketAddr};
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;
use std::time::Instant;

const PATIENCE: Duration = Duration::from_secs(20);

/// An acceptor on its thread, with two reactors that nobody runs.
struct Running {
    client: SocketAddr,
    api: SocketAddr,
    notes: Mailbox<Note>,
    reactors: Vec<(Poll, Inbox<Post>)>,
    gauges: Arc<NodeGauges>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

fn limits(connections: usize, connections_per_ip: usize) -> AcceptLimits {
    AcceptLimits { connections, connections_per_ip, api_connections: 3, accepts_per_second: 0 }
}

fn reactor() -> (Poll, Mailbox<Post>, Inbox<Post>) {
    let poll = Poll::new().expect("poll");
    let (post, inbox) = mailbox(Waker::new(poll.registry(), WAKE).expect("waker"));
    (poll, post, inbox)
}

fn start(limits: AcceptLimits, trusted: &[&str]) -> Running {
    let listener = || TcpListener::bind("127.0.0.1:0".parse().expect("address")).expect("bind");
    let (client, api) = (listener(), listener());
    let (client_address, api_address) = (client.local_addr().expect("address"), api.local_addr().expect("address"));
    let poll = Poll::new().expect("poll");
    let (notes, inbox) = mailbox(Waker::new(poll.registry(), WAKE).expect("waker"));
    let (mut posts, mut reactors) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        let (poll, post, inbox) = reactor();
        posts.push(post);
        reactors.push((poll, inbox));
    }
    let gauges = Arc::new(NodeGauges::new(2));
    let setup = AcceptorSetup {
        poll,
        inbox,
        client,
        api,
        limits,
        trusted: trusted.iter().map(|text| text.parse().expect("network")).collect(),
        reactors: posts,
        gauges: Arc::clone(&gauges),
        clock: Clock::start(),
    };
    let acceptor = Acceptor::new(setup).expect("acceptor");
    let thread = Some(std::thread::spawn(move || acceptor.run()));
    Running { client: client_address, api: api_address, notes, reactors, gauges, thread }
}

impl Running {
    /// The next post to this reactor.
    fn post(&mut self, reactor: usize) -> Post {
        let (poll, inbox) = &mut self.reactors[reactor];
        let deadline = Instant::now() + PATIENCE;
        loop {
            inbox.open();
            if let Some(post) = inbox.take() {
                return post;
            }
            assert!(Instant::now() < deadline, "no post for reactor {reactor} in time");
            let mut events = Events::with_capacity(1);
            poll.poll(&mut events, Some(PATIENCE)).expect("poll");
        }
    }

    /// The next socket handed to this reactor.
    fn adopted(&mut self, reactor: usize) -> (TcpStream, SocketAddr, Door) {
        match self.post(reactor) {
            Post::Adopt { stream, peer, door } => (stream, peer, door),
            _ => panic!("expected a socket"),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.notes.post(Note::Stop);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the acceptor does not panic").expect("nor fail");
        }
    }
}

fn connect(address: SocketAddr) -> std::net::TcpStream {
    let stream = std::net::TcpStream::connect_timeout(&address, PATIENCE).expect("connect");
    stream.set_read_timeout(Some(PATIENCE)).expect("time-out");
    stream
}

/// All that a refused connection says; a reset after the response is as good as an end.
fn response(mut stream: std::net::TcpStream) -> String {
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text);
    String::from_utf8(text).expect("ASCII")
}

#[test]
fn clients_go_to_the_emptiest_reactor_and_the_api_to_the_first() {
    let mut running = start(limits(10, 0), &[]);
    let _clients: Vec<_> = (0..4).map(|_| connect(running.client)).collect();
    for reactor in [0, 1, 0, 1] {
        let (_, peer, door) = running.adopted(reactor);
        assert_eq!(door, Door::Client);
        assert!(peer.ip().is_loopback());
    }
    let _callers: Vec<_> = (0..2).map(|_| connect(running.api)).collect();
    assert_eq!(running.adopted(0).2, Door::Api);
    assert_eq!(running.adopted(0).2, Door::Api);
    assert_eq!(running.gauges.accepted.load(Relaxed), 6);
}

#[test]
fn over_the_limit_a_client_reads_503_and_the_api_still_answers() {
    let mut running = start(limits(1, 0), &[]);
    let _first = connect(running.client);
    let (_kept, peer, door) = running.adopted(0);
    assert!(response(connect(running.client)).starts_with("HTTP/1.1 503 "));
    assert_eq!(running.gauges.refused_connections.load(Relaxed), 1);
    let _caller = connect(running.api);
    assert_eq!(running.adopted(0).2, Door::Api);

    running.notes.post(Note::Closed { door, shard: ShardId(0), ip: peer.ip() });
    let _second = connect(running.client);
    // Reactor 0 still has the API connection: the next client goes to the other one.
    running.adopted(1);
}

#[test]
fn the_api_has_a_limit_of_its_own_and_a_caller_that_leaves_makes_room() {
    let mut running = start(limits(1, 0), &[]);
    let _callers: Vec<_> = (0..3).map(|_| connect(running.api)).collect();
    let (_held, peer, door) = running.adopted(0);
    let _others = [running.adopted(0), running.adopted(0)];
    assert!(response(connect(running.api)).starts_with("HTTP/1.1 503 "));
    assert_eq!(running.gauges.refused_api.load(Relaxed), 1);
    let _client = connect(running.client);
    assert_eq!(running.adopted(1).2, Door::Client, "callers cost no client its place");

    running.notes.post(Note::Closed { door, shard: ShardId(0), ip: peer.ip() });
    let _caller = connect(running.api);
    assert_eq!(running.adopted(0).2, Door::Api);
}

#[test]
fn over_the_limit_of_its_address_a_client_reads_429() {
    let mut running = start(limits(10, 1), &[]);
    let _first = connect(running.client);
    running.adopted(0);
    assert!(response(connect(running.client)).starts_with("HTTP/1.1 429 "));
    assert_eq!(running.gauges.refused_per_ip.load(Relaxed), 1);
}

#[test]
fn behind_a_trusted_proxy_the_client_over_its_limit_is_closed_by_its_shard() {
    let mut running = start(limits(10, 1), &["127.0.0.0/8"]);
    let _sockets = [connect(running.client), connect(running.client)];
    let (_, peer, _) = running.adopted(0);
    running.adopted(1);
    for (shard, index) in [(0, 7), (1, 9)] {
        let conn = ConnId { index, generation: 0 };
        let client = "203.0.113.5".parse().expect("address");
        running.notes.post(Note::Behind { shard: ShardId(shard), conn, before: peer.ip(), client });
    }
    match running.post(1) {
        Post::Mail(Mail::Close { conn, reason }) => assert_eq!((conn.index, reason), (9, CloseReason::RateLimited)),
        _ => panic!("expected a close"),
    }
}

#[test]
fn paced_accepts_wait_in_the_backlog_and_none_is_lost() {
    let mut running = start(AcceptLimits { accepts_per_second: 100, ..limits(100, 0) }, &[]);
    let started = Instant::now();
    let _clients: Vec<_> = (0..20).map(|_| connect(running.client)).collect();
    for turn in 0..20 {
        running.adopted(turn % 2);
    }
    // 10 at once, then one every 10 ms; the first of those was already under way.
    assert!(started.elapsed() >= Duration::from_millis(90), "took only {:?}", started.elapsed());
}

#[test]
fn draining_closes_the_client_door_and_keeps_the_api_door() {
    let mut running = start(limits(10, 0), &[]);
    let _early = connect(running.client);
    running.notes.post(Note::Drain { over_ms: 5 });
    // Accepted before or lost with the backlog; if accepted, the socket stands before the drain in its mailbox.
    for reactor in 0..2 {
        loop {
            match running.post(reactor) {
                Post::Adopt { .. } => {}
                Post::Mail(Mail::Drain { over_ms }) => break assert_eq!(over_ms, 5),
                _ => panic!("expected a drain"),
            }
        }
    }
    // A second drain is the same drain: nothing more is posted before the caller that comes next.
    running.notes.post(Note::Drain { over_ms: 5 });
    let refused = std::net::TcpStream::connect_timeout(&running.client, PATIENCE);
    assert!(refused.is_err(), "nobody listens any more");
    let _caller = connect(running.api);
    assert_eq!(running.adopted(0).2, Door::Api);
}

/// A listener that plays a script of errno values; 0 is a connection.
struct Script {
    errors: RefCell<VecDeque<i32>>,
    real: TcpListener,
    calls: RefCell<usize>,
}

impl Listen for Script {
    fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        *self.calls.borrow_mut() += 1;
        match self.errors.borrow_mut().pop_front() {
            Some(0) => {
                let address = self.real.local_addr()?;
                let client = std::net::TcpStream::connect_timeout(&address, PATIENCE)?;
                let deadline = Instant::now() + PATIENCE;
                loop {
                    match TcpListener::accept(&self.real) {
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => assert!(Instant::now() < deadline),
                        accepted => {
                            client.shutdown(Shutdown::Write)?;
                            return accepted;
                        }
                    }
                }
            }
            Some(code) => Err(io::Error::from_raw_os_error(code)),
            None => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

fn scripted(errors: &[i32]) -> (Desk, Gate<Script>, Inbox<Post>, Poll) {
    let (poll, post, inbox) = reactor();
    let desk = Desk {
        admission: Admission::new(limits(1_000, 0), Vec::new()),
        placement: Placement::new(1),
        spare: Spare::new(),
        reactors: vec![post],
        gauges: Arc::new(NodeGauges::new(1)),
        clock: Clock::start(),
        throttle: Throttle::default(),
    };
    let real = TcpListener::bind("127.0.0.1:0".parse().expect("address")).expect("bind");
    let script = Script { errors: RefCell::new(errors.iter().copied().collect()), real, calls: RefCell::new(0) };
    (desk, Gate::new(Door::Client, script), inbox, poll)
}

#[test]
fn without_descriptors_one_waiting_client_is_turned_away_and_accepting_pauses() {
    // The connection after EMFILE is the one that the spare descriptor accepts.
    let (mut desk, mut gate, inbox, _poll) = scripted(&[libc::EMFILE, 0, 0]);
    desk.accept_turn(&mut gate);
    assert!(gate.waiting && gate.pause_until_us > 0, "the rest of the backlog is remembered");
    assert_eq!(*gate.listener.calls.borrow(), 2);
    assert!(inbox.is_empty(), "nothing was handed over");
    assert!(desk.spare.0.is_some(), "the spare descriptor is back");
    assert_eq!(desk.gauges.accept_errors.load(Relaxed), 1);

    desk.accept_turn(&mut gate);
    assert_eq!(*gate.listener.calls.borrow(), 2, "not tried before the pause is over");
    gate.pause_until_us = 0;
    desk.accept_turn(&mut gate);
    assert!(matches!(inbox.take(), Some(Post::Adopt { .. })), "after the pause the next one comes in");
    assert!(!gate.waiting);
}

#[test]
fn a_spare_descriptor_that_was_lost_is_taken_back_at_the_next_shortage() {
    let (mut desk, mut gate, _inbox, _poll) = scripted(&[libc::ENFILE]);
    desk.spare.0 = None;
    desk.accept_turn(&mut gate);
    assert_eq!(*gate.listener.calls.borrow(), 1, "no descriptor, so nobody could be accepted");
    assert!(desk.spare.0.is_some());
}

#[test]
fn several_clients_at_once_are_a_crowd_and_one_after_the_other_are_not() {
    let (mut desk, mut gate, _inbox, _poll) = scripted(&[0]);
    assert_eq!(desk.accept_turn(&mut gate), 1);
    assert!(!gate.is_crowded(1));
    let (mut desk, mut gate, _inbox, _poll) = scripted(&[0, libc::ECONNABORTED, 0, 0]);
    assert_eq!(desk.accept_turn(&mut gate), 3, "who ended in the backlog did not come");
    assert!(gate.is_crowded(3));
    gate.waiting = true;
    assert!(!gate.is_crowded(3), "more wait: they are not kept waiting");
    (gate.waiting, gate.door) = (false, Door::Api);
    assert!(!gate.is_crowded(3), "a caller of the API waits for its connection");
}

#[test]
fn a_connection_that_ended_in_the_backlog_does_not_stop_the_others() {
    let (mut desk, mut gate, inbox, _poll) = scripted(&[libc::ECONNABORTED, libc::EINTR, 0]);
    desk.accept_turn(&mut gate);
    assert!(matches!(inbox.take(), Some(Post::Adopt { .. })));
    assert_eq!(gate.pause_until_us, 0);
}

#[test]
fn an_error_that_nobody_foresaw_pauses_and_does_not_spin() {
    let (mut desk, mut gate, _inbox, _poll) = scripted(&[libc::EINVAL; 1_000]);
    desk.accept_turn(&mut gate);
    assert_eq!(*gate.listener.calls.borrow(), 1);
    assert!(gate.waiting && gate.pause_until_us > 0);
}

#[test]
fn a_flood_stops_at_the_turns_share_and_is_remembered() {
    let (mut desk, mut gate, _inbox, _poll) = scripted(&[libc::ECONNABORTED; 1_000]);
    desk.accept_turn(&mut gate);
    assert_eq!(*gate.listener.calls.borrow(), ACCEPTS_PER_TURN);
    assert!(gate.waiting);
}
