//! A node of several shards, wired as the engine wires them, and everybody who is connected to it.

use std::collections::{HashMap, VecDeque};
use std::io::IoSlice;
use std::net::SocketAddr;
use std::sync::Arc;

use epush_core::effect::Asker;
use epush_core::id::{ConnId, ShardId};
use epush_core::mail::{Answer, Mail, Question, Relayed, Report};
use epush_core::message::{Draft, Publication};
use epush_core::now::Now;
use epush_core::outbox::SLICES_MAX;
use epush_core::settings::Settings;
use epush_core::shard::{Door, End, Shard, ShardSetup};
use serde_json::Value;

use super::cluster::Cluster;
use super::ledger::Ledger;
use super::link::Link;
use super::peer::Peer;
use super::random::Random;

pub struct World {
    pub random: Random,
    pub now: Now,
    pub shards: Vec<Shard>,
    pub settings: Arc<Settings>,
    /// By shard.
    pub mail: Vec<VecDeque<Mail>>,
    /// Mail that the application or the network still holds: when, for which shard, what.
    pub later: Vec<(u64, usize, Mail)>,
    pub links: Vec<Link>,
    pub by_conn: HashMap<(usize, ConnId), usize>,
    /// Names of connections that are gone.
    pub stale: Vec<(usize, ConnId)>,
    pub ledger: Ledger,
    /// The other nodes; none: this one is alone.
    pub cluster: Option<Cluster>,
    /// What API requests wait for, by tag: their connection and number.
    pub api_asked: HashMap<u64, (usize, ConnId, u64)>,
    pub opened: u64,
    pub ended: u64,
}

impl World {
    pub fn new(mut random: Random, settings: Settings, clustered: bool) -> Self {
        let settings = Arc::new(settings);
        let count = random.between(1, 3);
        let now = Now { monotonic_us: 5_000_000, unix_ms: 1_800_000_000_000 };
        let shard = |number: usize| {
            let id = ShardId(number as u16);
            let (shards, node) = (count as u16, "n1".into());
            Shard::new(ShardSetup { id, shards, boot: 7, clustered, node, settings: Arc::clone(&settings) }, now)
        };
        Self {
            now,
            shards: (0..count).map(shard).collect(),
            mail: (0..count).map(|_| VecDeque::new()).collect(),
            settings,
            random,
            later: Vec::new(),
            links: Vec::new(),
            by_conn: HashMap::new(),
            stale: Vec::new(),
            ledger: Ledger::default(),
            cluster: clustered.then(Cluster::default),
            api_asked: HashMap::new(),
            opened: 0,
            ended: 0,
        }
    }

    pub fn pass(&mut self, us: u64) {
        self.now.monotonic_us += us;
        self.now.unix_ms = 1_800_000_000_000 + self.now.monotonic_us / 1_000;
    }

    pub fn connect(&mut self, shard: usize, door: Door, peer: Peer, capacity: usize, pace: usize) -> usize {
        let address: SocketAddr = "10.0.0.9:5000".parse().expect("an address");
        let conn = self.shards[shard].adopt(self.now, address, door);
        let number = self.links.len();
        self.links.push(Link::new(shard, conn, peer, capacity, pace));
        assert!(self.by_conn.insert((shard, conn), number).is_none(), "names are used once");
        self.effects(shard);
        number
    }

    /// The mail whose time has come goes into the mailboxes.
    pub fn post(&mut self) {
        let due: Vec<_> = self.later.extract_if(.., |(at, ..)| *at <= self.now.monotonic_us).collect();
        for (_, shard, mail) in due {
            self.mail[shard].push_back(mail);
        }
    }

