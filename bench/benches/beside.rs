//! How long an echo takes beside a broadcast: `cargo bench -p epush-bench --bench beside [-- SUBSCRIBERS]`.
//!
//! One reactor. Broadcasts of 128 B to 15 000 clients follow one another without a pause; meanwhile one client has a
//! message echoed every few milliseconds. Shown are the echo's times alone and beside, and how long one broadcast takes
//! from the request until everybody has read it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use epush_bench::fleet::{Fleet, allow_descriptors};
use epush_bench::median;
use epush_bench::node::{Node, publication, serve};
use epush_bench::shake::{ECHO_REQUEST, switched};

const SUBSCRIBERS: usize = 15_000;
const PAYLOAD: usize = 128;

/// How long it is measured, with broadcasts and without.
const MEASURE: Duration = Duration::from_secs(6);

/// Between two echoes.
const PAUSE: Duration = Duration::from_millis(3);

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.first().map(String::as_str) {
        Some("--server") => serve(|config| config.server.echo = true),
        Some(subscribers) => measure(subscribers.parse().map_err(io::Error::other)?),
        None => measure(SUBSCRIBERS),
    }
}

fn measure(subscribers: usize) -> io::Result<()> {
    allow_descriptors(subscribers + 64);
    let node = Node::start(&["--server"])?;
    let mut fleet = Fleet::subscribe(node.client, subscribers, |_| "news".into())?;
    let mut publisher = node.publisher()?;
    let (to, stop) = (node.client, Arc::new(AtomicBool::new(false)));
    let echoing = |stop: Arc<AtomicBool>| thread::spawn(move || echo(to, &stop));

    let alone = echoing(Arc::clone(&stop));
    thread::sleep(MEASURE / 2);
    stop.store(true, Ordering::Relaxed);
    let alone = alone.join().map_err(|_| io::Error::other("the echo"))??;

    let stop = Arc::new(AtomicBool::new(false));
    let beside = echoing(Arc::clone(&stop));
    let request = publication(PAYLOAD, 1);
    let (start, mut broadcasts_ms) = (Instant::now(), Vec::new());
    while start.elapsed() < MEASURE {
        let published = Instant::now();
        publisher.publish(&request)?;
        fleet.receive(1)?;
        broadcasts_ms.push(published.elapsed().as_secs_f64() * 1e3);
        publisher.answered()?;
    }
    stop.store(true, Ordering::Relaxed);
    let beside = beside.join().map_err(|_| io::Error::other("the echo"))??;

    let mut out = io::stdout();
    let broadcast_ms = median(broadcasts_ms);
    writeln!(out, "a broadcast to {subscribers}: {broadcast_ms:.1} ms in the middle")?;
    writeln!(out, "echo alone:  {}", percentiles(alone, broadcast_ms))?;
    writeln!(out, "echo beside: {}", percentiles(beside, broadcast_ms))
}

fn percentiles(mut times_ms: Vec<f64>, broadcast_ms: f64) -> String {
    times_ms.sort_by(f64::total_cmp);
    let (count, at) = (times_ms.len(), |percent: usize| times_ms[times_ms.len() * percent / 100]);
    let share = at(99) / broadcast_ms;
    format!("p50 {:.2} ms, p99 {:.2} ms of {count}: {share:.2} of a broadcast", at(50), at(99))
}

/// Has a message echoed, again and again; how long each took.
fn echo(to: SocketAddr, stop: &AtomicBool) -> io::Result<Vec<f64>> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_nodelay(true)?;
    stream.write_all(ECHO_REQUEST)?;
    switched(&mut stream)?;
    // Of the frame that comes back.
    let mut frame = [0; 6];
    let mut times_ms = Vec::new();
    let mut due = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        due += PAUSE;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let sent = Instant::now();
        stream.write_all(b"\x81\x84\0\0\0\0ping")?;
        stream.read_exact(&mut frame)?;
        times_ms.push(sent.elapsed().as_secs_f64() * 1e3);
    }
    Ok(times_ms)
}
