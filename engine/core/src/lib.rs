//! The pure half of epush: everything that can be wrong about a protocol, a queue, a timer or a route.

pub mod batch;
pub mod close;
pub mod counters;
pub mod effect;
pub mod error;
pub mod http;
pub mod hub;
pub mod id;
pub mod limits;
pub mod mail;
pub mod message;
pub mod named;
pub mod network;
pub mod now;
pub mod outbox;
pub mod page;
pub mod rate;
pub mod registry;
pub mod rfc3339;
pub mod settings;
pub mod slow;
pub mod template;
pub mod wheel;
pub mod wire;
