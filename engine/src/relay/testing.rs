//! Real Redis servers for unit tests: each on a port and in a directory of its own, gone with the test.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use redis::{Cmd, cmd};
use rustix::process::{Pid, Signal, kill_process};

use super::connection::{Access, Connection};
use crate::config::{ClusterConfig, Secret};

/// The longest any single wait of a test may take. Nothing takes a tenth of it on an idle machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A running `redis-server` without persistence. Killed when dropped.
#[derive(Debug)]
pub struct RedisServer {
    child: Child,
    port: u16,
    args: Vec<String>,
    dir: tempfile::TempDir,
}

impl RedisServer {
    /// An empty server that lets everybody in.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// [`RedisServer::start`] with further arguments, as in `--requirepass secret`.
    ///
    /// `{port}` in them becomes the port, `{dir}` the directory of the server.
    pub fn start_with(args: &[&str]) -> Self {
        Self::start_from("", args)
    }

    /// [`RedisServer::start_with`] a configuration file of these lines: users of ACLs and sentinels need one.
    pub fn start_from(file: &str, args: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(dir.path().join(FILE), file).expect("writable");
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        // Another process may take the port between our look and the server's bind: then it ends, and the next is tried.
        for _ in 0..10 {
            let port = free_port();
            if let Some(child) = spawn(port, &args, dir.path()) {
                return Self { child, port, args, dir };
            }
        }
        panic!("redis-server does not start: is it installed?");
    }

    /// Where it listens, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its URL, without password.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// What gets one into it.
    pub fn access(&self) -> Access {
        access(&self.url())
    }

    /// A connection to it.
    pub fn connect(&self) -> Connection {
        let access = self.access();
        Connection::open(&access.url().hosts[0], &access).expect("it lets everybody in")
    }

    /// Kills it; connections are reset. [`RedisServer::restart_empty`] brings it back.
    pub fn kill(&mut self) {
        // One that has ended already is what was asked for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Kills it and starts it anew on the same port, without any data.
    pub fn restart_empty(&mut self) {
        self.kill();
        self.child = spawn(self.port, &self.args, self.dir.path()).expect("the port is still free");
    }

    /// Holds it: the kernel still accepts connections and bytes, nothing answers.
    pub fn stop(&self) {
        kill_process(Pid::from_child(&self.child), Signal::STOP).expect("it runs");
    }

    /// Lets it go on.
    pub fn cont(&self) {
        kill_process(Pid::from_child(&self.child), Signal::CONT).expect("it runs");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What gets one into the Redis of a URL, within 5 s.
pub fn access(url: &str) -> Access {
    Access::new(&config(url)).expect("a URL")
}

/// `[cluster]` for a URL, with a time-out of 5 s.
pub fn config(url: &str) -> ClusterConfig {
    ClusterConfig { redis: Some(Secret::new(url)), timeout_ms: 5_000, ..ClusterConfig::default() }
}

/// A sentinel that watches this server as `main`. Gone when dropped; what it may have made of the server stays.
pub fn sentinel_of(master: &RedisServer, lines: &str) -> RedisServer {
    let file = format!(
        "sentinel monitor main 127.0.0.1 {} 1\nsentinel down-after-milliseconds main 1000\n\
         sentinel failover-timeout main 3000\n{lines}\n",
        master.port()
    );
    RedisServer::start_from(&file, &["--sentinel"])
}

/// A Redis Cluster of three masters. By hand: `redis-cli --cluster create` sleeps whole seconds.
pub fn cluster_of_three() -> Vec<RedisServer> {
    let buses: Vec<String> = (0..3).map(|_| free_port().to_string()).collect();
    let arguments = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-port"];
    let servers: Vec<RedisServer> =
        buses.iter().map(|bus| RedisServer::start_with(&[&arguments[..], &[bus.as_str()]].concat())).collect();
    let mut connections: Vec<Connection> = servers.iter().map(RedisServer::connect).collect();
    let slots = [(0, 5_460), (5_461, 10_922), (10_923, 16_383)];
    for (at, ((from, to), connection)) in slots.into_iter().zip(&mut connections).enumerate() {
        let mut ask = |what: &mut Cmd| connection.ask(what).expect("granted");
        ask(cmd("CLUSTER").arg("ADDSLOTSRANGE").arg(from).arg(to));
        ask(cmd("CLUSTER").arg("SET-CONFIG-EPOCH").arg(at + 1));
        for (other, bus) in servers.iter().zip(&buses) {
            ask(cmd("CLUSTER").arg("MEET").arg("127.0.0.1").arg(other.port()).arg(bus));
        }
    }
    for connection in &mut connections {
        within("the cluster is up", || {
            let info = format!("{:?}", connection.ask(cmd("CLUSTER").arg("INFO")).expect("an answer"));
            (info.contains("cluster_state:ok") && info.contains("cluster_size:3")).then_some(())
        });
    }
    servers
}

/// Asks until there is an answer. `ask` itself waits for something, so that this does not spin.
pub fn within<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::yield_now();
    }
}

/// Starts the server and waits until it serves; none when it ends instead.
fn spawn(port: u16, args: &[String], dir: &Path) -> Option<Child> {
    let mut command = Command::new("redis-server");
    let (port, here) = (port.to_string(), dir.display().to_string());
    command.arg(dir.join(FILE)).args(["--port", &port, "--bind", "127.0.0.1", "--dir", &here, "--save", ""]);
    command.args(args.iter().map(|arg| arg.replace("{port}", &port).replace("{dir}", &here)));
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("redis-server is installed");
    let log = BufReader::new(child.stdout.take().expect("piped"));
    let (serves, ready) = mpsc::channel();
    // Reads to the end, so that the server never waits for room in the pipe.
    std::thread::spawn(move || {
        for line in log.lines().map_while(Result::ok) {
            if line.contains("Ready to accept connections") || line.contains("Sentinel ID is") {
                let _ = serves.send(());
            }
        }
    });
    match ready.recv_timeout(PATIENCE) {
        Ok(()) => Some(child),
        Err(_) => {
            let _ = child.kill();
            let _ = child.wait();
            None
        }
    }
}

/// The configuration file, in the server's directory.
const FILE: &str = "redis.conf";

/// A port to listen on, below those the kernel gives out by itself (`net.ipv4.ip_local_port_range`).
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let of_this_process = 10_000 + (std::process::id() % 100) as u16 * 100;
    let ports = std::iter::repeat_with(|| of_this_process + NEXT.fetch_add(1, Ordering::Relaxed) % 100);
    ports.take(100).find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a free port")
}

#[cfg(test)]
mod tests {
    use redis::Value;

    use super::*;

    #[test]
    fn a_server_answers_and_comes_back_on_its_port_without_data() {
        let mut server = RedisServer::start();
        assert_eq!(server.connect().ask(cmd("SET").arg("a").arg(1)), Ok(Value::Okay));
        server.restart_empty();
        assert_eq!(server.connect().ask(cmd("GET").arg("a")), Ok(Value::Nil));
    }
}
