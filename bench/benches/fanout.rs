//! What a delivery costs the node's processor, beside the least it could cost:
//! `cargo bench -p epush-bench --bench fanout [-- SUBSCRIBERS…]`.
//!
//! The node is a process of its own with one reactor; all clients are subscribed to one channel, and messages are published
//! over the control API. The floor is one thread that does nothing but `send` the same bytes to as many sockets, prebuilt,
//! the messages of a burst in one call. Both are counted in time on a processor, user and system, so that other work on
//! the machine matters little; they run in turns, and medians are shown.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use epush::config::AuthMode;
use epush::{Config, Engine};
use epush_bench::child::{Child, obey};
use epush_bench::fleet::{Fleet, allow_descriptors};
use epush_bench::median;

const SUBSCRIBERS: [usize; 3] = [1_000, 5_000, 15_000];
const PAYLOADS: [usize; 2] = [128, 1_024];
const ROUNDS: usize = 5;

/// Messages published at once; the next burst waits until everybody has read this one.
const BURSTS: [usize; 4] = [1, 16, 64, FLOOD];

/// More than fits into one batch, and for large messages more than fits into the sockets.
const FLOOD: usize = 256;

/// Writes of one measurement, at least.
const WRITES: usize = 60_000;

/// Messages the floor sends in one call, at most.
const FLOOR_BATCH: usize = 64;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.first().map(String::as_str) {
        Some("--server") => serve(),
        Some("--floor") => floor(),
        _ => {
            let chosen: Result<Vec<usize>, _> = arguments.iter().map(|argument| argument.parse()).collect();
            let chosen = chosen.map_err(io::Error::other)?;
            compare(if chosen.is_empty() { &SUBSCRIBERS } else { &chosen })
        }
    }
}

// --- the two sides -----------------------------------------------------------

fn serve() -> io::Result<()> {
    let mut config = Config::default();
    config.server.listen.set_port(0);
    config.server.api.set_port(0);
    config.server.reactors = 1;
    config.auth.mode = AuthMode::None;
    config.sessions.ping_interval_ms = 3_600_000;
    // Nothing is dropped, so that every byte can be counted.
    config.limits.outbox_bytes_max = 64 << 20;
    let engine = Engine::builder().config(config).start().map_err(io::Error::other)?;
    writeln!(io::stdout(), "{} {}", engine.addresses().client, engine.addresses().api)?;
    obey(|_| engine.online().sessions.to_string())
}

fn floor() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    writeln!(io::stdout(), "{}", listener.local_addr()?)?;
    let mut sockets: Vec<TcpStream> = Vec::new();
    obey(|line| {
        let number = |at: usize| line[at].parse::<usize>().unwrap_or_default();
        match line[0] {
            "accept" => {
                while sockets.len() < number(1) {
                    let socket = listener.accept().expect("a client connects").0;
                    socket.set_nodelay(true).expect("a socket option");
                    sockets.push(socket);
                }
            }
            _ => {
                let bytes = vec![b'x'; number(1)];
                for _ in 0..number(2) {
                    sockets.iter_mut().for_each(|socket| socket.write_all(&bytes).expect("open"));
                }
            }
        }
        String::from("done")
    })
}

// --- the comparison ----------------------------------------------------------

/// Subscribers, bytes of the payload, messages of a burst.
type Case = (usize, usize, usize);

#[derive(Default)]
struct Results {
    node_us: Vec<f64>,
    floor_us: Vec<f64>,
    /// From the request to the last byte in the last client, a burst each.
    wall_ms: Vec<f64>,
}

fn compare(subscribers: &[usize]) -> io::Result<()> {
    allow_descriptors(subscribers.iter().max().unwrap_or(&0) + 64);
    let mut results: BTreeMap<Case, Results> = BTreeMap::new();
    for _ in 0..ROUNDS {
        for &subscribers in subscribers {
            let lens = measure_node(subscribers, &mut results)?;
            measure_floor(subscribers, &lens, &mut results)?;
        }
    }
    let mut out = io::stdout();
    writeln!(out, "subscribers  payload  at once  node µs  floor µs  ratio  ms until all have read it")?;
    for ((subscribers, payload, burst), result) in results {
        let (node, floor) = (median(result.node_us), median(result.floor_us));
        let (ratio, wall) = (node / floor, median(result.wall_ms));
        writeln!(out, "{subscribers:>11} {payload:>6} B {burst:>8} {node:>8.3} {floor:>9.3} {ratio:>6.2} {wall:>9.1}")?;
    }
    Ok(())
}

