//! What arrived, on its way to the shards: collected, and given to each of them in one piece.
//!
//! Knows nothing of where it comes from.

use std::sync::Arc;

use epush_core::id::ShardId;
use epush_core::mail::{Mail, Relayed};

use crate::mailbox::Mailbox;
use crate::reactor::Post;

/// See the module.
#[derive(Debug)]
pub struct HandOff {
    shards: Vec<Mailbox<Post>>,
    /// Oldest first.
    things: Vec<Relayed>,
}

/// Things given to a shard at once: enough that a wake-up and a list per shard no longer count, few enough that the
/// shards begin while this thread still reads, and get to their sockets in between.
const THINGS_MAX: usize = 256;

impl HandOff {
    /// Nothing collected yet, for these shards.
    #[must_use]
    pub fn new(shards: Vec<Mailbox<Post>>) -> Self {
        Self { shards, things: Vec::with_capacity(THINGS_MAX) }
    }

    /// How many shards there are.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    /// Adds one more thing for all shards.
    pub fn push(&mut self, thing: Relayed) {
        self.things.push(thing);
        if self.things.len() >= THINGS_MAX {
            self.flush();
        }
    }

    /// Gives to all shards what is collected.
    pub fn flush(&mut self) {
        if self.things.is_empty() {
            return;
        }
        let things: Arc<[Relayed]> = self.things.drain(..).collect();
        for shard in &self.shards {
            shard.post(Post::Mail(Mail::Relayed(Arc::clone(&things))));
        }
    }

    /// Mail for one shard, behind everything collected so far. A shard there is none of gets nothing.
    pub fn post(&mut self, shard: ShardId, mail: Mail) {
        self.flush();
        if let Some(mailbox) = self.shards.get(usize::from(shard.0)) {
            mailbox.post(Post::Mail(mail));
        }
    }

    /// Mail for every shard, behind everything collected so far.
    pub fn post_all(&mut self, mail: impl Fn() -> Mail) {
        self.flush();
        for mailbox in &self.shards {
            mailbox.post(Post::Mail(mail()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::bench;
    use epush_core::batch::Stream;

    fn lost(count: u64) -> Relayed {
        Relayed::Lost { stream: Stream::All, count }
    }

    #[test]
    fn many_things_are_one_piece_of_mail_for_each_shard_and_other_mail_comes_behind_them() {
        let bench = bench(2, 1_000);
        let mut handoff = HandOff::new(bench.node.reactors.clone());
        handoff.flush();
        assert!(bench.inboxes[0].is_empty(), "nothing to give");
        (1..=3).for_each(|count| handoff.push(lost(count)));
        assert!(bench.inboxes[0].is_empty(), "still collecting");
        handoff.post(ShardId(1), Mail::Drain { over_ms: 0 });
        for inbox in &bench.inboxes {
            let Some(Post::Mail(Mail::Relayed(things))) = inbox.take() else { panic!("one piece") };
            let counts = things.iter().map(|thing| match thing {
                Relayed::Lost { count, .. } => *count,
                Relayed::Publication(_) => 0,
            });
            assert_eq!(counts.collect::<Vec<_>>(), [1, 2, 3]);
        }
        assert!(bench.inboxes[0].is_empty());
        assert!(matches!(bench.inboxes[1].take(), Some(Post::Mail(Mail::Drain { .. }))));
        handoff.post(ShardId(7), Mail::Drain { over_ms: 0 });
    }

    #[test]
    fn a_full_piece_goes_at_once() {
        let bench = bench(1, 1_000);
        let mut handoff = HandOff::new(bench.node.reactors.clone());
        (0..THINGS_MAX).for_each(|_| handoff.push(lost(1)));
        assert!(
            matches!(bench.inboxes[0].take(), Some(Post::Mail(Mail::Relayed(things))) if things.len() == THINGS_MAX)
        );
    }
}
