//! Sign-ins, sign-outs, sweeps and kicks against a real Redis.

use std::sync::Barrier;

use super::*;
use crate::relay::scripts::testing::{Line, Redis, closing, entry, session, user};

const END: &[u8] = b"end";

/// Signs in, and returns what the script says.
fn sign_in(redis: &mut Redis, calls: &Calls, entry: &Entry, per_user: usize) -> Registered {
    let reply = redis.run(&calls.sign_in(&user("ada"), entry, per_user, &closing(&[])));
    Registered::read(&reply, calls.me).expect("it signs in")
}

/// What a node is told about the user.
fn listen(redis: &Redis, calls: &Calls) -> Line {
    redis.listen(&calls.keys.to_node(calls.keys.partition(&user("ada")), calls.me.boot))
}

/// All a node was told.
fn told(redis: &mut Redis, calls: &Calls, line: &mut Line) -> Vec<Vec<u8>> {
    let channel = calls.keys.to_node(calls.keys.partition(&user("ada")), calls.me.boot);
    redis.command(redis::cmd(calls.verb.as_str()).arg(channel).arg(END));
    line.hear_until(END)
}

fn here(redis: &mut Redis, calls: &Calls) -> Vec<SessionId> {
    let mut all = Entry::read_all(&redis.run(&calls.sessions(&user("ada")))).expect("a hash");
    all.sort_by_key(|entry| entry.order);
    all.iter().map(|entry| entry.session).collect()
}

fn online(redis: &mut Redis, calls: &Calls) -> u64 {
    reply::count(&redis.run(&calls.online(calls.keys.partition(&user("ada"))))).expect("a number")
}

fn users_of(redis: &mut Redis, calls: &Calls, life: Incarnation) -> Vec<String> {
    redis.all("SMEMBERS", &calls.keys.users_of(calls.keys.partition(&user("ada")), life))
}

fn sweep(redis: &mut Redis, calls: &Calls, life: Incarnation) -> u64 {
    reply::count(&redis.run(&calls.sweep(calls.keys.partition(&user("ada")), life, 500))).expect("a number")
}

fn next_life(calls: &Calls) -> Calls {
    Calls { me: Incarnation { count: calls.me.count + 1, ..calls.me }, ..calls.clone() }
}

#[test]
fn a_session_comes_and_goes_without_a_trace() {
    let mut redis = Redis::start();
    let a = redis.calls(1);
    let registered = sign_in(&mut redis, &a, &entry(1, 1), 0);
    let [(name, order)] = registered.orders[..] else { panic!("one session") };
    assert_eq!(name, session(1, 1));
    assert_eq!((registered.closed, registered.heads, registered.mutes), (vec![], vec![], None));
    let all = Entry::read_all(&redis.run(&a.sessions(&user("ada"))));
    assert_eq!(all, Ok(vec![Entry { order, ..entry(1, 1) }]));
    assert_eq!((online(&mut redis, &a), users_of(&mut redis, &a, a.me)), (1, vec!["ada".to_owned()]));

    let again = sign_in(&mut redis, &a, &entry(1, 1), 0);
    assert_eq!(again.orders, [(name, order)], "signing in twice changes nothing");
    sign_in(&mut redis, &a, &entry(1, 2), 0);
    assert_eq!(online(&mut redis, &a), 1);

    for (index, was_there) in [(1, true), (1, false), (3, false), (2, true), (2, false)] {
        let reply = redis.run(&a.sign_out(&user("ada"), session(1, index)));
        assert_eq!(reply::flag(&reply), Ok(was_there), "{index}");
    }
    assert_eq!(online(&mut redis, &a), 0);
    redis.command(redis::cmd("DEL").arg(a.keys.online(a.keys.partition(&user("ada")))));
    assert_eq!(redis.all("KEYS", "*"), Vec::<String>::new());
}

#[test]
fn orders_ascend_even_within_a_millisecond_and_over_given_ones() {
    let mut redis = Redis::start();
    let (a, b) = (redis.calls(1), redis.calls(2));
    let far = 9_000_000_000_000;
    let mut last = 0;
    for index in 0..50 {
        let order = sign_in(&mut redis, &a, &entry(1, index), 0).orders[0].1;
        assert!(order > last);
        last = order;
    }
    assert_eq!(sign_in(&mut redis, &a, &Entry { order: far, ..entry(1, 99) }, 0).orders[0].1, far);
    assert_eq!(sign_in(&mut redis, &b, &entry(2, 0), 0).orders[0].1, far + 1);
}

