//! Tests of what two of the files do together, or of one at length.

mod envelope;
mod ledger;
mod loss;

use super::{Head, NodeId, Number};
use crate::batch::Stream;
use crate::message::{ChannelName, UserName};

fn user(name: &str) -> Stream {
    Stream::User(UserName::parse(name).expect("valid"))
}

fn channel(name: &str) -> Stream {
    Stream::Channel(ChannelName::parse(name).expect("valid"))
}

/// A number of the generation that nothing was lost before.
fn number(generation: u64, number: u64) -> Number {
    Number { generation, number, lost: 0 }
}

fn head(origin: NodeId, generation: u64, first: u64, last: u64) -> Head {
    Head { origin, generation, first, last }
}
