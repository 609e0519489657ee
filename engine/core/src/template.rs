//! Templates: JSON with a few values that are new at each tick of a job or a schedule.
//!
//! Owns what `{"$time":"ms"}` and its likes mean. Must not know when a tick is or whom it is for.
//!
//! A template is cut into pieces when it is read, so that a tick only appends them. It is read as text, never as
//! numbers: what is no template value goes out byte for byte as it was written.

use std::borrow::Cow;
use std::fmt;
use std::io::Write as _;

mod walk;

use serde_json::value::RawValue;
use walk::{Walk, string_at, unquote};

use crate::message::write_json_string;
use crate::rfc3339;

/// JSON that is partly new at each tick.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Template {
    /// Invariant: with every [`Piece::Value`] replaced by JSON, the pieces together are one JSON value.
    pieces: Box<[Piece]>,
}

/// What the values of a tick are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TemplateValues<'a> {
    /// Milliseconds since 1970-01-01 UTC.
    pub unix_ms: u64,
    /// How many ticks there were before.
    pub seq: u64,
    /// The node's name.
    pub node: &'a str,
    /// Who is online on this node.
    pub online_node: u64,
    /// Who is online in the cluster.
    pub online_cluster: u64,
}

/// A template value with an argument it does not take, or JSON too deep to be a template.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TemplateError {
    /// Where, as `items[2].at`; empty for the whole template.
    pub path: String,
    /// What is wrong there.
    pub message: &'static str,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.path {
            "" => write!(out, "template: {}", self.message),
            path => write!(out, "template, at {path}: {}", self.message),
        }
    }
}

impl std::error::Error for TemplateError {}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Piece {
    /// As it was written.
    Text(Box<str>),
    /// New at each tick.
    Value(Value),
}

impl Piece {
    fn text(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self::Text(text.into()))
    }
}

/// A template value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Value {
    TimeMs,
    TimeRfc3339,
    Seq,
    Node,
    OnlineNode,
    OnlineCluster,
}

impl Template {
    /// Reads a template.
    ///
    /// An object is a template value when its only key is `$time`, `$seq`, `$node` or `$online`. All else stands.
    ///
    /// # Errors
    /// When a template value has an argument it does not take, or the JSON is nested deeper than 128.
    pub fn parse(json: &RawValue) -> Result<Self, TemplateError> {
        let json = json.get();
        let mut pieces = Vec::new();
        let mut text_start = 0;
        let mut walk = Walk::new(json);
        while let Some(start) = walk.next_object()? {
            match Value::read(&json[start..]) {
                Ok(None) => walk.enter()?,
                Ok(Some((value, bytes))) => {
                    pieces.extend(Piece::text(&json[text_start..start]));
                    pieces.push(Piece::Value(value));
                    text_start = start + bytes;
                    walk.jump(text_start);
                }
                Err(message) => return Err(walk.error(message)),
            }
        }
        pieces.extend(Piece::text(&json[text_start..]));
        Ok(Self { pieces: pieces.into() })
    }

    /// Appends the JSON of one tick.
    pub fn render(&self, out: &mut Vec<u8>, values: &TemplateValues<'_>) {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Value(value) => value.write(out, values),
            }
        }
    }

    /// The JSON of one tick, for where it travels on as a value.
    #[must_use]
    pub fn to_raw(&self, values: &TemplateValues<'_>) -> Box<RawValue> {
        let mut out = Vec::new();
        self.render(&mut out, values);
        let json = String::from_utf8(out).expect("pieces of text and ASCII");
        RawValue::from_string(json).expect("a template renders to JSON")
    }
}

