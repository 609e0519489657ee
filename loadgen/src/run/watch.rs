//! Both sides watched from outside: processor time and memory of server and tool, the metrics page, the machine.

use std::collections::{BTreeMap, HashMap};

use crate::clock;
use crate::outcome::{ClientSide, Memory, Metrics, ServerSide};
use crate::sample::machine;
use crate::sample::metrics::Scraper;
use crate::sample::process::{Process, Schedstat};

/// What is watched, and what was seen at the turns of the run.
#[derive(Debug)]
pub struct Watch {
    server: Option<Process>,
    scraper: Option<Scraper>,
    own: Process,
    /// Seconds since descendants were looked for.
    since_look: u32,
    last: Instant,
    marks: Marks,
}

/// Processor times at a moment.
#[derive(Clone, Debug, Default)]
struct Instant {
    at_ns: u64,
    server_cpu_ns: u64,
    own_cpu_ns: u64,
    idle_ns: u64,
    threads: HashMap<u32, Schedstat>,
}

#[derive(Clone, Debug, Default)]
struct Marks {
    start: Instant,
    open: Instant,
    steady: Instant,
    /// The end of the steady phase, with some of its messages still on their way.
    over: Instant,
    end: Instant,
    before: Memory,
    opened: Memory,
    after: Memory,
    own_before_bytes: u64,
    own_open_bytes: u64,
}

/// A second, as seen from outside.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Second {
    /// Processors the tool used.
    pub client_cpu: f64,
    /// Processors the server used.
    pub server_cpu: Option<f64>,
    /// The server's resident memory.
    pub server_rss_bytes: Option<u64>,
    /// What changed on the metrics page.
    pub metrics: BTreeMap<String, f64>,
}

impl Watch {
    /// Before the first connection, with all processes of the tool there.
    #[must_use]
    pub fn start(server: Option<Process>, scraper: Option<Scraper>) -> Self {
        let own = Process::own();
        let before = server.as_ref().map(Process::memory).unwrap_or_default();
        let marks = Marks { before, own_before_bytes: own.rss_bytes(), ..Marks::default() };
        let mut watch = Self { server, scraper, own, since_look: 0, last: Instant::default(), marks };
        watch.marks.start = watch.instant();
        watch.last = watch.marks.start.clone();
        watch
    }

    /// All connections are open.
    pub fn opened(&mut self) {
        self.look();
        self.marks.open = self.instant();
        self.marks.opened = self.server.as_ref().map(Process::memory).unwrap_or_default();
        self.marks.own_open_bytes = self.own.rss_bytes();
    }

    /// The steady phase begins.
    pub fn steady(&mut self) {
        self.marks.steady = self.instant();
    }

    /// It is over; messages may still be on their way.
    pub fn over(&mut self) {
        self.marks.over = self.instant();
    }

    /// Everything has arrived.
    pub fn ended(&mut self) {
        // A child that was born a moment ago did some of the work, too.
        self.look();
        self.marks.end = self.instant();
        self.marks.after = self.server.as_ref().map(Process::memory).unwrap_or_default();
    }

    /// Another second.
    pub fn second(&mut self) -> Second {
        self.since_look += 1;
        if self.since_look >= LOOK_EVERY_S {
            self.look();
        }
        let now = self.instant();
        let second = Second {
            client_cpu: share(now.own_cpu_ns, self.last.own_cpu_ns, &now, &self.last),
            server_cpu: self
                .server
                .as_ref()
                .map(|_| share(now.server_cpu_ns, self.last.server_cpu_ns, &now, &self.last)),
            server_rss_bytes: self.server.as_ref().map(Process::rss_bytes),
            metrics: self.scraper.as_mut().map(Scraper::changes).unwrap_or_default(),
        };
        if let Some(scraper) = &mut self.scraper {
            scraper.ask();
        }
        self.last = now;
        second
    }

    /// Share of the machine's processors that nobody used in the steady phase.
    #[must_use]
    pub fn idle_share(&self) -> f64 {
        let Marks { steady, over, .. } = &self.marks;
        let whole_ns = over.at_ns.saturating_sub(steady.at_ns) as f64 * machine::processors() as f64;
        if whole_ns > 0.0 { over.idle_ns.saturating_sub(steady.idle_ns) as f64 / whole_ns } else { 1.0 }
    }

    /// The longest share of the steady phase that a thread of the tool waited for a processor.
    #[must_use]
    pub fn waited_share(&self) -> f64 {
        let Marks { steady, over, .. } = &self.marks;
        longest_share(over, steady, |thread| thread.waited_ns)
    }

    /// The longest share of the steady phase that a thread of the tool had a processor: whatever seconds there were in it.
    #[must_use]
    pub fn busiest_share(&self) -> f64 {
        let Marks { steady, over, .. } = &self.marks;
        let is_judged = over.at_ns.saturating_sub(steady.at_ns) >= BUSY_OVER_NS_MIN;
        if is_judged { longest_share(over, steady, |thread| thread.ran_ns).min(1.0) } else { 0.0 }
    }

    /// The tool's own side, as far as it is seen from here.
    #[must_use]
    pub fn client_side(&self, connections: u64) -> ClientSide {
        let Marks { steady, end, own_before_bytes, own_open_bytes, .. } = &self.marks;
        ClientSide {
            cpu_steady_ns: end.own_cpu_ns.saturating_sub(steady.own_cpu_ns),
            bytes_per_connection: grown(*own_before_bytes, *own_open_bytes, connections),
            ..ClientSide::default()
        }
    }

