//! Slow consumers: four policies, and what was received and what was announced is always what was sent.

use crate::support::client::Dial;
use crate::support::{Client, Node, Value, json, within};

/// Small buffers everywhere, so that a few hundred messages are too many for a client that does not read.
const NARROW: &str = "[server]\nsend_buffer_bytes = 65536\n[limits]\noutbox_bytes_max = 65536\n";

/// Messages pushed while the client does not read; each of [`MESSAGE_BYTES`].
const FLOOD: u64 = 400;
const MESSAGE_BYTES: usize = 8 * 1024;

/// What a client saw of a numbered stream.
#[derive(Default)]
struct Tally {
    received: Vec<u64>,
    announced: u64,
    /// Announced since the last message received.
    hole: u64,
}

impl Tally {
    /// Takes one frame, and checks that numbers go up by one, but for what a gap announced right before.
    fn take(&mut self, frame: &Value, stream: (&str, &Value)) {
        assert_eq!(&frame[stream.0], stream.1, "{}", frame["op"]);
        if frame["op"] == "gap" {
            assert_eq!(frame["reason"], "slow_consumer", "{frame}");
            let count = frame["count"].as_u64().filter(|count| *count > 0).expect("a gap counts");
            self.announced += count;
            self.hole += count;
            return;
        }
        assert_eq!(frame["op"], "message", "{frame}");
        let n = frame["data"]["n"].as_u64().expect("a number");
        let expected = self.received.last().map_or(0, |last| last + 1) + self.hole;
        assert_eq!(n, expected, "after {:?} and a gap of {}", self.received.last(), self.hole);
        self.received.push(n);
        self.hole = 0;
    }
}

impl Tally {
    /// Messages received of the second half of the flood. Where the newest are dropped these are few and not none: now
    /// and then TCP finds a little more room in the client's buffer.
    fn late(&self) -> usize {
        self.received.iter().filter(|n| (FLOOD / 2..FLOOD).contains(n)).count()
    }
}

/// Pushes numbered messages to `to`, none of them read meanwhile; then reads until the last one pushed has arrived.
fn flood(node: &Node, client: &mut Client, to: &Value, stream: (&str, &Value)) -> Tally {
    let mut api = node.api();
    let mut sent = 0;
    let mut push = |bytes: usize| {
        let body = json!({"to": to, "data": {"n": sent, "fill": "x".repeat(bytes)}});
        let reply = api.post("/v1/push", &body);
        assert_eq!(reply.status, 202, "{reply:?}");
        sent += 1;
        sent - 1
    };
    for _ in 0..FLOOD {
        push(MESSAGE_BYTES);
    }
    let mut tally = Tally::default();
    within("the newest message arrived", || {
        let newest = push(0);
        let pong = client.call(json!({"op": "ping"}));
        assert_eq!(pong["op"], "pong");
        while let Some(frame) = client.take_early() {
            tally.take(&frame, stream);
        }
        (tally.received.last() == Some(&newest)).then_some(())
    });
    assert_eq!(tally.received.len() as u64 + tally.announced, sent, "received + announced = sent");
    assert!(tally.announced > 0, "the client was slow");
    tally
}

fn subscriber(node: &Node, on_slow: Option<&str>) -> Client {
    let mut client = Dial::default().narrow().open(&node.url("/msg"));
    let mut subscribe = json!({"op": "subscribe", "channel": "news"});
    if let Some(policy) = on_slow {
        subscribe["on_slow"] = json!(policy);
    }
    client.ok(subscribe);
    client
}

fn flood_channel(node: &Node, client: &mut Client) -> Tally {
    flood(node, client, &json!({"channels": ["news"]}), ("channel", &json!("news")))
}

#[test]
fn drop_oldest_keeps_the_newest_messages() {
    let node = Node::with(NARROW);
    let tally = flood_channel(&node, &mut subscriber(&node, Some("drop_oldest")));
    assert!(tally.received.contains(&(FLOOD - 1)));
    assert!(tally.received.contains(&(FLOOD - 2)), "as many of the newest as fit");
}

#[test]
fn drop_newest_keeps_the_messages_that_waited_first() {
    let node = Node::with(NARROW);
    let tally = flood_channel(&node, &mut subscriber(&node, Some("drop_newest")));
    assert_eq!(tally.received[..4], [0, 1, 2, 3]);
    assert!(tally.late() < 50, "{} late messages", tally.late());
}

