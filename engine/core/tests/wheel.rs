//! The timer wheel beside a sorted list that obeys the same rules by brute force.

use std::collections::BTreeMap;

use epush_core::wheel::{TimerKey, TimerWheel};
use proptest::prelude::*;

/// A change of the wheel; numbers pick one of the timers there are.
#[derive(Clone, Debug)]
enum Change {
    Insert { ahead_ms: u64 },
    InsertLate { behind_ms: u64 },
    Cancel { pick: usize },
    Rearm { pick: usize, ahead_ms: u64 },
}

#[derive(Clone, Debug)]
enum Step {
    Change(Change),
    /// A run this far ahead, with one of the changes after each popped item.
    Run {
        ahead_ms: u64,
        meanwhile: Vec<Change>,
    },
}

/// Near, on each of the lower levels, and anywhere.
fn ahead_ms() -> impl Strategy<Value = u64> {
    prop_oneof![0..4_u64, 0..130_u64, 0..10_000_u64, 0..(1_u64 << 22), 0..(1_u64 << 40), any::<u64>()]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => ahead_ms().prop_map(|ahead_ms| Change::Insert { ahead_ms }),
        1 => (0..200_u64).prop_map(|behind_ms| Change::InsertLate { behind_ms }),
        2 => any::<usize>().prop_map(|pick| Change::Cancel { pick }),
        2 => (any::<usize>(), ahead_ms()).prop_map(|(pick, ahead_ms)| Change::Rearm { pick, ahead_ms }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => change().prop_map(Step::Change),
        1 => (ahead_ms(), prop::collection::vec(change(), 0..6))
            .prop_map(|(ahead_ms, meanwhile)| Step::Run { ahead_ms, meanwhile }),
    ]
}

struct Twins {
    wheel: TimerWheel<u64>,
    /// Every timer, with its item, by the time it comes up and its turn among those of that time.
    sorted: BTreeMap<(u64, u64), (TimerKey, u64)>,
    /// Timers inserted too late for the run under way.
    waiting: Vec<(TimerKey, u64)>,
    now_ms: u64,
    turns: u64,
    items: u64,
}

impl Twins {
    fn new(now_ms: u64) -> Self {
        let (sorted, waiting) = (BTreeMap::new(), Vec::new());
        Self { wheel: TimerWheel::new(now_ms), sorted, waiting, now_ms, turns: 0, items: 0 }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Change(change) => self.change(change),
            Step::Run { ahead_ms, meanwhile } => self.run(self.now_ms.saturating_add(*ahead_ms), meanwhile),
        }
        self.compare();
    }

    fn change(&mut self, change: &Change) {
        match *change {
            Change::Insert { ahead_ms } => self.insert(self.now_ms.saturating_add(ahead_ms)),
            Change::InsertLate { behind_ms } => self.insert(self.now_ms.saturating_sub(behind_ms)),
            Change::Cancel { pick } => {
                let Some((key, item)) = self.pick(pick) else { return };
                assert_eq!(self.wheel.cancel(key), item);
            }
            Change::Rearm { pick, ahead_ms } => {
                let Some((key, item)) = self.pick(pick) else { return };
                let deadline_ms = self.now_ms.saturating_add(ahead_ms);
                self.wheel.rearm(key, deadline_ms);
                self.note(deadline_ms, key, item);
            }
        }
    }

    fn insert(&mut self, deadline_ms: u64) {
        self.items += 1;
        let key = self.wheel.insert(deadline_ms, self.items);
        self.note(deadline_ms, key, self.items);
    }

    fn note(&mut self, deadline_ms: u64, key: TimerKey, item: u64) {
        if deadline_ms <= self.now_ms {
            self.waiting.push((key, item));
        } else {
            self.turns += 1;
            self.sorted.insert((deadline_ms, self.turns), (key, item));
        }
    }

    /// Takes one of the timers out of the list.
    fn pick(&mut self, pick: usize) -> Option<(TimerKey, u64)> {
        let pick = pick.checked_rem(self.sorted.len() + self.waiting.len())?;
        if pick >= self.sorted.len() {
            return Some(self.waiting.remove(pick - self.sorted.len()));
        }
        let place = *self.sorted.keys().nth(pick)?;
        self.sorted.remove(&place)
    }

    fn run(&mut self, run_ms: u64, meanwhile: &[Change]) {
        for timer in std::mem::take(&mut self.waiting) {
            self.turns += 1;
            self.sorted.insert((self.now_ms, self.turns), timer);
        }
        let mut meanwhile = meanwhile.iter();
        loop {
            let first = self.sorted.first_entry().filter(|entry| entry.key().0 <= run_ms);
            let expected = first.map(|entry| (entry.key().0, entry.remove()));
            assert_eq!(self.wheel.pop_due(run_ms), expected.map(|(_, timer)| timer));
            let Some((due_ms, _)) = expected else { break };
            self.now_ms = due_ms;
            if let Some(change) = meanwhile.next() {
                self.change(change);
                self.compare();
            }
        }
        self.now_ms = run_ms;
    }

    fn compare(&self) {
        self.wheel.assert_invariants();
        assert_eq!(self.wheel.len(), self.sorted.len() + self.waiting.len());
        let next_ms = self.wheel.next_deadline_ms();
        assert_eq!(next_ms.is_none(), self.wheel.is_empty());
        match (self.waiting.is_empty(), self.sorted.first_key_value()) {
            (false, _) => assert!(next_ms <= Some(self.now_ms)),
            (true, Some((&(due_ms, _), _))) => assert!(next_ms <= Some(due_ms)),
            (true, None) => {}
        }
    }

    /// Follows the wheel's own advice to the end: every call must come nearer.
    fn finish(&mut self) {
        let mut idle_calls = 0;
        while let Some(next_ms) = self.wheel.next_deadline_ms() {
            let before = self.wheel.len();
            self.run(next_ms.max(self.now_ms), &[]);
            self.compare();
            idle_calls = if self.wheel.len() < before { 0 } else { idle_calls + 1 };
            assert!(idle_calls <= 11, "no timer is further away than there are levels");
        }
        assert!(self.sorted.is_empty() && self.waiting.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn the_wheel_pops_what_a_sorted_list_pops_in_the_same_order(
        start_ms in prop_oneof![Just(0_u64), 0..10_000_u64, any::<u64>()],
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let mut twins = Twins::new(start_ms);
        for step in &steps {
            twins.take(step);
        }
        twins.finish();
    }
}
