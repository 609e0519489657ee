//! A client of the native protocol that keeps accounts of everything it was promised.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::ledger::{Account, Ledger, StreamName};
use super::random::Random;
use super::wire::{BINARY, CLOSE, Frame, PING, PONG, TEXT, frame, message, take_frame, take_response};

pub const CHANNELS: [&str; 4] = ["news", "room.1", "big.1", "last.1"];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    Connecting,
    Open,
    /// Refused with a status.
    Refused,
    /// The node's close frame came.
    Closed,
}

#[derive(Debug)]
enum Op {
    Plain,
    Subscribe { channel: String, asked_len: usize },
    Unsubscribe { channel: String },
    Hello { user: Option<String>, asked_len: usize, asked_all_len: usize },
    Every { job: String },
    Cancel { job: String },
}

#[derive(Debug)]
pub struct Native {
    pub name: String,
    pub shard: usize,
    pub state: State,
    pub user: Option<String>,
    pub welcomed: bool,
    pub goodbye: Option<u64>,
    /// Has told the node that it closes.
    pub close_sent: bool,
    /// Has sent what no client may: answers mean nothing any more.
    pub broken: bool,
    /// May be told at any frame that it sends too many.
    pub rated: bool,
    /// Sends nothing of its own accord.
    pub calm: bool,
    must_sign_in: bool,
    joins: bool,
    accounts: HashMap<StreamName, Account>,
    /// Where accounts ended that were closed by unsubscribing: messages still queued then may be lost later, which is told
    /// with the losses of the next subscription.
    left: HashMap<StreamName, usize>,
    /// Streams whose account began before the `ok` of the subscription: in a cluster that may come after messages.
    early: HashSet<StreamName>,
    /// When the handshake was sent: the messages out on `*`, on its user, on `news`.
    asked: [usize; 3],
    unanswered: HashMap<u64, Op>,
    next_id: u64,
    /// Frames sent whose `error` carries no id.
    nameless: usize,
    /// The next number of each job, and its pushes announced as lost.
    jobs: HashMap<String, (u64, u64)>,
    bytes: Vec<u8>,
    pub greeting: Vec<u8>,
}

