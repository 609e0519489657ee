//! What a delivery costs while others do not read: `cargo bench -p epush-bench --bench blocked [-- SUBSCRIBERS]`.
//!
//! Of all subscribers of one channel a share never reads. Once their sockets and outboxes are full, so that each message
//! makes the node drop one for each of them, messages of 1 KiB are published one at a time, the next when all who read
//! have it: the node's processor time, divided by what was delivered to those.

use std::io::{self, Write};

use epush_bench::fleet::{Fleet, allow_descriptors};
use epush_bench::median;
use epush_bench::node::{Node, publication, serve};

const READERS: usize = 1_000;

/// Who do not read, as a share of all in percent.
const BLOCKED_PERCENT: [usize; 3] = [0, 10, 50];
const ROUNDS: usize = 5;
const PAYLOAD: usize = 1_024;

/// Messages of one measurement.
const MESSAGES: usize = 100;

/// Messages that surely fill a client's receive buffer, the node's send buffer and the outbox.
const FILLING: usize = 4_096;

/// Messages published at once to fill them.
const BURST: usize = 64;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.first().map(String::as_str) {
        // Small buffers in the kernel, so that they are full soon.
        Some("--server") => serve(|config| config.server.send_buffer_bytes = 65_536),
        Some(readers) => compare(readers.parse().map_err(io::Error::other)?),
        None => compare(READERS),
    }
}

fn compare(readers: usize) -> io::Result<()> {
    allow_descriptors(2 * readers + 64);
    let mut results = BLOCKED_PERCENT.map(|percent| (percent, Vec::new()));
    for _ in 0..ROUNDS {
        for (percent, delivery_us) in &mut results {
            delivery_us.push(measure(readers, readers * *percent / (100 - *percent))?);
        }
    }
    let mut out = io::stdout();
    writeln!(out, "{readers} who read; µs for a delivery to one of them")?;
    let free = median(results[0].1.clone());
    for (percent, delivery_us) in results {
        let delivery_us = median(delivery_us);
        writeln!(out, "{percent:>3} % blocked {delivery_us:>8.3} {:>6.2}", delivery_us / free)?;
    }
    Ok(())
}

fn measure(readers: usize, blocked: usize) -> io::Result<f64> {
    let node = Node::start(&["--server"])?;
    // Nobody drives this one any more once its clients are subscribed.
    let _blocked = Fleet::subscribe(node.client, blocked, |_| "news".into())?;
    let mut fleet = Fleet::subscribe(node.client, readers, |_| "news".into())?;
    let mut publisher = node.publisher()?;
    let filling = publication(PAYLOAD, BURST);
    for _ in 0..if blocked > 0 { FILLING / BURST } else { 1 } {
        publisher.publish(&filling)?;
        fleet.receive(BURST as u64)?;
        publisher.answered()?;
    }
    let request = publication(PAYLOAD, 1);
    let before = node.rested_cpu_ns()?;
    for _ in 0..MESSAGES {
        publisher.publish(&request)?;
        fleet.receive(1)?;
        publisher.answered()?;
    }
    Ok((node.rested_cpu_ns()? - before) as f64 / 1e3 / (readers * MESSAGES) as f64)
}
