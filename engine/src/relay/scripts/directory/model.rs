//! Random lives of a few nodes and users, compared with a model after every step.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::relay::scripts::testing::{Redis, closing, entry, user};

const NODES: u64 = 3;
const USERS: usize = 3;

/// What happens to a node.
#[derive(Clone, Debug)]
enum Step {
    SignIn {
        node: u64,
        user: usize,
        index: u32,
        per_user: usize,
    },
    SignOut {
        node: u64,
        user: usize,
        index: u32,
    },
    /// The node syncs one user with these sessions.
    Sync {
        node: u64,
        user: usize,
        indexes: BTreeSet<u32>,
        per_user: usize,
    },
    /// The node's life is found dead and swept by somebody, one partition after the other.
    Sweep {
        node: u64,
        users_max: usize,
    },
    /// The node begins its next life; what its last one wrote stays until it is swept or synced.
    Return {
        node: u64,
    },
    /// A life before the present one is swept: somebody was late.
    SweepOld {
        node: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let (node, user, index, per_user) = (1..=NODES, 0..USERS, 0..4_u32, 0..4_usize);
    prop_oneof![
        6 => (node.clone(), user.clone(), index.clone(), per_user.clone())
            .prop_map(|(node, user, index, per_user)| Step::SignIn { node, user, index, per_user }),
        5 => (node.clone(), user.clone(), index.clone())
            .prop_map(|(node, user, index)| Step::SignOut { node, user, index }),
        3 => (node.clone(), user, prop::collection::btree_set(index, 0..4), per_user)
            .prop_map(|(node, user, indexes, per_user)| Step::Sync { node, user, indexes, per_user }),
        2 => (node.clone(), 1..4_usize).prop_map(|(node, users_max)| Step::Sweep { node, users_max }),
        2 => node.clone().prop_map(|node| Step::Return { node }),
        1 => node.prop_map(|node| Step::SweepOld { node }),
    ]
}

/// The directory as it should be.
#[derive(Default)]
struct Model {
    /// By user: session -> the life that wrote it, and its order.
    users: [BTreeMap<SessionKey, (Incarnation, u64)>; USERS],
    /// How many lives each node has begun before.
    lives: BTreeMap<u64, u32>,
    /// Higher than any so far: orders are drawn by the test, so that it knows them.
    order: u64,
}

/// Node and index.
type SessionKey = (u64, u32);

impl Model {
    fn life(&self, boot: u64) -> Incarnation {
        Incarnation { boot, count: self.lives.get(&boot).copied().unwrap_or(0) }
    }

    fn limit(&mut self, user: usize, per_user: usize) {
        let sessions = &mut self.users[user];
        while per_user > 0 && sessions.len() > per_user {
            let oldest = *sessions.iter().min_by_key(|(_, (_, order))| *order).expect("some").0;
            sessions.remove(&oldest);
        }
    }

