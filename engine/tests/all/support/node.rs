//! One epush process: started on free ports, watched, and ended with the test.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex, Once};
use std::time::Instant;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tempfile::TempDir;

use super::client::Client;
use super::deadline::{PATIENCE, stop_process};
use super::http::{Api, Reply};
use super::{Raw, Value};

/// The binary under test.
pub const EPUSH: &str = env!("CARGO_BIN_EXE_epush");

/// A running node. Dropping it kills the process and, when the test failed, shows its log.
pub struct Node {
    child: Child,
    dir: TempDir,
    log: Arc<Log>,
    /// Its name in the ready line.
    pub name: String,
    /// Where clients connect.
    pub clients: SocketAddr,
    /// Where the control API is.
    pub control: SocketAddr,
}

/// How a process ended that was run to its end.
pub struct Ended {
    /// The exit code; none after a signal.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// What to start a node with.
#[derive(Default)]
pub struct Setup {
    config: String,
    args: Vec<String>,
    env: Vec<(String, String)>,
    descriptors: Option<u32>,
    example: Option<&'static str>,
    soft_descriptors: Option<u32>,
}

impl Node {
    /// A node on this config file, two reactors, ports of its own.
    pub fn with(config: &str) -> Self {
        Self::setup(config).start()
    }

    /// A node on the defaults.
    pub fn plain() -> Self {
        Self::with("")
    }

    pub fn setup(config: &str) -> Setup {
        Setup { config: config.into(), ..Setup::default() }
    }

    /// A program of `engine/examples`, on ports of its own.
    pub fn example(name: &'static str) -> Self {
        Setup { example: Some(name), ..Setup::default() }.start()
    }

    /// `ws://…` of a path of the client listener.
    pub fn url(&self, path: &str) -> String {
        format!("ws://{}{path}", self.clients)
    }

    /// A WebSocket client at `path`, its `welcome` read.
    pub fn client(&self, path: &str) -> Client {
        Client::open(&self.url(path))
    }

    /// A client of the user, signed in by its path.
    pub fn user(&self, user: &str) -> Client {
        self.client(&format!("/msg/{user}"))
    }

    /// An anonymous client.
    pub fn anyone(&self) -> Client {
        self.client("/msg")
    }

    /// A bare TCP connection to the client listener.
    pub fn raw(&self) -> Raw {
        Raw::connect(self.clients)
    }

    /// A kept-alive connection to the control API.
    pub fn api(&self) -> Api {
        Api::connect(self.control)
    }

    /// One API request on a connection of its own.
    pub fn get(&self, path: &str) -> Reply {
        self.api().get(path)
    }

    /// Pushes and returns the API's answer.
    ///
    /// # Panics
    /// When it is not 202.
    pub fn push(&self, body: &Value) -> Value {
        let reply = self.api().post("/v1/push", body);
        assert_eq!(reply.status, 202, "{body} got {reply:?}");
        reply.json()
    }

    /// The value of one metric line, labels included in `name` as they are written.
    pub fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").text();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no metric {name} in:\n{text}"))
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(pid_of(&self.child), signal).expect("the node runs");
    }

    /// SIGSTOP. SIGCONT lets it go on.
    pub fn hang(&self) {
        stop_process(pid_of(&self.child));
    }

    /// Resident memory, in bytes.
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("the node runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
        let kib: u64 = line.split_ascii_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number");
        kib * 1024
    }

    /// CPU time used so far, in clock ticks.
    pub fn cpu_ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).expect("the node runs");
        let after_name = stat.rsplit_once(')').expect("a name").1;
        after_name.split_ascii_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
    }

    /// Rewrites the config file; the node sees it on SIGHUP.
    pub fn rewrite(&self, config: &str) {
        std::fs::write(self.config_file(), config).expect("a writable directory");
    }

    pub fn config_file(&self) -> PathBuf {
        self.dir.path().join("epush.toml")
    }

    /// Waits until the log holds `needle`.
    pub fn expect_log(&self, needle: &str) {
        self.log.wait_for(needle);
    }

    pub fn log(&self) -> String {
        self.log.text.lock().expect("log").clone()
    }

    /// Waits for the process to end by itself.
    pub fn ended(&mut self) -> ExitStatus {
        wait(&mut self.child)
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("our child").is_none()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let early = self.child.try_wait();
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let _ = writeln!(std::io::stderr(), "--- the node ({early:?}) said:\n{}---", self.log());
        }
    }
}

