//! This node's life in the cluster, the view of the others, and sweeping after the dead.
//!
//! Knows nothing of who is signed in, but whether the directory has all of it.

use std::sync::Arc;

use crossbeam_channel::Sender;
use epush_core::relay::NodeId;
use redis::Value;
use tracing::{debug, info, warn};

use super::Outward;
use super::errand::Then;
use super::schedules::random;
use super::settle::SETTLE_RENEW_MS;
use crate::relay::keys::{Incarnation, PARTITIONS};
use crate::relay::scripts::{Renewed, Verb, reply};
use crate::relay::view::{ClusterView, NodeRecord};

/// See the module.
#[derive(Debug, Default)]
pub struct Lease {
    /// Whether Redis was told of this life.
    is_enrolled: bool,
    /// Whether Redis confirmed this life since the link stands.
    is_confirmed: bool,
    /// When to renew.
    due_us: u64,
    /// Whether the last record sent said that the directory is complete.
    told_synced: bool,
    /// When Redis last answered, by this node's clock and by its own; 0: never.
    ///
    /// The former is when it was asked: what is reckoned from both is at most as much ahead of Redis's clock as the answer took.
    renewed_us: u64,
    renewed_unix_ms: u64,
    /// When Redis was asked last.
    asked_us: u64,
    /// Every living node as of then.
    nodes: Vec<(Incarnation, NodeRecord)>,
    /// Distinct users of each partition as of then.
    users: Vec<u64>,
    /// As counted with the renewal under way.
    counted: Vec<u64>,
    /// Partitions that cannot be empty by then.
    expected: Vec<u8>,
    /// The mark of each partition, as last seen; 0: never. Asked where a master may lose its memory while others keep theirs.
    marks: Vec<u64>,
    /// Whether a partition has another mark than before.
    is_mark_new: bool,
    /// Whether this renewal is the first since the link stands, of a life that had another before.
    is_return: bool,
    /// Whether Redis may lack the last of what it knew, and this node's next life is to find the others' as well.
    is_behind: bool,
    /// The dead that this node sweeps.
    sweeps: Vec<Sweep>,
    /// Who waits until the others can see what the next renewal says.
    waiting: Vec<Sender<()>>,
}

/// The dead, and the partitions where they may have left something.
#[derive(Debug)]
struct Sweep {
    dead: Incarnation,
    left: Vec<u8>,
}

/// The lease is renewed so often in its time: several renewals may be lost or late.
const RENEWALS: u64 = 10;

/// The longest pause between two renewals, in ms: the others see this node's counts as of the last.
const RENEW_MS_MAX: u64 = 1_000;

/// Tenths of the lease after which a record that was not renewed is a dead one's; the rest is for finding out and for sweeping.
const DEAD_AFTER_TENTHS: u64 = 6;

/// For how long the dead are this node's to sweep: then others take over.
const CLAIM_MS: u64 = 5_000;

/// Users swept by one call: a script of some ms, during which Redis does nothing else.
pub const SWEPT_AT_ONCE: usize = 200;

/// Partitions swept with one pipeline: everything else is to go on meanwhile.
const SWEEPS_AT_ONCE: usize = 8;

impl Lease {
    pub const fn is_confirmed(&self) -> bool {
        self.is_confirmed
    }

    /// When to renew.
    pub const fn due_us(&self) -> u64 {
        self.due_us
    }

    /// Renew with the next pipeline.
    pub const fn hasten(&mut self) {
        self.due_us = 0;
    }

    /// Drops this when the others can see what the next renewal says, or the link is gone.
    pub fn tell(&mut self, told: Sender<()>) {
        self.waiting.push(told);
    }

    /// The link is gone: nobody knows what became of this life, and of what was swept.
    pub fn doubt(&mut self) {
        self.is_confirmed = false;
        self.sweeps.clear();
        self.waiting.clear();
    }

    /// Whether there is something left to sweep.
    pub fn is_sweeping(&self) -> bool {
        !self.sweeps.is_empty()
    }

    /// Redis's clock; none: it never answered.
    pub fn redis_unix_ms(&self, now_us: u64) -> Option<u64> {
        (self.renewed_unix_ms > 0).then(|| self.renewed_unix_ms + now_us.saturating_sub(self.renewed_us) / 1_000)
    }

    /// Redis is another server, or went back in time.
    pub const fn note_behind(&mut self) {
        self.is_behind = true;
    }

    /// Who lived besides this node.
    pub fn others(&self, me: NodeId) -> Vec<Incarnation> {
        self.nodes.iter().map(|(life, _)| *life).filter(|life| life.boot != me).collect()
    }

    /// Whether Redis knows nobody any more that lived when it last answered: it has lost its memory. The others may have found
    /// out before, and be there again.
    fn is_forgotten(&self, renewed: &Renewed) -> bool {
        let is_known = |life: &Incarnation| self.nodes.iter().any(|(known, _)| known == life);
        !self.nodes.is_empty() && (renewed.was_empty || !renewed.nodes.iter().any(|(life, _)| is_known(life)))
    }

