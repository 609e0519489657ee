//! Publishers against servers that behave, and against those that do not.

mod conversation;
mod paces;

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::ledger::Ledger;
use super::testing::{OK, http, scenario, server, start, wait};
use crate::clock;
use crate::dialect::{Answer, Dialect, Step};
use crate::scenario::{Pace, To};
use crate::stamp::Stamp;

fn seqs(stamps: &crossbeam_channel::Receiver<Stamp>) -> Vec<u64> {
    stamps.try_iter().map(|stamp| stamp.seq).collect()
}

fn refused(ledger: &Ledger) -> Vec<u64> {
    let mut seqs: Vec<u64> = ledger.refused.iter().map(|(_, seq)| *seq).collect();
    seqs.sort_unstable();
    seqs
}

fn kinds(ledger: &Ledger) -> Vec<(&str, u64)> {
    ledger.failures.iter().map(|one| (one.kind.as_str(), one.count)).collect()
}

#[test]
fn every_message_that_is_due_arrives_once_and_in_order_with_its_due_time() {
    for pipelined in [false, true] {
        let (url, stamps) = server(|socket, _| socket.write_all(OK).is_ok());
        let mut scenario = scenario(&url, http(pipelined));
        scenario.publishers[0].pace = Pace::RatePerS(2_000.0);
        scenario.publishers[0].burst = 2;
        let (from_ns, ledger) = start(scenario).ready().publish(100, 10_000);
        assert_eq!((ledger.counts.as_slice(), ledger.refused_count), (&[200][..], 0), "{:?}", ledger.failures);
        let stamps: Vec<Stamp> = stamps.try_iter().collect();
        assert_eq!(stamps.len(), 200);
        for (seq, stamp) in (0..).zip(stamps) {
            assert_eq!((stamp.seq, stamp.intended_ns), (seq, from_ns + seq / 2 * 1_000_000));
        }
        assert_eq!((ledger.slip.0.len(), ledger.answered.0.len(), ledger.lateness.0.len()), (200, 200, 100));
    }
}

#[test]
fn refusals_are_listed_with_the_servers_words() {
    let (url, _stamps) = server(|socket, number| {
        let refusal = b"HTTP/1.1 500 Oops\r\ncontent-length: 6\r\n\r\nbroken";
        socket.write_all(if number % 10 == 3 { refusal } else { OK }).is_ok()
    });
    let (_, ledger) = start(scenario(&url, http(true))).ready().publish(200, 10_000);
    assert_eq!((ledger.counts[0], refused(&ledger)), (20, vec![3, 13]));
    assert_eq!(kinds(&ledger), [("publication answered 500", 2)]);
    assert_eq!(ledger.failures[0].example, "broken");
}

#[test]
fn a_redirection_is_a_refusal_and_is_not_followed() {
    let (url, stamps) = server(|socket, _| {
        let elsewhere = b"HTTP/1.1 307 Elsewhere\r\nlocation: /push\r\ncontent-length: 5\r\n\r\nthere";
        socket.write_all(elsewhere).is_ok()
    });
    let (_, ledger) = start(scenario(&url, http(false))).ready().publish(100, 10_000);
    assert_eq!((ledger.counts[0], ledger.refused_count, seqs(&stamps).len()), (10, 10, 10));
    assert_eq!(kinds(&ledger), [("publication answered 307", 10)]);
    assert_eq!(ledger.failures[0].example, "there");
}

#[test]
fn a_server_that_never_answers_delays_nothing_and_everything_is_accounted_for() {
    let (url, stamps) = server(|_, _| true);
    let (_, ledger) = start(scenario(&url, http(false))).ready().publish(200, 50);
    assert_eq!((ledger.counts[0], ledger.lateness.0.len()), (20, 20), "all were given out when due");
    assert_eq!(seqs(&stamps), [0]);
    assert_eq!(refused(&ledger), (0..20).collect::<Vec<_>>());
    assert_eq!(kinds(&ledger), [("publication never answered", 1), ("publication not sent", 19)]);
    assert!(ledger.backlog_bytes_max >= 19 * 64, "{}", ledger.backlog_bytes_max);
}

#[test]
fn servers_that_close_after_each_answer_get_everything_once() {
    for announced in [false, true] {
        let (url, stamps) = server(move |socket, _| {
            let closing: &[u8] = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
            socket.write_all(if announced { closing } else { OK }).expect("it reads");
            false
        });
        let mut scenario = scenario(&url, http(false));
        scenario.publishers[0].pace = Pace::RatePerS(20.0);
        let (_, ledger) = start(scenario).ready().publish(500, 10_000);
        assert_eq!((ledger.counts[0], kinds(&ledger)), (10, vec![]), "announced: {announced}");
        assert_eq!(seqs(&stamps), (0..10).collect::<Vec<_>>(), "announced: {announced}");
    }
}