    /// One turn of a reactor, phase by phase.
    pub fn turn(&mut self, shard: usize) {
        self.events(shard);
        let budget = self.random.between(1, 40);
        for _ in 0..budget {
            let Some(mail) = self.mail[shard].pop_front() else { break };
            self.deliver(shard, mail);
        }
        self.reads(shard);
        if self.shards[shard].next_deadline_us().is_some_and(|us| us <= self.now.monotonic_us) {
            self.shards[shard].handle_time(self.now);
            self.effects(shard);
        }
        self.shards[shard].flush(self.now);
        self.effects(shard);
        if !self.shards[shard].has_pending() && !self.shards[shard].has_windows() {
            self.ledger.flushed(shard);
        }
        self.writes(shard);
        self.shards[shard].end_turn();
        self.shards[shard].assert_invariants();
    }

    /// What `poll` says: sockets that take bytes again.
    fn events(&mut self, shard: usize) {
        for number in 0..self.links.len() {
            let link = &mut self.links[number];
            let room = link.inbox.len() <= link.capacity / 2;
            if link.shard == shard && link.blocked && room && !link.closed {
                link.blocked = false;
                let conn = link.conn;
                self.shards[shard].handle_writable(self.now, conn);
                self.effects(shard);
            }
        }
    }

    fn reads(&mut self, shard: usize) {
        for number in 0..self.links.len() {
            if self.links[number].shard == shard {
                self.read(shard, number);
            }
        }
    }

    fn read(&mut self, shard: usize, number: usize) {
        for _ in 0..self.random.between(1, 4) {
            let link = &mut self.links[number];
            if link.closed || link.end_told {
                return;
            }
            if link.end == Some(End::Reset) {
                link.end_told = true;
                let conn = link.conn;
                self.shards[shard].handle_end(self.now, conn, End::Reset);
                return self.effects(shard);
            }
            if !link.ready {
                return;
            }
            if !self.shards[shard].wants_read(link.conn) {
                (link.ready, link.parked) = (false, true);
                return;
            }
            let conn = link.conn;
            if link.arrived.is_empty() {
                link.ready = false;
                if link.end == Some(End::Eof) && link.outgoing.is_empty() {
                    link.end_told = true;
                    self.shards[shard].handle_end(self.now, conn, End::Eof);
                    self.effects(shard);
                }
                return;
            }
            let most = *self.random.pick(&[1, 7, 100, 4_096]);
            let count = most.min(self.links[number].arrived.len());
            let mut bytes: Vec<u8> = self.links[number].arrived.drain(..count).collect();
            self.shards[shard].handle_bytes(self.now, conn, &mut bytes);
            self.effects(shard);
        }
    }

    fn writes(&mut self, shard: usize) {
        while let Some(conn) = self.shards[shard].next_urgent() {
            self.write(shard, conn);
        }
        for _ in 0..self.random.between(1, 12) {
            let Some(conn) = self.shards[shard].next_bulk() else { break };
            self.write(shard, conn);
        }
    }

    fn write(&mut self, shard: usize, conn: ConnId) {
        let link = &mut self.links[self.by_conn[&(shard, conn)]];
        assert!(!link.closed && !link.blocked && !link.shut, "a write that cannot go out");
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let filled = self.shards[shard].output(conn, &mut slices);
        let offered: usize = slices[..filled].iter().map(|slice| slice.len()).sum();
        assert!(offered > 0, "something waits");
        let room = link.capacity.saturating_sub(link.inbox.len());
        let taken = room.min(offered);
        link.inbox.extend(slices[..filled].iter().flat_map(|slice| slice.iter()).take(taken));
        if link.end == Some(End::Reset) {
            link.inbox.clear();
        }
        link.blocked = taken < offered;
        let blocked = link.blocked;
        self.shards[shard].handle_sent(self.now, conn, taken, blocked);
        self.effects(shard);
    }

    /// One mail into its shard.
    pub fn deliver(&mut self, shard: usize, mail: Mail) {
        match &mail {
            Mail::Publish { publication, .. } => self.take_in(shard, publication),
            Mail::Relayed(relayed) => {
                for one in relayed.iter() {
                    match one {
                        Relayed::Publication(publication) => self.take_in(shard, publication),
                        Relayed::Lost { stream, count } => self.ledger.take_loss(shard, stream, *count),
                    }
                }
            }
            Mail::Joined(channel) => self.cluster.as_mut().expect("a cluster").confirm(shard, channel),
            _ => {}
        }
        self.shards[shard].handle_mail(self.now, mail);
        self.effects(shard);
    }