impl Setup {
    pub fn args(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(ToString::to_string));
        self
    }

    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.env.push((key.into(), value.into()));
        self
    }

    /// Lets the process have this many descriptors and no more.
    pub fn descriptors(mut self, most: u32) -> Self {
        self.descriptors = Some(most);
        self
    }

    /// Starts the process with this soft limit on descriptors, under a hard limit that stays.
    pub fn soft_descriptors(mut self, at_first: u32) -> Self {
        self.soft_descriptors = Some(at_first);
        self
    }

    /// Starts it and waits for the ready line.
    ///
    /// # Panics
    /// When the line does not come within [`PATIENCE`].
    pub fn start(self) -> Node {
        let (mut child, dir) = self.spawn();
        let log = Log::follow(child.stderr.take().expect("piped"));
        let lines = follow_lines(child.stdout.take().expect("piped"));
        let ready = match lines.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(why) => {
                let _ = child.kill();
                let status = child.wait();
                let log = log.text.lock().expect("log");
                panic!("no ready line ({why}); the node ended with {status:?} and said:\n{log}");
            }
        };
        let field = |key: &str| {
            let value = ready.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
            value.unwrap_or_else(|| panic!("no {key}= in the ready line {ready:?}")).to_string()
        };
        assert!(ready.starts_with("epush ready "), "{ready:?}");
        let address = |url: String, scheme: &str| {
            let rest = url.strip_prefix(scheme).unwrap_or_else(|| panic!("{url} is not {scheme}"));
            rest.split('/').next().and_then(|host| host.parse().ok()).unwrap_or_else(|| panic!("no address in {url}"))
        };
        let (name, clients, control) = (field("node"), address(field("ws"), "ws://"), address(field("api"), "http://"));
        Node { child, dir, log, name, clients, control }
    }

    /// Runs it to its end: for starts that must fail.
    pub fn run(self) -> Ended {
        let (mut child, _dir) = self.spawn();
        let out = follow_all(child.stdout.take().expect("piped"));
        let log = follow_all(child.stderr.take().expect("piped"));
        let code = wait(&mut child).code();
        Ended {
            code,
            stdout: out.recv_timeout(PATIENCE).expect("ended"),
            stderr: log.recv_timeout(PATIENCE).expect("ended"),
        }
    }

    fn spawn(self) -> (Child, TempDir) {
        let dir = TempDir::new().expect("a temporary directory");
        let file = dir.path().join("epush.toml");
        std::fs::write(&file, &self.config).expect("a writable directory");
        let mut command = self.command(&file, dir.path());
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        (child.expect("the binary was built"), dir)
    }

    fn command(&self, file: &Path, dir: &Path) -> Command {
        let mut command = match self.example {
            Some(name) => example(name),
            None => self.serve(file),
        };
        command.current_dir(dir);
        // Nothing of the machine's own environment may decide what a test sees.
        for (key, _) in std::env::vars().filter(|(key, _)| key.starts_with("EPUSH_")) {
            command.env_remove(key);
        }
        if self.example.is_some() {
            command.envs([("EPUSH_SERVER_LISTEN", "127.0.0.1:0"), ("EPUSH_SERVER_API", "127.0.0.1:0")]);
        }
        command.envs(self.env.iter().map(|(key, value)| (key, value)));
        command
    }

    fn serve(&self, file: &Path) -> Command {
        // The soft and the hard limit: the node raises the soft one by itself.
        let mut line = String::from("exec \"$@\"");
        if let Some(most) = self.descriptors {
            line.clear();
            let _ = write!(line, "ulimit -n {most} && exec \"$@\"");
        }
        if let Some(at_first) = self.soft_descriptors {
            line.clear();
            let _ = write!(line, "ulimit -S -n {at_first} && exec \"$@\"");
        }
        let mut command = Command::new("sh");
        command.args(["-c", &line, "sh", EPUSH, "serve", "--config"]).arg(file);
        let given = |flag: &str| self.args.iter().any(|arg| arg == flag);
        for (flag, value) in [("--listen", "127.0.0.1:0"), ("--api", "127.0.0.1:0"), ("--reactors", "2")] {
            if !given(flag) {
                command.args([flag, value]);
            }
        }
        command.args(&self.args);
        command
    }
}

