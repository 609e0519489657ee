//! What the scenarios with publishers have in common: how much, how large, which way.

use clap::{Args, ValueEnum};
use epush_loadgen::scenario::{Pace, Via};

use super::super::lay::{Flags, Laid};
use super::super::values;

/// What the scenarios with publishers have in common.
#[derive(Args, Debug)]
pub(super) struct Publishing {
    /// Messages a second of all destinations together, on a schedule that waits for nobody
    #[arg(long, value_name = "PER_S")]
    rate: Option<f64>,
    /// Bytes of each message
    #[arg(long, value_name = "BYTES", value_parser = values::bytes)]
    payload: Option<usize>,
    /// The way publications go [default: the dialect's own]
    #[arg(long)]
    via: Option<ViaWord>,
}

/// The way a publication goes.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ViaWord {
    /// A request each
    Http,
    /// A frame each
    Websocket,
}

impl Flags for Publishing {
    fn lay(&self, laid: &mut Laid) {
        let pace = self.rate.map(Pace::RatePerS);
        laid.set_in_publishers(&pace, "--rate", "rate_per_s", |publisher| &mut publisher.pace);
        laid.set_in_publishers(&self.payload, "--payload", "payload_bytes", |publisher| &mut publisher.payload_bytes);
        let via = self.via.map(|via| match via {
            ViaWord::Http => Some(Via::Http),
            ViaWord::Websocket => Some(Via::WebSocket),
        });
        laid.set_in_publishers(&via, "--via", "via", |publisher| &mut publisher.via);
    }
}
