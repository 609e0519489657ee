//! What an idle connection costs in memory: `cargo bench -p epush-bench --bench idle_memory [-- CONNECTIONS]`.
//!
//! A node with its defaults runs as a process of its own; this one connects the clients, each signed in as its own user and
//! subscribed to one of 100 channels. User space is what the node's resident memory grew by; the kernel's side is what
//! all sockets of this machine hold, both ends.

use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use epush::config::AuthMode;
use epush::{Config, Engine, Target};
use epush_bench::child::{Child, obey};
use epush_bench::fleet::{Fleet, allow_descriptors};

const CONNECTIONS: usize = 15_000;
const CHANNELS: usize = 100;
const BROADCASTS: u64 = 100;

/// Clients that come and go before anything is measured: code and first allocations are not a connection's.
const WARM_UP: usize = 200;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.first().map(String::as_str) {
        Some("--server") => serve(),
        Some(connections) => measure(connections.parse().map_err(io::Error::other)?),
        None => measure(CONNECTIONS),
    }
}

fn serve() -> io::Result<()> {
    let mut config = Config::default();
    config.server.listen.set_port(0);
    config.server.api.set_port(0);
    config.auth.mode = AuthMode::None;
    config.sessions.ping_interval_ms = 3_600_000;
    let engine = Engine::builder().config(config).start().map_err(io::Error::other)?;
    let pusher = engine.pusher();
    writeln!(io::stdout(), "{}", engine.addresses().client)?;
    obey(|line| match line {
        ["broadcast", count] => {
            let count = count.parse::<u64>().unwrap_or_default();
            let pushed = (0..count).all(|_| pusher.raw(Target::All, br#""to everybody""#).is_ok());
            pushed.to_string()
        }
        _ => engine.online().sessions.to_string(),
    })
}

fn measure(connections: usize) -> io::Result<()> {
    allow_descriptors(connections + 64);
    let mut node = Child::start(&["--server"])?;
    let address: SocketAddr = node.line()?.parse().map_err(io::Error::other)?;
    let channel_of = |index: usize| format!("channel-{}", index % CHANNELS);

    drop(Fleet::subscribe(address, WARM_UP, channel_of)?);
    wait_for(&mut node, 0)?;
    let empty = Sample::take(&node)?;
    let mut fleet = Fleet::subscribe(address, connections, channel_of)?;
    wait_for(&mut node, connections)?;
    let idle = Sample::take(&node)?;
    node.ask(&format!("broadcast {BROADCASTS}"))?;
    fleet.receive(BROADCASTS)?;
    let pushed = Sample::take(&node)?;
    drop(fleet);
    wait_for(&mut node, 0)?;
    let left = Sample::take(&node)?;

    let mut out = io::stdout();
    writeln!(out, "{connections} connections, each its own user and in one of {CHANNELS} channels")?;
    writeln!(
        out,
        "{:<28} {:>10} {:>10} {:>10} {:>14}",
        "bytes a connection", "Rss", "Pss", "Anonymous", "kernel, TCP"
    )?;
    for (name, sample) in
        [("idle", &idle), (&format!("after {BROADCASTS} broadcasts"), &pushed), ("after all have left", &left)]
    {
        let per = |now: i64, before: i64| (now - before) / connections as i64;
        let [rss, pss, anonymous] = [0, 1, 2].map(|kind| per(sample.user[kind], empty.user[kind]));
        let kernel = per(sample.kernel, empty.kernel);
        writeln!(out, "{name:<28} {rss:>10} {pss:>10} {anonymous:>10} {kernel:>14}")?;
    }
    let [rss, _, anonymous] = empty.user;
    writeln!(out, "the node without connections: {} KiB Rss, {} KiB Anonymous", rss / 1_024, anonymous / 1_024)
}

/// Waits until the node has so many sessions, and a second more: what is only under way is not a connection's.
fn wait_for(node: &mut Child, sessions: usize) -> io::Result<()> {
    while node.ask("sessions")? != sessions.to_string() {
        thread::sleep(Duration::from_millis(20));
    }
    thread::sleep(Duration::from_secs(1));
    Ok(())
}

struct Sample {
    /// Rss, Pss and Anonymous of the node.
    user: [i64; 3],
    /// Buffers of all TCP sockets of the machine.
    kernel: i64,
}

impl Sample {
    fn take(node: &Child) -> io::Result<Self> {
        let memory = node.memory()?;
        let kind = |name| memory.get(name).copied().unwrap_or_default();
        let sockstat = fs::read_to_string("/proc/net/sockstat")?;
        let tcp = sockstat.lines().find_map(|line| line.strip_prefix("TCP:")).unwrap_or_default();
        let pages: i64 = tcp.rsplit(' ').next().and_then(|pages| pages.trim().parse().ok()).unwrap_or_default();
        Ok(Self { user: ["Rss", "Pss", "Anonymous"].map(kind), kernel: pages * 4_096 })
    }
}
