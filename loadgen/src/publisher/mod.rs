//! Who publishes: on schedule, over HTTP or WebSocket.
//!
//! Each publisher is a thread that never waits for a server: what is due is written, or its number and due time are kept
//! until the server takes it. Every number it gave out ends as written, refused, unanswered or not sent.
//!
//! | module | owns |
//! |---|---|
//! | [`pacer`] | when the next burst is due |
//! | [`queue`] | what is due and not written |
//! | [`composer`] | the text of a publication |
//! | [`wire`], [`http`], [`answer`], [`websocket`] | what is said over a connection |
//! | [`socket`], [`output`], [`link`] | a connection, what it has to write, and what happens when it breaks |
//! | [`ledger`] | what became of every number |
//! | [`live`] | what run, publishers and workers share |
//! | [`thread`] | the loop |

pub mod answer;
pub mod composer;
pub mod desk;
pub mod http;
pub mod ledger;
pub mod link;
pub mod live;
pub mod output;
pub mod pacer;
pub mod queue;
pub mod socket;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub mod thread;
pub mod websocket;
pub mod wire;

pub use ledger::Ledger;
pub use live::Live;
pub use thread::spawn;
