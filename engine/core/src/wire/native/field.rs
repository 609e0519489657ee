//! The fields of client frames: found in one pass, kept as JSON text, read by their rules.
//!
//! Must not know which command reads which field.
//!
//! Every field is skipped over as raw JSON first. That keeps payloads untouched, lets fields the engine does not
//! know be anything, and does not recurse, so that a hundred thousand brackets cost a hundred thousand bytes and no stack.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::{ErrorCode, Refusal};
use crate::limits::{CHANNEL_NAME_BYTES_MAX, DATA_DEPTH_MAX, USER_NAME_BYTES_MAX, USERS_PER_PUSH_MAX, WORD_BYTES_MAX};
use crate::message::{ChannelName, UserName};

/// Characters of an `id`: a 128-bit integer fits, and what the engine keeps and echoes stays small.
const ID_CHARS_MAX: usize = 40;

/// Types in one `mute` or `unmute`: bounds what one frame allocates before the user's own limit is looked at.
const TYPES_PER_FRAME_MAX: usize = 1_024;

/// A field that some command reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Field {
    Op,
    Id,
    Token,
    Channel,
    OnSlow,
    Type,
    Data,
    Users,
    Job,
    IntervalMs,
    Args,
    Types,
}

impl Field {
    const COUNT: usize = Self::Types as usize + 1;

    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "op" => Self::Op,
            "id" => Self::Id,
            "token" => Self::Token,
            "channel" => Self::Channel,
            "on_slow" => Self::OnSlow,
            "type" => Self::Type,
            "data" => Self::Data,
            "users" => Self::Users,
            "job" => Self::Job,
            "interval_ms" => Self::IntervalMs,
            "args" => Self::Args,
            "types" => Self::Types,
            _ => return None,
        })
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Op => "op",
            Self::Id => "id",
            Self::Token => "token",
            Self::Channel => "channel",
            Self::OnSlow => "on_slow",
            Self::Type => "type",
            Self::Data => "data",
            Self::Users => "users",
            Self::Job => "job",
            Self::IntervalMs => "interval_ms",
            Self::Args => "args",
            Self::Types => "types",
        }
    }

    /// The refusal of a value that breaks the field's rule.
    fn refuse(self) -> Refusal {
        let rule = match self {
            Self::Op | Self::Token => "a string".to_owned(),
            Self::Id => format!("an integer of at most {ID_CHARS_MAX} characters"),
            Self::Channel => format!("1 to {CHANNEL_NAME_BYTES_MAX} letters, digits or signs of ._-:/#@"),
            Self::OnSlow => "drop_oldest, drop_newest, latest or close".to_owned(),
            Self::Type | Self::Job => format!("1 to {WORD_BYTES_MAX} bytes of text without control characters"),
            Self::Data | Self::Args => format!("JSON nested at most {DATA_DEPTH_MAX} deep"),
            Self::Users => format!(
                "an array of 1 to {USERS_PER_PUSH_MAX} users, each an integer or 1 to {USER_NAME_BYTES_MAX} bytes of text"
            ),
            Self::IntervalMs => "a positive integer".to_owned(),
            Self::Types => {
                format!("an array of 1 to {TYPES_PER_FRAME_MAX} types, each 1 to {WORD_BYTES_MAX} bytes of text")
            }
        };
        bad_request(format!("`{}` must be {rule}", self.name()))
    }
}

/// The fields of one frame.
#[derive(Default)]
pub(super) struct Fields<'a> {
    /// By [`Field`]: the value as it was written, the first where there are several.
    values: [Option<&'a RawValue>; Field::COUNT],
    /// A field that came twice.
    repeated: Option<Field>,
}

impl<'a> Fields<'a> {
    /// The fields found, and whether the text is one object with each of them at most once.
    ///
    /// The `id` is there for the answer also when another field came twice; of text that is no JSON there are no fields.
    pub(super) fn read(text: &'a str) -> (Self, Result<(), Refusal>) {
        let mut reader = serde_json::Deserializer::from_str(text);
        let fields = reader.deserialize_map(FieldsVisitor).and_then(|fields| reader.end().map(|()| fields));
        match fields {
            Ok(fields) => match fields.repeated {
                None => (fields, Ok(())),
                Some(Field::Id) => (Self::default(), Err(bad_request("`id` is there twice"))),
                Some(field) => (fields, Err(bad_request(format!("`{}` is there twice", field.name())))),
            },
            Err(error) => (Self::default(), Err(bad_request(format!("the frame is no JSON object: {error}")))),
        }
    }