    fn sweep(&mut self, dead: Incarnation) {
        for sessions in &mut self.users {
            sessions.retain(|_, (life, _)| *life != dead);
        }
    }
}

/// Users of one partition, so that they share its sets and its number.
fn users() -> [UserName; USERS] {
    let keys = crate::relay::keys::Keys::new("p");
    let partition = keys.partition(&user("u0"));
    let mut names = (0..).map(|n| user(&format!("u{n}"))).filter(|user| keys.partition(user) == partition);
    std::array::from_fn(|_| names.next().expect("endless"))
}

fn play(redis: &mut Redis, model: &mut Model, users: &[UserName; USERS], step: &Step) {
    let base = redis.calls(0);
    let partition = base.keys.partition(&users[0]);
    let calls = |model: &Model, node: u64| Calls { me: model.life(node), ..base.clone() };
    let mut sweep = |model: &mut Model, dead: Incarnation, users_max: usize| {
        let call = base.sweep(partition, dead, users_max);
        while reply::count(&redis.run(&call)).expect("a number") > 0 {}
        model.sweep(dead);
    };
    match step {
        Step::SignIn { node, user, index, per_user } => {
            let calls = calls(model, *node);
            model.order += 1;
            let entry = Entry { order: model.order, ..entry(*node, *index) };
            redis.run(&calls.sign_in(&users[*user], &entry, *per_user, &closing(&[])));
            model.users[*user].insert((*node, *index), (calls.me, entry.order));
            model.limit(*user, *per_user);
        }
        Step::SignOut { node, user, index } => {
            let session = entry(*node, *index).session;
            let there = redis.run(&calls(model, *node).sign_out(&users[*user], session));
            let known = model.users[*user].remove(&(*node, *index)).is_some();
            assert_eq!(reply::flag(&there), Ok(known));
        }
        Step::Sync { node, user, indexes, per_user } => {
            let calls = calls(model, *node);
            let (sessions, order) = (&mut model.users[*user], &mut model.order);
            let entries: Vec<Entry> = indexes
                .iter()
                .map(|index| {
                    *order += 1;
                    let order = sessions.get(&(*node, *index)).map_or(*order, |(_, order)| *order);
                    Entry { order, ..entry(*node, *index) }
                })
                .collect();
            redis.run(&calls.sync(&users[*user], &entries, &[], *per_user, &closing(&[])));
            sessions.retain(|(boot, _), _| boot != node);
            let placed = entries.iter().map(|entry| ((*node, entry.session.at.conn.index), (calls.me, entry.order)));
            sessions.extend(placed);
            model.limit(*user, *per_user);
        }
        Step::Sweep { node, users_max } => {
            let dead = model.life(*node);
            sweep(model, dead, *users_max);
        }
        Step::Return { node } => *model.lives.entry(*node).or_default() += 1,
        Step::SweepOld { node } => {
            let life = model.life(*node);
            if let Some(count) = life.count.checked_sub(1) {
                sweep(model, Incarnation { count, ..life }, 500);
            }
        }
    }
}

fn check(redis: &mut Redis, model: &Model, users: &[UserName; USERS]) {
    let calls = redis.calls(0);
    let partition = calls.keys.partition(&users[0]);
    let mut sets: BTreeMap<Incarnation, BTreeSet<String>> = BTreeMap::new();
    for (user, sessions) in users.iter().zip(&model.users) {
        let mut found = Entry::read_all(&redis.run(&calls.sessions(user))).expect("a hash");
        found.sort_by_key(|entry| (entry.session.boot, entry.session.at.conn.index));
        let expected =
            sessions.iter().map(|((boot, index), (_, order))| Entry { order: *order, ..entry(*boot, *index) });
        assert_eq!(found, expected.collect::<Vec<_>>());
        for (life, _) in sessions.values() {
            sets.entry(*life).or_default().insert(user.to_string());
        }
        let ttl = redis.ttl(&calls.keys.user(user));
        assert!(if sessions.is_empty() { ttl != -1 } else { ttl == -1 }, "{ttl} with {} sessions", sessions.len());
    }
    let online = model.users.iter().filter(|sessions| !sessions.is_empty()).count();
    assert_eq!(reply::count(&redis.run(&calls.online(partition))), Ok(online as u64));
    let lives = (1..=NODES).flat_map(|boot| (0..=model.life(boot).count).map(move |count| Incarnation { boot, count }));
    for life in lives {
        let found: BTreeSet<String> =
            redis.all("SMEMBERS", &calls.keys.users_of(partition, life)).into_iter().collect();
        assert_eq!(found, sets.get(&life).cloned().unwrap_or_default(), "{life}");
    }
}

#[test]
fn sessions_sets_and_the_number_online_agree_after_every_step() {
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 48,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let redis = std::cell::RefCell::new(Redis::start());
    let steps = prop::collection::vec(step(), 1..60);
    let outcome = runner.run(&steps, |steps| {
        let redis = &mut *redis.borrow_mut();
        redis.command(&redis::cmd("FLUSHALL"));
        let (mut model, users) = (Model::default(), users());
        for step in &steps {
            play(redis, &mut model, &users, step);
            check(redis, &model, &users);
        }
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}
