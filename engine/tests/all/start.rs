//! Starting: defaults, where settings come from, what is refused, and the words a script waits for.

use std::net::TcpListener;

use rustix::process::{Resource, Signal, getrlimit};

use crate::support::node::{Node, run_epush};
use crate::support::tools::repository_file;
use crate::support::{Client, json, until};

#[test]
fn the_ready_line_names_the_node_and_both_listeners() {
    let node = Node::setup("").args(&["--node", "n1"]).start();
    assert_eq!(node.name, "n1");
    assert_ne!(node.clients.port(), 0);
    assert_ne!(node.control.port(), 0);
    assert_eq!(node.anyone().welcome["node"], "n1");
}

#[test]
fn a_node_without_a_name_gives_itself_one() {
    let (one, other) = (Node::plain(), Node::plain());
    assert!(!one.name.is_empty());
    assert_ne!(one.name, other.name);
}

#[test]
fn serve_is_what_epush_does_without_a_command() {
    let ended = run_epush(&["--listen", "0.0.0.0:0", "--api", "127.0.0.1:0"], "");
    assert_eq!(ended.code, Some(2), "it started to serve, and refused: {}", ended.stderr);
}

#[test]
fn both_listeners_are_healthy_and_ready() {
    let node = Node::plain();
    let mut api = node.api();
    assert_eq!(api.get("/healthz").status, 200);
    assert_eq!(api.get("/readyz").status, 200);
    let mut clients = crate::support::Api::connect(node.clients);
    let reply = clients.get("/healthz");
    assert_eq!((reply.status, reply.text().trim()), (200, "ok"));
}

#[test]
fn a_listener_that_is_not_loopback_needs_authentication_or_a_word_that_there_is_none() {
    let refused = Node::setup("").args(&["--listen", "0.0.0.0:0"]).run();
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("auth.mode"), "{}", refused.stderr);
    assert!(!refused.stdout.contains("epush ready"), "{}", refused.stdout);

    let open = Node::setup("[auth]\nmode = \"none\"\n").args(&["--listen", "0.0.0.0:0"]).start();
    Client::open(&format!("ws://127.0.0.1:{}/msg", open.clients.port()));
}

#[test]
fn an_api_that_is_not_loopback_needs_keys_or_a_word_that_it_is_open() {
    let refused = Node::setup("").args(&["--api", "0.0.0.0:0"]).run();
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("api.open"), "{}", refused.stderr);

    Node::setup("[api]\nopen = true\n").args(&["--api", "0.0.0.0:0"]).start();
    Node::setup("[api]\nkeys = [\"k\"]\n").args(&["--api", "0.0.0.0:0"]).start();
}

#[test]
fn a_port_that_is_taken_is_a_failure_while_running() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound").to_string();
    let ended = Node::setup("").args(&["--listen", &address]).run();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains(&address), "it says which: {}", ended.stderr);
}

#[test]
fn bad_usage_and_a_bad_config_end_with_2() {
    assert_eq!(run_epush(&["--no-such-flag"], "").code, Some(2));
    assert_eq!(run_epush(&["no-such-command"], "").code, Some(2));
    assert_eq!(run_epush(&["serve", "--config", "/no/such/file.toml"], "").code, Some(2));
    let ended = Node::setup("[limits]\nconnections = \"many\"\n").run();
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("epush.toml:2: limits.connections: "), "{}", ended.stderr);
}

