//! The control API, call by call, with its errors.

use crate::support::{Node, json, until};

#[test]
fn a_push_says_its_id_where_it_went_and_how_many_it_reached() {
    let node = Node::setup("").args(&["--node", "n1"]).start();
    let mut client = node.user("42");
    let reply = node.push(&json!({"to": {"users": ["42"]}, "data": {"a": 1}}));
    assert_eq!((&reply["node"], &reply["local"]), (&json!("n1"), &json!(1)), "{reply}");
    assert!(reply["relayed"].is_boolean(), "{reply}");
    let id = reply["id"].as_str().filter(|id| !id.is_empty()).expect("an id");
    assert_eq!(client.expect_message(json!({"a": 1}))["id"], id);
}

#[test]
fn several_channels_in_one_push_are_one_message_each() {
    let node = Node::plain();
    let mut client = node.anyone();
    client.subscribe("a");
    client.subscribe("b");
    assert_eq!(node.push(&json!({"to": {"channels": ["a", "b", "c"]}, "data": 1}))["local"], 2);
    let mut channels =
        [client.expect_message(1), client.expect_message(1)].map(|message| message["channel"].to_string());
    channels.sort();
    assert_eq!(channels, ["\"a\"", "\"b\""]);
}

#[test]
fn an_idempotency_key_publishes_once_and_its_repeat_says_so() {
    let node = Node::plain();
    let mut client = node.anyone();
    let body = json!({"to": {"all": true}, "id": "k-1", "data": 1});
    let first = node.push(&body);
    let again = node.push(&body);
    assert_eq!((&again["id"], &again["local"]), (&json!("k-1"), &first["local"]), "{again}");
    assert_eq!((&first["duplicate"], &again["duplicate"]), (&json!(null), &json!(true)), "{again}");
    node.push(&json!({"to": {"all": true}, "id": "k-2", "data": 2}));
    client.expect_message(1);
    client.expect_message(2);
}

#[test]
fn bad_pushes_are_400_and_change_nothing() {
    let node = Node::plain();
    let mut client = node.anyone();
    let mut api = node.api();
    for body in [
        "",
        "{",
        "[]",
        "7",
        "{}",
        r#"{"data":1}"#,
        r#"{"to":{"all":true}}"#,
        r#"{"to":{},"data":1}"#,
        r#"{"to":{"all":false},"data":1}"#,
        r#"{"to":{"all":true,"users":["7"]},"data":1}"#,
        r#"{"to":{"users":[]},"data":1}"#,
        r#"{"to":{"users":["a\nb"]},"data":1}"#,
        r#"{"to":{"channels":["a b"]},"data":1}"#,
        r#"{"to":{"channels":"a"},"data":1}"#,
        r#"{"to":{"all":true},"data":1,"type":7}"#,
        r#"{"to":{"all":true},"data":1,"id":""}"#,
        r#"{"to":{"all":true},"data":1}x"#,
        "{\"to\":{\"all\":true},\"data\":\"\u{0}\"}",
    ] {
        let reply = api.request("POST", "/v1/push", Some(body.as_bytes()));
        assert_eq!(reply.refusal(), (400, "bad_request".into()), "{body:?}");
    }
    let bad_utf8 = api.request("POST", "/v1/push", Some(b"{\"to\":{\"all\":true},\"data\":\"\xff\"}"));
    assert_eq!(bad_utf8.status, 400);
    node.push(&json!({"to": {"all": true}, "data": "the only one", "unknown": "ignored"}));
    client.expect_message("the only one");
}

