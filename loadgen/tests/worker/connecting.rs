//! Opening connections: at a rate, over the ramp, as fast as possible; and what can go wrong.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};

use epush_loadgen::clock::now_ns;
use epush_loadgen::error::Error;
use epush_loadgen::talk::Order;

use crate::peer::{Peer, close, see_off};
use crate::rig::{MS, Rig, failure, plain, scenario};

fn patient() -> Peer {
    Peer::of_sockets(|mut socket, _| see_off(&mut socket))
}

#[test]
fn connections_are_opened_at_the_rate_asked_for_and_counted_from_when_they_were_due() {
    let peer = patient();
    let rig = Rig::start(plain(peer.address, "[[group]]\nclients = 20\nconnect_per_s = 100.0"));
    let at_ns = now_ns() + 50 * MS;
    rig.worker.tell(Order::Connect { at_ns });
    rig.until("all are ready", |progress| progress.counts.ready == 20);
    assert!(now_ns() - at_ns >= 190 * MS, "the last of twenty is due after 190 ms");
    let tally = rig.finish();
    assert_eq!((tally.counts.started, tally.counts.ready, tally.counts.closed_by_plan), (20, 20, 20));
    assert_eq!((tally.connect.0.len(), tally.slip_opening.0.len(), tally.opened.count), (20, 20, 20));
    assert_eq!(tally.failures, []);
}

#[test]
fn a_storm_is_over_as_soon_as_the_server_took_everybody() {
    let peer = patient();
    let rig = Rig::start(plain(peer.address, "[[group]]\nclients = 300\nconnect_per_s = 0.0"));
    rig.connect(300);
    let tally = rig.finish();
    assert_eq!((tally.counts.started, tally.counts.ready, tally.counts.failed), (300, 300, 0));
}

#[test]
fn several_groups_and_an_even_ramp() {
    let peer = patient();
    let groups = "[[group]]\nclients = 3\n[[group]]\nclients = 4\nconnect_per_s = 1000.0\n[[group]]\nclients = 1";
    let scenario = scenario("ws", peer.address, "", "", groups);
    let rig = Rig::start(scenario);
    rig.connect(8);
    assert_eq!(rig.finish().counts.closed_by_plan, 8);
}

#[test]
fn nobody_listening_is_said_to_be_so() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let rig = Rig::start(plain(address, "[[group]]\nclients = 5"));
    rig.worker.tell(Order::Connect { at_ns: now_ns() });
    rig.until("all have failed", |progress| progress.counts.failed == 5);
    let tally = rig.finish();
    assert_eq!((tally.counts.started, tally.counts.ready, tally.counts.failed), (5, 0, 5));
    let (count, example) = failure(&tally, "connection refused");
    assert!(count == 5 && example.contains("nothing listens"), "{example}");
}

#[test]
fn a_server_that_takes_connections_and_never_answers_is_given_up() {
    let peer = Peer::of_streams(|mut stream, _| drop(std::io::copy(&mut stream, &mut std::io::sink())));
    let scenario = scenario("ws", peer.address, "", "connect_timeout_ms = 100", "[[group]]\nclients = 4");
    let rig = Rig::start(scenario);
    rig.worker.tell(Order::Connect { at_ns: now_ns() });
    rig.until("all have failed", |progress| progress.counts.failed == 4);
    let tally = rig.finish();
    let (count, example) = failure(&tally, "not ready in time");
    assert!(count == 4 && example.contains("upgrading"), "{example}");
}

#[test]
fn clients_of_a_storm_that_never_get_ready_make_room_for_the_others_when_their_time_is_over() {
    // Of every two connections one is never answered: more of them than are on their way at once.
    let peer = Peer::of_streams(|mut stream, number| {
        if number % 2 == 1 {
            drop(std::io::copy(&mut stream, &mut std::io::sink()));
        } else if let Ok(mut socket) = tungstenite::accept(stream) {
            see_off(&mut socket);
        }
    });
    let group = "[[group]]\nclients = 600\nconnect_per_s = 0.0";
    let rig = Rig::start(scenario("ws", peer.address, "", "connect_timeout_ms = 3000", group));
    rig.worker.tell(Order::Connect { at_ns: now_ns() });
    rig.until("all are ready or failed", |progress| (progress.counts.ready, progress.counts.failed) == (300, 300));
    let tally = rig.finish();
    assert_eq!((tally.counts.started, failure(&tally, "not ready in time").0), (600, 300));
}

