//! The flags that one scenario has and others do not.

use clap::Args;

use super::common::Common;
use super::lay::{Flags, Laid};

mod churn;
mod direct;
mod echo;
mod every;
mod fanout;
mod peer;
mod publishing;
mod slow;

pub use churn::Churn;
pub use direct::Direct;
pub use echo::Echo;
pub use every::Every;
pub use fanout::Fanout;
pub use peer::Peer;
pub use slow::Slow;

/// `hold`.
#[derive(Args, Debug)]
pub struct Hold {
    #[command(flatten)]
    pub(super) common: Common,
}

/// `storm`.
#[derive(Args, Debug)]
pub struct Storm {
    #[command(flatten)]
    pub(super) common: Common,
}

/// `mixed`.
#[derive(Args, Debug)]
pub struct Mixed {
    #[command(flatten)]
    pub(super) common: Common,
}

impl Flags for Hold {
    fn lay(&self, _laid: &mut Laid) {}
}

impl Flags for Storm {
    fn lay(&self, _laid: &mut Laid) {}
}

impl Flags for Mixed {
    fn lay(&self, _laid: &mut Laid) {}
}

/// Puts a flag's value in place where it was given, and notes it.
fn replace<T: Clone>(place: &mut T, value: &Option<T>, mut note: impl FnMut()) {
    if let Some(value) = value {
        place.clone_from(value);
        note();
    }
}
