//! What an echo costs the node's processor, beside the least it could cost:
//! `cargo bench -p epush-bench --bench echo [-- CONNECTIONS…]`.
//!
//! Every connection has one message of 128 B under way, and sends the next when it is back. The floor is one thread
//! around an epoll that only receives and sends as many bytes. Node and floor take turns; medians are shown.

use std::collections::BTreeMap;
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

const CONNECTIONS: [usize; 2] = [100, 1_000];
const ROUNDS: usize = 7;

/// Messages of one measurement, over all connections.
const MESSAGES: usize = 100_000;

/// Bytes of a message; its frame is 4 longer from the node and 8 to it.
const PAYLOAD: usize = 128;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.first().map(String::as_str) {
        Some("--server") => serve(|config| config.server.echo = true),
        Some("--floor") => floor(),
        _ => {
            let chosen: Result<Vec<usize>, _> = arguments.iter().map(|argument| argument.parse()).collect();
            let chosen = chosen.map_err(io::Error::other)?;
            compare(if chosen.is_empty() { &CONNECTIONS } else { &chosen })
        }
    }
}

fn compare(connections: &[usize]) -> io::Result<()> {
    allow_descriptors(2 * connections.iter().max().unwrap_or(&0) + 64);
    let mut results: BTreeMap<usize, (Vec<f64>, Vec<f64>)> = BTreeMap::new();
    for &connections in connections {
        let node = Node::start(&["--server"])?;
        let mut of_node = Echoes::open(node.client, connections, true)?;
        let mut floor = Child::start(&["--floor"])?;
        let mut of_floor = Echoes::open(address(&floor.line()?)?, connections, false)?;
        let (node_us, floor_us) = results.entry(connections).or_default();
        for round in 0..=ROUNDS {
            let node_now = cost(&node.child, &mut of_node)?;
            let floor_now = cost(&floor, &mut of_floor)?;
            if round > 0 {
                node_us.push(node_now);
                floor_us.push(floor_now);
            }
        }
    }
    let mut out = io::stdout();
    writeln!(out, "connections  node µs  floor µs  ratio")?;
    for (connections, (node, floor)) in results {
        let (node, floor) = (median(node), median(floor));
        writeln!(out, "{connections:>11} {node:>8.3} {floor:>9.3} {:>6.2}", node / floor)?;
    }
    Ok(())
}

fn cost(child: &Child, echoes: &mut Echoes) -> io::Result<f64> {
    let before = rested_cpu_ns(child)?;
    echoes.run(MESSAGES)?;
    Ok((rested_cpu_ns(child)? - before) as f64 / 1e3 / MESSAGES as f64)
}

// --- the floor ---------------------------------------------------------------

fn floor() -> io::Result<()> {
    let mut listener = TcpListener::bind("127.0.0.1:0".parse().map_err(io::Error::other)?)?;
    writeln!(io::stdout(), "{}", listener.local_addr()?)?;
    thread::spawn(move || echo(&mut listener).expect("sockets"));
    obey(|_| String::new())
}

fn echo(listener: &mut TcpListener) -> io::Result<()> {
    const LISTENER: Token = Token(usize::MAX);
    let mut poll = Poll::new()?;
    poll.registry().register(listener, LISTENER, Interest::READABLE)?;
    let (mut events, mut sockets) = (Events::with_capacity(1_024), Vec::<TcpStream>::new());
    let mut buffer = vec![0; 64 * 1_024];
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() != LISTENER {
                let socket = &mut sockets[event.token().0];
                let got = socket.read(&mut buffer)?;
                // As much as the node sends.
                socket.write_all(&buffer[..got.min(PAYLOAD + 4)])?;
                continue;
            }
            while let Ok((mut socket, _)) = listener.accept() {
                socket.set_nodelay(true)?;
                poll.registry().register(&mut socket, Token(sockets.len()), Interest::READABLE)?;
                sockets.push(socket);
            }
        }
    }
}

// --- the clients -------------------------------------------------------------

struct Echoes {
    poll: Poll,
    events: Events,
    /// And how many bytes of the message under way are back.
    sockets: Vec<(TcpStream, usize)>,
    frame: Vec<u8>,
}

impl Echoes {
    fn open(to: SocketAddr, count: usize, upgrade: bool) -> io::Result<Self> {
        let mut sockets = Vec::new();
        let poll = Poll::new()?;
        for index in 0..count {
            let mut stream = std::net::TcpStream::connect(to)?;
            stream.set_nodelay(true)?;
            if upgrade {
                stream.write_all(ECHO_REQUEST)?;
                switched(&mut stream)?;
            }
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry().register(&mut stream, Token(index), Interest::READABLE)?;
            sockets.push((stream, 0));
        }
        // Masked with zeros.
        let mut frame = vec![0x82, 0x80 | 126, 0, PAYLOAD as u8, 0, 0, 0, 0];
        frame.resize(frame.len() + PAYLOAD, b'x');
        Ok(Self { poll, events: Events::with_capacity(1_024), sockets, frame })
    }

    /// Has so many messages echoed.
    fn run(&mut self, messages: usize) -> io::Result<()> {
        let (mut sent, mut back) = (0, 0);
        for (stream, _) in &mut self.sockets {
            stream.write_all(&self.frame)?;
            sent += 1;
        }
        let mut buffer = [0; 4_096];
        while back < messages {
            self.poll.poll(&mut self.events, None)?;
            for event in &self.events {
                let (stream, got) = &mut self.sockets[event.token().0];
                match stream.read(&mut buffer) {
                    Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                    Ok(bytes) => *got += bytes,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                    Err(error) => return Err(error),
                }
                if *got < PAYLOAD + 4 {
                    continue;
                }
                *got = 0;
                back += 1;
                if sent < messages {
                    stream.write_all(&self.frame)?;
                    sent += 1;
                }
            }
        }
        Ok(())
    }
}
