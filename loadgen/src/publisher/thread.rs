//! A publisher's thread: what is due is pushed, connections take turns, and it sleeps until the next of either.

use std::io;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::Sender;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::thread::set_current_timer_slack;

use super::composer::Composer;
use super::desk::Desk;
use super::http::Http;
use super::ledger::Ledger;
use super::link::Link;
use super::live::{Live, NEVER};
use super::pacer::{Next, PATIENCE_NS, Pacer};
use super::socket::Route;
use super::websocket::WebSocket;
use super::wire::Wire;
use crate::clock;
use crate::plan::Plan;
use crate::scenario::{Pace, Publisher, Via};
use crate::schedule::Schedule;

/// A publisher of the plan, ready to be started.
#[derive(Debug)]
pub struct Start {
    /// What everybody does.
    pub plan: Arc<Plan>,
    /// Which publisher of the scenario it is.
    pub number: usize,
    /// What it tells and is told while it runs.
    pub live: Arc<Live>,
    /// Where it publishes to.
    pub route: Arc<Route>,
    /// Host and port as in `host:`.
    pub host: String,
    /// Words for the person in front of it.
    pub notes: Sender<String>,
}

/// Starts a publisher: it connects at once, and publishes from [`Live::begin`] until [`Live::end`].
///
/// # Errors
/// When the system has no thread.
pub fn spawn(start: Start) -> io::Result<JoinHandle<Ledger>> {
    let thread = Thread::new(start);
    let name = format!("publisher-{}", thread.number);
    std::thread::Builder::new().name(name).spawn(move || thread.run())
}

/// Everything of a publisher.
struct Thread {
    number: usize,
    notes: Sender<String>,
    desk: Desk,
    /// A destination keeps to one, so that its order is kept.
    links: Vec<Link>,
    /// Once it is known when to begin.
    pacer: Option<Pacer>,
    /// When the processor time was told last.
    told_ns: u64,
}

impl Thread {
    fn new(start: Start) -> Self {
        let Start { plan, number, live, route, host, notes } = start;
        let links = 0..plan.scenario.publishers[number].connections;
        let links = links.map(|at| Link::new(Arc::clone(&route), wire(&plan, number, at))).collect();
        let streams = plan.publishers[number].clone();
        let desk = Desk {
            composer: Composer::new(&plan, number, &host),
            ledger: Ledger::new(streams.len()),
            receivers: streams.clone().map(|stream| u64::from(plan.receivers(stream))).collect(),
            first_stream: streams.start,
            last_stream: streams.start,
            waits: plan.scenario.publishers[number].pace == Pace::Delivered,
            buffer: vec![0; BUFFER_BYTES],
            now_ns: clock::now_ns(),
            connect_timeout_ns: plan.scenario.phases.connect_timeout_ms * 1_000_000,
            plan,
            live,
        };
        Self { number, notes, desk, links, pacer: None, told_ns: 0 }
    }

    fn run(mut self) -> Ledger {
        // The kernel may otherwise wake it 50 µs late, to save power. Where this is refused it is only less exact.
        let _ = set_current_timer_slack(NonZeroU64::new(1));
        let mut ready = vec![PollFlags::empty(); self.links.len()];
        loop {
            // What came in first: an answer makes room for what is due.
            self.serve(&ready);
            ready.fill(PollFlags::empty());
            let next = self.push_due();
            if self.is_ended(next) {
                self.links.iter_mut().for_each(Link::leave);
            }
            self.serve(&ready);
            self.tell();
            if self.is_over(next) {
                return self.finish();
            }
            self.wait(next, &mut ready);
        }
    }

    /// A turn for each connection.
    fn serve(&mut self, ready: &[PollFlags]) {
        self.desk.now_ns = clock::now_ns();
        for (link, ready) in self.links.iter_mut().zip(ready) {
            link.turn(*ready, &mut self.desk);
        }
        let payload_bytes = self.publisher().payload_bytes;
        self.desk.ledger.backlog(self.links.iter().map(|link| link.backlog_bytes(payload_bytes)).sum());
        self.desk.live.set_ready(self.number, self.links.iter().all(Link::is_ready));
    }

    /// Gives what is due to the connections.
    fn push_due(&mut self) -> Next {
        if self.pacer.is_none() {
            self.begin();
        }
        let Some(pacer) = &mut self.pacer else { return Next::Soon };
        let mut next = Next::Soon;
        for _ in 0..BURSTS_PER_TURN {
            let links = self.links.len();
            let link = &mut self.links[self.desk.place(pacer.stream()) % links];
            next = pacer.next(self.desk.now_ns, link.is_free(), &self.desk.live);
            match next {
                Next::Due(burst) => {
                    self.desk.ledger.lateness.record(self.desk.now_ns - burst.due_ns.min(self.desk.now_ns));
                    self.desk.publish(burst.stream, burst.count);
                    link.push(burst, &mut self.desk);
                }
                Next::Impatient(missing) => {
                    let last = pacer.last_stream();
                    lose_patience(missing, &mut self.desk, &self.notes);
                    let burst = u64::from(self.desk.plan.scenario.publishers[self.number].burst);
                    self.desk.forget(last, missing / burst);
                }
                _ => break,
            }
        }
        next
    }

