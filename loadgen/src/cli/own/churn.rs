//! Sessions that leave and come again.

use clap::Args;

use super::super::common::Common;
use super::super::lay::{Flags, Laid};
use super::publishing::Publishing;

/// `churn`.
#[derive(Args, Debug)]
pub struct Churn {
    /// Sessions a second that leave and come again
    #[arg(long, value_name = "PER_S")]
    churn_rate: Option<f64>,
    #[command(flatten)]
    publishing: Publishing,
    #[command(flatten)]
    pub(in super::super) common: Common,
}

impl Flags for Churn {
    fn lay(&self, laid: &mut Laid) {
        self.publishing.lay(laid);
        let Some(rate) = self.churn_rate else { return };
        let groups = laid.scenario.groups.iter_mut().enumerate();
        for (at, group) in groups.filter(|(_, group)| group.churn_per_s > 0.0) {
            group.churn_per_s = rate;
            laid.source.flag(format!("group[{at}].churn_per_s"), "--churn-rate");
        }
    }
}
