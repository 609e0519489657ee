//! The broker of a node that is alone: from the publisher straight into the mailboxes of the shards.

use std::sync::Arc;

use epush_core::id::ShardId;
use epush_core::mail::{Mail, Report};
use epush_core::message::{Draft, Publication, Target};
use epush_core::now::Now;

use super::{Broker, Refused};
use crate::intake::Intake;
use crate::mailbox::Mailbox;
use crate::reactor::Post;

/// See the module.
#[derive(Debug)]
pub struct Local {
    shards: Vec<Mailbox<Post>>,
    intake: Intake,
}

/// Bytes of a message frame besides names and payload: keys, quotes, time and frame header.
const FRAME_OVERHEAD_BYTES: usize = 128;

impl Local {
    /// A broker over the shards' mailboxes.
    #[must_use]
    pub fn new(shards: Vec<Mailbox<Post>>, intake: Intake) -> Self {
        Self { shards, intake }
    }
}

impl Broker for Local {
    fn accept(&self, draft: &Draft, now: Now) -> Result<Arc<Publication>, Refused> {
        // Before encoding: a refused publication must not cost memory first.
        let permit = self.intake.reserve(weight(draft))?;
        let mut publication = Publication::encode(draft, now);
        publication.permit = Some(Box::new(permit));
        Ok(Arc::new(publication))
    }

    fn spread(&self, origin: Option<ShardId>, publication: &Arc<Publication>, report: Option<Report>) {
        for (index, shard) in self.shards.iter().enumerate() {
            if origin.is_none_or(|origin| usize::from(origin.0) != index) {
                shard.post(Post::Mail(Mail::Publish { publication: Arc::clone(publication), report }));
            }
        }
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::{Inbox, mailbox};
    use epush_core::message::{ChannelName, UserName};
    use mio::{Poll, Token, Waker};
    use serde_json::value::RawValue;

    struct World {
        broker: Local,
        inboxes: Vec<Inbox<Post>>,
        intake: Intake,
        _polls: Vec<Poll>,
    }

    fn world(shards: usize, intake_bytes: usize) -> World {
        let intake = Intake::new(intake_bytes);
        let (mut mailboxes, mut inboxes, mut polls) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..shards {
            let poll = Poll::new().expect("poll");
            let (post, inbox) = mailbox(Waker::new(poll.registry(), Token(0)).expect("waker"));
            mailboxes.push(post);
            inboxes.push(inbox);
            polls.push(poll);
        }
        World { broker: Local::new(mailboxes, intake.clone()), inboxes, intake, _polls: polls }
    }

    fn draft(to: Target, json: &str) -> Draft {
        Draft::new(to, RawValue::from_string(json.into()).expect("JSON"))
    }

    fn published(inbox: &Inbox<Post>) -> Option<(Arc<Publication>, Option<Report>)> {
        match inbox.take()? {
            Post::Mail(Mail::Publish { publication, report }) => Some((publication, report)),
            _ => panic!("expected a publication"),
        }
    }

    #[test]
    fn every_shard_but_the_origin_gets_the_same_publication() {
        let world = world(3, 10_000);
        let publication = world.broker.accept(&draft(Target::All, "1"), Now::default()).expect("fits");
        let report = Report { shard: ShardId(1), ticket: 9 };
        world.broker.spread(Some(ShardId(1)), &publication, Some(report));
        for (index, inbox) in world.inboxes.iter().enumerate() {
            match published(inbox) {
                Some((received, reported)) => {
                    assert!(Arc::ptr_eq(&received, &publication) && reported == Some(report));
                }
                None => assert_eq!(index, 1),
            }
        }
    }

    #[test]
    fn the_bytes_are_given_back_when_the_last_shard_is_done() {
        let world = world(2, 10_000);
        drop(world.broker.publish(None, &draft(Target::All, "1"), Now::default()).expect("fits"));
        let first = published(&world.inboxes[0]).expect("posted");
        assert!(world.intake.bytes() > 0);
        drop(first);
        assert!(world.intake.bytes() > 0, "the other shard still has it");
        drop(published(&world.inboxes[1]).expect("posted"));
        assert_eq!(world.intake.bytes(), 0);
    }

    #[test]
    fn what_does_not_fit_reaches_nobody() {
        let world = world(2, 500);
        let big = format!("\"{}\"", "x".repeat(300));
        let held = world.broker.publish(None, &draft(Target::All, &big), Now::default()).expect("fits");
        let refused = world.broker.publish(None, &draft(Target::All, &big), Now::default());
        assert_eq!(refused.err(), Some(Refused::Full));
        assert!(world.inboxes.iter().all(|inbox| published(inbox).is_some() && published(inbox).is_none()));
        drop(held);
        assert!(world.broker.publish(None, &draft(Target::All, &big), Now::default()).is_ok());
    }

    #[test]
    fn the_reservation_covers_the_frames() {
        let user = UserName::parse(&"u".repeat(200)).expect("name");
        let mut draft = draft(Target::Users(vec![user.clone(); 3]), "[1,2,3]");
        (draft.id, draft.kind, draft.module) = (Some("id".into()), Some("kind".into()), Some("module".into()));
        draft.from = Some(user);
        let now = Now { monotonic_us: 0, unix_ms: u64::MAX };
        assert!(Publication::encode(&draft, now).bytes() <= weight(&draft));
        draft.to = Target::Channels(vec![ChannelName::parse("news").expect("name")]);
        assert!(Publication::encode(&draft, now).bytes() <= weight(&draft));
    }
}
