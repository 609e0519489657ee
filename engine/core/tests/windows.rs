//! Windows: `batch_ms` holds the messages of a channel together for one write, and loses, reorders and outlives nothing.

#[path = "shard/node.rs"]
mod node;

use std::sync::Arc;

use epush_core::batch::Stream;
use epush_core::limits::{BATCH_BYTES_MAX, BATCH_MESSAGES_MAX};
use epush_core::mail::{Mail, Relayed};
use epush_core::message::{ChannelName, Draft, Publication, Target};
use epush_core::settings::{ChannelRule, Settings};
use node::{Node, news, text};
use serde_json::value::RawValue;

const BATCH_MS: u64 = 20;

fn windowed(settings: &mut Settings) {
    settings.channels.default.batch_ms = BATCH_MS;
}

fn channel(name: &str) -> ChannelName {
    ChannelName::parse(name).expect("valid")
}

/// What each write of this turn held, one string a write.
fn turn(node: &mut Node) -> Vec<String> {
    node.shard.flush(node.now);
    let writes = std::iter::from_fn(|| node.write(usize::MAX)).map(|(_, text)| text).collect();
    node.shard.end_turn();
    writes
}

fn publish_bytes(node: &mut Node, bytes: usize) {
    let data = RawValue::from_string(format!("\"{}\"", "x".repeat(bytes))).expect("JSON");
    let publication = Arc::new(Publication::encode(&Draft::new(news(), data), node.now));
    node.mail(Mail::Publish { publication, report: None });
}

fn change(node: &mut Node, batch_ms: u64) {
    let mut settings = Settings { hello: true, ..Settings::default() };
    settings.channels.default.batch_ms = batch_ms;
    node.mail(Mail::Settings(Arc::new(settings)));
}

#[test]
fn what_comes_within_a_window_goes_at_its_end_in_one_write() {
    let mut node = Node::new(windowed);
    node.session(&["news"], false);
    for _ in 0..4 {
        node.publish(news());
        assert!(turn(&mut node).is_empty() && !node.shard.has_pending(), "the reactor may sleep");
        node.pass(BATCH_MS / 4 - 1);
    }
    assert!(turn(&mut node).is_empty(), "the window is not over");
    node.pass(4);
    let writes = turn(&mut node);
    assert_eq!(writes.len(), 1);
    assert_eq!(writes[0].matches("hello").count(), 4);
    node.publish(news());
    assert!(turn(&mut node).is_empty(), "the next message opens a window of its own");
}

#[test]
fn the_end_of_the_earliest_window_is_a_deadline_of_the_shard() {
    let mut node = Node::new(|settings| {
        windowed(settings);
        let soon = ChannelRule { batch_ms: 3, ..settings.channels.default };
        settings.channels.namespaces.insert("soon".into(), soon);
    });
    node.session(&["news", "soon.er"], false);
    node.publish(news());
    node.publish(Target::Channels(vec![channel("soon.er")]));
    let mut waited_ms = 0;
    while turn(&mut node).is_empty() {
        // As the reactor sleeps: until the deadline, however often that is asked for.
        let due_us = node.shard.next_deadline_us().expect("two windows are open");
        let sleep_ms = due_us.saturating_sub(node.now.monotonic_us) / 1_000;
        assert!(sleep_ms > 0, "the reactor would spin");
        waited_ms += sleep_ms;
        node.pass(sleep_ms);
    }
    assert_eq!(waited_ms, 3);
}

#[test]
fn without_a_window_nothing_waits_and_no_timer_is_set() {
    let mut node = Node::new(|_| {});
    node.session(&["news"], false);
    let deadline = node.shard.next_deadline_us();
    node.publish(news());
    assert_eq!(node.shard.next_deadline_us(), deadline);
    assert_eq!(turn(&mut node).len(), 1);
}

#[test]
fn a_batch_that_is_full_does_not_wait() {
    let mut node = Node::new(windowed);
    node.session(&["news"], false);
    for _ in 0..BATCH_MESSAGES_MAX {
        assert!(turn(&mut node).is_empty());
        node.publish(news());
    }
    assert_eq!(turn(&mut node)[0].matches("hello").count(), BATCH_MESSAGES_MAX);
    assert!(!node.shard.has_windows());

    publish_bytes(&mut node, BATCH_BYTES_MAX / 2);
    assert!(turn(&mut node).is_empty());
    publish_bytes(&mut node, BATCH_BYTES_MAX / 2);
    assert!(!turn(&mut node).is_empty());

    publish_bytes(&mut node, BATCH_BYTES_MAX);
    assert_eq!(turn(&mut node).len(), 1, "it fills a batch by itself");
}

#[test]
fn messages_and_losses_keep_their_places_in_a_window() {
    let mut node = Node::clustered(windowed);
    node.session(&["news"], false);
    let lost = |count| Relayed::Lost { stream: Stream::Channel(channel("news")), count };
    node.mail(Mail::Relayed([lost(2)].into()));
    for count in [3, 4] {
        assert!(turn(&mut node).is_empty(), "what other nodes sent waits as well");
        node.mail(Mail::Relayed([node.relayed(news()), lost(count)].into()));
    }
    node.pass(BATCH_MS);
    let mut written = turn(&mut node).concat();
    while node.shard.has_pending() {
        written += &turn(&mut node).concat();
    }
    let places = written.match_indices("\"op\":\"").map(|(at, _)| match &written[at + 6..at + 9] {
        "gap" => written[at..].split("\"count\":").nth(1).and_then(|rest| rest.chars().next()),
        _ => Some('m'),
    });
    let places: String = places.flatten().collect();
    assert_eq!(places, "2m3m4", "{written}");
}

