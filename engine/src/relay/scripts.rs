//! What is asked of Redis: one call per purpose, and what its reply says.
//!
//! Everything that must happen at once is a Lua script (`lua/*.lua`, each of which says why). A call touches one slot
//! only, so that it also runs in a Redis Cluster. Whether and when a call is sent, to whom, and what to do when that
//! fails is not known here.
//!
//! | file | calls about |
//! |---|---|
//! | `directory` | who is online where: sign-in, sign-out, sync, sweep, kick |
//! | `publish` | messages to users, channels, nodes and all, and the heads of what was sent |
//! | `lease` | which nodes live |
//! | `mutes` | muted types |
//! | `schedules` | the cluster's schedules and their ticks |
//! | `reply` | reading values |

mod directory;
mod lease;
mod mutes;
mod publish;
pub mod reply;
mod schedules;
#[cfg(test)]
mod testing;

use std::sync::LazyLock;

use redis::{Cmd, Script, Value};

pub use directory::{Entry, Registered};
pub use lease::Renewed;
pub use mutes::changed;
pub use reply::ReplyError;
pub use schedules::{Claim, Put};

use super::keys::{Incarnation, Keys};

/// Makes the calls of one node.
#[derive(Clone, Debug)]
pub struct Calls {
    /// How things are named.
    pub keys: Keys,
    /// The node's present life.
    pub me: Incarnation,
    /// How to publish.
    pub verb: Verb,
}

/// How to publish: it must fit how the receivers subscribe.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verb {
    /// To everyone connected to any Redis.
    Publish,
    /// To those connected to the Redis that owns the channel's slot: in a Redis Cluster.
    Spublish,
}

impl Verb {
    /// The command.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "PUBLISH",
            Self::Spublish => "SPUBLISH",
        }
    }
}

/// One command for the Redis that owns its key.
#[derive(Clone, Debug)]
pub struct Call {
    key: String,
    command: Cmd,
}

impl Call {
    /// What routes it.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        self.key.as_bytes()
    }

    /// Adds its bytes.
    pub fn pack_into(&self, out: &mut Vec<u8>) {
        self.command.write_packed_command(out);
    }

    /// A plain command whose first argument is its key, or a channel's name.
    fn plain(command: &str, key: String) -> Self {
        let mut plain = redis::cmd(command);
        plain.arg(&key);
        Self { key, command: plain }
    }

    /// A script. Its first key routes it.
    fn script<const MORE: usize>(script: &LazyLock<Script>, key: String, more: [String; MORE]) -> Self {
        let mut command = redis::cmd("EVALSHA");
        command.arg(script.get_hash()).arg(1 + MORE).arg(&key).arg(&more[..]);
        Self { key, command }
    }

    fn arg(mut self, arg: impl redis::ToRedisArgs) -> Self {
        self.command.arg(arg);
        self
    }
}

/// The packed commands that load every script, and how many replies they will have. To be sent to every master.
#[must_use]
pub fn load_all() -> (Vec<u8>, usize) {
    let mut packed = Vec::new();
    for source in SOURCES {
        redis::cmd("SCRIPT").arg("LOAD").arg(source).write_packed_command(&mut packed);
    }
    (packed, SOURCES.len())
}

/// Whether a call could not run because its script is not loaded: nothing has happened; load all, and call again.
#[must_use]
pub fn is_noscript(value: &Value) -> bool {
    matches!(value, Value::ServerError(error) if error.code() == "NOSCRIPT")
}

/// A script's text: what it says itself, behind the functions it shares with others.
///
/// With the first line Redis looks before it runs the script whether it may write (a replica, too few replicas, no
/// memory), not in the middle of it, and refuses keys of another slot than the first one's.
macro_rules! lua {
    ($flags:literal; $($file:literal)+) => {
        concat!("#!lua", $flags, "\n", $(include_str!(concat!("lua/", $file))),+)
    };
}

