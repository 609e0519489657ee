//! What a schedule pushes, to whom and how often: the body of `PUT /v1/schedules/{name}`.
//!
//! Knows nothing of time.

use std::sync::Arc;

use epush_core::error::{ErrorCode, Refusal};
use epush_core::message::{ChannelName, Target};
use epush_core::template::Template;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use ureq::http::Uri;

use super::body::{self, ToBody, bad};

/// Shortest interval, in ms: 100 pushes a second are a game's rate, and one schedule must not fill a reactor.
pub const INTERVAL_MS_MIN: u64 = 10;

/// Longest interval, in ms: 31 days. Longer ones belong into a calendar, not into memory.
pub const INTERVAL_MS_MAX: u64 = 31 * 24 * 60 * 60 * 1_000;

/// Bytes of a template: it is walked at every tick, and all schedules are kept in memory.
pub const TEMPLATE_BYTES_MAX: usize = 64 * 1024;

/// Bytes of a URL: what the usual servers take as a request line.
const URL_BYTES_MAX: usize = 2 * 1024;

/// One schedule, as it was asked for.
pub struct Plan {
    pub to: Target,
    pub kind: Option<Arc<str>>,
    pub module: Option<Arc<str>>,
    pub interval_ms: u64,
    pub source: Source,
    pub scope: Scope,
}

/// Where the payloads come from.
pub enum Source {
    /// Rendered at each tick.
    Template {
        /// Ready to render.
        template: Template,
        /// As it was written.
        text: Box<RawValue>,
    },
    /// The newest message of a channel again.
    Last(ChannelName),
    /// The JSON document at a URL.
    Url(Box<str>),
}

/// Which nodes push at a tick.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// This one.
    #[default]
    Node,
    /// One of the cluster's. A single node is the one.
    Cluster,
}

#[derive(Deserialize)]
struct PlanBody<'a> {
    #[serde(borrow)]
    to: ToBody<'a>,
    #[serde(rename = "type")]
    kind: Option<String>,
    module: Option<String>,
    interval_ms: u64,
    source: SourceBody,
    #[serde(default)]
    scope: Scope,
}

#[derive(Deserialize)]
struct SourceBody {
    #[serde(default, deserialize_with = "body::present")]
    template: Option<Box<RawValue>>,
    last: Option<String>,
    url: Option<String>,
}

impl Plan {
    /// The plan a body says.
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let plan: PlanBody<'_> = body::parse(body)?;
        if !(INTERVAL_MS_MIN..=INTERVAL_MS_MAX).contains(&plan.interval_ms) {
            return Err(bad(format!("interval_ms must be {INTERVAL_MS_MIN} to {INTERVAL_MS_MAX}")));
        }
        Ok(Self {
            to: body::target(plan.to)?,
            kind: body::word("type", plan.kind)?,
            module: body::word("module", plan.module)?,
            interval_ms: plan.interval_ms,
            source: plan.source.check()?,
            scope: plan.scope,
        })
    }
}

impl SourceBody {
    fn check(self) -> Result<Source, Refusal> {
        match (self.template, self.last, self.url) {
            (Some(text), None, None) => template(text),
            (None, Some(channel), None) => body::channel(&channel).map(Source::Last),
            (None, None, Some(url)) => checked_url(&url).map(Source::Url),
            _ => Err(bad("source must have exactly one of template, last and url")),
        }
    }
}

fn template(text: Box<RawValue>) -> Result<Source, Refusal> {
    if text.get().len() > TEMPLATE_BYTES_MAX {
        return Err(Refusal::new(ErrorCode::TooLarge, format!("a template has at most {TEMPLATE_BYTES_MAX} bytes")));
    }
    let template = Template::parse(&text).map_err(|error| bad(format!("source.{error}")))?;
    Ok(Source::Template { template, text })
}

fn checked_url(url: &str) -> Result<Box<str>, Refusal> {
    let uri = Some(url).filter(|url| url.len() <= URL_BYTES_MAX).and_then(|url| url.parse::<Uri>().ok());
    let fetchable = uri.is_some_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some());
    if fetchable { Ok(url.into()) } else { Err(bad("source.url must be an http or https URL of at most 2048 bytes")) }
}

impl Serialize for Source {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = to.serialize_map(Some(1))?;
        match self {
            Self::Template { text, .. } => map.serialize_entry("template", text)?,
            Self::Last(channel) => map.serialize_entry("last", channel.as_str())?,
            Self::Url(url) => map.serialize_entry("url", url)?,
        }
        map.end()
    }
}

impl Source {
    /// Its name in bodies.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Template { .. } => "template",
            Self::Last(_) => "last",
            Self::Url(_) => "url",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(interval_ms: &str, source: &str) -> Result<Plan, Refusal> {
        Plan::parse(format!(r#"{{"to":{{"all":true}},"interval_ms":{interval_ms},"source":{source}}}"#).as_bytes())
    }

    #[track_caller]
    fn refused(interval_ms: &str, source: &str, words: &str) {
        let Err(refusal) = parse(interval_ms, source) else { panic!("{source} every {interval_ms} is taken") };
        assert!(refusal.message.contains(words), "{}", refusal.message);
    }

    #[test]
    fn each_kind_of_source_is_taken_and_written_as_it_came() {
        for source in
            [r#"{"template":{"at":{"$time":"ms"}}}"#, r#"{"last":"news"}"#, r#"{"url":"https://example.org/a?b=c"}"#]
        {
            let plan = parse("1000", source).unwrap_or_else(|refusal| panic!("{source}: {}", refusal.message));
            assert_eq!(serde_json::to_string(&plan.source).expect("JSON"), source);
            assert_eq!(plan.scope, Scope::Node);
        }
        assert!(matches!(parse("10", r#"{"template":null}"#).map(|plan| plan.source), Ok(Source::Template { .. })));
    }

    #[test]
    fn exactly_one_source_is_taken() {
        for source in ["{}", r#"{"last":"a","url":"http://a"}"#, r#"{"template":1,"last":"a"}"#] {
            refused("1000", source, "exactly one");
        }
        refused("1000", r#"{"last":"a b"}"#, "channel's name");
        for url in
            ["", "/relative", "ftp://host/", "http://", "http://a b/", &format!("http://a/{}", "x".repeat(2_048))]
        {
            refused("1000", &format!(r#"{{"url":"{url}"}}"#), "source.url");
        }
    }

    #[test]
    fn intervals_are_bounded_below_and_above() {
        for interval in ["0", "9", "2678400001"] {
            refused(interval, r#"{"last":"a"}"#, "interval_ms must be 10 to");
        }
        assert!(parse("10", r#"{"last":"a"}"#).is_ok());
        assert!(parse("2678400000", r#"{"last":"a"}"#).is_ok());
        refused("-1", r#"{"last":"a"}"#, "line 1 column");
    }

    #[test]
    fn a_huge_template_is_too_large() {
        let source = format!(r#"{{"template":"{}"}}"#, "x".repeat(TEMPLATE_BYTES_MAX));
        assert_eq!(parse("1000", &source).map(|_| ()).map_err(|refusal| refusal.code), Err(ErrorCode::TooLarge));
    }
}
