//! What is pushed: names, targets, publications, and the only encoder of a push.
//!
//! Knows nothing of who receives it.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::limits::{CHANNEL_NAME_BYTES_MAX, DATA_DEPTH_MAX, USER_NAME_BYTES_MAX};
use crate::wire::websocket::text_frame;

/// A channel's name: 1 to [`CHANNEL_NAME_BYTES_MAX`] bytes of letters, digits and `._-:/#@`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ChannelName(Arc<str>);

impl ChannelName {
    /// The name, if it is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:/#@".contains(&byte);
        let valid = (1..=CHANNEL_NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(allowed);
        valid.then(|| Self(text.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What rules are looked up by: the part before the first `.`, or the whole name without one.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.0.split_once('.').map_or(&self.0, |(namespace, _)| namespace)
    }
}

impl fmt::Display for ChannelName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for ChannelName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// A user's name: 1 to [`USER_NAME_BYTES_MAX`] bytes of UTF-8 without control characters.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct UserName(Arc<str>);

impl UserName {
    /// The name, if it is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let valid = (1..=USER_NAME_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control);
        valid.then(|| Self(text.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for UserName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Whom a publication is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// Every session of these users.
    Users(Vec<UserName>),
    /// Every subscriber of these channels.
    Channels(Vec<ChannelName>),
    /// Every open session.
    All,
}

impl Target {
    /// The metric label: `user`, `channel` or `all`.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Users(_) => "user",
            Self::Channels(_) => "channel",
            Self::All => "all",
        }
    }
}

/// What a publisher says, before it is encoded.
#[derive(Clone, Debug)]
pub struct Draft {
    /// For whom.
    pub to: Target,
    /// The publication's name: the idempotency key, or one the engine gave.
    pub id: Option<Arc<str>>,
    /// The message type, which users can mute.
    pub kind: Option<Arc<str>>,
    /// The module of the application it comes from.
    pub module: Option<Arc<str>>,
    /// The user who sent it, when a client did.
    pub from: Option<UserName>,
    /// The payload: any JSON, passed through untouched.
    pub data: Box<RawValue>,
}

impl Draft {
    /// A draft of nothing but a target and a payload.
    #[must_use]
    pub fn new(to: Target, data: Box<RawValue>) -> Self {
        Self { to, id: None, kind: None, module: None, from: None, data }
    }
}

/// A message on its way: encoded once, shared by every shard.
pub struct Publication {
    /// For whom.
    pub to: Target,
    /// The type, for the users who muted it.
    pub kind: Option<Arc<str>>,
    /// When the engine accepted it, in [`crate::now::Now::monotonic_us`] of this node. Shared by everything that still
    /// has to write it: whoever lets go of it last was the last to write.
    pub accepted_us: Arc<u64>,
    /// Whole WebSocket text frames: one per user or channel of `to` in its order, one for [`Target::All`].
    pub frames: Vec<Bytes>,
    /// Released when the last shard is done with the message: how the engine counts the bytes under way.
    pub permit: Option<Box<dyn Any + Send + Sync>>,
}

impl Publication {
    /// Encodes `draft` for every client: the only place where a push becomes bytes.
    #[must_use]
    pub fn encode(draft: &Draft, now: crate::now::Now) -> Self {
        let frame = |key: &str, name: &str| text_frame(|out| draft.write_message(out, key, name, now.unix_ms));
        let frames = match &draft.to {
            Target::Users(users) => users.iter().map(|user| frame("user", user.as_str())).collect(),
            Target::Channels(channels) => channels.iter().map(|channel| frame("channel", channel.as_str())).collect(),
            Target::All => vec![frame("", "")],
        };
        Self {
            to: draft.to.clone(),
            kind: draft.kind.clone(),
            accepted_us: Arc::new(now.monotonic_us),
            frames,
            permit: None,
        }
    }

    /// Bytes of all frames: what it weighs while it waits.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.frames.iter().map(Bytes::len).sum()
    }
}

impl Draft {
    fn write_message(&self, out: &mut Vec<u8>, key: &str, name: &str, time_ms: u64) {
        out.extend_from_slice(br#"{"op":"message""#);
        let mut field = |key: &str, value: Option<&str>| {
            let Some(value) = value else { return };
            out.extend_from_slice(b",\"");
            out.extend_from_slice(key.as_bytes());
            out.extend_from_slice(b"\":");
            write_json_string(out, value);
        };
        field(key, (!key.is_empty()).then_some(name));
        field("id", self.id.as_deref());
        field("type", self.kind.as_deref());
        field("module", self.module.as_deref());
        field("from", self.from.as_ref().map(UserName::as_str));
        out.extend_from_slice(b",\"time_ms\":");
        out.extend_from_slice(time_ms.to_string().as_bytes());
        out.extend_from_slice(b",\"data\":");
        out.extend_from_slice(self.data.get().as_bytes());
        out.push(b'}');
    }
}

/// Whether JSON that is passed on is nested deeper than [`DATA_DEPTH_MAX`]. The text must be JSON.
#[must_use]
pub fn is_too_deep(json: &RawValue) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    json.get().bytes().any(|byte| {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'[' | b'{') => depth += 1,
            (false, b']' | b'}') => depth -= 1,
            _ => {}
        }
        depth > DATA_DEPTH_MAX
    })
}

