//! What `channels.batch_ms` buys, and what it costs: `cargo bench -p epush-bench --bench batch_window [-- SUBSCRIBERS]`.
//!
//! One channel, 200 messages of 128 B a second, each at its time whether or not the one before has arrived. For each window:
//! the node's processor time for a delivery, and how long after its time a message arrives at a client. Windows take
//! turns; medians of the rounds are shown.

use std::io::{self, Write};
use std::thread;
use std::time::{Duration, Instant};

use epush_bench::fleet::{Fleet, allow_descriptors};
use epush_bench::median;
use epush_bench::node::{Node, Publisher, batch, serve};

const SUBSCRIBERS: usize = 2_000;
const WINDOWS_MS: [u64; 4] = [0, 1, 5, 20];
const ROUNDS: usize = 3;

const PER_SECOND: u64 = 200;

/// Messages of one measurement: five seconds.
const MESSAGES: u64 = 1_000;

/// Clients whose arrivals are timed: to look into every frame of every client would keep the client's side busy.
const SAMPLED: usize = 20;

/// Nothing for this long: messages are missing.
const PATIENCE: Duration = Duration::from_secs(20);

/// Bytes of `data`.
const PAYLOAD: usize = 128;

/// What stands before a message's number in its data.
const MARK: &[u8] = b"\"due-";

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--server", batch_ms] => {
            let batch_ms = batch_ms.parse().map_err(io::Error::other)?;
            serve(|config| config.channels.batch_ms = batch_ms)
        }
        [subscribers] => compare(subscribers.parse().map_err(io::Error::other)?),
        _ => compare(SUBSCRIBERS),
    }
}

#[derive(Default)]
struct Results {
    delivery_us: Vec<f64>,
    p50_ms: Vec<f64>,
    p99_ms: Vec<f64>,
}

fn compare(subscribers: usize) -> io::Result<()> {
    assert!(subscribers >= SAMPLED, "at least {SAMPLED} subscribers");
    allow_descriptors(subscribers + 64);
    let mut results = WINDOWS_MS.map(|batch_ms| (batch_ms, Results::default()));
    for _ in 0..ROUNDS {
        for (batch_ms, result) in &mut results {
            measure(subscribers, *batch_ms, result)?;
        }
    }
    let mut out = io::stdout();
    writeln!(out, "{subscribers} subscribers, {PER_SECOND} messages a second")?;
    writeln!(out, "batch_ms  node µs  p50 ms  p99 ms")?;
    for (batch_ms, Results { delivery_us, p50_ms, p99_ms }) in results {
        let (delivery_us, p50_ms, p99_ms) = (median(delivery_us), median(p50_ms), median(p99_ms));
        writeln!(out, "{batch_ms:>8} {delivery_us:>8.3} {p50_ms:>7.2} {p99_ms:>7.2}")?;
    }
    Ok(())
}

fn measure(subscribers: usize, batch_ms: u64, result: &mut Results) -> io::Result<()> {
    let node = Node::start(&["--server", &batch_ms.to_string()])?;
    let mut fleet = Fleet::subscribe(node.client, subscribers, |_| "news".into())?;
    let publisher = node.publisher()?;
    let before = node.rested_cpu_ns()?;
    let start = Instant::now() + Duration::from_millis(20);
    let publishing = thread::spawn(move || publish(publisher, start));
    let mut arrivals_ms = Vec::new();
    while arrivals_ms.len() < SAMPLED * MESSAGES as usize {
        let mut silent = true;
        fleet.read_once(PATIENCE, |index, bytes| {
            silent = false;
            if index % (subscribers / SAMPLED) == 0 && index / (subscribers / SAMPLED) < SAMPLED {
                let now = start.elapsed().as_secs_f64() * 1e3;
                arrivals_ms.extend(numbers(bytes).map(|number| now - due(number).as_secs_f64() * 1e3));
            }
        })?;
        assert!(!silent, "messages are missing");
    }
    publishing.join().map_err(|_| io::Error::other("the publisher"))??;
    let ns = node.rested_cpu_ns()? - before;
    arrivals_ms.sort_by(f64::total_cmp);
    result.delivery_us.push(ns as f64 / 1e3 / (subscribers as u64 * MESSAGES) as f64);
    result.p50_ms.push(arrivals_ms[arrivals_ms.len() / 2]);
    result.p99_ms.push(arrivals_ms[arrivals_ms.len() / 100 * 99]);
    Ok(())
}

/// When a message is due, counted from the start.
fn due(number: u64) -> Duration {
    Duration::from_secs(number) / PER_SECOND as u32
}

fn publish(mut publisher: Publisher, start: Instant) -> io::Result<()> {
    for number in 0..MESSAGES {
        let data = format!("\"due-{number:06}{}\"", "x".repeat(PAYLOAD - 12));
        thread::sleep((start + due(number)).saturating_duration_since(Instant::now()));
        publisher.publish(&batch(&data, 1))?;
        publisher.answered()?;
    }
    Ok(())
}

/// The numbers of the messages in these bytes. Messages are small, and none is cut in two by a read.
fn numbers(bytes: &[u8]) -> impl Iterator<Item = u64> {
    let places = bytes.windows(MARK.len()).enumerate().filter(|(_, window)| *window == MARK);
    places.filter_map(|(at, _)| std::str::from_utf8(bytes.get(at + 5..at + 11)?).ok()?.parse().ok())
}
