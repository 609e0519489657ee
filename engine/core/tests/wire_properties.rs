//! Properties of the wire formats: however bytes are cut, they mean the same, and nothing a peer sends panics.

use epush_core::wire::http::{self, Body, BodyFraming, BodyStep, HeadScan};
use epush_core::wire::proxy;
use epush_core::wire::websocket::{self, Decoder, FrameLimits, Item, OpCode};
use proptest::collection::vec;
use proptest::prelude::*;

#[path = "../fuzz/targets_common.rs"]
mod targets_common;

const LIMITS: FrameLimits = FrameLimits { message_bytes_max: 1 << 20, fragments_max: 64 };

/// What a client sends: a message in so many fragments, or a control frame.
#[derive(Clone, Debug)]
enum Sent {
    Text(String, Vec<usize>),
    Binary(Vec<u8>, Vec<usize>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
}

fn sent() -> impl Strategy<Value = Sent> {
    let cuts = || vec(0..400_usize, 0..4);
    prop_oneof![
        (any::<String>(), cuts()).prop_map(|(text, cuts)| Sent::Text(text, cuts)),
        ("[a-z€𐍈]{120,140}", cuts()).prop_map(|(text, cuts)| Sent::Text(text, cuts)),
        (vec(any::<u8>(), 0..400), cuts()).prop_map(|(bytes, cuts)| Sent::Binary(bytes, cuts)),
        vec(any::<u8>(), 0..=125).prop_map(Sent::Ping),
        vec(any::<u8>(), 0..=125).prop_map(Sent::Pong),
    ]
}

/// A frame of a client: the engine's own, with a mask put in.
fn client_frame(out: &mut Vec<u8>, opcode: u8, last: bool, payload: &[u8], mask: [u8; 4]) {
    let mut frame = Vec::new();
    websocket::frame_into(&mut frame, OpCode::from(opcode), payload);
    let header_len = frame.len() - payload.len();
    frame[0] &= if last { 0xff } else { 0x7f };
    frame[1] |= 0x80;
    websocket::mask_in_place(&mut frame[header_len..], mask);
    frame.splice(header_len..header_len, mask);
    out.extend(frame);
}

/// A message in fragments, with a ping between each two of them.
fn client_message(out: &mut Vec<u8>, opcode: u8, payload: &[u8], cuts: &[usize], mask: [u8; 4]) -> usize {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| *cut.min(&payload.len())).collect();
    cuts.sort_unstable();
    let mut start = 0;
    for (index, end) in cuts.iter().enumerate() {
        client_frame(out, if index == 0 { opcode } else { 0 }, false, &payload[start..*end], mask);
        client_frame(out, 9, true, b"between", mask);
        start = *end;
    }
    client_frame(out, if cuts.is_empty() { opcode } else { 0 }, true, &payload[start..], mask);
    cuts.len()
}

/// The bytes of all that was sent, and what should come out.
fn encoded(all: &[Sent], mask: [u8; 4]) -> (Vec<u8>, Vec<String>) {
    let (mut bytes, mut expected) = (Vec::new(), Vec::new());
    for sent in all {
        let pings = match sent {
            Sent::Text(text, cuts) => client_message(&mut bytes, 1, text.as_bytes(), cuts, mask),
            Sent::Binary(payload, cuts) => client_message(&mut bytes, 2, payload, cuts, mask),
            Sent::Ping(payload) => client_message(&mut bytes, 9, payload, &[], mask),
            Sent::Pong(payload) => client_message(&mut bytes, 10, payload, &[], mask),
        };
        expected.extend((0..pings).map(|_| format!("{:?}", Item::Ping(b"between"))));
        expected.push(match sent {
            Sent::Text(text, _) => format!("{:?}", Item::Text(text)),
            Sent::Binary(payload, _) => format!("{:?}", Item::Binary(payload)),
            Sent::Ping(payload) => format!("{:?}", Item::Ping(payload)),
            Sent::Pong(payload) => format!("{:?}", Item::Pong(payload)),
        });
    }
    (bytes, expected)
}

