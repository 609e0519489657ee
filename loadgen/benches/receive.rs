//! What a worker costs: memory of an idle connection, and processor time of a delivered message beside the server's:
//! `cargo bench -p epush-loadgen --bench receive [-- IDLE SUBSCRIBERS]`.
//!
//! The server is a node of epush in a process of its own, with one reactor. Messages of 128 bytes are published over its
//! control API, so many at once, and the next when everybody has these. The floor is a thread that reads the same from as
//! many sockets and looks at none of it but the first's.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use epush::config::AuthMode;
use epush::{Config, Engine};
use epush_loadgen::clock::now_ns;
use epush_loadgen::plan::Plan;
use epush_loadgen::stamp::Stamp;
use epush_loadgen::talk::{Order, Progress, Report};
use epush_loadgen::worker::{Share, Worker, allow_descriptors, spawn};
use mio::{Events, Interest, Poll, Token};

/// Bytes of a payload.
const PAYLOAD_BYTES: usize = 128;

/// Deliveries of one measurement, at least.
const DELIVERIES: u64 = 2_000_000;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if arguments.first().is_some_and(|first| first == "--server") {
        return serve();
    }
    let number = |at: usize, default| arguments.get(at).and_then(|argument| argument.parse().ok()).unwrap_or(default);
    let (idle, subscribers) = (number(0, 15_000_u64), number(1, 1_000_u64));
    allow_descriptors(idle.max(subscribers)).map_err(io::Error::other)?;
    measure_memory(idle)?;
    [1, 16, 64].into_iter().try_for_each(|burst| compare_receiving(subscribers, burst))
}

fn serve() -> io::Result<()> {
    let mut config = Config::default();
    config.server.listen.set_port(0);
    config.server.api.set_port(0);
    config.server.reactors = 1;
    config.auth.mode = AuthMode::None;
    config.limits.outbox_bytes_max = 64 << 20;
    let engine = Engine::builder().config(config).start().map_err(io::Error::other)?;
    writeln!(io::stdout(), "{} {}", engine.addresses().client, engine.addresses().api)?;
    io::stdin().read_to_end(&mut Vec::new()).map(drop)
}

// --- the two sides -----------------------------------------------------------

/// A node of epush, and its control API.
struct Server {
    process: Child,
    client: String,
    api: TcpStream,
}

