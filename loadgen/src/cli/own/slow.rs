//! Clients that read slowly, or not at all.

use clap::Args;
use epush_loadgen::scenario::Reader;

use super::super::common::Common;
use super::super::lay::{Flags, Laid};
use super::super::values;
use super::publishing::Publishing;
use super::replace;

/// `slow`.
#[derive(Args, Debug)]
pub struct Slow {
    /// Share of clients that are slow, 0 to 1
    #[arg(long)]
    share: Option<f64>,
    /// Time a slow one reads nothing, out of every --period
    #[arg(long, value_name = "TIME", value_parser = values::milliseconds)]
    stall: Option<u64>,
    /// See --stall; the same as --stall: it never reads
    #[arg(long, value_name = "TIME", value_parser = values::milliseconds)]
    period: Option<u64>,
    /// Bytes a slow one reads a second, instead of stalling
    #[arg(long, value_name = "BYTES", value_parser = values::bytes, conflicts_with_all = ["stall", "period"])]
    bytes_per_s: Option<usize>,
    #[command(flatten)]
    publishing: Publishing,
    #[command(flatten)]
    pub(in super::super) common: Common,
}

impl Flags for Slow {
    fn lay(&self, laid: &mut Laid) {
        self.publishing.lay(laid);
        for (at, group) in laid.scenario.groups.iter_mut().enumerate() {
            let Reader::Stall { mut share, mut period_ms, mut stall_ms } = group.reader else { continue };
            let mut key = |key: &str, flag: &str| laid.source.flag(format!("group[{at}].reader.{key}"), flag);
            replace(&mut share, &self.share, || key("share", "--share"));
            replace(&mut period_ms, &self.period, || key("period_ms", "--period"));
            replace(&mut stall_ms, &self.stall, || key("stall_ms", "--stall"));
            group.reader = match self.bytes_per_s {
                None => Reader::Stall { share, period_ms, stall_ms },
                Some(bytes) => {
                    key("bytes_per_s", "--bytes-per-s");
                    Reader::Slow { share, bytes_per_s: bytes as u64 }
                }
            };
        }
    }
}