impl Native {
    pub fn new(random: &mut Random, ledger: &Ledger, name: String, shard: usize) -> Self {
        let user = (!random.one_in(4)).then(|| (*random.pick(&["1", "2", "3"])).to_owned());
        let must_sign_in = user.is_none() && random.one_in(2);
        let joins = random.one_in(6);
        let refused = random.one_in(20);
        let mut target = user.as_ref().map_or("/msg".to_owned(), |user| format!("/msg/{user}"));
        target += "?x=1";
        for (on, word) in [(must_sign_in, "&must=1"), (joins, "&join=1"), (refused, "&refuse=1")] {
            target += if on { word } else { "" };
        }
        let greeting = format!(
            "GET {target} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        let of_user = user.as_ref().map_or(0, |user| ledger.flushed_len(shard, &format!("u:{user}")));
        let asked = [ledger.flushed_len(shard, "*"), of_user, ledger.flushed_len(shard, "c:news")];
        Self {
            name,
            shard,
            state: State::Connecting,
            user,
            welcomed: false,
            goodbye: None,
            close_sent: false,
            broken: false,
            rated: false,
            calm: false,
            must_sign_in,
            joins,
            accounts: HashMap::new(),
            left: HashMap::new(),
            early: HashSet::new(),
            asked,
            unanswered: HashMap::new(),
            next_id: 1,
            nameless: 0,
            jobs: HashMap::new(),
            bytes: Vec::new(),
            greeting: greeting.into_bytes(),
        }
    }

    pub fn is_live(&self) -> bool {
        self.state == State::Open && self.welcomed && self.goodbye.is_none() && !self.close_sent && !self.broken
    }

    /// At a quiet moment: every account is settled and every question answered.
    pub fn settle(&self, ledger: &Ledger) {
        assert!(self.unanswered.is_empty(), "{}: unanswered {:?}", self.name, self.unanswered);
        for account in self.accounts.values() {
            account.close(ledger, self.mutes(ledger));
        }
    }

    fn mutes(&self, ledger: &Ledger) -> bool {
        self.user.as_ref().is_some_and(|user| ledger.muting.contains(user))
    }

    pub fn act(&mut self, random: &mut Random, ledger: &mut Ledger) -> Vec<u8> {
        if !self.greeting.is_empty() {
            let mut greeting = std::mem::take(&mut self.greeting);
            if random.one_in(6) {
                // Impatient: frames before the answer.
                greeting.extend(self.command(random, ledger));
            }
            return greeting;
        }
        let may = self.state == State::Open && !self.close_sent && !self.broken && !self.calm;
        if !may || !random.one_in(3) {
            return Vec::new();
        }
        let burst = if random.one_in(12) { random.between(1, 150) } else { random.between(1, 3) };
        (0..burst).flat_map(|_| self.command(random, ledger)).collect()
    }

    /// Ends the session as the protocol has it.
    pub fn close(&mut self, random: &mut Random) -> Vec<u8> {
        if self.close_sent || self.state != State::Open {
            return Vec::new();
        }
        self.close_sent = true;
        let payload: &[u8] = if random.one_in(2) { b"\x03\xe8" } else { b"" };
        frame(random, true, CLOSE, payload)
    }

    /// Bytes that are against RFC 6455.
    pub fn break_rules(&mut self, random: &mut Random) -> Vec<u8> {
        if self.state != State::Open {
            return Vec::new();
        }
        self.broken = true;
        match random.below(5) {
            0 => vec![0x81, 0x02, b'h', b'i'],
            1 => frame(random, true, TEXT, b"\xff\xfe"),
            2 => frame(random, true, 0, b"lone continuation"),
            3 => frame(random, true, BINARY, &vec![7; 9_000]),
            _ => (0..random.between(1, 200)).map(|_| random.next() as u8).collect(),
        }
    }

    fn command(&mut self, random: &mut Random, ledger: &mut Ledger) -> Vec<u8> {
        let id = self.next_id;
        self.next_id += 1;
        let channel = *random.pick(&CHANNELS);
        let job = *random.pick(&["time", "tick", "unknown"]);
        let user = *random.pick(&["1", "2", "3"]);
        let flushed = |stream: &str| ledger.flushed_len(self.shard, stream);
        let (op, text) = match random.below(22) {
            0..=3 => {
                let policy = *random.pick(&["", "", r#","on_slow":"drop_newest""#, r#","on_slow":"latest""#]);
                let op = Op::Subscribe { channel: channel.into(), asked_len: flushed(&format!("c:{channel}")) };
                (op, format!(r#"{{"op":"subscribe","id":{id},"channel":"{channel}"{policy}}}"#))
            }
            4 => {
                let op = Op::Unsubscribe { channel: channel.into() };
                (op, format!(r#"{{"op":"unsubscribe","id":{id},"channel":"{channel}"}}"#))
            }
            5..=8 => {
                let data = self.data(random, ledger.number());
                let kind = *random.pick(&["", "", r#","type":"promo""#]);
                (Op::Plain, format!(r#"{{"op":"publish","id":{id},"channel":"{channel}"{kind},"data":{data}}}"#))
            }
            9..=10 => {
                let data = self.data(random, ledger.number());
                let text = format!(r#"{{"op":"send","id":{id},"users":["{user}","3"],"type":"chat","data":{data}}}"#);
                (Op::Plain, text)
            }
            11..=12 => {
                let ms = *random.pick(&[50, 200, 3_000]);
                let text = format!(r#"{{"op":"every","id":{id},"job":"{job}","interval_ms":{ms},"args":[1]}}"#);
                (Op::Every { job: job.into() }, text)
            }
            13 => (Op::Cancel { job: job.into() }, format!(r#"{{"op":"cancel","id":{id},"job":"{job}"}}"#)),
            14 => {
                let op = *random.pick(&["mute", "unmute"]);
                // Its user, or the one it will be when its `hello` is answered.
                let signing_in = self.unanswered.values().filter_map(|asked| match asked {
                    Op::Hello { user, .. } => user.clone(),
                    _ => None,
                });
                ledger.muting.extend(signing_in.chain(self.user.clone()));
                (Op::Plain, format!(r#"{{"op":"{op}","id":{id},"types":["promo"]}}"#))
            }
            15 => (Op::Plain, format!(r#"{{"op":"muted","id":{id}}}"#)),
            16 => (Op::Plain, format!(r#"{{"op":"ask","id":{id},"type":"order","data":{id}}}"#)),
            17 => (Op::Plain, format!(r#"{{"op":"online","id":{id}}}"#)),
            18 => (Op::Plain, format!(r#"{{"op":"presence","id":{id},"channel":"{channel}"}}"#)),
            19 => (Op::Plain, format!(r#"{{"op":"ping","id":{id}}}"#)),
            20 => {
                let token = *random.pick(&["anon", "bad", "u1", "u2", "u3"]);
                let user = token.strip_prefix('u').map(str::to_owned);
                let asked_len = user.as_ref().map_or(0, |user| flushed(&format!("u:{user}")));
                let op = Op::Hello { user, asked_len, asked_all_len: flushed("*") };
                (op, format!(r#"{{"op":"hello","id":{id},"token":"{token}"}}"#))
            }
            _ => {
                self.nameless += 1;
                return match random.below(4) {
                    0 => message(random, TEXT, b"{"),
                    1 => message(random, TEXT, br#"{"op":"dance"}"#),
                    2 => message(random, BINARY, b"\0\xff"),
                    _ => frame(random, true, PING, b"are you there"),
                };
            }
        };
        self.unanswered.insert(id, op);
        message(random, TEXT, text.as_bytes())
    }

    fn data(&self, random: &mut Random, number: u64) -> String {
        let pad = "x".repeat(if random.one_in(10) { random.below(3_000) } else { random.below(60) });
        format!(r#"{{"n":{number},"p":"{}","pad":"{pad}"}}"#, self.name)
    }

    pub fn receive(&mut self, bytes: &[u8], random: &mut Random, ledger: &mut Ledger) -> Vec<u8> {
        self.bytes.extend_from_slice(bytes);
        let mut answer = Vec::new();
        if self.state == State::Connecting {
            match take_response(&mut self.bytes) {
                Some(response) if response.status == 101 => self.state = State::Open,
                Some(response) => {
                    assert!(response.status >= 400 && response.close);
                    self.state = State::Refused;
                }
                None => return answer,
            }
        }
        if self.state == State::Refused {
            assert!(self.bytes.is_empty(), "nothing follows a refusal");
            return answer;
        }
        while let Some(frame_in) = take_frame(&mut self.bytes) {
            assert_ne!(self.state, State::Closed, "{}: nothing follows the close frame", self.name);
            answer.extend(self.take(frame_in, random, ledger));
        }
        answer
    }

    fn take(&mut self, frame_in: Frame, random: &mut Random, ledger: &mut Ledger) -> Vec<u8> {
        assert!(self.goodbye.is_none() || frame_in.opcode == CLOSE, "a goodbye is the last word");
        match frame_in.opcode {
            TEXT => {
                let value = serde_json::from_slice(&frame_in.payload).expect("JSON");
                self.take_text(&value, ledger);
                Vec::new()
            }
            PING if self.close_sent => Vec::new(),
            PING => frame(random, true, PONG, &frame_in.payload),
            PONG => Vec::new(),
            CLOSE => {
                self.state = State::Closed;
                let code = frame_in.payload.first_chunk().map(|code| u64::from(u16::from_be_bytes(*code)));
                assert!(self.goodbye.is_none() || code == self.goodbye, "goodbye and close frame agree");
                assert!(self.goodbye.is_some() || self.close_sent, "{}: closed with {code:?} unasked", self.name);
                if self.close_sent { Vec::new() } else { frame(random, true, CLOSE, &frame_in.payload) }
            }
            other => panic!("opcode {other}"),
        }
    }

    fn take_text(&mut self, value: &Value, ledger: &mut Ledger) {
        let op = value["op"].as_str().expect("op");
        assert_eq!(self.welcomed, op != "welcome", "{}: exactly one welcome, and first: {value}", self.name);
        match op {
            "welcome" => {
                self.welcomed = true;
                assert_eq!(value.get("user").and_then(Value::as_str), self.user.as_deref());
                if !self.must_sign_in {
                    self.admitted(ledger);
                }
            }
            "message" | "gap" if value.get("job").is_some() => self.take_job(op, value),
            "message" if value.get("direct").is_some() => {}
            "message" => {
                let (stream, mutes) = (stream_of(value), self.mutes(ledger));
                let number = value["data"]["n"].as_u64().expect("a number");
                let name = self.name.clone();
                let account = self.account(&stream);
                account.unwrap_or_else(|| panic!("{name} has no part in {stream}")).message(ledger, number, mutes);
            }
            // A stream that was left may still have a loss to tell.
            "gap" => {
                let count = value["count"].as_u64().expect("a count");
                assert!(matches!(value["reason"].as_str(), Some("slow_consumer" | "relay")), "{value}");
                if let Some(account) = self.account(&stream_of(value)) {
                    account.gap(count);
                }
            }
            "goodbye" => self.goodbye = value["code"].as_u64(),
            "ok" | "error" | "reply" | "pong" => self.take_answer(op, value, ledger),
            other => panic!("op {other}"),
        }
    }

    /// The account of a stream: also of one that it asked to subscribe to and has no answer for.
    fn account(&mut self, stream: &StreamName) -> Option<&mut Account> {
        if !self.accounts.contains_key(stream) {
            let asked = self.subscribing(stream)?;
            let asked_len = self.left.remove(stream).unwrap_or(asked);
            self.accounts.insert(stream.clone(), Account::early(self.shard, stream, asked_len));
            self.early.insert(stream.clone());
        }
        self.accounts.get_mut(stream)
    }

    /// When the first subscription to the stream was asked for that has no answer.
    fn subscribing(&self, stream: &StreamName) -> Option<usize> {
        let asked = self.unanswered.values().filter_map(|op| match op {
            Op::Subscribe { channel, asked_len } if stream.strip_prefix("c:") == Some(channel) => Some(*asked_len),
            _ => None,
        });
        asked.min()
    }

    fn admitted(&mut self, ledger: &Ledger) {
        let [all, of_user, of_news] = self.asked;
        let mut open = |stream: String, asked_len| {
            self.accounts.insert(stream.clone(), Account::open(ledger, self.shard, &stream, asked_len));
        };
        open("*".into(), all);
        if let Some(user) = &self.user {
            open(format!("u:{user}"), of_user);
        }
        if self.joins {
            open("c:news".into(), of_news);
        }
    }

    fn take_job(&mut self, op: &str, value: &Value) {
        let name = value["job"].as_str().expect("a name");
        let (next, gap) = self.jobs.get_mut(name).expect("a job that was asked for");
        if op == "gap" {
            *gap += value["count"].as_u64().expect("a count");
            return;
        }
        let seq = value["seq"].as_u64().expect("a number");
        assert_eq!(seq, *next + *gap, "pushes of a job come in order, after the gap for what is missing");
        (*next, *gap) = (seq + 1, 0);
    }

    fn take_answer(&mut self, op: &str, value: &Value, ledger: &mut Ledger) {
        let Some(id) = value.get("id").and_then(Value::as_u64) else {
            assert!(op == "error" && (self.nameless > 0 || self.rated), "{value}");
            self.nameless = self.nameless.saturating_sub(1);
            return;
        };
        let asked = self.unanswered.remove(&id).unwrap_or_else(|| panic!("{}: answered twice: {value}", self.name));
        if op == "error" {
            return self.take_refusal(&asked);
        }
        match asked {
            Op::Plain => {}
            Op::Subscribe { channel, asked_len } => {
                let stream = format!("c:{channel}");
                if let Some(account) = self.accounts.get_mut(&stream).filter(|_| self.early.remove(&stream)) {
                    account.confirm(ledger);
                }
                let asked_len = self.left.remove(&stream).unwrap_or(asked_len);
                let account = || Account::open(ledger, self.shard, &stream, asked_len);
                self.accounts.entry(stream.clone()).or_insert_with(account);
            }
            Op::Unsubscribe { channel } => {
                let stream = format!("c:{channel}");
                if let Some(account) = self.accounts.remove(&stream) {
                    self.left.insert(stream, account.earliest());
                }
            }
            Op::Hello { user, asked_len, asked_all_len } => {
                let first = std::mem::take(&mut self.must_sign_in);
                assert_eq!(value.get("user").and_then(Value::as_str), user.as_deref());
                self.user = user;
                if let Some(user) = &self.user {
                    let stream = format!("u:{user}");
                    self.accounts.insert(stream.clone(), Account::open(ledger, self.shard, &stream, asked_len));
                }
                if first {
                    self.accounts.insert("*".into(), Account::open(ledger, self.shard, "*", asked_all_len));
                }
            }
            Op::Every { job } => drop(self.jobs.insert(job, (0, 0))),
            Op::Cancel { job } => drop(self.jobs.remove(&job)),
        }
    }
}

impl Native {
    /// What looked like the first of a subscription was the last of the one before.
    fn take_refusal(&mut self, asked: &Op) {
        let Op::Subscribe { channel, .. } = asked else { return };
        let stream = format!("c:{channel}");
        if self.early.contains(&stream) && self.subscribing(&stream).is_none() {
            self.early.remove(&stream);
            let account = self.accounts.remove(&stream);
            self.left.extend(account.map(|account| (stream, account.earliest())));
        }
    }
}

fn stream_of(value: &Value) -> StreamName {
    match (value.get("channel"), value.get("user")) {
        (Some(channel), _) => format!("c:{}", channel.as_str().expect("text")),
        (_, Some(user)) => format!("u:{}", user.as_str().expect("text")),
        _ => "*".to_owned(),
    }
}
