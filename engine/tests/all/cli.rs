//! The command line against a running node: the same API, for people and scripts.

use crate::support::node::{Ended, run_epush};
use crate::support::{Node, Value, json};

fn cli(node: &Node, args: &[&str], input: &str) -> Ended {
    let api = node.control.to_string();
    run_epush(&[args, &["--api", &api]].concat(), input)
}

fn printed(node: &Node, args: &[&str], input: &str) -> Value {
    let ended = cli(node, args, input);
    assert_eq!(ended.code, Some(0), "{args:?}: {}", ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap_or_else(|why| panic!("{why} in {}", ended.stdout))
}

#[test]
fn push_reaches_users_channels_and_all() {
    let node = Node::plain();
    let mut client = node.user("42");
    client.subscribe("news");
    let reply = printed(&node, &["push", "--user", "42", "--type", "t", "--module", "m", "--data", r#"{"a":1}"#], "");
    assert_eq!((&reply["local"], &reply["node"]), (&json!(1), &json!(node.name)));
    let message = client.expect_message(json!({"a": 1}));
    assert_eq!((&message["type"], &message["module"]), (&json!("t"), &json!("m")));
    printed(&node, &["push", "--channel", "news", "--data", "-7"], "");
    assert_eq!(client.expect_message(-7)["channel"], "news");
    printed(&node, &["push", "--all", "--data", "\"hi\""], "");
    client.expect_message("hi");
}

#[test]
fn push_reads_its_payload_from_a_file_or_standard_input() {
    let node = Node::plain();
    let mut client = node.anyone();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("data.json");
    std::fs::write(&file, "[1, 2]\n").expect("writable");
    printed(&node, &["push", "--all", "--data", &format!("@{}", file.display())], "");
    client.expect_message(json!([1, 2]));
    printed(&node, &["push", "--all", "-"], "{\"from\": \"stdin\"}\n");
    client.expect_message(json!({"from": "stdin"}));
}

#[test]
fn push_without_a_target_or_a_payload_or_with_no_json_is_bad_usage() {
    let node = Node::plain();
    for args in [&["push", "--data", "1"][..], &["push", "--all"], &["push", "--all", "--data", "{"]] {
        assert_eq!(cli(&node, args, "").code, Some(2), "{args:?}");
    }
}

#[test]
fn online_user_kick_and_nodes_print_what_the_api_says() {
    let node = Node::plain();
    let mut client = node.user("42");
    assert_eq!(printed(&node, &["online"], ""), node.get("/v1/online").json());
    assert_eq!(printed(&node, &["user", "42"], ""), node.get("/v1/users/42").json());
    assert_eq!(printed(&node, &["nodes"], "")["nodes"][0]["name"], node.name);
    assert_eq!(printed(&node, &["kick", "42"], "")["kicked"], 1);
    client.expect_goodbye(4002, "kicked");
}

#[test]
fn drain_stops_the_node() {
    let mut node = Node::with("[drain]\nseconds = 1\n");
    let ended = cli(&node, &["drain"], "");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(node.ended().code(), Some(0));
}

#[test]
fn a_key_is_sent_where_one_is_given_and_a_refusal_is_exit_1() {
    let node = Node::with("[api]\nkeys = [\"k\"]\n");
    let refused = cli(&node, &["online"], "");
    assert_eq!(refused.code, Some(1));
    assert!(!refused.stderr.is_empty());
    printed(&node, &["online", "--key", "k"], "");
}

#[test]
fn no_node_there_is_exit_1() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("bound");
    let ended = run_epush(&["online", "--api", &free.to_string()], "");
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
}