#[test]
fn latest_keeps_only_the_newest_message() {
    // All of the flood would fit: what is dropped is dropped because only the newest is wanted.
    let node = Node::with(&NARROW.replace("outbox_bytes_max = 65536", "outbox_bytes_max = 16777216"));
    let tally = flood_channel(&node, &mut subscriber(&node, Some("latest")));
    // The newest arrived, or `flood` would not have ended. Of the others, those the kernel took while nobody read.
    assert!(tally.received.len() < 100, "{} messages received", tally.received.len());
}

#[test]
fn close_ends_the_session_with_4501_and_asks_it_to_come_back() {
    let node = Node::with(NARROW);
    let mut client = subscriber(&node, Some("close"));
    let mut api = node.api();
    for n in 0..FLOOD {
        api.post(
            "/v1/push",
            &json!({"to": {"channels": ["news"]}, "data": {"n": n, "fill": "x".repeat(MESSAGE_BYTES)}}),
        );
    }
    let goodbye = client.expect_goodbye(4501, "slow_consumer");
    assert_eq!(goodbye["reconnect"], true, "{goodbye}");
}

#[test]
fn without_a_choice_the_namespaces_policy_holds() {
    let node = Node::with(&format!("{NARROW}[namespaces.news]\non_slow = \"drop_newest\"\n"));
    let tally = flood_channel(&node, &mut subscriber(&node, None));
    assert!(tally.late() < 50, "{} late messages", tally.late());
}

#[test]
fn pushes_to_a_slow_user_are_announced_with_the_user() {
    let node = Node::with(NARROW);
    let mut client = Dial::default().narrow().open(&node.url("/msg/42"));
    let tally = flood(&node, &mut client, &json!({"users": ["42"]}), ("user", &json!("42")));
    assert!(tally.received.contains(&(FLOOD - 1)), "drop_oldest is the default");
}

#[test]
fn pushes_to_all_are_announced_with_all() {
    let node = Node::with(NARROW);
    let mut client = Dial::default().narrow().open(&node.url("/msg"));
    let mut api = node.api();
    for n in 0..FLOOD {
        api.post("/v1/push", &json!({"to": {"all": true}, "data": {"n": n, "fill": "x".repeat(MESSAGE_BYTES)}}));
    }
    let (mut received, mut announced) = (0, 0);
    while received + announced < FLOOD {
        let frame = client.next();
        if frame["op"] == "gap" {
            assert_eq!(frame["all"], true, "{frame}");
            announced += frame["count"].as_u64().expect("a count");
        } else {
            received += 1;
        }
    }
    assert_eq!(received + announced, FLOOD);
    assert!(announced > 0, "the client was slow");
}

#[test]
fn the_answers_a_slow_client_waits_for_are_never_dropped() {
    let node = Node::with(NARROW);
    let mut client = subscriber(&node, Some("drop_oldest"));
    for id in 1..=20 {
        client.send(&json!({"op": "ping", "id": -id}));
    }
    flood_without_reading(&node);
    for id in 1..=20 {
        assert_eq!(client.answer(-id)["op"], "pong");
    }
}

#[test]
fn a_slow_client_slows_nobody_else() {
    let node = Node::with(NARROW);
    let _slow = subscriber(&node, Some("drop_oldest"));
    let mut fast = subscriber(&node, Some("close"));
    let mut api = node.api();
    for n in 0..FLOOD {
        api.post(
            "/v1/push",
            &json!({"to": {"channels": ["news"]}, "data": {"n": n, "fill": "x".repeat(MESSAGE_BYTES)}}),
        );
        let message = fast.expect_op("message");
        assert_eq!(message["data"]["n"], n);
    }
}

#[test]
fn memory_does_not_grow_with_what_a_slow_client_misses() {
    let node = Node::with(NARROW);
    let _client = subscriber(&node, Some("drop_oldest"));
    flood_without_reading(&node);
    let before = node.resident_bytes();
    for _ in 0..5 {
        flood_without_reading(&node);
    }
    let grown = node.resident_bytes().saturating_sub(before);
    // Five floods are 16 MiB; a quarter of that leaves room for an allocator's habits.
    assert!(grown < 4 * 1024 * 1024, "grew by {grown} bytes");
}

fn flood_without_reading(node: &Node) {
    let mut api = node.api();
    for n in 0..FLOOD {
        let body = json!({"to": {"channels": ["news"]}, "data": {"n": n, "fill": "x".repeat(MESSAGE_BYTES)}});
        assert_eq!(api.post("/v1/push", &body).status, 202);
    }
}
