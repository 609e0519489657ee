//! Ten nodes with a thousand sessions each: nobody misses anything, nobody gets anything twice.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::ask::{push, to_all, to_channel};
use crate::support::fleet::Fleet;
use crate::support::{PATIENCE, Plan, Redis, eventually, json};

const NODES: usize = 10;
const SESSIONS: usize = 1_000;
const BROADCASTS: u64 = 5;
const KICKED: usize = 200;

/// What each stage may take. On two idle cores the slowest takes a tenth of it.
const STAGE_DEADLINE: Duration = Duration::from_secs(120);

#[test]
fn ten_nodes_with_a_thousand_sessions_each_are_exact() {
    raise_descriptor_limit();
    let redis = Redis::single();
    // Such a crowd on two cores may keep a node from its lease for a while.
    let plan = Plan::on(&redis).set("lease_ms", 30_000).set("timeout_ms", 10_000).args(&["--reactors", "1"]);
    let nodes = plan.start(NODES);
    let mut fleets: Vec<Fleet> = nodes
        .nodes()
        .enumerate()
        .map(|(index, node)| Fleet::connect_as(node.clients, SESSIONS, "news", &format!("n{index}")))
        .collect();
    let mut all = |what: &str, expected: u64| {
        for fleet in &mut fleets {
            fleet.run_until(STAGE_DEADLINE, what, |member| member.next == expected);
        }
    };
    let mut apis: Vec<_> = nodes.nodes().map(|node| node.api()).collect();
    let mut next = 0;
    // One publisher at a time: the fleet checks the numbers, and that nothing else comes.
    for round in 0..BROADCASTS {
        let reply = push(&mut apis[round as usize], &to_all(json!({"n": next})));
        assert_eq!((&reply["local"], &reply["relayed"]), (&json!(SESSIONS), &json!(true)));
        next += 1;
        all("all got the broadcast", next);
    }
    for round in 0..BROADCASTS {
        push(&mut apis[9 - round as usize], &to_channel("news", json!({"n": next})));
        next += 1;
        all("all got the channel's message", next);
    }
    let users: Vec<String> = (0..NODES).flat_map(|node| (0..SESSIONS).map(move |n| format!("n{node}-{n}"))).collect();
    let reply = push(&mut apis[3], &json!({"to": {"users": users}, "data": {"n": next}}));
    assert_eq!(reply["local"], SESSIONS);
    next += 1;
    all("each user got the message to ten thousand", next);
    for (n, user) in users.iter().enumerate() {
        push(&mut apis[(n + n / SESSIONS + 1) % NODES], &json!({"to": {"users": [user]}, "data": {"n": next}}));
    }
    next += 1;
    all("each user got its own", next);

    let counts = json!({"connections": NODES * SESSIONS, "users": NODES * SESSIONS, "nodes": NODES});
    for api in &mut apis {
        eventually(PATIENCE, "the counts are exact", || {
            (api.get("/v1/online").json()["cluster"] == counts).then_some(())
        });
    }
    let shown = apis[5].get("/v1/channels/news").json();
    assert_eq!(shown["cluster"]["subscribers"], NODES * SESSIONS);

    for n in 0..KICKED {
        let (node, user) = (n % NODES, n / NODES);
        let reply = apis[(node + 1) % NODES].delete(&format!("/v1/users/n{node}-{user}"));
        assert_eq!(reply.json()["kicked"], 1);
    }
    push(&mut apis[0], &to_all(json!({"n": next})));
    next += 1;
    for fleet in &mut fleets {
        fleet.run_until(STAGE_DEADLINE, "kicked, or got the last message", |member| {
            let is_kicked = member.index < KICKED / NODES;
            if is_kicked { member.close_code == Some(4002) } else { member.next == next }
        });
    }
}

fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
        .expect("up to the hard limit");
    let most = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    assert!(most > (NODES * SESSIONS) as u64 + 1_000, "only {most} descriptors: raise the hard limit (ulimit -Hn)");
}
