//! What the engine says to a client: JSON text appended to a buffer, without a frame header.
//!
//! Must not know who asked or when it is sent. `id` is the JSON text of the client's integer as
//! [`ReplyId`](super::ReplyId) holds it; where it is empty the answer carries no `id`.

use std::io::Write as _;
use std::sync::Arc;

use serde_json::value::RawValue;

use crate::close::CloseReason;
use crate::error::Refusal;
use crate::id::SessionId;
use crate::message::{UserName, write_json_string};

/// What the first frame of a session says.
#[derive(Clone, Copy, Debug)]
pub struct Welcome<'a> {
    /// The session's public name.
    pub session: SessionId,
    /// Its user; left out for an anonymous session.
    pub user: Option<&'a UserName>,
    /// The node's name.
    pub node: &'a str,
    /// Milliseconds since 1970.
    pub time_ms: u64,
    /// Silence after which the engine pings.
    pub ping_interval_ms: u64,
}

/// Whose messages a gap is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GapOf<'a> {
    /// A channel's.
    Channel(&'a str),
    /// Those sent to a user.
    User(&'a str),
    /// Those sent to all.
    All,
    /// Those of one of the session's periodic pushes.
    Job(&'a str),
}

/// Why messages will not come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GapReason {
    /// The session did not read them in time.
    SlowConsumer,
    /// They were lost on their way from another node.
    Relay,
}

impl GapReason {
    /// Every reason.
    pub const ALL: [Self; 2] = [Self::SlowConsumer, Self::Relay];

    /// `gap.reason`, and the metric label.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::SlowConsumer => CloseReason::SlowConsumer.word(),
            Self::Relay => "relay",
        }
    }
}

/// How many are there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Online {
    /// Open sessions.
    pub connections: u64,
    /// Distinct users among them.
    pub users: u64,
}

/// Appends `welcome`.
pub fn welcome(out: &mut Vec<u8>, welcome: &Welcome<'_>) {
    let mut frame = Frame::open(out, "welcome", "");
    frame.session(welcome.session);
    if let Some(user) = welcome.user {
        frame.text("user", user.as_str());
    }
    frame.text("node", welcome.node);
    frame.number("time_ms", welcome.time_ms);
    frame.number("ping_interval_ms", welcome.ping_interval_ms);
    frame.close();
}

/// Appends the `ok` that says nothing more.
pub fn ok_plain(out: &mut Vec<u8>, id: &str) {
    Frame::open(out, "ok", id).close();
}

/// Appends the `ok` of `subscribe` and `unsubscribe`.
pub fn ok_channel(out: &mut Vec<u8>, id: &str, channel: &str) {
    let mut frame = Frame::open(out, "ok", id);
    frame.text("channel", channel);
    frame.close();
}

/// Appends the `ok` of `publish` and `send`: how many sessions of this node were reached, and in a cluster whether the
/// other nodes get it.
pub fn ok_local(out: &mut Vec<u8>, id: &str, local: u64, relayed: Option<bool>) {
    let mut frame = Frame::open(out, "ok", id);
    frame.number("local", local);
    if let Some(relayed) = relayed {
        frame.truth("relayed", relayed);
    }
    frame.close();
}

/// Appends the `ok` of `hello`. `user` is left out for an anonymous session.
pub fn ok_signed_in(out: &mut Vec<u8>, id: &str, user: Option<&UserName>, session: SessionId) {
    let mut frame = Frame::open(out, "ok", id);
    if let Some(user) = user {
        frame.text("user", user.as_str());
    }
    frame.session(session);
    frame.close();
}

/// Appends the `ok` of `mute`, `unmute` and `muted`: all muted types of the user.
pub fn ok_types(out: &mut Vec<u8>, id: &str, types: &[Arc<str>]) {
    let mut frame = Frame::open(out, "ok", id);
    frame.texts("types", types.iter().map(AsRef::as_ref));
    frame.close();
}

