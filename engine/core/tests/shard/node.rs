//! One shard without a reactor around it: bytes, mail and time by hand.

// Each test binary uses a part of this.
#![allow(dead_code)]

use std::io::IoSlice;
use std::sync::Arc;

use epush_core::effect::Effect;
use epush_core::id::{ConnId, ShardId};
use epush_core::mail::{ClusterCall, Identity, Mail, Relayed, Verdict};
use epush_core::message::{ChannelName, Draft, Publication, Target, UserName};
use epush_core::now::Now;
use epush_core::outbox::SLICES_MAX;
use epush_core::settings::Settings;
use epush_core::shard::{Door, Shard, ShardSetup};
use serde_json::value::RawValue;

pub const UPGRADE: &[u8] = b"GET /msg HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

pub struct Node {
    pub shard: Shard,
    pub now: Now,
    pub effects: Vec<Effect>,
}

impl Node {
    pub fn new(change: impl FnOnce(&mut Settings)) -> Self {
        Self::build(false, change)
    }

    /// A node in a cluster.
    pub fn clustered(change: impl FnOnce(&mut Settings)) -> Self {
        Self::build(true, change)
    }

    fn build(clustered: bool, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings { hello: true, ..Settings::default() };
        change(&mut settings);
        let now = Now { monotonic_us: 1_000_000, unix_ms: 1_000_000 };
        let (id, node, settings) = (ShardId(0), "n1".into(), Arc::new(settings));
        let shard = Shard::new(ShardSetup { id, shards: 1, boot: 1, clustered, node, settings }, now);
        Self { shard, now, effects: Vec::new() }
    }

    pub fn adopt(&mut self, door: Door) -> ConnId {
        self.shard.adopt(self.now, ([127, 0, 0, 1], 9).into(), door)
    }

    /// An open session, subscribed to these channels; its first frames were written.
    pub fn session(&mut self, channels: &[&str], must_sign_in: bool) -> ConnId {
        let conn = self.adopt(Door::Client);
        self.receive(conn, UPGRADE);
        let channels = channels.iter().filter_map(|name| ChannelName::parse(name)).collect();
        let verdict = Verdict::Accept(Identity { channels, must_sign_in, ..Identity::default() });
        self.mail(Mail::Verdict { conn, verdict });
        self.write_all();
        conn
    }

    pub fn mail(&mut self, mail: Mail) {
        self.shard.handle_mail(self.now, mail);
        self.collect();
    }

    pub fn receive(&mut self, conn: ConnId, bytes: &[u8]) {
        self.shard.handle_bytes(self.now, conn, &mut bytes.to_vec());
        self.collect();
    }

    pub fn collect(&mut self) {
        self.effects.extend(std::iter::from_fn(|| self.shard.poll_effect()));
        self.shard.assert_invariants();
    }

    pub fn pass(&mut self, ms: u64) {
        self.now.monotonic_us += ms * 1_000;
        self.now.unix_ms += ms;
        self.shard.handle_time(self.now);
        self.collect();
    }

    /// Publishes "hello"; the one encoding of it.
    pub fn publish(&mut self, to: Target) -> Arc<Publication> {
        let data = RawValue::from_string("\"hello\"".into()).expect("JSON");
        let publication = Arc::new(Publication::encode(&Draft::new(to, data), self.now));
        self.mail(Mail::Publish { publication: Arc::clone(&publication), report: None });
        publication
    }

    /// From another node: "hello" to this target.
    pub fn relayed(&self, to: Target) -> Relayed {
        let data = RawValue::from_string("\"hello\"".into()).expect("JSON");
        Relayed::Publication(Arc::new(Publication::encode(&Draft::new(to, data), self.now)))
    }

    /// A client of this user, whose handshake was accepted; its home was told.
    pub fn signing_in(&mut self, user: &str) -> ConnId {
        let conn = self.adopt(Door::Client);
        self.receive(conn, UPGRADE);
        let identity = Identity { user: UserName::parse(user), ..Identity::default() };
        self.mail(Mail::Verdict { conn, verdict: Verdict::Accept(identity) });
        conn
    }

    /// What the shard has asked of the cluster since the last call.
    pub fn calls(&mut self) -> Vec<ClusterCall> {
        let calls = |effect| if let Effect::Cluster(call) = effect { Some(call) } else { None };
        self.effects.drain(..).filter_map(calls).collect()
    }

    /// The next connection to write, and what its socket took of it.
    pub fn write(&mut self, most: usize) -> Option<(ConnId, String)> {
        let conn = self.shard.next_urgent().or_else(|| self.shard.next_bulk())?;
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let filled = self.shard.output(conn, &mut slices);
        let bytes: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.iter().copied()).collect();
        let taken = most.min(bytes.len());
        self.shard.handle_sent(self.now, conn, taken, taken < bytes.len());
        self.collect();
        Some((conn, String::from_utf8_lossy(&bytes[..taken]).into_owned()))
    }

    pub fn write_all(&mut self) -> String {
        std::iter::from_fn(|| self.write(usize::MAX)).map(|(_, text)| text).collect()
    }

    pub fn count(&self, of: fn(&Effect) -> bool) -> usize {
        self.effects.iter().filter(|effect| of(effect)).count()
    }
}

/// A masked frame; the mask is all zeros.
pub fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    assert!(payload.len() < 126);
    [&[0x80 | opcode, 0x80 | payload.len() as u8, 0, 0, 0, 0], payload].concat()
}

pub fn text(command: &str) -> Vec<u8> {
    frame(1, command.as_bytes())
}

pub fn news() -> Target {
    Target::Channels(vec![ChannelName::parse("news").expect("valid")])
}
