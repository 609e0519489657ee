//! What arrives: fast, slowly, in pieces; and readers that do not read.

use std::io::Write;

use crate::peer::{Peer, message, see_off};
use crate::rig::{Rig, failure, plain};

const NEWS: &str = "[[publisher]]\nto = { channels = [\"news\"] }\npace = \"delivered\"\npayload_bytes = 64\n";

fn group(clients: u32, more: &str) -> String {
    format!("[[group]]\nclients = {clients}\nchannels = [\"news\"]\n{more}\n{NEWS}")
}

#[test]
fn every_message_is_counted_once_with_its_latency() {
    let peer = Peer::of_sockets(|mut socket, _| {
        (0..1_000).for_each(|seq| socket.write(message(seq, 64)).unwrap());
        socket.flush().unwrap();
        see_off(&mut socket);
    });
    let rig = Rig::start(plain(peer.address, &group(5, "")));
    rig.connect(5);
    rig.published(&[1_000]);
    rig.settled();
    let counts = rig.finish().counts;
    assert_eq!((counts.messages, counts.expected, counts.received, counts.lost), (5_000, 5_000, 5_000, 0));
}

#[test]
fn a_server_that_sends_one_byte_at_a_time_is_understood() {
    let peer = Peer::of_sockets(|mut socket, _| {
        for seq in 0..3 {
            let mut frame = vec![0x81, 64];
            frame.extend_from_slice(message(seq, 64).into_data().as_ref());
            for byte in frame {
                socket.get_mut().write_all(&[byte]).unwrap();
            }
        }
        see_off(&mut socket);
    });
    let rig = Rig::start(plain(peer.address, &group(3, "")));
    rig.connect(3);
    rig.published(&[3]);
    rig.settled();
    let counts = rig.finish().counts;
    assert_eq!((counts.received, counts.lost, counts.frames), (9, 0, 9 + 3));
}

#[test]
fn an_end_right_behind_the_last_message_is_seen() {
    let peer = Peer::of_sockets(|mut socket, _| {
        (0..10).for_each(|seq| socket.write(message(seq, 64)).unwrap());
        socket.flush().unwrap();
    });
    let rig = Rig::start(plain(peer.address, &group(8, "")));
    rig.worker.tell(epush_loadgen::talk::Order::Connect { at_ns: 0 });
    rig.until("all are over", |progress| progress.counts.closed_by_server == 8);
    rig.published(&[12]);
    let tally = rig.finish();
    assert_eq!((tally.counts.received, tally.counts.lost, tally.counts.lost_after_close), (80, 16, 16));
    assert_eq!(failure(&tally, "ended without a close frame").0, 8);
}

#[test]
fn a_reader_that_never_reads_gets_it_all_after_the_steady_phase() {
    let (go, told) = crossbeam_channel::unbounded::<()>();
    let peer = Peer::of_sockets(move |mut socket, _| {
        told.recv().unwrap();
        (0..200).for_each(|seq| socket.write(message(seq, 64)).unwrap());
        socket.flush().unwrap();
        see_off(&mut socket);
    });
    let stall = "reader = { kind = \"stall\", share = 0.5, period_ms = 1000, stall_ms = 1000 }";
    let rig = Rig::start(plain(peer.address, &group(4, stall)));
    rig.connect(4);
    rig.steady(60_000);
    rig.until("they have begun", |_| true);
    (0..4).for_each(|_| go.send(()).unwrap());
    let steady = rig.until("the prompt ones have everything", |progress| progress.counts.messages >= 400);
    assert_eq!(steady.counts.messages, 400, "the others read nothing");
    // That ends the steady phase before its time.
    rig.published(&[200]);
    rig.settled();
    let counts = rig.finish().counts;
    assert_eq!((counts.received, counts.lost), (800, 0));
}

#[test]
fn a_reader_that_stalls_for_a_while_goes_on_by_itself() {
    let (go, told) = crossbeam_channel::unbounded::<()>();
    let peer = Peer::of_sockets(move |mut socket, _| {
        told.recv().unwrap();
        for seq in 0..40 {
            socket.send(message(seq, 64)).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        see_off(&mut socket);
    });
    let stall = "reader = { kind = \"stall\", share = 1.0, period_ms = 100, stall_ms = 90 }";
    let rig = Rig::start(plain(peer.address, &group(2, stall)));
    rig.connect(2);
    rig.steady(600_000);
    (0..2).for_each(|_| go.send(()).unwrap());
    rig.until("everything is read although the phase lasts", |progress| progress.counts.messages == 80);
    rig.published(&[40]);
    rig.settled();
    let tally = rig.finish();
    assert_eq!(tally.counts.received, 80);
    assert!(tally.latency.0.max() > 30_000_000, "stalls show: {}", tally.latency.0.max());
}

#[test]
fn a_slow_reader_takes_so_many_bytes_a_second() {
    let (go, told) = crossbeam_channel::unbounded::<()>();
    let peer = Peer::of_sockets(move |mut socket, _| {
        told.recv().unwrap();
        (0..1_000).for_each(|seq| socket.write(message(seq, 64)).unwrap());
        socket.flush().unwrap();
        see_off(&mut socket);
    });
    let slow = "reader = { kind = \"slow\", share = 1.0, bytes_per_s = 6600 }";
    let rig = Rig::start(plain(peer.address, &group(1, slow)));
    rig.steady(60_000);
    rig.connect(1);
    go.send(()).unwrap();
    let some = rig.until("it has read a while", |progress| progress.counts.messages >= 50);
    assert!(some.counts.messages < 1_000, "not all at once: {}", some.counts.messages);
    rig.published(&[1_000]);
    rig.settled();
    let counts = rig.finish().counts;
    assert_eq!((counts.received, counts.lost), (1_000, 0));
}