/// Appends the `ok` of `presence`.
pub fn ok_presence(out: &mut Vec<u8>, id: &str, channel: &str, connections: u64, users: &[UserName]) {
    let mut frame = Frame::open(out, "ok", id);
    frame.text("channel", channel);
    frame.number("connections", connections);
    frame.texts("users", users.iter().map(UserName::as_str));
    frame.close();
}

/// Appends the `ok` of `online`.
pub fn ok_online(out: &mut Vec<u8>, id: &str, node: Online, cluster: Online, nodes: u64) {
    let mut frame = Frame::open(out, "ok", id);
    frame.format("node", format_args!(r#"{{"connections":{},"users":{}}}"#, node.connections, node.users));
    frame.format(
        "cluster",
        format_args!(r#"{{"connections":{},"users":{},"nodes":{nodes}}}"#, cluster.connections, cluster.users),
    );
    frame.close();
}

/// Appends `error`.
pub fn error(out: &mut Vec<u8>, id: &str, refusal: &Refusal) {
    let mut frame = Frame::open(out, "error", id);
    frame.text("code", refusal.code.word());
    frame.text("message", &refusal.message);
    frame.close();
}

/// Appends `reply`: the application's answer to an `ask`.
pub fn reply(out: &mut Vec<u8>, id: &str, data: &RawValue) {
    let mut frame = Frame::open(out, "reply", id);
    frame.json("data", data.get());
    frame.close();
}

/// Appends `pong`.
pub fn pong(out: &mut Vec<u8>, id: &str, time_ms: u64) {
    let mut frame = Frame::open(out, "pong", id);
    frame.number("time_ms", time_ms);
    frame.close();
}

/// Appends `gap`: `count` messages this session will not get.
pub fn gap(out: &mut Vec<u8>, of: GapOf<'_>, count: u64, reason: GapReason) {
    let mut frame = Frame::open(out, "gap", "");
    match of {
        GapOf::Channel(channel) => frame.text("channel", channel),
        GapOf::User(user) => frame.text("user", user),
        GapOf::All => frame.json("all", "true"),
        GapOf::Job(job) => frame.text("job", job),
    }
    frame.number("count", count);
    frame.text("reason", reason.word());
    frame.close();
}

/// Appends `goodbye`. `reason_text` stands in for the reason's word where the application gave one.
pub fn goodbye(out: &mut Vec<u8>, reason: CloseReason, reason_text: Option<&str>, retry_in_ms: u64) {
    let mut frame = Frame::open(out, "goodbye", "");
    frame.number("code", u64::from(reason.code()));
    frame.text("reason", reason_text.unwrap_or(reason.word()));
    frame.truth("reconnect", reason.reconnect());
    frame.number("retry_in_ms", retry_in_ms);
    frame.close();
}

/// Appends one push of a periodic job of the session.
pub fn job(out: &mut Vec<u8>, job: &str, seq: u64, time_ms: u64, data: &RawValue) {
    job_with(out, job, seq, time_ms, |out| out.extend_from_slice(data.get().as_bytes()));
}

/// As [`job`], for data that is written in place: `write_data` appends exactly one JSON value.
pub fn job_with(out: &mut Vec<u8>, job: &str, seq: u64, time_ms: u64, write_data: impl FnOnce(&mut Vec<u8>)) {
    let mut frame = Frame::open(out, "message", "");
    frame.text("job", job);
    frame.number("seq", seq);
    frame.number("time_ms", time_ms);
    frame.key("data");
    write_data(frame.out);
    frame.close();
}

/// An object being written: `op` and `id` first, then its fields in the order they are given.
struct Frame<'o> {
    out: &'o mut Vec<u8>,
}

impl<'o> Frame<'o> {
    fn open(out: &'o mut Vec<u8>, op: &str, id: &str) -> Self {
        debug_assert!(id.is_empty() || super::field::is_id(id), "{id:?} would break the JSON of the answer");
        out.extend_from_slice(br#"{"op":""#);
        out.extend_from_slice(op.as_bytes());
        out.push(b'"');
        let mut frame = Self { out };
        if !id.is_empty() {
            frame.json("id", id);
        }
        frame
    }

    fn close(self) {
        self.out.push(b'}');
    }

    /// Keys are ours, so they need no escaping.
    fn key(&mut self, key: &str) {
        self.out.extend_from_slice(b",\"");
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        write_json_string(self.out, value);
    }

    fn texts<'t>(&mut self, key: &str, values: impl Iterator<Item = &'t str>) {
        self.key(key);
        self.out.push(b'[');
        for (position, value) in values.enumerate() {
            if position > 0 {
                self.out.push(b',');
            }
            write_json_string(self.out, value);
        }
        self.out.push(b']');
    }

    fn json(&mut self, key: &str, value: &str) {
        self.key(key);
        self.out.extend_from_slice(value.as_bytes());
    }

    fn truth(&mut self, key: &str, value: bool) {
        self.json(key, if value { "true" } else { "false" });
    }

    fn number(&mut self, key: &str, value: u64) {
        self.format(key, format_args!("{value}"));
    }

    /// Session names are hexadecimal digits and hyphens, so they need no escaping.
    fn session(&mut self, session: SessionId) {
        self.format("session", format_args!("\"{session}\""));
    }

    fn format(&mut self, key: &str, value: std::fmt::Arguments<'_>) {
        self.key(key);
        self.out.write_fmt(value).expect("a Vec takes every write");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;
    use crate::id::{ConnId, SessionRef, ShardId};

    /// What `write` appends, which must be JSON.
    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = b"before".to_vec();
        write(&mut out);
        let text = String::from_utf8(out).expect("UTF-8");
        let text = text.strip_prefix("before").expect("it appends");
        serde_json::from_str::<serde_json::Value>(text).expect("JSON");
        text.to_owned()
    }

    fn session() -> SessionId {
        let conn = ConnId { index: 10, generation: 3 };
        SessionId { boot: 0xab, at: SessionRef { shard: ShardId(1), conn } }
    }

    fn user(name: &str) -> UserName {
        UserName::parse(name).expect("valid")
    }

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).expect("JSON")
    }

    #[test]
    fn welcome_names_session_user_and_node() {
        let user = user("4\"2");
        let mut said =
            Welcome { session: session(), user: Some(&user), node: "n1", time_ms: 5, ping_interval_ms: 25_000 };
        assert_eq!(
            written(|out| welcome(out, &said)),
            r#"{"op":"welcome","session":"ab-1-a-3","user":"4\"2","node":"n1","time_ms":5,"ping_interval_ms":25000}"#
        );
        said.user = None;
        assert_eq!(
            written(|out| welcome(out, &said)),
            r#"{"op":"welcome","session":"ab-1-a-3","node":"n1","time_ms":5,"ping_interval_ms":25000}"#
        );
    }

    #[test]
    fn ok_carries_what_each_command_answers() {
        let (node, cluster) = (Online { connections: 3, users: 2 }, Online { connections: 8, users: 6 });
        for (text, expected) in [
            (written(|out| ok_plain(out, "6")), r#"{"op":"ok","id":6}"#),
            (written(|out| ok_channel(out, "2", "news")), r#"{"op":"ok","id":2,"channel":"news"}"#),
            (written(|out| ok_local(out, "-4", 3, None)), r#"{"op":"ok","id":-4,"local":3}"#),
            (written(|out| ok_local(out, "4", 0, Some(true))), r#"{"op":"ok","id":4,"local":0,"relayed":true}"#),
            (written(|out| ok_local(out, "4", 1, Some(false))), r#"{"op":"ok","id":4,"local":1,"relayed":false}"#),
            (
                written(|out| ok_signed_in(out, "1", Some(&user("42")), session())),
                r#"{"op":"ok","id":1,"user":"42","session":"ab-1-a-3"}"#,
            ),
            (written(|out| ok_signed_in(out, "", None, session())), r#"{"op":"ok","session":"ab-1-a-3"}"#),
            (
                written(|out| ok_types(out, "9", &["promo".into(), "a\\b".into()])),
                r#"{"op":"ok","id":9,"types":["promo","a\\b"]}"#,
            ),
            (written(|out| ok_types(out, "9", &[])), r#"{"op":"ok","id":9,"types":[]}"#),
            (
                written(|out| ok_presence(out, "12", "room.7", 3, &[user("7"), user("9")])),
                r#"{"op":"ok","id":12,"channel":"room.7","connections":3,"users":["7","9"]}"#,
            ),
            (
                written(|out| ok_online(out, "11", node, cluster, 2)),
                r#"{"op":"ok","id":11,"node":{"connections":3,"users":2},"cluster":{"connections":8,"users":6,"nodes":2}}"#,
            ),
        ] {
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn an_answer_to_a_frame_without_id_has_none() {
        assert_eq!(written(|out| ok_plain(out, "")), r#"{"op":"ok"}"#);
        assert_eq!(written(|out| pong(out, "", 7)), r#"{"op":"pong","time_ms":7}"#);
    }

    #[test]
    fn every_error_code_has_its_word() {
        for (code, word) in [
            (ErrorCode::BadRequest, "bad_request"),
            (ErrorCode::Unauthorized, "unauthorized"),
            (ErrorCode::Forbidden, "forbidden"),
            (ErrorCode::NotFound, "not_found"),
            (ErrorCode::TooLarge, "too_large"),
            (ErrorCode::RateLimited, "rate_limited"),
            (ErrorCode::LimitReached, "limit_reached"),
            (ErrorCode::Unavailable, "unavailable"),
            (ErrorCode::Internal, "internal"),
        ] {
            assert_eq!(
                written(|out| error(out, "2", &Refusal::new(code, "\"why\""))),
                format!(r#"{{"op":"error","id":2,"code":"{word}","message":"\"why\""}}"#)
            );
        }
    }

    #[test]
    fn reply_and_pong_answer_ask_and_ping() {
        assert_eq!(
            written(|out| reply(out, "10", &raw("{ \"n\": 1.0 }"))),
            r#"{"op":"reply","id":10,"data":{ "n": 1.0 }}"#
        );
        assert_eq!(written(|out| pong(out, "13", 7)), r#"{"op":"pong","id":13,"time_ms":7}"#);
    }

    #[test]
    fn gap_names_whose_messages_are_missing() {
        for (of, field) in [
            (GapOf::Channel("news"), r#""channel":"news""#),
            (GapOf::User("42"), r#""user":"42""#),
            (GapOf::All, r#""all":true"#),
        ] {
            for (reason, word) in [(GapReason::SlowConsumer, "slow_consumer"), (GapReason::Relay, "relay")] {
                let expected = format!(r#"{{"op":"gap",{field},"count":3,"reason":"{word}"}}"#);
                assert_eq!(written(|out| gap(out, of, 3, reason)), expected);
            }
        }
    }

    #[test]
    fn goodbye_says_whether_to_come_back() {
        assert_eq!(
            written(|out| goodbye(out, CloseReason::Replaced, None, 0)),
            r#"{"op":"goodbye","code":4001,"reason":"replaced","reconnect":false,"retry_in_ms":0}"#
        );
        assert_eq!(
            written(|out| goodbye(out, CloseReason::Drain, None, 1_200)),
            r#"{"op":"goodbye","code":1001,"reason":"drain","reconnect":true,"retry_in_ms":1200}"#
        );
        assert_eq!(
            written(|out| goodbye(out, CloseReason::Application(4_100), Some("bye\n"), 0)),
            r#"{"op":"goodbye","code":4100,"reason":"bye\n","reconnect":false,"retry_in_ms":0}"#
        );
    }

    #[test]
    fn a_periodic_push_counts_from_0() {
        let expected = r#"{"op":"message","job":"time","seq":0,"time_ms":9,"data":[1]}"#;
        assert_eq!(written(|out| job(out, "time", 0, 9, &raw("[1]"))), expected);
        assert_eq!(written(|out| job_with(out, "time", 0, 9, |out| out.extend_from_slice(b"[1]"))), expected);
    }
}