#[test]
fn what_a_closing_server_did_not_look_at_goes_over_the_next_connection() {
    let (url, stamps) = server(|socket, _| {
        socket.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").expect("it reads");
        false
    });
    let mut scenario = scenario(&url, http(true));
    // Five at once on one connection: the server answers the first of them and closes.
    (scenario.publishers[0].pace, scenario.publishers[0].burst) = (Pace::RatePerS(50.0), 5);
    let (_, ledger) = start(scenario).ready().publish(100, 10_000);
    assert_eq!((ledger.counts[0], kinds(&ledger)), (5, vec![]));
    assert_eq!(seqs(&stamps), [0, 1, 2, 3, 4]);
}

#[test]
fn slow_and_chunked_answers_are_read() {
    let (url, stamps) = server(|socket, _| {
        let pieces: [&[u8]; 4] =
            [b"HTTP/1.1 200 OK\r\ntransfer-", b"encoding: chunked\r\n\r\n5\r", b"\nhello\r\n0\r\n", b"\r\n"];
        pieces.iter().all(|piece| {
            std::thread::yield_now();
            socket.write_all(piece).is_ok()
        })
    });
    let (_, ledger) = start(scenario(&url, http(false))).ready().publish(200, 10_000);
    assert_eq!((ledger.counts[0], ledger.refused_count, ledger.answered.0.len()), (20, 0, 20));
    assert_eq!(seqs(&stamps).len(), 20);
}

#[test]
fn the_schedule_holds_while_the_server_does_not_read() {
    let reads = Arc::new(AtomicBool::new(false));
    let gate = Arc::clone(&reads);
    let (url, stamps) = server(move |socket, number| {
        if number == 0 {
            wait(|| gate.load(Ordering::Relaxed));
        }
        socket.write_all(OK).is_ok()
    });
    let mut scenario = scenario(&url, http(true));
    // 100 MB: more than any socket holds.
    (scenario.publishers[0].pace, scenario.publishers[0].payload_bytes) = (Pace::RatePerS(500.0), 1 << 20);
    let running = start(scenario).ready();
    let from_ns = clock::now_ns();
    running.window(from_ns, 200, 20_000);
    let live = Arc::clone(&running.live);
    wait(|| live.published() == 100);
    let resumed_ns = clock::now_ns();
    reads.store(true, Ordering::Relaxed);
    let ledger = running.join();
    assert_eq!((ledger.counts[0], ledger.refused_count), (100, 0), "{:?}", ledger.failures);
    let stamps: Vec<Stamp> = stamps.try_iter().collect();
    assert!(stamps.iter().enumerate().all(|(at, stamp)| stamp.intended_ns == from_ns + at as u64 * 2_000_000));
    let last = stamps.last().expect("a hundred");
    let slip_ns = u64::from(last.slip_us) * 1_000;
    assert!(last.intended_ns + slip_ns >= resumed_ns - 1_000, "the last was written after the server read again");
    assert!(ledger.slip.at(1.0) >= slip_ns / 1_001 * 1_000 && ledger.backlog_bytes_max > 50 << 20);
}

#[test]
fn a_server_that_is_not_there_costs_every_message_and_the_words_say_so() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let running = start(scenario(&format!("ws://{gone}"), http(false)));
    let (_, ledger) = running.publish(200, 10_000);
    assert_eq!((ledger.counts[0], ledger.refused_count), (20, 20));
    let kinds = kinds(&ledger);
    assert!(kinds.contains(&("publication not sent", 20)), "{kinds:?}");
    assert!(kinds.iter().any(|(kind, _)| *kind == "publisher's connection: connection refused"), "{kinds:?}");
}

#[test]
fn a_broken_connection_is_opened_again_and_what_was_due_meanwhile_is_counted() {
    let broken = AtomicU64::new(0);
    let (url, stamps) = server(move |socket, number| {
        // The third publication of the first connection is the last thing it gets: no answer.
        if number == 2 && broken.fetch_add(1, Ordering::Relaxed) == 0 {
            return false;
        }
        socket.write_all(OK).is_ok()
    });
    let (_, ledger) = start(scenario(&url, http(false))).ready().publish(400, 10_000);
    let refused = refused(&ledger);
    let arrived = seqs(&stamps);
    assert_eq!(ledger.counts[0], 40);
    assert!(refused.contains(&2) && arrived.contains(&2), "unanswered, though it arrived: {refused:?}");
    let mut known: Vec<u64> = refused.iter().chain(&arrived).copied().collect();
    known.sort_unstable();
    known.dedup();
    assert_eq!(known, (0..40).collect::<Vec<_>>(), "each either arrived or is listed");
    assert_eq!(arrived.last(), Some(&39), "it publishes again");
}