    /// A field that must be there, by its rule.
    pub(super) fn required<T>(&self, field: Field, rule: impl FnOnce(&'a RawValue) -> Option<T>) -> Result<T, Refusal> {
        let Some(raw) = self.any(field) else {
            return Err(bad_request(format!("`{}` is missing", field.name())));
        };
        rule(raw).ok_or_else(|| field.refuse())
    }

    /// A field that may be left out, by its rule.
    pub(super) fn optional<T>(
        &self,
        field: Field,
        rule: impl FnOnce(&'a RawValue) -> Option<T>,
    ) -> Result<Option<T>, Refusal> {
        self.any(field).map(|raw| rule(raw).ok_or_else(|| field.refuse())).transpose()
    }

    /// A field without a rule.
    pub(super) const fn any(&self, field: Field) -> Option<&'a RawValue> {
        self.values[field as usize]
    }
}

/// A refusal of the frame itself.
pub(super) fn bad_request(message: impl Into<Cow<'static, str>>) -> Refusal {
    Refusal::new(ErrorCode::BadRequest, message)
}

struct FieldsVisitor;

impl<'a> Visitor<'a> for FieldsVisitor {
    type Value = Fields<'a>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<Fields<'a>, M::Error> {
        let mut fields = Fields::default();
        while let Some(Key(field)) = map.next_key()? {
            let Some(field) = field else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let value = map.next_value::<&RawValue>()?;
            match &mut fields.values[field as usize] {
                Some(_) => fields.repeated = Some(field),
                empty => *empty = Some(value),
            }
        }
        Ok(fields)
    }
}

/// A key of the object: the field of that name, if there is one. Never copied.
struct Key(Option<Field>);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_str(KeyVisitor)
    }
}

struct KeyVisitor;

impl Visitor<'_> for KeyVisitor {
    type Value = Key;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a key")
    }

    fn visit_str<E>(self, name: &str) -> Result<Key, E> {
        Ok(Key(Field::named(name)))
    }
}

/// Text, borrowed where it holds no escapes. None for other JSON, and for escapes that are no characters.
pub(super) fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    let json = raw.get();
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') { serde_json::from_str(json).ok().map(Cow::Owned) } else { Some(Cow::Borrowed(inner)) }
}

/// The JSON text of an integer that the engine can echo.
pub(super) fn integer(raw: &RawValue) -> Option<&str> {
    is_id(raw.get()).then(|| raw.get())
}

/// Whether this is an integer in JSON's grammar and short enough to keep.
pub(super) fn is_id(json: &str) -> bool {
    let digits = json.strip_prefix('-').unwrap_or(json);
    let leading_zero = digits.len() > 1 && digits.starts_with('0');
    let integer = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) && !leading_zero;
    integer && json.len() <= ID_CHARS_MAX
}

/// A type or a job: see [`WORD_BYTES_MAX`].
pub(super) fn word(raw: &RawValue) -> Option<Cow<'_, str>> {
    let word = text(raw)?;
    ((1..=WORD_BYTES_MAX).contains(&word.len()) && !word.chars().any(char::is_control)).then_some(word)
}

pub(super) fn channel(raw: &RawValue) -> Option<ChannelName> {
    ChannelName::parse(&text(raw)?)
}

/// A user, whom clients with numeric users may write as an integer.
fn user(raw: &RawValue) -> Option<UserName> {
    match integer(raw) {
        Some(digits) => UserName::parse(digits),
        None => UserName::parse(&text(raw)?),
    }
}

/// Sorted and each once: who is named twice is not sent the message twice.
pub(super) fn users(raw: &RawValue) -> Option<Vec<UserName>> {
    let mut users = list(raw, USERS_PER_PUSH_MAX, user)?;
    users.sort();
    users.dedup();
    Some(users)
}

pub(super) fn types(raw: &RawValue) -> Option<Vec<Arc<str>>> {
    list(raw, TYPES_PER_FRAME_MAX, |raw| word(raw).map(Arc::from))
}

pub(super) fn interval_ms(raw: &RawValue) -> Option<u64> {
    raw.get().parse().ok().filter(|&interval_ms| interval_ms > 0)
}

/// An array of 1 to `max` items, each by its rule; reading stops at the first that breaks it.
fn list<'a, T>(raw: &'a RawValue, max: usize, rule: impl FnMut(&'a RawValue) -> Option<T>) -> Option<Vec<T>> {
    let items = serde_json::Deserializer::from_str(raw.get()).deserialize_seq(ListVisitor { max, rule }).ok()?;
    (!items.is_empty()).then_some(items)
}

struct ListVisitor<R> {
    max: usize,
    rule: R,
}

impl<'a, T, R: FnMut(&'a RawValue) -> Option<T>> Visitor<'a> for ListVisitor<R> {
    type Value = Vec<T>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "an array of at most {} items", self.max)
    }

    fn visit_seq<S: SeqAccess<'a>>(mut self, mut sequence: S) -> Result<Vec<T>, S::Error> {
        let mut items = Vec::new();
        while let Some(raw) = sequence.next_element::<&RawValue>()? {
            if items.len() == self.max {
                return Err(S::Error::invalid_length(self.max + 1, &self));
            }
            items.push((self.rule)(raw).ok_or_else(|| S::Error::custom("an item breaks its rule"))?);
        }
        Ok(items)
    }
}
