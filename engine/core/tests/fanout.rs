//! What a push costs a shard: one encoding and one batch, whatever the number of its receivers.
//!
//! Proven by where the bytes are: every receiver's write points into the same memory.

#[path = "shard/node.rs"]
mod node;

use std::io::IoSlice;

use epush_core::message::Target;
use epush_core::outbox::SLICES_MAX;
use node::{Node, news};

const SUBSCRIBERS: usize = 1_000;

/// Where the bytes of each write are, and how many; the sockets take all of it.
fn writes(node: &mut Node) -> Vec<(*const u8, usize)> {
    let mut writes = Vec::new();
    loop {
        let next = node.shard.next_urgent().or_else(|| node.shard.next_bulk());
        let Some(conn) = next else { return writes };
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let filled = node.shard.output(conn, &mut slices);
        assert_eq!(filled, 1, "one turn's messages of a channel are one slice");
        let (at, len) = (slices[0].as_ptr(), slices[0].len());
        writes.push((at, len));
        node.shard.handle_sent(node.now, conn, len, false);
    }
}

fn subscribed(count: usize) -> Node {
    let mut node = Node::new(|_| {});
    for _ in 0..count {
        node.session(&["news"], false);
    }
    node
}

#[test]
fn a_push_is_encoded_once_and_no_receiver_has_a_copy() {
    for receivers in [1, SUBSCRIBERS] {
        for to in [news(), Target::All] {
            let mut node = subscribed(receivers);
            let publication = node.publish(to);
            assert_eq!(publication.frames.len(), 1);
            node.shard.flush(node.now);
            let encoding = (publication.frames[0].as_ptr(), publication.frames[0].len());
            assert_eq!(writes(&mut node), vec![encoding; receivers]);
        }
    }
}

#[test]
fn messages_of_one_turn_are_joined_once_for_all_receivers_and_written_at_once() {
    let mut node = subscribed(SUBSCRIBERS);
    let len: usize = (0..3).map(|_| node.publish(news()).bytes()).sum();
    node.shard.flush(node.now);
    let writes = writes(&mut node);
    assert_eq!(writes, vec![(writes[0].0, len); SUBSCRIBERS]);
}
