//! Behind a proxy: whose word about the client's address is believed.

use std::net::Ipv4Addr;

use crate::support::client::Dial;
use crate::support::raw::{proxy_v2, upgrade_request};
use crate::support::{Node, Raw};

/// The address the API shows for user 42's only session.
fn remote_of_42(node: &Node) -> String {
    let reply = node.get("/v1/users/42").json();
    assert_eq!(reply["sessions"].as_array().map(Vec::len), Some(1), "{reply}");
    reply["sessions"][0]["remote"].as_str().expect("an address").to_string()
}

fn remote_with(config: &str, forwarded: &[&str]) -> String {
    let node = Node::with(config);
    let dial = forwarded.iter().fold(Dial::default(), |dial, value| dial.header("X-Forwarded-For", value));
    let _client = dial.open(&node.url("/msg/42"));
    remote_of_42(&node)
}

const TRUSTED: &str = "[server]\ntrusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]\n";

#[test]
fn x_forwarded_for_of_a_trusted_proxy_is_the_clients_address() {
    assert_eq!(remote_with(TRUSTED, &["203.0.113.7"]), "203.0.113.7");
    assert_eq!(remote_with(TRUSTED, &["2001:db8::7"]), "2001:db8::7");
}

#[test]
fn of_several_hops_the_last_untrusted_one_is_the_client() {
    assert_eq!(remote_with(TRUSTED, &["198.51.100.1, 203.0.113.7, 10.1.2.3"]), "203.0.113.7");
    assert_eq!(remote_with(TRUSTED, &["198.51.100.1", "203.0.113.7"]), "203.0.113.7", "two lines are one list");
}

#[test]
fn nobody_else_may_say_where_a_client_is() {
    assert_eq!(remote_with("", &["203.0.113.7"]), "127.0.0.1");
    assert_eq!(remote_with("[server]\ntrusted_proxies = [\"10.0.0.0/8\"]\n", &["203.0.113.7"]), "127.0.0.1");
}

#[test]
fn nonsense_from_a_trusted_proxy_names_nobody() {
    assert_eq!(remote_with(TRUSTED, &["unknown"]), "127.0.0.1");
    assert_eq!(remote_with(TRUSTED, &[""]), "127.0.0.1");
}

const PROXY: &str = "[server]\ntrusted_proxies = [\"127.0.0.1\"]\nproxy_protocol = true\n";

fn upgraded_after(node: &Node, prefix: &[u8]) -> Raw {
    let mut raw = node.raw();
    raw.send(prefix);
    raw.send(upgrade_request("/msg/42", "").as_bytes());
    assert!(raw.read_head().starts_with("HTTP/1.1 101 "));
    raw.read_frame();
    raw
}

#[test]
fn a_proxy_header_of_a_trusted_proxy_is_the_clients_address() {
    let node = Node::with(PROXY);
    let _raw = upgraded_after(&node, &proxy_v2(Ipv4Addr::new(203, 0, 113, 7)));
    assert_eq!(remote_of_42(&node), "203.0.113.7");
}

#[test]
fn a_proxy_header_for_ipv6_is_read_and_further_fields_are_skipped() {
    let node = Node::with(PROXY);
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x21\x00\x2b".to_vec();
    header.extend("2001:db8::7".parse::<std::net::Ipv6Addr>().expect("an address").octets());
    header.extend(std::net::Ipv6Addr::LOCALHOST.octets());
    header.extend([0xc0, 0x00, 0x1b, 0x58]);
    // A type-length-value of the proxy's own.
    header.extend([0xe0, 0, 4, 1, 2, 3, 4]);
    let _raw = upgraded_after(&node, &header);
    assert_eq!(remote_of_42(&node), "2001:db8::7");
}

#[test]
fn the_proxys_own_health_check_keeps_its_address() {
    let node = Node::with(PROXY);
    let _raw = upgraded_after(&node, b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00");
    assert_eq!(remote_of_42(&node), "127.0.0.1");
}

#[test]
fn a_trusted_proxy_without_its_header_is_refused() {
    let node = Node::with(PROXY);
    let mut raw = node.raw();
    raw.send(upgrade_request("/msg/42", "").as_bytes());
    assert!(!raw.first_bytes().starts_with(b"HTTP/1.1 101"));
}

#[test]
fn a_proxy_header_from_anybody_else_is_garbage() {
    let node = Node::with("[server]\nproxy_protocol = true\ntrusted_proxies = [\"10.0.0.0/8\"]\n");
    let mut raw = node.raw();
    raw.send(&proxy_v2(Ipv4Addr::new(203, 0, 113, 7)));
    raw.send(upgrade_request("/msg/42", "").as_bytes());
    assert!(!raw.first_bytes().starts_with(b"HTTP/1.1 101"));
    // And needs none.
    node.user("42");
}

#[test]
fn connections_are_counted_for_the_client_and_not_for_the_proxy() {
    let node = Node::with(&format!("{TRUSTED}[limits]\nconnections_per_ip = 1\n"));
    let from = |address: &str| Dial::default().header("X-Forwarded-For", address).open(&node.url("/msg"));
    let _held: Vec<_> = (1..=5).map(|n| from(&format!("203.0.113.{n}"))).collect();
}