#[test]
fn streams_keep_to_their_connection() {
    let (url, stamps) = server(|socket, _| socket.write_all(OK).is_ok());
    let mut scenario = scenario(&url, http(false));
    scenario.publishers[0].to = To::ChannelRange { name: String::from("c"), count: 6 };
    (scenario.publishers[0].connections, scenario.publishers[0].pace) = (3, Pace::RatePerS(1_000.0));
    let (_, ledger) = start(scenario).ready().publish(100, 10_000);
    assert_eq!(ledger.counts, [17, 17, 17, 17, 16, 16]);
    let mut next = [0; 6];
    for stamp in stamps.try_iter() {
        assert_eq!(stamp.seq, next[stamp.stream as usize], "in order");
        next[stamp.stream as usize] += 1;
    }
    assert_eq!(next.to_vec(), ledger.counts);
}

/// A WebSocket server that wants a greeting, asks whether the client lives, and refuses each number that ends in 3, once
/// with the payload and once without; after so many messages it closes the first connection.
fn websocket_server(close_after: u64) -> (String, crossbeam_channel::Receiver<Stamp>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let (arrived, stamps) = crossbeam_channel::unbounded();
    std::thread::spawn(move || {
        for (at, socket) in listener.incoming().flatten().enumerate() {
            let close_after = if at == 0 { close_after } else { u64::MAX };
            let arrived = arrived.clone();
            std::thread::spawn(move || converse(socket, close_after, &arrived));
        }
    });
    (url, stamps)
}

fn converse(socket: TcpStream, close_after: u64, arrived: &crossbeam_channel::Sender<Stamp>) -> Option<()> {
    use tungstenite::Message;
    let mut socket = tungstenite::accept(socket).ok()?;
    let next = |socket: &mut tungstenite::WebSocket<TcpStream>| loop {
        match socket.read().ok()? {
            Message::Text(text) => return Some(text.to_string()),
            Message::Close(_) => return None,
            _ => {}
        }
    };
    socket.send(Message::text("who is it")).ok()?;
    assert_eq!(next(&mut socket)?, "me");
    socket.send(Message::text("alive?")).ok()?;
    assert_eq!(next(&mut socket)?, "yes");
    socket.send(Message::text("welcome")).ok()?;
    for _ in 0..close_after {
        let text = next(&mut socket)?;
        let stamp = Stamp::read(text.strip_prefix("say ").expect("a publication").as_bytes()).expect("a stamp");
        arrived.send(stamp).ok()?;
        match stamp.seq {
            3 => socket.send(Message::text(format!("no: {text}"))).ok()?,
            13 => socket.send(Message::text("no: too much")).ok()?,
            _ => {}
        }
    }
    socket.close(None).ok()
}

fn talkative() -> Dialect {
    Dialect {
        open: vec![Step { after: Some("who".into()), send: Some("me".into()), until: Some("welcome".into()) }],
        answer: vec![Answer { when: "alive?".into(), send: "yes".into() }],
        publish: Some("say {payload}".into()),
        error: Some("no: ".into()),
        ..Dialect::default()
    }
}

#[test]
fn over_websocket_steps_answers_and_refusals_are_understood() {
    let (url, stamps) = websocket_server(u64::MAX);
    let (from_ns, ledger) = start(scenario(&url, talkative())).ready().publish(200, 10_000);
    let arrived: Vec<Stamp> =
        (0..20).map(|_| stamps.recv_timeout(std::time::Duration::from_secs(10)).unwrap()).collect();
    assert!(arrived.iter().enumerate().all(|(at, stamp)| stamp.seq == at as u64));
    assert_eq!(arrived[7].intended_ns, from_ns + 70_000_000);
    assert_eq!(ledger.counts, [20]);
    assert_eq!((refused(&ledger), ledger.refused_count), (vec![3], 2), "one of them did not say which");
    assert_eq!(kinds(&ledger), [("publication refused", 2)]);
}

#[test]
fn a_websocket_that_the_server_closes_is_opened_again() {
    let (url, stamps) = websocket_server(3);
    let (_, ledger) = start(scenario(&url, talkative())).ready().publish(500, 10_000);
    assert_eq!(ledger.counts, [50]);
    let kinds = kinds(&ledger);
    assert!(kinds.iter().any(|(kind, _)| kind.starts_with("publisher's connection: closed")), "{kinds:?}");
    let mut known = refused(&ledger);
    wait(|| {
        known.extend(seqs(&stamps));
        known.contains(&49)
    });
    known.sort_unstable();
    known.dedup();
    // What was written in the moment the server closed is neither refused nor arrived: the receivers miss it.
    assert!(known.len() >= 45, "{known:?}");
}
