//! The engine and the application around the shards: what becomes of every effect.

use epush_core::effect::{Asker, Effect, Handshake};
use epush_core::error::{ErrorCode, Refusal};
use epush_core::http::{Request, Response};
use epush_core::id::ConnId;
use epush_core::mail::{Answer, Identity, Mail, Question, Verdict};
use epush_core::message::{ChannelName, Draft, Target, UserName};
use epush_core::page::ChannelRange;
use epush_core::shard::{Door, JobRequest};
use serde_json::Value;
use serde_json::value::RawValue;

use super::native::CHANNELS;
use super::peer::Peer;
use super::world::World;

pub fn raw(json: String) -> Box<RawValue> {
    RawValue::from_string(json).expect("JSON")
}

impl World {
    /// Drains what a call into the shard asked for.
    pub fn effects(&mut self, shard: usize) {
        while let Some(effect) = self.shards[shard].poll_effect() {
            self.effect(shard, effect);
        }
    }

    fn effect(&mut self, shard: usize, effect: Effect) {
        match effect {
            Effect::Publish { draft, asker } if self.random.one_in(30) => {
                drop(draft);
                let refusal = Refusal::new(ErrorCode::Unavailable, "too much under way");
                self.shards[shard].refuse(self.now, asker, refusal);
            }
            Effect::Publish { draft, asker } => self.publish(shard, &draft, asker),
            Effect::Send { to, mail } => {
                assert_ne!(usize::from(to.0), shard, "mail to oneself stays inside");
                self.mail[usize::from(to.0)].push_back(mail);
            }
            Effect::AskAll { question, asker } => self.ask_all(shard, &question, asker),
            Effect::Cluster(call) => self.call(shard, call),
            Effect::Handshake(handshake) => {
                let mail = Mail::Verdict { conn: handshake.conn, verdict: verdict(&handshake, self.now.unix_ms) };
                self.send_later(shard, 2_000_000, mail);
            }
            Effect::Hello { conn, token } => {
                let verdict = hello(&token);
                self.send_later(shard, 500_000, Mail::Verdict { conn, verdict });
            }
            Effect::Opened(conn) => {
                assert!(self.shards[shard].view(conn).is_some());
                self.opened += 1;
            }
            Effect::Closed { .. } => self.ended += 1,
            Effect::Ask { conn, id, data, .. } => {
                let outcome = if self.random.one_in(4) {
                    Err(Refusal::new(ErrorCode::NotFound, "no such order"))
                } else {
                    Ok(data)
                };
                self.send_later(shard, 1_000_000, Mail::Reply { conn, id, outcome });
            }
            Effect::Binary { .. } | Effect::Behind { .. } => {}
            Effect::Every { conn, id, job, interval_ms, args } => {
                let request = JobRequest { conn, id: &id, job: &job, interval_ms, args };
                self.shards[shard].start_job(self.now, request, &*job != "unknown");
            }
            Effect::Tick { conn, job, seq, .. } => {
                let data = raw(format!(r#""{}""#, "t".repeat(self.random.below(200))));
                self.shards[shard].push_job(self.now, conn, &job, seq, &data);
            }
            Effect::Request { conn, request } => self.request(shard, conn, &request),
            Effect::Answered { asker, answer } => self.answered(shard, &asker, &answer),
            Effect::Resume(conn) => {
                if let Some(link) = self.link(shard, conn) {
                    (link.ready, link.parked) = (true, false);
                }
            }
            Effect::ShutdownWrite(conn) => {
                let link = self.link(shard, conn).expect("a live connection");
                assert!(!link.shut && !link.closed);
                link.shut = true;
            }
            Effect::Close { conn, .. } => {
                let link = self.link(shard, conn).expect("a live connection");
                assert!(!link.closed, "a socket is closed once");
                link.closed = true;
                link.ready = false;
                link.arrived.clear();
                self.stale.push((shard, conn));
            }
        }
    }

    fn link(&mut self, shard: usize, conn: ConnId) -> Option<&mut super::link::Link> {
        let number = self.by_conn.get(&(shard, conn))?;
        self.links.get_mut(*number)
    }

    pub fn send_later(&mut self, shard: usize, within_us: usize, mail: Mail) {
        let due_us = self.now.monotonic_us + self.random.below(within_us) as u64;
        self.later.push((due_us, shard, mail));
    }

    /// An API request: answered at once, later, or when all shards have answered.
    fn request(&mut self, shard: usize, conn: ConnId, request: &Request) {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let Some(number) = body.get("n").and_then(Value::as_u64) else {
            let refusal = Response::json(400, r#"{"error":{"code":"bad_request"}}"#);
            return self.shards[shard].respond(self.now, conn, &refusal);
        };
        let response = Response::json(200, format!(r#"{{"n":{number}}}"#));
        let how = body["how"].as_str().expect("how");
        if matches!(how, "push" | "ask") {
            let tag = self.ledger.number();
            self.api_asked.insert(tag, (shard, conn, number));
            let asker = Asker::Api { conn, tag };
            if how == "push" {
                let draft = self.draft(shard);
                self.publish(shard, &draft, asker);
            } else {
                let user = UserName::parse("1").expect("valid");
                let channel = ChannelName::parse("news").expect("valid");
                let kick = self.random.one_in(10);
                let question = match self.random.below(4) {
                    0 if kick => Question::Kick(user),
                    0 => Question::User(user),
                    1 => {
                        let range = ChannelRange { prefix: "".into(), after: "".into(), channels_max: 2 };
                        Question::Channels(range)
                    }
                    2 => Question::Channel { channel, members: true },
                    _ => Question::Counters,
                };
                self.ask_all(shard, &question, asker);
            }
        } else if how == "now" {
            self.shards[shard].respond(self.now, conn, &response);
        } else {
            self.send_later(shard, 300_000, Mail::Respond { conn, response });
        }
    }

    fn answered(&mut self, shard: usize, asker: &Asker, _: &Answer) {
        let Asker::Api { tag, .. } = asker else { panic!("clients are answered by their shard") };
        let Some((at, conn, number)) = self.api_asked.remove(tag) else { return };
        assert_eq!(at, shard);
        let response = Response::json(200, format!(r#"{{"n":{number}}}"#));
        self.shards[shard].respond(self.now, conn, &response);
    }

    /// Something the back end publishes through this shard.
    pub fn draft(&mut self, shard: usize) -> Draft {
        let channel = |name: &str| ChannelName::parse(name).expect("valid");
        let user = |name: &str| UserName::parse(name).expect("valid");
        let to = match self.random.below(6) {
            0 => Target::All,
            1 => Target::Users(vec![user("2"), user("1")]),
            2 => Target::Channels(vec![channel("news"), channel("last.1")]),
            _ => Target::Channels(vec![channel(self.random.pick::<&str>(&CHANNELS))]),
        };
        let pad = "z".repeat(if self.random.one_in(12) { self.random.below(9_000) } else { self.random.below(100) });
        let data = raw(format!(r#"{{"n":{},"p":"node{shard}","pad":"{pad}"}}"#, self.ledger.number()));
        let mut draft = Draft::new(to, data);
        draft.kind = self.random.one_in(4).then(|| "promo".into());
        draft
    }

    /// Every session that says it is live, with its user.
    pub fn live_users(&self) -> impl Iterator<Item = &str> {
        self.links.iter().filter(|link| !link.closed && link.end.is_none()).filter_map(|link| match &link.peer {
            Peer::Native(native) if native.is_live() => native.user.as_deref(),
            _ => None,
        })
    }

    /// Calls with names of connections that are gone: nothing may happen.
    pub fn use_stale_names(&mut self) {
        if self.stale.is_empty() {
            return;
        }
        let (shard, conn) = *self.random.pick(&self.stale);
        let now = self.now;
        let doors = self.shards[shard].gauges();
        match self.random.below(9) {
            0 => self.shards[shard].handle_bytes(now, conn, &mut b"GET / HTTP/1.1\r\n".to_vec()),
            1 => self.shards[shard].handle_end(now, conn, epush_core::shard::End::Eof),
            2 => self.shards[shard].handle_writable(now, conn),
            3 => self.shards[shard].handle_sent(now, conn, 0, false),
            4 => self.shards[shard].handle_mail(now, Mail::Verdict { conn, verdict: hello("u1") }),
            5 => self.shards[shard].handle_mail(now, Mail::SignedIn { conn, mutes: None }),
            6 => {
                self.shards[shard].handle_mail(now, Mail::Reply { conn, id: "1".into(), outcome: Ok(raw("1".into())) })
            }
            7 => self.shards[shard].respond(now, conn, &Response::text(200, "late")),
            _ => {
                let request = JobRequest { conn, id: "1", job: "time", interval_ms: 1_000, args: None };
                self.shards[shard].start_job(now, request, true);
                self.shards[shard].push_job(now, conn, "time", 0, &raw("1".into()));
            }
        }
        assert!(self.shards[shard].poll_effect().is_none(), "a stale name has no effect");
        assert_eq!(self.shards[shard].gauges(), doors);
        assert!(!self.shards[shard].wants_read(conn));
    }

    /// Which listener a peer comes through.
    pub fn door(peer: &Peer) -> Door {
        if matches!(peer, Peer::Api(_)) { Door::Api } else { Door::Client }
    }
}

fn verdict(handshake: &Handshake, unix_ms: u64) -> Verdict {
    let asks = |word: &str| handshake.query.iter().any(|(key, _)| **key == *word);
    if asks("refuse") {
        return Verdict::Refuse { status: 403, message: "not you".into() };
    }
    let channels = if asks("join") { vec![ChannelName::parse("news").expect("valid")] } else { Vec::new() };
    let expires = handshake.conn.generation % 5 == 4;
    Verdict::Accept(Identity {
        user: handshake.claimed_user.clone(),
        attributes: expires.then(|| raw(r#"{"role":"x"}"#.into())),
        channels,
        expires_unix_ms: expires.then_some(unix_ms + 6_000),
        must_sign_in: asks("must"),
    })
}

fn hello(token: &str) -> Verdict {
    match token.strip_prefix('u') {
        Some(user) => Verdict::Accept(Identity { user: UserName::parse(user), ..Identity::default() }),
        None if token == "anon" => Verdict::Accept(Identity::default()),
        None => Verdict::Refuse { status: 401, message: "a bad token".into() },
    }
}
