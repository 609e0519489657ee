//! A worker in a test's hands: orders go in, and what it reports is waited for, with a deadline.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::Receiver;
use epush_loadgen::clock::now_ns;
use epush_loadgen::error::Error;
use epush_loadgen::plan::Plan;
use epush_loadgen::scenario::Scenario;
use epush_loadgen::talk::{Order, Progress, Report, Tally};
use epush_loadgen::worker::{Share, Worker, spawn};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A millisecond.
pub const MS: u64 = 1_000_000;

/// One worker with all clients of a scenario.
pub struct Rig {
    pub worker: Worker,
    reports: Receiver<(u32, Report)>,
    delivered: Arc<AtomicU64>,
}

/// A scenario for the server at an address: groups and publishers are added by the test.
pub fn scenario(scheme: &str, to: SocketAddr, target: &str, phases: &str, rest: &str) -> Scenario {
    let text = format!(
        "name = \"test\"\n[target]\nurl = \"{scheme}://{to}\"\ndialect = \"raw\"\n{target}\n[phases]\nramp_ms = 0\n{phases}\n{rest}"
    );
    toml::from_str(&text).unwrap()
}

/// The usual one: prompt clients of a plain server.
pub fn plain(to: SocketAddr, rest: &str) -> Scenario {
    scenario("ws", to, "", "", rest)
}

impl Rig {
    pub fn start(scenario: Scenario) -> Self {
        Self::try_start(scenario).unwrap()
    }

    pub fn try_start(scenario: Scenario) -> Result<Self, Error> {
        let plan = Arc::new(Plan::new(scenario).unwrap());
        let (reporter, reports) = crossbeam_channel::unbounded();
        let delivered = Arc::new(AtomicU64::new(0));
        let worker = spawn(plan, Share { worker: 0, workers: 1 }, reporter, Arc::clone(&delivered))?;
        Ok(Self { worker, reports, delivered })
    }

    /// Connects, and waits until so many are ready.
    pub fn connect(&self, ready: u64) -> Progress {
        self.worker.tell(Order::Connect { at_ns: now_ns() });
        self.until("all are ready", |progress| progress.counts.ready >= ready)
    }

    /// The steady phase begins now; returns when.
    pub fn steady(&self, ms: u64) -> u64 {
        let from_ns = now_ns();
        self.worker.tell(Order::Steady { from_ns, until_ns: from_ns + ms * MS });
        from_ns
    }

    /// Publishing is over.
    pub fn published(&self, counts: &[u64]) {
        self.worker.tell(Order::Published { counts: counts.to_vec(), refused: Vec::new() });
    }

    /// Waits for a report that says so.
    pub fn until(&self, what: &str, holds: impl Fn(&Progress) -> bool) -> Progress {
        loop {
            match self.reports.recv_timeout(PATIENCE) {
                Ok((_, Report::Progress(progress))) if holds(&progress) => return *progress,
                Ok((_, Report::Progress(_))) => {}
                other => panic!("waited in vain until {what}: {other:?}"),
            }
        }
    }

    pub fn settled(&self) -> Progress {
        self.until("everything has arrived", |progress| progress.settled)
    }

    /// Ends the run, and returns all it has to say. `delivered` must have kept up.
    pub fn finish(self) -> Tally {
        self.worker.tell(Order::Finish { until_ns: now_ns() });
        let tally = loop {
            match self.reports.recv_timeout(PATIENCE) {
                Ok((_, Report::Tally(tally))) => break *tally,
                Ok((_, Report::Progress(_))) => {}
                other => panic!("waited in vain for the tally: {other:?}"),
            }
        };
        let counts = &tally.counts;
        if counts.sent == 0 {
            let publications = counts.messages - counts.duplicates - counts.in_doubt;
            assert_eq!(self.delivered.load(Ordering::Relaxed), publications);
        }
        assert_eq!(counts.expected, counts.received + counts.gaps + counts.lost, "{counts:?}");
        let parts = counts.bytes_handshake + counts.bytes_frames + counts.bytes_partial;
        assert_eq!(counts.bytes_read, parts, "{counts:?}");
        assert_eq!(counts.backlog_bytes, 0, "nobody is left to wait");
        tally
    }
}

/// How often something of this kind failed, and the words of the first.
pub fn failure(tally: &Tally, kind: &str) -> (u64, String) {
    let found = tally.failures.iter().find(|failure| failure.kind == kind);
    found.map_or_else(|| panic!("no {kind:?} in {:?}", tally.failures), |found| (found.count, found.example.clone()))
}
