//! The measured program: this one, run again as a process of its own, told what to do over its standard input.
//!
//! What it costs is read from outside, from `/proc`: measuring must not change what is measured.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child as Process, ChildStdin, ChildStdout, Command, Stdio};

/// A running copy of this program.
pub struct Child {
    process: Process,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Child {
    /// Runs this program with these arguments.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn start(arguments: &[&str]) -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut process = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (input, output) = (process.stdin.take(), process.stdout.take());
        let (input, output) = (input.expect("asked for above"), output.expect("asked for above"));
        Ok(Self { process, input, output: BufReader::new(output) })
    }

    /// The next line it prints.
    ///
    /// # Errors
    /// When it has ended.
    pub fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.output.read_line(&mut line)? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the measured process ended")),
            _ => Ok(line.trim_end().to_owned()),
        }
    }

    /// Gives it a line, and returns the one it answers with.
    ///
    /// # Errors
    /// When it has ended.
    pub fn ask(&mut self, line: &str) -> io::Result<String> {
        self.tell(line)?;
        self.line()
    }

    /// Gives it a line, whose answer is read later.
    ///
    /// # Errors
    /// When it has ended.
    pub fn tell(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.input, "{line}")
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Nanoseconds its living threads have run, in user space and in the kernel.
    ///
    /// # Errors
    /// When it has ended.
    pub fn cpu_ns(&self) -> io::Result<u64> {
        cpu_ns(self.id())
    }

    /// Its memory by kind (`Rss`, `Pss`, `Anonymous`, …), in bytes.
    ///
    /// # Errors
    /// When it has ended.
    pub fn memory(&self) -> io::Result<BTreeMap<String, i64>> {
        let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.id()))?;
        let kinds = text.lines().filter_map(|line| {
            let (kind, size) = line.split_once(':')?;
            let kib: i64 = size.trim().strip_suffix(" kB")?.parse().ok()?;
            Some((kind.to_owned(), kib * 1_024))
        });
        Ok(kinds.collect())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Nanoseconds the living threads of a process have run, in user space and in the kernel.
///
/// # Errors
/// When it has ended.
pub fn cpu_ns(process: u32) -> io::Result<u64> {
    let mut ns = 0;
    for task in fs::read_dir(format!("/proc/{process}/task"))? {
        let schedstat = fs::read_to_string(task?.path().join("schedstat"))?;
        ns += schedstat.split(' ').next().and_then(|ran| ran.parse::<u64>().ok()).unwrap_or_default();
    }
    Ok(ns)
}

/// The other side: does what each line says and prints the answer, until the input ends.
///
/// # Errors
/// When the other side is gone.
pub fn obey(mut answer: impl FnMut(&[&str]) -> String) -> io::Result<()> {
    for line in io::stdin().lock().lines() {
        let answer = answer(&line?.split(' ').collect::<Vec<_>>());
        writeln!(io::stdout(), "{answer}")?;
    }
    Ok(())
}
