//! WebSocket itself.

use proptest::prelude::*;

use super::*;

fn kind(ended: Result<(), Ended>) -> (String, String) {
    match ended.unwrap_err() {
        Ended::Failed { kind, example } => (kind, example),
        Ended::Closed => panic!("it is no goodbye of two"),
    }
}

#[test]
fn a_ping_is_answered_with_what_it_carries() {
    let mut bench = subscriber();
    bench.receive(&server_frame(0x89, b"are you there")).unwrap();
    bench.receive(&server_frame(0x8a, b"unasked")).unwrap();
    assert_eq!(client_frames(&bench.out), [(frame::PONG, b"are you there".to_vec())]);
}

#[test]
fn the_servers_close_is_answered_and_is_a_failure() {
    let mut bench = subscriber();
    let (kind, example) = kind(bench.receive(&server_frame(0x88, b"\x11\x95slow consumer")));
    assert_eq!((kind.as_str(), example.as_str()), ("closed with 4501 slow consumer", "slow consumer"));
    assert_eq!(client_frames(&bench.out), [(frame::CLOSE, vec![0x11, 0x95])]);
    assert_eq!(bench.client.phase(), Phase::Closed);
    bench.turn(|client, turn| client.ended(false, turn));
    assert_eq!(bench.counts().closed_by_server, 1);
}

#[test]
fn a_close_of_ours_is_answered_and_is_none() {
    let mut bench = subscriber();
    bench.turn(|client, turn| client.leave(turn));
    assert_eq!(client_frames(&bench.out), [(frame::CLOSE, vec![0x03, 0xe8])]);
    assert_eq!(bench.client.phase(), Phase::Leaving);
    bench.message(0, 0);
    assert_eq!(bench.receive(&server_frame(0x88, b"\x03\xe8")), Err(Ended::Closed));
    let counts = bench.balanced();
    assert_eq!((counts.closed_by_plan, counts.closed_by_server, counts.received), (1, 0, 1));
}

#[test]
fn who_leaves_before_the_handshake_is_done_says_nothing() {
    let mut bench = Bench::of(SUBSCRIBER, 0);
    bench.turn(|client, turn| client.open(0, turn));
    bench.out.clear();
    bench.turn(|client, turn| client.leave(turn));
    assert_eq!((bench.client.phase(), bench.out.len()), (Phase::Closed, 0));
}

#[test]
fn violations_end_the_connection_and_every_byte_is_accounted_for() {
    for bytes in [
        server_frame(0xc1, b"compressed"),
        server_frame(0x80, b"continues nothing"),
        server_frame(0x88, b"\x03"),
        [server_frame(0x01, b"begun"), server_frame(0x81, b"another")].concat(),
        vec![0x81, 0x85, 1, 2, 3, 4, 5],
        server_frame(0x81, b"not a letter: \xff"),
        [server_frame(0x01, b"cut: \xc3"), server_frame(0x80, b"and never ended")].concat(),
        server_frame(0x88, b"\x11\x95why: \xc3"),
    ] {
        let mut bench = subscriber();
        let after = [bytes, server_frame(0x81, b"never seen")].concat();
        assert_eq!(kind(bench.receive(&after)).0, "broke RFC 6455");
        bench.turn(|client, turn| client.ended(false, turn));
        bench.balanced();
    }
}

#[test]
fn text_that_is_not_utf8_is_found_wherever_it_stands_and_bytes_may_be_anything() {
    let stamped = |bench: &Bench, end: &[u8]| [message(&bench.plan, 0, 0, 0).as_bytes(), end].concat();
    for end in [&b"\xff"[..], b"\xc3", b"\xed\xa0\x80"] {
        // The way of nearly all messages: with a stamp where it was in the one before.
        let mut bench = subscriber();
        bench.message(0, 0);
        let text = stamped(&bench, end);
        let (kind, example) = kind(bench.receive(&server_frame(0x81, &text)));
        assert_eq!((kind.as_str(), example.as_str()), ("broke RFC 6455", "a message of text is not UTF-8"));
        assert_eq!(bench.balanced().messages, 2, "its payload was as it was sent");

        let mut bench = subscriber();
        let text = stamped(&bench, end);
        bench.receive(&server_frame(0x82, &text)).unwrap();
        bench.receive(&server_frame(0x02, &text)).unwrap();
        bench.receive(&server_frame(0x80, b"")).unwrap();
        assert_eq!(bench.balanced().messages, 2, "no text");
    }
    let mut bench = subscriber();
    let (_, example) = kind(bench.receive(&server_frame(0x88, b"\x11\x95\xff")));
    assert_eq!(example, "the reason of a close frame is not UTF-8");
}

#[test]
fn fragments_may_cut_letters() {
    let mut bench = subscriber();
    let text = format!("ä{}ö", message(&bench.plan, 0, 0, 0));
    let (first, rest) = text.as_bytes().split_at(1);
    let (second, third) = rest.split_at(rest.len() - 1);
    for frame in [server_frame(0x01, first), server_frame(0x00, second), server_frame(0x80, third)] {
        bench.receive(&frame).unwrap();
    }
    bench.text(&text);
    assert_eq!(bench.balanced().messages, 2);
}

#[test]
fn a_message_over_the_limit_ends_the_connection() {
    let mut bench = subscriber();
    let piece = vec![b'a'; 1 << 20];
    bench.receive(&server_frame(0x01, &piece)).unwrap();
    for _ in 0..15 {
        bench.receive(&server_frame(0x00, &piece)).unwrap();
    }
    assert!(kind(bench.receive(&server_frame(0x00, b"x"))).1.contains("16 MiB"));
    bench.balanced();
}

