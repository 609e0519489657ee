//! Questions tests put to nodes and to Redis again and again.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::support::{Api, Client, Node, Redis, Value, json};

/// The user's sessions, as this node lists them.
pub fn sessions(node: &Node, user: &str) -> Vec<Value> {
    let reply = node.get(&format!("/v1/users/{user}")).json();
    reply["sessions"].as_array().unwrap_or_else(|| panic!("{reply}")).clone()
}

/// The names of the nodes that hold the user, sorted.
pub fn holders(node: &Node, user: &str) -> Vec<String> {
    let name = |session: &Value| session["node"].as_str().expect("a name").to_string();
    let mut names: Vec<String> = sessions(node, user).iter().map(name).collect();
    names.sort();
    names
}

/// Pushes through a kept-alive connection.
pub fn push(api: &mut Api, body: &Value) -> Value {
    let reply = api.post("/v1/push", body);
    assert_eq!(reply.status, 202, "{body} got {reply:?}");
    reply.json()
}

pub fn to_user(user: &str, data: impl Into<Value>) -> Value {
    json!({"to": {"users": [user]}, "data": data.into()})
}

pub fn to_channel(channel: &str, data: impl Into<Value>) -> Value {
    json!({"to": {"channels": [channel]}, "data": data.into()})
}

pub fn to_all(data: impl Into<Value>) -> Value {
    json!({"to": {"all": true}, "data": data.into()})
}

/// Nothing reached the client but answers: what came before the answer to a ping has been read.
pub fn is_quiet(client: &mut Client) -> bool {
    assert_eq!(client.call(json!({"op": "ping"}))["op"], "pong");
    client.take_early().is_none()
}

/// Reads until the pushes of a cluster's schedule from the first to this one have come, each once. Their order is nobody's
/// promise: one may be a starved node's, and the next another's.
pub fn expect_each_tick_once(client: &mut Client, count: u64) {
    let mut seen = BTreeSet::new();
    while !(0..count).all(|seq| seen.contains(&seq)) {
        let frame = client.expect_op("message");
        let data = &frame["data"];
        let seq = data.as_u64().or(data["seq"].as_u64()).unwrap_or_else(|| panic!("{frame}"));
        assert!(seen.insert(seq), "twice: {frame}");
    }
}

/// Channels of the test's own that anybody is subscribed to in Redis.
pub fn channels_in_redis(redis: &Redis) -> Vec<String> {
    redis.ask(&["PUBSUB", "CHANNELS", "epush:c:*"])
}

/// From the return of Redis until everything is as before.
pub const RECOVERY: Duration = Duration::from_secs(5);
