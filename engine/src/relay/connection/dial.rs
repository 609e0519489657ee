//! From a host's name to a socket that stands, in bounded time.

use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};
use std::{io, iter};

use socket2::{SockRef, TcpKeepalive};

use super::error::Fault;
use crate::relay::url::Host;

/// Connects to the first address of the name that lets it. All of it takes no longer than the time-out.
pub(super) fn connect(host: &Host, timeout: Duration) -> Result<TcpStream, Fault> {
    let deadline = Instant::now() + timeout;
    let addresses = resolve(host, timeout)?;
    let mut fault = Fault::Unreachable("its name has no address".into());
    for (at, address) in addresses.iter().enumerate() {
        // Each gets its share of what is left: one that swallows packets must not use up the others' time.
        let left = deadline.saturating_duration_since(Instant::now()) / (addresses.len() - at) as u32;
        if left.is_zero() {
            return Err(Fault::TimedOut);
        }
        match TcpStream::connect_timeout(address, left).and_then(prepared) {
            Ok(stream) => return Ok(stream),
            Err(why) if why.kind() == io::ErrorKind::TimedOut => fault = Fault::TimedOut,
            Err(why) => fault = Fault::Unreachable(why.to_string()),
        }
    }
    Err(fault)
}

fn prepared(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    // A listener may be silent for hours, and a peer that is gone says nothing: the kernel asks.
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL);
    SockRef::from(&stream).set_tcp_keepalive(&keepalive.with_retries(KEEPALIVE_RETRIES))?;
    Ok(stream)
}

/// The addresses of a name. The system's resolver takes no time-out, so it is asked by a thread that may outlive the wait.
fn resolve(host: &Host, timeout: Duration) -> Result<Vec<SocketAddr>, Fault> {
    if let Ok(address) = host.name.parse::<IpAddr>() {
        return Ok(iter::once(SocketAddr::new(address, host.port)).collect());
    }
    let (found, answer) = mpsc::sync_channel(1);
    let (name, port) = (host.name.clone(), host.port);
    let ask = move || {
        let addresses = (name.as_str(), port).to_socket_addrs().map(Iterator::collect);
        // Nobody waits any more when it took too long.
        let _ = found.send(addresses);
    };
    thread::Builder::new().name("resolve".into()).spawn(ask).map_err(|why| Fault::Unreachable(why.to_string()))?;
    let addresses: io::Result<Vec<_>> = answer.recv_timeout(timeout).map_err(|_| Fault::TimedOut)?;
    addresses.map_err(|why| Fault::Unreachable(why.to_string()))
}

/// Silence before the kernel asks the first time.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);

/// Between its questions.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(3);

/// Unanswered questions after which the connection is gone: 19 s of silence in all.
const KEEPALIVE_RETRIES: u32 = 3;
