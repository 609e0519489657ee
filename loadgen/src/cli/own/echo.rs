//! Clients that send, and get back what they sent.

use clap::Args;
use epush_loadgen::scenario::Activity;

use super::super::common::Common;
use super::super::lay::{Flags, Laid};
use super::super::values;
use super::replace;

/// `echo`.
#[derive(Args, Debug)]
pub struct Echo {
    /// Messages a second of each client; 0: ping-pong, the next when the last is back
    #[arg(long, value_name = "PER_S")]
    rate: Option<f64>,
    /// Unanswered messages a client may have; 0: any number
    #[arg(long, value_name = "N")]
    in_flight: Option<u32>,
    /// Bytes of each message
    #[arg(long, value_name = "BYTES", value_parser = values::bytes)]
    payload: Option<usize>,
    /// Binary messages instead of text
    #[arg(long)]
    binary: bool,
    #[command(flatten)]
    pub(in super::super) common: Common,
}

impl Flags for Echo {
    fn lay(&self, laid: &mut Laid) {
        for (at, group) in laid.scenario.groups.iter_mut().enumerate() {
            let Activity::Echo { rate_per_s, in_flight, payload_bytes, binary } = &mut group.activity else { continue };
            let mut key = |key: &str, flag: &str| laid.source.flag(format!("group[{at}].activity.{key}"), flag);
            replace(rate_per_s, &self.rate, || key("rate_per_s", "--rate"));
            replace(in_flight, &self.in_flight, || key("in_flight", "--in-flight"));
            replace(payload_bytes, &self.payload, || key("payload_bytes", "--payload"));
            *binary |= self.binary;
        }
    }
}