impl Server {
    fn start() -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut process = command.arg("--server").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("asked for above")).read_line(&mut line)?;
        let (client, api) = line.trim().split_once(' ').ok_or_else(|| io::Error::other("two addresses"))?;
        Ok(Self { process, client: client.to_owned(), api: TcpStream::connect(api)? })
    }

    /// Publishes messages of these numbers with one write.
    fn publish(&mut self, numbers: std::ops::Range<u64>) -> io::Result<()> {
        let mut requests = Vec::new();
        let count = numbers.end - numbers.start;
        for seq in numbers {
            let mut payload = Vec::new();
            Stamp { run: 0, intended_ns: now_ns(), slip_us: 0, stream: 0, seq }.write(PAYLOAD_BYTES, &mut payload);
            let payload = String::from_utf8_lossy(&payload);
            let body = format!(r#"{{"to":{{"channels":["news"]}},"data":"{payload}"}}"#);
            write!(requests, "POST /v1/push HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
        }
        self.api.write_all(&requests)?;
        let mut answers = Vec::new();
        while (answers.windows(9).filter(|window| *window == b"HTTP/1.1 ").count() as u64) < count
            || !answers.ends_with(b"}")
        {
            let mut some = [0; 4_096];
            let read = self.api.read(&mut some)?;
            answers.extend_from_slice(&some[..read]);
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A worker, and what it says.
struct Side {
    worker: Worker,
    reports: Receiver<(u32, Report)>,
    delivered: Arc<AtomicU64>,
}

impl Side {
    fn start(url: &str, clients: u64) -> io::Result<Self> {
        let text = format!(
            "name = \"receive\"\n[target]\nurl = \"ws://{url}\"\n[[group]]\nclients = {clients}\nconnect_per_s = 0.0\n\
             channels = [\"news\"]\n[[publisher]]\nto = {{ channels = [\"news\"] }}\npace = \"delivered\"\npayload_bytes = {PAYLOAD_BYTES}"
        );
        let plan = Plan::new(toml::from_str(&text).map_err(io::Error::other)?).map_err(io::Error::other)?;
        let (reporter, reports) = crossbeam_channel::unbounded();
        let delivered = Arc::new(AtomicU64::new(0));
        let share = Share { worker: 0, workers: 1 };
        let worker = spawn(Arc::new(plan), share, reporter, Arc::clone(&delivered)).map_err(io::Error::other)?;
        Ok(Self { worker, reports, delivered })
    }

    fn connect(&self, clients: u64) -> io::Result<()> {
        self.worker.tell(Order::Connect { at_ns: now_ns() });
        loop {
            let progress = self.progress()?;
            if progress.counts.ready == clients {
                return Ok(());
            }
            if progress.counts.failed + progress.counts.closed_by_server > 0 {
                return Err(io::Error::other("a connection failed"));
            }
        }
    }

    fn progress(&self) -> io::Result<Box<Progress>> {
        match self.reports.recv_timeout(Duration::from_secs(60)).map_err(io::Error::other)? {
            (_, Report::Progress(progress)) => Ok(progress),
            (_, other) => Err(io::Error::other(format!("{other:?}"))),
        }
    }
}

/// A thread that reads from as many sockets, and nothing else.
struct Floor {
    delivered: Arc<AtomicU64>,
}

/// What the server says when it switches, welcomes and subscribes is read before anything counts.
const GREETING: &[u8] = b"GET /msg HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A frame of an empty mask.
fn subscription() -> Vec<u8> {
    let text = br#"{"op":"subscribe","id":1,"channel":"news"}"#;
    [&[0x81, 0x80 | text.len() as u8, 0, 0, 0, 0], &text[..]].concat()
}

impl Floor {
    fn start(url: &str, clients: u64) -> io::Result<Self> {
        let sockets = (0..clients).map(|_| subscribed(url)).collect::<io::Result<Vec<_>>>()?;
        let delivered = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&delivered);
        std::thread::Builder::new().name("floor".to_owned()).spawn(move || read(sockets, &counted))?;
        Ok(Self { delivered })
    }
}

/// A socket that is signed in and subscribed, and whose bytes up to there are read.
fn subscribed(url: &str) -> io::Result<TcpStream> {
    let mut socket = TcpStream::connect(url)?;
    socket.write_all(&[GREETING, &subscription()].concat())?;
    let (mut said, mut some) = (Vec::new(), [0; 4_096]);
    while !said.windows(9).any(|window| window == br#""op":"ok""#) {
        let read = socket.read(&mut some)?;
        if read == 0 {
            return Err(io::Error::other(format!("not subscribed: {}", String::from_utf8_lossy(&said))));
        }
        said.extend_from_slice(&some[..read]);
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Reads for as long as the server is there. Every socket gets the same bytes, so that the messages in those of the
/// first, found by the byte that begins a frame of text, and the bytes of all say how many were delivered.
fn read(sockets: Vec<TcpStream>, delivered: &AtomicU64) -> io::Result<()> {
    let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(1_024));
    let mut sockets: Vec<_> = sockets.into_iter().map(mio::net::TcpStream::from_std).collect();
    for (index, socket) in sockets.iter_mut().enumerate() {
        poll.registry().register(socket, Token(index), Interest::READABLE)?;
    }
    let (mut buffer, mut messages, mut of_first, mut of_all) = (vec![0; 256 * 1_024], 0, 0, 0);
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            let index = event.token().0;
            let read = sockets[index].read(&mut buffer)?;
            if read == 0 {
                return Ok(());
            }
            of_all += read;
            if index == 0 {
                of_first += read;
                messages += buffer[..read].iter().filter(|byte| **byte == 0x81).count();
            }
        }
        if of_all == of_first * sockets.len() {
            delivered.store((messages * sockets.len()) as u64, Ordering::Relaxed);
        }
    }
}

fn receive(delivered: &AtomicU64, messages: u64) -> io::Result<()> {
    let start = Instant::now();
    while delivered.load(Ordering::Relaxed) < messages {
        if start.elapsed() > Duration::from_secs(60) {
            return Err(io::Error::other("messages are missing"));
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    Ok(())
}

// --- measurements ------------------------------------------------------------

fn measure_memory(clients: u64) -> io::Result<()> {
    let server = Server::start()?;
    let before = rss_bytes()?;
    let side = Side::start(&server.client, clients)?;
    side.connect(clients)?;
    let grown = rss_bytes()? - before;
    let each = grown as f64 / clients as f64;
    writeln!(io::stdout(), "{clients} idle connections: {each:.0} bytes each of the worker's memory")
}

fn compare_receiving(subscribers: u64, burst: u64) -> io::Result<()> {
    let server = Server::start()?;
    let side = Side::start(&server.client, subscribers)?;
    side.connect(subscribers)?;
    let (worker_ns, server_ns) = measure_receiving(server, subscribers, burst, "worker-0", &side.delivered)?;
    drop(side);
    let server = Server::start()?;
    let floor = Floor::start(&server.client, subscribers)?;
    let (floor_ns, _) = measure_receiving(server, subscribers, burst, "floor", &floor.delivered)?;
    writeln!(
        io::stdout(),
        "{subscribers} subscribers, {burst:>2} at once: worker {worker_ns:.0} ns a delivery, server {server_ns:.0} ns, ratio {:.2}; \
         only to read {floor_ns:.0} ns, ratio {:.2}",
        worker_ns / server_ns,
        floor_ns / server_ns
    )
}

/// Nanoseconds of processor for each delivery: of the thread that receives, and of the server.
fn measure_receiving(
    mut server: Server,
    subscribers: u64,
    burst: u64,
    thread: &str,
    delivered: &AtomicU64,
) -> io::Result<(f64, f64)> {
    server.publish(0..burst)?;
    receive(delivered, burst * subscribers)?;
    let (server_before, thread_before) = (cpu_ns(server.process.id(), "")?, cpu_ns(std::process::id(), thread)?);
    let rounds = DELIVERIES / subscribers / burst;
    for round in 1..=rounds {
        server.publish(round * burst..(round + 1) * burst)?;
        receive(delivered, (round + 1) * burst * subscribers)?;
    }
    let each = |ns: u64| ns as f64 / (rounds * burst * subscribers) as f64;
    let thread_ns = each(cpu_ns(std::process::id(), thread)? - thread_before);
    Ok((thread_ns, each(cpu_ns(server.process.id(), "")? - server_before)))
}

fn rss_bytes() -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let kib =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.map(|kib| kib * 1_024).ok_or_else(|| io::Error::other("no VmRSS"))
}

/// Nanoseconds the threads of a process whose names begin so have run, in user space and in the kernel.
fn cpu_ns(process: u32, name: &str) -> io::Result<u64> {
    let mut ns = 0;
    for task in fs::read_dir(format!("/proc/{process}/task"))? {
        let task = task?.path();
        if fs::read_to_string(task.join("comm"))?.starts_with(name) {
            let schedstat = fs::read_to_string(task.join("schedstat"))?;
            ns += schedstat.split(' ').next().and_then(|ran| ran.parse::<u64>().ok()).unwrap_or_default();
        }
    }
    Ok(ns)
}