#[test]
fn a_push_of_up_to_1_mib_is_taken_and_more_is_413() {
    let node = Node::plain();
    let mut client = node.anyone();
    let body = |bytes: usize| {
        let empty = json!({"to": {"all": true}, "data": ""}).to_string();
        json!({"to": {"all": true}, "data": "x".repeat(bytes - empty.len())}).to_string()
    };
    let most = body(1024 * 1024);
    assert_eq!(most.len(), 1024 * 1024);
    // Its outbox takes 256 KiB by default, and a single larger message when nothing else waits.
    assert_eq!(node.api().request("POST", "/v1/push", Some(most.as_bytes())).status, 202);
    assert_eq!(client.expect_op("message")["data"].as_str().map(str::len), Some(data_bytes(&most)));
    let over = node.api().request("POST", "/v1/push", Some(body(1024 * 1024 + 1).as_bytes()));
    assert_eq!(over.refusal(), (413, "too_large".into()));
}

fn data_bytes(body: &str) -> usize {
    let value: serde_json::Value = serde_json::from_str(body).expect("JSON");
    value["data"].as_str().expect("text").len()
}

#[test]
fn a_batch_answers_line_by_line_in_order() {
    let node = Node::plain();
    let mut client = node.anyone();
    let lines = [
        json!({"to": {"all": true}, "data": 0}).to_string(),
        "{".into(),
        String::new(),
        json!({"to": {"users": ["nobody"]}, "data": 1}).to_string(),
        json!({"to": {"all": true}, "data": 2}).to_string(),
    ];
    let reply = node.api().request("POST", "/v1/push/batch", Some(lines.join("\n").as_bytes()));
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/x-ndjson")));
    let results = reply.lines();
    let summary: Vec<_> = results.iter().map(|line| (line["local"].as_u64(), line["error"]["code"].as_str())).collect();
    assert_eq!(summary, [(Some(1), None), (None, Some("bad_request")), (Some(0), None), (Some(1), None)]);
    client.expect_message(0);
    client.expect_message(2);
}

