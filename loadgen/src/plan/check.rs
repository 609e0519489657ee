//! Whether a dialect has the words for a scenario.

use super::{Destination, Plan};
use crate::scenario::{Activity, Via};

impl Plan {
    /// Whether the dialect can say all that the scenario wants said.
    pub(super) fn check_words(&self) -> Result<(), String> {
        let name = &self.dialect.name;
        for group in &self.scenario.groups {
            match group.activity {
                Activity::Peer { .. } if self.words.send_user.is_none() => {
                    return Err(format!("the dialect {name} has no send_user: its clients cannot send to each other"));
                }
                Activity::Every { .. } if self.words.every.is_none() => {
                    return Err(format!("the dialect {name} has no every: its clients cannot ask for periodic pushes"));
                }
                _ => {}
            }
        }
        for (publisher, streams) in self.scenario.publishers.iter().zip(&self.publishers) {
            let Some(to) = self.streams.get(streams.start as usize).filter(|_| !streams.is_empty()) else { continue };
            let (knows, way) = match publisher.via.unwrap_or_else(|| self.dialect.via()) {
                Via::Http => (self.words.by_http(to).is_some(), "by HTTP"),
                Via::WebSocket => (self.words.over_websocket(to).is_some(), "over WebSocket"),
            };
            if !knows {
                let why = self.dialect.why_not();
                return Err(format!("the dialect {name} does not say how to publish to {} {way}{why}", to.kind()));
            }
        }
        Ok(())
    }
}

impl Destination {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Channel(_) => "a channel",
            Self::User(_) => "a user",
            Self::All => "everybody",
        }
    }
}