    /// Whether the node has begun another life since this one, and says that the directory has all its sessions.
    pub fn is_back(&self, old: Incarnation) -> bool {
        let is_back = |(life, record): &(Incarnation, NodeRecord)| {
            life.boot == old.boot && life.count > old.count && record.synced
        };
        self.nodes.iter().any(is_back)
    }

    /// What the others call the node.
    pub fn name(&self, node: NodeId) -> Arc<str> {
        let known = self.nodes.iter().find(|(life, _)| life.boot == node);
        known.map_or_else(|| format!("{node:x}").into(), |(_, record)| record.name.as_str().into())
    }
}

impl Outward {
    /// Renews the lease, and asks what is asked once a second.
    pub(super) fn renew_when_due(&mut self) {
        let now_us = self.now_us();
        let became_synced = !self.lease.told_synced && self.is_up() && self.directory.is_clean();
        if now_us < self.lease.due_us && !became_synced {
            return;
        }
        let renew_ms = (self.setup.lease_ms / RENEWALS).min(RENEW_MS_MAX);
        let pause_ms = if self.settling.is_some() { renew_ms.min(SETTLE_RENEW_MS) } else { renew_ms };
        self.lease.due_us = now_us + pause_ms.max(1) * 1_000;
        self.directory.retry_refused();
        self.queue.announce_refused();
        self.queue.prune(now_us / 1_000);
        self.ask_lease();
    }

    fn ask_lease(&mut self) {
        let record = &mut self.setup.record;
        record.connections = self.setup.gauges.sessions() as u64;
        record.users = self.setup.gauges.users() as u64;
        record.synced = self.directory.is_clean();
        self.lease.told_synced = record.synced;
        self.lease.asked_us = self.setup.clock.monotonic_us();
        let dead_after_ms = self.setup.lease_ms * DEAD_AFTER_TENTHS / 10;
        let (call, then) = if self.lease.is_enrolled {
            (self.calls.renew(&self.setup.record, dead_after_ms, CLAIM_MS), Then::Renewed)
        } else {
            (self.calls.enroll(&self.setup.record, dead_after_ms, CLAIM_MS), Then::Enrolled)
        };
        self.send(call, then);
        self.lease.is_return = self.lease.is_enrolled && !self.lease.is_confirmed;
        self.lease.counted = vec![0; usize::from(PARTITIONS)];
        // Now, not when it is answered: behind the counts come calls that are not counted.
        self.lease.expected = (0..PARTITIONS).filter(|partition| self.directory.must_have(*partition)).collect();
        for partition in 0..PARTITIONS {
            self.send(self.calls.online(partition), Then::Counted { partition });
        }
        if self.calls.verb == Verb::Spublish && !self.lease.is_confirmed {
            let ours = random();
            for partition in 0..PARTITIONS {
                self.send(self.calls.mark(partition, ours), Then::Marked { partition, ours });
            }
        }
        self.send(self.calls.schedules_version(), Then::Versioned);
    }

    /// A renewal was answered.
    pub(super) fn renewed(&mut self, reply: &Value) {
        let renewed = match Renewed::read(reply) {
            Ok(renewed) => renewed,
            Err(error) => return self.lose_link(&error.to_string()),
        };
        match renewed.seen_unix_ms {
            None => self.begin_life(),
            Some(seen) if seen < self.lease.renewed_unix_ms => {
                warn!(by_ms = self.lease.renewed_unix_ms - seen, "Redis went back in time");
                self.lease.note_behind();
                self.begin_life();
            }
            Some(_) => self.note_lease(renewed),
        }
    }

    /// A new life was answered.
    pub(super) fn enrolled(&mut self, reply: &Value) {
        match Renewed::read(reply) {
            Ok(renewed) => {
                let is_forgotten = self.lease.is_forgotten(&renewed) || std::mem::take(&mut self.lease.is_behind);
                let others = self.lease.others(self.setup.boot);
                self.lease.is_enrolled = true;
                self.note_lease(renewed);
                if is_forgotten {
                    self.begin_settling(Some(others));
                }
            }
            Err(error) => self.lose_link(&error.to_string()),
        }
    }

    fn note_lease(&mut self, renewed: Renewed) {
        self.lease.is_confirmed = true;
        self.lease.waiting.clear();
        self.lease.renewed_us = self.lease.asked_us;
        self.lease.renewed_unix_ms = renewed.now_unix_ms;
        self.lease.nodes = latest_lives(renewed.nodes);
        for dead in renewed.claimed {
            if !self.lease.sweeps.iter().any(|sweep| sweep.dead == dead) {
                info!(node = %dead, "sweeping after a dead node");
                self.lease.sweeps.push(Sweep { dead, left: (0..PARTITIONS).rev().collect() });
            }
        }
        self.stand();
    }

