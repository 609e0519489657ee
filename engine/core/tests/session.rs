//! One session on one shard, by hand: what the application sees of it, and how long it may be silent.

use std::io::IoSlice;
use std::net::SocketAddr;
use std::sync::Arc;

use epush_core::effect::Effect;
use epush_core::id::{ConnId, ShardId};
use epush_core::mail::{Identity, Mail, Verdict};
use epush_core::message::UserName;
use epush_core::now::Now;
use epush_core::outbox::SLICES_MAX;
use epush_core::settings::Settings;
use epush_core::shard::{Door, Shard, ShardSetup};
use serde_json::value::RawValue;

struct World {
    shard: Shard,
    conn: ConnId,
    now: Now,
}

const UPGRADE: &str = "GET /msg HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A masked frame, with a mask of zeros.
fn frame(first: u8, payload: &str) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("short").min(125) | 0x80;
    [&[first, length, 0, 0, 0, 0], payload.as_bytes()].concat()
}

fn ask(id: u32) -> Vec<u8> {
    frame(0x81, &format!(r#"{{"op":"ask","id":{id},"type":"t"}}"#))
}

impl World {
    /// A client that sent this and waits to be let in.
    fn begin(bytes: &[u8]) -> Self {
        let now = Now { monotonic_us: 5_000_000, unix_ms: 1_800_000_000_000 };
        let settings = Arc::new(Settings::default());
        let mut shard = Shard::new(
            ShardSetup { id: ShardId(0), shards: 1, boot: 7, clustered: false, node: "n1".into(), settings },
            now,
        );
        let peer: SocketAddr = "192.0.2.1:5000".parse().expect("an address");
        let conn = shard.adopt(now, peer, Door::Client);
        let mut world = Self { shard, conn, now };
        world.send(bytes);
        assert!(matches!(world.shard.poll_effect(), Some(Effect::Handshake(_))));
        world
    }

    fn send(&mut self, bytes: &[u8]) {
        self.shard.handle_bytes(self.now, self.conn, &mut bytes.to_vec());
    }

    fn let_in(&mut self) {
        let attributes = RawValue::from_string(r#"{"plan":1}"#.into()).ok();
        let identity = Identity { user: UserName::parse("42"), attributes, ..Identity::default() };
        let mail = Mail::Verdict { conn: self.conn, verdict: Verdict::Accept(identity) };
        self.shard.handle_mail(self.now, mail);
    }

    /// The user and attributes of the session, as a handler sees them now.
    fn seen(&self) -> (Option<String>, Option<String>) {
        let view = self.shard.view(self.conn).expect("its slot is not free yet");
        (view.user.map(ToString::to_string), view.attributes.map(|raw| raw.get().to_owned()))
    }

    fn pass_ms(&mut self, ms: u64) {
        self.now.monotonic_us += ms * 1_000;
        self.now.unix_ms += ms;
        self.shard.handle_time(self.now);
        self.write();
    }

    /// The socket takes everything.
    fn write(&mut self) {
        while let Some(conn) = self.shard.next_urgent() {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let filled = self.shard.output(conn, &mut slices);
            let bytes = slices[..filled].iter().map(|slice| slice.len()).sum();
            self.shard.handle_sent(self.now, conn, bytes, false);
        }
        self.shard.end_turn();
    }
}

fn known() -> (Option<String>, Option<String>) {
    (Some("42".into()), Some(r#"{"plan":1}"#.into()))
}

#[test]
fn who_asks_and_closes_in_one_breath_is_still_seen_as_who_asked() {
    let mut world = World::begin(UPGRADE.as_bytes());
    world.let_in();
    while world.shard.poll_effect().is_some() {}
    world.send(&[ask(1), frame(0x88, "")].concat());
    assert!(matches!(world.shard.poll_effect(), Some(Effect::Ask { .. })));
    assert_eq!(world.seen(), known());
    assert!(matches!(world.shard.poll_effect(), Some(Effect::Closed { .. })));
    while world.shard.poll_effect().is_some() {}
    assert_eq!(world.seen(), (None, None), "it has departed");
}

#[test]
fn who_closes_before_it_is_open_is_opened_and_closed_as_the_same_user() {
    let mut world = World::begin(&[UPGRADE.as_bytes(), &frame(0x88, "")].concat());
    world.let_in();
    assert!(matches!(world.shard.poll_effect(), Some(Effect::Opened(_))));
    assert_eq!(world.seen(), known());
    let Some(Effect::Closed { user, .. }) = world.shard.poll_effect() else { panic!("expected its end") };
    assert_eq!(user, UserName::parse("42"));
}

#[test]
fn a_session_whose_questions_wait_for_the_application_is_not_taken_for_silent() {
    let mut world = World::begin(UPGRADE.as_bytes());
    world.let_in();
    (0..64).for_each(|id| world.send(&ask(id)));
    while world.shard.poll_effect().is_some() {}
    assert!(!world.shard.wants_read(world.conn), "64 are enough");
    for _ in 0..200 {
        world.pass_ms(1_000);
        assert_eq!(world.shard.gauges().sessions, 1, "the pong that is not read is not missed");
    }
}