/// Appends `text` as a JSON string, quotes included.
pub fn write_json_string(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a str always serializes into a Vec");
}

impl fmt::Debug for Publication {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Publication").field("to", &self.to).field("kind", &self.kind).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::now::Now;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.into()).expect("test JSON")
    }

    fn text(frame: &Bytes) -> &str {
        std::str::from_utf8(&frame[2..]).expect("UTF-8")
    }

    #[test]
    fn depth_counts_brackets_outside_of_strings() {
        let nested = |depth: usize| raw(&format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
        assert!(!is_too_deep(&nested(DATA_DEPTH_MAX)));
        assert!(is_too_deep(&nested(DATA_DEPTH_MAX + 1)));
        assert!(!is_too_deep(&raw(&format!(r#"["\"{}\\", {{}}]"#, "[{".repeat(200)))));
        let flat = "[],".repeat(1_000);
        assert!(!is_too_deep(&raw(&format!("[{}1]", flat))));
    }

    #[test]
    fn channel_names_are_letters_digits_and_seven_signs() {
        for name in ["a", "room.7", "A-Z_0:9/#@", &"x".repeat(128)] {
            assert!(ChannelName::parse(name).is_some(), "{name}");
        }
        for name in ["", " ", "a b", "é", "a*", "a\n", &"x".repeat(129)] {
            assert!(ChannelName::parse(name).is_none(), "{name}");
        }
    }

    #[test]
    fn the_namespace_ends_at_the_first_dot() {
        assert_eq!(ChannelName::parse("room.7.a").expect("valid").namespace(), "room");
        assert_eq!(ChannelName::parse("news").expect("valid").namespace(), "news");
    }

    #[test]
    fn a_channel_message_names_its_channel_and_keeps_its_payload_byte_for_byte() {
        let to = Target::Channels(vec![ChannelName::parse("news").expect("valid")]);
        let mut draft = Draft::new(to, raw(r#"{ "n": 1.50 }"#));
        draft.kind = Some("head\"line".into());
        let publication = Publication::encode(&draft, Now { monotonic_us: 5, unix_ms: 7 });
        assert_eq!(
            text(&publication.frames[0]),
            r#"{"op":"message","channel":"news","type":"head\"line","time_ms":7,"data":{ "n": 1.50 }}"#
        );
    }

    #[test]
    fn every_addressed_user_gets_a_frame_of_its_own() {
        let to = Target::Users(["7", "9"].iter().filter_map(|user| UserName::parse(user)).collect());
        let publication = Publication::encode(&Draft::new(to, raw("1")), Now::default());
        assert_eq!(text(&publication.frames[1]), r#"{"op":"message","user":"9","time_ms":0,"data":1}"#);
    }
}
