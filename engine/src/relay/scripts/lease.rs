//! Calls about which nodes live.

use std::sync::LazyLock;

use redis::{Script, Value};

use super::reply::{self, ReplyError};
use super::{Call, Calls, RENEW};
use crate::relay::keys::Incarnation;
use crate::relay::view::NodeRecord;

/// What [`Calls::renew`] and [`Calls::enroll`] say.
#[derive(Clone, Debug)]
pub struct Renewed {
    /// Redis's time, in ms since 1970.
    pub now_unix_ms: u64,
    /// The [`Renewed::now_unix_ms`] of this life's renewal before; none: Redis has no record of it.
    ///
    /// Earlier than the one this node knows of: Redis went back in time, and the directory with it.
    pub seen_unix_ms: Option<u64>,
    /// Whether Redis knew of no node at all, neither living nor dead: it lost its memory, or this is the first.
    pub was_empty: bool,
    /// Every living node, this one too if it has a record now. Records of versions that this one cannot read are left
    /// out.
    pub nodes: Vec<(Incarnation, NodeRecord)>,
    /// The dead that this node is to sweep, and then to [bury](Calls::bury). What is no incarnation is left out: it must
    /// not cost the cluster its leases.
    pub claimed: Vec<Incarnation>,
}

impl Calls {
    /// Renews this life's lease, if it still has one; declares others dead that have not renewed theirs for
    /// `dead_after_ms`; and claims, for `claim_ms`, the dead that nobody sweeps. Its reply: [`Renewed::read`].
    #[must_use]
    pub fn renew(&self, record: &NodeRecord, dead_after_ms: u64, claim_ms: u64) -> Call {
        self.lease(record, dead_after_ms, claim_ms, "renew")
    }

    /// Begins this life: [`Calls::renew`] without a lease before. Its reply: [`Renewed::read`].
    #[must_use]
    pub fn enroll(&self, record: &NodeRecord, dead_after_ms: u64, claim_ms: u64) -> Call {
        self.lease(record, dead_after_ms, claim_ms, "enroll")
    }

    fn lease(&self, record: &NodeRecord, dead_after_ms: u64, claim_ms: u64, mode: &str) -> Call {
        static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(RENEW));
        let record = serde_json::to_string(record).expect("texts and numbers");
        let call = Call::script(&SCRIPT, self.keys.nodes(), [self.keys.dead()]);
        call.arg(self.me.to_string()).arg(record).arg(dead_after_ms).arg(claim_ms).arg(mode)
    }

    /// Ends this life: its sessions must be swept before. Its reply: [`reply::flag`], whether there was a lease.
    #[must_use]
    pub fn leave(&self) -> Call {
        Call::plain("HDEL", self.keys.nodes()).arg(self.me.to_string())
    }

    /// Forgets a dead incarnation, of which every partition is swept. Its reply: [`reply::flag`], whether it was there.
    #[must_use]
    pub fn bury(&self, dead: Incarnation) -> Call {
        Call::plain("HDEL", self.keys.dead()).arg(dead.to_string())
    }
}

