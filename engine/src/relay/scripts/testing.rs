//! A Redis with the scripts, and one connection to it, for this room's tests.

use std::io::{BufReader, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;

use epush_core::close::CloseReason;
use epush_core::id::{ConnId, SessionId, SessionRef, ShardId};
use epush_core::message::UserName;
use epush_core::relay::{Body, Envelope, NodeId};
use redis::{Cmd, Parser, Value};

use super::directory::Entry;
use super::{Call, Calls, Verb, load_all, reply};
use crate::relay::keys::{Incarnation, Keys};
use crate::relay::testing::{PATIENCE, RedisServer};
use crate::relay::view::NodeRecord;

pub struct Redis {
    server: RedisServer,
    verb: Verb,
    line: Line,
}

/// A connection.
pub struct Line {
    stream: BufReader<TcpStream>,
    parser: Parser,
}

impl Redis {
    /// Alone, with the scripts loaded.
    pub fn start() -> Self {
        Self::over(RedisServer::start(), Verb::Publish)
    }

    /// A Redis Cluster of one, which owns every slot and refuses what touches two.
    pub fn start_cluster() -> Self {
        let server = RedisServer::start_with(&["--cluster-enabled", "yes", "--cluster-port", "0"]);
        Self::over(server, Verb::Spublish)
    }

    fn over(server: RedisServer, verb: Verb) -> Self {
        let line = Line::open(&server);
        let mut redis = Self { server, verb, line };
        if verb == Verb::Spublish {
            redis.command(redis::cmd("CLUSTER").arg("ADDSLOTSRANGE").arg(0).arg(16_383));
            // It takes its slots two seconds after its start; the server does the waiting.
            let deadline = Instant::now() + PATIENCE;
            while !redis.says(redis::cmd("CLUSTER").arg("INFO"), "cluster_state:ok") {
                assert!(Instant::now() < deadline, "the cluster does not become one");
                redis.command(redis::cmd("WAIT").arg(1).arg(50));
            }
        }
        redis.load();
        redis
    }

    pub fn load(&mut self) {
        let (packed, replies) = load_all();
        self.line.send(&packed);
        for _ in 0..replies {
            let hash = self.line.receive();
            assert!(matches!(hash, Value::BulkString(_)), "{hash:?}");
        }
    }

    /// The calls of a node in its first life.
    pub fn calls(&self, boot: NodeId) -> Calls {
        Calls { keys: Keys::new("p"), me: Incarnation { boot, count: 0 }, verb: self.verb }
    }

    pub fn run(&mut self, call: &Call) -> Value {
        self.line.run(call)
    }

    pub fn command(&mut self, command: &Cmd) -> Value {
        self.line.send(&command.get_packed_command());
        self.line.receive()
    }

    fn says(&mut self, command: &Cmd, words: &str) -> bool {
        reply::text(&self.command(command)).expect("a text").contains(words)
    }

    /// A key's fields, or members, as text, sorted.
    pub fn all(&mut self, command: &str, key: &str) -> Vec<String> {
        let value = self.command(redis::cmd(command).arg(key));
        let texts = |value: &Value| reply::text(value).expect("a text").to_owned();
        let mut all: Vec<String> = match &value {
            Value::Map(pairs) => pairs.iter().map(|(key, value)| format!("{} {}", texts(key), texts(value))).collect(),
            other => reply::items(other).expect("a list").iter().map(texts).collect(),
        };
        all.sort();
        all
    }

    /// Seconds until the key ends: -1: never, -2: there is none.
    pub fn ttl(&mut self, key: &str) -> i64 {
        reply::integer(&self.command(redis::cmd("TTL").arg(key))).expect("a number")
    }

    /// Another client's connection.
    pub fn line(&self) -> Line {
        Line::open(&self.server)
    }

    /// Another connection, which hears what is sent to this channel.
    pub fn listen(&self, channel: &str) -> Line {
        let mut line = Line::open(&self.server);
        let verb = if self.verb == Verb::Publish { "SUBSCRIBE" } else { "SSUBSCRIBE" };
        line.send(&redis::cmd(verb).arg(channel).get_packed_command());
        line.receive();
        line
    }
}

impl Line {
    fn open(server: &RedisServer) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", server.port())).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        stream.set_nodelay(true).expect("a socket");
        let mut line = Self { stream: BufReader::new(stream), parser: Parser::new() };
        line.send(&redis::cmd("HELLO").arg(3).get_packed_command());
        line.receive();
        line
    }

    fn send(&mut self, packed: &[u8]) {
        self.stream.get_mut().write_all(packed).expect("it reads");
    }

    fn receive(&mut self) -> Value {
        self.parser.parse_value(&mut self.stream).expect("it answers")
    }

    pub fn run(&mut self, call: &Call) -> Value {
        let mut packed = Vec::new();
        call.pack_into(&mut packed);
        self.send(&packed);
        self.receive()
    }

    /// The messages up to this one, which somebody sends last.
    pub fn hear_until(&mut self, last: &[u8]) -> Vec<Vec<u8>> {
        std::iter::repeat_with(|| self.hear()).take_while(|message| message != last).collect()
    }

    /// The next message.
    pub fn hear(&mut self) -> Vec<u8> {
        let Value::Push { data, .. } = self.receive() else { panic!("messages are pushed") };
        let Some(Value::BulkString(message)) = data.into_iter().last() else { panic!("messages are bytes") };
        message
    }
}

pub fn user(name: &str) -> UserName {
    UserName::parse(name).expect("valid")
}

/// A session of a node.
pub fn session(boot: NodeId, index: u32) -> SessionId {
    SessionId { boot, at: SessionRef { shard: ShardId(0xabc), conn: ConnId { index, generation: 0x12_3456 } } }
}

/// A session of a node that has no place yet.
pub fn entry(boot: NodeId, index: u32) -> Entry {
    let remote = "192.0.2.1".parse().expect("an address");
    Entry { session: session(boot, index), order: 0, since_unix_ms: 1_000, remote }
}

/// What a node tells of itself.
pub fn record(boot: NodeId) -> NodeRecord {
    NodeRecord {
        name: format!("node \"{boot}\""),
        boot: format!("{boot:x}"),
        address: "127.0.0.1:1".to_owned(),
        api: String::new(),
        version: "0.1.0".to_owned(),
        state: "ready".to_owned(),
        since: 1,
        connections: 2,
        users: 3,
        synced: true,
    }
}

/// What tells a node to close these.
pub fn closing(sessions: &[SessionId]) -> Vec<u8> {
    envelope(Body::Close { sessions: sessions.to_vec(), reason: CloseReason::Replaced })
}

/// What tells a node that Ada mutes these.
pub fn muting(types: &[&str]) -> Vec<u8> {
    envelope(Body::Muted { user: user("ada"), mutes: types.iter().map(|word| Arc::from(*word)).collect() })
}

/// An envelope whose time a script has put in, with the one it had before.
pub fn unstamped(mut envelope: Vec<u8>) -> Vec<u8> {
    let stamp = u64::from_be_bytes(envelope[10..18].try_into().expect("eight bytes"));
    assert!(stamp > 1_700_000_000_000, "Redis's clock: {stamp}");
    envelope[10..18].copy_from_slice(&2_u64.to_be_bytes());
    envelope
}

fn envelope(body: Body) -> Vec<u8> {
    Envelope { origin: 1, sent_unix_ms: 2, body }.encode()
}
