//! Turns of one reactor over real sockets, one at a time: what each of them takes, and leaves for the next.

use super::posts::MAILBOX_BUDGET;
use super::reads::{READ_BYTES_PER_TURN, READS_PER_TURN};
use super::writes::BULK_WRITES_PER_TURN;
use super::*;
use crate::engine::Outcomes;
use crate::reactor::socket::Reading;
use crate::sys;
use crate::testing::{self, Bench};
use epush_core::id::SessionRef;
use epush_core::mail::Mail;
use epush_core::message::{ChannelName, Draft, Publication, Target};
use epush_core::settings::Settings;
use epush_core::shard::Door;
use mio::Waker;
use serde_json::value::RawValue;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

const PATIENCE: Duration = Duration::from_secs(20);

/// A masked frame with a mask of zeros.
const PING: &[u8] = b"\x81\x8d\0\0\0\0{\"op\":\"ping\"}";

const UPGRADE: &[u8] = b"GET /msg HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// A reactor that turns only when it is told to.
struct Stage {
    reactor: Reactor,
    events: Events,
    listener: TcpListener,
    bench: Bench,
    /// A waker without its poll wakes nobody.
    _notes: Poll,
}

impl Stage {
    fn new() -> Self {
        let mut bench = testing::bench(1, 1_000_000);
        let setup = ShardSetup {
            id: ShardId(0),
            shards: 1,
            boot: bench.node.boot,
            node: "test".into(),
            clustered: false,
            settings: Arc::new(Settings::default()),
        };
        let notes_poll = Poll::new().expect("poll");
        let (notes, _) = crate::mailbox::mailbox(Waker::new(notes_poll.registry(), WAKE).expect("waker"));
        let reactor = Reactor::new(ReactorSetup {
            outside: testing::outside(&bench, None),
            poll: bench.polls.remove(0),
            inbox: bench.inboxes.remove(0),
            shard: setup,
            api: None,
            notes,
            events: Arc::new(Outcomes::new(1).0),
        });
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        Self { reactor, events: Events::with_capacity(EVENTS_PER_TURN), listener, bench, _notes: notes_poll }
    }

    /// The phases of [`Reactor::run`].
    fn turn(&mut self) {
        let reactor = &mut self.reactor;
        reactor.wait(&mut self.events).expect("poll");
        reactor.read_mailbox();
        reactor.read_sockets();
        reactor.fire_timers();
        reactor.flush();
        reactor.write_sockets();
        reactor.end_turn();
    }

    fn turn_until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(Instant::now() < deadline, "not in time: {what}");
            self.turn();
        }
    }

    /// A connection: the client's end, and the reactor's, which it does not have yet.
    fn connection(&mut self) -> (TcpStream, Post) {
        let client = TcpStream::connect(self.listener.local_addr().expect("bound")).expect("connected");
        let (accepted, peer) = self.listener.accept().expect("accepted");
        accepted.set_nonblocking(true).expect("a socket option");
        (client, Post::Adopt { stream: mio::net::TcpStream::from_std(accepted), peer, door: Door::Client })
    }

    /// A client of an open session, who has read all it was sent.
    fn session(&mut self) -> Peer {
        let (mut stream, adopt) = self.connection();
        stream.write_all(UPGRADE).expect("an empty socket takes it");
        stream.set_nonblocking(true).expect("a socket option");
        self.bench.node.reactors[0].post(adopt);
        let mut client = Peer { stream, received: String::new() };
        self.turn_until("welcome", |_| client.receives("welcome"));
        client
    }
}

struct Peer {
    stream: TcpStream,
    /// What came since it was last asked for.
    received: String,
}

impl Peer {
    /// Whether a frame with this text has come by now; then what came is forgotten.
    fn receives(&mut self, needle: &str) -> bool {
        let mut bytes = Vec::new();
        match self.stream.read_to_end(&mut bytes) {
            Err(why) if why.kind() == ErrorKind::WouldBlock => {}
            outcome => panic!("the connection ended: {outcome:?}"),
        }
        self.received += &String::from_utf8_lossy(&bytes);
        let found = self.received.contains(needle);
        if found {
            self.received.clear();
        }
        found
    }