impl Renewed {
    /// Reads the reply.
    ///
    /// # Errors
    /// [`ReplyError`]: it is something else.
    pub fn read(value: &Value) -> Result<Self, ReplyError> {
        let [now, seen, was_empty, nodes, claimed] = reply::parts(value)?;
        let nodes = reply::pairs(nodes)?.into_iter().filter_map(|(name, record)| {
            Some((reply::text(name).ok()?.parse().ok()?, serde_json::from_str(reply::text(record).ok()?).ok()?))
        });
        let seen = reply::count(seen)?;
        Ok(Self {
            now_unix_ms: reply::count(now)?,
            seen_unix_ms: (seen > 0).then_some(seen),
            was_empty: reply::flag(was_empty)?,
            nodes: nodes.collect(),
            claimed: reply::items(claimed)?
                .iter()
                .filter_map(|dead| reply::parsed(dead, "an incarnation").ok())
                .collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::scripts::testing::{Redis, record};

    const DEAD_AFTER_MS: u64 = 6_000;
    const CLAIM_MS: u64 = 5_000;

    fn renew(redis: &mut Redis, calls: &Calls) -> Renewed {
        read(redis, &calls.renew(&record(calls.me.boot), DEAD_AFTER_MS, CLAIM_MS))
    }

    fn enroll(redis: &mut Redis, calls: &Calls) -> Renewed {
        read(redis, &calls.enroll(&record(calls.me.boot), DEAD_AFTER_MS, CLAIM_MS))
    }

    fn read(redis: &mut Redis, call: &Call) -> Renewed {
        let mut renewed = Renewed::read(&redis.run(call)).expect("it renews");
        renewed.nodes.sort_by_key(|(life, _)| *life);
        renewed
    }

    fn lives(renewed: &Renewed) -> Vec<Incarnation> {
        renewed.nodes.iter().map(|(life, _)| *life).collect()
    }

    /// As if the lease had been renewed so much earlier.
    fn age(redis: &mut Redis, calls: &Calls, ms: i64) {
        let record = serde_json::to_string(&record(calls.me.boot)).expect("JSON");
        let now = renew(redis, calls).now_unix_ms as i64;
        let value = format!("{} {record}", now - ms);
        redis.command(redis::cmd("HSET").arg(calls.keys.nodes()).arg(calls.me.to_string()).arg(value));
    }

    #[test]
    fn what_others_wrote_among_the_leases_is_left_out() {
        let mut redis = Redis::start();
        let a = redis.calls(1);
        enroll(&mut redis, &a);
        redis.command(redis::cmd("HSET").arg(a.keys.nodes()).arg("odd").arg("odd"));
        redis.command(redis::cmd("HSET").arg(a.keys.dead()).arg("1.99999999999").arg("odd"));
        let renewed = renew(&mut redis, &a);
        assert_eq!((lives(&renewed), renewed.claimed), (vec![a.me], vec![]));
    }

    #[test]
    fn a_lease_is_written_when_a_life_begins_and_not_once_it_is_gone() {
        let mut redis = Redis::start();
        let (a, b) = (redis.calls(1), redis.calls(2));
        let nothing = renew(&mut redis, &a);
        assert!(nothing.was_empty && nothing.seen_unix_ms.is_none() && nothing.nodes.is_empty());
        assert_eq!(redis.all("KEYS", "*"), Vec::<String>::new());

        let first = enroll(&mut redis, &a);
        assert!(first.was_empty && first.seen_unix_ms.is_none());
        assert_eq!(first.nodes, [(a.me, record(1))]);
        assert!(first.now_unix_ms > 1_700_000_000_000);
        let second = renew(&mut redis, &a);
        assert_eq!((second.seen_unix_ms, second.was_empty), (Some(first.now_unix_ms), false));

        let other = enroll(&mut redis, &b);
        assert_eq!((lives(&other), other.was_empty), (vec![a.me, b.me], false));
        assert_eq!(reply::flag(&redis.run(&a.leave())), Ok(true));
        assert_eq!(reply::flag(&redis.run(&a.leave())), Ok(false));
        let gone = renew(&mut redis, &a);
        assert_eq!((gone.seen_unix_ms, gone.was_empty, lives(&gone)), (None, false, vec![b.me]));
        assert_eq!(gone.claimed, []);
    }

    #[test]
    fn a_node_that_is_silent_too_long_is_dead_and_its_sweep_has_one_taker_at_a_time() {
        let mut redis = Redis::start();
        let [a, b, c] = [1, 2, 3].map(|boot| redis.calls(boot));
        for calls in [&a, &b, &c] {
            enroll(&mut redis, calls);
        }
        age(&mut redis, &c, 5_000);
        assert_eq!(lives(&renew(&mut redis, &a)), [a.me, b.me, c.me]);
        age(&mut redis, &c, 6_100);
        let found = renew(&mut redis, &a);
        assert_eq!((lives(&found), found.claimed), (vec![a.me, b.me], vec![c.me]));
        assert_eq!(renew(&mut redis, &b).claimed, []);
        // The claim ends, and another takes the work.
        redis.command(redis::cmd("HSET").arg(a.keys.dead()).arg(c.me.to_string()).arg(found.now_unix_ms - 1));
        assert_eq!(renew(&mut redis, &b).claimed, [c.me]);
        // The dead one lives after all: not under this name.
        let back = renew(&mut redis, &c);
        assert_eq!((back.seen_unix_ms, back.was_empty, lives(&back)), (None, false, vec![a.me, b.me]));
        assert_eq!(reply::flag(&redis.run(&b.bury(c.me))), Ok(true));
        assert_eq!(reply::flag(&redis.run(&b.bury(c.me))), Ok(false));
        assert_eq!(renew(&mut redis, &a).claimed, []);
    }

    #[test]
    fn a_node_that_comes_back_before_anyone_noticed_goes_on() {
        let mut redis = Redis::start();
        let a = redis.calls(1);
        enroll(&mut redis, &a);
        age(&mut redis, &a, 60_000);
        let renewed = renew(&mut redis, &a);
        assert!(renewed.seen_unix_ms.is_some_and(|seen| seen + 59_000 < renewed.now_unix_ms));
        assert_eq!((lives(&renewed), renewed.claimed), (vec![a.me], vec![]));
    }

    #[test]
    fn a_clock_that_is_set_back_keeps_nobody_alive_for_longer() {
        let mut redis = Redis::start();
        let (a, b) = (redis.calls(1), redis.calls(2));
        enroll(&mut redis, &a);
        enroll(&mut redis, &b);
        age(&mut redis, &b, -3_600_000);
        let now = renew(&mut redis, &a).now_unix_ms;
        assert!(renew(&mut redis, &b).seen_unix_ms.is_some_and(|seen| (now..now + 10_000).contains(&seen)));
        let far = now + 3_600_000;
        redis.command(redis::cmd("HSET").arg(a.keys.dead()).arg("9.0").arg(far));
        assert_eq!(renew(&mut redis, &a).claimed, [Incarnation { boot: 9, count: 0 }]);
    }

    #[test]
    fn records_that_this_version_cannot_read_are_left_out() {
        let mut redis = Redis::start();
        let a = redis.calls(1);
        let now = enroll(&mut redis, &a).now_unix_ms;
        let mut put =
            |life: &str, value: String| redis.command(redis::cmd("HSET").arg(a.keys.nodes()).arg(life).arg(value));
        put("2.0", format!("{now} {{\"shape\":2}}"));
        put("strange", format!("{now} {}", serde_json::to_string(&record(1)).expect("JSON")));
        put("3.0", "strange".to_owned());
        let renewed = renew(&mut redis, &a);
        assert_eq!((lives(&renewed), renewed.claimed), (vec![a.me], vec![Incarnation { boot: 3, count: 0 }]));
    }
}
