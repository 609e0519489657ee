//! Calls about who is online where.
//!
//! `close` is always an encoded [`epush_core::relay::Body::Close`] without sessions: the script adds those it finds.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use epush_core::id::SessionId;
use epush_core::mail::Mutes;
use epush_core::message::UserName;
use epush_core::relay::Head;
use redis::{Script, Value};

use super::reply::{self, ReplyError};
use super::{Call, Calls, KICK, SIGN_IN, SIGN_OUT, SWEEP};
use crate::relay::keys::Incarnation;

/// A session as the directory has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Its name, which names its node.
    pub session: SessionId,
    /// Its place among the user's, the newest the highest: about its ms by Redis's clock; 0: the script gives it one.
    pub order: u64,
    /// When it opened, in ms since 1970.
    pub since_unix_ms: u64,
    /// The client's address.
    pub remote: IpAddr,
}

/// What [`Calls::sign_in`] and [`Calls::sync`] say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Registered {
    /// The given sessions that are in the directory now, and their places.
    pub orders: Vec<(SessionId, u64)>,
    /// Sessions of this node that are not, because newer ones took their place: to be closed.
    pub closed: Vec<SessionId>,
    /// What others sent to the user before.
    pub heads: Vec<Head>,
    /// The user's muted types; none: nothing is muted.
    pub mutes: Option<Mutes>,
    /// When that was so, in ms since 1970 by Redis's clock.
    pub at_unix_ms: u64,
}

impl Calls {
    /// Adds a session to the user's. Its reply: [`Registered::read`].
    ///
    /// `per_user` > 0 is how many may stay: the oldest of all nodes go; those of other nodes are told `close` in the
    /// same moment. A session that is there already keeps its place. In doubt whether it ran, call again with the
    /// order that the first try would have given (Redis's time then): a session that was replaced meanwhile does not
    /// come back as the newest.
    #[must_use]
    pub fn sign_in(&self, user: &UserName, entry: &Entry, per_user: usize, close: &[u8]) -> Call {
        self.register(user, "add", per_user, close, &[]).arg(1).entry(entry)
    }

    /// Makes the user's sessions of this node, of whatever life, exactly these of its present life. Its reply:
    /// [`Registered::read`].
    ///
    /// Applies `per_user` like [`Calls::sign_in`]. `mutes` are restored if Redis has none: given only when it lost its
    /// memory.
    #[must_use]
    pub fn sync(&self, user: &UserName, entries: &[Entry], mutes: &[Arc<str>], per_user: usize, close: &[u8]) -> Call {
        let call = self.register(user, "set", per_user, close, mutes).arg(entries.len());
        entries.iter().fold(call, Call::entry)
    }

