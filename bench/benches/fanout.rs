//! What a delivery costs the node's processor, beside the least it could cost:
//! `cargo bench -p epush-bench --bench fanout [-- SUBSCRIBERS…]`.
//!
//! The node is a process of its own with one reactor; all clients are subscribed to one channel, and messages are published
//! over the control API. The floor is one thread that does nothing but `send` the same bytes to as many sockets, prebuilt,
//! the messages of a burst in one call. Both are counted in time on a processor, user and system, so that other work on
//! the machine matters little; they run in turns, and medians are shown.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

use epush_bench::child::{Child, obey};
use epush_bench::fleet::{Fleet, allow_descriptors};
use epush_bench::median;
use epush_bench::node::{self, Node, Publisher, address, publication, rested_cpu_ns};

const SUBSCRIBERS: [usize; 3] = [1_000, 5_000, 15_000];
const PAYLOADS: [usize; 2] = [128, 1_024];
const ROUNDS: usize = 5;

/// Messages published at once; the next burst waits until everybody has read this one.
const BURSTS: [usize; 4] = [1, 16, 64, FLOOD];

/// More than fits into one batch, and for large messages more than fits into the sockets.
const FLOOD: usize = 256;

/// Subscribers of which there can be two sets at once.
const TOGETHER_MAX: usize = 9_000;

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
    // Nothing is dropped, so that every byte can be counted.
    node::serve(|config| config.limits.outbox_bytes_max = 64 << 20)
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
            measure(subscribers, &mut results)?;
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

/// One round. Up to [`TOGETHER_MAX`] subscribers take turns at each case, so that whatever else the machine does meets both;
/// more than that do not fit side by side.
fn measure(subscribers: usize, results: &mut BTreeMap<Case, Results>) -> io::Result<()> {
    let cases = || PAYLOADS.into_iter().flat_map(|payload| BURSTS.map(|burst| (subscribers, payload, burst)));
    let mut node = NodeSide::open(subscribers)?;
    if subscribers <= TOGETHER_MAX {
        let mut floor = FloorSide::open(subscribers)?;
        for case in cases() {
            let result = results.entry(case).or_default();
            let frame_bytes = node.measure(case, result)?;
            floor.measure(case, frame_bytes, result)?;
        }
        return Ok(());
    }
    let mut frames = Vec::new();
    for case in cases() {
        frames.push((case, node.measure(case, results.entry(case).or_default())?));
    }
    drop(node);
    let mut floor = FloorSide::open(subscribers)?;
    for (case, frame_bytes) in frames {
        floor.measure(case, frame_bytes, results.entry(case).or_default())?;
    }
    Ok(())
}

fn repeats(subscribers: usize, burst: usize) -> usize {
    (WRITES / subscribers / burst.div_ceil(FLOOR_BATCH)).max(2)
}

/// The node and its clients.
struct NodeSide {
    node: Node,
    fleet: Fleet,
    publisher: Publisher,
}

impl NodeSide {
    fn open(subscribers: usize) -> io::Result<Self> {
        let node = Node::start(&["--server"])?;
        let fleet = Fleet::subscribe(node.client, subscribers, |_| "news".into())?;
        Ok(Self { publisher: node.publisher()?, node, fleet })
    }

    /// Returns how long a frame is.
    fn measure(&mut self, (subscribers, payload, burst): Case, result: &mut Results) -> io::Result<u64> {
        let request = publication(payload, burst);
        self.publisher.publish(&request)?;
        let frame_bytes = self.fleet.receive(burst as u64)? / burst as u64;
        self.publisher.answered()?;
        let before = self.node.rested_cpu_ns()?;
        for _ in 0..repeats(subscribers, burst) {
            let start = Instant::now();
            self.publisher.publish(&request)?;
            self.fleet.receive(burst as u64)?;
            result.wall_ms.push(start.elapsed().as_secs_f64() * 1e3);
            self.publisher.answered()?;
        }
        result.node_us.push(per_delivery(self.node.rested_cpu_ns()? - before, subscribers, burst));
        Ok(frame_bytes)
    }
}

/// The floor and its clients.
struct FloorSide {
    floor: Child,
    fleet: Fleet,
}

impl FloorSide {
    fn open(subscribers: usize) -> io::Result<Self> {
        let mut floor = Child::start(&["--floor"])?;
        let to = address(&floor.line()?)?;
        let connecting = thread::spawn(move || Fleet::listen(to, subscribers));
        floor.ask(&format!("accept {subscribers}"))?;
        let fleet = connecting.join().map_err(|_| io::Error::other("clients connect"))??;
        Ok(Self { floor, fleet })
    }

    fn measure(&mut self, (subscribers, _, burst): Case, frame_bytes: u64, result: &mut Results) -> io::Result<()> {
        let batch = burst.min(FLOOR_BATCH);
        let bytes = batch as u64 * frame_bytes;
        let command = format!("send {bytes} {}", burst / batch);
        let mut before = 0;
        for repeat in 0..=repeats(subscribers, burst) {
            self.floor.tell(&command)?;
            self.fleet.receive_bytes(bytes * (burst / batch) as u64)?;
            self.floor.line()?;
            if repeat == 0 {
                before = rested_cpu_ns(&self.floor)?;
            }
        }
        result.floor_us.push(per_delivery(rested_cpu_ns(&self.floor)? - before, subscribers, burst));
        Ok(())
    }
}

fn per_delivery(ns: u64, subscribers: usize, burst: usize) -> f64 {
    ns as f64 / 1e3 / (subscribers * burst * repeats(subscribers, burst)) as f64
}
