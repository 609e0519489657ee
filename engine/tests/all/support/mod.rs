//! What every test stands on: a real node, clients that wait with deadlines, and nothing that sleeps.
//!
//! Knows nothing of what is being proved.

// Each test binary uses a part of this.
#![allow(dead_code, unused_imports)]

pub mod client;
pub mod cluster;
pub mod deadline;
pub mod fleet;
pub mod hook;
pub mod http;
pub mod nginx;
pub mod node;
pub mod ports;
pub mod proxy;
pub mod raw;
pub mod redis;
pub mod token;
pub mod tools;

pub use client::Client;
pub use cluster::{Cluster, Plan};
pub use deadline::{PATIENCE, eventually, until, within};
pub use http::{Api, Reply};
pub use node::{Ended, Node};
pub use proxy::Proxy;
pub use raw::Raw;
pub use redis::Redis;
pub use serde_json::{Value, json};
