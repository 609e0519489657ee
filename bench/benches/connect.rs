//! What a new connection costs the node's processor, beside the least it could cost:
//! `cargo bench -p epush-bench --bench connect [-- CONNECTIONS]`.
//!
//! Clients connect in waves, as fast as one thread can, and ask for `/echo`, which is answered with 101 and nothing else.
//! The floor is one thread around an epoll that accepts, reads the request and sends a 101 that was made before. Counted
//! is from the first connection to the last 101; the ends of the connections are not. Node and floor take turns;
//! medians are shown.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::thread;

use epush_bench::child::{Child, obey};
use epush_bench::fleet::allow_descriptors;
use epush_bench::median;
use epush_bench::node::{Node, address, rested_cpu_ns, serve};
use epush_bench::shake::{ECHO_REQUEST, switched};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

const CONNECTIONS: usize = 5_000;
const ROUNDS: usize = 7;

/// Clients connected before their answers are read: less than anybody's backlog.
const WAVE: usize = 250;

const ANSWER: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.first().map(String::as_str) {
        Some("--server") => serve(|config| config.server.echo = true),
        Some("--floor") => floor(),
        Some(connections) => compare(connections.parse().map_err(io::Error::other)?),
        None => compare(CONNECTIONS),
    }
}

fn compare(connections: usize) -> io::Result<()> {
    allow_descriptors(connections + 64);
    let (mut node_us, mut floor_us) = (Vec::new(), Vec::new());
    let node = Node::start(&["--server"])?;
    let mut floor = Child::start(&["--floor"])?;
    let to = address(&floor.line()?)?;
    for round in 0..=ROUNDS {
        let node_now = cost(&node.child, node.client, connections)?;
        let floor_now = cost(&floor, to, connections)?;
        // The first round is for memory and code to be there.
        if round > 0 {
            node_us.push(node_now);
            floor_us.push(floor_now);
        }
    }
    let (node, floor) = (median(node_us), median(floor_us));
    writeln!(io::stdout(), "connections  node µs  floor µs  ratio")?;
    writeln!(io::stdout(), "{connections:>11} {node:>8.2} {floor:>9.2} {:>6.2}", node / floor)
}

fn cost(child: &Child, to: SocketAddr, connections: usize) -> io::Result<f64> {
    let before = rested_cpu_ns(child)?;
    let clients = connect(to, connections)?;
    let ns = rested_cpu_ns(child)? - before;
    drop(clients);
    // The ends of all connections are over, too, before the next round counts.
    thread::sleep(std::time::Duration::from_millis(300));
    Ok(ns as f64 / 1e3 / connections as f64)
}

fn connect(to: SocketAddr, count: usize) -> io::Result<Vec<std::net::TcpStream>> {
    let mut streams = Vec::with_capacity(count);
    while streams.len() < count {
        let wave = WAVE.min(count - streams.len());
        for _ in 0..wave {
            let mut stream = std::net::TcpStream::connect(to)?;
            stream.write_all(ECHO_REQUEST)?;
            streams.push(stream);
        }
        let first = streams.len() - wave;
        for stream in &mut streams[first..] {
            switched(stream)?;
        }
    }
    Ok(streams)
}

fn floor() -> io::Result<()> {
    let mut listener = TcpListener::bind("127.0.0.1:0".parse().map_err(io::Error::other)?)?;
    writeln!(io::stdout(), "{}", listener.local_addr()?)?;
    thread::spawn(move || answer(&mut listener).expect("sockets"));
    obey(|_| String::new())
}

fn answer(listener: &mut TcpListener) -> io::Result<()> {
    const LISTENER: Token = Token(usize::MAX);
    let mut poll = Poll::new()?;
    poll.registry().register(listener, LISTENER, Interest::READABLE)?;
    let (mut events, mut sockets) = (Events::with_capacity(1_024), Vec::<Option<TcpStream>>::new());
    let mut buffer = vec![0; 64 * 1_024];
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() != LISTENER {
                let slot = &mut sockets[event.token().0];
                let Some(socket) = slot else { continue };
                match socket.read(&mut buffer) {
                    Ok(0) | Err(_) => *slot = None,
                    Ok(_) => socket.write_all(ANSWER)?,
                }
                continue;
            }
            while let Ok((mut socket, _)) = listener.accept() {
                socket.set_nodelay(true)?;
                poll.registry().register(&mut socket, Token(sockets.len()), Interest::READABLE)?;
                sockets.push(Some(socket));
            }
        }
    }
}
