//! Scenarios and servers for this module's tests.

use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::ledger::Ledger;
use super::live::Live;
use super::socket::Route;
use super::thread::{Start, spawn};
use crate::clock;
use crate::dialect::{Dialect, HttpPublish};
use crate::plan::Plan;
use crate::scenario::{Group, Pace, Publisher, Scenario, Target, To};
use crate::stamp::Stamp;

/// One client, subscribed to `a b`, and a publisher of 64 bytes to it, 100 times a second.
pub(super) fn scenario(url: &str, dialect: Dialect) -> Scenario {
    Scenario {
        name: String::from("test"),
        about: String::new(),
        target: Target { url: url.to_owned(), ..Target::default() },
        phases: Default::default(),
        tool: Default::default(),
        groups: vec![Group {
            name: String::new(),
            clients: 1,
            connect_per_s: None,
            user: String::from("user-{client}"),
            channels: vec![String::from("a b")],
            activity: Default::default(),
            reader: Default::default(),
            churn_per_s: 0.0,
        }],
        publishers: vec![Publisher {
            name: String::new(),
            to: To::Channels(vec![String::from("a b")]),
            pace: Pace::RatePerS(100.0),
            burst: 1,
            payload_bytes: 64,
            connections: 1,
            via: None,
        }],
        dialect: Some(dialect),
    }
}

pub(super) fn plan(scenario: Scenario) -> Arc<Plan> {
    Arc::new(Plan::new(scenario).expect("a plan"))
}

/// A dialect that posts payloads bare.
pub(super) fn http(pipelined: bool) -> Dialect {
    let http = HttpPublish { path: "/push".into(), body: "{payload}".into(), pipelined, ..HttpPublish::default() };
    Dialect { http: Some(http), ..Dialect::default() }
}

/// A publisher's thread, and what it shares.
pub(super) struct Running {
    pub(super) live: Arc<Live>,
    thread: JoinHandle<Ledger>,
}

/// Starts the scenario's publisher.
pub(super) fn start(scenario: Scenario) -> Running {
    start_counting(scenario, vec![])
}

/// Starts the scenario's publisher; these count deliveries.
pub(super) fn start_counting(scenario: Scenario, delivered: Vec<Arc<AtomicU64>>) -> Running {
    let plan = plan(scenario);
    let live = Arc::new(Live::new(1, delivered));
    let (notes, _) = unbounded();
    let route = Route { address: format!("{}:{}", plan.url.host, plan.url.port).parse().unwrap(), tls: None };
    let host = plan.url.authority();
    let start = Start { plan, number: 0, live: Arc::clone(&live), route: Arc::new(route), host, notes };
    Running { live, thread: spawn(start).expect("a thread") }
}

impl Running {
    pub(super) fn ready(self) -> Self {
        wait(|| self.live.all_ready());
        self
    }

    /// Publishes for so long, then waits at most `drain_ms`. Returns when it began, and its books.
    pub(super) fn publish(self, steady_ms: u64, drain_ms: u64) -> (u64, Ledger) {
        let from_ns = clock::now_ns();
        self.window(from_ns, steady_ms, drain_ms);
        (from_ns, self.join())
    }

    pub(super) fn window(&self, from_ns: u64, steady_ms: u64, drain_ms: u64) {
        let until_ns = from_ns + steady_ms * 1_000_000;
        self.live.end(until_ns, until_ns + drain_ms * 1_000_000);
        self.live.begin(from_ns);
    }

    pub(super) fn join(self) -> Ledger {
        wait(|| self.thread.is_finished());
        self.thread.join().expect("no panic")
    }
}

/// Waits for something to become true.
pub(super) fn wait(mut is_true: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_true() {
        assert!(Instant::now() < deadline, "waited in vain");
        thread::yield_now();
    }
}

/// An HTTP server: `answer` is called with each connection and the number of the request there, and writes what it likes;
/// `false` closes. Every stamp that arrives goes to the receiver.
pub(super) fn server(
    answer: impl Fn(&mut TcpStream, u64) -> bool + Send + Sync + 'static,
) -> (String, Receiver<Stamp>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let (arrived, stamps) = unbounded();
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let (arrived, answer) = (arrived.clone(), Arc::clone(&answer));
            thread::spawn(move || serve(socket, &arrived, &*answer));
        }
    });
    (url, stamps)
}

fn serve(socket: TcpStream, arrived: &Sender<Stamp>, answer: &dyn Fn(&mut TcpStream, u64) -> bool) {
    let mut input = BufReader::new(socket.try_clone().unwrap());
    let mut socket = socket;
    for number in 0.. {
        let Some(body) = request(&mut input) else { return };
        let _ = arrived.send(Stamp::read(&body).expect("a stamp"));
        if !answer(&mut socket, number) {
            return;
        }
    }
}

fn request(input: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut len = 0;
    loop {
        let mut line = String::new();
        if input.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end().split_once(": ") {
            Some(("content-length", value)) => len = value.parse().unwrap(),
            None if line == "\r\n" => break,
            _ => {}
        }
    }
    let mut body = vec![0; len];
    input.read_exact(&mut body).ok()?;
    Some(body)
}

pub(super) const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
