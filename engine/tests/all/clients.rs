//! Clients that others wrote: Python's websockets, Node's ws, a browser, curl; and nginx in front.

use std::path::Path;
use std::process::Command;

use crate::support::client::Dial;
use crate::support::http::Api;
use crate::support::nginx::Nginx;
use crate::support::tools::{node_modules, python, succeeds, test_file, tool};
use crate::support::{Client, Node, json};

/// What every client script is run against: an open node that also echoes.
const CONFIG: &str = "[server]\necho = true\n[channels]\npublish = \"anyone\"\n[send]\nallow = \"users\"\n\
                      [limits]\nmessage_bytes_max = 4194304\n";

#[test]
fn python_websockets_talks_to_the_node() {
    let node = Node::with(CONFIG);
    let script = test_file("clients/python_websockets.py");
    succeeds(Command::new(python()).arg(script).arg(node.url("")).arg(format!("http://{}", node.control)));
}

#[test]
fn node_ws_talks_to_the_node() {
    let node = Node::with(CONFIG);
    let script = test_file("clients/node_ws.mjs");
    succeeds(
        Command::new(tool("node"))
            .arg(script)
            .args([node.url(""), format!("http://{}", node.control)])
            .env("EPUSH_NODE_MODULES", node_modules()),
    );
}

#[test]
fn the_browsers_own_websocket_talks_to_the_node() {
    let script = test_file("clients/browser.mjs");
    let page = PageServer::start(&test_file("clients/page.html"));
    // A browser says where its page came from.
    let node = Node::with(&CONFIG.replace("[server]\n", &format!("[server]\norigins = [\"{}\"]\n", page.origin)));
    succeeds(
        Command::new(tool("node"))
            .arg(script)
            .args([page.origin.clone(), node.url(""), format!("http://{}", node.control)])
            .arg(tool("chromium"))
            .env("EPUSH_NODE_MODULES", node_modules()),
    );
}

/// Serves one page on a port of its own.
struct PageServer {
    origin: String,
}

impl PageServer {
    fn start(page: &Path) -> Self {
        use std::io::{BufRead, BufReader, Write};
        let body = std::fs::read(page).expect("the page");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let origin = format!("http://{}", listener.local_addr().expect("bound"));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let mut reader = BufReader::new(stream);
                let mut line = String::new();
                while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                    line.clear();
                }
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                // A browser may hang up on what it does not want.
                let _ = reader.get_mut().write_all(head.as_bytes()).and_then(|()| reader.get_mut().write_all(&body));
            }
        });
        Self { origin }
    }
}

#[test]
fn curl_publishes_and_reads_every_kind_of_answer() {
    let node = Node::with("[api]\nkeys = [\"k\"]\n");
    let mut client = node.anyone();
    let curl = |args: &[&str]| {
        let base = format!("http://{}", node.control);
        let args: Vec<String> = args.iter().map(|arg| arg.replace("API", &base)).collect();
        succeeds(Command::new(tool("curl")).args(["-sS", "--max-time", "20"]).args(&args)).stdout
    };
    let push =
        curl(&["-H", "Authorization: Bearer k", "-d", r#"{"to":{"all":true},"data":"from curl"}"#, "API/v1/push"]);
    let push: serde_json::Value = serde_json::from_str(&push).expect("JSON");
    assert_eq!(push["local"], 1);
    client.expect_message("from curl");

    assert_eq!(curl(&["-o", "/dev/null", "-w", "%{http_code}", "API/v1/online"]), "401");
    let twice = curl(&["-w", "%{num_connects}", "-o", "/dev/null", "API/healthz", "-o", "/dev/null", "API/readyz"]);
    assert_eq!(twice, "10", "the second request needs no new connection");

    let dir = tempfile::tempdir().expect("a temporary directory");
    let batch = dir.path().join("batch");
    let line = r#"{"to":{"all":true},"data":1}"#;
    std::fs::write(&batch, format!("{line}\n{line}\n{line}\n")).expect("writable");
    let file = format!("@{}", batch.display());
    let chunked = ["-H", "Transfer-Encoding: chunked", "-H", "Expect: 100-continue"];
    let lines =
        curl(&[&chunked[..], &["-H", "Authorization: Bearer k", "--data-binary", &file, "API/v1/push/batch"]].concat());
    assert_eq!(lines.lines().count(), 3, "{lines}");

    let head = curl(&["-I", "API/healthz"]);
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let schedule = r#"{"to":{"all":true},"interval_ms":60000,"source":{"template":1}}"#;
    let put = ["-H", "Authorization: Bearer k", "-X", "PUT", "-d", schedule, "-o", "/dev/null", "-w", "%{http_code}"];
    assert!(["200", "201"].contains(&&*curl(&[&put[..], &["API/v1/schedules/s"]].concat())));
}

const BEHIND_NGINX: &str = "[server]\ntrusted_proxies = [\"127.0.0.1\"]\n";

#[test]
fn clients_come_through_nginx_with_their_own_address() {
    let node = Node::with(BEHIND_NGINX);
    let nginx = Nginx::in_front_of(&node);
    let remote = |user: &str| node.get(&format!("/v1/users/{user}")).json()["sessions"][0]["remote"].clone();

    let mut client = Dial::default().local("127.0.0.5").open(&nginx.url("/msg/42"));
    assert_eq!(remote("42"), "127.0.0.5");
    client.subscribe("news");
    node.push(&json!({"to": {"channels": ["news"]}, "data": "x".repeat(100_000)}));
    assert_eq!(client.expect_op("message")["data"].as_str().map(str::len), Some(100_000));
    assert_eq!(client.close(), 1000);

    // What a client says of itself is not believed: nginx appends the address it saw.
    let liar = Dial::default().local("127.0.0.5").header("X-Forwarded-For", "203.0.113.7");
    let _liar = liar.open(&nginx.url("/msg/liar"));
    assert_eq!(remote("liar"), "127.0.0.5");
}

#[test]
fn nginx_passes_closes_and_keeps_its_connections_to_the_node() {
    let node = Node::with(BEHIND_NGINX);
    let nginx = Nginx::in_front_of(&node);
    let mut client = Client::open(&nginx.url("/msg/42"));
    node.api().delete("/v1/users/42");
    client.expect_goodbye(4002, "kicked");
    assert_eq!(Client::refused(&nginx.url("/elsewhere")), 404);

    let mut through = Api::connect(nginx.address);
    let accepted = |node: &Node| node.metric("epush_accepted_total");
    assert_eq!(through.get("/healthz").status, 200);
    let before = accepted(&node);
    for _ in 0..10 {
        assert_eq!(through.get("/healthz").status, 200);
    }
    // Each reading of the metric is a connection of its own to the API.
    assert!(accepted(&node) - before <= 1.0, "nginx opened a connection for each request");
}
