//! Calls about muted types.

use std::sync::{Arc, LazyLock};

use epush_core::mail::{MuteChange, Mutes};
use epush_core::message::UserName;
use redis::{Script, Value};

use super::reply::{self, ReplyError};
use super::{CHANGE_MUTES, Call, Calls};

impl Calls {
    /// The user's muted types. Its reply: [`reply::mutes`].
    #[must_use]
    pub fn mutes(&self, user: &UserName) -> Call {
        Call::plain("SMEMBERS", self.keys.mutes(user))
    }

    /// Changes the user's muted types, and tells the other nodes that have the user.
    ///
    /// `muted` is an encoded [`epush_core::relay::Body::Muted`] without types: the script adds them, and the time.
    ///
    /// Its reply: [`changed`].
    #[must_use]
    pub fn change_mutes(&self, user: &UserName, change: &MuteChange, types_max: usize, muted: &[u8]) -> Call {
        static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(CHANGE_MUTES));
        let (mode, types): (&str, &[Arc<str>]) = match change {
            MuteChange::Add(types) => ("add", types),
            MuteChange::Remove(types) => ("remove", types),
            MuteChange::Replace(types) => ("replace", types),
        };
        let call = Call::script(&SCRIPT, self.keys.mutes(user), [self.keys.user(user)]);
        let call = self.about(call, user).arg(format!("{:x}", self.me.boot)).arg(self.verb.as_str()).arg(muted);
        types.iter().fold(call.arg(types_max).arg(mode), |call, kind| call.arg(&**kind))
    }
}

/// All the types after [`Calls::change_mutes`], and when that was, in ms since 1970 by Redis's clock; none: they would be
/// too many, and nothing has changed.
///
/// # Errors
/// [`ReplyError`]: it is something else.
pub fn changed(value: &Value) -> Result<Option<(Mutes, u64)>, ReplyError> {
    if matches!(value, Value::Nil) {
        return Ok(None);
    }
    let [at, mutes] = reply::parts(value)?;
    Ok(Some((reply::mutes(mutes)?, reply::count(at)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::scripts::testing::{Redis, entry, muting, unstamped, user};

    fn types(words: &[&str]) -> Vec<Arc<str>> {
        words.iter().map(|word| Arc::from(*word)).collect()
    }

    fn change(redis: &mut Redis, calls: &Calls, change: &MuteChange) -> Option<Vec<Arc<str>>> {
        let reply = redis.run(&calls.change_mutes(&user("ada"), change, 3, &muting(&[])));
        changed(&reply).expect("a list").map(|(mutes, _)| mutes.to_vec())
    }

    #[test]
    fn types_are_added_removed_and_replaced_and_never_too_many() {
        let mut redis = Redis::start();
        let a = redis.calls(1);
        let mut change = |how: MuteChange| change(&mut redis, &a, &how);
        assert_eq!(change(MuteChange::Add(types(&["b", "a", "b"]))), Some(types(&["a", "b"])));
        assert_eq!(change(MuteChange::Add(types(&["c", "d"]))), None);
        assert_eq!(change(MuteChange::Add(types(&["c", "a"]))), Some(types(&["a", "b", "c"])));
        assert_eq!(change(MuteChange::Remove(types(&["b", "x"]))), Some(types(&["a", "c"])));
        assert_eq!(change(MuteChange::Replace(types(&["1", "2", "3", "4"]))), None);
        assert_eq!(change(MuteChange::Replace(types(&["z"]))), Some(types(&["z"])));
        assert_eq!(change(MuteChange::Replace(vec![])), Some(vec![]));
        assert_eq!(reply::mutes(&redis.run(&a.mutes(&user("ada")))).as_deref(), Ok(&[][..]));
        assert_eq!(redis.all("KEYS", "*"), Vec::<String>::new());
    }

    #[test]
    fn the_other_nodes_that_have_the_user_are_told_the_whole_list() {
        let mut redis = Redis::start();
        let nodes = [1, 2, 3].map(|boot| redis.calls(boot));
        let channels =
            nodes.each_ref().map(|calls| calls.keys.to_node(calls.keys.partition(&user("ada")), calls.me.boot));
        let mut lines = channels.each_ref().map(|channel| redis.listen(channel));
        for (node, index) in [(0, 1), (1, 1), (1, 2)] {
            let entry = entry(nodes[node].me.boot, index);
            redis.run(&nodes[node].sign_in(&user("ada"), &entry, 0, b"close"));
        }
        change(&mut redis, &nodes[0], &MuteChange::Add(types(&["é", "a", "B"])));
        change(&mut redis, &nodes[0], &MuteChange::Add(types(&["d"])));
        change(&mut redis, &nodes[0], &MuteChange::Replace(vec![]));
        for ((line, channel), expected) in
            lines.iter_mut().zip(&channels).zip([vec![], vec![muting(&["B", "a", "é"]), muting(&[])], vec![]])
        {
            redis.command(redis::cmd("PUBLISH").arg(channel).arg(b"end"));
            assert_eq!(line.hear_until(b"end").into_iter().map(unstamped).collect::<Vec<_>>(), expected);
        }
    }
}