    /// Sends pings until the socket takes no more.
    fn flood(&mut self) {
        let pings = PING.repeat(1_000);
        while self.stream.write(&pings).is_ok() {}
    }
}

#[test]
fn a_turn_takes_its_share_of_the_mailbox_and_does_not_sleep_on_the_rest() {
    let mut stage = Stage::new();
    // Each weighs one byte in the intake until the reactor has taken it.
    let posts = 2 * MAILBOX_BUDGET + 100;
    let gone = SessionRef { shard: ShardId(0), conn: ConnId { index: 0, generation: 7 } };
    for _ in 0..posts {
        stage.bench.node.push_to_session(gone, RawValue::from_string("1".into()).expect("JSON")).expect("fits");
    }
    for left in [posts - MAILBOX_BUDGET, posts - 2 * MAILBOX_BUDGET, 0] {
        stage.turn();
        assert_eq!(stage.bench.node.intake.bytes(), left);
        assert_eq!(stage.reactor.patience(0) == Some(Duration::ZERO), left > 0);
    }
}

#[test]
fn who_always_has_more_to_read_is_read_in_turn_with_the_others() {
    let mut stage = Stage::new();
    let (mut flooding, mut quiet) = (stage.session(), stage.session());
    for _ in 0..20 {
        quiet.stream.write_all(PING).expect("an empty socket takes it");
        stage.turn_until("pong", |stage| {
            flooding.flood();
            let answered = quiet.receives(r#""op":"pong""#);
            assert!(stage.reactor.readable.len() <= 2, "each stands in the line once");
            answered
        });
    }
    // Nobody reads the flooder's answers: it waits outside the line, and is read again when somebody does.
    stage.turn_until("the flooder is parked", |stage| {
        flooding.flood();
        stage.reactor.readable.is_empty()
    });
    assert!(flooding.receives("pong"));
    stage.turn_until("the flooder is read again", |_| flooding.receives("pong"));
}

#[test]
fn a_crowd_of_floods_is_read_in_shares_of_bytes() {
    const EACH_BYTES: usize = 16 * 1024;
    sys::raise_descriptor_limit().expect("up to the hard limit");
    let mut stage = Stage::new();
    let mut crowd: Vec<Peer> = (0..READ_BYTES_PER_TURN / EACH_BYTES + 10).map(|_| stage.session()).collect();
    assert!(crowd.len() < READS_PER_TURN, "it is not the number of reads that ends the turn");
    let pings = PING.repeat(EACH_BYTES / PING.len() + 1);
    for peer in &mut crowd {
        peer.stream.write_all(&pings).expect("an empty socket takes it");
    }
    stage.turn();
    assert!(crowd.iter_mut().any(|peer| !peer.receives("pong")), "not all are read in one turn");
    assert_eq!(stage.reactor.patience(0), Some(Duration::ZERO));
    stage.turn_until("everybody is read", |stage| stage.reactor.readable.is_empty());
}

#[test]
fn a_broadcast_is_written_in_shares_with_reads_between_them() {
    sys::raise_descriptor_limit().expect("up to the hard limit");
    let mut stage = Stage::new();
    let mut clients: Vec<Peer> = (0..BULK_WRITES_PER_TURN + 90).map(|_| stage.session()).collect();
    let data = RawValue::from_string("\"hello\"".into()).expect("JSON");
    let publication = Arc::new(Publication::encode(&Draft::new(Target::All, data), stage.reactor.now));
    stage.bench.node.post(ShardId(0), Mail::Publish { publication, report: None });
    stage.turn();
    assert!(stage.reactor.shard.has_writes(), "not all in one turn");
    assert_eq!(stage.reactor.patience(0), Some(Duration::ZERO));
    let last = clients.last_mut().expect("many");
    assert!(!last.receives("hello"), "its turn comes after {BULK_WRITES_PER_TURN} others");
    stage.turn();
    assert!(!stage.reactor.shard.has_writes());
    stage.turn_until("everybody has it", |_| {
        clients.retain_mut(|client| !client.receives("hello"));
        clients.is_empty()
    });
}

#[test]
fn an_end_of_stream_right_behind_the_first_bytes_is_seen() {
    let mut stage = Stage::new();
    let (mut stream, adopt) = stage.connection();
    stream.write_all(UPGRADE).expect("an empty socket takes it");
    stream.shutdown(std::net::Shutdown::Write).expect("open");
    stage.bench.node.reactors[0].post(adopt);
    stage.turn_until("the end", |stage| stage.reactor.sockets.names().is_empty());
}

#[test]
fn who_connects_and_says_nothing_is_heard_later() {
    let mut stage = Stage::new();
    let (mut stream, adopt) = stage.connection();
    stage.bench.node.reactors[0].post(adopt);
    stage.turn_until("an empty read", |stage| {
        let conn = stage.reactor.sockets.names().first().copied();
        conn.and_then(|conn| stage.reactor.sockets.find(conn)).is_some_and(|socket| socket.reading == Reading::Drained)
    });
    stream.write_all(UPGRADE).expect("an empty socket takes it");
    stream.set_nonblocking(true).expect("a socket option");
    let mut client = Peer { stream, received: String::new() };
    stage.turn_until("welcome", |_| client.receives("welcome"));
}

#[test]
fn who_is_reset_before_the_first_read_is_let_go() {
    let mut stage = Stage::new();
    let (mut stream, adopt) = stage.connection();
    stream.write_all(UPGRADE).expect("an empty socket takes it");
    // A close that waits for nothing resets (socket(7)).
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("a socket option");
    drop(stream);
    stage.bench.node.reactors[0].post(adopt);
    stage.turn_until("the end", |stage| stage.reactor.sockets.names().is_empty());
}

#[test]
fn windows_end_when_the_intake_is_half_full_and_open_again_later() {
    let mut stage = Stage::new();
    let mut settings = Settings::default();
    settings.channels.default.batch_ms = 1_000_000;
    stage.bench.node.post(ShardId(0), Mail::Settings(Arc::new(settings)));
    let mut client = stage.session();
    let subscribe = b"{\"op\":\"subscribe\",\"id\":1,\"channel\":\"news\"}";
    let mut frame = vec![0x81, 0x80 | subscribe.len() as u8, 0, 0, 0, 0];
    frame.extend_from_slice(subscribe);
    client.stream.write_all(&frame).expect("an empty socket takes it");
    stage.turn_until("ok", |_| client.receives("\"ok\""));
    let publish = |stage: &mut Stage, channel: &str, word: &str| {
        let data = RawValue::from_string(format!("\"{word}\"")).expect("JSON");
        let to = Target::Channels(vec![ChannelName::parse(channel).expect("valid")]);
        let publication = Arc::new(Publication::encode(&Draft::new(to, data), stage.reactor.now));
        stage.bench.node.post(ShardId(0), Mail::Publish { publication, report: None });
        stage.turn();
    };
    publish(&mut stage, "news", "first");
    assert!(!client.receives("first"), "its window is open");
    let permit = stage.bench.node.intake.reserve(500_000).expect("half of it");
    publish(&mut stage, "news", "second");
    // The reactor has written it, and turns no more; the kernel may still carry it.
    let deadline = Instant::now() + PATIENCE;
    while !client.receives("second") {
        assert!(Instant::now() < deadline, "what was in the window, and what came after");
    }
    drop(permit);
    publish(&mut stage, "nobody", "here");
    publish(&mut stage, "news", "third");
    assert!(!client.receives("third"), "there is room to wait again");
    // As the thread does when it was told to stop.
    stage.reactor.say_goodbye();
    let mut bytes = Vec::new();
    client.stream.set_nonblocking(false).expect("a socket option");
    drop(stage);
    client.stream.read_to_end(&mut bytes).expect("all of it, and its end");
    assert!(String::from_utf8_lossy(&bytes).contains("third"), "nothing waits for what does not come");
}