#[test]
fn a_redis_that_is_away_keeps_nobody_from_starting_and_its_password_is_told_to_nobody() {
    let url = "redis://epush:hunter2@127.0.0.1:1";
    let node = Node::setup("").args(&["--redis", url, "--log", "trace"]).start();
    let mut api = node.api();
    assert_eq!(api.get("/readyz").status, 200);
    assert_eq!(node.push(&json!({"to": {"all": true}, "data": 1}))["relayed"], false);
    assert_eq!(api.get("/v1/online").json()["relay"], "down");
    assert_eq!(node.metric("epush_relay_up"), 0.0);
    let metrics = api.get("/metrics");
    for told in [node.log(), metrics.text().to_owned(), api.get("/v1/nodes").text().to_owned()] {
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn a_node_that_must_have_redis_is_not_ready_without_it() {
    let config = "[cluster]\nredis = \"redis://127.0.0.1:1\"\nready_without_redis = ";
    let node = Node::setup(&format!("{config}false\n")).start();
    let reply = node.get("/readyz");
    assert_eq!((reply.status, reply.text().trim()), (503, "redis"));
    assert_eq!(node.get("/healthz").status, 200);
    node.rewrite(&format!("{config}true\n"));
    node.signal(Signal::HUP);
    until("the new configuration", || node.get("/readyz").status == 200);
}

#[test]
fn a_redis_that_cannot_be_used_is_bad_usage() {
    for redis in ["http://epush:hunter2@127.0.0.1:1", "redis://epush:hunter2@127.0.0.1:none", "hunter2"] {
        let ended = Node::setup("").args(&["--redis", redis]).run();
        assert_eq!(ended.code, Some(2), "{redis}: {}", ended.stderr);
        assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
    }
    let certificate = "[cluster]\nredis = \"rediss://127.0.0.1:1\"\nca_file = \"/no/such/file.pem\"\n";
    let ended = Node::setup(certificate).run();
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("/no/such/file.pem"), "{}", ended.stderr);
}

#[test]
fn flags_win_over_the_environment_which_wins_over_the_file() {
    let config = "[server]\nnode = \"of-the-file\"\n";
    assert_eq!(Node::with(config).name, "of-the-file");
    let with_env = || Node::setup(config).env("EPUSH_SERVER_NODE", "of-the-environment");
    assert_eq!(with_env().start().name, "of-the-environment");
    assert_eq!(with_env().args(&["--node", "of-the-flag"]).start().name, "of-the-flag");
    assert_eq!(with_env().args(&["--set", "server.node=of-set"]).start().name, "of-set");
}

#[test]
fn the_path_of_the_native_protocol_is_configurable() {
    let node = Node::with("[server]\npath = \"/live\"\n");
    assert_eq!(node.client("/live/7").welcome["user"], "7");
    assert_eq!(Client::refused(&node.url("/msg")), 404);
}

#[test]
fn check_prints_the_effective_config_or_says_where_it_is_wrong() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("a.toml");
    let name = file.to_str().expect("UTF-8");

    std::fs::write(&file, "[limits]\nconnections = 77\n").expect("writable");
    let good = run_epush(&["check", name], "");
    assert_eq!(good.code, Some(0), "{}", good.stderr);
    let printed: toml::Table = good.stdout.parse().unwrap_or_else(|why| panic!("{why} in {}", good.stdout));
    assert_eq!(printed["limits"]["connections"].as_integer(), Some(77));
    assert_eq!(printed["limits"]["message_bytes_max"].as_integer(), Some(1_048_576), "defaults are printed too");

    for (text, place) in [
        ("[limits]\nconnections = -1\n", ":2: limits.connections: "),
        ("\n[limits]\nno_such_key = 1\n", ":3: limits.no_such_key: "),
        ("[server]\nlisten = \"nowhere\"\n", ":2: server.listen: "),
        ("[channels]\n\nsubscribe = \"everybody\"\n", ":3: channels.subscribe: "),
    ] {
        std::fs::write(&file, text).expect("writable");
        let bad = run_epush(&["check", name], "");
        assert_eq!(bad.code, Some(2), "{text} gave {}", bad.stderr);
        assert!(bad.stderr.contains(&format!("{name}{place}")), "{text} gave {}", bad.stderr);
    }
}

#[test]
fn the_configs_that_ship_are_valid() {
    for name in ["config/epush.toml", "config/production.toml"] {
        let file = repository_file(name);
        let ended = run_epush(&["check", file.to_str().expect("UTF-8")], "");
        assert_eq!(ended.code, Some(0), "{name}: {}", ended.stderr);
    }
}

#[test]
fn a_warning_says_when_the_descriptors_do_not_suffice() {
    let node = Node::setup("[limits]\nconnections = 100000\n").descriptors(256).start();
    node.expect_log("limits.connections");
    let quiet = Node::setup("[limits]\nconnections = 10\n").descriptors(512).start();
    quiet.get("/healthz");
    assert!(!quiet.log().contains("limits.connections"), "{}", quiet.log());
}

#[test]
fn the_descriptor_limit_is_raised_to_the_hard_limit() {
    let node = Node::setup("").soft_descriptors(128).start();
    let hard = getrlimit(Resource::Nofile).maximum.expect("this machine has a limit");
    assert_eq!(node.metric("process_max_fds"), hard as f64);
}

#[test]
fn logs_are_json_lines_where_that_is_configured() {
    let node = Node::setup("[log]\nformat = \"json\"\nlevel = \"info\"\n").start();
    node.get("/healthz");
    node.signal(rustix::process::Signal::HUP);
    node.expect_log("{");
    for line in node.log().lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|why| panic!("{why} in {line}"));
    }
    assert_eq!(node.get("/v1/online").json()["cluster"]["nodes"], json!(1));
}

#[test]
fn every_log_line_names_the_node() {
    for (format, named) in [("text", "epush{node=n1}"), ("json", "\"node\":\"n1\"")] {
        let config = format!("[log]\nformat = \"{format}\"\nlevel = \"debug\"\n");
        let mut node = Node::setup(&config).args(&["--node", "n1"]).descriptors(256).start();
        node.user("42").close();
        node.signal(rustix::process::Signal::HUP);
        node.expect_log("configuration read again");
        node.signal(rustix::process::Signal::TERM);
        assert_eq!(node.ended().code(), Some(0));
        node.expect_log("stopped");
        let log = node.log();
        for line in log.lines() {
            assert!(line.contains(named), "{line}");
        }
        let closed = log.lines().find(|line| line.contains("session closed")).expect("a session");
        assert!(["42", "session", "reason", "client_closed"].iter().all(|word| closed.contains(word)), "{closed}");
    }
}
