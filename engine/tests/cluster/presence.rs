//! Counts and members of the whole cluster, asked on any node.

use crate::ask::to_all;
use crate::support::{Api, Client, Cluster, PATIENCE, Plan, Redis, Value, eventually, json};

#[test]
fn every_node_counts_the_clusters_connections_and_distinct_users() {
    let redis = Redis::single();
    let mut nodes = Cluster::start(3, &redis);
    let users: Vec<Client> =
        [(0, "1"), (0, "2"), (1, "2"), (1, "2"), (2, "3")].map(|(node, user)| nodes[node].user(user)).into();
    let mut anyone = nodes[2].anyone();
    let expect = |nodes: &Cluster, cluster: Value| {
        for node in nodes.nodes() {
            let mut api = node.api();
            eventually(PATIENCE, &format!("{} counts {cluster}", node.name), || {
                (api.get("/v1/online").json()["cluster"] == cluster).then_some(())
            });
        }
    };
    expect(&nodes, json!({"connections": 6, "users": 3, "nodes": 3}));
    assert_eq!(nodes[1].get("/v1/online").json()["node"], json!({"connections": 2, "users": 1}));
    let answer = anyone.call(json!({"op": "online"}));
    assert_eq!(answer["node"], json!({"connections": 2, "users": 1}));
    assert_eq!(answer["cluster"], json!({"connections": 6, "users": 3, "nodes": 3}));

    let mut users = users;
    drop(users.pop());
    expect(&nodes, json!({"connections": 5, "users": 2, "nodes": 3}));
    nodes.kill(1);
    expect(&nodes, json!({"connections": 3, "users": 2, "nodes": 2}));
    nodes.restart(1);
    expect(&nodes, json!({"connections": 3, "users": 2, "nodes": 3}));
}

#[test]
fn to_be_asked_for_the_counts_costs_redis_nothing() {
    let redis = Redis::single();
    let nodes = Plan::on(&redis).set("lease_ms", 20_000).set("timeout_ms", 20_000).start(2);
    let _users = [nodes[0].user("1"), nodes[1].user("2")];
    let counts = |api: &mut Api| api.get("/v1/online").json()["cluster"].clone();
    let expected = json!({"connections": 2, "users": 2, "nodes": 2});
    let mut api = nodes[0].api();
    eventually(PATIENCE, "they are counted", || (counts(&mut api) == expected).then_some(()));
    // Who asked it now would wait for it, and give it up at last.
    redis.hang();
    for _ in 0..100 {
        assert_eq!(counts(&mut api), expected);
    }
    assert_eq!(nodes[0].metric("epush_relay_up"), 1.0, "nobody has given it up");
    redis.go_on();
}

#[test]
fn a_channels_members_are_those_of_all_nodes() {
    let redis = Redis::single();
    let nodes = Cluster::start(3, &redis);
    let mut clients: Vec<Client> =
        [(0, "1"), (0, "2"), (1, "2"), (2, "3")].map(|(node, user)| nodes[node].user(user)).into();
    clients.push(nodes[2].anyone());
    for client in &mut clients {
        client.subscribe("room");
    }
    for (index, own) in [2, 1, 2].into_iter().enumerate() {
        let shown = nodes[index].get("/v1/channels/room?members=true").json();
        let counts = (&shown["node"]["subscribers"], &shown["cluster"]["subscribers"]);
        assert_eq!(counts, (&json!(own), &json!(5)), "{shown}");
        assert_eq!(shown["users"], json!(["1", "2", "3"]), "{shown}");
    }
    let answer = clients[0].call(json!({"op": "presence", "channel": "room"}));
    assert_eq!((&answer["connections"], &answer["users"]), (&json!(5), &json!(["1", "2", "3"])), "{answer}");
    // One without subscribers on the node that is asked, and one without any.
    clients[3].subscribe("elsewhere");
    let shown = nodes[0].get("/v1/channels/elsewhere").json();
    assert_eq!((&shown["node"], &shown["cluster"]), (&json!({"subscribers": 0}), &json!({"subscribers": 1})));
    assert_eq!(nodes[0].get("/v1/channels/nobody").json()["cluster"]["subscribers"], 0);
}

#[test]
fn every_node_lists_the_channels_of_all() {
    let redis = Redis::single();
    let nodes = Cluster::start(3, &redis);
    let mut clients = [nodes[0].anyone(), nodes[1].anyone(), nodes[2].anyone()];
    for (index, client) in clients.iter_mut().enumerate() {
        client.subscribe("all");
        client.subscribe(&format!("only.{index}"));
    }
    for (index, node) in nodes.nodes().enumerate() {
        let listed = node.get("/v1/channels").json();
        let row = |entry: &Value| {
            let name = entry["channel"].as_str().unwrap().to_string();
            (name, entry["node"]["subscribers"].as_u64().unwrap(), entry["cluster"]["subscribers"].as_u64().unwrap())
        };
        let rows: Vec<_> = listed["channels"].as_array().unwrap().iter().map(row).collect();
        let own = |of: usize| u64::from(of == index);
        let only = |of: usize| (format!("only.{of}"), own(of), 1);
        assert_eq!(rows, [("all".to_string(), 1, 3), only(0), only(1), only(2)], "{}", node.name);
        let page = node.get("/v1/channels?prefix=only.&limit=2").json();
        assert_eq!((page["channels"].as_array().unwrap().len(), &page["more"]), (2, &json!(true)));
        let page = node.get("/v1/channels?prefix=only.&limit=2&after=only.1").json();
        assert_eq!((page["channels"].as_array().unwrap().len(), &page["more"]), (1, &json!(false)));
    }
}

#[test]
fn a_node_that_does_not_answer_is_left_out_after_the_time_out() {
    let redis = Redis::single();
    let mut nodes = Cluster::start(3, &redis);
    let mut clients = [nodes[0].user("1"), nodes[1].user("2"), nodes[2].user("3")];
    for client in &mut clients {
        client.subscribe("room");
    }
    nodes[2].hang();
    let shown = nodes[0].get("/v1/channels/room?members=true").json();
    assert_eq!((&shown["cluster"]["subscribers"], &shown["users"]), (&json!(2), &json!(["1", "2"])), "{shown}");
    nodes.kill(2);
    nodes[0].push(&to_all(1));
    clients[1].expect_message(1);
}

#[test]
fn without_redis_a_node_answers_for_itself() {
    let mut redis = Redis::single();
    let nodes = Cluster::start(2, &redis);
    let mut clients = [nodes[0].user("1"), nodes[1].user("2")];
    for client in &mut clients {
        client.subscribe("room");
    }
    redis.kill();
    eventually(PATIENCE, "it is noticed", || (nodes[0].metric("epush_relay_up") == 0.0).then_some(()));
    let shown = nodes[0].get("/v1/channels/room?members=true").json();
    assert_eq!((&shown["cluster"]["subscribers"], &shown["users"]), (&json!(1), &json!(["1"])), "{shown}");
    assert_eq!(crate::ask::holders(&nodes[0], "1"), ["n1"]);
    let mut kicked = nodes[0].user("9");
    assert_eq!(nodes[0].api().delete("/v1/users/9").json()["kicked"], 1);
    kicked.expect_goodbye(4002, "kicked");
}
