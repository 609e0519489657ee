//! One publisher's messages to one channel, one user or all arrive in its order on every node.

use crate::ask::to_all;
use crate::support::{Client, Cluster, Plan, Redis, Value, json};

/// Reads numbered messages of these publishers until each one's last, in order; holes only after a gap.
fn read_in_order(client: &mut Client, publishers: usize, count: u64) {
    let mut next = vec![0; publishers];
    let (mut announced, mut missing) = (0, 0);
    while next.iter().any(|next| *next < count) {
        let frame = client.next();
        if frame["op"] == "gap" {
            announced += frame["count"].as_u64().unwrap();
            continue;
        }
        let (publisher, n) = (frame["data"]["p"].as_u64().unwrap() as usize, frame["data"]["n"].as_u64().unwrap());
        assert!(n >= next[publisher], "{frame} where {next:?} is next");
        missing += n - next[publisher];
        next[publisher] = n + 1;
        assert!(missing <= announced, "{frame} where {next:?} is next");
    }
    assert_eq!(missing, announced);
}

fn numbered(publisher: usize, n: u64) -> Value {
    json!({"p": publisher, "n": n})
}

#[test]
fn batches_of_several_publishers_arrive_in_each_ones_order_on_every_node() {
    const COUNT: u64 = 600;
    let redis = Redis::single();
    let nodes = Plan::on(&redis).config("[limits]\noutbox_bytes_max = 4194304\n").start(3);
    for to in [json!({"channels": ["news"]}), json!({"users": ["42"]}), json!({"all": true})] {
        let mut clients: Vec<Client> = nodes.nodes().map(|node| node.user("42")).collect();
        for client in &mut clients {
            client.subscribe("news");
        }
        std::thread::scope(|scope| {
            for (publisher, node) in nodes.nodes().enumerate() {
                let to = &to;
                scope.spawn(move || {
                    let line = |n| format!("{}\n", json!({"to": to, "data": numbered(publisher, n)}));
                    let body: String = (0..COUNT).map(line).collect();
                    let reply = node.api().request("POST", "/v1/push/batch", Some(body.as_bytes()));
                    assert!(reply.lines().iter().all(|line| line["relayed"] == true), "{reply:?}");
                });
            }
            for client in &mut clients {
                scope.spawn(|| read_in_order(client, 3, COUNT));
            }
        });
        drop(clients);
    }
}

#[test]
fn order_holds_across_reconnections() {
    const COUNT: u64 = 400;
    let redis = Redis::single();
    let nodes = Cluster::start(3, &redis);
    let mut clients: Vec<Client> = nodes.nodes().map(|node| node.user("42")).collect();
    for client in &mut clients {
        client.subscribe("news");
    }
    for to in [json!({"channels": ["news"]}), json!({"users": ["42"]})] {
        let mut api = nodes[0].api();
        for n in 0..COUNT {
            if n % 100 == 50 {
                let kind = if n % 200 == 50 { "normal" } else { "pubsub" };
                let _: u64 = redis.ask(&["CLIENT", "KILL", "TYPE", kind]);
            }
            assert_eq!(api.post("/v1/push", &json!({"to": to, "data": numbered(0, n)})).status, 202);
        }
        // The last one may be lost to who was just reconnecting: then the gap says so, and this one arrives.
        nodes.settle();
        assert_eq!(api.post("/v1/push", &json!({"to": to, "data": numbered(0, COUNT)})).status, 202);
        for client in &mut clients {
            read_in_order(client, 1, COUNT + 1);
        }
    }
}

#[test]
fn what_a_client_publishes_arrives_in_its_order_everywhere() {
    let redis = Redis::single();
    let config = "[channels]\npublish = \"anyone\"\n[send]\nallow = \"users\"\n";
    let nodes = Plan::on(&redis).config(config).start(2);
    let (mut from, mut here, mut there) = (nodes[0].user("1"), nodes[0].user("42"), nodes[1].user("42"));
    here.subscribe("room");
    there.subscribe("room");
    for n in 0..200 {
        from.send(&json!({"op": "publish", "channel": "room", "data": numbered(0, n)}));
    }
    for n in 0..200 {
        from.send(&json!({"op": "send", "users": ["42"], "data": numbered(0, n)}));
    }
    for client in [&mut here, &mut there] {
        let mut next = [0, 0];
        for _ in 0..400 {
            let frame = client.expect_op("message");
            let stream = usize::from(frame["channel"].is_null());
            assert_eq!(frame["data"]["n"], next[stream], "{frame}");
            next[stream] += 1;
        }
    }
    nodes[0].push(&to_all("last"));
    there.expect_message("last");
}
