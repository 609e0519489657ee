//! What clients send: on schedule, as answers come, more than the server reads.

use std::thread;
use std::time::Duration;

use epush_loadgen::clock::now_ns;
use epush_loadgen::talk::Order;

use crate::peer::{Peer, echo, see_off};
use crate::rig::{MS, Rig, failure, plain};

fn echo_group(clients: u32, rate_per_s: f64, in_flight: u32, payload_bytes: usize) -> String {
    format!(
        "[[group]]\nclients = {clients}\nactivity = {{ kind = \"echo\", rate_per_s = {rate_per_s:.1}, in_flight = {in_flight}, \
         payload_bytes = {payload_bytes} }}"
    )
}

#[test]
fn an_open_loop_echo_sends_all_that_is_due_and_has_it_back() {
    let peer = Peer::echo();
    let rig = Rig::start(plain(peer.address, &echo_group(4, 100.0, 0, 64)));
    rig.connect(4);
    rig.steady(500);
    rig.until("the phase is over", |progress| progress.counts.sent == 200);
    rig.published(&[]);
    rig.settled();
    let tally = rig.finish();
    assert_eq!((tally.counts.sent, tally.counts.received, tally.counts.lost), (200, 200, 0));
    assert_eq!((tally.latency.0.len(), tally.counts.duplicates), (200, 0));
    assert!(tally.cpu_steady_ns > 0);
}

#[test]
fn a_steady_phase_that_is_cut_short_is_not_begun_again() {
    let peer = Peer::echo();
    let group = echo_group(4, 100.0, 0, 64).replace("clients = 4", "clients = 4\nchurn_per_s = 0.001");
    let rig = Rig::start(plain(peer.address, &group));
    rig.connect(4);
    let from_ns = rig.steady(60_000);
    let sent = rig.until("some are sent", |progress| progress.counts.sent >= 100).counts.sent;
    rig.worker.tell(Order::Steady { from_ns, until_ns: now_ns() });
    rig.published(&[]);
    let settled = rig.settled();
    let tally = rig.finish();
    assert!(settled.counts.sent < sent + 100_000 && tally.counts.lost == 0);
    // One turn for each message and, at most, one of churn for each client: none was taken twice.
    assert!(
        tally.slip.count() <= tally.counts.sent + 4,
        "{} turns for {} messages",
        tally.slip.count(),
        tally.counts.sent
    );
    assert_eq!(tally.deliveries_steady, tally.counts.messages);
}

#[test]
fn ping_pong_sends_the_next_when_the_answer_is_there() {
    let peer = Peer::echo();
    let rig = Rig::start(plain(peer.address, &echo_group(3, 0.0, 0, 64)));
    rig.connect(3);
    rig.steady(300);
    rig.until("it goes round", |progress| progress.counts.sent > 30);
    rig.published(&[]);
    rig.settled();
    let counts = rig.finish().counts;
    assert_eq!((counts.sent, counts.lost), (counts.received, 0));
}

/// A server that pauses once: with one message under way at a time, those that were due meanwhile are sent after it,
/// and their latencies count from when they were due.
#[test]
fn messages_that_had_to_wait_keep_their_due_times() {
    let peer = Peer::of_sockets(|mut socket, _| {
        for count in 0.. {
            let Ok(message) = socket.read() else { return };
            if count == 10 {
                thread::sleep(Duration::from_millis(400));
            }
            if !message.is_close() && socket.send(message).is_err() {
                return;
            }
        }
    });
    let rig = Rig::start(plain(peer.address, &echo_group(1, 100.0, 1, 64)));
    rig.connect(1);
    rig.steady(1_000);
    rig.until("all are sent", |progress| progress.counts.sent == 100);
    rig.published(&[]);
    rig.settled();
    let tally = rig.finish();
    assert_eq!((tally.counts.sent, tally.counts.received), (100, 100));
    // Due every 10 ms in a pause of 400: about 40 waited, for 400, 390, … ms. Without correction there is one.
    let waited = |hist: &epush_loadgen::hist::Hist| hist.0.len() - hist.0.count_between(0, 100 * MS);
    let (corrected, uncorrected) = (waited(&tally.latency), waited(&tally.latency_uncorrected));
    assert!(corrected >= 29, "{corrected} waited over 100 ms");
    assert!(corrected >= uncorrected + 20, "{uncorrected} of {corrected} without correction");
}

