//! Calls about the cluster's schedules.

use std::sync::LazyLock;

use redis::{Script, Value};

use super::reply::{self, ReplyError};
use super::{CLAIM, Call, Calls, PUT_SCHEDULE, REMOVE_SCHEDULE};
use crate::relay::order::StoredSchedule;

/// What [`Calls::put_schedule`] says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Put {
    /// Whether there was one of that name.
    pub existed: bool,
    /// When its interval began, in ms since 1970 by Redis's clock.
    pub start_unix_ms: u64,
}

/// What [`Calls::claim`] says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Claim {
    /// Whether the tick is this node's.
    pub won: bool,
    /// How many ticks of the schedule were won before this one, by any node.
    pub fired: u64,
}

impl Calls {
    /// Keeps a schedule in place of the one with its name; its interval begins now. Its reply: [`Put::read`].
    #[must_use]
    pub fn put_schedule(&self, name: &str, number: u64, plan: &str) -> Call {
        self.put(name, number, 0, plan, "replace")
    }

    /// Brings back a schedule that Redis forgot, unless there is one with its name. Its reply: [`Put::read`].
    #[must_use]
    pub fn restore_schedule(&self, schedule: &StoredSchedule) -> Call {
        self.put(&schedule.name, schedule.number, schedule.start_unix_ms, &schedule.plan, "restore")
    }

    fn put(&self, name: &str, number: u64, start_unix_ms: u64, plan: &str, mode: &str) -> Call {
        static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(PUT_SCHEDULE));
        let call = Call::script(&SCRIPT, self.keys.schedules(), self.other_schedule_keys());
        call.arg(name).arg(number).arg(start_unix_ms).arg(plan).arg(mode)
    }

    /// Forgets a schedule. Its reply: [`reply::flag`], whether there was one.
    #[must_use]
    pub fn remove_schedule(&self, name: &str) -> Call {
        static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(REMOVE_SCHEDULE));
        Call::script(&SCRIPT, self.keys.schedules(), self.other_schedule_keys()).arg(name)
    }

    /// Asks for a tick: the first to ask gets it, unless a later one was given already. Its reply: [`Claim::read`].
    #[must_use]
    pub fn claim(&self, name: &str, number: u64, tick: u64) -> Call {
        static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(CLAIM));
        let call = Call::script(&SCRIPT, self.keys.schedules(), [self.keys.schedules_ticks()]);
        call.arg(name).arg(number).arg(tick)
    }

    /// All schedules. Its reply: [`StoredSchedule::read_all`].
    #[must_use]
    pub fn schedules(&self) -> Call {
        Call::plain("HGETALL", self.keys.schedules())
    }

    /// A number that is another one after every change. Its reply: [`reply::count`].
    #[must_use]
    pub fn schedules_version(&self) -> Call {
        Call::plain("GET", self.keys.schedules_version())
    }

    fn other_schedule_keys(&self) -> [String; 2] {
        [self.keys.schedules_version(), self.keys.schedules_ticks()]
    }
}

impl Put {
    /// Reads the reply.
    ///
    /// # Errors
    /// [`ReplyError`]: it is something else.
    pub fn read(value: &Value) -> Result<Self, ReplyError> {
        let [existed, start] = reply::parts(value)?;
        Ok(Self { existed: reply::flag(existed)?, start_unix_ms: reply::count(start)? })
    }
}

impl Claim {
    /// Reads the reply.
    ///
    /// # Errors
    /// [`ReplyError`]: it is something else.
    pub fn read(value: &Value) -> Result<Self, ReplyError> {
        let [won, fired] = reply::parts(value)?;
        Ok(Self { won: reply::flag(won)?, fired: reply::count(fired)? })
    }
}

