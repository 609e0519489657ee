//! Publishing to channels, or to everybody.

use clap::{Args, ValueEnum};
use epush_loadgen::scenario::{Pace, To};

use super::super::common::Common;
use super::super::lay::{Flags, Laid};
use super::publishing::Publishing;

/// `fanout`.
#[derive(Args, Debug)]
pub struct Fanout {
    #[command(flatten)]
    publishing: Publishing,
    /// Messages published at the same moment
    #[arg(long, value_name = "N")]
    burst: Option<u32>,
    /// Channels, published to in turn; clients are spread over them
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    channels: Option<u32>,
    /// Publish to everybody instead of a channel, and subscribe to none
    #[arg(long, conflicts_with = "channels")]
    all: bool,
    /// When to publish without a rate: when everybody has the last message, or as fast as the server takes them
    #[arg(long, conflicts_with = "rate")]
    pace: Option<PaceWord>,
    #[command(flatten)]
    pub(in super::super) common: Common,
}

/// A pace without a rate.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum PaceWord {
    /// The next when every subscriber has the last
    Delivered,
    /// As fast as the server takes them
    Taken,
}

impl Flags for Fanout {
    fn lay(&self, laid: &mut Laid) {
        self.publishing.lay(laid);
        laid.set_in_publishers(&self.burst, "--burst", "burst", |publisher| &mut publisher.burst);
        let pace = self.pace.map(|pace| match pace {
            PaceWord::Delivered => Pace::Delivered,
            PaceWord::Taken => Pace::Taken,
        });
        laid.set_in_publishers(&pace, "--pace", "pace", |publisher| &mut publisher.pace);
        if self.all {
            laid.scenario.groups.iter_mut().for_each(|group| group.channels.clear());
            laid.set_in_publishers(&Some(To::All), "--all", "to", |publisher| &mut publisher.to);
        }
        let Some(count) = self.channels else { return };
        laid.scenario.groups.iter_mut().for_each(|group| group.channels = vec![format!("news.{{client%{count}}}")]);
        let to = To::ChannelRange { name: String::from("news"), count };
        laid.set_in_publishers(&Some(to), "--channels", "to", |publisher| &mut publisher.to);
    }
}
