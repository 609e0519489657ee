//! How a publication reaches the shards: the one path for clients, the API, schedules and the embedder.
//!
//! Knows nothing of who publishes, nor of who receives.

mod local;

use std::sync::Arc;

use epush_core::id::ShardId;
use epush_core::mail::Report;
use epush_core::message::{Draft, Publication};
use epush_core::now::Now;

pub use crate::intake::Refused;
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
    fn accept(&self, draft: &Draft, now: Now) -> Result<Arc<Publication>, Refused>;

    /// Posts to every shard but `origin`, whose reactor hands the publication to its own shard itself.
    fn spread(&self, origin: Option<ShardId>, publication: &Arc<Publication>, report: Option<Report>);

    /// Both steps, for those who wait for no count.
    ///
    /// # Errors
    /// [`Refused`]; then nobody gets it.
    fn publish(&self, origin: Option<ShardId>, draft: &Draft, now: Now) -> Result<Arc<Publication>, Refused> {
        let publication = self.accept(draft, now)?;
        self.spread(origin, &publication, None);
        Ok(publication)
    }
}
