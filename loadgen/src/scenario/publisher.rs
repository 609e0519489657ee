//! What publishes while the steady phase lasts: where to, how fast, how much.

use serde::{Deserialize, Serialize};

/// Something that publishes while the steady phase lasts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "PublisherTable", into = "PublisherTable")]
pub struct Publisher {
    /// For the report.
    pub name: String,
    /// Where to.
    pub to: To,
    /// When the next is published. In a file: `rate_per_s = …`, or `pace = "delivered"` or `"taken"`.
    pub pace: Pace,
    /// Messages published at the same moment, each with its own number.
    pub burst: u32,
    /// Bytes of each payload, at least [`crate::stamp::LEN`].
    pub payload_bytes: usize,
    /// Connections it publishes over. A destination keeps to one, so that its order is kept.
    pub connections: u32,
    /// By HTTP or over WebSocket. Not set: the dialect's own way, HTTP where it knows both.
    pub via: Option<Via>,
}

/// Destinations of a publisher, in turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum To {
    /// Each of these channels.
    Channels(Vec<String>),
    /// Channels `{name}.0` to `{name}.{count - 1}`.
    ChannelRange {
        /// Before the dot.
        name: String,
        /// How many.
        count: u32,
    },
    /// The users of so many clients of the first group, evenly chosen.
    Users(u32),
    /// Everybody.
    All,
}

/// When the next burst is published.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// So many messages a second, on a schedule that waits for nobody.
    RatePerS(f64),
    /// The next burst when every subscriber has the last one: no schedule, so no corrected latency.
    Delivered,
    /// As fast as the server takes them: no schedule either.
    Taken,
}

/// The way a publication goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// A request each.
    Http,
    /// A frame each.
    #[serde(rename = "websocket")]
    WebSocket,
}

/// A publisher as a file has it: a rate or a word for its pace.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PublisherTable {
    #[serde(default)]
    name: String,
    to: To,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rate_per_s: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pace: Option<PaceWord>,
    #[serde(default = "one")]
    burst: u32,
    payload_bytes: usize,
    #[serde(default = "one")]
    connections: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    via: Option<Via>,
}

/// The paces without a rate.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PaceWord {
    Delivered,
    Taken,
}

const fn one() -> u32 {
    1
}

impl TryFrom<PublisherTable> for Publisher {
    type Error = &'static str;

    fn try_from(table: PublisherTable) -> Result<Self, Self::Error> {
        let pace = match (table.rate_per_s, table.pace) {
            (Some(rate), None) => Pace::RatePerS(rate),
            (None, Some(PaceWord::Delivered)) => Pace::Delivered,
            (None, Some(PaceWord::Taken)) => Pace::Taken,
            (None, None) => {
                return Err("set rate_per_s to publish on a schedule, or pace to \"delivered\" or \"taken\"");
            }
            (Some(_), Some(_)) => return Err("rate_per_s and pace exclude each other: a pace has no rate"),
        };
        let PublisherTable { name, to, burst, payload_bytes, connections, via, .. } = table;
        Ok(Self { name, to, pace, burst, payload_bytes, connections, via })
    }
}

impl From<Publisher> for PublisherTable {
    fn from(publisher: Publisher) -> Self {
        let Publisher { name, to, pace, burst, payload_bytes, connections, via } = publisher;
        let (rate_per_s, pace) = match pace {
            Pace::RatePerS(rate) => (Some(rate), None),
            Pace::Delivered => (None, Some(PaceWord::Delivered)),
            Pace::Taken => (None, Some(PaceWord::Taken)),
        };
        Self { name, to, rate_per_s, pace, burst, payload_bytes, connections, via }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publisher_survives_json_with_every_pace() {
        for pace in [Pace::RatePerS(2.5), Pace::Delivered, Pace::Taken] {
            let publisher = Publisher {
                name: String::from("news"),
                to: To::ChannelRange { name: String::from("news"), count: 3 },
                pace,
                burst: 4,
                payload_bytes: 128,
                connections: 2,
                via: Some(Via::WebSocket),
            };
            let json = serde_json::to_string(&publisher).unwrap();
            assert_eq!(serde_json::from_str::<Publisher>(&json).unwrap(), publisher, "{json}");
        }
    }
}