const SIGN_IN: &str = lua!(""; "clock.lua" "directory.lua" "sign_in.lua");
const PUBLISH_USER: &str = lua!(""; "heads.lua" "publish_user.lua");
const PUBLISH_CHANNEL: &str = lua!(""; "heads.lua" "publish_channel.lua");
const CHANGE_MUTES: &str = lua!(""; "clock.lua" "directory.lua" "change_mutes.lua");
const PUT_SCHEDULE: &str = lua!(""; "clock.lua" "schedules.lua" "put_schedule.lua");
// These take away, or what they add is a few bytes that others depend on: they run even when Redis has no memory left.
const SIGN_OUT: &str = lua!(" flags=allow-oom"; "clock.lua" "directory.lua" "sign_out.lua");
const SWEEP: &str = lua!(" flags=allow-oom"; "clock.lua" "directory.lua" "sweep.lua");
const KICK: &str = lua!(" flags=allow-oom"; "clock.lua" "directory.lua" "kick.lua");
const RENEW: &str = lua!(" flags=allow-oom"; "clock.lua" "renew.lua");
const REMOVE_SCHEDULE: &str = lua!(" flags=allow-oom"; "clock.lua" "schedules.lua" "remove_schedule.lua");
const CLAIM: &str = lua!(" flags=allow-oom"; "claim.lua");

const SOURCES: [&str; 11] = [
    SIGN_IN,
    SIGN_OUT,
    SWEEP,
    KICK,
    PUBLISH_USER,
    PUBLISH_CHANNEL,
    RENEW,
    CHANGE_MUTES,
    PUT_SCHEDULE,
    REMOVE_SCHEDULE,
    CLAIM,
];

#[cfg(test)]
mod tests {
    use epush_core::mail::MuteChange;
    use epush_core::message::ChannelName;
    use epush_core::relay::Number;

    use super::testing::{Redis, closing, entry, muting, record, session, unstamped, user};
    use super::*;
    use crate::relay::order::StoredSchedule;

    #[test]
    fn a_script_that_is_not_loaded_says_so_and_runs_once_it_is() {
        let mut redis = Redis::start();
        let calls = redis.calls(1);
        let claim = calls.claim("a", 1, 1);
        assert!(!is_noscript(&redis.run(&claim)));
        redis.command(redis::cmd("SCRIPT").arg("FLUSH"));
        assert!(is_noscript(&redis.run(&claim)));
        redis.load();
        assert!(!is_noscript(&redis.run(&claim)));
    }

    #[test]
    fn every_script_compiles_under_the_hash_it_is_called_by() {
        let mut redis = Redis::start();
        for source in SOURCES {
            let hash = redis.command(redis::cmd("SCRIPT").arg("LOAD").arg(source));
            assert_eq!(reply::text(&hash), Ok(Script::new(source).get_hash()));
        }
    }

    #[test]
    fn without_memory_nothing_is_half_done_and_what_frees_some_goes_on() {
        let mut redis = Redis::start();
        let a = redis.calls(1);
        let sign_in = |name: &str| a.sign_in(&user(name), &entry(1, 1), 0, &closing(&[]));
        redis.run(&sign_in("ada"));
        redis.run(&sign_in("bob"));
        redis.run(&a.enroll(&record(1), 6_000, 5_000));
        redis.command(redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(1));
        let before = redis.all("KEYS", "*");
        for refused in [sign_in("eve"), a.publish_all(Number { generation: 1, number: 1, lost: 0 }, b"x")] {
            let reply = redis.run(&refused);
            assert!(matches!(&reply, Value::ServerError(error) if error.code() == "OOM"), "{reply:?}");
        }
        assert_eq!(redis.all("KEYS", "*"), before);
        assert!(Renewed::read(&redis.run(&a.renew(&record(1), 6_000, 5_000))).is_ok());
        assert_eq!(reply::flag(&redis.run(&a.sign_out(&user("ada"), session(1, 1)))), Ok(true));
        assert_eq!(reply::count(&redis.run(&a.sweep(a.keys.partition(&user("bob")), a.me, 5))), Ok(1));
        assert_eq!(reply::flag(&redis.run(&a.leave())), Ok(true));
    }

