//! A user's sessions across nodes: who replaces whom, who is kicked, and what the directory says.

use std::sync::Barrier;
use std::thread;

use crate::ask::{holders, sessions, to_user};
use crate::support::{Client, Cluster, PATIENCE, Plan, Redis, Value, eventually, json};

#[test]
fn with_one_session_per_user_the_newest_wins_on_whatever_node() {
    let redis = Redis::single();
    let nodes = Plan::on(&redis).config("[sessions]\nper_user = 1\n").start(3);
    let mut bystander = nodes[0].user("7");
    let mut old = nodes[0].user("42");
    for round in 1..10 {
        let new = nodes[round % 3].user("42");
        let goodbye = old.expect_goodbye(4001, "replaced");
        assert_eq!((&goodbye["reconnect"], &goodbye["retry_in_ms"]), (&json!(false), &json!(0)), "{goodbye}");
        old = new;
        nodes[(round + 1) % 3].push(&json!({"to": {"users": ["42", "7"]}, "data": round}));
        old.expect_message(round);
        bystander.expect_message(round);
    }
    let left = sessions(&nodes[1], "42");
    assert_eq!(left.iter().map(|session| session["session"].clone()).collect::<Vec<_>>(), [old.session()]);
}

#[test]
fn with_two_sessions_per_user_the_oldest_of_three_nodes_goes() {
    let redis = Redis::single();
    let nodes = Plan::on(&redis).config("[sessions]\nper_user = 2\n").start(3);
    let (mut first, mut second, mut third) = (nodes[2].user("42"), nodes[0].user("42"), nodes[1].user("42"));
    first.expect_goodbye(4001, "replaced");
    nodes[2].push(&to_user("42", 1));
    second.expect_message(1);
    third.expect_message(1);
    assert_eq!(holders(&nodes[2], "42"), ["n1", "n2"]);
}

#[test]
fn anonymous_sessions_replace_nobody_on_any_node() {
    let redis = Redis::single();
    let nodes = Plan::on(&redis).config("[sessions]\nper_user = 1\n").start(2);
    let mut clients = [nodes[0].anyone(), nodes[1].anyone(), nodes[0].anyone()];
    nodes[0].push(&json!({"to": {"all": true}, "data": 1}));
    for client in &mut clients {
        client.expect_message(1);
    }
}

#[test]
fn of_sign_ins_at_the_same_instant_on_all_nodes_exactly_one_session_stays() {
    const ROUNDS: usize = 50;
    const AT_ONCE: usize = 6;
    let redis = Redis::single();
    let nodes = Plan::on(&redis).config("[sessions]\nper_user = 1\n").start(3);
    for round in 0..ROUNDS {
        let user = format!("user-{round}");
        let barrier = Barrier::new(AT_ONCE);
        // Every one of them gets its welcome: it was signed in before it was replaced.
        let clients: Vec<Client> = thread::scope(|scope| {
            let sign_in = |index: usize| {
                let (barrier, node, user) = (&barrier, &nodes[index % 3], &user);
                scope.spawn(move || {
                    let (node, path) = (node, format!("/msg/{user}"));
                    barrier.wait();
                    node.client(&path)
                })
            };
            let signing_in: Vec<_> = (0..AT_ONCE).map(sign_in).collect();
            signing_in.into_iter().map(|client| client.join().expect("signed in")).collect()
        });
        // All welcomes are in: what is to be replaced is on its way out.
        let listed = eventually(PATIENCE, "all nodes agree on one session", || {
            let listed: Vec<Vec<Value>> = nodes.nodes().map(|node| sessions(node, &user)).collect();
            let is_the_same = |list: &Vec<Value>| {
                list.len() == 1 && listed[0].len() == 1 && list[0]["session"] == listed[0][0]["session"]
            };
            listed.iter().all(is_the_same).then_some(listed)
        });
        let winner = listed[0][0]["session"].as_str().unwrap();
        nodes[round % 3].push(&to_user(&user, "you stayed"));
        let mut stayed = 0;
        for mut client in clients {
            if client.session() == winner {
                client.expect_message("you stayed");
                stayed += 1;
            } else {
                client.expect_goodbye(4001, "replaced");
            }
        }
        assert_eq!(stayed, 1, "round {round}");
    }
}

