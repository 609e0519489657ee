//! Mail, and the questions shards ask each other: parts are collected under a ticket until all are there.

use std::net::IpAddr;

use serde_json::value::RawValue;

use super::Shard;
use crate::close::CloseReason;
use crate::connection::{Flags, Phase};
use crate::effect::{Asker, Effect};
use crate::error::{ErrorCode, Refusal};
use crate::id::{ConnId, SessionRef};
use crate::limits::MEMBERS_MAX;
use crate::mail::{Answer, ClusterCall, ClusterCounts, Mail, Mutes, Question, Report, SessionInfo};
use crate::message::UserName;
use crate::now::Now;
use crate::registry::home;
use crate::wire::native::reply;

/// A question under way.
pub(super) struct Ticket {
    asker: Asker,
    /// Parts still to come. Invariant: at least 1.
    missing: usize,
    /// The parts that came, merged.
    answer: Option<Answer>,
}

impl Shard {
    /// One thing from another thread, or from this shard's own reactor.
    pub fn handle_mail(&mut self, now: Now, mail: Mail) {
        self.now = now;
        self.handle_one(mail);
        self.settle();
    }

    pub(super) fn handle_one(&mut self, mail: Mail) {
        match mail {
            Mail::Publish { publication, report } => {
                self.deliver(&publication, report);
                self.let_go(publication);
            }
            Mail::Relayed(relayed) => self.deliver_relayed(relayed),
            Mail::Joined(channel) => self.joined(&channel),
            Mail::SignIn { user, session, since_unix_ms, remote } => {
                self.register(user, session, since_unix_ms, remote)
            }
            Mail::SignedIn { conn, mutes } => self.signed_in(conn, mutes),
            Mail::SignOut { user, session } => self.unregister(user, session),
            Mail::Muted { user, mutes } => self.apply_mutes(&user, &mutes),
            Mail::Close { conn, reason } => self.close(conn, reason),
            Mail::Ask { question: question @ (Question::Mutes(_) | Question::ChangeMutes { .. }), report }
                if self.setup.clustered =>
            {
                self.effects.push_back(Effect::Cluster(ClusterCall::Ask { question, report }));
            }
            Mail::Ask { question, report } => {
                let answer = self.answer(question);
                self.report(report, answer);
            }
            Mail::Answer { ticket, answer } => self.handle_answer(ticket, answer),
            Mail::Verdict { conn, verdict } => self.handle_verdict(conn, verdict),
            Mail::Reply { conn, id, outcome } => self.handle_reply(conn, &id, outcome),
            Mail::Push { conn, frame } => self.push_frame(conn, &frame),
            Mail::Respond { conn, response } => self.respond_now(conn, &response),
            Mail::Settings(settings) => self.setup.settings = settings,
            Mail::Drain { over_ms } => self.start_drain(over_ms),
        }
    }

