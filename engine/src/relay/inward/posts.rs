//! What the other threads ask of the receiving one: joins and leaves, questions, users that come and go.

use epush_core::batch::Stream;
use epush_core::id::{SessionRef, ShardId};
use epush_core::mail::{Mail, Mutes, Question, Report};
use epush_core::message::{ChannelName, UserName};
use epush_core::relay::Head;

use super::Inward;
use super::gather::{Done, nobody};
use super::interest::Join;
use super::link::Loss;
use crate::relay::{Arrival, Order};

impl Inward {
    /// Does what a post says, all but [`Arrival::Stop`].
    pub(super) fn post_arrived(&mut self, arrival: Arrival, now_ms: u64) {
        match arrival {
            Arrival::Join { shard, channel } => self.join(shard, channel),
            Arrival::Leave { shard, channel } => {
                if self.interest.leave(&channel, shard, now_ms) {
                    self.ledger.close(&Stream::Channel(channel));
                }
            }
            Arrival::Ask { question, report } => self.ask(question, report, now_ms),
            Arrival::Answer { ticket, answer } => {
                if let Some(part) = self.gather.part(ticket, answer) {
                    self.order(Order::Reply { to: part.to, ticket: part.ticket, answer: part.answer });
                }
            }
            Arrival::Asked { ticket, receivers } => {
                if let Some(done) = self.gather.asked(ticket, receivers) {
                    self.answer(done);
                }
            }
            Arrival::SignedIn { user, heads, session, mutes, at_unix_ms } => {
                let mutes = self.muting.read(&user, mutes, at_unix_ms);
                self.signed_in(user, heads, session, mutes, now_ms);
            }
            Arrival::Muted { user, mutes, at_unix_ms } => {
                self.muted(&user, &mutes, at_unix_ms, now_ms);
            }
            Arrival::Answered { report, answer } => self.answer(Done { report, answer }),
            Arrival::Heads { user, heads, after } => {
                if let Some((user, heads)) = self.markers.wait(after, (user, heads)) {
                    self.compare(Stream::User(user), &heads, now_ms);
                }
            }
            Arrival::SignedOut(user) => self.ledger.close(&Stream::User(user)),
            Arrival::Reconnect => self.connect_anew(&Loss::Replaced, now_ms),
            Arrival::Stop => {}
        }
    }

    fn join(&mut self, shard: ShardId, channel: ChannelName) {
        let link = self.links.of(&channel);
        match (self.interest.join(&channel, shard, link.is_some()), link) {
            (Join::Answer, _) => self.handoff.post(shard, Mail::Joined(channel)),
            (Join::Subscribe, Some(link)) => link.want(channel),
            (Join::Subscribe | Join::Wait, _) => {}
        }
    }

    /// Unsubscribes from channels that nobody wanted for the time they linger.
    pub(super) fn unsubscribe_idle(&mut self, now_ms: u64) {
        if self.interest.next_ms().is_none_or(|next_ms| now_ms < next_ms) {
            return;
        }
        let mut idle: Vec<Vec<ChannelName>> = (0..self.links.len()).map(|_| Vec::new()).collect();
        while let Some(channel) = self.interest.expire(now_ms) {
            self.ledger.close(&Stream::Channel(channel.clone()));
            if let Some(channels) = self.links.master_of(&channel).and_then(|master| idle.get_mut(master)) {
                channels.push(channel);
            }
        }
        for (master, channels) in idle.iter().enumerate().filter(|(_, channels)| !channels.is_empty()) {
            if let Some(link) = self.links.get(master) {
                link.drop_channels(channels);
            }
        }
    }

    fn ask(&mut self, question: Question, report: Report, now_ms: u64) {
        if !self.is_listening {
            // Answers would not arrive.
            if let Some(answer) = nobody(&question) {
                self.answer(Done { report, answer });
            }
            return;
        }
        if let Some(ticket) = self.gather.ask(&question, report, now_ms) {
            self.order(Order::Query { ticket, question });
        }
    }

    fn signed_in(
        &mut self,
        user: UserName,
        heads: Option<Vec<Head>>,
        session: SessionRef,
        mutes: Option<Mutes>,
        now_ms: u64,
    ) {
        let stream = Stream::User(user.clone());
        if !self.ledger.is_open(&stream) {
            match heads {
                Some(heads) => self.ledger.open(stream.clone(), &heads, now_ms),
                None => self.ledger.open_blind(stream.clone()),
            }
            // They have been delivered. What is missing between the heads and them is told now.
            for (origin, number) in self.early.take(&user) {
                let lost = self.ledger.receive(&stream, origin, number, now_ms).lost;
                self.lost(stream.clone(), lost);
            }
        }
        self.handoff.post(session.shard, Mail::SignedIn { conn: session.conn, mutes });
    }
}
