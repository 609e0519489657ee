//! The machine: what it is, how much of its processors nobody used, what the kernel's sockets hold.

use std::fs;

use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

use crate::outcome::Machine;

/// Where this runs.
#[must_use]
pub fn describe() -> Machine {
    Machine {
        kernel: format!("{} {}", line("/proc/sys/kernel/ostype"), line("/proc/sys/kernel/osrelease")),
        processor: processor(&read("/proc/cpuinfo")),
        processors: processors(),
        memory_bytes: kib_after(&read("/proc/meminfo"), "MemTotal:") * 1_024,
        descriptors_max: descriptors_max(),
    }
}

/// Processors this process may use.
#[must_use]
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Descriptors this process may have now.
#[must_use]
pub fn descriptors_max() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Bytes of memory that the kernel's TCP sockets hold, of the whole machine.
#[must_use]
pub fn socket_bytes() -> u64 {
    pages_of_tcp(&read("/proc/net/sockstat")) * page_size() as u64
}

/// Processor time that nobody used since the machine's start, over all its processors, nanoseconds.
#[must_use]
pub fn idle_ns() -> u64 {
    idle_ticks(&read("/proc/stat")) * (1_000_000_000 / clock_ticks_per_second())
}

fn processor(cpuinfo: &str) -> String {
    let name = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or_else(|| String::from(std::env::consts::ARCH), |(_, name)| name.trim().to_owned())
}

/// Idle, and waiting for a disk: the fourth and fifth number of the first line.
fn idle_ticks(stat: &str) -> u64 {
    let all = stat.lines().next().unwrap_or_default();
    all.split_ascii_whitespace().skip(4).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
}

fn pages_of_tcp(sockstat: &str) -> u64 {
    let tcp = sockstat.lines().find(|line| line.starts_with("TCP:")).unwrap_or_default();
    let mut words = tcp.split_ascii_whitespace().skip_while(|word| *word != "mem").skip(1);
    words.next().and_then(|pages| pages.parse().ok()).unwrap_or(0)
}

/// The number of KiB in the line that begins so; 0 where there is none.
pub(super) fn kib_after(text: &str, name: &str) -> u64 {
    let rest = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    rest.trim().trim_end_matches("kB").trim_end().parse().unwrap_or(0)
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn line(path: &str) -> String {
    read(path).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_a_kernel_processors_and_memory() {
        let machine = describe();
        assert!(machine.kernel.starts_with("Linux "), "{}", machine.kernel);
        assert!(!machine.processor.is_empty());
        assert!(machine.processors >= 1);
        assert!(machine.memory_bytes > 1 << 20, "{}", machine.memory_bytes);
        assert!(machine.descriptors_max > 0);
        assert!(idle_ns() > 0);
    }

    #[test]
    fn tcp_memory_is_the_number_after_mem() {
        let text = "sockets: used 9\nTCP: inuse 5 orphan 0 tw 0 alloc 7 mem 12\nUDP: inuse 0 mem 3\n";
        assert_eq!(pages_of_tcp(text), 12);
        assert_eq!(pages_of_tcp(""), 0);
    }

    #[test]
    fn idle_time_is_idle_and_waiting_for_disks() {
        assert_eq!(idle_ticks("cpu  10 20 30 400 50 6 7 8 0 0\ncpu0 1 2 3 4 5 6 7 8 0 0\n"), 450);
        assert_eq!(idle_ticks(""), 0);
    }

    #[test]
    fn a_processor_without_a_model_name_is_called_by_its_architecture() {
        assert_eq!(processor("processor\t: 0\nmodel name\t: Some CPU @ 2GHz\n"), "Some CPU @ 2GHz");
        assert_eq!(processor("processor\t: 0\n"), std::env::consts::ARCH);
    }
}
