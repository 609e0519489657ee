//! Request bodies: JSON in, checked values out. Past here names are valid and targets within their limits.
//!
//! Unknown fields are ignored. Knows nothing of what is done with a body.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use epush_core::error::{ErrorCode, Refusal};
use epush_core::limits::{CHANNELS_PER_PUSH_MAX, DATA_DEPTH_MAX, USERS_PER_PUSH_MAX, WORD_BYTES_MAX};
use epush_core::message::{ChannelName, Draft, Target, UserName, is_too_deep};
use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// `to` of a push or a schedule, as it came.
#[derive(Deserialize)]
pub struct ToBody<'a> {
    #[serde(borrow)]
    users: Option<Vec<Name<'a>>>,
    channels: Option<Vec<String>>,
    all: Option<bool>,
}

/// A user's name, or the integer that is one.
struct Name<'a>(Cow<'a, str>);

#[derive(Deserialize)]
struct PushBody<'a> {
    #[serde(borrow)]
    to: ToBody<'a>,
    #[serde(rename = "type")]
    kind: Option<String>,
    module: Option<String>,
    id: Option<String>,
    #[serde(borrow)]
    from: Option<Name<'a>>,
    // `null` is a payload too: an Option would take it for an absent field.
    #[serde(default, deserialize_with = "present")]
    data: Option<Box<RawValue>>,
}

/// The draft a push body says. [`Draft::id`] is its idempotency key.
pub fn push(body: &[u8]) -> Result<Draft, Refusal> {
    let body: PushBody<'_> = parse(body)?;
    Ok(Draft {
        to: target(body.to)?,
        id: word("id", body.id)?,
        kind: word("type", body.kind)?,
        module: word("module", body.module)?,
        from: body.from.map(|name| user(&name.0)).transpose()?,
        data: shallow(body.data.ok_or_else(|| bad("data is missing"))?)?,
    })
}

/// The muted types a body says, each once, in order.
pub fn mutes(body: &[u8]) -> Result<Vec<Arc<str>>, Refusal> {
    #[derive(Deserialize)]
    struct Body {
        types: Vec<String>,
    }
    let Body { types } = parse(body)?;
    let words: Result<Vec<_>, _> = types.into_iter().map(|kind| a_word("a type", &kind)).collect();
    Ok(unique(words?))
}

/// JSON of a shape, or a sentence that says where it is not.
pub fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| bad(format!("the body is not as it should be: {error}")))
}

/// Whom a body addresses: exactly one kind, each name once, in order.
pub fn target(to: ToBody<'_>) -> Result<Target, Refusal> {
    match (to.users, to.channels, to.all.unwrap_or(false)) {
        (Some(names), None, false) => {
            within("to.users", names.len(), USERS_PER_PUSH_MAX)?;
            let users: Result<Vec<_>, _> = names.iter().map(|name| user(&name.0)).collect();
            Ok(Target::Users(unique(users?)))
        }
        (None, Some(names), false) => {
            within("to.channels", names.len(), CHANNELS_PER_PUSH_MAX)?;
            let channels: Result<Vec<_>, _> = names.iter().map(|name| channel(name)).collect();
            Ok(Target::Channels(unique(channels?)))
        }
        (None, None, true) => Ok(Target::All),
        _ => Err(bad("to must have exactly one of users, channels and all:true")),
    }
}

/// A user's name from outside.
pub fn user(name: &str) -> Result<UserName, Refusal> {
    UserName::parse(name).ok_or_else(|| bad("a user's name is 1 to 256 bytes without control characters"))
}

/// A channel's name from outside.
pub fn channel(name: &str) -> Result<ChannelName, Refusal> {
    ChannelName::parse(name).ok_or_else(|| bad("a channel's name is 1 to 128 letters, digits and any of . _ - : / # @"))
}

/// A type, module, id or schedule name, if it was given.
pub fn word(field: &str, text: Option<String>) -> Result<Option<Arc<str>>, Refusal> {
    text.map(|text| a_word(field, &text)).transpose()
}

/// A type, module, id or schedule name.
pub fn a_word(field: &str, text: &str) -> Result<Arc<str>, Refusal> {
    if (1..=WORD_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control) {
        Ok(text.into())
    } else {
        Err(bad(format!("{field} must be 1 to {WORD_BYTES_MAX} bytes without control characters")))
    }
}

/// A field that may be `null` and still be there.
pub fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::deserialize(from).map(Some)
}

/// The request itself is wrong.
pub fn bad(message: impl Into<Cow<'static, str>>) -> Refusal {
    Refusal::new(ErrorCode::BadRequest, message)
}

fn shallow(data: Box<RawValue>) -> Result<Box<RawValue>, Refusal> {
    if is_too_deep(&data) {
        return Err(bad(format!("data is nested more than {DATA_DEPTH_MAX} deep")));
    }
    Ok(data)
}

fn within(field: &str, names: usize, most: usize) -> Result<(), Refusal> {
    match names {
        0 => Err(bad(format!("{field} is empty"))),
        names if names > most => {
            Err(Refusal::new(ErrorCode::TooLarge, format!("{field} has {names} names; one push takes {most}")))
        }
        _ => Ok(()),
    }
}

/// A name twice would be a message twice.
fn unique<T: Clone + Eq + Hash>(mut names: Vec<T>) -> Vec<T> {
    let mut seen = HashSet::with_capacity(names.len());
    names.retain(|name| seen.insert(name.clone()));
    names
}

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Cow<'de, str>;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a user's name or an integer")
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(text.into())
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(text.to_owned().into())
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
                Ok(number.to_string().into())
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
                Ok(number.to_string().into())
            }
        }
        from.deserialize_any(Either).map(Name)
    }
}

