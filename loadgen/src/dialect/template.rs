//! Texts with places to fill in: `{user}`, `{client}`, `{client%N}`, `{channel}`, `{to}`, `{payload}`, `{job}`, `{interval_ms}`.
//!
//! A place is a word of small letters in braces, so that the braces of JSON stand for themselves. Which places a text may have
//! depends on what it is for; another one is a mistake of whoever wrote it, and said so.

use std::fmt::Write as _;

/// A text, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Place(Place),
}

/// What can be filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Who the client is.
    User,
    /// Its number in the whole run.
    Client,
    /// The remainder of its number.
    ClientModulo(u32),
    /// A channel.
    Channel,
    /// The user something is sent to.
    To,
    /// The payload.
    Payload,
    /// The name of a periodic push.
    Job,
    /// How often it comes.
    IntervalMs,
}

/// What is filled in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fill<'a> {
    /// [`Place::Client`].
    pub client: u32,
    /// [`Place::User`].
    pub user: &'a str,
    /// [`Place::Channel`].
    pub channel: &'a str,
    /// [`Place::To`].
    pub to: &'a str,
    /// [`Place::Payload`].
    pub payload: &'a [u8],
    /// [`Place::Job`].
    pub job: &'a str,
    /// [`Place::IntervalMs`].
    pub interval_ms: u64,
}

/// Places of a user's name and of the channels of a group.
pub const OF_NUMBER: &[&str] = &["client"];
/// Places of what a client sends on its own behalf.
pub const OF_CLIENT: &[&str] = &["user", "client"];
/// Places of a subscription.
pub const OF_SUBSCRIPTION: &[&str] = &["user", "client", "channel"];
/// Places of the request for a periodic push.
pub const OF_EVERY: &[&str] = &["user", "client", "job", "interval_ms"];
/// Places of a message.
pub const OF_MESSAGE: &[&str] = &["user", "client", "channel", "to", "payload"];

impl Template {
    /// Takes a text apart. `what` names it in the error.
    ///
    /// # Errors
    /// A place that this text cannot have, in words.
    pub fn parse(text: &str, what: &str, allowed: &[&str]) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('{') {
            literal.push_str(&rest[..at]);
            let Some((word, after)) = place_at(&rest[at..]) else {
                literal.push('{');
                rest = &rest[at + 1..];
                continue;
            };
            let place = Place::parse(word, allowed).ok_or_else(|| unknown(word, what, allowed))?;
            if !literal.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut literal)));
            }
            pieces.push(Piece::Place(place));
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Text(literal));
        }
        Ok(Self { pieces })
    }

    /// Whether nothing is to be filled in.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        self.pieces.iter().all(|piece| matches!(piece, Piece::Text(_)))
    }

    /// Appends the text, filled in as it is.
    pub fn expand(&self, fill: &Fill<'_>, out: &mut Vec<u8>) {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Place(place) => place.write(fill, out),
            }
        }
    }

    /// Appends the text as part of a URL: what is filled in is percent-encoded, the text itself stands as it is.
    pub fn expand_in_url(&self, fill: &Fill<'_>, out: &mut Vec<u8>) {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Place(place) => {
                    let from = out.len();
                    place.write(fill, out);
                    let plain = out.split_off(from);
                    percent_encode(&plain, out);
                }
            }
        }
    }

    /// The text, filled in.
    #[must_use]
    pub fn to_text(&self, fill: &Fill<'_>) -> String {
        let mut out = Vec::new();
        self.expand(fill, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }
}

impl Place {
    fn parse(word: &str, allowed: &[&str]) -> Option<Self> {
        let (name, modulo) = match word.split_once('%') {
            Some((name, modulo)) => (name, Some(modulo)),
            None => (word, None),
        };
        if !allowed.contains(&name) {
            return None;
        }
        match (name, modulo) {
            ("client", Some(modulo)) => modulo.parse().ok().filter(|modulo| *modulo > 0).map(Self::ClientModulo),
            (_, Some(_)) => None,
            ("user", None) => Some(Self::User),
            ("client", None) => Some(Self::Client),
            ("channel", None) => Some(Self::Channel),
            ("to", None) => Some(Self::To),
            ("payload", None) => Some(Self::Payload),
            ("job", None) => Some(Self::Job),
            ("interval_ms", None) => Some(Self::IntervalMs),
            _ => None,
        }
    }