#[test]
fn fragments_with_a_ping_between_are_one_message() {
    let mut bench = subscriber();
    let text = message(&bench.plan, 0, 0, 0);
    let (first, rest) = text.as_bytes().split_at(70);
    let (second, third) = rest.split_at(20);
    for frame in
        [server_frame(0x01, first), server_frame(0x89, b"?"), server_frame(0x00, second), server_frame(0x80, third)]
    {
        // A byte at a time, besides.
        frame.iter().for_each(|byte| bench.receive(&[*byte]).unwrap());
    }
    assert!(bench.client.begun.is_none());
    assert_eq!((bench.counts().messages, bench.counts().frames), (1, 6));
    assert_eq!(client_frames(&bench.out).len(), 1);
    bench.balanced();
}

#[test]
fn a_frame_that_never_ends_is_counted_as_begun() {
    let mut bench = subscriber();
    let whole = server_frame(0x81, &[b'a'; 1_000]);
    bench.receive(&whole[..777]).unwrap();
    assert_eq!(bench.balanced().bytes_partial, 777);
}

#[test]
fn an_announced_giant_costs_little_until_it_comes() {
    let mut bench = subscriber();
    let header = [0x82, 127, 0, 0, 0, 0, 1, 0, 0, 0];
    for byte in header {
        bench.receive(&[byte]).unwrap();
    }
    let held = bench.client.reserved_bytes();
    assert!(held <= 100_000, "{held} bytes");
    let piece = vec![0; 1 << 19];
    for _ in 0..32 {
        bench.receive(&piece).unwrap();
    }
    assert!(bench.client.begun.is_none(), "16 MiB just fit");
    bench.balanced();
}

#[test]
fn what_all_clients_begin_together_is_bounded_and_said() {
    let mut bench = subscriber();
    bench.recorder.held.begun_bytes_max = 250_000;
    let begin = |bench: &mut Bench, first: u8| bench.receive(&server_frame(first, &[b'a'; 60_000]));
    begin(&mut bench, 0x01).unwrap();
    // Another client of the same worker holds some, too.
    assert!(bench.recorder.held.begin(0, 130_000));
    begin(&mut bench, 0x00).unwrap();
    let ended = kind(begin(&mut bench, 0x00));
    assert_eq!(ended.0, "begun messages fill the tool's memory");
    assert!(ended.1.contains("more workers"), "{}", ended.1);
    bench.recorder.held.let_go(130_000);
    bench.balanced();

    // A frame that is whole in the end, and begun alone.
    let mut bench = subscriber();
    bench.recorder.held.begun_bytes_max = 250_000;
    let whole = server_frame(0x82, &[0; 200_000]);
    for _ in 0..3 {
        let (first, rest) = whole.split_at(100_000);
        bench.receive(first).unwrap();
        bench.receive(rest).unwrap();
        assert_eq!(bench.recorder.held.begun_bytes(), 0);
    }
    bench.receive(&whole[..70_000]).unwrap();
    bench.balanced();
}

#[test]
fn a_refused_handshake_is_a_failure_with_its_status() {
    let mut bench = Bench::of(SUBSCRIBER, 0);
    bench.turn(|client, turn| client.open(0, turn));
    let answer = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nfull";
    let (kind, example) = kind(bench.receive(answer));
    assert_eq!((kind.as_str(), example.as_str()), ("handshake answered 503", "Service Unavailable full"));
    bench.turn(|client, turn| client.ended(false, turn));
    assert_eq!(bench.balanced().failed, 1);
}

proptest! {
    #[test]
    fn it_does_not_matter_where_reads_cut_the_stream(
        cuts in prop::collection::vec(1_usize..400, 1..60),
        payloads in prop::collection::vec((0_u8..6, 0_usize..700), 1..40),
    ) {
        let mut bench = Bench::of(SUBSCRIBER, 0);
        bench.turn(|client, turn| client.open(0, turn));
        let mut stream = handshake::tests::good_answer(&bench.out).into_bytes();
        for text in [r#"{"op":"welcome"}"#, r#"{"op":"ok","id":1,"channel":"news"}"#] {
            stream.extend(server_frame(0x81, text.as_bytes()));
        }
        let mut seq = 0;
        let (mut missing, mut pings) = (0, 0);
        for (what, length) in payloads {
            match what {
                0 => {
                    stream.extend(server_frame(0x89, &vec![b'p'; length % 126]));
                    pings += 1;
                }
                1 => stream.extend(server_frame(0x82, &vec![0; length])),
                2 => {
                    seq += 1;
                    missing += 1;
                }
                3 => {
                    let text = message(&bench.plan, 0, seq, 0);
                    let at = length % text.len();
                    stream.extend(server_frame(0x01, &text.as_bytes()[..at]));
                    stream.extend(server_frame(0x80, &text.as_bytes()[at..]));
                    seq += 1;
                }
                _ => {
                    stream.extend(server_frame(0x81, message(&bench.plan, 0, seq, 0).as_bytes()));
                    seq += 1;
                }
            }
        }
        bench.out.clear();
        let mut rest = stream.as_slice();
        for cut in cuts.iter().cycle() {
            let (now, after) = rest.split_at((*cut).min(rest.len()));
            bench.receive(now).unwrap();
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(client_frames(&bench.out).iter().filter(|(opcode, _)| *opcode == frame::PONG).count(), pings);
        let counts = bench.settle(&[seq], &[]);
        prop_assert_eq!((counts.received, counts.lost, counts.messages), (seq - missing, missing, seq - missing));
        prop_assert_eq!(counts.bytes_partial, 0);
    }
}
