//! How one value of the configuration is read from TOML or from text, and written back.
//!
//! Knows the types that keys have; knows no key.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use epush_core::network::Network;
use epush_core::settings::{Audience, OnSlow};

/// A value as a layer gives it.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    /// From the file.
    Toml(toml::Value),
    /// From the environment or a flag.
    Text(String),
}

/// A type that a key can have. Errors say what was expected; they never repeat the value, which may be a secret.
pub(crate) trait Value: Sized {
    /// Reads the value from the file.
    fn from_toml(value: &toml::Value) -> Result<Self, String>;

    /// Reads the value from a flag or an environment variable, without TOML's quotes.
    fn from_text(text: &str) -> Result<Self, String>;

    /// The value as TOML, secrets included.
    fn to_toml(&self) -> toml::Value;

    /// The value as TOML for people to see: secrets are `***`.
    fn to_masked_toml(&self) -> toml::Value {
        self.to_toml()
    }

    /// Reads the value from whichever layer.
    fn read(input: &Input) -> Result<Self, String> {
        match input {
            Input::Toml(value) => Self::from_toml(value),
            Input::Text(text) => Self::from_text(text),
        }
    }
}

/// A word that must not be seen: a key, a shared secret, an `Authorization` header.
///
/// `Debug` and `epush check` show `***`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(String);

impl Secret {
    /// Hides the text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(MASK)
    }
}

/// What stands in place of a secret.
const MASK: &str = "***";

pub(crate) fn found(expected: &str, value: &toml::Value) -> String {
    format!("expected {expected}, found {}", article(value.type_str()))
}

fn article(type_name: &str) -> String {
    let article = if type_name.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {type_name}")
}

impl Value for bool {
    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        value.as_bool().ok_or_else(|| found("true or false", value))
    }

    fn from_text(text: &str) -> Result<Self, String> {
        match text.trim() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err("expected true or false".into()),
        }
    }

    fn to_toml(&self) -> toml::Value {
        toml::Value::Boolean(*self)
    }
}

macro_rules! integer_values {
    ($($type:ty),*) => {$(
        impl Value for $type {
            fn from_toml(value: &toml::Value) -> Result<Self, String> {
                let number = value.as_integer().ok_or_else(|| found("an integer", value))?;
                number.try_into().map_err(|_| out_of_type(<$type>::MAX as u64))
            }

            fn from_text(text: &str) -> Result<Self, String> {
                let digits = text.trim().replace('_', "");
                let number: i64 = digits.parse().map_err(|_| "expected an integer".to_owned())?;
                number.try_into().map_err(|_| out_of_type(<$type>::MAX as u64))
            }

            fn to_toml(&self) -> toml::Value {
                // TOML's integers end at 2^63-1, and so do all that were read; an embedder's larger one saturates.
                toml::Value::Integer(i64::try_from(*self).unwrap_or(i64::MAX))
            }
        }
    )*};
}

integer_values!(u32, u64, usize);

fn out_of_type(max: u64) -> String {
    format!("must be from 0 to {}", max.min(i64::MAX as u64))
}

/// Implements [`Value`] for a type that is written as one string.
macro_rules! string_values {
    ($($type:ty: $expects:literal, $read:expr, $write:expr;)*) => {$(
        impl Value for $type {
            fn from_toml(value: &toml::Value) -> Result<Self, String> {
                Self::from_text(value.as_str().ok_or_else(|| found($expects, value))?)
            }

            fn from_text(text: &str) -> Result<Self, String> {
                let read: fn(&str) -> Option<Self> = $read;
                read(text).ok_or_else(|| concat!("expected ", $expects).to_owned())
            }

            fn to_toml(&self) -> toml::Value {
                let write: fn(&Self) -> String = $write;
                toml::Value::String(write(self))
            }
        }
    )*};
}

string_values! {
    String: "a string", |text| Some(text.to_owned()), Clone::clone;
    PathBuf: "the path of a file", |text| Some(text.into()), |path| path.display().to_string();
    SocketAddr: "an address and port such as \"127.0.0.1:7000\" or \"[::]:7000\"",
        |text| text.trim().parse().ok(), ToString::to_string;
    Network: "an address or network such as \"10.0.0.0/8\"", |text| text.trim().parse().ok(), ToString::to_string;
}

impl Value for Secret {
    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        value.as_str().map(Self::new).ok_or_else(|| found("a string", value))
    }

    fn from_text(text: &str) -> Result<Self, String> {
        Ok(Self::new(text))
    }

    fn to_toml(&self) -> toml::Value {
        toml::Value::String(self.0.clone())
    }

    fn to_masked_toml(&self) -> toml::Value {
        toml::Value::String(MASK.into())
    }
}

