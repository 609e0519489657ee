//! Names of things inside one node: shards, connections, sessions.
//!
//! Knows nothing of what they name.

use std::fmt;
use std::str::FromStr;

/// Which shard, counted from 0: one per sub-reactor thread.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ShardId(pub u16);

impl ShardId {
    /// Not a shard: the node's relay, where it is the one who asks shards.
    pub const RELAY: Self = Self(u16::MAX);

    /// Not a shard: the control API, where it is the one who wants a channel's messages. Nothing is posted to it.
    pub const API: Self = Self(u16::MAX - 1);
}

/// A connection within its shard.
///
/// The slab index is used again after a close; the generation is not, so that a name that outlived its
/// connection misses.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ConnId {
    /// Slot in the shard's slab.
    pub index: u32,
    /// How many connections used the slot before.
    pub generation: u32,
}

/// A connection anywhere on this node.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SessionRef {
    /// The shard that owns it.
    pub shard: ShardId,
    /// Its name there.
    pub conn: ConnId,
}

/// A session's public name: unique among the nodes and restarts of one service.
///
/// Written as four hexadecimal numbers, `boot-shard-index-generation`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SessionId {
    /// Drawn at random when the node starts.
    pub boot: u64,
    /// Where the session lives on that node.
    pub at: SessionRef,
}

impl fmt::Display for SessionId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SessionRef { shard, conn } = self.at;
        write!(out, "{:x}-{:x}-{:x}-{:x}", self.boot, shard.0, conn.index, conn.generation)
    }
}

/// The text is not four hexadecimal numbers in range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotASessionId;

impl FromStr for SessionId {
    type Err = NotASessionId;

    fn from_str(text: &str) -> Result<Self, NotASessionId> {
        let mut parts = text.split('-').map(|part| u64::from_str_radix(part, 16));
        let mut next = || parts.next().and_then(Result::ok).ok_or(NotASessionId);
        let (boot, shard, index, generation) = (next()?, next()?, next()?, next()?);
        if parts.next().is_some() {
            return Err(NotASessionId);
        }
        let conn = ConnId {
            index: index.try_into().map_err(|_| NotASessionId)?,
            generation: generation.try_into().map_err(|_| NotASessionId)?,
        };
        let shard = ShardId(shard.try_into().map_err(|_| NotASessionId)?);
        Ok(Self { boot, at: SessionRef { shard, conn } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_id_reads_back_as_it_was_written() {
        let conn = ConnId { index: 70_000, generation: 3 };
        let id = SessionId { boot: 0xfeed_beef, at: SessionRef { shard: ShardId(2), conn } };
        assert_eq!(id.to_string(), "feedbeef-2-11170-3");
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn other_text_is_no_session_id() {
        for text in ["", "1-2-3", "1-2-3-4-5", "x-1-2-3", "1-10000-2-3", "1-2-100000000-3"] {
            assert_eq!(text.parse::<SessionId>(), Err(NotASessionId), "{text}");
        }
    }
}
