//! The native protocol, frame by frame, both directions, with its errors.

use crate::support::{Node, json};

const OPEN: &str = "[channels]\npublish = \"anyone\"\n[send]\nallow = \"anyone\"\n";

#[test]
fn subscribe_joins_and_unsubscribe_leaves() {
    let node = Node::plain();
    let mut client = node.anyone();
    assert_eq!(client.subscribe("news")["channel"], "news");
    client.subscribe("end");
    assert_eq!(node.push(&json!({"to": {"channels": ["news"]}, "data": 1}))["local"], 1);
    let message = client.expect_message(1);
    assert_eq!(message["channel"], "news");

    client.ok(json!({"op": "unsubscribe", "channel": "news"}));
    assert_eq!(node.push(&json!({"to": {"channels": ["news"]}, "data": 2}))["local"], 0);
    node.push(&json!({"to": {"channels": ["end"]}, "data": 3}));
    client.expect_message(3);
}

#[test]
fn subscribing_twice_is_subscribing_once() {
    let node = Node::plain();
    let mut client = node.anyone();
    client.subscribe("news");
    assert_eq!(client.subscribe("news")["channel"], "news");
    assert_eq!(node.push(&json!({"to": {"channels": ["news"]}, "data": 1}))["local"], 1);
    node.push(&json!({"to": {"channels": ["news"]}, "data": 2}));
    client.expect_message(1);
    client.expect_message(2);
}

#[test]
fn leaving_a_channel_one_never_joined_changes_nothing() {
    let node = Node::plain();
    let ok = node.anyone().ok(json!({"op": "unsubscribe", "channel": "news"}));
    assert_eq!(ok["channel"], "news");
}

#[test]
fn channel_names_are_checked() {
    let node = Node::plain();
    let mut client = node.anyone();
    for name in ["", "a b", "é", "a*", &"x".repeat(129)] {
        client.error(json!({"op": "subscribe", "channel": name}), "bad_request");
    }
    for name in ["a", "A.b_c-d:e/f#g@9", &"x".repeat(128)] {
        client.subscribe(name);
    }
    client.error(json!({"op": "subscribe"}), "bad_request");
    client.error(json!({"op": "subscribe", "channel": 7}), "bad_request");
    client.error(json!({"op": "subscribe", "channel": "a", "on_slow": "sleep"}), "bad_request");
}

#[test]
fn a_message_carries_what_is_known_of_it_and_its_payload_untouched() {
    let node = Node::plain();
    let mut client = node.user("42");
    let pushed = node.push(&json!({
        "to": {"users": ["42"]}, "id": "m-1", "type": "order.paid", "module": "shop", "from": "7",
        "data": {"é": [1.50, null, "\u{1f600}"]},
    }));
    assert_eq!(pushed["id"], "m-1");
    let message = client.expect_message(json!({"é": [1.50, null, "\u{1f600}"]}));
    for (key, value) in [("user", "42"), ("id", "m-1"), ("type", "order.paid"), ("module", "shop"), ("from", "7")] {
        assert_eq!(message[key], value, "{message}");
    }
    assert!(message["time_ms"].is_u64(), "{message}");
    assert!(message["channel"].is_null(), "{message}");
}

#[test]
fn publish_is_refused_unless_the_channel_allows_it() {
    let node = Node::with("[namespaces.room]\npublish = \"subscribers\"\n[namespaces.wall]\npublish = \"users\"\n");
    let mut guest = node.anyone();
    let publish = |channel: &str| json!({"op": "publish", "channel": channel, "type": "chat", "data": "hi"});
    guest.error(publish("news"), "forbidden");
    guest.error(publish("wall.1"), "forbidden");
    guest.error(publish("room.7"), "forbidden");
    guest.subscribe("room.7");
    assert_eq!(guest.ok(publish("room.7"))["local"], 1);
    let message = guest.expect_message("hi");
    assert_eq!((&message["channel"], &message["type"]), (&json!("room.7"), &json!("chat")));
    assert!(message["from"].is_null(), "an anonymous publisher has no name: {message}");

    let mut user = node.user("7");
    user.subscribe("wall.1");
    user.ok(publish("wall.1"));
    assert_eq!(user.expect_message("hi")["from"], "7");
}

