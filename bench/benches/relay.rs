//! What the way from one node through Redis to another costs: `cargo bench -p epush-bench --bench relay`.
//!
//! A `redis-server` and two nodes, a process each, one reactor a node. Everything is published on the first node. The
//! added latency is the time between the arrival at a client of the first node and at one of the second, one message at a
//! time. The rate is what comes through when the first node publishes as fast as it is let, 128 bytes a message; processor
//! time is counted from outside, user and system, by process.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child as Process, Command, Stdio};
use std::time::{Duration, Instant};

use epush::config::{AuthMode, Secret};
use epush::{Config, Engine, PushError, Pusher};
use epush_bench::child::{Child, cpu_ns, obey};
use epush_bench::fleet::Fleet;
use epush_bench::median;

const ROUNDS: usize = 5;

/// Messages of one measurement of the latency: enough for a 99th percentile.
const HOPS: usize = 2_000;

/// Messages of one measurement of the rate.
const FLOOD: usize = 100_000;

const PAYLOAD_BYTES: usize = 128;

/// What a message is addressed to. The one client of each node is user `user-0` and subscribed to `news`.
const TARGETS: [&str; 3] = ["user", "channel", "all"];

/// How long the second node may take to be heard of by the first.
const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--server", name, redis] => serve(name, redis),
        _ => measure(),
    }
}

// --- a node --------------------------------------------------------------------

fn serve(name: &str, redis: &str) -> io::Result<()> {
    let mut config = Config::default();
    config.server.listen.set_port(0);
    config.server.api.set_port(0);
    config.server.reactors = 1;
    config.server.node = Some(name.to_owned());
    config.auth.mode = AuthMode::None;
    config.sessions.ping_interval_ms = 3_600_000;
    config.limits.outbox_bytes_max = 64 << 20;
    config.cluster.redis = Some(Secret::new(redis));
    let engine = Engine::builder().config(config).start().map_err(io::Error::other)?;
    writeln!(io::stdout(), "{} {}", engine.addresses().client, engine.addresses().api)?;
    let pusher = engine.pusher();
    obey(|line| match line {
        ["publish", target, count] => {
            publish(&pusher, target, count.parse().unwrap_or_default());
            "done".into()
        }
        _ => engine.online().sessions.to_string(),
    })
}

fn publish(pusher: &Pusher, target: &str, count: usize) {
    let payload = "x".repeat(PAYLOAD_BYTES);
    for _ in 0..count {
        loop {
            let push = match target {
                "user" => pusher.to_user("user-0"),
                "channel" => pusher.to_channel("news"),
                _ => pusher.to_all(),
            };
            match push.json(&payload).expect("JSON").push() {
                Ok(_) => break,
                // As fast as it is let: the node says when it is enough.
                Err(PushError::Full) => std::thread::sleep(Duration::from_millis(1)),
                Err(why) => panic!("{why}"),
            }
        }
    }
}

// --- the measurement -------------------------------------------------------------

struct Redis {
    process: Process,
    url: String,
}

impl Redis {
    fn start() -> io::Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let arguments = ["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
        let mut process = Command::new("redis-server")
            .args(arguments)
            .arg("--dir")
            .arg(std::env::temp_dir())
            .stdout(Stdio::piped())
            .spawn()?;
        let lines = BufReader::new(process.stdout.take().expect("asked for above")).lines();
        for line in lines {
            if line?.contains("Ready to accept connections") {
                return Ok(Self { process, url: format!("redis://127.0.0.1:{port}") });
            }
        }
        Err(io::Error::other("redis-server ended"))
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Node {
    child: Child,
    clients: SocketAddr,
    api: SocketAddr,
}

impl Node {
    fn start(name: &str, redis: &Redis) -> io::Result<Self> {
        let mut child = Child::start(&["--server", name, &redis.url])?;
        let line = child.line()?;
        let (clients, api) = line.split_once(' ').ok_or_else(|| io::Error::other("two addresses"))?;
        let address = |text: &str| text.parse().map_err(io::Error::other);
        let (clients, api) = (address(clients)?, address(api)?);
        Ok(Self { child, clients, api })
    }
}

fn measure() -> io::Result<()> {
    let redis = Redis::start()?;
    let mut first = Node::start("first", &redis)?;
    let second = Node::start("second", &redis)?;
    wait_for_each_other(&first)?;
    let mut out = io::stdout();
    writeln!(out, "target   added latency p50 µs  p99 µs   messages/s   µs a message: Redis  first node  second node")?;
    for target in TARGETS {
        let [p50, p99] = latency(&mut first, &second, target)?;
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            rounds.push(flood(&redis, &mut first, &second, target)?);
        }
        let middle = |figure: usize| median(rounds.iter().map(|round| round[figure]).collect());
        writeln!(
            out,
            "{target:<8} {p50:>20.0} {p99:>7.0} {:>12.0} {:>20.2} {:>11.2} {:>12.2}",
            middle(0),
            middle(1),
            middle(2),
            middle(3)
        )?;
    }
    Ok(())
}

/// Until the directory of each holds what the other has.
fn wait_for_each_other(node: &Node) -> io::Result<()> {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        let mut stream = TcpStream::connect(node.api)?;
        stream.write_all(b"GET /v1/nodes HTTP/1.1\r\nHost: n\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        if answer.contains("\"first\"") && answer.contains("\"second\"") {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Err(io::Error::other("the nodes do not see each other"))
}

/// From the arrival at a client of the first node to that at a client of the second: p50 and p99 in µs.
fn latency(first: &mut Node, second: &Node, target: &str) -> io::Result<[f64; 2]> {
    let mut here = Fleet::subscribe(first.clients, 1, |_| "news".into())?;
    let mut there = Fleet::subscribe(second.clients, 1, |_| "news".into())?;
    let mut added = Vec::with_capacity(HOPS);
    for _ in 0..HOPS {
        first.child.ask(&format!("publish {target} 1"))?;
        here.receive(1)?;
        let arrived = Instant::now();
        there.receive(1)?;
        added.push(arrived.elapsed().as_secs_f64() * 1e6);
    }
    added.sort_by(f64::total_cmp);
    Ok([added[HOPS / 2], added[HOPS * 99 / 100]])
}

/// Messages a second, and µs of processor time a message of Redis and of both nodes.
fn flood(redis: &Redis, first: &mut Node, second: &Node, target: &str) -> io::Result<[f64; 4]> {
    let mut there = Fleet::subscribe(second.clients, 1, |_| "news".into())?;
    let processes = [redis.process.id(), first.child.id(), second.child.id()];
    let cpu = || processes.map(|process| cpu_ns(process).unwrap_or_default() as f64 / 1e3);
    let (before, started) = (cpu(), Instant::now());
    first.child.tell(&format!("publish {target} {FLOOD}"))?;
    there.receive(FLOOD as u64)?;
    let (seconds, after) = (started.elapsed().as_secs_f64(), cpu());
    first.child.line()?;
    let of = |index: usize| (after[index] - before[index]) / FLOOD as f64;
    Ok([FLOOD as f64 / seconds, of(0), of(1), of(2)])
}