#[test]
fn a_batch_streams_results_come_while_lines_still_go() {
    let node = Node::plain();
    let mut client = node.anyone();
    let mut api = node.api();
    api.write(b"POST /v1/push/batch HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    let line = |n: u64| format!("{}\n", json!({"to": {"all": true}, "data": n}));
    let mut answered = String::new();
    for n in 0..3 {
        let line = line(n);
        api.write(format!("{:x}\r\n{line}\r\n", line.len()).as_bytes());
        client.expect_message(n);
        if n == 0 {
            assert_eq!(api.head().expect("the head comes with the first result").0, 200);
        }
        answered.push_str(&String::from_utf8_lossy(&api.chunk().expect("a result")));
        assert_eq!(answered.lines().count() as u64, n + 1, "{answered}");
    }
    // A last line without its end, then the end.
    let last = line(3);
    let last = last.trim_end();
    api.write(format!("{:x}\r\n{last}\r\n0\r\n\r\n", last.len()).as_bytes());
    client.expect_message(3);
    while let Some(chunk) = api.chunk() {
        answered.push_str(&String::from_utf8_lossy(&chunk));
    }
    assert_eq!(answered.lines().count(), 4, "{answered}");
    assert_eq!(api.get("/healthz").status, 200, "and the connection lives on");
}

#[test]
fn a_batch_may_be_larger_than_a_body_but_no_line_may() {
    let node = Node::with("[api]\nbody_bytes_max = 4096\n");
    let line = json!({"to": {"users": ["nobody"]}, "data": "x".repeat(1000)}).to_string();
    let batch = vec![line; 20].join("\n");
    let reply = node.api().request("POST", "/v1/push/batch", Some(batch.as_bytes()));
    assert_eq!(reply.lines().len(), 20);

    let long = json!({"to": {"users": ["nobody"]}, "data": "x".repeat(5000)}).to_string();
    let reply = node.api().request("POST", "/v1/push/batch", Some(long.as_bytes()));
    if reply.status == 200 {
        assert_eq!(reply.lines()[0]["error"]["code"], "too_large");
    } else {
        assert_eq!(reply.refusal(), (413, "too_large".into()));
    }
}

#[test]
fn users_are_shown_with_their_sessions() {
    let node = Node::setup("").args(&["--node", "n1"]).start();
    let client = node.user("a@b/c");
    let reply = node.get("/v1/users/a%40b%2Fc").json();
    let sessions = reply["sessions"].as_array().expect("sessions");
    assert_eq!((sessions.len(), &reply["user"]), (1, &json!("a@b/c")), "{reply}");
    let session = &sessions[0];
    assert_eq!(session["session"], client.welcome["session"], "{reply}");
    assert_eq!((&session["node"], &session["remote"]), (&json!("n1"), &json!("127.0.0.1")), "{reply}");
    assert!(session["since"].as_u64().is_some_and(|ms| ms > 1_700_000_000_000), "{reply}");
    let nobody = node.get("/v1/users/nobody");
    assert_eq!((nobody.status, &nobody.json()["sessions"]), (200, &json!([])));
}

#[test]
fn channels_are_shown_with_their_subscribers() {
    let node = Node::plain();
    let (mut seven, mut guest) = (node.user("7"), node.anyone());
    seven.subscribe("room.7");
    guest.subscribe("room.7");
    guest.subscribe("news");
    let all = node.get("/v1/channels").json();
    let list = all["channels"].as_array().expect("channels");
    assert_eq!(list.iter().map(|channel| &channel["channel"]).collect::<Vec<_>>(), ["news", "room.7"], "{all}");

    let one = node.get("/v1/channels/room.7").json();
    assert_eq!(one["channel"], "room.7", "{one}");
    assert_eq!((&one["node"]["subscribers"], &one["cluster"]["subscribers"]), (&json!(2), &json!(2)), "{one}");
    assert!(one["users"].is_null(), "only when asked for: {one}");
    assert_eq!(node.get("/v1/channels/room.7?members=true").json()["users"], json!(["7"]));
    assert_eq!(node.get("/v1/channels/empty").json()["node"]["subscribers"], 0);
    assert_eq!(node.get("/v1/channels/a%20b").refusal(), (400, "bad_request".into()));
}

#[test]
fn a_users_muted_types_are_read_and_set() {
    let node = Node::plain();
    let mut client = node.user("42");
    let mut api = node.api();
    assert_eq!(api.get("/v1/users/42/mutes").json()["types"], json!([]));
    assert_eq!(
        api.put("/v1/users/42/mutes", &json!({"types": ["promo", "news"]})).json()["types"],
        json!(["news", "promo"])
    );
    assert_eq!(client.ok(json!({"op": "muted"}))["types"], json!(["news", "promo"]));
    until("the session knows", || {
        node.push(&json!({"to": {"users": ["42"]}, "type": "promo", "data": 1}))["local"] == 0
    });
    assert_eq!(api.put("/v1/users/42/mutes", &json!({"types": []})).json()["types"], json!([]));
    assert_eq!(api.put("/v1/users/42/mutes", &json!({"types": "promo"})).refusal(), (400, "bad_request".into()));
}

#[test]
fn nodes_lists_this_one() {
    let node = Node::setup("").args(&["--node", "n1"]).start();
    let reply = node.get("/v1/nodes").json();
    let nodes = reply["nodes"].as_array().expect("nodes");
    assert_eq!((nodes.len(), &nodes[0]["name"]), (1, &json!("n1")), "{reply}");
}

#[test]
fn keys_are_asked_for_where_they_are_configured() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("keys");
    std::fs::write(&file, "# of the shop\nof-the-file\n\n").expect("writable");
    let node = Node::with(&format!("[api]\nkeys = [\"of-the-config\"]\nkeys_file = \"{}\"\n", file.display()));
    let push = json!({"to": {"all": true}, "data": 1});

    let reply = node.api().post("/v1/push", &push);
    assert_eq!(reply.refusal(), (401, "unauthorized".into()));
    assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
    for wrong in ["x", "of-the-confi", "of-the-config2", "# of the shop"] {
        assert_eq!(node.api().key(wrong).post("/v1/push", &push).status, 401, "{wrong}");
    }
    for key in ["of-the-config", "of-the-file"] {
        assert_eq!(node.api().key(key).post("/v1/push", &push).status, 202, "{key}");
    }
    for open in ["/healthz", "/readyz"] {
        assert_eq!(node.get(open).status, 200, "{open}");
    }
    for path in ["/v1/online", "/v1/users/7", "/v1/channels", "/v1/nodes", "/metrics"] {
        assert_eq!(node.get(path).status, 401, "{path}");
    }
}

