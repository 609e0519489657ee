//! `/v1/channels` and `/v1/channels/{channel}`. Knows nothing of who subscribes how.

use epush_core::error::Refusal;
use epush_core::http::Response;
use epush_core::id::ConnId;
use epush_core::mail::Question;
use epush_core::message::UserName;
use epush_core::page::{ChannelPage, ChannelRange};
use serde::Serialize;

use super::{Api, Outcome, Pending, body, respond};

/// Channels of one page, where the caller does not say.
const PAGE_CHANNELS_USUAL: usize = 1_000;

/// Channels of one page, at most: a node may have a million, and a page is one buffer that every shard fills.
const PAGE_CHANNELS_MAX: usize = 10_000;

type Query = [(Box<str>, Box<str>)];

#[derive(Serialize)]
struct Channel<'a> {
    channel: &'a str,
    node: Count,
    cluster: Count,
    #[serde(skip_serializing_if = "Option::is_none")]
    users: Option<Vec<&'a str>>,
}

#[derive(Clone, Copy, Serialize)]
struct Count {
    subscribers: u64,
}

impl Api {
    pub(super) fn channels(&mut self, conn: ConnId, query: &Query) -> Outcome {
        let range = range(query)?;
        self.ask_all(conn, Question::Channels(range.clone()), Pending::Channels(range))
    }

    pub(super) fn channel(&mut self, conn: ConnId, name: &str, query: &Query) -> Outcome {
        let channel = body::channel(name)?;
        let members = matches!(value(query, "members"), Some("true" | "1" | ""));
        self.ask_all(conn, Question::Channel { channel, members }, Pending::Channel { name: name.into(), members })
    }
}

/// One channel. One without subscribers is not an error: channels are whatever is subscribed to.
pub fn show(name: &str, here: u64, elsewhere: u64, users: Option<&[UserName]>) -> Response {
    let users = users.map(|users| users.iter().map(UserName::as_str).collect());
    respond::json(200, &channel(name, here, elsewhere, users))
}

fn channel<'a>(channel: &'a str, here: u64, elsewhere: u64, users: Option<Vec<&'a str>>) -> Channel<'a> {
    Channel {
        channel,
        node: Count { subscribers: here },
        cluster: Count { subscribers: here.saturating_add(elsewhere) },
        users,
    }
}

/// The channels a query asks for.
fn range(query: &Query) -> Result<ChannelRange, Refusal> {
    let limit = value(query, "limit").map_or(Some(PAGE_CHANNELS_USUAL), |text| text.parse().ok());
    let channels_max = limit
        .filter(|limit| (1..=PAGE_CHANNELS_MAX).contains(limit))
        .ok_or_else(|| body::bad(format!("limit must be 1 to {PAGE_CHANNELS_MAX}")))?;
    let text = |name| value(query, name).unwrap_or_default().into();
    Ok(ChannelRange { prefix: text("prefix"), after: text("after"), channels_max })
}

/// The page that the shards' pages make.
pub fn list(page: ChannelPage, range: &ChannelRange) -> Response {
    #[derive(Serialize)]
    struct Body<'a> {
        channels: Vec<Channel<'a>>,
        more: bool,
    }
    let ChannelPage { channels, more } = page.cut(range);
    let shown = channels.iter().map(|one| channel(one.name.as_str(), one.here, one.elsewhere, None)).collect();
    respond::json(200, &Body { channels: shown, more })
}

fn value<'a>(query: &'a Query, name: &str) -> Option<&'a str> {
    query.iter().find(|(key, _)| &**key == name).map(|(_, value)| &**value)
}
