//! What receiving costs: nanoseconds of processor time for each message that a client takes out of bytes that are there already.
//!
//! `cargo run --release -p epush-loadgen --example receive`

use std::hint::black_box;

use epush_loadgen::client::{Client, Turn};
use epush_loadgen::plan::Plan;
use epush_loadgen::recorder::Recorder;
use epush_loadgen::stamp::Stamp;
use rustix::time::{ClockId, clock_gettime};
use tungstenite::handshake::derive_accept_key;

/// Clients that get the same messages in turn, as those of one channel do.
const CLIENTS: u32 = 1_000;

/// Messages of each client in a round.
const MESSAGES: u64 = 1_280;

fn main() -> Result<(), String> {
    println!("{:>8} {:>10} {:>14}", "bytes", "in a read", "ns a message");
    for payload_bytes in [128, 1_024] {
        for batch in [1, 16, 64] {
            // The best of five: the machine has other work to do.
            let rounds = (0..5).map(|_| round(payload_bytes, batch)).collect::<Result<Vec<_>, _>>()?;
            let best = rounds.into_iter().fold(f64::INFINITY, f64::min);
            println!("{payload_bytes:>8} {batch:>10} {best:>14.1}");
        }
    }
    Ok(())
}

fn round(payload_bytes: usize, batch: u64) -> Result<f64, String> {
    let scenario = format!(
        "name = \"receive\"\n[[group]]\nclients = {CLIENTS}\nchannels = [\"news\"]\n\
         [[publisher]]\nto = {{ channels = [\"news\"] }}\nrate_per_s = 1000.0\npayload_bytes = {payload_bytes}\n"
    );
    let plan = Plan::new(toml::from_str(&scenario).map_err(|error| error.to_string())?)?;
    let mut recorder = Recorder::new(&plan);
    // Time begins with 0 here.
    recorder.steady(&plan, 0);
    let mut out = Vec::new();
    let mut clients: Vec<Client> = (0..CLIENTS).map(Client::new).collect();
    for client in &mut clients {
        join(client, &plan, &mut recorder, &mut out)?;
    }
    let mut now_ns = 1_000_000_000;
    let mut taken_ns = 0;
    for first in (0..MESSAGES).step_by(batch as usize) {
        let read: Vec<u8> =
            (first..first + batch).flat_map(|seq| frame(seq, payload_bytes, now_ns - 300_000)).collect();
        let begun_ns = cpu_ns();
        for client in &mut clients {
            now_ns += 1_700;
            let mut turn = Turn { plan: &plan, recorder: &mut recorder, out: &mut out, now_ns };
            client.receive(black_box(&read), &mut turn).map_err(|ended| format!("{ended:?}"))?;
        }
        taken_ns += cpu_ns() - begun_ns;
    }
    let messages = recorder.counts().messages;
    Ok(taken_ns as f64 / messages as f64)
}

/// Processor time of this thread: others may want the processor, too.
fn cpu_ns() -> u64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

fn join(client: &mut Client, plan: &Plan, recorder: &mut Recorder, out: &mut Vec<u8>) -> Result<(), String> {
    out.clear();
    client.open(0, &mut Turn { plan, recorder, out, now_ns: 0 });
    let request = String::from_utf8_lossy(out).into_owned();
    let key = request.split("Sec-WebSocket-Key: ").nth(1).and_then(|rest| rest.lines().next()).unwrap_or_default();
    let mut answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
        derive_accept_key(key.as_bytes())
    )
    .into_bytes();
    for text in [r#"{"op":"welcome"}"#, r#"{"op":"ok","id":1,"channel":"news"}"#] {
        answer.extend([0x81, text.len() as u8]);
        answer.extend(text.as_bytes());
    }
    client.receive(&answer, &mut Turn { plan, recorder, out, now_ns: 0 }).map_err(|ended| format!("{ended:?}"))
}

/// As epush sends it.
fn frame(seq: u64, payload_bytes: usize, due_ns: u64) -> Vec<u8> {
    let mut text = br#"{"op":"message","channel":"news","id":"5f3c-1","time_ms":1800000000000,"data":""#.to_vec();
    Stamp { run: 0, intended_ns: due_ns, slip_us: 40, stream: 0, seq }.write(payload_bytes, &mut text);
    text.extend_from_slice(b"\"}");
    let mut frame = vec![0x81, 126];
    frame.extend_from_slice(&(text.len() as u16).to_be_bytes());
    frame.extend(text);
    frame
}