#[test]
fn a_window_holds_back_its_channel_and_nothing_else() {
    let mut node = Node::new(|settings| {
        let slow = ChannelRule { batch_ms: BATCH_MS, ..settings.channels.default };
        settings.channels.namespaces.insert("slow".into(), slow);
    });
    node.session(&["news", "slow.one"], false);
    node.publish(Target::Channels(vec![channel("slow.one")]));
    node.publish(news());
    node.publish(Target::All);
    let written = turn(&mut node).concat();
    assert_eq!((written.matches("hello").count(), written.contains("slow.one")), (2, false), "{written}");
    node.pass(BATCH_MS);
    assert!(turn(&mut node).concat().contains("slow.one"));
}

#[test]
fn who_leaves_during_a_window_gets_nothing_of_it_and_the_others_do() {
    let mut node = Node::new(windowed);
    let leaver = node.session(&["news"], false);
    node.session(&["news"], false);
    node.publish(news());
    node.receive(leaver, &text(r#"{"op":"unsubscribe","id":1,"channel":"news"}"#));
    let written = turn(&mut node).concat();
    assert!(written.contains(r#""op":"ok""#) && !written.contains("hello"), "{written}");
    node.pass(BATCH_MS);
    assert_eq!(turn(&mut node).concat().matches("hello").count(), 1);
}

#[test]
fn a_channel_that_is_gone_takes_its_window_along() {
    let mut node = Node::new(windowed);
    let conn = node.session(&["news"], false);
    let publication = node.publish(news());
    node.pass(BATCH_MS - 1);
    node.receive(conn, &text(r#"{"op":"unsubscribe","id":1,"channel":"news"}"#));
    assert_eq!(Arc::strong_count(&publication), 1, "nobody is left to get it");
    // In the slot of the first channel.
    node.receive(conn, &text(r#"{"op":"subscribe","id":2,"channel":"news"}"#));
    turn(&mut node);
    node.publish(news());
    node.pass(1);
    assert!(turn(&mut node).is_empty(), "the window that ends now was the other's");
    node.pass(BATCH_MS - 1);
    assert_eq!(turn(&mut node).len(), 1);
}

#[test]
fn a_connection_that_ends_during_a_window_leaves_no_timer_behind() {
    let mut node = Node::new(windowed);
    let conn = node.session(&["news"], false);
    node.publish(news());
    node.shard.handle_end(node.now, conn, epush_core::shard::End::Reset);
    node.collect();
    node.shard.end_turn();
    node.shard.assert_idle();
}

#[test]
fn a_drain_does_not_wait_for_windows() {
    let mut node = Node::new(windowed);
    let conns: Vec<_> = (0..100).map(|_| node.session(&["news"], false)).collect();
    node.publish(news());
    node.mail(Mail::Drain { over_ms: 10_000 });
    let writes = turn(&mut node);
    assert_eq!(writes.iter().filter(|write| write.contains("hello")).count(), conns.len());
    let goodbye = writes.iter().find(|write| write.contains("goodbye")).expect("the first goes at once");
    assert!(goodbye.find("hello") < goodbye.find("goodbye"), "{goodbye}");
    node.publish(news());
    assert!(!node.shard.has_windows() && turn(&mut node).len() == 99, "and none opens any more");
}

#[test]
fn a_drain_delivers_a_window_with_losses_between_its_messages_to_who_goes_first() {
    let mut node = Node::clustered(windowed);
    node.session(&["news"], false);
    for count in [1, 2] {
        let lost = Relayed::Lost { stream: Stream::Channel(channel("news")), count };
        node.mail(Mail::Relayed([node.relayed(news()), lost].into()));
    }
    node.mail(Mail::Drain { over_ms: 0 });
    let mut written = String::new();
    while node.shard.has_pending() || node.shard.has_writes() {
        written += &turn(&mut node).concat();
    }
    let (messages, gaps) = (written.matches("hello").count(), written.matches(r#""op":"gap""#).count());
    assert_eq!((messages, gaps), (2, 2), "{written}");
    assert!(written.find("goodbye") > written.rfind(r#""op":"gap""#), "{written}");
}

#[test]
fn where_windows_are_not_allowed_nothing_waits() {
    let mut node = Node::new(windowed);
    node.session(&["news"], false);
    node.publish(news());
    node.shard.allow_windows(false);
    assert!(node.shard.has_pending());
    assert_eq!(turn(&mut node).len(), 1);
    assert!(!node.shard.has_windows() && !node.shard.has_pending());
    node.publish(news());
    assert_eq!(turn(&mut node).len(), 1, "none opens any more");
    node.shard.allow_windows(true);
    node.publish(news());
    assert!(turn(&mut node).is_empty(), "until it may again");
}

#[test]
fn a_reload_holds_for_the_next_window() {
    let mut node = Node::new(windowed);
    node.session(&["news"], false);
    node.publish(news());
    change(&mut node, 0);
    node.publish(news());
    assert!(turn(&mut node).is_empty(), "the open window ends as it began");
    node.pass(BATCH_MS);
    assert_eq!(turn(&mut node)[0].matches("hello").count(), 2);
    node.publish(news());
    assert_eq!(turn(&mut node).len(), 1);
    change(&mut node, 5);
    node.publish(news());
    assert!(turn(&mut node).is_empty());
}
