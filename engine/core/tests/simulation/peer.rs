//! What stands at the client's end of a link.

use super::api::ApiPeer;
use super::ledger::Ledger;
use super::native::Native;
use super::odd::Odd;
use super::random::Random;

pub enum Peer {
    /// A client of the native protocol.
    Native(Box<Native>),
    /// A back end that calls the API.
    Api(ApiPeer),
    /// Whatever else connects.
    Odd(Odd),
}

impl Peer {
    /// What the client writes now.
    pub fn act(&mut self, random: &mut Random, ledger: &mut Ledger) -> Vec<u8> {
        match self {
            Self::Native(native) => native.act(random, ledger),
            Self::Api(api) => api.act(random),
            Self::Odd(odd) => odd.act(random),
        }
    }

    /// Reads what the node wrote; what the client answers at once.
    pub fn receive(&mut self, bytes: &[u8], random: &mut Random, ledger: &mut Ledger) -> Vec<u8> {
        match self {
            Self::Native(native) => native.receive(bytes, random, ledger),
            Self::Api(api) => api.receive(bytes),
            Self::Odd(odd) => odd.receive(bytes, random),
        }
    }
}