/// Two nodes sign in the same user twice each; what they are told to close they sign out at once, or only in the end.
#[test]
fn every_interleaving_of_sign_ins_leaves_the_newest_and_tells_each_other_once() {
    let mut redis = Redis::start();
    let (a, b) = (redis.calls(1), redis.calls(2));
    let (mut to_a, mut to_b) = (listen(&redis, &a), listen(&redis, &b));
    let sequences = [[0, 0, 1, 1], [0, 1, 0, 1], [0, 1, 1, 0], [1, 0, 0, 1], [1, 0, 1, 0], [1, 1, 0, 0]];
    for (per_user, sequence, at_once) in
        [1, 2].into_iter().flat_map(|n| sequences.map(|s| [(n, s, true), (n, s, false)])).flatten()
    {
        let (mut signed_in, mut closed, mut left) = (vec![], Vec::<SessionId>::new(), Vec::<SessionId>::new());
        for (index, node) in sequence.into_iter().enumerate() {
            let calls = [&a, &b][node];
            let entry = entry(calls.me.boot, index as u32);
            let registered = sign_in(&mut redis, calls, &entry, per_user);
            signed_in.push(entry.session);
            let mut gone = registered.closed;
            assert!(gone.iter().all(|session| session.boot == calls.me.boot));
            for (other, line) in [(&a, &mut to_a), (&b, &mut to_b)] {
                for bytes in told(&mut redis, other, line) {
                    let named = signed_in.iter().filter(|id| bytes == closing(&[**id]));
                    gone.extend(named.inspect(|id| assert_eq!(id.boot, other.me.boot)));
                }
            }
            closed.extend(&gone);
            left.extend(gone);
            let newest = &signed_in[signed_in.len().saturating_sub(per_user)..];
            assert_eq!(here(&mut redis, &a), newest, "{per_user} {sequence:?}");
            for session in left.drain(..if at_once { left.len() } else { 0 }) {
                let reply = redis.run(&calls.sign_out(&user("ada"), session));
                assert_eq!(reply::flag(&reply), Ok(false), "it was taken out with the sign-in");
            }
        }
        assert_eq!(closed, signed_in[..4 - per_user], "{per_user} {sequence:?}");
        for session in left.into_iter().chain(signed_in) {
            redis.run(&a.sign_out(&user("ada"), session));
        }
        assert_eq!(online(&mut redis, &a), 0);
    }
}

#[test]
fn sign_ins_at_the_same_instant_leave_one_session() {
    let mut redis = Redis::start();
    let nodes = [1, 2].map(|boot| (redis.calls(boot), redis.line()));
    let barrier = Barrier::new(2);
    let rounds = 0..200_u32;
    let closed: usize = std::thread::scope(|scope| {
        let run = |(calls, mut line): (Calls, Line)| {
            let (barrier, rounds) = (&barrier, rounds.clone());
            scope.spawn(move || {
                let sign_in = |index| {
                    barrier.wait();
                    let call = calls.sign_in(&user("ada"), &entry(calls.me.boot, index), 1, &closing(&[]));
                    Registered::read(&line.run(&call), calls.me).expect("it signs in").closed.len()
                };
                rounds.map(sign_in).sum::<usize>()
            })
        };
        nodes.map(run).map(|thread| thread.join().expect("no panic")).into_iter().sum()
    });
    let a = redis.calls(1);
    let left = here(&mut redis, &a);
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].at.conn.index, 199);
    assert!(closed < 400);
    assert_eq!(online(&mut redis, &a), 1);
    let lives = [1, 2].map(|boot| users_of(&mut redis, &a, Incarnation { boot, count: 0 }).len());
    assert_eq!(lives.iter().sum::<usize>(), 1, "only the newest's node has the user");
}

#[test]
fn a_sign_in_in_doubt_that_was_replaced_meanwhile_does_not_come_back_as_the_newest() {
    let mut redis = Redis::start();
    let (a, b) = (redis.calls(1), redis.calls(2));
    let order = sign_in(&mut redis, &a, &entry(1, 1), 1).orders[0].1;
    sign_in(&mut redis, &b, &entry(2, 1), 1);
    let again = sign_in(&mut redis, &a, &Entry { order, ..entry(1, 1) }, 1);
    assert_eq!((again.orders, again.closed), (vec![], vec![session(1, 1)]));
    assert_eq!(here(&mut redis, &a), [session(2, 1)]);
    assert_eq!(users_of(&mut redis, &a, a.me), Vec::<String>::new());
}