#[test]
fn of_two_sessions_per_user_exactly_two_stay_whatever_the_interleaving() {
    let redis = Redis::single();
    let nodes = Plan::on(&redis).config("[sessions]\nper_user = 2\n").start(3);
    for round in 0..15 {
        let user = format!("user-{round}");
        let barrier = Barrier::new(6);
        let clients: Vec<Client> = thread::scope(|scope| {
            let signing_in: Vec<_> = (0..6)
                .map(|index| {
                    let (barrier, node, user) = (&barrier, &nodes[index % 3], &user);
                    scope.spawn(move || {
                        barrier.wait();
                        node.user(user)
                    })
                })
                .collect();
            signing_in.into_iter().map(|client| client.join().expect("signed in")).collect()
        });
        let listed = eventually(PATIENCE, "two sessions stay", || {
            let listed: Vec<Vec<Value>> = nodes.nodes().map(|node| sessions(node, &user)).collect();
            listed.iter().all(|list| list.len() == 2).then(|| listed[0].clone())
        });
        for mut client in clients {
            if listed.iter().any(|session| session["session"] == client.session()) {
                nodes[0].push(&to_user(&user, "still here"));
                client.expect_message("still here");
            } else {
                client.expect_goodbye(4001, "replaced");
            }
        }
    }
}

#[test]
fn a_kick_closes_the_users_sessions_everywhere_and_counts_them() {
    let redis = Redis::single();
    let nodes = Cluster::start(3, &redis);
    for through in 0..3 {
        let mut kicked = [0, 0, 1].map(|node| nodes[node].user("42"));
        let mut bystander = nodes[1].user("7");
        let reply = nodes[through].api().delete("/v1/users/42");
        assert_eq!((reply.status, reply.json()), (200, json!({"user": "42", "kicked": 3})), "through {through}");
        for client in &mut kicked {
            client.expect_goodbye(4002, "kicked");
        }
        eventually(PATIENCE, "the directory knows", || {
            nodes.nodes().all(|node| sessions(node, "42").is_empty()).then_some(())
        });
        assert_eq!(nodes[through].api().delete("/v1/users/42").json()["kicked"], 0);
        nodes[through].push(&json!({"to": {"users": ["42", "7"]}, "data": 1}));
        bystander.expect_message(1);
    }
}

#[test]
fn every_node_lists_all_sessions_of_a_user_alike() {
    let redis = Redis::single();
    let nodes = Cluster::start(3, &redis);
    let clients = [nodes[0].user("42"), nodes[2].user("42"), nodes[2].user("42")];
    let mut listed: Vec<Vec<Value>> = nodes.nodes().map(|node| sessions(node, "42")).collect();
    for list in &mut listed {
        // They may be of the same millisecond.
        list.sort_by_key(|session| session["session"].to_string());
    }
    assert_eq!((&listed[0], &listed[1]), (&listed[1], &listed[2]));
    for client in &clients {
        let welcome = &client.welcome;
        let session = listed[0].iter().find(|session| session["session"] == welcome["session"]).expect("it is listed");
        assert_eq!((&session["node"], &session["remote"]), (&welcome["node"], &json!("127.0.0.1")));
        assert!(session["since"].as_u64().unwrap() <= welcome["time_ms"].as_u64().unwrap());
    }
    drop(clients);
    eventually(PATIENCE, "all are gone", || nodes.nodes().all(|node| sessions(node, "42").is_empty()).then_some(()));
}

#[test]
fn a_session_that_is_replaced_while_redis_is_away_is_replaced_when_it_is_back() {
    let mut redis = Redis::single();
    let nodes = Plan::on(&redis).config("[sessions]\nper_user = 1\n").start(2);
    let mut old = nodes[0].user("42");
    redis.kill();
    // Nobody waits for Redis to say welcome.
    let mut new = nodes[1].user("42");
    redis.restart_empty();
    nodes.settle();
    old.expect_goodbye(4001, "replaced");
    nodes[0].push(&to_user("42", 1));
    new.expect_message(1);
    assert_eq!(holders(&nodes[0], "42"), ["n2"]);
}