#[test]
fn subscribe_and_presence_follow_the_rules_of_the_namespace() {
    let node = Node::with(
        "[namespaces.members]\nsubscribe = \"users\"\npresence = \"subscribers\"\n[namespaces.secret]\nsubscribe = \"nobody\"\npresence = \"nobody\"\n",
    );
    let mut guest = node.anyone();
    guest.error(json!({"op": "subscribe", "channel": "members.1"}), "forbidden");
    guest.error(json!({"op": "subscribe", "channel": "secret"}), "forbidden");
    guest.error(json!({"op": "presence", "channel": "secret"}), "forbidden");
    let mut user = node.user("7");
    user.error(json!({"op": "presence", "channel": "members.1"}), "forbidden");
    user.subscribe("members.1");
    let presence = user.ok(json!({"op": "presence", "channel": "members.1"}));
    assert_eq!((&presence["connections"], &presence["users"]), (&json!(1), &json!(["7"])));
}

#[test]
fn publish_needs_a_channel_and_data() {
    let node = Node::with(OPEN);
    let mut client = node.anyone();
    client.error(json!({"op": "publish", "data": 1}), "bad_request");
    client.error(json!({"op": "publish", "channel": "a b", "data": 1}), "bad_request");
    client.error(json!({"op": "publish", "channel": "a"}), "bad_request");
}

#[test]
fn send_reaches_every_session_of_the_users_named() {
    let node = Node::with(OPEN);
    let (mut phone, mut laptop, mut other) = (node.user("7"), node.user("7"), node.user("9"));
    let mut sender = node.user("1");
    let sent = sender.ok(json!({"op": "send", "users": ["7", "9", "nobody"], "type": "chat", "data": {"text": "hi"}}));
    assert_eq!(sent["local"], 3);
    for receiver in [&mut phone, &mut laptop, &mut other] {
        let message = receiver.expect_message(json!({"text": "hi"}));
        assert_eq!((&message["from"], &message["type"]), (&json!("1"), &json!("chat")));
    }
}

#[test]
fn send_follows_its_rule() {
    let send = json!({"op": "send", "users": ["7"], "type": "chat", "data": 1});
    Node::plain().user("1").error(send.clone(), "forbidden");

    let node = Node::with("[send]\nallow = \"users\"\ntypes = [\"chat\"]\nusers_max = 2\n");
    node.anyone().error(send.clone(), "forbidden");
    let mut user = node.user("1");
    assert_eq!(user.ok(send)["local"], 0);
    user.error(json!({"op": "send", "users": ["7"], "type": "admin", "data": 1}), "forbidden");
    user.error(json!({"op": "send", "users": ["7"], "data": 1}), "forbidden");
    user.error(json!({"op": "send", "users": ["7", "8", "9"], "type": "chat", "data": 1}), "limit_reached");
    user.error(json!({"op": "send", "users": [], "type": "chat", "data": 1}), "bad_request");
    user.error(json!({"op": "send", "users": "7", "type": "chat", "data": 1}), "bad_request");
}

#[test]
fn every_pushes_a_declared_job_until_it_is_cancelled() {
    let node = Node::with(
        "[limits]\nevery_interval_ms_min = 10\n[jobs.time]\ntemplate = { at = { \"$time\" = \"ms\" }, n = { \"$seq\" = true }, node = { \"$node\" = true }, word = \"x\" }\n",
    );
    let mut client = node.anyone();
    client.ok(json!({"op": "every", "job": "time", "interval_ms": 20}));
    for seq in 0..3 {
        let tick = client.expect_op("message");
        assert_eq!((&tick["job"], &tick["seq"]), (&json!("time"), &json!(seq)), "{tick}");
        assert!(tick["data"]["at"].is_u64(), "{tick}");
        assert_eq!((&tick["data"]["n"], &tick["data"]["word"]), (&json!(seq), &json!("x")), "{tick}");
        assert_eq!(tick["data"]["node"], node.name, "{tick}");
    }
    client.ok(json!({"op": "cancel", "job": "time"}));
    client.error(json!({"op": "cancel", "job": "time"}), "not_found");
}

