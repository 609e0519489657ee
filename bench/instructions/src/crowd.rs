//! A shard full of subscribers, without sockets.

use std::hint::black_box;
use std::io::IoSlice;
use std::sync::Arc;

use epush_core::effect::Effect;
use epush_core::id::{ConnId, ShardId};
use epush_core::mail::{Identity, Mail, Verdict};
use epush_core::message::{ChannelName, Publication};
use epush_core::now::Now;
use epush_core::outbox::SLICES_MAX;
use epush_core::settings::Settings;
use epush_core::shard::{Door, Shard, ShardSetup};

use crate::json::draft;

/// When everything in a crowd happens.
pub const NOW: Now = Now { monotonic_us: 1_000_000, unix_ms: 1_800_000_000_000 };

const UPGRADE: &[u8] = b"GET /msg HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// The channel that a crowd is subscribed to.
///
/// # Panics
/// Never.
#[must_use]
pub fn channel() -> ChannelName {
    ChannelName::parse("news").expect("a valid name")
}

/// A message to the crowd, with so many bytes of data.
///
/// # Panics
/// Below 10 bytes.
#[must_use]
pub fn publication(bytes: usize) -> Arc<Publication> {
    Arc::new(Publication::encode(&draft(&channel(), bytes), NOW))
}

/// Sessions of one shard that are subscribed to [`channel`], made from the same bytes that clients would send.
pub struct Crowd {
    shard: Shard,
}

impl Crowd {
    /// Makes one of so many sessions.
    ///
    /// # Panics
    /// When the shard turns one of them away.
    #[must_use]
    pub fn new(subscribers: usize) -> Self {
        let settings = Arc::new(Settings::default());
        let setup = ShardSetup { id: ShardId(0), shards: 1, boot: 1, clustered: false, node: "n1".into(), settings };
        let mut crowd = Self { shard: Shard::new(setup, NOW) };
        (0..subscribers).for_each(|_| crowd.join());
        crowd
    }

    fn join(&mut self) {
        let conn = self.shard.adopt(NOW, ([127, 0, 0, 1], 5_000).into(), Door::Client);
        self.shard.handle_bytes(NOW, conn, &mut UPGRADE.to_vec());
        let verdict = Verdict::Accept(Identity { channels: vec![channel()], ..Identity::default() });
        self.shard.handle_mail(NOW, Mail::Verdict { conn, verdict });
        self.write_all();
        self.shard.end_turn();
    }

    /// One turn of the shard in which the publication arrives so many times, to the last byte that each session's
    /// socket takes; and as many turns more as that needs.
    ///
    /// # Panics
    /// When a session is closed.
    pub fn turn(&mut self, publication: &Arc<Publication>, messages: usize) {
        for _ in 0..messages {
            self.shard.handle_mail(NOW, Mail::Publish { publication: Arc::clone(publication), report: None });
        }
        while self.shard.has_pending() || self.shard.has_writes() {
            self.shard.flush(NOW);
            self.write_all();
            self.shard.end_turn();
        }
    }

    /// Takes all output there is, as sockets that never block would; answers first, as the reactor does.
    fn write_all(&mut self) {
        while let Some(conn) = self.shard.next_urgent() {
            self.write(conn);
        }
        while let Some(conn) = self.shard.next_bulk() {
            self.write(conn);
        }
        while let Some(effect) = self.shard.poll_effect() {
            assert!(!matches!(effect, Effect::Close { .. }), "a session was closed");
        }
    }

    /// As the reactor does it: one run of bytes takes the short way.
    fn write(&mut self, conn: ConnId) {
        let bytes = match self.shard.output_alone(conn) {
            Some(bytes) => black_box(bytes).len(),
            None => self.gathered(conn),
        };
        self.shard.handle_sent(NOW, conn, bytes, false);
    }

    #[inline(never)]
    fn gathered(&self, conn: ConnId) -> usize {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let filled = self.shard.output(conn, &mut slices);
        black_box(&slices[..filled]).iter().map(|slice| slice.len()).sum()
    }
}
