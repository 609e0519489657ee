//! The programs of `engine/examples`, each as its head says to use it.

use crate::support::{Client, Node, json};

#[test]
fn in_the_chat_room_people_talk_and_are_told_who_comes_and_goes() {
    let room = Node::example("chat_room");
    let mut ann = room.user("ann");
    ann.subscribe("room.lobby");
    let mut bob = room.user("bob");
    assert_eq!(ann.expect_message("bob")["type"], "joined");
    bob.subscribe("room.lobby");
    bob.ok(json!({"op": "publish", "channel": "room.lobby", "type": "chat", "data": "hello"}));
    assert_eq!(ann.expect_message("hello")["from"], "bob");
    assert_eq!(ann.call(json!({"op": "ask", "type": "who"}))["data"], json!({"people": ["ann", "bob"]}));
    bob.close();
    assert_eq!(ann.expect_message("bob")["type"], "left");

    let mut again = room.user("ann");
    ann.expect_goodbye(4001, "replaced");
    again.ok(json!({"op": "online"}));
}

#[test]
fn a_chat_room_that_is_drained_ends_well() {
    let mut room = Node::example("chat_room");
    assert_eq!(room.api().post("/v1/drain", &json!({})).status, 202);
    assert_eq!(room.ended().code(), Some(0));
}

#[test]
fn the_price_ticker_pushes_to_each_client_what_it_asked_for_and_to_its_channels() {
    let ticker = Node::example("price_ticker");
    let mut client = ticker.anyone();
    let wanted = json!({"symbols": ["EPU", "SHD", "no such"]});
    client.ok(json!({"op": "every", "job": "prices", "interval_ms": 100, "args": wanted}));
    let tick = client.expect_op("message");
    assert_eq!(tick["job"], "prices");
    let prices = tick["data"]["prices"].as_object().unwrap();
    assert_eq!(prices.keys().collect::<Vec<_>>(), ["EPU", "SHD"]);
    client.ok(json!({"op": "cancel", "job": "prices"}));

    let mut other = ticker.anyone();
    other.subscribe("ticker.HUB");
    let price = other.expect_op("message");
    assert_eq!((&price["type"], &price["channel"]), (&json!("price"), &json!("ticker.HUB")));
    assert!(price["data"].is_u64(), "{price}");
}

#[test]
fn the_notifier_lets_in_whom_it_knows_and_pushes_to_them() {
    let notifier = Node::example("notifier");
    assert_eq!(Client::refused(&notifier.url("/msg")), 401);
    assert_eq!(Client::refused(&notifier.url("/msg/ann?token=guessed")), 401);
    let mut ann = notifier.client("/msg?token=ann-1");
    assert_eq!(ann.welcome["user"], "ann");
    ann.expect_message(json!({"notice": "you are signed in"}));
    let paid = ann.expect_op("message");
    assert_eq!((&paid["type"], &paid["module"]), (&json!("order.paid"), &json!("shop")));
}