fn repeats(subscribers: usize, burst: usize) -> usize {
    (WRITES / subscribers / burst.div_ceil(FLOOR_BATCH)).max(2)
}

/// Returns how long a frame of each payload is.
fn measure_node(subscribers: usize, results: &mut BTreeMap<Case, Results>) -> io::Result<BTreeMap<usize, u64>> {
    let mut node = Child::start(&["--server"])?;
    let line = node.line()?;
    let (client, api) = line.split_once(' ').ok_or_else(|| io::Error::other("two addresses"))?;
    let mut fleet = Fleet::subscribe(address(client)?, subscribers, |_| "news".into())?;
    let mut publisher = Publisher { api: TcpStream::connect(address(api)?)? };
    let mut lens = BTreeMap::new();
    for payload in PAYLOADS {
        for burst in BURSTS {
            let request = publication(payload, burst);
            publisher.publish(&request)?;
            lens.insert(payload, fleet.receive(burst as u64)? / burst as u64);
            publisher.answered()?;
            let result = results.entry((subscribers, payload, burst)).or_default();
            let before = rest(&node)?;
            for _ in 0..repeats(subscribers, burst) {
                let start = Instant::now();
                publisher.publish(&request)?;
                fleet.receive(burst as u64)?;
                result.wall_ms.push(start.elapsed().as_secs_f64() * 1e3);
                publisher.answered()?;
            }
            result.node_us.push(per_delivery(rest(&node)? - before, subscribers, burst));
        }
    }
    Ok(lens)
}

fn measure_floor(
    subscribers: usize,
    lens: &BTreeMap<usize, u64>,
    results: &mut BTreeMap<Case, Results>,
) -> io::Result<()> {
    let mut floor = Child::start(&["--floor"])?;
    let to = address(&floor.line()?)?;
    let connecting = thread::spawn(move || Fleet::listen(to, subscribers));
    floor.ask(&format!("accept {subscribers}"))?;
    let mut fleet = connecting.join().map_err(|_| io::Error::other("clients connect"))??;
    for payload in PAYLOADS {
        for burst in BURSTS {
            let batch = burst.min(FLOOR_BATCH);
            let bytes = batch as u64 * lens[&payload];
            let command = format!("send {bytes} {}", burst / batch);
            let mut before = 0;
            for repeat in 0..=repeats(subscribers, burst) {
                floor.tell(&command)?;
                fleet.receive_bytes(bytes * (burst / batch) as u64)?;
                floor.line()?;
                if repeat == 0 {
                    before = rest(&floor)?;
                }
            }
            let result = results.entry((subscribers, payload, burst)).or_default();
            result.floor_us.push(per_delivery(rest(&floor)? - before, subscribers, burst));
        }
    }
    Ok(())
}

/// Processor time so far. A thread that runs is counted up to its last tick, so it has to sleep first.
fn rest(child: &Child) -> io::Result<u64> {
    thread::sleep(Duration::from_millis(10));
    child.cpu_ns()
}

fn per_delivery(ns: u64, subscribers: usize, burst: usize) -> f64 {
    ns as f64 / 1e3 / (subscribers * burst * repeats(subscribers, burst)) as f64
}

fn address(text: &str) -> io::Result<SocketAddr> {
    text.parse().map_err(io::Error::other)
}

// --- publishing --------------------------------------------------------------

/// A kept-alive connection to the control API.
struct Publisher {
    api: TcpStream,
}

/// A batch of so many messages to the channel.
fn publication(payload: usize, burst: usize) -> Vec<u8> {
    let data = "x".repeat(payload - 2);
    let line = format!("{{\"to\":{{\"channels\":[\"news\"]}},\"data\":\"{data}\"}}\n");
    let body = line.repeat(burst);
    format!("POST /v1/push/batch HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

impl Publisher {
    fn publish(&mut self, request: &[u8]) -> io::Result<()> {
        self.api.write_all(request)
    }

    /// Reads the answer to its end: the last chunk.
    fn answered(&mut self) -> io::Result<()> {
        let mut answer = Vec::new();
        let mut buffer = [0; 16 * 1_024];
        while !answer.ends_with(b"\r\n0\r\n\r\n") {
            match self.api.read(&mut buffer)? {
                0 => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the node ended the answer")),
                read => answer.extend_from_slice(&buffer[..read]),
            }
        }
        Ok(())
    }
}