#[test]
fn sync_puts_exactly_the_given_sessions_of_its_node_whatever_life_wrote_the_others() {
    let mut redis = Redis::start();
    let (a, b) = (redis.calls(1), redis.calls(2));
    for index in [1, 2, 3] {
        sign_in(&mut redis, &a, &entry(1, index), 0);
    }
    sign_in(&mut redis, &b, &entry(2, 9), 0);
    let a = next_life(&a);
    let entries = [Entry { order: 5, ..entry(1, 2) }, Entry { order: 7, ..entry(1, 4) }, entry(1, 5)];
    let reply = redis.run(&a.sync(&user("ada"), &entries, &[], 0, &closing(&[])));
    let synced = Registered::read(&reply, a.me).expect("synced");
    assert_eq!(synced.orders[..2], [(session(1, 2), 5), (session(1, 4), 7)]);
    assert!(synced.orders[2].1 > 1_700_000_000_000, "one without a place gets the newest");
    assert_eq!(here(&mut redis, &a), [session(1, 2), session(1, 4), session(2, 9), session(1, 5)]);
    assert_eq!(users_of(&mut redis, &a, Incarnation { boot: 1, count: 0 }), Vec::<String>::new());
    assert_eq!(users_of(&mut redis, &a, a.me), ["ada"]);

    redis.run(&a.sync(&user("ada"), &[], &[], 0, &closing(&[])));
    assert_eq!((here(&mut redis, &a), online(&mut redis, &a)), (vec![session(2, 9)], 1));
    redis.run(&b.sync(&user("ada"), &[], &[], 0, &closing(&[])));
    assert_eq!((redis.ttl(&a.keys.user(&user("ada"))), online(&mut redis, &a)), (-2, 0));
}

#[test]
fn sync_after_redis_forgot_everything_applies_the_limit_in_any_order_of_the_nodes() {
    for first in [0, 1] {
        let mut redis = Redis::start();
        let nodes = [redis.calls(1), redis.calls(2)];
        let mut to_a = listen(&redis, &nodes[0]);
        let orders = [10, 20];
        let mut closed = vec![];
        for node in [first, 1 - first] {
            let entry = Entry { order: orders[node], ..entry(nodes[node].me.boot, 0) };
            let reply = redis.run(&nodes[node].sync(&user("ada"), &[entry], &[], 1, &closing(&[])));
            closed.extend(Registered::read(&reply, nodes[node].me).expect("synced").closed);
        }
        assert_eq!(here(&mut redis, &nodes[0]), [session(2, 0)]);
        let told = told(&mut redis, &nodes[0], &mut to_a);
        match first {
            0 => assert_eq!((closed, told), (vec![], vec![closing(&[session(1, 0)])])),
            _ => assert_eq!((closed, told), (vec![session(1, 0)], vec![])),
        }
    }
}

#[test]
fn several_surplus_sessions_of_a_node_are_told_in_one_message() {
    let mut redis = Redis::start();
    let (a, b) = (redis.calls(1), redis.calls(2));
    let mut to_a = listen(&redis, &a);
    for index in [10, 2, 300] {
        sign_in(&mut redis, &a, &entry(1, index), 0);
    }
    sign_in(&mut redis, &b, &entry(2, 1), 1);
    let names = [session(1, 10), session(1, 2), session(1, 300)];
    assert_eq!(told(&mut redis, &a, &mut to_a), [closing(&names)]);
}

#[test]
fn mutes_come_with_the_sign_in_and_are_restored_only_where_there_are_none() {
    let mut redis = Redis::start();
    let a = redis.calls(1);
    let mutes: Vec<Arc<str>> = vec!["y".into(), "x".into()];
    let reply = redis.run(&a.sync(&user("ada"), &[entry(1, 1)], &mutes, 0, &closing(&[])));
    let sorted: Mutes = ["x".into(), "y".into()].into();
    assert_eq!(Registered::read(&reply, a.me).expect("synced").mutes, Some(sorted.clone()));
    let reply = redis.run(&a.sync(&user("ada"), &[entry(1, 1)], &["z".into()], 0, &closing(&[])));
    assert_eq!(Registered::read(&reply, a.me).expect("synced").mutes, Some(sorted.clone()));
    assert_eq!(sign_in(&mut redis, &a, &entry(1, 2), 0).mutes, Some(sorted));
}

#[test]
fn a_dead_nodes_sessions_are_swept_in_parts_and_others_stay() {
    let mut redis = Redis::start();
    let (a, b) = (redis.calls(1), redis.calls(2));
    let partition = a.keys.partition(&user("ada"));
    let names = (0..).map(|n| user(&format!("u{n}"))).filter(|user| a.keys.partition(user) == partition);
    let users: Vec<UserName> = names.take(25).collect();
    for user in &users {
        redis.run(&a.sign_in(user, &entry(1, 1), 0, &closing(&[])));
    }
    redis.run(&b.sign_in(&users[0], &entry(2, 1), 0, &closing(&[])));
    assert_eq!(online(&mut redis, &b), 25);
    let parts: Vec<u64> =
        std::iter::repeat_with(|| reply::count(&redis.run(&b.sweep(partition, a.me, 10))).expect("a number"))
            .take(4)
            .collect();
    assert_eq!(parts, [10, 10, 5, 0]);
    assert_eq!(online(&mut redis, &b), 1);
    assert_eq!(redis.ttl(&b.keys.user(&users[0])), -1);
    assert!((890..=900).contains(&redis.ttl(&b.keys.user(&users[1]))), "heads still count for a node cut off");
}