impl Value {
    /// The template value that the object at the start of `json` is, and its bytes.
    ///
    /// None when it is none; an error when its argument is not one that it takes.
    fn read(json: &str) -> Result<Option<(Self, usize)>, &'static str> {
        let Some((name, argument, bytes)) = only_field(json) else { return Ok(None) };
        let value = match (&*name, argument) {
            ("$time", "\"ms\"") => Self::TimeMs,
            ("$time", "\"rfc3339\"") => Self::TimeRfc3339,
            ("$time", _) => return Err(r#"$time takes "ms" or "rfc3339""#),
            ("$seq", "true") => Self::Seq,
            ("$seq", _) => return Err("$seq takes true"),
            ("$node", "true") => Self::Node,
            ("$node", _) => return Err("$node takes true"),
            ("$online", "\"node\"") => Self::OnlineNode,
            ("$online", "\"cluster\"") => Self::OnlineCluster,
            ("$online", _) => return Err(r#"$online takes "node" or "cluster""#),
            _ => return Ok(None),
        };
        Ok(Some((value, bytes)))
    }

    fn write(self, out: &mut Vec<u8>, values: &TemplateValues<'_>) {
        let number = match self {
            Self::TimeMs => values.unix_ms,
            Self::Seq => values.seq,
            Self::OnlineNode => values.online_node,
            Self::OnlineCluster => values.online_cluster,
            Self::Node => return write_json_string(out, values.node),
            Self::TimeRfc3339 => {
                out.push(b'"');
                rfc3339::write(out, values.unix_ms);
                return out.push(b'"');
            }
        };
        write!(out, "{number}").expect("a Vec takes every write");
    }
}

/// The name and argument of an object with exactly one field, if the name begins with `$`, and the object's bytes.
fn only_field(json: &str) -> Option<(Cow<'_, str>, &str, usize)> {
    let inside = json.strip_prefix('{')?.trim_start();
    let key = inside.starts_with('"').then(|| string_at(inside))?;
    let name = Some(unquote(key)).filter(|name| name.starts_with('$'))?;
    let field = inside[key.len()..].trim_start().strip_prefix(':')?;
    // Skipped over as raw JSON, which does not recurse.
    let mut values = serde_json::Deserializer::from_str(field).into_iter::<&RawValue>();
    let argument = values.next()?.ok()?.get();
    let rest = field[values.byte_offset()..].trim_start().strip_prefix('}')?;
    Some((name, argument, json.len() - rest.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: TemplateValues<'_> =
        TemplateValues { unix_ms: 1_709_164_800_042, seq: 7, node: "n\"1", online_node: 3, online_cluster: 9 };

    fn template(json: &str) -> Result<Template, TemplateError> {
        Template::parse(&RawValue::from_string(json.to_owned()).expect("test JSON"))
    }

    fn rendered(json: &str) -> String {
        template(json).expect("a template").to_raw(&VALUES).get().to_owned()
    }

    #[test]
    fn every_template_value_becomes_what_it_names() {
        for (json, text) in [
            (r#"{"$time":"ms"}"#, "1709164800042"),
            (r#"{"$time":"rfc3339"}"#, r#""2024-02-29T00:00:00.042Z""#),
            (r#"{"$seq":true}"#, "7"),
            (r#"{"$node":true}"#, r#""n\"1""#),
            (r#"{"$online":"node"}"#, "3"),
            (r#"{"$online":"cluster"}"#, "9"),
            (" { \"\\u0024seq\" : true } ", "7"),
        ] {
            assert_eq!(rendered(json), text, "{json}");
        }
    }

    #[test]
    fn values_are_replaced_at_any_depth_and_beside_each_other() {
        let json = r#"{"at":{"$time":"ms"},"list":[{"$seq":true},{"$seq":true},{"n":[{"$node":true}]}],"s":"x"}"#;
        assert_eq!(rendered(json), r#"{"at":1709164800042,"list":[7,7,{"n":["n\"1"]}],"s":"x"}"#);
    }

    #[test]
    fn everything_else_goes_out_byte_for_byte() {
        for json in [
            "null",
            "1.50",
            "123456789012345678901234567890.10e+007",
            r#"{ "a" : [ 1 , 2 ] }"#,
            r#""{\"$seq\":true}""#,
            r#"{"$seq":true,"more":1}"#,
            r#"{"more":1,"$seq":true}"#,
            r#"{"$seq":true,"$seq":true}"#,
            r#"{"$oid":"5f"}"#,
            r#"{"seq":true}"#,
            "{}",
            r#"{"":{"":[]}}"#,
            r#""\ud800""#,
        ] {
            assert_eq!(rendered(json), json);
        }
    }

    #[test]
    fn a_wrong_argument_is_an_error_that_names_its_path() {
        for (json, path) in [
            (r#"{"$time":"us"}"#, ""),
            (r#"{"a":{"$time":1}}"#, "a"),
            (r#"{"x":"y","a":[0,[],{"b.c":{"$seq":false}}]}"#, "a[2].b.c"),
            (r#"[{"a":1},{"$node":{"$node":true}}]"#, "[1]"),
            (r#"{"a":{"b":{}},"c":{"$online":["node"]}}"#, "c"),
        ] {
            let error = template(json).expect_err(json);
            assert_eq!(error.path, path, "{json}");
        }
        let error = template(r#"{"at":{"$time":"s"}}"#).expect_err("wrong");
        assert_eq!(error.to_string(), r#"template, at at: $time takes "ms" or "rfc3339""#);
    }

    #[test]
    fn a_template_value_inside_one_with_other_keys_is_still_replaced() {
        assert_eq!(rendered(r#"{"$seq":{"$seq":true},"more":1}"#), r#"{"$seq":7,"more":1}"#);
    }

    #[test]
    fn json_nested_too_deep_is_refused_without_a_stack() {
        let (open, close) = ("[".repeat(100_000), "]".repeat(100_000));
        assert!(template(&format!("{open}{close}")).is_err());
        assert!(template(&format!(r#"{{"$seq":{open}{close}}}"#)).is_err());
        let (open, close) = ("[".repeat(128), "]".repeat(128));
        assert!(template(&format!("{open}{close}")).is_ok());
    }
}
