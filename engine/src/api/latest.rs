//! The newest message of each channel that a schedule repeats. Knows nothing of schedules.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use epush_core::message::{ChannelName, Publication, Target};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Watched channels. Others cost one look at an empty map, or one lookup.
#[derive(Default)]
pub struct Latest {
    channels: HashMap<ChannelName, Watched>,
    /// Changes of which channels are watched, oldest first.
    interests: VecDeque<Interest>,
}

/// A change of which channels are watched.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Interest {
    /// From now on.
    Begins(ChannelName),
    /// No longer.
    Ends(ChannelName),
}

struct Watched {
    /// How many watch. Invariant: at least 1.
    watchers: usize,
    /// The newest frame, shared with its subscribers.
    frame: Option<Bytes>,
}

/// What a message said.
#[derive(Deserialize)]
pub struct Said {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: Option<Box<str>>,
    /// Its module.
    pub module: Option<Box<str>>,
    /// Its payload.
    pub data: Box<RawValue>,
}

impl Latest {
    /// Keeps the channel's messages from now on.
    pub fn watch(&mut self, channel: &ChannelName) {
        let watched = self.channels.entry(channel.clone()).or_insert(Watched { watchers: 0, frame: None });
        watched.watchers += 1;
        if watched.watchers == 1 {
            self.interests.push_back(Interest::Begins(channel.clone()));
        }
    }

    /// Takes one [`Latest::watch`] back.
    pub fn unwatch(&mut self, channel: &ChannelName) {
        let Some(watched) = self.channels.get_mut(channel) else { return };
        watched.watchers -= 1;
        if watched.watchers == 0 {
            self.channels.remove(channel);
            self.interests.push_back(Interest::Ends(channel.clone()));
        }
    }

    /// The oldest change of what is watched. Each is given once.
    pub fn next_interest(&mut self) -> Option<Interest> {
        self.interests.pop_front()
    }

    /// A message passes.
    pub fn observe(&mut self, publication: &Publication) {
        let Target::Channels(channels) = &publication.to else { return };
        if self.channels.is_empty() {
            return;
        }
        for (channel, frame) in channels.iter().zip(&publication.frames) {
            if let Some(watched) = self.channels.get_mut(channel) {
                watched.frame = Some(frame.clone());
            }
        }
    }

    /// Whether a message passed on the channel since it is watched.
    pub fn has(&self, channel: &ChannelName) -> bool {
        self.channels.get(channel).is_some_and(|watched| watched.frame.is_some())
    }

    /// What the channel's newest message said; none, when none passed since it is watched.
    pub fn said(&self, channel: &ChannelName) -> Option<Said> {
        let frame = self.channels.get(channel)?.frame.as_ref()?;
        let said = serde_json::from_slice(payload(frame));
        debug_assert!(said.is_ok(), "our own encoder writes JSON");
        said.ok()
    }
}

/// The payload of a whole unmasked frame (RFC 6455 §5.2).
fn payload(frame: &[u8]) -> &[u8] {
    let header_bytes = match frame.get(1) {
        Some(126) => 4,
        Some(127) => 10,
        _ => 2,
    };
    frame.get(header_bytes..).unwrap_or_default()
}