/// With one message under way at a time, all that is due after a server stopped answering is never sent: it is counted, with
/// the time it waited.
#[test]
fn what_is_due_and_never_sent_is_in_the_latency() {
    let peer = Peer::of_sockets(|mut socket, _| see_off(&mut socket));
    let rig = Rig::start(plain(peer.address, &echo_group(2, 100.0, 1, 64)));
    rig.connect(2);
    let from_ns = rig.steady(500);
    rig.until("the phase is over", |_| now_ns() > from_ns + 500 * MS);
    rig.published(&[]);
    // A report after that: everything that was due had its turn.
    rig.until("it is known", |progress| progress.counts.sent == 2 && !progress.settled);
    let tally = rig.finish();
    assert_eq!((tally.counts.sent, tally.counts.unsent, tally.counts.lost), (2, 98, 2));
    assert_eq!((tally.latency.0.len(), tally.latency_uncorrected.0.len()), (98, 0));
    assert!(tally.latency.at(1.0) > 400 * MS, "the first of them waited longest: {}", tally.latency.at(1.0));
    assert_eq!(failure(&tally, "message never sent").0, 98);
}

#[test]
fn what_a_closed_session_did_not_send_is_counted_once() {
    let (go, told) = crossbeam_channel::unbounded::<()>();
    let peer = Peer::of_sockets(move |mut socket, _| {
        let _ = told.recv();
        let _ = socket.close(None);
        see_off(&mut socket);
    });
    let rig = Rig::start(plain(peer.address, &echo_group(1, 100.0, 1, 64)));
    rig.connect(1);
    let from_ns = rig.steady(60_000);
    rig.until("some are due", |_| now_ns() > from_ns + 100 * MS);
    go.send(()).unwrap();
    let closed = rig.until("it is closed", |progress| progress.counts.closed_by_server == 1).counts.unsent;
    rig.published(&[]);
    let counts = rig.finish().counts;
    assert!(counts.sent == 1 && counts.unsent >= 9 && counts.unsent == closed, "{counts:?}");
}

#[test]
fn what_the_server_does_not_read_waits_and_arrives_when_it_does() {
    let (go, told) = crossbeam_channel::unbounded::<()>();
    let peer = Peer::of_sockets(move |mut socket, _| {
        let _ = told.recv();
        echo(&mut socket);
    });
    let rig = Rig::start(plain(peer.address, &echo_group(1, 200.0, 0, 64 << 10)));
    rig.connect(1);
    rig.steady(1_000);
    let full = rig.until("some of it waits", |progress| progress.counts.backlog_bytes > 0);
    assert!(full.counts.sent > 0);
    rig.until("the phase is over", |progress| progress.counts.sent == 200);
    go.send(()).unwrap();
    rig.published(&[]);
    let settled = rig.settled();
    assert_eq!(settled.counts.backlog_bytes, 0);
    assert_eq!(rig.finish().counts.received, 200);
}

#[test]
fn a_server_that_never_reads_loses_its_client_before_the_tool_loses_its_memory() {
    let (stop, told) = crossbeam_channel::unbounded::<()>();
    let peer = Peer::of_sockets(move |socket, _| {
        let _ = told.recv();
        drop(socket);
    });
    let rig = Rig::start(plain(peer.address, &echo_group(1, 1_000.0, 0, 256 << 10)));
    rig.connect(1);
    rig.steady(60_000);
    let last = rig.until("it is given up", |progress| progress.counts.closed_by_server == 1);
    assert_eq!(last.counts.backlog_bytes, 0);
    assert!(failure(&rig.finish(), "the server stopped reading").1.contains("16 MiB"));
    drop(stop);
}

#[test]
fn the_close_frame_is_heard_though_sending_breaks_first() {
    let peer = Peer::of_sockets(|mut socket, _| {
        let _ = socket.read();
        // Closed on the spot: what the client sends meanwhile is answered by a reset, behind the close frame.
        let reason = tungstenite::protocol::CloseFrame { code: 4_000.into(), reason: "enough".into() };
        let _ = socket.close(Some(reason));
        let _ = socket.get_ref().shutdown(std::net::Shutdown::Write);
        see_off(&mut socket);
    });
    let rig = Rig::start(plain(peer.address, &echo_group(4, 1_000.0, 0, 64)));
    rig.connect(4);
    rig.steady(60_000);
    rig.until("all are closed", |progress| progress.counts.closed_by_server == 4);
    assert_eq!(failure(&rig.finish(), "closed with 4000 enough").0, 4);
}