    fn write(self, fill: &Fill<'_>, out: &mut Vec<u8>) {
        match self {
            Self::User => out.extend_from_slice(fill.user.as_bytes()),
            Self::Client => write_number(u64::from(fill.client), out),
            Self::ClientModulo(modulo) => write_number(u64::from(fill.client % modulo), out),
            Self::Channel => out.extend_from_slice(fill.channel.as_bytes()),
            Self::To => out.extend_from_slice(fill.to.as_bytes()),
            Self::Payload => out.extend_from_slice(fill.payload),
            Self::Job => out.extend_from_slice(fill.job.as_bytes()),
            Self::IntervalMs => write_number(fill.interval_ms, out),
        }
    }
}

/// The word in the braces that these bytes begin with, and what comes after: if it is the form of a place.
pub(super) fn place_at(text: &str) -> Option<(&str, &str)> {
    let (word, after) = text.strip_prefix('{')?.split_once('}')?;
    let (name, modulo) = word.split_once('%').unwrap_or((word, "0"));
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    (is_name && modulo.bytes().all(|byte| byte.is_ascii_digit())).then_some((word, after))
}

pub(super) fn unknown(word: &str, what: &str, allowed: &[&str]) -> String {
    let mut known = String::new();
    for name in allowed {
        let _ = write!(known, "{}{{{name}}}", if known.is_empty() { "" } else { ", " });
    }
    if allowed.contains(&"client") {
        known.push_str(", {client%N}");
    }
    format!("{what}: {{{word}}} cannot be filled in here. Known are {known}")
}

fn write_number(number: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut left = number;
    loop {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// RFC 3986 §2.3: these need no encoding.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn percent_encode(plain: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in plain {
        if is_unreserved(*byte) {
            out.push(*byte);
        } else {
            out.extend_from_slice(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILL: Fill<'_> = Fill {
        client: 17,
        user: "user 17",
        channel: "news/today",
        to: "user-16",
        payload: b"epl2:",
        job: "time",
        interval_ms: 250,
    };

    #[test]
    fn places_are_filled_in_and_the_braces_of_json_stay() {
        let text = r#"{"op":"publish","channel":"{channel}","to":{"users":["{to}"]},"data":"{payload}"}"#;
        let template = Template::parse(text, "publish", OF_MESSAGE).unwrap();
        assert_eq!(
            template.to_text(&FILL),
            r#"{"op":"publish","channel":"news/today","to":{"users":["user-16"]},"data":"epl2:"}"#
        );
        assert_eq!(Template::parse("{}", "answer", OF_CLIENT).unwrap().to_text(&FILL), "{}");
        assert_eq!(Template::parse("40{", "answer", OF_CLIENT).unwrap().to_text(&FILL), "40{");
        let every = Template::parse("{job}/{interval_ms}", "every", OF_EVERY).unwrap();
        assert_eq!(every.to_text(&FILL), "time/250");
    }

    #[test]
    fn a_client_has_its_number_and_its_remainders() {
        let template = Template::parse("user-{client}.{client%10}.{client%5}", "user", OF_NUMBER).unwrap();
        assert_eq!(template.to_text(&FILL), "user-17.7.2");
    }

    #[test]
    fn in_a_url_only_what_is_filled_in_is_encoded() {
        let template = Template::parse("/sub/{channel}?user={user}", "path", OF_MESSAGE).unwrap();
        let mut out = Vec::new();
        template.expand_in_url(&FILL, &mut out);
        assert_eq!(out, b"/sub/news%2Ftoday?user=user%2017");
    }

    #[test]
    fn an_unknown_place_is_named_with_those_there_are() {
        let words = Template::parse("room.{chanel}", "subscribe.send", OF_SUBSCRIPTION).unwrap_err();
        assert_eq!(
            words,
            "subscribe.send: {chanel} cannot be filled in here. Known are {user}, {client}, {channel}, {client%N}"
        );
        assert!(Template::parse("{client%0}", "user", OF_NUMBER).is_err());
        assert!(Template::parse("{user%3}", "path", OF_CLIENT).is_err());
        assert!(Template::parse("{payload}", "path", OF_CLIENT).is_err());
    }
}