    fn take_in(&mut self, shard: usize, publication: &Publication) {
        let (number, publisher) = signature(publication);
        self.ledger.take_in(shard, publication, number, &publisher);
    }

    /// The broker: encode once, to every shard, the own one directly.
    pub fn publish(&mut self, shard: usize, draft: &Draft, asker: Asker) {
        let publication = Arc::new(Publication::encode(draft, self.now));
        // One part more says whether the cluster took it.
        let crosses = self.cluster.is_some();
        let report = self.ticket(shard, asker, usize::from(crosses));
        for other in (0..self.shards.len()).filter(|other| *other != shard) {
            self.mail[other].push_back(Mail::Publish { publication: Arc::clone(&publication), report });
        }
        self.deliver(shard, Mail::Publish { publication, report });
        if let Some(Report { ticket, .. }) = report.filter(|_| crosses) {
            let answer = Answer::Delivered { sessions: 0, relayed: self.random.one_in(2) };
            self.deliver(shard, Mail::Answer { ticket, answer });
        }
    }

    pub fn ask_all(&mut self, shard: usize, question: &Question, asker: Asker) {
        let others = self.cluster.is_some() && !matches!(question, Question::Counters);
        let report = self.ticket(shard, asker, usize::from(others)).expect("somebody asks");
        if others {
            self.ask_far(question, report);
        }
        for other in (0..self.shards.len()).filter(|other| *other != shard) {
            self.mail[other].push_back(Mail::Ask { question: question.clone(), report });
        }
        self.deliver(shard, Mail::Ask { question: question.clone(), report });
    }

    fn ticket(&mut self, shard: usize, asker: Asker, others: usize) -> Option<Report> {
        let counted = asker != Asker::Nobody;
        let parts = self.shards.len() + others;
        let ticket = self.shards[shard].expect(asker, parts);
        counted.then_some(Report { shard: ShardId(shard as u16), ticket })
    }

    /// Moves bytes between clients and the node, and lets the clients read.
    pub fn network(&mut self, all: bool) {
        for number in 0..self.links.len() {
            let link = &mut self.links[number];
            let most = if all { usize::MAX } else { *self.random.pick(&[1, 20, 300, 10_000]) };
            link.carry(most);
            let pace = if all { usize::MAX } else { link.pace };
            let count = pace.min(link.inbox.len());
            let bytes: Vec<u8> = link.inbox.drain(..count).collect();
            if !bytes.is_empty() {
                let answer = link.peer.receive(&bytes, &mut self.random, &mut self.ledger);
                if link.end.is_none() {
                    link.outgoing.extend(answer);
                }
            }
            // The node said all it had to: a client that saw it hangs up.
            let link = &mut self.links[number];
            if (link.shut || link.closed) && link.inbox.is_empty() && !link.over {
                link.over = true;
                link.end.get_or_insert(End::Eof);
            }
        }
    }

    /// Whether nothing moves on its own any more, but for time.
    pub fn is_quiet(&self) -> bool {
        self.later.is_empty()
            && self.mail.iter().all(VecDeque::is_empty)
            && self.shards.iter().all(|shard| !shard.has_writes() && !shard.has_pending() && !shard.has_windows())
            && self.links.iter().all(Link::is_quiet)
    }
}

/// The number and the publisher that every message of the simulation carries.
fn signature(publication: &Publication) -> (u64, String) {
    let frame = publication.frames.first().expect("a frame");
    let start = frame.windows(5).position(|five| five == br#"{"op""#).expect("JSON");
    let value: Value = serde_json::from_slice(&frame[start..]).expect("JSON");
    let data = &value["data"];
    (data["n"].as_u64().expect("a number"), data["p"].as_str().expect("a publisher").to_owned())
}
