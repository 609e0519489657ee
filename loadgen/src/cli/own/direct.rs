//! Pushing to users.

use clap::Args;
use epush_loadgen::scenario::To;

use super::super::common::Common;
use super::super::lay::{Flags, Laid};
use super::publishing::Publishing;

/// `direct`.
#[derive(Args, Debug)]
pub struct Direct {
    #[command(flatten)]
    publishing: Publishing,
    /// Users to push to, in turn, evenly chosen among the clients
    #[arg(long, value_name = "N")]
    users: Option<u32>,
    #[command(flatten)]
    pub(in super::super) common: Common,
}

impl Flags for Direct {
    fn lay(&self, laid: &mut Laid) {
        self.publishing.lay(laid);
        let clients = laid.scenario.groups.first().map_or(0, |group| group.clients);
        let flag = if self.users.is_some() { "--users" } else { "--clients" };
        for (at, publisher) in laid.scenario.publishers.iter_mut().enumerate() {
            let To::Users(users) = &mut publisher.to else { continue };
            // Fewer clients than the file has users: all of them.
            *users = self.users.unwrap_or((*users).min(clients));
            laid.source.flag(format!("publisher[{at}].to"), flag);
        }
    }
}