/// An example, built: cargo has done so before tests only when it was asked for all of them.
fn example(name: &str) -> Command {
    static BUILT: Once = Once::new();
    BUILT.call_once(|| {
        let mut build = Command::new(env!("CARGO"));
        // The whole workspace, as `./test` builds it: with other features of dependencies it would take a minute.
        build.args(["build", "--quiet", "--workspace", "--examples", "--manifest-path"]);
        build.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
        // What cargo tells a test about its package would make build scripts that look at it run again.
        let of_package = |key: &str| key.starts_with("CARGO_PKG_") || key.starts_with("CARGO_MANIFEST_");
        for (key, _) in std::env::vars().filter(|(key, _)| of_package(key)) {
            build.env_remove(key);
        }
        assert!(build.status().expect("cargo runs").success(), "the examples build");
    });
    Command::new(Path::new(EPUSH).with_file_name("examples").join(name))
}

/// Runs `epush` with these arguments to its end, `input` on its standard input.
pub fn run_epush(args: &[&str], input: &str) -> Ended {
    let mut command = Command::new(EPUSH);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    run_to_end(&mut command, input)
}

/// Runs a command to its end within [`PATIENCE`].
pub fn run_to_end(command: &mut Command, input: &str) -> Ended {
    let mut child = command.spawn().unwrap_or_else(|why| panic!("{command:?} does not start: {why}"));
    let out = follow_all(child.stdout.take().expect("piped"));
    let log = follow_all(child.stderr.take().expect("piped"));
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not read its input is no failure.
        let _ = stdin.write_all(input.as_bytes());
    }
    let code = wait(&mut child).code();
    Ended {
        code,
        stdout: out.recv_timeout(PATIENCE).expect("ended"),
        stderr: log.recv_timeout(PATIENCE).expect("ended"),
    }
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// Waits for the end with a deadline, in another thread: `waitid` with `WNOWAIT` leaves the reaping to `Child`.
fn wait(child: &mut Child) -> ExitStatus {
    let (done, ended) = channel();
    let pid = pid_of(child);
    std::thread::spawn(move || {
        let _ = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
        let _ = done.send(());
    });
    if ended.recv_timeout(PATIENCE).is_err() {
        let _ = child.kill();
        let _ = child.wait();
        panic!("the process did not end within {PATIENCE:?}");
    }
    child.wait().expect("our child")
}

/// What the node says on stderr.
struct Log {
    text: Mutex<String>,
    grew: Condvar,
}

impl Log {
    fn follow(stderr: impl std::io::Read + Send + 'static) -> Arc<Self> {
        let log = Arc::new(Self { text: Mutex::default(), grew: Condvar::new() });
        let writer = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
                let mut text = writer.text.lock().expect("log");
                text.push_str(&String::from_utf8_lossy(&line));
                text.push('\n');
                writer.grew.notify_all();
            }
        });
        log
    }

    fn wait_for(&self, needle: &str) {
        let end = Instant::now() + PATIENCE;
        let mut text = self.text.lock().expect("log");
        while !text.contains(needle) {
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "the node never said {needle:?}, but:\n{text}");
            text = self.grew.wait_timeout(text, left).expect("log").0;
        }
    }
}

/// The lines of a pipe, as they come.
pub fn follow_lines(stdout: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (send, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // The test may have stopped listening; the pipe must still be emptied.
            let _ = send.send(line);
        }
    });
    lines
}

fn follow_all(mut pipe: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (send, all) = channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        let _ = send.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    all
}