    /// Makes the pacer, once the run said when to begin.
    fn begin(&mut self) {
        let from_ns = self.desk.live.from_ns();
        if from_ns == NEVER {
            return;
        }
        let plan = &self.desk.plan;
        let schedule = plan.schedules(from_ns).swap_remove(self.number);
        let (burst, streams) = (self.publisher().burst, plan.publishers[self.number].clone());
        let schedule = schedule.unwrap_or(Schedule { from_ns, period_ns: 0.0, burst, streams });
        self.pacer = Some(Pacer::new(self.publisher().pace, schedule));
    }

    /// Nothing more will be due.
    fn is_ended(&self, next: Next) -> bool {
        self.desk.now_ns >= self.desk.live.until_ns() && (next == Next::Over || self.pacer.is_none())
    }

    /// Everything is done; or it is too late, even where this thread is so far behind that something is still due.
    fn is_over(&self, next: Next) -> bool {
        let given_up = self.desk.now_ns >= self.desk.live.give_up_ns();
        given_up || (self.is_ended(next) && self.links.iter().all(Link::is_settled))
    }

    fn finish(mut self) -> Ledger {
        self.links.iter_mut().for_each(|link| link.give_up(&mut self.desk));
        self.desk.live.set_cpu_ns(self.number, clock::thread_cpu_ns());
        self.desk.ledger
    }

    fn tell(&mut self) {
        if self.desk.now_ns - self.told_ns >= TELL_NS {
            self.told_ns = self.desk.now_ns;
            self.desk.live.set_cpu_ns(self.number, clock::thread_cpu_ns());
        }
    }

    /// Sleeps until something can be read or written, or the next burst is due.
    fn wait(&self, next: Next, ready: &mut [PollFlags]) {
        let (mut polled, mut places) = (Vec::with_capacity(self.links.len()), Vec::with_capacity(self.links.len()));
        for (at, link) in self.links.iter().enumerate() {
            if let Some((fd, flags)) = link.interest() {
                polled.push(PollFd::from_borrowed_fd(fd, flags));
                places.push(at);
            }
        }
        let timeout = Timespec { tv_sec: 0, tv_nsec: self.wait_ns(next) };
        // It fails when a signal comes; then the loop just turns once more.
        if poll(&mut polled, Some(&timeout)).is_ok() {
            places.iter().zip(&polled).for_each(|(at, polled)| ready[*at] = polled.revents());
        }
    }

    fn wait_ns(&self, next: Next) -> i64 {
        let wait_ns = match next {
            Next::Due(_) | Next::Impatient(_) => 0,
            Next::At(due_ns) => due_ns.saturating_sub(clock::now_ns()).min(WAIT_NS_MAX),
            Next::Soon => self.until_soon_ns(),
            Next::Over => WAIT_NS_MAX,
        };
        wait_ns.cast_signed()
    }

    /// Without a schedule: nothing wakes this thread when the last message is delivered.
    fn until_soon_ns(&self) -> u64 {
        let Some(pacer) = &self.pacer else { return WAIT_NS_MAX };
        let is_free = self.links[self.desk.place(pacer.stream()) % self.links.len()].is_free();
        match self.publisher().pace {
            Pace::Taken if is_free => 0,
            Pace::Delivered if is_free => DELIVERED_POLL_NS,
            _ => WAIT_NS_MAX,
        }
    }

    fn publisher(&self) -> &Publisher {
        &self.desk.plan.scenario.publishers[self.number]
    }
}

fn lose_patience(missing: u64, desk: &mut Desk, notes: &Sender<String>) {
    desk.live.excuse(missing);
    let words = format!("{missing} deliveries are missing after {} s: publishing goes on", PATIENCE_NS / 1_000_000_000);
    desk.ledger.fail("deliveries waited for in vain", &words);
    // The run may be gone already; then nobody reads notes.
    let _ = notes.send(words);
}

fn via(plan: &Plan, publisher: &Publisher) -> Via {
    publisher.via.unwrap_or(plan.dialect.via())
}

fn wire(plan: &Plan, number: usize, connection: u32) -> Wire {
    match via(plan, &plan.scenario.publishers[number]) {
        Via::Http => Wire::Http(plan.words.http.as_ref().map_or_else(Http::default, Http::of)),
        Via::WebSocket => Wire::WebSocket(WebSocket::new(number, connection)),
    }
}

/// The longest sleep: how late this thread may notice that the run ended early.
const WAIT_NS_MAX: u64 = 5_000_000;

/// How often the delivered pace looks whether all is delivered: short beside any fan-out, long enough to cost little.
const DELIVERED_POLL_NS: u64 = 50_000;

/// How often the processor time is told: as often as workers report.
const TELL_NS: u64 = 250_000_000;

/// Bursts given out before connections have their turn again.
const BURSTS_PER_TURN: usize = 1_024;

/// Read at once.
const BUFFER_BYTES: usize = 64 << 10;
