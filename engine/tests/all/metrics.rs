//! Every name of the contract is on the page, and the numbers move with what happens.

use std::collections::BTreeSet;

use crate::support::tools::repository_file;
use crate::support::{Node, Value, json, until};

#[test]
fn every_metric_of_the_contract_is_there() {
    let node = Node::plain();
    let reply = node.get("/metrics");
    assert_eq!(reply.status, 200);
    let kind = reply.header("content-type").expect("a content type");
    assert!(kind.starts_with("text/plain") || kind.starts_with("application/openmetrics-text"), "{kind}");
    let page = reply.text();
    for name in [
        "epush_connections ",
        "epush_accepted_total ",
        "epush_closed_total{reason=\"",
        "epush_messages_in_total ",
        "epush_pushes_total{target=\"",
        "epush_deliveries_total ",
        "epush_delivery_bytes_total ",
        "epush_dropped_total{reason=\"",
        "epush_gaps_total ",
        "epush_push_seconds_bucket{le=\"",
        "epush_push_seconds_sum ",
        "epush_push_seconds_count ",
        "epush_outbox_bytes ",
        "epush_timers ",
        "epush_reactor_busy_ratio{reactor=\"0\"} ",
        "epush_reactor_busy_ratio{reactor=\"1\"} ",
        "epush_relay_up ",
        "epush_relay_in_total ",
        "epush_relay_out_total ",
        "epush_relay_lost_total ",
        "epush_relay_dropped_total ",
        "epush_relay_duplicates_total ",
        "epush_relay_skipped_total{reason=\"version\"} ",
        "epush_relay_queue_bytes ",
        "epush_relay_queue_messages ",
        "epush_relay_channels ",
        "epush_relay_connects_total ",
        "epush_relay_round_trip_seconds_count ",
        "epush_relay_lag_seconds_count ",
        "epush_cluster_nodes ",
        "epush_cluster_connections ",
        "epush_cluster_users ",
        "process_resident_memory_bytes ",
        "process_open_fds ",
        "process_max_fds ",
    ] {
        assert!(page.lines().any(|line| line.starts_with(name)), "no {name} in\n{page}");
    }
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let value = line.rsplit_once(' ').and_then(|(_, value)| value.parse::<f64>().ok());
        assert!(value.is_some_and(|value| value >= 0.0), "{line}");
    }
}

#[test]
fn the_dashboard_asks_for_metrics_that_there_are() {
    let dashboard = std::fs::read_to_string(repository_file("config/grafana-relay.json")).expect("readable");
    serde_json::from_str::<Value>(&dashboard).expect("JSON");
    let page = Node::plain().get("/metrics").text();
    let is_name = |letter: char| letter.is_ascii_lowercase() || letter == '_';
    let asked: BTreeSet<&str> =
        dashboard.split(|letter| !is_name(letter)).filter(|word| word.starts_with("epush_")).collect();
    assert!(asked.len() > 15, "only {asked:?}");
    for name in asked {
        assert!(page.lines().any(|line| line.starts_with(name)), "no {name} in\n{page}");
    }
}

#[test]
fn the_numbers_follow_what_happens() {
    let node = Node::plain();
    let mut clients = [node.user("7"), node.user("9"), node.anyone()];
    for client in &mut clients {
        client.subscribe("news");
    }
    node.push(&json!({"to": {"channels": ["news"]}, "data": 1}));
    node.push(&json!({"to": {"users": ["7"]}, "data": 2}));
    node.push(&json!({"to": {"all": true}, "data": 3}));
    assert_eq!(clients[0].expect_message(1)["channel"], "news");
    assert_eq!(node.metric("epush_connections"), 3.0);
    assert!(node.metric("epush_accepted_total") >= 3.0);
    assert_eq!(node.metric("epush_messages_in_total"), 3.0);
    for target in ["channel", "user", "all"] {
        assert_eq!(node.metric(&format!("epush_pushes_total{{target=\"{target}\"}}")), 1.0, "{target}");
    }
    until("all seven are written", || node.metric("epush_deliveries_total") == 7.0);
    until("and timed", || node.metric("epush_push_seconds_count") == 3.0);
    assert!(node.metric("epush_delivery_bytes_total") > 7.0 * 20.0);
    assert!(node.metric("process_resident_memory_bytes") > 100_000.0);
    assert!(node.metric("process_open_fds") > 5.0);
    assert!(node.metric("process_max_fds") > 63.0);

    let [seven, nine, _guest] = clients;
    seven.close();
    nine.reset();
    until("one is left", || node.metric("epush_connections") == 1.0);
    assert_eq!(node.metric("epush_closed_total{reason=\"client_closed\"}"), 1.0);
    assert_eq!(node.metric("epush_closed_total{reason=\"reset\"}"), 1.0);
}
