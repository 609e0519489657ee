//! A byte string as a life of one shard: each byte is an operation, some with arguments behind them.
//!
//! Whatever the order of calls, stale names and late answers included, the invariants hold after each of them, and when
//! every connection has ended nothing is left.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::Arc;

use epush_core::batch::Stream;
use epush_core::close::CloseReason;
use epush_core::effect::{Asker, Effect};
use epush_core::error::{ErrorCode, Refusal};
use epush_core::http::Response;
use epush_core::id::{ConnId, ShardId};
use epush_core::mail::{Answer, ClusterCall, Identity, Mail, MuteChange, Mutes, Question, Relayed, Report, Verdict};
use epush_core::message::{ChannelName, Draft, Publication, Target, UserName};
use epush_core::now::Now;
use epush_core::outbox::SLICES_MAX;
use epush_core::page::ChannelRange;
use epush_core::settings::{Audience, OnSlow, Settings};
use epush_core::shard::{Door, End, JobRequest, Shard, ShardSetup};
use serde_json::value::RawValue;

/// Connections in one life: more only repeat what few show.
const CONNECTIONS_MAX: usize = 24;

const UPGRADE: &[u8] = b"GET /msg/1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

const COMMANDS: [&str; 12] = [
    r#"{"op":"subscribe","id":1,"channel":"news","on_slow":"latest"}"#,
    r#"{"op":"subscribe","id":2,"channel":"room.1"}"#,
    r#"{"op":"unsubscribe","id":3,"channel":"news"}"#,
    r#"{"op":"publish","id":4,"channel":"news","type":"promo","data":{"n":1}}"#,
    r#"{"op":"send","id":5,"users":["1","2"],"data":"0123456789012345678901234567890123456789"}"#,
    r#"{"op":"every","id":6,"job":"time","interval_ms":100}"#,
    r#"{"op":"cancel","id":7,"job":"time"}"#,
    r#"{"op":"mute","id":8,"types":["promo"]}"#,
    r#"{"op":"hello","id":9,"token":"t"}"#,
    r#"{"op":"presence","id":10,"channel":"news"}"#,
    r#"{"op":"online","id":11}"#,
    r#"{"op":"ask","id":12,"type":"order"}"#,
];

/// One life alone, and the same in a cluster.
pub fn run(data: &[u8]) {
    live(data, false);
    live(data, true);
}

fn live(data: &[u8], clustered: bool) {
    let mut life = Life::new(data, clustered);
    while let Some(operation) = life.byte() {
        life.operate(operation);
        life.effects();
        life.shard.assert_invariants();
    }
    life.end();
}

struct Life<'d> {
    data: &'d [u8],
    now: Now,
    shard: Shard,
    /// Every name ever given, the stale ones too.
    conns: Vec<ConnId>,
    /// The connection that a write was offered to.
    number: usize,
    clustered: bool,
    /// What the relay has not answered yet.
    relay: VecDeque<Mail>,
}

impl<'d> Life<'d> {
    fn new(data: &'d [u8], clustered: bool) -> Self {
        let now = Now { monotonic_us: 1_000_000, unix_ms: 1_700_000_000_000 };
        let mut settings = Settings {
            echo: true,
            hello: true,
            outbox_bytes_max: 600,
            subscriptions_max: 2,
            jobs_max: 1,
            sessions_per_user: 2,
            message_bytes_max: 2_048,
            body_bytes_max: 1_024,
            ..Settings::default()
        };
        settings.channels.default.publish = Audience::Anyone;
        settings.channels.on_slow_direct = OnSlow::Close;
        settings.send.allow = Audience::Anyone;
        let (id, settings) = (ShardId(0), Arc::new(settings));
        let shard = Shard::new(ShardSetup { id, shards: 1, boot: 1, clustered, node: "n".into(), settings }, now);
        Self { data, now, shard, conns: Vec::new(), number: 0, clustered, relay: VecDeque::new() }
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.data.split_first()?;
        self.data = rest;
        Some(*first)
    }

    fn argument(&mut self) -> usize {
        self.byte().unwrap_or_default().into()
    }

    fn bytes(&mut self) -> Vec<u8> {
        let count = self.argument().min(self.data.len());
        let (taken, rest) = self.data.split_at(count);
        self.data = rest;
        taken.to_vec()
    }

    /// A name, perhaps a stale one.
    fn conn(&mut self) -> ConnId {
        let choice = self.argument();
        let none = ConnId { index: 3, generation: 9 };
        self.conns.get(choice % self.conns.len().max(1)).copied().unwrap_or(none)
    }

