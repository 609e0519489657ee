//! The relay thread pair: what makes this node one of a cluster.
//!
//! | file | what |
//! |---|---|
//! | `order` | what the other threads ask of the pair, and the pair of each other |
//! | `front` | their side: the bounded queue, and what they may read of the cluster |
//! | `view` | the cluster as this node last saw it |
//! | `census` | who is online in it, this node counted live |
//! | `figures` | the relay's numbers |
//! | `outward` | the thread that sends: publications, the directory, leases, schedules |
//! | `inward` | the thread that receives, and hands to the shards |
//! | `connection`, `url`, `topology` | Redis: sockets, where it is, who of it owns which key |
//! | `keys`, `scripts` | names of keys, and the Lua scripts that change them |
//!
//! Only these two threads touch Redis; they may wait for it, nobody waits for them.

mod census;
mod connection;
mod figures;
mod front;
mod inward;
mod keys;
mod order;
mod outward;
mod scripts;
mod start;
#[cfg(test)]
pub(crate) mod testing;
mod topology;
mod url;
mod view;

pub use census::Census;
pub use connection::{Access, Connection, Fault, LinkError, Polled};
pub use figures::RelayFigures;
pub use front::{Front, Room};
pub use order::{Arrival, Order, ScheduleNews, ScheduleOrder, StoredSchedule};
pub use start::{Pending, RelaySetup, prepare};
pub use topology::Topology;
pub use url::{Host, RedisUrl};
pub use view::{ClusterView, NodeRecord};
