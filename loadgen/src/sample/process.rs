//! A process and its descendants, seen through `/proc`: processor time, memory, how long its threads waited for a processor.
//!
//! nginx and every preforking server do their work in children, so that a process alone would say nothing of them.

use std::collections::HashMap;
use std::fs;

use rustix::param::{clock_ticks_per_second, page_size};

use super::machine::{kib_after, socket_bytes};
use crate::outcome::Memory;

/// A process with its descendants.
#[derive(Debug)]
pub struct Process {
    pid: u32,
    /// Itself first, then its descendants as [`Self::look`] last saw them.
    members: Vec<u32>,
    /// The highest sum so far: a child that ended and was not waited for takes its time with it.
    cpu_ns: u64,
}

/// What of `/proc/PID/stat` is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    /// Of all its threads, those that ended too.
    own_ticks: u64,
    /// Of its children that ended and were waited for.
    ended_children_ticks: u64,
}

impl Process {
    /// The process with this id.
    ///
    /// # Errors
    /// When there is none, in words.
    pub fn find(pid: u32) -> Result<Self, String> {
        stat(pid).ok_or_else(|| format!("there is no process {pid}, or it may not be read"))?;
        let mut process = Self { pid, members: vec![pid], cpu_ns: 0 };
        process.look();
        Ok(process)
    }

    /// This process.
    #[must_use]
    pub fn own() -> Self {
        let pid = std::process::id();
        let mut process = Self { pid, members: vec![pid], cpu_ns: 0 };
        process.look();
        process
    }

    /// Its id.
    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// Looks for its descendants anew. It reads one file of every process of the machine, so not every second.
    pub fn look(&mut self) {
        let parents: HashMap<u32, u32> = pids().filter_map(|pid| Some((pid, stat(pid)?.parent))).collect();
        self.members = descendants(self.pid, &parents);
    }

    /// Processor time so far, nanoseconds: never less than what it said before.
    pub fn cpu_ns(&mut self) -> u64 {
        let sum = self.members.iter().map(|pid| cpu_ns(*pid)).sum();
        self.cpu_ns = self.cpu_ns.max(sum);
        self.cpu_ns
    }

    /// Resident memory. Cheap: pages that are shared count once for each process.
    #[must_use]
    pub fn rss_bytes(&self) -> u64 {
        self.members.iter().map(|pid| resident_bytes(*pid)).sum()
    }

    /// Memory, exactly: the kernel walks all its pages for this, so only where the server is at rest.
    #[must_use]
    pub fn memory(&self) -> Memory {
        let rolled = self.members.iter().map(|pid| rolled_up(*pid));
        let (rss_bytes, pss_bytes) = rolled.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        Memory { rss_bytes, pss_bytes, socket_bytes: socket_bytes() }
    }

    /// What each living thread did with its time. The kernel writes down a running thread's at every tick, at most 10 ms.
    #[must_use]
    pub fn threads(&self) -> HashMap<u32, Schedstat> {
        self.members.iter().flat_map(|pid| threads(*pid)).collect()
    }
}

/// Two sources, and each is too low in its own way: `stat` counts ended threads but in ticks of 10 ms, `schedstat` counts
/// nanoseconds but only of threads that live. The higher one is nearer to the truth.
fn cpu_ns(pid: u32) -> u64 {
    let Some(stat) = stat(pid) else { return 0 };
    let tick_ns = 1_000_000_000 / clock_ticks_per_second();
    let living: u64 = threads(pid).map(|(_, schedstat)| schedstat.ran_ns).sum();
    living.max(stat.own_ticks * tick_ns) + stat.ended_children_ticks * tick_ns
}

fn resident_bytes(pid: u32) -> u64 {
    let pages = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    let pages = pages.split_ascii_whitespace().nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or(0) * page_size() as u64
}

/// RSS and PSS. Where the second may not be read (another user's process), it is 0.
fn rolled_up(pid: u32) -> (u64, u64) {
    match fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) {
        Ok(text) => (kib_after(&text, "Rss:") * 1_024, kib_after(&text, "Pss:") * 1_024),
        Err(_) => (resident_bytes(pid), 0),
    }
}

// --- /proc -------------------------------------------------------------------

/// What a thread did with its time, nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Schedstat {
    /// It had a processor.
    pub ran_ns: u64,
    /// It was ready to run and had none.
    pub waited_ns: u64,
}

fn pids() -> impl Iterator<Item = u32> {
    numbers_in("/proc")
}

fn threads(pid: u32) -> impl Iterator<Item = (u32, Schedstat)> {
    numbers_in(&format!("/proc/{pid}/task")).filter_map(move |tid| {
        let text = fs::read_to_string(format!("/proc/{pid}/task/{tid}/schedstat")).ok()?;
        let mut numbers = text.split_ascii_whitespace().filter_map(|number| number.parse().ok());
        Some((tid, Schedstat { ran_ns: numbers.next()?, waited_ns: numbers.next()? }))
    })
}

