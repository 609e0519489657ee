//! Clients that send to one another.

use clap::Args;
use epush_loadgen::scenario::Activity;

use super::super::common::Common;
use super::super::lay::{Flags, Laid};
use super::super::values;
use super::replace;

/// `peer`.
#[derive(Args, Debug)]
pub struct Peer {
    /// Messages a second of each client
    #[arg(long, value_name = "PER_S")]
    rate: Option<f64>,
    /// Bytes of each message
    #[arg(long, value_name = "BYTES", value_parser = values::bytes)]
    payload: Option<usize>,
    #[command(flatten)]
    pub(in super::super) common: Common,
}

impl Flags for Peer {
    fn lay(&self, laid: &mut Laid) {
        for (at, group) in laid.scenario.groups.iter_mut().enumerate() {
            let Activity::Peer { rate_per_s, payload_bytes } = &mut group.activity else { continue };
            let mut key = |key: &str, flag: &str| laid.source.flag(format!("group[{at}].activity.{key}"), flag);
            replace(rate_per_s, &self.rate, || key("rate_per_s", "--rate"));
            replace(payload_bytes, &self.payload, || key("payload_bytes", "--payload"));
        }
    }
}
