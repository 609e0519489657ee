//! The rest of the cluster, and the relay between it and the node: answers late, in order, and loses messages.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use epush_core::batch::Stream;
use epush_core::close::CloseReason;
use epush_core::id::{ConnId, SessionId, SessionRef, ShardId};
use epush_core::mail::{
    Answer, ClusterCall, ClusterCounts, Mail, MuteChange, Mutes, Question, Relayed, Report, SessionInfo,
};
use epush_core::message::{ChannelName, Publication, Target, UserName};
use epush_core::page::{ChannelCount, ChannelPage};

use super::world::World;

/// What the cluster knows of the node.
#[derive(Default)]
pub struct Cluster {
    /// Sessions signed in and not out.
    sessions: HashMap<SessionRef, UserName>,
    /// By shard: channels joined and not left, and whether the shard has its answer.
    joined: HashMap<(usize, ChannelName), bool>,
    mutes: HashMap<UserName, BTreeSet<Arc<str>>>,
    /// When the mail before reaches the shards: the relay keeps its order.
    last_us: u64,
}

impl Cluster {
    /// A `Joined` reaches its shard.
    pub fn confirm(&mut self, shard: usize, channel: &ChannelName) {
        let confirmed = self.joined.get_mut(&(shard, channel.clone())).expect("nothing is left before its answer");
        assert!(!std::mem::replace(confirmed, true), "answered once");
    }

    /// Everybody left the node.
    pub fn assert_idle(&self) {
        assert!(self.sessions.is_empty(), "signed in and never out: {:?}", self.sessions);
        assert!(self.joined.is_empty(), "joined and never left: {:?}", self.joined);
    }
}

impl World {
    /// What a shard asks of the cluster.
    pub fn call(&mut self, shard: usize, call: ClusterCall) {
        let cluster = self.cluster.as_mut().expect("only a node in a cluster asks");
        match call {
            ClusterCall::SignIn { user, session, .. } => {
                let mutes = cluster.mutes.get(&user).map(list);
                assert!(cluster.sessions.insert(session, user).is_none(), "a session signs in once");
                // Elsewhere the user may sign in too, or be kicked, a little before or after.
                let close = self.random.one_in(8);
                if close && self.random.one_in(2) {
                    self.close_far(session);
                }
                self.relay(session.shard, Mail::SignedIn { conn: session.conn, mutes });
                if close {
                    self.close_far(session);
                }
            }
            ClusterCall::SignOut { user, session } => {
                let known = cluster.sessions.remove(&session);
                assert_eq!(known, Some(user), "signed out once, and after it was signed in");
            }
            ClusterCall::Join(channel) => {
                let before = cluster.joined.insert((shard, channel.clone()), false);
                assert!(before.is_none(), "joins and leaves of {channel} alternate");
                self.relay(ShardId(shard as u16), Mail::Joined(channel));
            }
            ClusterCall::Leave(channel) => {
                let before = cluster.joined.remove(&(shard, channel.clone()));
                assert_eq!(before, Some(true), "{channel} is left when it is joined");
            }
            ClusterCall::Ask { question, report } => self.mutes_asked(question, report),
        }
    }

    fn mutes_asked(&mut self, question: Question, report: Report) {
        let cluster = self.cluster.as_mut().expect("a cluster");
        let answer = match question {
            Question::Mutes(user) => Answer::Mutes(cluster.mutes.get(&user).map(list).unwrap_or_default()),
            Question::ChangeMutes { user, change } => {
                let types = cluster.mutes.entry(user.clone()).or_default();
                match change {
                    MuteChange::Add(more) => types.extend(more),
                    MuteChange::Remove(gone) => types.retain(|kind| !gone.contains(kind)),
                    MuteChange::Replace(new) => *types = new.into_iter().collect(),
                }
                let mutes = list(types);
                for shard in 0..self.shards.len() {
                    let mail = Mail::Muted { user: user.clone(), mutes: Arc::clone(&mutes) };
                    self.relay(ShardId(shard as u16), mail);
                }
                Answer::Mutes(mutes)
            }
            other => panic!("shards answer {other:?} themselves"),
        };
        self.relay(report.shard, Mail::Answer { ticket: report.ticket, answer });
    }

    /// The other nodes' part of an answer.
    pub fn ask_far(&mut self, question: &Question, report: Report) {
        let far = self.random.below(5) as u64;
        let answer = match question {
            Question::User(_) => {
                let conn = ConnId { index: 1, generation: 1 };
                let session = SessionId { boot: 99, at: SessionRef { shard: ShardId(0), conn } };
                let remote = std::net::IpAddr::from([127, 0, 0, 1]);
                Answer::Sessions(vec![SessionInfo { node: "n2".into(), session, since_unix_ms: 1, remote }])
            }
            Question::Kick(_) => Answer::Kicked(far),
            Question::Online => {
                let cluster = Some(ClusterCounts { sessions: far, users: far, nodes: 3 });
                Answer::Online { sessions: 0, users: 0, cluster }
            }
            Question::Channels(_) => {
                let name = ChannelName::parse("far").expect("valid");
                let channels = vec![ChannelCount { name, here: 0, elsewhere: far }];
                Answer::Channels(ChannelPage { channels, more: false })
            }
            Question::Channel { channel, .. } => {
                Answer::Channel { channel: channel.clone(), subscribers: 0, elsewhere: far, users: Vec::new() }
            }
            Question::Mutes(_) | Question::ChangeMutes { .. } | Question::Counters => panic!("not of others"),
        };
        self.relay(report.shard, Mail::Answer { ticket: report.ticket, answer });
    }

    /// Other nodes push, and some of it is lost on the way.
    pub fn push_far(&mut self) {
        let mut relayed = Vec::new();
        for _ in 0..self.random.between(1, 20) {
            let draft = self.draft(usize::MAX);
            if self.random.one_in(4) {
                let stream = match draft.to {
                    Target::Users(mut users) => Stream::User(users.remove(0)),
                    Target::Channels(mut channels) => Stream::Channel(channels.remove(0)),
                    Target::All => Stream::All,
                };
                relayed.push(Relayed::Lost { stream, count: self.random.between(1, 5) as u64 });
            } else {
                relayed.push(Relayed::Publication(Arc::new(Publication::encode(&draft, self.now))));
            }
        }
        let relayed: Arc<[Relayed]> = relayed.into();
        for shard in 0..self.shards.len() {
            self.relay(ShardId(shard as u16), Mail::Relayed(Arc::clone(&relayed)));
        }
    }

    fn close_far(&mut self, session: SessionRef) {
        let reason = *self.random.pick(&[CloseReason::Replaced, CloseReason::Kicked]);
        self.relay(session.shard, Mail::Close { conn: session.conn, reason });
    }

    /// Mail from the relay, some time from now and behind all before it.
    fn relay(&mut self, shard: ShardId, mail: Mail) {
        let late_us = if self.random.one_in(10) { self.random.below(400_000) } else { self.random.below(3_000) };
        let cluster = self.cluster.as_mut().expect("a cluster");
        cluster.last_us = cluster.last_us.max(self.now.monotonic_us + late_us as u64);
        self.later.push((cluster.last_us, shard.0.into(), mail));
    }
}

fn list(types: &BTreeSet<Arc<str>>) -> Mutes {
    types.iter().cloned().collect()
}
