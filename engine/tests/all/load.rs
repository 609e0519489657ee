//! Everything at once on one reactor, and nothing at all: nobody starves, and idling costs nothing.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::support::fleet::Fleet;
use crate::support::raw::{TEXT, frame, upgrade_request};
use crate::support::{Node, Raw, json};

/// What each party must have got done while all the others were at it.
struct Goals;

impl Goals {
    /// Broadcasts received by each listener.
    const BROADCASTS: u64 = 100;
    /// New connections, each upgraded and welcomed.
    const NEWCOMERS: u64 = 10_000;
    /// Commands of the flood, each answered.
    const FLOOD: u64 = 100_000;
    /// Questions asked one after another.
    const ANSWERS: u64 = 200;
}

const LISTENERS: usize = 300;

/// What the slowest stage may take. On two idle cores it takes a tenth.
const DEADLINE: Duration = Duration::from_secs(180);

/// How far everybody is, and whether to go on.
#[derive(Default)]
struct Race {
    newcomers: AtomicU64,
    flood: AtomicU64,
    answers: AtomicU64,
    over: AtomicBool,
}

impl Race {
    /// Goes on until everybody has reached their goal: so nobody's was reached after another had stopped.
    fn run(&self, done: &AtomicU64, mut step: impl FnMut() -> u64) {
        let _end = End(self);
        while !self.over.load(Ordering::Relaxed) {
            done.fetch_add(step(), Ordering::Relaxed);
        }
    }

    fn is_won(&self) -> bool {
        let goals = [(&self.newcomers, Goals::NEWCOMERS), (&self.flood, Goals::FLOOD), (&self.answers, Goals::ANSWERS)];
        goals.iter().all(|(done, goal)| done.load(Ordering::Relaxed) >= *goal)
    }
}

/// The race is over for all when it is over for one: a party that fails must not leave the others running.
struct End<'r>(&'r Race);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Relaxed);
    }
}

#[test]
fn broadcasts_a_flood_and_ten_thousand_newcomers_do_not_starve_one_another() {
    let node = Node::setup("").args(&["--reactors", "1"]).start();
    let mut listeners = Fleet::connect(node.clients, LISTENERS, "news");
    let (mut api, mut asking) = (node.api(), node.anyone());
    let mut flooding = Raw::upgrade(node.clients, "/msg");
    flooding.read_frame();
    let race = Race::default();
    std::thread::scope(|scope| {
        let _end = End(&race);
        scope.spawn(|| {
            let mut n = 0;
            race.run(&AtomicU64::new(0), || {
                assert_eq!(api.post("/v1/push", &json!({"to": {"all": true}, "data": {"n": n}})).status, 202);
                n += 1;
                1
            });
        });
        scope.spawn(|| {
            let pings = frame(TEXT, br#"{"op":"ping"}"#).repeat(1_000);
            race.run(&race.flood, || {
                assert!(flooding.send(&pings));
                let mut answers = 0;
                while answers < 1_000 {
                    answers += u64::from(flooding.read_frame().1.starts_with(b"{\"op\":\"pong\""));
                }
                answers
            });
        });
        for _ in 0..2 {
            scope.spawn(|| race.run(&race.newcomers, || newcomer(&node)));
        }
        scope.spawn(|| {
            race.run(&race.answers, || {
                assert_eq!(asking.call(json!({"op": "ping"}))["op"], "pong");
                while asking.take_early().is_some() {}
                1
            });
        });
        // The fleet itself checks that nothing is missing and nothing comes out of order.
        let mut goal = Goals::BROADCASTS;
        listeners.run_until(DEADLINE, "the broadcasts arrive", |member| member.next >= goal);
        while !race.is_won() && !race.over.load(Ordering::Relaxed) {
            goal += 10;
            listeners.run_until(DEADLINE, "more broadcasts arrive", |member| member.next >= goal);
        }
    });
    assert!(race.is_won());
}

/// Comes, is welcomed, and is gone without a word.
fn newcomer(node: &Node) -> u64 {
    let mut raw = node.raw();
    raw.send(upgrade_request("/msg", "").as_bytes());
    assert!(raw.read_head().starts_with("HTTP/1.1 101 "));
    assert!(raw.read_frame().1.starts_with(b"{\"op\":\"welcome\""));
    raw.reset();
    1
}

#[test]
fn an_idle_node_uses_no_processor_time() {
    let idle = Node::with("");
    let mut sessions: Vec<_> = (0..50).map(|user| idle.user(&format!("u{user}"))).collect();
    sessions.iter_mut().for_each(|session| drop(session.subscribe("news")));
    // Another node gives the time.
    let clock = Node::with("");
    let tick = json!({"to": {"all": true}, "interval_ms": 100, "source": {"template": "tick"}});
    let mut watcher = clock.anyone();
    clock.api().put("/v1/schedules/clock", &tick);
    watcher.expect_message("tick");
    let before = idle.cpu_ticks();
    for _ in 0..20 {
        watcher.expect_message("tick");
    }
    // Of 200 clock ticks; the node looks at its own memory and descriptors once a second.
    let used = idle.cpu_ticks() - before;
    assert!(used <= 2, "used {used} clock ticks in two seconds");
    assert_eq!(sessions[0].call(json!({"op": "ping"}))["op"], "pong");
}
