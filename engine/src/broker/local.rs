//! The broker of a node that is alone: from the publisher straight into the mailboxes of the shards.

use std::sync::Arc;

use epush_core::id::ShardId;
use epush_core::mail::{ClusterCall, Mail, Question, Report};
use epush_core::message::{Draft, Publication};
use epush_core::now::Now;

use super::{Accepted, Broker, Refused, weight};
use crate::intake::Intake;
use crate::mailbox::Mailbox;
use crate::reactor::Post;

/// See the module.
#[derive(Debug)]
pub struct Local {
    shards: Vec<Mailbox<Post>>,
    intake: Intake,
}

impl Local {
    /// A broker over the shards' mailboxes.
    #[must_use]
    pub fn new(shards: Vec<Mailbox<Post>>, intake: Intake) -> Self {
        Self { shards, intake }
    }
}

impl Broker for Local {
    fn accept(&self, draft: &Draft, now: Now) -> Result<Accepted, Refused> {
        // Before encoding: a refused publication must not cost memory first.
        let permit = self.intake.reserve(weight(draft))?;
        let mut publication = Publication::encode(draft, now);
        publication.permit = Some(Box::new(permit));
        Ok(Accepted { publication: Arc::new(publication), crossing: None, relayed: false })
    }

    fn spread(&self, origin: Option<ShardId>, accepted: Accepted, report: Option<Report>) -> Arc<Publication> {
        let publication = accepted.publication;
        for (index, shard) in self.shards.iter().enumerate() {
            if origin.is_none_or(|origin| usize::from(origin.0) != index) {
                shard.post(Post::Mail(Mail::Publish { publication: Arc::clone(&publication), report }));
            }
        }
        publication
    }

    fn call(&self, _: ShardId, call: ClusterCall) {
        debug_assert!(false, "a node that is alone asks no cluster: {call:?}");
    }

    fn ask_others(&self, _: &Question, _: Report) -> bool {
        false
    }
}
