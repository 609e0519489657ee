//! Clients that the server pushes to at intervals.

use clap::Args;
use epush_loadgen::scenario::Activity;

use super::super::common::Common;
use super::super::lay::{Flags, Laid};
use super::super::values;
use super::replace;

/// `every`.
#[derive(Args, Debug)]
pub struct Every {
    /// Between two pushes, as in 100ms
    #[arg(long, value_name = "TIME", value_parser = values::milliseconds)]
    interval: Option<u64>,
    /// The server's name for the periodic push
    #[arg(long, value_name = "NAME")]
    job: Option<String>,
    #[command(flatten)]
    pub(in super::super) common: Common,
}

impl Flags for Every {
    fn lay(&self, laid: &mut Laid) {
        for (at, group) in laid.scenario.groups.iter_mut().enumerate() {
            let Activity::Every { interval_ms, job } = &mut group.activity else { continue };
            let mut key = |key: &str, flag: &str| laid.source.flag(format!("group[{at}].activity.{key}"), flag);
            replace(interval_ms, &self.interval, || key("interval_ms", "--interval"));
            replace(job, &self.job, || key("job", "--job"));
        }
    }
}
