//! What is asked of the cluster: of Redis, which knows users, and of the other nodes.
//!
//! Without Redis every question has its answer at once: the other nodes' part is empty, or the whole is unavailable.

use epush_core::close::CloseReason;
use epush_core::error::{ErrorCode, Refusal};
use epush_core::mail::{Answer, Mail, MuteChange, Question, Report, SessionInfo};
use epush_core::message::UserName;
use epush_core::relay::{Body, NodeId};
use redis::Value;

use super::Outward;
use super::errand::Then;
use crate::relay::order::Arrival;
use crate::relay::scripts::{Entry, ReplyError, changed, reply};

impl Outward {
    pub(super) fn ask(&mut self, question: Question, report: Report) {
        let is_up = self.is_up();
        match question {
            Question::User(user) if is_up => {
                let call = self.calls.sessions(&user);
                self.send(call, Then::Sessions(report));
            }
            Question::User(_) => self.answer(report, Answer::Sessions(Vec::new())),
            Question::Kick(user) if is_up => {
                let close = self.envelope(Body::Close { sessions: Vec::new(), reason: CloseReason::Kicked });
                self.send(self.calls.kick(&user, &close), Then::Kicked(report));
            }
            Question::Kick(_) => self.answer(report, Answer::Kicked(0)),
            Question::Mutes(user) if is_up => {
                let call = self.calls.mutes(&user);
                self.send(call, Then::Mutes { user, report });
            }
            Question::Mutes(user) => self.answer_mutes_from_here(&user, report),
            Question::ChangeMutes { user, change } if is_up => self.change_mutes(user, &change, report),
            Question::ChangeMutes { .. } => self.answer(report, Answer::Refused(unavailable())),
            Question::Online | Question::Channels(_) | Question::Channel { .. } | Question::Counters => {
                debug_assert!(false, "not a question for Redis: {question:?}");
                self.answer(report, Answer::Refused(unavailable()));
            }
        }
    }

    fn change_mutes(&mut self, user: UserName, change: &MuteChange, report: Report) {
        let muted = self.envelope(Body::Muted { user: user.clone(), mutes: [].into() });
        let call = self.calls.change_mutes(&user, change, self.setup.muted_types_max, &muted);
        self.send(call, Then::MutesChanged { user, report });
    }

    /// The user's sessions: those of this node are told by its own shards.
    pub(super) fn sessions(&self, report: Report, reply: &Value) {
        let answer = Entry::read_all(reply).map(|entries| {
            let others = entries.into_iter().filter(|entry| entry.session.boot != self.setup.boot);
            let info = |Entry { session, since_unix_ms, remote, .. }: Entry| SessionInfo {
                node: self.lease.name(session.boot),
                session,
                since_unix_ms,
                remote,
            };
            Answer::Sessions(others.map(info).collect())
        });
        self.answer_read(report, answer);
    }

    pub(super) fn kicked(&self, report: Report, reply: &Value) {
        self.answer_read(report, reply::count(reply).map(Answer::Kicked));
    }

    pub(super) fn mutes(&mut self, user: &UserName, report: Report, reply: &Value) {
        let mutes = reply::mutes(reply);
        if let Ok(mutes) = &mutes {
            self.directory.note_mutes(user, mutes.clone());
        }
        self.answer_read(report, mutes.map(Answer::Mutes));
    }

    pub(super) fn mutes_changed(&mut self, user: &UserName, report: Report, reply: &Value) {
        match changed(reply) {
            Ok(Some((mutes, at_unix_ms))) => {
                self.directory.note_mutes(user, mutes.clone());
                self.tell_muted(user, mutes.clone(), at_unix_ms);
                // Behind it, by the same way: whoever has the answer may rely on the change.
                self.setup.inward.post(Arrival::Answered { report, answer: Answer::Mutes(mutes) });
            }
            Ok(None) => {
                let message = format!("at most {} muted types", self.setup.muted_types_max);
                self.answer(report, Answer::Refused(Refusal::new(ErrorCode::LimitReached, message)));
            }
            Err(error) => self.answer_read(report, Err(error)),
        }
    }

    pub(super) fn answer_mutes_from_here(&self, user: &UserName, report: Report) {
        let mutes = self.directory.mutes(user).map(Answer::Mutes);
        self.answer(report, mutes.unwrap_or_else(|| Answer::Refused(unavailable())));
    }

    /// Puts a question to the other nodes.
    pub(super) fn query(&mut self, ticket: u64, question: Question) {
        if !self.is_up() {
            return self.setup.inward.post(Arrival::Asked { ticket, receivers: None });
        }
        let channel = match &question {
            Question::Channel { channel, .. } => Some(channel.clone()),
            _ => None,
        };
        let envelope = self.envelope(Body::Ask { ticket, question });
        let call = match channel {
            Some(channel) => self.calls.tell_channel(&channel, &envelope),
            None => self.calls.tell_all(&envelope),
        };
        self.send(call, Then::Asked { ticket });
    }

    pub(super) fn asked(&self, ticket: u64, reply: &Value) {
        self.setup.inward.post(Arrival::Asked { ticket, receivers: reply::count(reply).ok() });
    }

    /// Answers another node. Without Redis it will not wait for long.
    pub(super) fn reply(&mut self, to: NodeId, ticket: u64, answer: Answer) {
        if self.is_up() {
            let envelope = self.envelope(Body::Answer { ticket, answer });
            let partition = self.calls.keys.node_partition();
            self.send(self.calls.tell_node(to, partition, &envelope), Then::Nothing);
        }
    }

    fn answer_read(&self, report: Report, answer: Result<Answer, ReplyError>) {
        let refused = |error: ReplyError| Answer::Refused(Refusal::new(ErrorCode::Unavailable, error.to_string()));
        self.answer(report, answer.unwrap_or_else(refused));
    }

    pub(super) fn answer(&self, report: Report, answer: Answer) {
        self.post(report.shard, Mail::Answer { ticket: report.ticket, answer });
    }
}

/// What cannot be answered without Redis, or without knowing whether it did what it was told.
pub fn unavailable() -> Refusal {
    Refusal::new(ErrorCode::Unavailable, "the cluster's Redis does not answer")
}