/// A target as it is written in bodies.
pub struct Shown<'a>(pub &'a Target);

impl Serialize for Shown<'_> {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = to.serialize_map(Some(1))?;
        match self.0 {
            Target::Users(users) => {
                map.serialize_entry("users", &users.iter().map(UserName::as_str).collect::<Vec<_>>())?;
            }
            Target::Channels(channels) => {
                map.serialize_entry("channels", &channels.iter().map(ChannelName::as_str).collect::<Vec<_>>())?;
            }
            Target::All => map.serialize_entry("all", &true)?,
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(body: &str, code: ErrorCode, words: &str) {
        let refusal = push(body.as_bytes()).expect_err(body);
        assert_eq!(refusal.code, code, "{body}");
        assert!(refusal.message.contains(words), "{body}: {}", refusal.message);
    }

    fn users(target: &Target) -> Vec<&str> {
        let Target::Users(users) = target else { panic!("{target:?} is no users") };
        users.iter().map(UserName::as_str).collect()
    }

    #[test]
    fn a_whole_body_becomes_a_draft() {
        let body = r#"{"to":{"users":["7",42,-1,"a\"b",7]},"type":"t","module":"m","id":"i","from":9,"data":{ "x" : 1.0 },"more":[]}"#;
        let draft = push(body.as_bytes()).expect("valid");
        assert_eq!(users(&draft.to), ["7", "42", "-1", "a\"b"]);
        assert_eq!(
            (draft.kind.as_deref(), draft.module.as_deref(), draft.id.as_deref()),
            (Some("t"), Some("m"), Some("i"))
        );
        assert_eq!(draft.from.as_ref().map(UserName::as_str), Some("9"));
        assert_eq!(draft.data.get(), r#"{ "x" : 1.0 }"#);
    }

    #[test]
    fn null_is_a_payload_and_nothing_is_not() {
        assert_eq!(push(br#"{"to":{"all":true},"data":null}"#).expect("valid").data.get(), "null");
        refused(r#"{"to":{"all":true}}"#, ErrorCode::BadRequest, "data is missing");
    }

    #[test]
    fn exactly_one_kind_of_target_is_taken() {
        for to in [
            r#"{}"#,
            r#"{"all":false}"#,
            r#"{"user":"42"}"#,
            r#"{"all":true,"users":["1"]}"#,
            r#"{"users":["1"],"channels":["news"]}"#,
        ] {
            refused(&format!(r#"{{"to":{to},"data":1}}"#), ErrorCode::BadRequest, "exactly one");
        }
        refused(r#"{"data":1}"#, ErrorCode::BadRequest, "missing field `to`");
        refused(r#"{"to":{"users":[]},"data":1}"#, ErrorCode::BadRequest, "to.users is empty");
        refused(r#"{"to":{"channels":[]},"data":1}"#, ErrorCode::BadRequest, "to.channels is empty");
    }

    #[test]
    fn names_that_are_none_are_refused() {
        refused(r#"{"to":{"users":[""]},"data":1}"#, ErrorCode::BadRequest, "user's name");
        refused(r#"{"to":{"users":["a\n"]},"data":1}"#, ErrorCode::BadRequest, "user's name");
        refused(r#"{"to":{"users":[1.5]},"data":1}"#, ErrorCode::BadRequest, "integer");
        refused(r#"{"to":{"channels":["a b"]},"data":1}"#, ErrorCode::BadRequest, "channel's name");
        refused(r#"{"to":{"all":true},"type":"","data":1}"#, ErrorCode::BadRequest, "type must be");
        let long = "x".repeat(WORD_BYTES_MAX + 1);
        refused(&format!(r#"{{"to":{{"all":true}},"id":"{long}","data":1}}"#), ErrorCode::BadRequest, "id must be");
    }

    #[test]
    fn more_names_than_the_limit_are_too_large() {
        let names = vec!["1"; USERS_PER_PUSH_MAX + 1].join(",");
        refused(&format!(r#"{{"to":{{"users":[{names}]}},"data":1}}"#), ErrorCode::TooLarge, "10001 names");
        let names = vec![r#""a""#; CHANNELS_PER_PUSH_MAX + 1].join(",");
        refused(&format!(r#"{{"to":{{"channels":[{names}]}},"data":1}}"#), ErrorCode::TooLarge, "1001 names");
    }

    #[test]
    fn what_is_no_json_object_is_refused_with_the_place() {
        for body in ["", "{", "[]", "nonsense", r#"{"to":{"all":true},"data":}"#, r#"{"to":7,"data":1}"#] {
            refused(body, ErrorCode::BadRequest, "line 1 column");
        }
        assert!(push(b"{\"to\":{\"all\":true},\"data\":\"\xff\"}").is_err());
        let deep = format!(r#"{{"to":{}{},"data":1}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert!(push(deep.as_bytes()).is_err());
    }

    #[test]
    fn a_payload_too_deep_for_other_parsers_is_refused_without_recursion() {
        let data = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        refused(&format!(r#"{{"to":{{"all":true}},"data":{data}}}"#), ErrorCode::BadRequest, "nested");
    }

    #[test]
    fn muted_types_come_out_once_each() {
        let types = mutes(br#"{"types":["promo","news","promo"]}"#).expect("valid");
        assert_eq!(types.iter().map(|kind| &**kind).collect::<Vec<_>>(), ["promo", "news"]);
        assert!(mutes(br#"{"types":[""]}"#).is_err());
        assert!(mutes(br#"{"types":[7]}"#).is_err());
        assert!(mutes(b"{}").is_err());
    }
}