    /// Whatever Redis has of this node's sessions may go: they are written anew, as another life's.
    pub(super) fn begin_life(&mut self) {
        if self.lease.is_enrolled {
            self.calls.me.count += 1;
            self.lease.is_enrolled = false;
            // Messages wait until it is known whether the others have to begin anew, too.
            self.lease.is_confirmed = false;
            debug!(life = %self.calls.me, "a new life in the directory");
        }
        self.directory.doubt_everything();
        self.lease.hasten();
    }

    /// A partition's users were counted.
    pub(super) fn counted(&mut self, partition: u8, reply: &Value) {
        self.lease.counted[usize::from(partition)] = reply::count(reply).unwrap_or(0);
    }

    /// A partition's mark was looked at.
    pub(super) fn marked(&mut self, partition: u8, ours: u64, reply: &Value) {
        let Ok(found) = reply::count(reply) else { return };
        let mark = if found == 0 { ours } else { found };
        self.lease.marks.resize(usize::from(PARTITIONS), 0);
        let known = std::mem::replace(&mut self.lease.marks[usize::from(partition)], mark);
        self.lease.is_mark_new |= known != 0 && known != mark;
    }

    /// Whether partitions of the directory are empty that cannot be: a master of a Redis Cluster has lost its memory, and not the
    /// one that has the leases. Where there is one master only its leases tell.
    fn lost_partitions(&self) -> bool {
        let is_lost = |partition: u8| {
            let counts = |counts: &Vec<u64>| counts.get(usize::from(partition)).copied().unwrap_or(0);
            let emptied = self.lease.is_return && counts(&self.lease.users) > 0;
            counts(&self.lease.counted) == 0 && (emptied || self.lease.expected.contains(&partition))
        };
        self.calls.verb == Verb::Spublish && (0..PARTITIONS).any(is_lost)
    }

    /// Everything that is asked with a renewal was answered.
    pub(super) fn versioned(&mut self, reply: &Value) {
        if self.lease.is_confirmed {
            if std::mem::take(&mut self.lease.is_mark_new) || self.lost_partitions() {
                self.directory.doubt_everything();
                // Where all have begun anew it is known whom to wait for.
                if self.settling.is_none() {
                    self.begin_settling(None);
                }
            }
            self.lease.users.clone_from(&self.lease.counted);
            self.show_view();
        }
        if let Ok(version) = reply::count(reply) {
            self.note_schedules_version(version);
        }
    }

    /// Lets everybody see the cluster as it is known here.
    pub(super) fn show_view(&self) {
        let mut nodes: Vec<NodeRecord> = self.lease.nodes.iter().map(|(_, record)| record.clone()).collect();
        nodes.sort_by(|one, other| (&one.name, &one.boot).cmp(&(&other.name, &other.boot)));
        let now = self.setup.clock.now();
        let offset = self.lease.redis_unix_ms(now.monotonic_us).map_or(0, |redis| redis as i64 - now.unix_ms as i64);
        self.setup.view.store(Arc::new(ClusterView {
            nodes,
            users: self.lease.users.iter().sum(),
            is_up: self.is_up(),
            clock_offset_ms: offset,
            renewed_us: self.lease.renewed_us,
            redis_unix_ms: self.lease.renewed_unix_ms,
        }));
    }

    /// Sweeps after the dead, some at a time.
    pub(super) fn sweep_some(&mut self) {
        if !self.is_up() {
            return;
        }
        let Some(sweep) = self.lease.sweeps.first() else { return };
        let dead = sweep.dead;
        if sweep.left.is_empty() {
            self.lease.sweeps.remove(0);
            self.send(self.calls.bury(dead), Then::Nothing);
            return;
        }
        let partitions: Vec<u8> = sweep.left.iter().rev().take(SWEEPS_AT_ONCE).copied().collect();
        for partition in partitions {
            self.send(self.calls.sweep(partition, dead, SWEPT_AT_ONCE), Then::Swept { dead, partition });
        }
    }

    /// Some users were swept. Refused: the rest is left to whoever claims it next.
    pub(super) fn swept(&mut self, dead: Incarnation, partition: u8, reply: &Value) {
        let Some(at) = self.lease.sweeps.iter().position(|sweep| sweep.dead == dead) else { return };
        match reply::count(reply) {
            Ok(0) => self.lease.sweeps[at].left.retain(|left| *left != partition),
            Ok(_) => {}
            Err(error) => {
                self.lease.sweeps.remove(at);
                self.complain("cannot sweep after a dead node", &error);
            }
        }
    }
}

/// Of each node its latest life: one before it may still have a lease for a while.
fn latest_lives(mut nodes: Vec<(Incarnation, NodeRecord)>) -> Vec<(Incarnation, NodeRecord)> {
    nodes.sort_by_key(|(life, _)| *life);
    let mut latest: Vec<(Incarnation, NodeRecord)> = Vec::with_capacity(nodes.len());
    for (life, record) in nodes {
        match latest.last_mut() {
            Some(last) if last.0.boot == life.boot => *last = (life, record),
            _ => latest.push((life, record)),
        }
    }
    latest
}