    /// The server's side, for so many connections and deliveries.
    #[must_use]
    pub fn server_side(&self, connections: u64, deliveries: u64) -> Option<ServerSide> {
        let pid = self.server.as_ref()?.pid();
        let Marks { start, open, steady, end, before, opened, after, .. } = &self.marks;
        let cpu_steady_ns = end.server_cpu_ns.saturating_sub(steady.server_cpu_ns);
        let cpu_ramp_ns = open.server_cpu_ns.saturating_sub(start.server_cpu_ns);
        Some(ServerSide {
            pid,
            cpu_steady_ns,
            cpu_ramp_ns,
            cpu_us_per_delivery: each(cpu_steady_ns, deliveries),
            cpu_us_per_connection: each(cpu_ramp_ns, connections),
            before: *before,
            open: *opened,
            after: *after,
            bytes_per_connection: grown(before.rss_bytes, opened.rss_bytes, connections),
        })
    }

    /// The metrics page, read a last time.
    #[must_use]
    pub fn metrics(&mut self) -> Option<Metrics> {
        self.scraper.take().map(Scraper::finish)
    }

    fn look(&mut self) {
        self.since_look = 0;
        self.own.look();
        if let Some(server) = &mut self.server {
            server.look();
        }
    }

    fn instant(&mut self) -> Instant {
        Instant {
            at_ns: clock::now_ns(),
            server_cpu_ns: self.server.as_mut().map_or(0, Process::cpu_ns),
            own_cpu_ns: self.own.cpu_ns(),
            idle_ns: machine::idle_ns(),
            threads: self.own.threads(),
        }
    }
}

fn share(cpu_ns: u64, before_ns: u64, now: &Instant, last: &Instant) -> f64 {
    let over_ns = now.at_ns.saturating_sub(last.at_ns).max(1);
    cpu_ns.saturating_sub(before_ns) as f64 / over_ns as f64
}

/// Of all threads, the longest of these times between two moments, as a share of the time between them.
fn longest_share(now: &Instant, last: &Instant, of: impl Fn(&Schedstat) -> u64) -> f64 {
    let over_ns = now.at_ns.saturating_sub(last.at_ns);
    let before_ns = |tid: &u32| last.threads.get(tid).map_or(0, &of);
    let longest_ns = now.threads.iter().map(|(tid, thread)| of(thread).saturating_sub(before_ns(tid))).max();
    if over_ns > 0 { longest_ns.unwrap_or(0) as f64 / over_ns as f64 } else { 0.0 }
}

fn each(ns: u64, count: u64) -> Option<f64> {
    (count > 0).then(|| ns as f64 / 1e3 / count as f64)
}

/// A process that shrank meanwhile gave back more than the connections took: nothing is known then.
fn grown(before_bytes: u64, after_bytes: u64, connections: u64) -> Option<f64> {
    let grown_bytes = after_bytes.checked_sub(before_bytes)?;
    (connections > 0 && before_bytes > 0).then(|| grown_bytes as f64 / connections as f64)
}

/// Seconds between two looks for new descendants: each reads a file of every process of the machine, some milliseconds.
const LOOK_EVERY_S: u32 = 5;

/// A busy thread's share is known to within the kernel's tick, at most 10 ms: over less time than this it would say little.
pub const BUSY_OVER_NS_MIN: u64 = 100_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_are_seen_from_mark_to_mark() {
        let server = Process::own();
        let mut watch = Watch::start(Some(server), None);
        watch.opened();
        watch.steady();
        let from_ns = clock::thread_cpu_ns();
        while clock::thread_cpu_ns() - from_ns < 100_000_000 {}
        let second = watch.second();
        watch.over();
        watch.ended();
        let side = watch.server_side(2, 10).expect("it is watched");
        // Threads of other tests end meanwhile: then only ticks of 10 ms are left, two in each reading.
        assert!(side.cpu_steady_ns >= 75_000_000, "{side:?}");
        let us = side.cpu_us_per_delivery.expect("there were deliveries");
        assert!((us * 1e4 / side.cpu_steady_ns as f64 - 1.0).abs() < 1e-9, "{us} µs");
        assert!(side.before.rss_bytes > 0 && side.after.pss_bytes > 0);
        assert!(second.client_cpu > 0.0 && second.server_cpu.is_some() && second.server_rss_bytes.is_some());
        assert!(watch.client_side(1).cpu_steady_ns >= 75_000_000);
        assert!((0.0..=1.1).contains(&watch.idle_share()) && watch.waited_share() >= 0.0);
    }

    #[test]
    fn a_thread_that_is_busy_is_seen_in_a_phase_without_a_whole_second() {
        let mut watch = Watch::start(None, None);
        watch.steady();
        let from_ns = clock::thread_cpu_ns();
        while clock::thread_cpu_ns() - from_ns < 150_000_000 {}
        watch.over();
        let over_ns = watch.marks.over.at_ns - watch.marks.steady.at_ns;
        // Other tests want the processor, too: the share is of the time that passed.
        let busy_ns = watch.busiest_share() * over_ns as f64;
        assert!(busy_ns >= 120e6 && watch.busiest_share() <= 1.0, "{busy_ns} of {over_ns}");
        watch.steady();
        watch.over();
        assert_eq!(watch.busiest_share(), 0.0, "too short to be judged");
    }

    #[test]
    fn without_deliveries_there_is_no_cost_of_one() {
        assert_eq!((each(1_000, 0), each(3_000, 2)), (None, Some(1.5)));
        assert_eq!((grown(10, 5, 1), grown(10, 30, 2), grown(10, 30, 0)), (None, Some(10.0), None));
    }
}