    fn operate(&mut self, operation: u8) {
        let now = self.now;
        match operation % 20 {
            0 => self.adopt(Door::Client),
            1 => self.adopt(Door::Api),
            2 => {
                let (conn, bytes) = (self.conn(), self.bytes());
                self.receive(conn, bytes);
            }
            3 => {
                let conn = self.conn();
                self.receive(conn, UPGRADE.to_vec());
            }
            4 => {
                let (conn, command) = (self.conn(), self.argument());
                self.receive(conn, frame(0x81, COMMANDS[command % COMMANDS.len()].as_bytes()));
            }
            5 => {
                let (conn, opcode, payload) = (self.conn(), self.argument(), self.bytes());
                self.receive(conn, frame(opcode as u8, &payload));
            }
            6 => {
                let (conn, end) = (self.conn(), self.argument());
                self.shard.handle_end(now, conn, if end.is_multiple_of(2) { End::Eof } else { End::Reset });
            }
            7 => self.publish(),
            8 => {
                let (conn, verdict) = (self.conn(), verdict(self.argument(), now));
                self.shard.handle_mail(now, Mail::Verdict { conn, verdict });
            }
            9 => {
                let ms = 1 << (self.argument() % 17);
                self.pass(ms);
            }
            10 => self.write(),
            11 => {
                let conn = self.conn();
                self.shard.handle_writable(now, conn);
            }
            12 => self.shard.end_turn(),
            13 => self.shard.flush(now),
            14 => self.ask(),
            15 => {
                let (conn, body) = (self.conn(), self.bytes());
                let status = if body.len().is_multiple_of(3) { 400 } else { 200 };
                self.shard.respond(now, conn, &Response::json(status, body));
            }
            16 => {
                let conn = self.conn();
                let outcome = Err(Refusal::new(ErrorCode::NotFound, "none"));
                self.shard.handle_mail(now, Mail::Reply { conn, id: "12".into(), outcome });
            }
            17 => {
                let (conn, frame) = (self.conn(), vec![0x81, 1, b'1'].into());
                self.shard.handle_mail(now, Mail::Push { conn, frame });
            }
            18 => {
                // One pipelined request after another.
                let conn = self.conn();
                let request = b"POST /v1/push/batch HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n1\n\n2\n";
                self.receive(conn, [&request[..], b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"].concat());
            }
            _ => match self.argument() {
                255 => self.shard.handle_mail(now, Mail::Drain { over_ms: 1_000 }),
                count if self.clustered => self.hear(count),
                _ => {}
            },
        }
    }

    fn adopt(&mut self, door: Door) {
        if self.conns.len() < CONNECTIONS_MAX {
            let conn = self.shard.adopt(self.now, ([127, 0, 0, 1], 5).into(), door);
            assert!(!self.conns.contains(&conn), "names are used once");
            self.conns.push(conn);
        }
    }

    fn receive(&mut self, conn: ConnId, mut bytes: Vec<u8>) {
        if self.shard.wants_read(conn) {
            self.shard.handle_bytes(self.now, conn, &mut bytes);
        }
    }

    fn publish(&mut self) {
        let (target, size) = (self.argument(), self.argument());
        let channel = ChannelName::parse(if target & 4 == 0 { "news" } else { "room.1" }).expect("valid");
        let to = match target % 3 {
            0 => Target::Channels(vec![channel]),
            1 => Target::Users(["1", "2"].iter().filter_map(|user| UserName::parse(user)).collect()),
            _ => Target::All,
        };
        let mut draft = Draft::new(to, raw(format!("\"{}\"", "x".repeat(size * 4))));
        draft.kind = (target & 8 == 0).then(|| "promo".into());
        let publication = Arc::new(Publication::encode(&draft, self.now));
        self.shard.handle_mail(self.now, Mail::Publish { publication, report: None });
    }

    /// The relay answers, tells of a loss, or closes a session.
    fn hear(&mut self, choice: usize) {
        let stream = match choice % 4 {
            0 => Stream::Channel(ChannelName::parse("news").expect("valid")),
            1 => Stream::User(UserName::parse("1").expect("valid")),
            2 => Stream::All,
            _ => {
                let mail = self.relay.pop_front();
                return mail.into_iter().for_each(|mail| self.shard.handle_mail(self.now, mail));
            }
        };
        let mail = if choice & 64 == 0 {
            Mail::Relayed([Relayed::Lost { stream, count: choice as u64 + 1 }].into())
        } else {
            Mail::Close { conn: self.conn(), reason: CloseReason::Replaced }
        };
        self.shard.handle_mail(self.now, mail);
    }

    fn ask(&mut self) {
        let user = UserName::parse("1").expect("valid");
        let question = match self.argument() % 6 {
            0 => Question::User(user),
            1 => Question::Kick(user),
            2 => Question::Channels(ChannelRange {
                prefix: "".into(),
                after: "".into(),
                channels_max: 1 + self.argument(),
            }),
            3 => Question::Counters,
            4 => Question::ChangeMutes { user, change: MuteChange::Replace(vec!["promo".into()]) },
            _ => Question::Mutes(user),
        };
        let conn = self.conn();
        self.ask_all(question, Asker::Api { conn, tag: 1 });
    }

    fn ask_all(&mut self, question: Question, asker: Asker) {
        let ticket = self.shard.expect(asker, 1);
        let report = Report { shard: ShardId(0), ticket };
        self.shard.handle_mail(self.now, Mail::Ask { question, report });
    }

    /// Offers the next connection its bytes; the socket takes some.
    fn write(&mut self) {
        let share = self.argument();
        let next = if share.is_multiple_of(2) { self.shard.next_urgent() } else { self.shard.next_bulk() };
        let Some(conn) = next else { return };
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let filled = self.shard.output(conn, &mut slices);
        let offered: usize = slices[..filled].iter().map(|slice| slice.len()).sum();
        assert!(offered > 0 && slices[..filled].iter().all(|slice| !slice.is_empty()));
        let taken = offered * share / 255;
        self.shard.handle_sent(self.now, conn, taken, taken < offered);
    }

    fn pass(&mut self, ms: u64) {
        self.now.monotonic_us += ms * 1_000;
        self.now.unix_ms += ms;
        self.shard.handle_time(self.now);
    }

    fn effects(&mut self) {
        while let Some(effect) = self.shard.poll_effect() {
            match effect {
                Effect::Publish { draft, asker } => {
                    let ticket = self.shard.expect(asker, 1);
                    let report = Some(Report { shard: ShardId(0), ticket });
                    let publication = Arc::new(Publication::encode(&draft, self.now));
                    self.shard.handle_mail(self.now, Mail::Publish { publication, report });
                }
                Effect::AskAll { question, asker } => self.ask_all(question, asker),
                Effect::Every { conn, id, job, interval_ms, args } => {
                    let request = JobRequest { conn, id: &id, job: &job, interval_ms, args };
                    self.shard.start_job(self.now, request, true);
                }
                Effect::Tick { conn, job, seq, .. } => {
                    self.shard.push_job(self.now, conn, &job, seq, &raw("[1]".into()));
                }
                Effect::Send { .. } => panic!("there is no other shard"),
                Effect::Cluster(call) => {
                    assert!(self.clustered);
                    self.relay.extend(answer(call));
                }
                _ => self.number += 1,
            }
        }
    }

    fn end(&mut self) {
        for conn in self.conns.clone() {
            self.shard.handle_end(self.now, conn, End::Reset);
            self.effects();
        }
        while let Some(mail) = self.relay.pop_front() {
            self.shard.handle_mail(self.now, mail);
            self.effects();
        }
        self.shard.flush(self.now);
        while self.shard.next_urgent().or_else(|| self.shard.next_bulk()).is_some() {}
        self.shard.end_turn();
        for _ in 0..200 {
            // What is left of fan-out goes, and the steps of a drain.
            self.pass(1_000);
            self.shard.flush(self.now);
            self.effects();
        }
        self.shard.assert_invariants();
        self.shard.assert_idle();
    }
}

/// What the relay answers, if it does.
fn answer(call: ClusterCall) -> Option<Mail> {
    match call {
        ClusterCall::SignIn { session, .. } => Some(Mail::SignedIn { conn: session.conn, mutes: None }),
        ClusterCall::Join(channel) => Some(Mail::Joined(channel)),
        ClusterCall::Ask { report, .. } => {
            Some(Mail::Answer { ticket: report.ticket, answer: Answer::Mutes(Mutes::default()) })
        }
        ClusterCall::SignOut { .. } | ClusterCall::Leave(_) => None,
    }
}

fn verdict(choice: usize, now: Now) -> Verdict {
    if choice % 5 == 4 {
        return Verdict::Refuse { status: choice as u16 * 3, message: "no".into() };
    }
    Verdict::Accept(Identity {
        user: UserName::parse(["", "1", "2", "3"][choice % 4]),
        attributes: None,
        channels: ChannelName::parse(if choice & 8 == 0 { "" } else { "news" }).into_iter().collect(),
        expires_unix_ms: (choice & 16 == 0).then_some(now.unix_ms + 3_000),
        must_sign_in: choice & 32 == 0 && choice.is_multiple_of(4),
    })
}

/// A masked frame; the mask is all zeros.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        short @ 0..=125 => frame.push(0x80 | short as u8),
        long => {
            frame.push(0x80 | 126);
            frame.extend((long as u16).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

fn raw(json: String) -> Box<RawValue> {
    RawValue::from_string(json).expect("JSON")
}