/// `""` in every layer is "none": that is how a layer takes back what a lower one set.
impl<T: Value> Value for Option<T> {
    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        if value.as_str() == Some("") { Ok(None) } else { T::from_toml(value).map(Some) }
    }

    fn from_text(text: &str) -> Result<Self, String> {
        if text.is_empty() { Ok(None) } else { T::from_text(text).map(Some) }
    }

    fn to_toml(&self) -> toml::Value {
        self.as_ref().map_or_else(|| toml::Value::String(String::new()), T::to_toml)
    }

    fn to_masked_toml(&self) -> toml::Value {
        self.as_ref().map_or_else(|| toml::Value::String(String::new()), T::to_masked_toml)
    }
}

/// A TOML array; in text, separated by commas.
impl<T: Value> Value for Vec<T> {
    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        let items = value.as_array().ok_or_else(|| found("an array", value))?;
        items.iter().enumerate().map(|(at, item)| T::from_toml(item).map_err(|why| nth(at, &why))).collect()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        items.enumerate().map(|(at, item)| T::from_text(item).map_err(|why| nth(at, &why))).collect()
    }

    fn to_toml(&self) -> toml::Value {
        self.iter().map(T::to_toml).collect::<Vec<_>>().into()
    }

    fn to_masked_toml(&self) -> toml::Value {
        self.iter().map(T::to_masked_toml).collect::<Vec<_>>().into()
    }
}

fn nth(at: usize, why: &str) -> String {
    format!("item {}: {why}", at + 1)
}

/// Implements [`Value`] for a type written as one of a few words.
macro_rules! word_values {
    ($($type:ty { $($word:literal => $variant:path),* $(,)? })*) => {$(
        impl Value for $type {
            fn from_toml(value: &toml::Value) -> Result<Self, String> {
                Self::from_text(value.as_str().ok_or_else(|| found("a string", value))?)
            }

            fn from_text(text: &str) -> Result<Self, String> {
                match text.trim() {
                    $($word => Ok($variant),)*
                    other => Err(not_one_of(other, &[$($word),*])),
                }
            }

            fn to_toml(&self) -> toml::Value {
                toml::Value::String(match self { $($variant => $word,)* }.into())
            }
        }
    )*};
}
pub(crate) use word_values;

/// Says which words there are, and which one was probably meant.
pub(crate) fn not_one_of(word: &str, words: &[&str]) -> String {
    let list = words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", ");
    match super::near::nearest(word, words.iter().copied()) {
        Some(near) => format!("expected one of {list}; did you mean {near:?}?"),
        None => format!("expected one of {list}"),
    }
}

word_values! {
    Audience {
        "nobody" => Audience::Nobody,
        "users" => Audience::Users,
        "subscribers" => Audience::Subscribers,
        "anyone" => Audience::Anyone,
    }
    OnSlow {
        "drop_oldest" => OnSlow::DropOldest,
        "drop_newest" => OnSlow::DropNewest,
        "latest" => OnSlow::Latest,
        "close" => OnSlow::Close,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        assert_eq!(format!("{:?}", Some(Secret::new("hunter2"))), "Some(***)");
        assert_eq!(Secret::new("hunter2").to_masked_toml().as_str(), Some("***"));
    }

    #[test]
    fn text_lists_are_separated_by_commas() {
        let networks = <Vec<Network>>::from_text("10.0.0.0/8, ::1,").expect("a list");
        assert_eq!(networks.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.0.0.0/8", "::1/128"]);
        assert_eq!(<Vec<Network>>::from_text("").expect("a list"), []);
        let why = <Vec<Network>>::from_text("::1,nonsense").expect_err("no network");
        assert!(why.starts_with("item 2: expected an address or network"), "{why}");
    }

    #[test]
    fn integers_know_their_range() {
        assert_eq!(u64::from_text("1_000"), Ok(1000));
        assert_eq!(u32::from_toml(&toml::Value::Integer(-1)), Err("must be from 0 to 4294967295".into()));
        assert_eq!(u64::from_text("-1"), Err("must be from 0 to 9223372036854775807".into()));
        assert_eq!(u64::from_toml(&"9".into()), Err("expected an integer, found a string".into()));
    }

    #[test]
    fn a_wrong_word_names_the_right_ones() {
        let why = Audience::from_text("user").expect_err("no audience");
        assert_eq!(why, r#"expected one of "nobody", "users", "subscribers", "anyone"; did you mean "users"?"#);
    }

    #[test]
    fn empty_text_takes_a_value_back() {
        assert_eq!(<Option<String>>::from_text(""), Ok(None));
        assert_eq!(<Option<Secret>>::from_toml(&"x".into()), Ok(Some(Secret::new("x"))));
    }
}
