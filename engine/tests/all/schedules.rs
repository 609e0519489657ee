//! Periodic pushes that the node keeps: made, changed and ended through the API.

use crate::support::hook::Hook;
use crate::support::{Node, Value, json};

fn template(to: &Value, interval_ms: u64, template: &Value) -> Value {
    json!({"to": to, "interval_ms": interval_ms, "source": {"template": template}})
}

fn put(node: &Node, name: &str, body: &Value) {
    let reply = node.api().put(&format!("/v1/schedules/{name}"), body);
    assert!(matches!(reply.status, 200 | 201), "{reply:?}");
}

#[test]
fn a_template_is_filled_in_at_each_tick() {
    let node = Node::setup("").args(&["--node", "n1"]).start();
    let mut client = node.user("42");
    let values = json!({
        "ms": {"$time": "ms"}, "text": {"$time": "rfc3339"}, "seq": {"$seq": true}, "node": {"$node": true},
        "here": {"$online": "node"}, "there": {"$online": "cluster"}, "list": [1, {"$seq": true}], "as": {"$it": "stands"},
    });
    put(&node, "tick", &template(&json!({"users": ["42"]}), 50, &values));
    let first = client.expect_op("message");
    assert_eq!(first["user"], "42", "{first}");
    let data = &first["data"];
    assert!(data["ms"].is_u64() && data["text"].as_str().is_some_and(|text| text.ends_with('Z')), "{data}");
    assert_eq!((&data["node"], &data["as"]), (&json!("n1"), &json!({"$it": "stands"})), "{data}");
    assert_eq!((&data["here"], &data["there"]), (&json!(1), &json!(1)), "{data}");
    let seq = data["seq"].as_u64().expect("a number");
    assert_eq!(data["list"], json!([1, seq]));
    assert_eq!(client.expect_op("message")["data"]["seq"], seq + 1);
}

#[test]
fn a_schedule_reaches_who_subscribes_later() {
    let node = Node::plain();
    put(&node, "tick", &template(&json!({"channels": ["news"]}), 20, &json!("tick")));
    let mut client = node.anyone();
    client.subscribe("news");
    client.expect_message("tick");
}

#[test]
fn a_schedule_of_the_last_message_repeats_it() {
    let node = Node::plain();
    let mut client = node.anyone();
    client.subscribe("repeat");
    put(&node, "last", &json!({"to": {"channels": ["repeat"]}, "interval_ms": 50, "source": {"last": "prices"}}));
    node.push(&json!({"to": {"channels": ["prices"]}, "data": {"price": 1}}));
    client.expect_message(json!({"price": 1}));
    client.expect_message(json!({"price": 1}));
    node.push(&json!({"to": {"channels": ["prices"]}, "data": {"price": 2}}));
    crate::support::until("the newer one", || client.expect_op("message")["data"]["price"] == 2);
    client.expect_message(json!({"price": 2}));
}

#[test]
fn a_schedule_of_a_url_pushes_what_it_says() {
    let hook = Hook::answering(|call| (200, json!({"path": call.path}).to_string()));
    let node = Node::plain();
    let mut client = node.anyone();
    client.subscribe("prices");
    put(
        &node,
        "url",
        &json!({"to": {"channels": ["prices"]}, "interval_ms": 100, "source": {"url": hook.url("/prices")}}),
    );
    client.expect_message(json!({"path": "/prices"}));
    assert_eq!(hook.call().method, "GET");
}

#[test]
fn a_url_that_fails_is_a_tick_without_a_push() {
    let hook = Hook::answering(|_| (500, "{}".into()));
    let node = Node::plain();
    let mut client = node.anyone();
    put(&node, "url", &json!({"to": {"all": true}, "interval_ms": 50, "source": {"url": hook.url("/")}}));
    hook.call();
    hook.call();
    node.api().delete("/v1/schedules/url");
    node.push(&json!({"to": {"all": true}, "data": "the only one"}));
    client.expect_message("the only one");
}

#[test]
fn a_schedule_is_read_replaced_and_ended() {
    let node = Node::plain();
    let mut client = node.anyone();
    client.subscribe("news");
    let mut api = node.api();
    let to = json!({"channels": ["news"]});
    put(&node, "tick", &template(&to, 20, &json!("old")));
    client.expect_message("old");
    let shown = api.get("/v1/schedules/tick").json();
    assert_eq!((&shown["name"], &shown["interval_ms"], &shown["to"]), (&json!("tick"), &json!(20), &to), "{shown}");
    assert_eq!(shown["source"], json!({"template": "old"}), "{shown}");
    assert_eq!(api.get("/v1/schedules").json()["schedules"].as_array().map(Vec::len), Some(1));

    put(&node, "tick", &template(&to, 30, &json!("new")));
    crate::support::until("replaced", || client.expect_op("message")["data"] == "new");
    client.expect_message("new");

    let ended = api.delete("/v1/schedules/tick");
    assert!(matches!(ended.status, 200 | 204), "{ended:?}");
    assert_eq!(api.get("/v1/schedules/tick").refusal(), (404, "not_found".into()));
    assert_eq!(api.delete("/v1/schedules/tick").status, 404);
    node.push(&json!({"to": {"channels": ["end"]}, "data": 1}));
    client.subscribe("end");
    node.push(&json!({"to": {"channels": ["end"]}, "data": "end"}));
    crate::support::until("no tick comes after the end", || client.expect_op("message")["data"] == "end");
}

#[test]
fn bad_schedules_are_400() {
    let node = Node::plain();
    let mut api = node.api();
    let to = json!({"all": true});
    for body in [
        json!({}),
        json!({"to": to, "interval_ms": 1000}),
        json!({"to": to, "source": {"template": 1}}),
        json!({"to": to, "interval_ms": 0, "source": {"template": 1}}),
        json!({"to": to, "interval_ms": -1, "source": {"template": 1}}),
        json!({"to": {}, "interval_ms": 1000, "source": {"template": 1}}),
        json!({"to": to, "interval_ms": 1000, "source": {}}),
        json!({"to": to, "interval_ms": 1000, "source": {"template": 1, "last": "news"}}),
        json!({"to": to, "interval_ms": 1000, "source": {"last": "a b"}}),
        json!({"to": to, "interval_ms": 1000, "source": {"url": "ftp://x"}}),
        json!({"to": to, "interval_ms": 1000, "source": {"template": {"$time": "moons"}}}),
        json!({"to": to, "interval_ms": 1000, "source": {"template": 1}, "scope": "galaxy"}),
    ] {
        assert_eq!(api.put("/v1/schedules/x", &body).refusal(), (400, "bad_request".into()), "{body}");
    }
    assert_eq!(api.get("/v1/schedules").json()["schedules"], json!([]));
    for scope in ["node", "cluster"] {
        let body = json!({"to": to, "interval_ms": 60000, "source": {"template": 1}, "scope": scope});
        assert!(api.put("/v1/schedules/x", &body).status < 300, "{scope}");
    }
}

#[test]
fn schedules_end_at_the_limit() {
    let node = Node::with("[api]\nschedules_max = 1\n");
    let mut api = node.api();
    let body = template(&json!({"all": true}), 60_000, &json!(1));
    put(&node, "one", &body);
    put(&node, "one", &body);
    assert_eq!(api.put("/v1/schedules/two", &body).refusal(), (429, "limit_reached".into()));
    api.delete("/v1/schedules/one");
    put(&node, "two", &body);
}