#[test]
fn a_sweep_that_fails_forgets_nobody() {
    let mut redis = Redis::start();
    let (a, b) = (redis.calls(1), redis.calls(2));
    sign_in(&mut redis, &a, &entry(1, 1), 0);
    let key = a.keys.user(&user("ada"));
    redis.command(redis::cmd("RENAME").arg(&key).arg("aside"));
    redis.command(redis::cmd("SET").arg(&key).arg("odd"));
    let partition = a.keys.partition(&user("ada"));
    assert!(reply::count(&redis.run(&b.sweep(partition, a.me, 10))).is_err());
    assert_eq!(users_of(&mut redis, &a, a.me), ["ada"]);
    redis.command(redis::cmd("RENAME").arg("aside").arg(&key));
    assert_eq!((sweep(&mut redis, &b, a.me), sweep(&mut redis, &b, a.me)), (1, 0));
    assert_eq!(here(&mut redis, &b), []);
}

#[test]
fn a_node_that_returns_while_it_is_swept_keeps_what_it_writes() {
    let mut redis = Redis::start();
    let old = redis.calls(1);
    let new = next_life(&old);
    sign_in(&mut redis, &old, &entry(1, 1), 0);
    // Before the sweep: nothing is left for it.
    redis.run(&new.sync(&user("ada"), &[entry(1, 1)], &[], 0, &closing(&[])));
    assert_eq!(sweep(&mut redis, &new, old.me), 0);
    assert_eq!((here(&mut redis, &new), online(&mut redis, &new)), (vec![session(1, 1)], 1));
    // After the sweep of another session of the user: the hash stays for good again.
    let newest = next_life(&new);
    assert_eq!(sweep(&mut redis, &new, new.me), 1);
    assert_eq!((here(&mut redis, &new), online(&mut redis, &new)), (vec![], 0));
    redis.run(&newest.sync(&user("ada"), &[entry(1, 1)], &[], 0, &closing(&[])));
    assert_eq!(sweep(&mut redis, &new, new.me), 0);
    assert_eq!((here(&mut redis, &new), online(&mut redis, &new)), (vec![session(1, 1)], 1));
    assert_eq!(redis.ttl(&new.keys.user(&user("ada"))), -1);
}

#[test]
fn a_swept_user_is_kept_for_a_while_even_when_the_others_go_or_nobody_comes() {
    let mut redis = Redis::start();
    let (a, b) = (redis.calls(1), redis.calls(2));
    sign_in(&mut redis, &a, &entry(1, 1), 0);
    sign_in(&mut redis, &b, &entry(2, 1), 0);
    sweep(&mut redis, &b, a.me);
    redis.run(&b.sign_out(&user("ada"), session(2, 1)));
    let key = a.keys.user(&user("ada"));
    assert!((890..=900).contains(&redis.ttl(&key)), "the swept node may only be cut off");
    assert_eq!(online(&mut redis, &a), 0);
    // The node comes back, and its session went meanwhile.
    redis.run(&next_life(&a).sync(&user("ada"), &[], &[], 0, &closing(&[])));
    redis.run(&a.sign_out(&user("ada"), session(1, 1)));
    assert!((890..=900).contains(&redis.ttl(&key)));
    assert_eq!(online(&mut redis, &a), 0);
}

#[test]
fn a_kick_tells_the_other_nodes_that_are_there() {
    let mut redis = Redis::start();
    let (a, b, gone) = (redis.calls(1), redis.calls(2), redis.calls(3));
    let (mut to_a, mut to_b) = (listen(&redis, &a), listen(&redis, &b));
    for (calls, index) in [(&a, 1), (&b, 1), (&b, 2), (&gone, 1)] {
        sign_in(&mut redis, calls, &entry(calls.me.boot, index), 0);
    }
    assert_eq!(reply::count(&redis.run(&a.kick(&user("ada"), &closing(&[])))), Ok(2));
    assert_eq!(reply::count(&redis.run(&a.kick(&user("bob"), &closing(&[])))), Ok(0));
    let told_b = told(&mut redis, &b, &mut to_b);
    let either = [&[session(2, 1), session(2, 2)], &[session(2, 2), session(2, 1)]];
    assert!(either.iter().any(|names| told_b == [closing(*names)]));
    assert_eq!(told(&mut redis, &a, &mut to_a), Vec::<Vec<u8>>::new());
    assert_eq!(here(&mut redis, &a).len(), 4, "they sign out themselves");
}
