//! What all threads of a node share: its names, its clock, its mailboxes and its numbers.
//!
//! Nothing in here is locked; what changes is atomic. Knows nothing of protocol.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use epush_core::id::{SessionId, SessionRef, ShardId};
use epush_core::mail::Mail;
use epush_core::message::{Draft, Publication, Target};
use serde_json::value::RawValue;

use crate::broker::{Broker, Refused};
use crate::clock::Clock;
use crate::gauges::NodeGauges;
use crate::intake::Intake;
use crate::mailbox::Mailbox;
use crate::reactor::Post;
use crate::relay::{Arrival, Census, Front};

/// See the module.
pub struct Node {
    /// The node's name.
    pub name: Arc<str>,
    /// Drawn at random at the start.
    pub boot: u64,
    /// Its clocks.
    pub clock: Clock,
    /// The sub-reactors, by shard.
    pub reactors: Vec<Mailbox<Post>>,
    /// The way of every publication.
    pub broker: Box<dyn Broker>,
    /// The way to other nodes; none: this one is alone.
    pub relay: Option<Front>,
    /// Who is online in the cluster.
    pub census: Census,
    /// Bytes of publications under way.
    pub intake: Intake,
    /// Numbers anybody may read.
    pub gauges: Arc<NodeGauges>,
    /// Set when nothing is delivered any more.
    pub stopped: AtomicBool,
    /// Publications the embedder named none for.
    pub published: AtomicU64,
}

impl Node {
    /// How many shards the node has.
    #[must_use]
    pub fn shards(&self) -> u16 {
        self.reactors.len() as u16
    }

    /// Puts mail into a shard's mailbox; an answer may also be for the relay.
    pub fn post(&self, shard: ShardId, mail: Mail) {
        if let (ShardId::RELAY, Mail::Answer { ticket, answer }, Some(relay)) = (shard, &mail, &self.relay) {
            return relay.inward.post(Arrival::Answer { ticket: *ticket, answer: answer.clone() });
        }
        if let Some(reactor) = self.reactors.get(usize::from(shard.0)) {
            reactor.post(Post::Mail(mail));
        }
    }

    /// The public name of a session of this node.
    #[must_use]
    pub fn session_id(&self, at: SessionRef) -> SessionId {
        SessionId { boot: self.boot, at }
    }

    /// Whether the node delivers nothing any more.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// A name for a publication of the embedder. The `p` keeps it apart from names the control API gives.
    #[must_use]
    pub fn next_publication_id(&self) -> Arc<str> {
        format!("{:x}-p{:x}", self.boot, self.published.fetch_add(1, Ordering::Relaxed)).into()
    }

    /// Queues a message for one session, counted against the intake until its shard has taken it.
    ///
    /// # Errors
    /// [`Refused`] when the intake is full; then the session does not get it.
    pub fn push_to_session(&self, to: SessionRef, data: Box<RawValue>) -> Result<(), Refused> {
        let permit = self.intake.reserve(data.get().len())?;
        // The message of a broadcast names no addressee, and neither does one to a session.
        let publication = Publication::encode(&Draft::new(Target::All, data), self.clock.now());
        if let (Some(frame), Some(reactor)) =
            (publication.frames.into_iter().next(), self.reactors.get(usize::from(to.shard.0)))
        {
            reactor.post(Post::Push { conn: to.conn, frame, permit });
        }
        Ok(())
    }
}