#[test]
fn a_refused_upgrade_is_counted_under_its_status() {
    let peer = Peer::of_streams(|mut stream, _| {
        let _ = stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno!");
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    });
    let rig = Rig::start(plain(peer.address, "[[group]]\nclients = 3"));
    rig.worker.tell(Order::Connect { at_ns: now_ns() });
    rig.until("all have failed", |progress| progress.counts.failed == 3);
    let tally = rig.finish();
    assert_eq!(tally.failures.iter().map(|failure| failure.count).sum::<u64>(), 3);
    assert!(tally.failures[0].kind.contains("403"), "{:?}", tally.failures);
}

#[test]
fn a_source_address_that_is_not_ours_is_named() {
    let peer = patient();
    let rest = "[tool]\nsource_addresses = [\"192.0.2.77\"]\n[[group]]\nclients = 2";
    let rig = Rig::start(plain(peer.address, rest));
    rig.worker.tell(Order::Connect { at_ns: now_ns() });
    rig.until("all have failed", |progress| progress.counts.failed == 2);
    assert!(failure(&rig.finish(), "source address not usable").1.contains("192.0.2.77"));
}

#[test]
fn a_source_of_the_wrong_family_is_refused_before_anything_is_done() {
    let address = SocketAddr::from(([127, 0, 0, 1], 9));
    let rest = "[tool]\nsource_addresses = [\"::1\"]\n[[group]]\nclients = 2";
    let Err(Error::Usage(words)) = Rig::try_start(plain(address, rest)).map(drop) else { panic!("refused") };
    assert!(words.contains("::1") && words.contains("source_addresses"), "{words}");
}

#[test]
fn a_server_that_closes_everyone_is_quoted_and_left_alone() {
    let peer = Peer::of_sockets(|mut socket, _| close(&mut socket, 4_501, "slow consumer"));
    let rig = Rig::start(plain(peer.address, "[[group]]\nclients = 6"));
    rig.worker.tell(Order::Connect { at_ns: now_ns() });
    rig.until("all are closed", |progress| progress.counts.closed_by_server == 6);
    let tally = rig.finish();
    assert_eq!((tally.counts.started, tally.counts.ready, tally.counts.closed_by_plan), (6, 6, 0));
    assert_eq!(failure(&tally, "closed with 4501 slow consumer").0, 6);
}

#[test]
fn ends_without_a_close_frame_and_resets_are_told_apart() {
    let peer = Peer::of_sockets(|mut socket, number| {
        if number % 2 == 0 {
            // With bytes unread, or without waiting for anything to be taken, closing resets.
            socket2::SockRef::from(socket.get_ref()).set_linger(Some(std::time::Duration::ZERO)).unwrap();
            let _ = socket.flush();
        }
    });
    let rig = Rig::start(plain(peer.address, "[[group]]\nclients = 6\nconnect_per_s = 100.0"));
    rig.worker.tell(Order::Connect { at_ns: now_ns() });
    rig.until("all are over", |progress| progress.counts.closed_by_server + progress.counts.failed == 6);
    let tally = rig.finish();
    assert_eq!(failure(&tally, "ended without a close frame").0, 3);
    assert_eq!(
        tally.failures.iter().filter(|failure| failure.kind.starts_with("reset")).map(|f| f.count).sum::<u64>(),
        3
    );
}

#[test]
fn a_run_that_ends_while_connections_are_on_their_way_counts_them_as_failed() {
    let peer = Peer::of_streams(|mut stream, _| drop(std::io::copy(&mut stream, &mut std::io::sink())));
    let rig = Rig::start(plain(peer.address, "[[group]]\nclients = 4"));
    rig.worker.tell(Order::Connect { at_ns: now_ns() });
    rig.until("all are begun", |progress| progress.counts.started == 4);
    let tally = rig.finish();
    assert_eq!((tally.counts.started, tally.counts.failed), (4, 4));
}

#[test]
fn a_dropped_worker_is_gone_at_once() {
    let peer = patient();
    let rig = Rig::start(plain(peer.address, "[[group]]\nclients = 10"));
    rig.connect(10);
    drop(rig);
}
