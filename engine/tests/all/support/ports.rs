//! Ports for programs that cannot be told to take any free one.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// A port to listen on.
///
/// Below those the kernel gives out by itself (`net.ipv4.ip_local_port_range`): between our look and the program's bind,
/// one of those could go to any of the connections other tests open. And below 22 000, so that the port plus 10 000,
/// which Redis Cluster takes for its bus, is below them too.
pub fn free_port() -> u16 {
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let ports = std::iter::repeat_with(next).take(usize::from(PORTS));
    ports.into_iter().find(|port| is_free(*port) && is_free(port + BUS)).expect("a free port")
}

/// Each port is given out once, until all have been: what was found free is not found again before it is bound.
fn next() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Processes begin at different places.
    let start = std::process::id().wrapping_mul(211) % u32::from(PORTS);
    let start = u16::try_from(start).expect("below PORTS");
    FIRST + start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % PORTS
}

const FIRST: u16 = 12_000;
const PORTS: u16 = 10_000;

/// From a port of Redis Cluster to that of its bus.
const BUS: u16 = 10_000;