#[test]
fn every_says_what_is_wrong_with_it() {
    let node = Node::with("[limits]\njobs_per_session = 1\n[jobs.a]\ntemplate = 1\n[jobs.b]\ntemplate = 2\n");
    let mut client = node.anyone();
    client.error(json!({"op": "every", "job": "nothing", "interval_ms": 1000}), "not_found");
    client.error(json!({"op": "every", "job": "a", "interval_ms": 99}), "bad_request");
    client.error(json!({"op": "every", "job": "a"}), "bad_request");
    client.error(json!({"op": "every", "job": "a", "interval_ms": -1}), "bad_request");
    client.ok(json!({"op": "every", "job": "a", "interval_ms": 60_000}));
    client.ok(json!({"op": "every", "job": "a", "interval_ms": 50_000}));
    client.error(json!({"op": "every", "job": "b", "interval_ms": 60_000}), "limit_reached");
    client.error(json!({"op": "cancel", "job": "b"}), "not_found");
}

#[test]
fn mute_unmute_and_muted_show_the_switches() {
    let node = Node::plain();
    let mut client = node.user("42");
    assert_eq!(client.ok(json!({"op": "muted"}))["types"], json!([]));
    assert_eq!(client.ok(json!({"op": "mute", "types": ["promo", "news"]}))["types"], json!(["news", "promo"]));
    assert_eq!(client.ok(json!({"op": "unmute", "types": ["news"]}))["types"], json!(["promo"]));
    assert_eq!(client.ok(json!({"op": "muted"}))["types"], json!(["promo"]));
    client.error(json!({"op": "mute"}), "bad_request");
    client.error(json!({"op": "mute", "types": "promo"}), "bad_request");
    client.error(json!({"op": "mute", "types": [""]}), "bad_request");
    node.anyone().error(json!({"op": "mute", "types": ["promo"]}), "unauthorized");
}

#[test]
fn online_counts_sessions_and_distinct_users() {
    let node = Node::plain();
    let (mut one, _two, _guest) = (node.user("7"), node.user("7"), node.anyone());
    let online = one.ok(json!({"op": "online"}));
    assert_eq!(online["node"], json!({"connections": 3, "users": 1}), "{online}");
    assert_eq!(online["cluster"], json!({"connections": 3, "users": 1, "nodes": 1}), "{online}");
}

#[test]
fn presence_counts_sessions_and_names_users_once() {
    let node = Node::plain();
    let mut clients = [node.user("9"), node.user("7"), node.user("7"), node.anyone()];
    for client in &mut clients {
        client.subscribe("room.7");
    }
    let presence = clients[0].ok(json!({"op": "presence", "channel": "room.7"}));
    assert_eq!(
        (&presence["channel"], &presence["connections"], &presence["users"]),
        (&json!("room.7"), &json!(4), &json!(["7", "9"]))
    );
    let empty = clients[0].ok(json!({"op": "presence", "channel": "empty"}));
    assert_eq!((&empty["connections"], &empty["users"]), (&json!(0), &json!([])));
}

#[test]
fn ping_is_answered_with_the_engines_time() {
    let node = Node::plain();
    let pong = node.anyone().call(json!({"op": "ping"}));
    assert_eq!(pong["op"], "pong");
    assert!(pong["time_ms"].as_u64().is_some_and(|ms| ms > 1_700_000_000_000), "{pong}");
}

