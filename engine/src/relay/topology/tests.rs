//! Slots, and who owns them: by calculation, and on real servers of each form.

use redis::parse_redis_value;

use super::*;
use crate::relay::testing::{RedisServer, access, cluster_of_three, sentinel_of, within};

#[test]
fn the_check_value_of_the_crc_is_right() {
    assert_eq!(crc16(b"123456789"), 0x31c3);
    assert_eq!(slot(b"123456789"), 12_739);
    assert_eq!(slot(b""), 0);
}

#[test]
fn a_hash_tag_decides_alone() {
    assert_eq!(slot(b"{user1000}.following"), slot(b"user1000"));
    assert_eq!(slot(b"a{user1000}b{c}"), slot(b"user1000"));
    // Of these the whole key counts, or what the first brace opens.
    assert_eq!(slot(b"foo{}{bar}"), crc16(b"foo{}{bar}") % SLOTS);
    assert_eq!(slot(b"foo{{bar}}zap"), slot(b"{bar"));
    assert_eq!(slot(b"foo{bar"), crc16(b"foo{bar") % SLOTS);
}

#[test]
fn one_server_owns_every_key() {
    let topology = Topology::discover(&access("redis://nowhere:7")).expect("nobody is asked");
    assert_eq!(topology.masters, [Host { name: "nowhere".into(), port: 7 }]);
    assert_eq!((topology.master_of(b"a"), topology.is_sharded()), (0, false));
}

fn ranges(text: &str) -> Option<Topology> {
    let value = parse_redis_value(text.as_bytes()).expect("RESP");
    let asked = Host { name: "asked".into(), port: 1 };
    ranges_of(&value, &asked).and_then(|mut ranges| topology_of(&mut ranges))
}

#[test]
fn a_master_without_a_name_is_the_one_that_was_asked() {
    let topology = ranges("*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$0\r\n\r\n:7\r\n").expect("a topology");
    assert_eq!(topology.masters, [Host { name: "asked".into(), port: 7 }]);
    let topology = ranges("*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n_\r\n:7\r\n").expect("a topology");
    assert_eq!(topology.masters[0].name, "asked");
}

#[test]
fn slots_without_an_owner_are_no_topology() {
    let row = |from: u16, to: u16, name: &str| format!("*3\r\n:{from}\r\n:{to}\r\n*2\r\n+{name}\r\n:7\r\n");
    assert!(ranges("*0\r\n").is_none());
    assert!(ranges(&format!("*1\r\n{}", row(0, 16_382, "a"))).is_none());
    assert!(ranges(&format!("*2\r\n{}{}", row(0, 5, "a"), row(7, 16_383, "b"))).is_none());
    assert!(ranges(&format!("*1\r\n{}", row(0, 16_384, "a"))).is_none());
    assert!(ranges(&format!("*1\r\n{}", row(0, 16_383, "?"))).is_none());
    // In any order, and a master may have several runs.
    let rows = [row(10, 16_383, "a"), row(5, 9, "b"), row(0, 4, "a")].concat();
    let topology = ranges(&format!("*3\r\n{rows}")).expect("a topology");
    assert_eq!(topology.masters.iter().map(|host| host.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn a_cluster_tells_who_owns_which_key() {
    let servers = cluster_of_three();
    // The first host is of no use, and the next is asked.
    let url = format!("redis+cluster://127.0.0.1:1,127.0.0.1:{}", servers[1].port());
    let access = access(&url);
    let topology = Topology::discover(&access).expect("a topology");
    assert!(topology.is_sharded());
    assert_eq!(topology.masters.len(), 3);
    let mut masters: Vec<_> =
        topology.masters.iter().map(|host| Connection::open(host, &access).expect("up")).collect();
    for at in 0..100 {
        let key = format!("key:{at}");
        let owner = topology.master_of(key.as_bytes());
        for (master, connection) in masters.iter_mut().enumerate() {
            connection.send(&cmd("SET").arg(&key).arg(1).get_packed_command()).expect("sent");
            let answer = connection.receive().expect("an answer");
            if master == owner {
                assert_eq!(answer, Value::Okay);
            } else {
                assert!(says_elsewhere(&answer), "{answer:?}");
            }
        }
    }
}

#[test]
fn a_server_that_is_no_cluster_says_so() {
    let server = RedisServer::start();
    let error = Topology::discover(&access(&format!("redis+cluster://127.0.0.1:{}", server.port()))).expect_err("none");
    assert!(matches!(&error.fault, Fault::Refused(why) if why.contains("cluster support disabled")), "{error}");
}

#[test]
fn a_sentinel_names_the_master() {
    let (master, other) = (RedisServer::start_with(&["--requirepass", "secret"]), RedisServer::start());
    let sentinel = sentinel_of(&master, "sentinel auth-pass main secret");
    let url = |service: &str| format!("redis+sentinel://:secret@127.0.0.1:1,127.0.0.1:{}/{service}", sentinel.port());
    let topology = Topology::discover(&access(&url("main"))).expect("a topology");
    assert_eq!(topology.masters, [Host { name: "127.0.0.1".into(), port: master.port() }]);
    assert_eq!((topology.master_of(b"a"), topology.is_sharded()), (0, false));
    let error = Topology::discover(&access(&url("other"))).expect_err("not watched");
    assert!(matches!(&error.fault, Fault::Refused(why) if why.contains("no master named \"other\"")), "{error}");

    // Demoted behind the sentinel's back: it is not believed, and the replica says that it is none.
    let master_access = access(&format!("redis://:secret@127.0.0.1:{}", master.port()));
    let mut connection = Connection::open(&master_access.url().hosts[0], &master_access).expect("up");
    connection.ask(cmd("REPLICAOF").arg("127.0.0.1").arg(other.port())).expect("demoted");
    let error = Topology::discover(&access(&url("main"))).expect_err("demoted");
    assert!(matches!(&error.fault, Fault::Refused(why) if why.contains("it is none")), "{error}");
    connection.send(&cmd("SET").arg("a").arg(1).get_packed_command()).expect("sent");
    let answer = connection.receive().expect("an answer");
    assert!(says_elsewhere(&answer), "{answer:?}");
}

#[test]
fn after_a_failover_the_new_master_is_found() {
    let master = RedisServer::start();
    let port = master.port().to_string();
    let replica = RedisServer::start_with(&["--replicaof", "127.0.0.1", &port, "--repl-diskless-sync-delay", "0"]);
    let mut connection = master.connect();
    within("the replica follows", || {
        let role = connection.ask(&cmd("ROLE")).expect("an answer");
        matches!(role, Value::Array(parts) if matches!(&parts[2], Value::Array(replicas) if !replicas.is_empty()))
            .then_some(())
    });
    let sentinel = sentinel_of(&master, "");
    let access = access(&format!("redis+sentinel://127.0.0.1:{}/main", sentinel.port()));
    assert_eq!(Topology::discover(&access).expect("a topology").masters[0].port, master.port());
    let mut asking = Connection::open_sentinel(&access.url().hosts[0], &access).expect("up");
    within("the sentinel knows the replica", || {
        let replicas = asking.ask(cmd("SENTINEL").arg("REPLICAS").arg("main")).expect("an answer");
        matches!(replicas, Value::Array(replicas) if !replicas.is_empty()).then_some(())
    });
    drop(master);
    within("the replica is master", || {
        Topology::discover(&access).ok().filter(|topology| topology.masters[0].port == replica.port())
    });
}
