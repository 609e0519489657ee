//! The pure half of epush: everything that can be wrong about a protocol, a queue, a timer or a route.
//!
//! No sockets, threads, locks, clocks or randomness live here. Bytes and [`Now`](now::Now) go into a
//! [`Shard`](shard::Shard); outbox slices, deadlines and [`Effect`](effect::Effect)s come out. The `epush`
//! crate owns the sockets and threads around it.
//!
//! | room | owns |
//! |---|---|
//! | [`id`], [`now`], [`limits`], [`settings`], [`close`], [`error`] | names, time, bounds, rules, how things end |
//! | [`message`], [`batch`] | targets, publications, the one encoder of a push; frames joined for sharing |
//! | [`wire`], [`http`] | HTTP, WebSocket, PROXY and native JSON, as bytes and as values |
//! | [`connection`] | what one peer is |
//! | [`named`] | things with unique names, by slot and by name |
//! | [`hub`], [`registry`] | channel and user → sessions of this shard; user → sessions of the whole node |
//! | [`outbox`], [`slow`] | what waits for a socket, and the verdict on those that wait too long |
//! | [`relay`] | what nodes tell each other, and how loss is seen |
//! | [`wheel`], [`rate`], [`template`] | timers, token buckets, what a periodic push renders |
//! | [`shard`], [`mail`], [`effect`], [`counters`] | the whole of a sub-reactor but its I/O |

pub mod batch;
pub mod close;
pub mod connection;
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
pub mod relay;
pub mod rfc3339;
pub mod settings;
pub mod shard;
pub mod slow;
pub mod template;
pub mod wheel;
pub mod wire;
