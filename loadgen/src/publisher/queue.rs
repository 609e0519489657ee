//! Messages that are due and not written: numbers and due times only, so that a server that takes nothing costs little memory.

use std::collections::VecDeque;

use super::ledger::Item;

/// Messages of one burst, or what is left of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Burst {
    /// When they were due.
    pub due_ns: u64,
    /// Their stream.
    pub stream: u32,
    /// The number of the first.
    pub seq: u64,
    /// How many.
    pub count: u32,
}

/// First in, first out.
#[derive(Debug, Default)]
pub struct Queue {
    bursts: VecDeque<Burst>,
    /// Invariant: the sum of the bursts' counts.
    messages: u64,
}

impl Queue {
    /// Puts a burst at the end. Handed back when too many wait already.
    pub fn push(&mut self, burst: Burst) -> Result<(), Burst> {
        if self.bursts.len() >= BURSTS_MAX {
            return Err(burst);
        }
        self.messages += u64::from(burst.count);
        self.bursts.push_back(burst);
        Ok(())
    }

    /// Puts a message at the front: it was taken out and could not be sent.
    pub fn put_back(&mut self, item: Item) {
        self.messages += 1;
        self.bursts.push_front(Burst { due_ns: item.due_ns, stream: item.stream, seq: item.seq, count: 1 });
    }

    /// The next message, and whether it ends its burst.
    pub fn pop(&mut self) -> Option<(Item, bool)> {
        let front = self.bursts.front_mut()?;
        let item = Item { due_ns: front.due_ns, stream: front.stream, seq: front.seq };
        self.messages -= 1;
        front.seq += 1;
        front.count -= 1;
        let last = front.count == 0;
        if last {
            self.bursts.pop_front();
        }
        Some((item, last))
    }

    /// Messages that wait.
    #[must_use]
    pub const fn messages(&self) -> u64 {
        self.messages
    }

    /// Nothing waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.messages == 0
    }
}

/// Bursts that may wait for one connection: 128 MiB. At 100 000 a second that is 40 s of a server that takes nothing;
/// what is due beyond is counted as not sent.
const BURSTS_MAX: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_out_in_order_with_the_time_they_were_due() {
        let mut queue = Queue::default();
        queue.push(Burst { due_ns: 10, stream: 1, seq: 0, count: 2 }).expect("room");
        queue.push(Burst { due_ns: 20, stream: 2, seq: 7, count: 1 }).expect("room");
        assert_eq!(queue.messages(), 3);
        let first = queue.pop().expect("three wait");
        assert_eq!(first, (Item { due_ns: 10, stream: 1, seq: 0 }, false));
        queue.put_back(first.0);
        let order: Vec<(u64, u64, bool)> =
            std::iter::from_fn(|| queue.pop()).map(|(item, last)| (item.due_ns, item.seq, last)).collect();
        assert_eq!(order, [(10, 0, true), (10, 1, true), (20, 7, true)]);
        assert!(queue.is_empty());
    }
}