/// Cuts `bytes` into pieces of these lengths, over and over.
fn pieces<'a>(mut bytes: &'a mut [u8], lengths: &[usize]) -> Vec<&'a mut [u8]> {
    let mut pieces = Vec::new();
    for length in lengths.iter().cycle() {
        if bytes.is_empty() {
            break;
        }
        let (piece, rest) = bytes.split_at_mut((*length).clamp(1, bytes.len()));
        pieces.push(piece);
        bytes = rest;
    }
    pieces
}

proptest! {
    #[test]
    fn messages_come_out_as_they_went_in_however_they_are_cut(
        all in vec(sent(), 1..6),
        mask in any::<[u8; 4]>(),
        lengths in vec(1..300_usize, 1..8),
    ) {
        let (mut bytes, expected) = encoded(&all, mask);
        let mut decoder = Decoder::default();
        let (mut items, mut received) = (Vec::new(), 0);
        for mut input in pieces(&mut bytes, &lengths) {
            received += input.len();
            while let Some(item) = decoder.next(&mut input, &LIMITS).expect("valid frames") {
                items.push(format!("{item:?}"));
            }
            prop_assert!(decoder.held_bytes() <= 2 * received + 512);
        }
        prop_assert_eq!(items, expected);
        prop_assert!(decoder.is_idle());
    }

    #[test]
    fn an_announced_length_costs_no_more_than_what_came(
        announced in 200..16_u64 << 20,
        lengths in vec(1..5_000_usize, 1..20),
        last in any::<bool>(),
    ) {
        let limits = FrameLimits { message_bytes_max: 16 << 20, fragments_max: 1_000 };
        let mut decoder = Decoder::default();
        let mut header = vec![if last { 0x82 } else { 0x02 }, 0x80 | if announced > 65_535 { 127 } else { 126 }];
        if announced > 65_535 {
            header.extend(announced.to_be_bytes());
        } else {
            header.extend((announced as u16).to_be_bytes());
        }
        header.extend([1, 2, 3, 4]);
        prop_assert_eq!(decoder.next(&mut &mut header[..], &limits), Ok(None));
        let mut received = 0;
        for length in lengths {
            if (received + length) as u64 >= announced {
                break;
            }
            received += length;
            let mut payload = vec![7; length];
            prop_assert_eq!(decoder.next(&mut &mut payload[..], &limits), Ok(None));
            prop_assert!(decoder.held_bytes() <= 2 * received + 512);
            prop_assert!(!last || decoder.held_bytes() as u64 <= announced + 512);
        }
    }

    #[test]
    fn text_is_refused_exactly_when_it_is_not_utf8(
        payload in vec(prop_oneof![any::<u8>(), Just(b'a'), Just(0xe2), Just(0x82), Just(0xac)], 0..40),
        lengths in vec(1..8_usize, 1..4),
        cut in 0..40_usize,
    ) {
        let mut bytes = Vec::new();
        client_message(&mut bytes, 1, &payload, &[cut], [9, 8, 7, 6]);
        let mut decoder = Decoder::default();
        let mut outcome = Ok(None);
        for mut input in pieces(&mut bytes, &lengths) {
            loop {
                match decoder.next(&mut input, &LIMITS) {
                    Ok(Some(Item::Text(text))) => outcome = Ok(Some(text.as_bytes().to_vec())),
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(error) => {
                        outcome = Err(error);
                        break;
                    }
                }
            }
            if outcome.is_err() {
                break;
            }
        }
        match std::str::from_utf8(&payload) {
            Ok(_) => prop_assert_eq!(outcome, Ok(Some(payload))),
            Err(_) => prop_assert_eq!(outcome, Err(websocket::FrameError::BadUtf8)),
        }
    }

    #[test]
    fn noise_breaks_nothing(noise in vec(any::<u8>(), 0..600)) {
        targets_common::request_head(&noise);
        targets_common::frames(&noise);
        let _ = proxy::parse(&noise);
    }

    #[test]
    fn noise_after_a_good_beginning_breaks_nothing(noise in vec(any::<u8>(), 0..200)) {
        targets_common::request_head(&[b"POST /p HTTP/1.1\r\nHost: x\r\n", &noise[..]].concat());
        targets_common::request_head(&[b"POST /p HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", &noise[..]].concat());
        let _ = proxy::parse(&[b"\r\n\r\n\0\r\nQUIT\n\x21", &noise[..]].concat());
    }

    #[test]
    fn a_request_says_what_the_client_wrote(
        method in "[A-Z]{1,10}",
        path in "(/[^%?#]{0,10}){1,3}",
        query in vec(("[^\u{0}]{1,10}", any::<String>()), 0..4),
        headers in vec(("X-[A-Za-z0-9-]{1,12}", "[!-~]([ -~]{0,20}[!-~])?"), 0..10),
        lengths in vec(1..50_usize, 1..5),
    ) {
        prop_assume!(!path.chars().any(|letter| letter.is_ascii_control()));
        let escape = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
        let escaped_path: Vec<_> = path.split('/').map(escape).collect();
        let pairs: Vec<_> = query.iter().map(|(key, value)| format!("{}={}", escape(key), escape(value))).collect();
        let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let request = format!(
            "{method} {}?{} HTTP/1.1\r\nHost: x\r\n{lines}\r\n",
            escaped_path.join("/"), pairs.join("&"),
        );
        let mut bytes = request.clone().into_bytes();
        let ends = pieces(&mut bytes, &lengths).iter().scan(0, |end, piece| { *end += piece.len(); Some(*end) }).collect::<Vec<_>>();
        let mut scan = HeadScan::default();
        let mut found = None;
        for end in ends {
            prop_assert!(found.is_none());
            found = scan.parse(&request.as_bytes()[..end]).expect("a good request");
        }
        let (head, used) = found.expect("whole");
        prop_assert_eq!(used, request.len());
        prop_assert_eq!(head.method(), method);
        prop_assert_eq!(head.path(), path);
        let read: Vec<_> = head.query().iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        prop_assert_eq!(read, query);
        let read: Vec<_> = head.headers().skip(1)
            .map(|(name, value)| (name.to_owned(), String::from_utf8(value.to_vec()).expect("ASCII"))).collect();
        prop_assert_eq!(read, headers);
    }

    #[test]
    fn a_body_is_the_same_in_chunks_of_any_size_and_reads_of_any_size(
        chunks in vec(vec(any::<u8>(), 0..300), 0..8),
        behind in vec(any::<u8>(), 0..20),
        lengths in vec(1..200_usize, 1..6),
    ) {
        let mut bytes = Vec::new();
        for chunk in &chunks {
            http::write_chunk(&mut bytes, chunk);
        }
        http::write_last_chunk(&mut bytes);
        bytes.extend(&behind);
        let mut body = Body::new(BodyFraming::Chunked, 10_000).expect("no length announced");
        let (mut content, mut left) = (Vec::new(), Vec::new());
        for input in pieces(&mut bytes, &lengths) {
            let mut input = &*input;
            while let BodyStep::Piece(piece) = body.next(&mut input).expect("good chunks") {
                content.extend_from_slice(piece);
            }
            left.extend_from_slice(input);
        }
        prop_assert!(body.is_at_end());
        prop_assert_eq!(content, chunks.concat());
        prop_assert_eq!(left, behind);
    }

    #[test]
    fn a_close_reason_of_any_text_fits_and_reads_back(code in 3_000..5_000_u16, reason in any::<String>()) {
        let payload = websocket::close_payload(code, &reason);
        let mut bytes = Vec::new();
        client_frame(&mut bytes, 8, true, &payload, [5, 6, 7, 8]);
        let mut decoder = Decoder::default();
        let mut input = &mut bytes[..];
        let Ok(Some(Item::Close(Some((read, text))))) = decoder.next(&mut input, &LIMITS) else { panic!("a close") };
        prop_assert_eq!(read, code);
        prop_assert!(reason.starts_with(text));
        prop_assert!(text == reason || (120..=123).contains(&text.len()));
    }
}
