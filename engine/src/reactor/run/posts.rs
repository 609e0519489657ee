//! Phase 2: what other threads posted.

use epush_core::mail::{Mail, Relayed};

use super::super::Post;
use super::super::socket::Socket;
use super::{Draining, Reactor};
use crate::api::NodeState;

/// Mailbox posts handled per turn: bounds how long a busy publisher can keep sockets waiting.
pub(super) const MAILBOX_BUDGET: usize = 1_024;

impl Reactor {
    pub(super) fn read_mailbox(&mut self) {
        self.inbox.open();
        for _ in 0..MAILBOX_BUDGET {
            let Some(post) = self.inbox.take() else { return };
            self.receive(post);
            self.settle();
        }
    }

    fn receive(&mut self, post: Post) {
        match post {
            Post::Adopt { stream, peer, door } => {
                let conn = self.shard.adopt(self.now, peer, door);
                self.sockets.insert(conn, Socket::new(stream, door, peer.ip()));
                self.readable.push_back(conn);
            }
            Post::Mail(mail) => {
                self.look_at(&mail);
                self.shard.handle_mail(self.now, mail);
            }
            Post::Push { conn, frame, permit } => {
                self.shard.handle_mail(self.now, Mail::Push { conn, frame });
                drop(permit);
            }
            Post::Fetched(fetched) => self.fetched(fetched),
            Post::Schedules(news) => {
                if let Some(api) = &mut self.api {
                    api.handle_schedules(self.now, news);
                }
            }
            Post::Change(change) => self.change(change),
            Post::Stop => self.stopping = true,
        }
    }

    /// What concerns more than the shard.
    fn look_at(&mut self, mail: &Mail) {
        match (mail, &mut self.api) {
            (Mail::Publish { publication, .. }, Some(api)) => api.observe(publication),
            (Mail::Relayed(relayed), Some(api)) => {
                for item in relayed.iter() {
                    if let Relayed::Publication(publication) = item {
                        api.observe(publication);
                    }
                }
            }
            (Mail::Drain { .. }, api) => {
                self.draining = Draining::UnderWay;
                if let Some(api) = api {
                    api.set_state(NodeState::Draining);
                }
            }
            _ => {}
        }
    }
}