    fn register(&self, user: &UserName, mode: &str, per_user: usize, close: &[u8], mutes: &[Arc<str>]) -> Call {
        static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(SIGN_IN));
        let call = Call::script(&SCRIPT, self.keys.user(user), [self.keys.mutes(user)]);
        let call = self.about(call, user).arg(mode).arg(self.me.to_string()).arg(format!("{:x}", self.me.boot));
        let call = call.arg(per_user).arg(self.verb.as_str()).arg(close).arg(mutes.len());
        mutes.iter().fold(call, |call, kind| call.arg(&**kind))
    }

    /// Takes a session from the user's. Its reply: [`reply::flag`], whether it was there.
    #[must_use]
    pub fn sign_out(&self, user: &UserName, session: SessionId) -> Call {
        static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(SIGN_OUT));
        let call = Call::script(&SCRIPT, self.keys.user(user), []);
        self.about(call, user).arg(session.to_string())
    }

    /// Takes the sessions of a dead incarnation from at most `users_max` users of the partition.
    ///
    /// Its reply: [`reply::count`], how many users it visited; 0: the partition is done.
    #[must_use]
    pub fn sweep(&self, partition: u8, dead: Incarnation, users_max: usize) -> Call {
        static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(SWEEP));
        let call = Call::script(&SCRIPT, self.keys.users_of(partition, dead), []);
        call.arg(self.keys.of_partition(partition)).arg(dead.to_string()).arg(users_max)
    }

    /// Tells `close` to the user's sessions on other nodes; each signs out itself.
    ///
    /// Its reply: [`reply::count`], how many were told.
    #[must_use]
    pub fn kick(&self, user: &UserName, close: &[u8]) -> Call {
        static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(KICK));
        let call = self.about(Call::script(&SCRIPT, self.keys.user(user), []), user);
        call.arg(format!("{:x}", self.me.boot)).arg(self.verb.as_str()).arg(close)
    }

    /// All the user's sessions, on this node too. Its reply: [`Entry::read_all`].
    #[must_use]
    pub fn sessions(&self, user: &UserName) -> Call {
        Call::plain("HGETALL", self.keys.user(user))
    }

    /// How many users of the partition are online. Its reply: [`reply::count`].
    #[must_use]
    pub fn online(&self, partition: u8) -> Call {
        Call::plain("GET", self.keys.online(partition))
    }

    /// The partition's mark; it is this one if there is none. Its reply: [`reply::count`], 0 where there was none.
    #[must_use]
    pub fn mark(&self, partition: u8, ours: u64) -> Call {
        Call::plain("SET", self.keys.mark(partition)).arg(ours).arg("NX").arg("GET")
    }

    /// The partition's names and the user's, with which the script makes those of more keys.
    pub(super) fn about(&self, call: Call, user: &UserName) -> Call {
        call.arg(self.keys.of_partition(self.keys.partition(user))).arg(user.as_str())
    }
}

impl Call {
    fn entry(self, entry: &Entry) -> Self {
        self.arg(entry.session.to_string()).arg(entry.order).arg(entry.since_unix_ms).arg(entry.remote.to_string())
    }
}

impl Entry {
    /// Reads what [`Calls::sessions`] is answered by.
    ///
    /// # Errors
    /// [`ReplyError`]: it is no hash. Fields that are no sessions are other things.
    pub fn read_all(value: &Value) -> Result<Vec<Self>, ReplyError> {
        let fields = reply::pairs(value)?.into_iter();
        Ok(fields.filter_map(|(field, value)| Self::read(field, value)).collect())
    }

    /// One field: `s:<session>` -> `<incarnation> <order> <since> <remote>`.
    fn read(field: &Value, value: &Value) -> Option<Self> {
        let session = reply::text(field).ok()?.strip_prefix("s:")?.parse().ok()?;
        let mut words = reply::text(value).ok()?.split(' ').skip(1);
        let (order, since, remote) = (words.next()?, words.next()?, words.next()?);
        let (order, since_unix_ms) = (order.parse().ok()?, since.parse().ok()?);
        Some(Self { session, order, since_unix_ms, remote: remote.parse().ok()? })
    }
}

impl Registered {
    /// Reads the reply. `me` is the reader's node.
    ///
    /// # Errors
    /// [`ReplyError`]: it is something else.
    pub fn read(value: &Value, me: Incarnation) -> Result<Self, ReplyError> {
        let [orders, closed, heads, mutes, at] = reply::parts(value)?;
        let session = |value| reply::parsed::<SessionId>(value, "a session");
        let order = |(name, order)| Ok((session(name)?, reply::parsed(order, "an order")?));
        let mutes = reply::mutes(mutes)?;
        Ok(Self {
            orders: reply::pairs(orders)?.into_iter().map(order).collect::<Result<_, _>>()?,
            closed: reply::items(closed)?.iter().map(session).collect::<Result<_, _>>()?,
            heads: reply::heads(heads, me.boot)?,
            mutes: (!mutes.is_empty()).then_some(mutes),
            at_unix_ms: reply::count(at)?,
        })
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
