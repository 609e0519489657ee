//! One process of `redis-server`, a data server or a sentinel.

use std::any::Any;
use std::io::Write;
use std::process::{Child, Command, Stdio};

use redis::{FromRedisValue, RedisResult};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::super::deadline::{PATIENCE, eventually, stop_process};
use super::super::ports::free_port;
use super::super::tools::tool;
use super::COMMAND_TIMEOUT;

/// See the module. Dropping it kills the process and, when the test failed, shows its log.
pub struct Server {
    child: Child,
    pub port: u16,
    dir: TempDir,
    is_sentinel: bool,
    /// `user:password@` of who may do everything, or nothing.
    login: String,
    /// What must live as long as it.
    kept: Option<Box<dyn Any + Send>>,
}

impl Server {
    /// A data server with these lines in its configuration.
    pub fn start(config: &str) -> Self {
        Self::start_as(config, "")
    }

    /// The same, where the test needs a login.
    pub fn start_as(config: &str, login: &str) -> Self {
        Self::start_any(&format!("save \"\"\nappendonly no\n{config}"), login, false)
    }

    /// A sentinel.
    pub fn start_sentinel(config: &str) -> Self {
        Self::start_any(config, "", true)
    }

    fn start_any(config: &str, login: &str, is_sentinel: bool) -> Self {
        for _ in 0..START_ATTEMPTS {
            let (dir, port) = (TempDir::new().expect("a temporary directory"), free_port());
            let here = dir.path().display();
            let file = format!("port {port}\nbind 127.0.0.1\ndir {here}\nlogfile {here}/log\ndaemonize no\n{config}");
            std::fs::write(dir.path().join("redis.conf"), file).expect("a writable directory");
            let child = spawn(&dir, is_sentinel);
            let mut server = Self { child, port, dir, is_sentinel, login: login.into(), kept: None };
            if server.answers() {
                return server;
            }
        }
        panic!("redis-server does not start");
    }

    /// Keeps something as long as the server.
    pub fn keep(&mut self, what: impl Any + Send) {
        self.kept = Some(Box::new(what));
    }

    /// What it answers to a command.
    ///
    /// # Panics
    /// When it does not, or with an error.
    pub fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        self.try_ask(words).unwrap_or_else(|why| panic!("{words:?}: {why}"))
    }

    /// What it answers to a command, on a connection of its own.
    pub fn try_ask<T: FromRedisValue>(&self, words: &[&str]) -> RedisResult<T> {
        let mut connection = self.connection()?;
        let mut command = redis::Cmd::new();
        command.arg(words);
        command.query(&mut connection)
    }

    /// A connection to it, with a deadline for whatever is asked.
    pub fn connection(&self) -> RedisResult<redis::Connection> {
        let client = redis::Client::open(format!("redis://{}127.0.0.1:{}", self.login, self.port))?;
        let connection = client.get_connection_with_timeout(COMMAND_TIMEOUT)?;
        connection.set_read_timeout(Some(COMMAND_TIMEOUT))?;
        Ok(connection)
    }

    /// Publishes these bytes; to how many subscribers.
    pub fn publish(&self, channel: &str, bytes: &[u8]) -> u64 {
        let mut connection = self.connection().expect("it answers");
        redis::cmd("PUBLISH").arg(channel).arg(bytes).query(&mut connection).expect("it publishes")
    }

    /// A section of `INFO`; empty when it does not answer.
    pub fn info(&self, section: &str) -> String {
        self.try_ask(&["INFO", section]).unwrap_or_default()
    }

    /// How often a command was called, of those `INFO commandstats` counts.
    pub fn calls(&self, command: &str) -> u64 {
        let stats: String = self.ask(&["INFO", "commandstats"]);
        let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
        line.and_then(|line| line.split(',').next()?.parse().ok()).unwrap_or(0)
    }

    /// Kills it. Until [`Server::restart_empty`] nothing listens on its port.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again on its port. It has no data: nothing was kept on disk. What it knows of its cluster it still does.
    pub fn restart_empty(&mut self) {
        self.kill();
        eventually(PATIENCE, "the port is free again", || {
            self.child = spawn(&self.dir, self.is_sentinel);
            self.answers().then_some(())
        });
    }

    /// SIGSTOP.
    pub fn hang(&self) {
        stop_process(Pid::from_child(&self.child));
    }

    /// SIGCONT.
    pub fn go_on(&self) {
        kill_process(Pid::from_child(&self.child), Signal::CONT).expect("it runs");
    }

    /// Waits until it answers; or false when it has ended, as when another process had its port.
    fn answers(&mut self) -> bool {
        eventually(PATIENCE, "redis-server answers", || {
            if self.child.try_wait().expect("our child").is_some() {
                return Some(false);
            }
            // Ours, and not the one that had the port before.
            self.info("server").contains(&format!("process_id:{}\r", self.child.id())).then_some(true)
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(LOG_LINES_SHOWN).collect();
            let tail: Vec<&str> = tail.into_iter().rev().collect();
            let shown = format!("--- redis-server on port {} said at last:\n{}\n---", self.port, tail.join("\n"));
            let _ = writeln!(std::io::stderr(), "{shown}");
        }
    }
}

/// Ports tried: one that is free may be another process's a moment later.
const START_ATTEMPTS: usize = 5;

const LOG_LINES_SHOWN: usize = 20;

fn spawn(dir: &TempDir, is_sentinel: bool) -> Child {
    let mut command = Command::new(tool("redis-server"));
    command.arg(dir.path().join("redis.conf"));
    if is_sentinel {
        command.arg("--sentinel");
    }
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.spawn().expect("redis-server starts")
}