impl StoredSchedule {
    /// Reads what [`Calls::schedules`] is answered by: `<number> <start> <plan>` by name. What is none is left out.
    ///
    /// # Errors
    /// [`ReplyError`]: it is no hash.
    pub fn read_all(value: &Value) -> Result<Vec<Self>, ReplyError> {
        let schedules = reply::pairs(value)?.into_iter().filter_map(|(name, value)| {
            let mut words = reply::text(value).ok()?.splitn(3, ' ');
            let (number, start, plan) = (words.next()?, words.next()?, words.next()?);
            let name = reply::text(name).ok()?.into();
            Some(Self { name, number: number.parse().ok()?, start_unix_ms: start.parse().ok()?, plan: plan.into() })
        });
        Ok(schedules.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::scripts::testing::Redis;

    fn put(redis: &mut Redis, calls: &Calls, number: u64, plan: &str) -> Put {
        Put::read(&redis.run(&calls.put_schedule("tick tock", number, plan))).expect("it is kept")
    }

    fn claim(redis: &mut Redis, calls: &Calls, number: u64, tick: u64) -> (bool, u64) {
        let claim = Claim::read(&redis.run(&calls.claim("tick tock", number, tick))).expect("an answer");
        (claim.won, claim.fired)
    }

    fn all(redis: &mut Redis, calls: &Calls) -> Vec<StoredSchedule> {
        StoredSchedule::read_all(&redis.run(&calls.schedules())).expect("a hash")
    }

    fn version(redis: &mut Redis, calls: &Calls) -> u64 {
        reply::count(&redis.run(&calls.schedules_version())).expect("a number")
    }

    #[test]
    fn a_schedule_is_kept_replaced_and_removed_and_every_change_has_another_version() {
        let mut redis = Redis::start();
        let a = redis.calls(1);
        let mut versions = vec![version(&mut redis, &a)];
        let first = put(&mut redis, &a, u64::MAX, "{\"every\": \"1 s\"}");
        assert!(!first.existed && first.start_unix_ms > 1_700_000_000_000);
        let kept = StoredSchedule {
            name: "tick tock".into(),
            number: u64::MAX,
            start_unix_ms: first.start_unix_ms,
            plan: "{\"every\": \"1 s\"}".into(),
        };
        assert_eq!(all(&mut redis, &a), [kept]);
        versions.push(version(&mut redis, &a));
        assert!(put(&mut redis, &a, 8, "new").existed);
        versions.push(version(&mut redis, &a));
        assert_eq!(all(&mut redis, &a).iter().map(|kept| (kept.number, &*kept.plan)).collect::<Vec<_>>(), [(8, "new")]);
        assert_eq!(reply::flag(&redis.run(&a.remove_schedule("tick tock"))), Ok(true));
        versions.push(version(&mut redis, &a));
        assert!(versions.is_sorted_by(|one, next| one < next), "{versions:?}");
        assert_eq!(reply::flag(&redis.run(&a.remove_schedule("tick tock"))), Ok(false));
        assert_eq!(versions.last(), Some(&version(&mut redis, &a)), "nothing changed");
        assert_eq!(all(&mut redis, &a), []);
    }

    #[test]
    fn the_first_to_claim_a_tick_has_it_and_no_tick_before_it_is_given_any_more() {
        let mut redis = Redis::start();
        let (a, b) = (redis.calls(1), redis.calls(2));
        assert_eq!(claim(&mut redis, &a, 7, 1), (false, 0), "there is no such schedule");
        put(&mut redis, &a, 7, "{}");
        assert_eq!(claim(&mut redis, &a, 7, 0), (true, 0));
        assert_eq!(claim(&mut redis, &b, 7, 0), (false, 1));
        assert_eq!(claim(&mut redis, &b, 7, 9), (true, 1));
        assert_eq!(claim(&mut redis, &a, 7, 8), (false, 2));
        assert_eq!(claim(&mut redis, &a, 7, 10), (true, 2));
        assert_eq!(claim(&mut redis, &a, 6, 11), (false, 0), "of the one before");
    }

    #[test]
    fn a_schedule_put_in_place_of_another_begins_to_count_anew() {
        let mut redis = Redis::start();
        let a = redis.calls(1);
        put(&mut redis, &a, u64::MAX, "{}");
        assert_eq!(claim(&mut redis, &a, u64::MAX, 5), (true, 0));
        assert_eq!(claim(&mut redis, &a, u64::MAX - 1, 6), (false, 0), "numbers are not compared as floats");
        put(&mut redis, &a, 8, "{}");
        assert_eq!(claim(&mut redis, &a, 8, 1), (true, 0));
        assert_eq!(claim(&mut redis, &a, u64::MAX, 6), (false, 0));
    }

    #[test]
    fn a_schedule_is_restored_with_its_start_unless_there_is_one() {
        let mut redis = Redis::start();
        let a = redis.calls(1);
        let kept = StoredSchedule { name: "tick tock".into(), number: 7, start_unix_ms: 1_234, plan: "old".into() };
        let restore = a.restore_schedule(&kept);
        assert_eq!(Put::read(&redis.run(&restore)), Ok(Put { existed: false, start_unix_ms: 1_234 }));
        assert_eq!(all(&mut redis, &a), std::slice::from_ref(&kept));
        assert!(version(&mut redis, &a) > 0);
        let new = put(&mut redis, &a, 8, "new");
        let before = version(&mut redis, &a);
        assert_eq!(Put::read(&redis.run(&restore)), Ok(Put { existed: true, ..new }));
        assert_eq!((all(&mut redis, &a)[0].number, version(&mut redis, &a)), (8, before));
    }
}
