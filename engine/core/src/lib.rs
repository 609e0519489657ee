//! The pure half of epush: everything that can be wrong about a protocol, a queue, a timer or a route.

pub mod close;
pub mod counters;
pub mod error;
pub mod http;
pub mod id;
pub mod limits;
pub mod message;
pub mod network;
pub mod now;
pub mod rate;
pub mod rfc3339;
pub mod settings;
pub mod template;
pub mod wheel;
pub mod wire;