#[test]
fn what_is_not_there_is_404_and_a_wrong_method_405() {
    let node = Node::plain();
    let mut api = node.api();
    for path in ["/v1", "/v1/nothing", "/v2/push", "/v1/users/"] {
        assert_eq!(api.get(path).refusal(), (404, "not_found".into()), "{path}");
    }
    let reply = api.get("/v1/push");
    assert_eq!((reply.status, reply.header("allow")), (405, Some("POST")));
    assert_eq!(api.delete("/v1/online").status, 405);
}

#[test]
fn one_connection_serves_many_requests_pipelined_too() {
    let node = Node::plain();
    let mut api = node.api();
    for _ in 0..10 {
        assert_eq!(api.get("/v1/online").status, 200);
    }
    let mut bytes = Vec::new();
    for path in ["/healthz", "/v1/nodes", "/v1/nothing", "/readyz"] {
        bytes.extend_from_slice(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
    }
    api.write(&bytes);
    assert_eq!([(); 4].map(|()| api.reply().status), [200, 200, 404, 200]);
}

#[test]
fn connection_close_and_http_1_0_end_the_connection() {
    let node = Node::plain();
    let mut api = node.api();
    api.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_eq!(api.reply().status, 200);
    assert!(api.is_closed());
    let mut old = node.api();
    old.write(b"GET /healthz HTTP/1.0\r\n\r\n");
    assert_eq!(old.reply().status, 200);
    assert!(old.is_closed());
}

#[test]
fn head_has_the_headers_and_no_body() {
    let node = Node::plain();
    let mut api = node.api();
    api.write(b"HEAD /v1/nodes HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(api.head().expect("a head").0, 200);
    assert_eq!(api.get("/healthz").status, 200, "the next response follows at once");
}

#[test]
fn expect_100_continue_is_answered_before_the_body() {
    let node = Node::plain();
    let mut api = node.api();
    let body = json!({"to": {"all": true}, "data": 1}).to_string();
    let head =
        format!("POST /v1/push HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n", body.len());
    api.write(head.as_bytes());
    assert_eq!(api.head().expect("a head").0, 100);
    api.write(body.as_bytes());
    assert_eq!(api.reply().status, 202);
}

#[test]
fn many_publishers_at_once_lose_nothing_and_keep_their_order() {
    let node = Node::plain();
    let mut client = node.anyone();
    client.subscribe("news");
    const PUBLISHERS: usize = 8;
    const EACH: u64 = 100;
    std::thread::scope(|scope| {
        for publisher in 0..PUBLISHERS {
            let node = &node;
            scope.spawn(move || {
                let mut api = node.api();
                for n in 0..EACH {
                    let body = json!({"to": {"channels": ["news"]}, "data": {"publisher": publisher, "n": n}});
                    assert_eq!(api.post("/v1/push", &body).status, 202);
                }
            });
        }
        let mut next = [0; PUBLISHERS];
        for _ in 0..PUBLISHERS as u64 * EACH {
            let message = client.expect_op("message");
            let publisher =
                message["data"]["publisher"].as_u64().and_then(|n| usize::try_from(n).ok()).expect("a number");
            assert_eq!(message["data"]["n"], next[publisher], "{message}");
            next[publisher] += 1;
        }
    });
}