#[test]
fn an_id_comes_back_as_it_was_written() {
    let node = Node::plain();
    let mut client = node.anyone();
    for id in ["0", "-7", "9007199254740993", "123456789012345678901234567890"] {
        client.send_text(&format!(r#"{{"op":"ping","id":{id}}}"#));
        let message = client.read_message();
        let text = message.to_text().expect("text");
        assert!(text.contains(&format!("\"id\":{id},")) || text.contains(&format!("\"id\":{id}}}")), "{id}: {text}");
    }
    for id in ["1.5", "\"x\"", "null", "{}", "1e3"] {
        client.send_text(&format!(r#"{{"op":"ping","id":{id}}}"#));
        let frame = client.next();
        if id == "null" && frame["op"] == "pong" {
            continue;
        }
        assert_eq!((&frame["op"], &frame["code"]), (&json!("error"), &json!("bad_request")), "{id}: {frame}");
        assert!(frame["id"].is_null(), "{id}: {frame}");
    }
    client.send_text(r#"{"op":"ping"}"#);
    assert!(client.expect_op("pong")["id"].is_null());
}

#[test]
fn what_is_no_frame_gets_an_error_and_the_connection_stays_open() {
    let node = Node::plain();
    let mut client = node.anyone();
    for text in ["", "{", "[]", "7", "\"op\"", "null", "{}", r#"{"op":7}"#, r#"{"op":"ping""#, "{\"op\":\"ping\"}x"] {
        client.send_text(text);
        let frame = client.next();
        assert_eq!((&frame["op"], &frame["code"]), (&json!("error"), &json!("bad_request")), "{text:?}: {frame}");
    }
    client.error(json!({"op": "dance"}), "bad_request");
    assert_eq!(client.call(json!({"op": "ping"}))["op"], "pong");
}

#[test]
fn unknown_fields_are_ignored_and_order_does_not_matter() {
    let node = Node::plain();
    let mut client = node.anyone();
    client.send_text(r#"{"later":{"a":[1]},"channel":"news","id":5,"op":"subscribe"}"#);
    let frame = client.next();
    assert_eq!((&frame["op"], &frame["id"], &frame["channel"]), (&json!("ok"), &json!(5), &json!("news")));
    client.send_text("{\"op\":\"sub\\u0073cribe\",\"id\":6,\"channel\":\"n\\u0065ws\"}");
    assert_eq!(client.next()["op"], "ok");
}

#[test]
fn hello_has_no_place_where_nobody_signs_in() {
    let node = Node::plain();
    let answer = node.user("7").call(json!({"op": "hello", "token": "x"}));
    assert_eq!(answer["op"], "error", "{answer}");
}

#[test]
fn ask_without_an_application_is_an_error() {
    let node = Node::plain();
    node.anyone().error(json!({"op": "ask", "type": "order.status", "data": 1}), "not_found");
    node.anyone().error(json!({"op": "ask"}), "bad_request");
}

#[test]
fn one_publishers_messages_arrive_in_the_order_it_published_them() {
    let node = Node::with(OPEN);
    let mut receivers: Vec<_> = (0..4).map(|_| node.anyone()).collect();
    for receiver in &mut receivers {
        receiver.subscribe("room.7");
    }
    let mut publisher = node.user("1");
    for n in 0..500 {
        publisher.send(&json!({"op": "publish", "channel": "room.7", "data": n}));
    }
    for receiver in &mut receivers {
        for n in 0..500 {
            receiver.expect_message(n);
        }
    }
}

#[test]
fn subscriptions_end_at_the_limit() {
    let node = Node::with("[limits]\nsubscriptions_per_session = 2\n");
    let mut client = node.anyone();
    client.subscribe("a");
    client.subscribe("b");
    client.error(json!({"op": "subscribe", "channel": "c"}), "limit_reached");
    client.subscribe("a");
    client.ok(json!({"op": "unsubscribe", "channel": "a"}));
    client.subscribe("c");
}

#[test]
fn channels_of_a_reactor_end_at_the_limit() {
    let node = Node::setup("[limits]\nchannels_per_reactor = 2\n").args(&["--reactors", "1"]).start();
    let (mut one, mut two) = (node.anyone(), node.anyone());
    one.subscribe("a");
    one.subscribe("b");
    two.subscribe("a");
    two.error(json!({"op": "subscribe", "channel": "c"}), "limit_reached");
    one.ok(json!({"op": "unsubscribe", "channel": "b"}));
    two.subscribe("c");
}

#[test]
fn a_close_frame_is_answered_with_its_code() {
    let node = Node::plain();
    assert_eq!(node.anyone().close(), 1000);
}
