//! Redis Cluster: three masters, each with its slots, and sharded pub/sub.

use super::*;
use crate::relay::testing::RedisServer;

/// Three masters that know each other and own all slots.
fn three() -> Vec<RedisServer> {
    let servers: Vec<RedisServer> = (0..3)
        .map(|_| RedisServer::start_with(&["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"]))
        .collect();
    let mut lines: Vec<Connection> = servers
        .iter()
        .map(|server| {
            let access = access(&server.url(), 5_000);
            Connection::open(&access.url().hosts[0], &access).expect("it listens")
        })
        .collect();
    for (at, (from, to)) in [(0, 5_460), (5_461, 10_922), (10_923, 16_383)].into_iter().enumerate() {
        lines[at].ask(cmd("CLUSTER").arg("ADDSLOTSRANGE").arg(from).arg(to)).expect("its slots");
        lines[at].ask(cmd("CLUSTER").arg("MEET").arg("127.0.0.1").arg(servers[0].port())).expect("they meet");
    }
    for line in &mut lines {
        until("the cluster stands", || {
            let info = line.ask(cmd("CLUSTER").arg("INFO")).expect("it answers");
            matches!(&info, Value::VerbatimString { text, .. } if text.contains("cluster_state:ok") && text.contains("known_nodes:3"))
        });
    }
    servers
}

fn url(servers: &[RedisServer]) -> String {
    let hosts: Vec<String> = servers.iter().map(|server| format!("127.0.0.1:{}", server.port())).collect();
    format!("redis+cluster://{}", hosts.join(","))
}

#[test]
fn streams_of_all_masters_arrive_and_survive_the_loss_of_one_connection() {
    let servers = three();
    let mut node = Receiving::start(&url(&servers));
    let rooms: Vec<ChannelName> = (0..30).map(|index| node.join(&format!("room.{index}"))).collect();
    let mut peer = Peer::new(&node, 7);
    assert!(peer.topology.is_sharded() && peer.lines.len() == 3);
    let mut masters = [0; 3];
    for room in &rooms {
        masters[peer.topology.master_of(peer.calls.keys.channel(room).as_bytes())] += 1;
        peer.push(&stream(room));
        assert!(matches!(node.next(0), Seen::Message(1)));
    }
    assert!(masters.iter().all(|count| *count > 0), "{masters:?}");
    // Some streams lose their connection, the others do not.
    peer.lines[0].ask(cmd("CLIENT").arg("KILL").arg("TYPE").arg("pubsub")).expect("killed");
    (0..20).for_each(|_| rooms.iter().for_each(|room| peer.push(&stream(room))));
    node.settled();
    rooms.iter().for_each(|room| peer.push(&stream(room)));
    let (mut messages, mut lost) = (0, 0);
    while messages + lost < 21 * 30 {
        match node.next(0) {
            Seen::Message(_) => messages += 1,
            Seen::Lost(of, count) => {
                let Stream::Channel(room) = &of else { panic!("{of:?}") };
                assert_eq!(peer.topology.master_of(peer.calls.keys.channel(room).as_bytes()), 0);
                lost += count;
            }
            Seen::Mail(mail) => panic!("{mail:?}"),
        }
    }
    assert_eq!((messages + lost, node.figures.lost.load(Relaxed)), (21 * 30, lost));
    assert_eq!(node.figures.connects.load(Relaxed), 4, "the others stood");
    node.post(Arrival::Leave { shard: ShardId(0), channel: rooms[0].clone() });
    assert_eq!(peer.subscribers("p:c:{room.0}"), 1, "it lingers");
}

#[test]
fn a_slot_that_moves_takes_its_subscriptions_along() {
    let servers = three();
    let mut node = Receiving::start(&url(&servers));
    let room = node.join("room");
    let mut peer = Peer::new(&node, 7);
    let name = peer.calls.keys.channel(&room);
    let (from, slot) = (peer.topology.master_of(name.as_bytes()), crate::relay::topology::slot(name.as_bytes()));
    let to = (from + 1) % 3;
    let id = peer.lines[to].ask(cmd("CLUSTER").arg("MYID")).expect("it has one");
    let Value::BulkString(id) = id else { panic!("text: {id:?}") };
    for master in [to, from, (from + 2) % 3] {
        peer.lines[master].ask(cmd("CLUSTER").arg("SETSLOT").arg(slot).arg("NODE").arg(&id)).expect("it moves");
    }
    node.settled();
    let mut peer = Peer::new(&node, 7);
    assert_eq!(peer.topology.master_of(name.as_bytes()), to, "masters stand by their first slot");
    peer.push(&stream(&room));
    assert!(matches!(node.next(0), Seen::Message(1)));
    assert_eq!(node.figures.lost.load(Relaxed), 0);
}
