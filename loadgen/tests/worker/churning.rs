//! Sessions that leave and come again.

use std::sync::atomic::Ordering;

use crate::peer::{Peer, close, see_off};
use crate::rig::{Rig, plain};

#[test]
fn sessions_leave_and_come_again_at_the_rate_asked_for() {
    let peer = Peer::of_sockets(|mut socket, _| see_off(&mut socket));
    let rig = Rig::start(plain(peer.address, "[[group]]\nclients = 5\nchurn_per_s = 50.0"));
    rig.connect(5);
    rig.steady(500);
    rig.until("twenty-five came again", |progress| progress.counts.ready == 30);
    rig.published(&[]);
    let tally = rig.finish();
    assert_eq!((tally.counts.started, tally.counts.closed_by_plan, tally.counts.closed_by_server), (30, 30, 0));
    assert_eq!((peer.taken.load(Ordering::SeqCst), tally.failures.len()), (30, 0));
    assert_eq!((tally.remaining.there, tally.remaining.gone), (5, 0), "who comes and goes as planned is there");
}

#[test]
fn churn_brings_back_in_turn_whom_the_server_closed() {
    let peer = Peer::of_sockets(|mut socket, number| match number {
        0..4 => close(&mut socket, 4_001, "not yet"),
        _ => see_off(&mut socket),
    });
    let rig = Rig::start(plain(peer.address, "[[group]]\nclients = 4\nchurn_per_s = 20.0"));
    rig.connect(4);
    rig.until("all are closed", |progress| progress.counts.closed_by_server == 4);
    rig.steady(190);
    rig.until("all are back", |progress| progress.counts.ready == 8);
    let tally = rig.finish();
    assert_eq!((tally.counts.started, tally.counts.closed_by_plan, tally.counts.closed_by_server), (8, 4, 4));
    assert_eq!((tally.remaining.there, tally.remaining.gone), (4, 0), "they are back");
}

#[test]
fn readers_that_are_slow_on_purpose_may_all_be_closed_and_others_may_not() {
    for (share, gone) in [(1.0, 0), (0.5, 2)] {
        let peer = Peer::of_sockets(|mut socket, _| close(&mut socket, 4_501, "slow consumer"));
        let group =
            format!("[[group]]\nclients = 4\nreader = {{ kind = \"slow\", share = {share:.1}, bytes_per_s = 1000 }}");
        let rig = Rig::start(plain(peer.address, &group));
        rig.worker.tell(epush_loadgen::talk::Order::Connect { at_ns: epush_loadgen::clock::now_ns() });
        rig.until("all are closed", |progress| progress.counts.closed_by_server == 4);
        rig.steady(1);
        rig.published(&[]);
        rig.settled();
        let remaining = rig.finish().remaining;
        assert_eq!((remaining.there, remaining.gone, remaining.is_nobody()), (0, gone, gone > 0), "{share}");
    }
}