fn numbers_in(directory: &str) -> impl Iterator<Item = u32> + use<> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The name stands in parentheses and may hold anything, parentheses too: the last one closes it.
fn parse_stat(text: &str) -> Option<Stat> {
    let after_name = &text[text.rfind(')')? + 1..];
    let words: Vec<&str> = after_name.split_ascii_whitespace().collect();
    // proc_pid_stat(5) counts from 1, and the state, its field 3, is the first here.
    let field = |number: usize| words.get(number - 3)?.parse::<u64>().ok();
    Some(Stat {
        parent: u32::try_from(field(4)?).ok()?,
        own_ticks: field(14)? + field(15)?,
        ended_children_ticks: field(16)? + field(17)?,
    })
}

fn descendants(root: u32, parents: &HashMap<u32, u32>) -> Vec<u32> {
    let mut members = vec![root];
    let mut at = 0;
    while at < members.len() {
        let parent = members[at];
        members.extend(parents.iter().filter(|(pid, of)| **of == parent && **pid != root).map(|(pid, _)| *pid));
        at += 1;
    }
    members
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::{Child, Command, Stdio};

    use super::*;

    /// A shell, and whether it said its line.
    fn shell(script: &str) -> (Child, BufReader<std::process::ChildStdout>) {
        let mut child = Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell starts");
        let mut out = BufReader::new(child.stdout.take().expect("it is piped"));
        out.read_line(&mut String::new()).expect("it says a line");
        (child, out)
    }

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_confuse() {
        let text = "7 (a ) b (c)) S 3 7 7 0 -1 4194560 1 2 3 4 50 60 7 8 20 0 1 0 100";
        let stat = parse_stat(text).expect("it is whole");
        assert_eq!(stat, Stat { parent: 3, own_ticks: 110, ended_children_ticks: 15 });
        assert_eq!(parse_stat("7 (cut) S 3"), None);
    }

    #[test]
    fn a_process_that_is_not_there_is_an_error_in_words() {
        let words = Process::find(u32::MAX / 2).expect_err("no such process");
        assert!(words.contains("no process"), "{words}");
    }

    #[test]
    fn work_on_this_thread_is_seen() {
        let mut own = Process::own();
        let before_ns = own.cpu_ns();
        let start_ns = thread_cpu_ns();
        let mut value = 1_u64;
        while thread_cpu_ns() - start_ns < 100_000_000 {
            value = value.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        }
        std::hint::black_box(value);
        let grown_ns = own.cpu_ns() - before_ns;
        // Threads of other tests end meanwhile: then only ticks of 10 ms are left, two in each reading.
        assert!(grown_ns >= 75_000_000, "{grown_ns}");
    }

    fn thread_cpu_ns() -> u64 {
        crate::clock::thread_cpu_ns()
    }

    #[test]
    fn children_that_live_and_children_that_ended_both_count() {
        let busy = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done";
        // One child works and ends before the line, one works and stays.
        let (mut child, _out) = shell(&format!("exec 3<&0; ({busy}); ({busy}; echo ready; read x <&3) & wait"));
        let mut process = Process::find(child.id()).expect("it runs");
        assert!(process.members.len() >= 2, "{:?}", process.members);
        let alone = cpu_ns(process.members[1]);
        assert!(alone > 0 && process.cpu_ns() > alone, "{} of which {alone}", process.cpu_ns);
        drop(child.stdin.take());
        child.wait().expect("it ends");
        let last = process.cpu_ns;
        assert_eq!(process.cpu_ns(), last, "what was used stays used");
    }

    #[test]
    fn memory_is_resident_and_the_share_is_no_more_than_the_whole() {
        let (mut child, _out) = shell("echo ready; read x");
        let process = Process::find(child.id()).expect("it runs");
        let memory = process.memory();
        assert!(memory.rss_bytes > 100_000 && process.rss_bytes() > 100_000, "{memory:?}");
        assert!(memory.pss_bytes > 0 && memory.pss_bytes <= memory.rss_bytes, "{memory:?}");
        drop(child.stdin.take());
        child.wait().expect("it ends");
    }

    #[test]
    fn each_thread_says_how_long_it_ran_and_waited() {
        let own = Process::own();
        assert!(own.threads().values().any(|thread| thread.ran_ns > 0));
    }

    #[test]
    fn descendants_are_found_over_generations() {
        let parents = HashMap::from([(2, 1), (3, 2), (4, 3), (5, 1)]);
        let mut found = descendants(2, &parents);
        found.sort_unstable();
        assert_eq!(found, [2, 3, 4]);
    }
}
