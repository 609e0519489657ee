//! Reading values: whatever Redis, or a script of another version, answers, nothing here panics.
//!
//! Maps come as maps or as flat arrays (scripts speak RESP2 inside), numbers as numbers or as text.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use epush_core::mail::Mutes;
use epush_core::relay::{Head, NodeId};
use redis::Value;

/// Why a reply says nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ReplyError {
    /// Redis refused, or the script failed: its words.
    Refused(String),
    /// It is not what this call is answered by.
    Odd(&'static str),
}

impl fmt::Display for ReplyError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(words) => write!(out, "Redis says {words}"),
            Self::Odd(expected) => write!(out, "Redis answered something else than {expected}"),
        }
    }
}

impl std::error::Error for ReplyError {}

/// A whole number that is not negative.
///
/// # Errors
/// [`ReplyError`]: it is another value. Nil counts as 0: a counter that nobody has counted with yet.
pub fn count(value: &Value) -> Result<u64, ReplyError> {
    match value {
        Value::Nil => Ok(0),
        other => integer(other).map(|count| count.try_into().unwrap_or(0)),
    }
}

/// Yes or no.
///
/// # Errors
/// [`ReplyError`]: it is not a number.
pub fn flag(value: &Value) -> Result<bool, ReplyError> {
    integer(value).map(|number| number != 0)
}

/// How many nodes a message to a user went to; none: the user is not online anywhere.
///
/// # Errors
/// [`ReplyError`]: it is not a number.
pub fn reach(value: &Value) -> Result<Option<u64>, ReplyError> {
    integer(value).map(|nodes| nodes.try_into().ok())
}

/// What was sent to a stream, by all but one node: the reader itself, to whom nothing of its own is sent.
///
/// Fields that are not heads are other things of the same hash.
///
/// # Errors
/// [`ReplyError`]: it is no hash.
pub fn heads(value: &Value, except: NodeId) -> Result<Vec<Head>, ReplyError> {
    let heads = pairs(value)?.into_iter().filter_map(|(field, value)| head(text(field).ok()?, text(value).ok()?));
    Ok(heads.filter(|head| head.origin != except).collect())
}

/// A user's muted types.
///
/// # Errors
/// [`ReplyError`]: it is no list of texts.
pub fn mutes(value: &Value) -> Result<Mutes, ReplyError> {
    let mut types = items(value)?.iter().map(|kind| text(kind).map(Arc::from)).collect::<Result<Vec<Arc<str>>, _>>()?;
    types.sort();
    Ok(types.into())
}

/// One field of a hash with heads: `h:<origin>` -> `<generation>:<first>:<last>`, and maybe more.
fn head(field: &str, value: &str) -> Option<Head> {
    let origin = NodeId::from_str_radix(field.strip_prefix("h:")?, 16).ok()?;
    let mut numbers = value.split(':');
    let mut next = || numbers.next();
    Some(Head { origin, generation: next()?.parse().ok()?, first: next()?.parse().ok()?, last: next()?.parse().ok()? })
}

pub(super) fn integer(value: &Value) -> Result<i64, ReplyError> {
    match value {
        Value::Int(number) => Ok(*number),
        other => parsed(other, "a number"),
    }
}

/// A text that says a `T`.
pub(super) fn parsed<T: FromStr>(value: &Value, expected: &'static str) -> Result<T, ReplyError> {
    text(value)?.parse().map_err(|_| ReplyError::Odd(expected))
}

pub(super) fn text(value: &Value) -> Result<&str, ReplyError> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).map_err(|_| ReplyError::Odd("UTF-8")),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Ok(text),
        other => Err(odd(other, "a text")),
    }
}

pub(super) fn items(value: &Value) -> Result<&[Value], ReplyError> {
    match value {
        Value::Array(items) | Value::Set(items) => Ok(items),
        other => Err(odd(other, "a list")),
    }
}

/// The parts of a reply that is made of so many; later versions may say more.
pub(super) fn parts<const N: usize>(value: &Value) -> Result<&[Value; N], ReplyError> {
    items(value)?.first_chunk().ok_or(ReplyError::Odd("so many parts"))
}

pub(super) fn pairs(value: &Value) -> Result<Vec<(&Value, &Value)>, ReplyError> {
    match value {
        Value::Map(pairs) => Ok(pairs.iter().map(|(key, value)| (key, value)).collect()),
        other => Ok(items(other)?.as_chunks::<2>().0.iter().map(|[key, value]| (key, value)).collect()),
    }
}

fn odd(value: &Value, expected: &'static str) -> ReplyError {
    match value {
        Value::ServerError(error) => ReplyError::Refused(error.to_string()),
        _ => ReplyError::Odd(expected),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    #[test]
    fn maps_and_flat_lists_read_alike() {
        let head = Head { origin: 0xa, generation: 1, first: 2, last: 3 };
        let map = Value::Map(vec![(bulk("h:a"), bulk("1:2:3:4")), (bulk("swept"), bulk("1"))]);
        let flat = Value::Array(vec![bulk("h:a"), bulk("1:2:3"), bulk("h:b"), bulk("1:2"), bulk("alone")]);
        assert_eq!(heads(&map, 0xb), Ok(vec![head]));
        assert_eq!(heads(&flat, 0xb), Ok(vec![head]));
        assert_eq!(heads(&flat, 0xa), Ok(vec![]));
    }

    #[test]
    fn odd_replies_are_errors() {
        use crate::relay::keys::Incarnation;
        use crate::relay::order::StoredSchedule;
        use crate::relay::scripts::{Claim, Entry, Put, Registered, Renewed, changed};

        let me = Incarnation { boot: 1, count: 0 };
        let odd = [
            Value::Okay,
            Value::Boolean(true),
            Value::Double(0.5),
            bulk("x"),
            Value::BulkString(vec![0xff]),
            Value::Array(vec![Value::Nil; 5]),
            Value::Array(vec![Value::Array(vec![bulk("x"); 2]); 5]),
            Value::Map(vec![(Value::Nil, Value::Nil)]),
        ];
        for value in odd {
            assert!(count(&value).is_err() && flag(&value).is_err() && reach(&value).is_err(), "{value:?}");
            assert!(Registered::read(&value, me).is_err(), "{value:?}");
            assert!(Renewed::read(&value).is_err() && Claim::read(&value).is_err(), "{value:?}");
            assert!(Put::read(&value).is_err(), "{value:?}");
            // Unknown fields and members may belong to others.
            let _ = (mutes(&value), changed(&value), heads(&value, 0));
            let _ = (Entry::read_all(&value), StoredSchedule::read_all(&value));
        }
        assert_eq!(count(&Value::Nil), Ok(0));
        assert_eq!(count(&Value::Int(-3)), Ok(0));
        assert_eq!(reach(&Value::Int(-1)), Ok(None));
    }

    #[test]
    fn what_redis_refused_says_why() {
        let refused = redis::parse_redis_value(b"-OOM no room\r\n").expect("a value");
        let Err(ReplyError::Refused(words)) = count(&refused) else { panic!("refused") };
        assert!(words.contains("OOM") && words.contains("no room"), "{words}");
        assert!(matches!(heads(&refused, 0), Err(ReplyError::Refused(_))));
    }
}
