//! The directory: signing in and out, alone and against other nodes.

use epush_core::close::CloseReason;
use epush_core::mail::Question;
use epush_core::page::ChannelRange;

use super::*;

#[test]
fn a_session_is_in_the_directory_when_its_shard_hears_so_and_out_when_it_left() {
    let server = RedisServer::start();
    let mut node = Node::up(&server, 1);
    let mut plain = Plain::open(&server);
    let session = node.sign_in("7", 1);
    node.wait_signed_in(session);
    let entries = plain.entries("7");
    assert_eq!(entries.len(), 1);
    assert_eq!((entries[0].session.boot, entries[0].session.at, entries[0].since_unix_ms), (1, session, 7));
    assert_eq!(plain.online(), 1);
    node.order(Order::SignOut { user: user("7"), session });
    node.inward.find(|arrival| matches!(arrival, Arrival::SignedOut(gone) if gone == user("7")).then_some(()));
    assert_eq!((plain.entries("7").len(), plain.online()), (0, 0));
}

#[test]
fn inward_hears_that_a_user_left_with_the_last_session_only() {
    let server = RedisServer::start();
    let mut node = Node::up(&server, 1);
    let (first, second) = (node.sign_in("7", 1), node.sign_in("7", 2));
    node.order(Order::SignOut { user: user("7"), session: first });
    let third = node.sign_in("7", 3);
    for expected in [first, second, third] {
        assert!(matches!(node.inward.next(), Arrival::SignedIn { session, .. } if session == expected));
    }
    node.order(Order::SignOut { user: user("7"), session: second });
    let channels = ChannelRange { prefix: "".into(), after: "".into(), channels_max: 1 };
    // Answered in its turn: the sign-out before it was told nobody.
    node.order(Order::Query { ticket: 1, question: Question::Channels(channels) });
    assert!(matches!(node.inward.next(), Arrival::Asked { .. }));
    node.order(Order::SignOut { user: user("7"), session: third });
    assert!(matches!(node.inward.next(), Arrival::SignedOut(gone) if gone == user("7")));
}

#[test]
fn of_two_nodes_that_sign_in_a_user_at_once_one_session_is_left() {
    let server = RedisServer::start();
    let mut nodes = [1, 2].map(|boot| Node::start_with(&server, boot, |setup| setup.per_user = 1));
    nodes.iter_mut().for_each(|node| node.wait_until_up(true));
    let mut ears: Vec<Vec<Plain>> = Vec::new();
    for node in &nodes {
        let listen = |partition| Plain::listen(&server, &keys().to_node(partition, node.boot));
        ears.push((0..4).map(listen).collect());
    }
    // Users of the partitions that are listened to.
    let names: Vec<String> =
        (0..).map(|n| format!("u{n}")).filter(|name| keys().partition(&user(name)) < 4).take(100).collect();
    for (index, name) in names.iter().enumerate() {
        for node in &nodes {
            node.sign_in(name, index as u32);
        }
    }
    for node in &mut nodes {
        node.wait_signed_in(at(names.len() as u32 - 1));
    }
    let mut plain = Plain::open(&server);
    let mut losers = Vec::new();
    for name in &names {
        let entries = plain.entries(name);
        assert_eq!(entries.len(), 1, "{name}");
        losers.push((usize::from(entries[0].session.boot == 1), usize::from(keys().partition(&user(name)))));
    }
    assert_eq!(plain.online(), 100);
    // The script that let one in told the other's node, in the same moment.
    for (loser, partition) in losers {
        let Body::Close { sessions, reason } = ears[loser][partition].envelope().body else { panic!("a close") };
        assert_eq!((sessions.len(), sessions[0].boot, reason), (1, loser as u64 + 1, CloseReason::Replaced));
    }
}

#[test]
fn the_older_session_of_this_node_is_closed_when_the_user_may_have_one() {
    let server = RedisServer::start();
    let mut node = Node::start_with(&server, 1, |setup| setup.per_user = 1);
    node.wait_until_up(true);
    let old = node.sign_in("7", 1);
    let new = node.sign_in("7", 2);
    node.wait_signed_in(new);
    let closed = node.mail(|mail| match mail {
        Mail::Close { conn, reason } => Some((conn, reason)),
        _ => None,
    });
    assert_eq!(closed, (old.conn, CloseReason::Replaced));
    let entries = Plain::open(&server).entries("7");
    assert_eq!(entries.iter().map(|entry| entry.session.at).collect::<Vec<_>>(), [new]);
}

#[test]
fn a_recheck_gives_every_user_s_heads_and_a_marker_behind_what_was_sent_before() {
    let server = RedisServer::start();
    let mut node = Node::up(&server, 1);
    let session = node.sign_in("7", 1);
    node.wait_signed_in(session);
    let partition = keys().partition(&user("7"));
    let mut ear = Plain::listen(&server, &keys().to_node(partition, 1));
    let mut plain = Plain::open(&server);
    let number = Number { generation: 4, number: 9, lost: 0 };
    let stream = Stream::User(user("7"));
    let message = Envelope { origin: 2, sent_unix_ms: 1, body: Body::Announce { stream, number } };
    plain.run(&calls(2).publish_user(&user("7"), number, &message.encode()));
    node.order(Order::Recheck);
    let (heads, ticket) = node.inward.find(|arrival| match arrival {
        Arrival::Heads { user: about, heads, after } if about == user("7") => Some((heads, after)),
        _ => None,
    });
    assert_eq!((heads.len(), heads[0].origin, heads[0].last), (1, 2, 9));
    assert!(matches!(ear.envelope().body, Body::Announce { .. }));
    assert!(matches!(ear.envelope().body, Body::Marker { ticket: marked } if marked == ticket));
}
