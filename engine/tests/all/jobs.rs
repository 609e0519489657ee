//! The six classic jobs of a WebSocket push service, as README tells them.

use crate::support::{Node, json};

#[test]
fn job_1_client_and_server_talk_one_to_one() {
    let hook = crate::support::hook::Hook::answering(|_| (200, json!({"status": "paid"}).to_string()));
    let node = Node::with(&format!("[webhook]\nask_url = \"{}\"\n", hook.url("/ask")));
    let mut client = node.user("42");
    let reply = client.call(json!({"op": "ask", "type": "order.status", "data": {"order": 7}}));
    assert_eq!((&reply["op"], &reply["data"]), (&json!("reply"), &json!({"status": "paid"})), "{reply}");
    // And the other way: the server speaks first.
    node.push(&json!({"to": {"users": ["42"]}, "data": "shipped"}));
    client.expect_message("shipped");
}

#[test]
fn job_2_a_push_reaches_all() {
    let node = Node::plain();
    let mut clients = [node.user("7"), node.user("9"), node.anyone()];
    assert_eq!(node.push(&json!({"to": {"all": true}, "data": "hello all"}))["local"], 3);
    for client in &mut clients {
        let message = client.expect_message("hello all");
        assert!(message["user"].is_null() && message["channel"].is_null(), "{message}");
    }
}

#[test]
fn job_3_the_online_count_follows_who_comes_and_goes() {
    let node = Node::plain();
    let mut watcher = node.anyone();
    let guests: Vec<_> = (0..5).map(|user| node.user(&format!("u{user}"))).collect();
    assert_eq!(watcher.ok(json!({"op": "online"}))["node"], json!({"connections": 6, "users": 5}));
    assert_eq!(node.get("/v1/online").json()["node"], json!({"connections": 6, "users": 5}));
    for guest in guests {
        assert_eq!(guest.close(), 1000);
    }
    crate::support::until("only the watcher is online", || {
        watcher.ok(json!({"op": "online"}))["node"] == json!({"connections": 1, "users": 0})
    });
}

#[test]
fn job_4_a_push_reaches_chosen_users_and_nobody_else() {
    let node = Node::plain();
    let (mut seven, mut nine, mut other) = (node.user("7"), node.user("9"), node.user("8"));
    assert_eq!(node.push(&json!({"to": {"users": ["7", "9"]}, "data": "for you"}))["local"], 2);
    node.push(&json!({"to": {"all": true}, "data": "for all"}));
    seven.expect_message("for you");
    nine.expect_message("for you");
    other.expect_message("for all");
}

#[test]
fn job_5_a_periodic_push_per_session_and_per_channel() {
    let node = Node::with("[jobs.time]\ntemplate = { now = { \"$time\" = \"rfc3339\" } }\n");
    let mut client = node.anyone();
    client.ok(json!({"op": "every", "job": "time", "interval_ms": 100}));
    assert!(client.expect_op("message")["data"]["now"].as_str().is_some_and(|now| now.starts_with("20")));
    client.ok(json!({"op": "cancel", "job": "time"}));

    let mut listener = node.anyone();
    listener.subscribe("clock");
    let schedule =
        json!({"to": {"channels": ["clock"]}, "interval_ms": 100, "source": {"template": {"n": {"$seq": true}}}});
    let status = node.api().put("/v1/schedules/clock", &schedule).status;
    assert!((200..300).contains(&status), "{status}");
    let first = listener.expect_op("message");
    assert_eq!(first["channel"], "clock");
    let n = first["data"]["n"].as_u64().expect("a number");
    listener.expect_message(json!({"n": n + 1}));
}

#[test]
fn job_6_one_client_reaches_others() {
    let node = Node::with("[send]\nallow = \"users\"\n[namespaces.room]\npublish = \"subscribers\"\n");
    let (mut anna, mut ben, mut cleo) = (node.user("anna"), node.user("ben"), node.user("cleo"));
    assert_eq!(anna.ok(json!({"op": "send", "users": ["ben"], "type": "chat", "data": "psst"}))["local"], 1);
    assert_eq!(ben.expect_message("psst")["from"], "anna");

    for client in [&mut anna, &mut ben, &mut cleo] {
        client.subscribe("room.7");
    }
    ben.ok(json!({"op": "publish", "channel": "room.7", "type": "chat", "data": "all"}));
    for client in [&mut anna, &mut ben, &mut cleo] {
        assert_eq!(client.expect_message("all")["from"], "ben");
    }
}