    #[test]
    fn the_user_whom_the_documentation_shows_may_do_all_that_is_done() {
        let mut redis = Redis::start();
        let shown =
            include_str!("../../../docs/CLUSTER.md").lines().find_map(|line| line.strip_prefix("user epush on "));
        let mut user = redis::cmd("ACL");
        user.arg("SETUSER").arg("epush").arg("on");
        user.arg(shown.expect("it shows one").split(' ').collect::<Vec<_>>());
        assert!(!matches!(redis.command(&user), Value::ServerError(_)));
        let in_scripts = SOURCES.iter().flat_map(|source| source.split("redis.call('").skip(1));
        let in_scripts = in_scripts.filter_map(|call| call.split('\'').next());
        let besides = "HELLO PING SELECT ROLE CLUSTER|INFO CLUSTER|SLOTS EVALSHA SCRIPT|LOAD GET HGETALL SMEMBERS HDEL PUBLISH \
                       SPUBLISH SUBSCRIBE SSUBSCRIBE UNSUBSCRIBE SUNSUBSCRIBE";
        for command in in_scripts.chain(besides.split_whitespace()) {
            let info = redis.command(redis::cmd("COMMAND").arg("INFO").arg(command));
            let Value::Array(infos) = info else { panic!("{info:?}") };
            let Value::Array(about) = &infos[0] else { panic!("no such command: {command}") };
            let words: Vec<&str> = command.split('|').collect();
            let arity = reply::integer(&about[1]).expect("a number").unsigned_abs() as usize;
            let mut dry_run = redis::cmd("ACL");
            dry_run.arg("DRYRUN").arg("epush").arg(&words);
            dry_run.arg(vec!["epush:{x}"; arity - words.len()]);
            assert_eq!(redis.command(&dry_run), Value::Okay, "{command}");
        }
    }

    /// A Redis Cluster refuses a script that touches a key or a channel of another slot than its declared keys'.
    #[test]
    fn every_call_stays_in_one_slot_and_publishes_to_sharded_subscribers() {
        let mut redis = Redis::start_cluster();
        let (a, b) = (redis.calls(1), redis.calls(2));
        let (ada, news) = (user("ada"), ChannelName::parse("news").expect("valid"));
        let number = Number { generation: 1, number: 1, lost: 0 };
        let partition = a.keys.partition(&ada);
        let mut to_a = redis.listen(&a.keys.to_node(partition, 1));
        let mut to_news = redis.listen(&a.keys.channel(&news));
        let mut to_all = redis.listen(&a.keys.all());
        let record = record(1);
        let kept = StoredSchedule { name: "b".into(), number: 1, start_unix_ms: 1, plan: "{}".into() };
        let calls = [
            a.enroll(&record, 6_000, 5_000),
            a.renew(&record, 6_000, 5_000),
            a.sign_in(&ada, &entry(1, 1), 1, &closing(&[])),
            b.publish_user(&ada, number, b"to ada"),
            b.kick(&ada, &closing(&[])),
            b.change_mutes(&ada, &MuteChange::Add(vec!["x".into()]), 5, &muting(&[])),
            b.sign_in(&ada, &entry(2, 1), 1, &closing(&[])),
            b.sync(&ada, &[entry(2, 1), entry(2, 2)], &["y".into()], 0, &closing(&[])),
            a.sessions(&ada),
            a.user_heads(&ada),
            a.mutes(&ada),
            a.sweep(partition, b.me, 5),
            a.online(partition),
            b.sign_out(&ada, session(2, 1)),
            a.publish_channel(&news, number, b"to news"),
            a.tell_channel(&news, b"about news"),
            a.channel_heads(&news),
            a.publish_all(number, b"to all"),
            a.tell_all(b"about all"),
            a.all_heads(),
            a.tell_node(2, 63, b"b"),
            a.put_schedule("a", 1, "{}"),
            a.restore_schedule(&kept),
            a.claim("a", 1, 1),
            a.remove_schedule("a"),
            a.schedules(),
            a.schedules_version(),
            a.bury(b.me),
            a.leave(),
        ];
        for call in calls {
            let reply = redis.run(&call);
            assert!(!matches!(reply, Value::ServerError(_)), "{call:?}: {reply:?}");
        }
        let mut heard: Vec<Vec<u8>> = std::iter::repeat_with(|| to_a.hear()).take(4).collect();
        heard[2] = unstamped(std::mem::take(&mut heard[2]));
        let close = closing(&[session(1, 1)]);
        assert_eq!(heard, [b"to ada".to_vec(), close.clone(), muting(&["x"]), close]);
        assert_eq!([to_news.hear(), to_news.hear()], [b"to news".to_vec(), b"about news".to_vec()]);
        assert_eq!([to_all.hear(), to_all.hear()], [b"to all".to_vec(), b"about all".to_vec()]);
    }
}
