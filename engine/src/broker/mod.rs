//! How a publication reaches the shards: the one path for clients, the API, schedules and the embedder.
//!
//! Knows nothing of who publishes, nor of who receives.

mod local;
mod redis;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use epush_core::id::ShardId;
use epush_core::mail::{ClusterCall, Question, Report};
use epush_core::message::{Draft, Publication, Target};
use epush_core::now::Now;

pub use self::redis::Redis;
pub use crate::intake::Refused;
use crate::relay::Room;
pub use local::Local;

/// Takes publications in and spreads them.
///
/// In two steps, so that whoever waits for the count can open a ticket in between: a refused draft leaves none behind.
/// One publisher's messages to one target stay in order as long as it spreads them in order.
pub trait Broker: Send + Sync {
    /// Reserves room for the draft and encodes it.
    ///
    /// # Errors
    /// [`Refused`]; then nobody gets it.
    fn accept(&self, draft: &Draft, now: Now) -> Result<Accepted, Refused>;

    /// Posts to every shard but `origin`, whose reactor hands the publication to its own shard itself, and to the other
    /// nodes. Returns the publication.
    fn spread(&self, origin: Option<ShardId>, accepted: Accepted, report: Option<Report>) -> Arc<Publication>;

    /// What a shard asks of the cluster.
    fn call(&self, shard: ShardId, call: ClusterCall);

    /// Puts a question to the other nodes. Returns whether one more part of the answer will come.
    fn ask_others(&self, question: &Question, report: Report) -> bool;

    /// Both steps, for those who wait for no count.
    ///
    /// # Errors
    /// [`Refused`]; then nobody gets it.
    fn publish(&self, origin: Option<ShardId>, draft: &Draft, now: Now) -> Result<Arc<Publication>, Refused> {
        Ok(self.spread(origin, self.accept(draft, now)?, None))
    }
}

/// A draft for which there is room everywhere, encoded.
#[derive(Debug)]
pub struct Accepted {
    /// The message.
    pub publication: Arc<Publication>,
    /// Its room on the way to other nodes; none: it has no way there.
    pub crossing: Option<Room>,
    /// Whether the cluster takes it, as far as anybody knows.
    pub relayed: bool,
}

/// Bytes of a message frame besides names and payload: keys, quotes, time and frame header.
const FRAME_OVERHEAD_BYTES: usize = 128;

/// Bytes the draft will have, encoded: one frame for each addressee.
fn weight(draft: &Draft) -> usize {
    let (frames, names) = match &draft.to {
        Target::Users(users) => (users.len(), users.iter().map(|user| user.as_str().len()).sum()),
        Target::Channels(channels) => (channels.len(), channels.iter().map(|channel| channel.as_str().len()).sum()),
        Target::All => (1, 0),
    };
    let words = [&draft.id, &draft.kind, &draft.module].into_iter().flatten().map(|word| word.len()).sum::<usize>();
    let from = draft.from.as_ref().map_or(0, |user| user.as_str().len());
    let each = FRAME_OVERHEAD_BYTES + words + from + draft.data.get().len();
    frames.saturating_mul(each).saturating_add(names)
}
