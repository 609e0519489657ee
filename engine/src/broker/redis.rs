//! The broker of a node in a cluster: what [`Local`] does at once, and everything else through the relay.
//!
//! Local subscribers never wait for Redis: their order is the publisher's own.

use std::sync::Arc;

use epush_core::id::ShardId;
use epush_core::mail::{Answer, ClusterCall, Mail, Question, Report};
use epush_core::message::{Draft, Publication, Target};
use epush_core::now::Now;

use super::{Accepted, Broker, Local, Refused, weight};
use crate::clock::Clock;
use crate::mailbox::Mailbox;
use crate::reactor::Post;
use crate::relay::{Arrival, Census, Front, Order, Room};

/// See the module.
#[derive(Debug)]
pub struct Redis {
    local: Local,
    shards: Vec<Mailbox<Post>>,
    relay: Front,
    census: Census,
    clock: Clock,
}

impl Redis {
    /// A broker over the shards' mailboxes and the relay.
    #[must_use]
    pub fn new(local: Local, shards: Vec<Mailbox<Post>>, relay: Front, census: Census, clock: Clock) -> Self {
        Self { local, shards, relay, census, clock }
    }
}

impl Broker for Redis {
    fn accept(&self, draft: &Draft, now: Now) -> Result<Accepted, Refused> {
        let streams = match &draft.to {
            Target::Users(users) => users.len(),
            Target::Channels(channels) => channels.len(),
            Target::All => 1,
        };
        let room = self.relay.reserve(weight(draft), streams)?;
        let accepted = self.local.accept(draft, now)?;
        let relayed = matches!(room, Room::Whole(_)) && self.relay.is_up();
        Ok(Accepted { crossing: Some(room), relayed, ..accepted })
    }

    fn spread(&self, origin: Option<ShardId>, mut accepted: Accepted, report: Option<Report>) -> Arc<Publication> {
        let crossing = accepted.crossing.take();
        let publication = self.local.spread(origin, accepted, report);
        // What crosses holds frames, not the publication: local subscribers give their room back without Redis.
        let to = publication.to.clone();
        match crossing {
            Some(Room::Whole(permit)) => {
                let (kind, frames) = (publication.kind.clone(), publication.frames.clone());
                self.relay.order(Order::Publish { to, kind, frames, permit });
            }
            Some(Room::Loss(permit)) => self.relay.order(Order::Lose { to, permit }),
            None => {}
        }
        publication
    }

    fn call(&self, shard: ShardId, call: ClusterCall) {
        match call {
            ClusterCall::SignIn { user, session, since_unix_ms, remote } => {
                self.relay.order(Order::SignIn { user, session, since_unix_ms, remote });
            }
            ClusterCall::SignOut { user, session } => self.relay.order(Order::SignOut { user, session }),
            ClusterCall::Join(channel) => self.relay.inward.post(Arrival::Join { shard, channel }),
            ClusterCall::Leave(channel) => self.relay.inward.post(Arrival::Leave { shard, channel }),
            ClusterCall::Ask { question, report } => self.relay.order(Order::Ask { question, report }),
        }
    }

    fn ask_others(&self, question: &Question, report: Report) -> bool {
        match question {
            Question::Online => {
                let counts = self.census.counts(self.clock.now());
                let answer = Answer::Online { sessions: 0, users: 0, cluster: Some(counts) };
                if let Some(shard) = self.shards.get(usize::from(report.shard.0)) {
                    shard.post(Post::Mail(Mail::Answer { ticket: report.ticket, answer }));
                }
            }
            Question::User(_) | Question::Kick(_) => {
                self.relay.order(Order::Ask { question: question.clone(), report });
            }
            Question::Channels(_) | Question::Channel { .. } => {
                self.relay.inward.post(Arrival::Ask { question: question.clone(), report });
            }
            // Answered by the cluster as a whole, or by nobody but this node.
            Question::Mutes(_) | Question::ChangeMutes { .. } | Question::Counters => return false,
        }
        true
    }
}