    /// Opens a ticket for `parts` answers, each a [`Mail::Answer`]; the merged answer goes to `asker`.
    pub fn expect(&mut self, asker: Asker, parts: usize) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        if asker != Asker::Nobody {
            self.tickets.insert(ticket, Ticket { asker, missing: parts.max(1), answer: None });
        }
        ticket
    }

    /// What `asker` wanted was refused before anybody was asked (for example: too much under way).
    pub fn refuse(&mut self, now: Now, asker: Asker, refusal: Refusal) {
        self.now = now;
        self.hand_over(asker, Answer::Refused(refusal));
        self.settle();
    }

    /// Puts a question to the user's home.
    pub(super) fn ask_home(&mut self, user: &UserName, question: Question, asker: Asker) {
        let ticket = self.expect(asker, 1);
        let report = Report { shard: self.setup.id, ticket };
        self.send(home(user, self.setup.shards), Mail::Ask { question, report });
    }

    pub(super) fn report(&mut self, report: Report, answer: Answer) {
        self.send(report.shard, Mail::Answer { ticket: report.ticket, answer });
    }

    fn handle_answer(&mut self, ticket: u64, part: Answer) {
        let Some(waiting) = self.tickets.get_mut(&ticket) else { return };
        match &mut waiting.answer {
            Some(answer) => answer.merge(part),
            None => waiting.answer = Some(part),
        }
        waiting.missing -= 1;
        if waiting.missing > 0 {
            return;
        }
        if let Some(Ticket { asker, answer: Some(mut answer), .. }) = self.tickets.remove(&ticket) {
            answer.settle();
            self.hand_over(asker, answer);
        }
    }

    fn hand_over(&mut self, asker: Asker, answer: Answer) {
        match asker {
            Asker::Client { conn, id } => self.answer_client(conn, &id, &answer),
            Asker::Api { .. } => self.effects.push_back(Effect::Answered { asker, answer }),
            Asker::Nobody => {}
        }
    }

    fn answer_client(&mut self, conn: ConnId, id: &str, answer: &Answer) {
        let clustered = self.setup.clustered;
        self.push_text(conn, |out| match answer {
            Answer::Delivered { sessions, relayed } => {
                reply::ok_local(out, id, *sessions, clustered.then_some(*relayed));
            }
            Answer::Mutes(types) => reply::ok_types(out, id, types),
            Answer::Channel { channel, subscribers, elsewhere, users } => {
                reply::ok_presence(out, id, channel.as_str(), subscribers.saturating_add(*elsewhere), users);
            }
            Answer::Online { sessions, users, cluster } => {
                let here = ClusterCounts { sessions: *sessions, users: *users, nodes: 1 };
                let all = cluster.unwrap_or(here);
                let shown = |counts: ClusterCounts| reply::Online { connections: counts.sessions, users: counts.users };
                reply::ok_online(out, id, shown(here), shown(all), all.nodes);
            }
            Answer::Refused(refusal) => reply::error(out, id, refusal),
            Answer::Sessions(_) | Answer::Kicked(_) | Answer::Channels(_) | Answer::Counters(_) => {
                debug_assert!(false, "no client command asks for this");
            }
        });
        self.answered(conn);
    }

    fn answer(&mut self, question: Question) -> Answer {
        match question {
            Question::User(user) => Answer::Sessions(self.sessions_of(&user).filter_map(|c| self.info(c)).collect()),
            Question::Kick(user) => {
                // Only the home knows also those that are just signing in; it has none of other users' sessions.
                let sessions = self.registry.sessions(&user);
                for session in &sessions {
                    self.send(session.shard, Mail::Close { conn: session.conn, reason: CloseReason::Kicked });
                }
                Answer::Kicked(sessions.len() as u64)
            }
            Question::Online => {
                Answer::Online { sessions: self.counters.sessions, users: self.registry.users() as u64, cluster: None }
            }
            Question::Channels(range) => {
                let counts = self.hub.channels().map(|channel| (&channel.name, channel.members.len() as u64));
                Answer::Channels(range.page(counts))
            }
            Question::Channel { channel, members } => {
                let slot = self.hub.find_channel(&channel);
                let indices = slot.and_then(|slot| self.hub.channel(slot)).map_or(&[][..], |found| &found.members);
                let user_of = |index: &u32| self.hub.user(self.connections[*index as usize].user?);
                let named = if members { indices } else { &[] };
                let users = named.iter().filter_map(user_of).map(|user| user.name.clone()).take(MEMBERS_MAX).collect();
                Answer::Channel { channel, subscribers: indices.len() as u64, elsewhere: 0, users }
            }
            Question::Mutes(user) => Answer::Mutes(self.registry.mutes(&user).unwrap_or_default()),
            Question::ChangeMutes { user, change } => self.change_mutes(user, change),
            Question::Counters => Answer::Counters(Box::new(self.snapshot())),
        }
    }

    fn sessions_of(&self, user: &UserName) -> impl Iterator<Item = ConnId> {
        let found = self.hub.find_user(user).and_then(|slot| self.hub.user(slot));
        found.into_iter().flat_map(|user| &user.sessions).filter_map(|index| self.conn_id(*index))
    }

    fn info(&self, conn: ConnId) -> Option<SessionInfo> {
        let connection = self.connections.get(conn.index as usize)?;
        Some(SessionInfo {
            node: std::sync::Arc::clone(&self.setup.node),
            session: self.session_id(conn),
            since_unix_ms: connection.since_unix_ms,
            remote: connection.remote,
        })
    }

    fn snapshot(&self) -> crate::counters::Counters {
        let mut counters = self.counters.clone();
        counters.connections = self.gauges().connections as u64;
        counters.users = self.registry.users() as u64;
        counters.timers = self.wheel.len() as u64;
        counters
    }

    /// As a user's home: registers a session and sends the surplus ones away. In a cluster the relay says when it is
    /// known everywhere.
    fn register(&mut self, user: UserName, session: SessionRef, since_unix_ms: u64, remote: IpAddr) {
        let surplus = self.registry.sign_in(&user, session, self.setup.settings.sessions_per_user);
        for older in surplus {
            self.send(older.shard, Mail::Close { conn: older.conn, reason: CloseReason::Replaced });
        }
        if self.setup.clustered {
            let call = ClusterCall::SignIn { user, session, since_unix_ms, remote };
            self.effects.push_back(Effect::Cluster(call));
        } else {
            let mutes = self.registry.mutes(&user);
            self.send(session.shard, Mail::SignedIn { conn: session.conn, mutes });
        }
    }

    /// As a user's home: a session is gone. The cluster hears of it after its sign-in: both are effects of this shard, and
    /// effects keep their order.
    fn unregister(&mut self, user: UserName, session: SessionRef) {
        self.registry.sign_out(&user, session);
        if self.setup.clustered {
            self.effects.push_back(Effect::Cluster(ClusterCall::SignOut { user, session }));
        }
    }

    /// As a user's home: changes the mutes and tells every shard.
    fn change_mutes(&mut self, user: UserName, change: crate::mail::MuteChange) -> Answer {
        let settings = &self.setup.settings;
        let (types_max, users_max) = (settings.muted_types_max, settings.muted_users_max);
        match self.registry.change_mutes(&user, change, types_max, users_max) {
            Ok(mutes) => {
                for shard in 0..self.setup.shards {
                    let mail = Mail::Muted { user: user.clone(), mutes: mutes.clone() };
                    self.send(crate::id::ShardId(shard), mail);
                }
                Answer::Mutes(mutes)
            }
            Err(refusal) => Answer::Refused(refusal),
        }
    }

    fn apply_mutes(&mut self, user: &UserName, mutes: &Mutes) {
        if let Some(slot) = self.hub.find_user(user) {
            self.set_mutes(slot, (!mutes.is_empty()).then(|| mutes.clone()));
        }
    }

    /// A new session of the user brings what the user muted. In a cluster that may be news for the older ones.
    pub(super) fn mute_newcomer(&mut self, index: u32, slot: u32, mutes: Option<Mutes>) {
        let muted = mutes.is_some();
        if self.hub.user(slot).is_some_and(|user| user.mutes == mutes) {
            self.connections[index as usize].flags.set(Flags::MUTES, muted);
            self.muted_sessions += usize::from(muted);
        } else {
            self.set_mutes(slot, mutes);
        }
    }

    fn set_mutes(&mut self, slot: u32, mutes: Option<Mutes>) {
        let Some(user) = self.hub.user_mut(slot) else { return };
        let muted = mutes.is_some();
        user.mutes = mutes;
        for index in &user.sessions {
            let flags = &mut self.connections[*index as usize].flags;
            self.muted_sessions -= usize::from(flags.has(Flags::MUTES));
            self.muted_sessions += usize::from(muted);
            flags.set(Flags::MUTES, muted);
        }
    }

    fn handle_reply(&mut self, conn: ConnId, id: &str, outcome: Result<Box<RawValue>, Refusal>) {
        if self.find(conn).is_some_and(|connection| connection.phase == Phase::Open) {
            self.push_text(conn, |out| match outcome {
                Ok(data) => reply::reply(out, id, &data),
                Err(refusal) => reply::error(out, id, &refusal),
            });
            self.answered(conn);
        }
    }

    /// A frame of the application's own for one session. One that does not read is closed rather than buffered for.
    fn push_frame(&mut self, conn: ConnId, frame: &[u8]) {
        let limit = self.setup.settings.outbox_bytes_max;
        let Some(connection) = self.find(conn).filter(|connection| connection.phase == Phase::Open) else { return };
        let blocked = connection.flags.has(Flags::BLOCKED);
        if blocked && connection.outbox.bytes() + frame.len() > limit {
            self.counters.dropped_slow += 1;
            self.close(conn, CloseReason::SlowConsumer);
            return;
        }
        self.counters.deliveries += 1;
        self.push_own(conn, |out| out.extend_from_slice(frame));
    }

    /// A client wants something only the application has: says no.
    pub(super) fn refuse_command(&mut self, conn: ConnId, id: &str, code: ErrorCode, message: &'static str) {
        self.push_error(conn, id, &Refusal::new(code, message));
    }
}
