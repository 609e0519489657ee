//! Clients against a server that is a few lines of test: every byte it gets and every count it makes.

mod accounts;
mod dialects;
mod protocol;

use super::*;
use crate::talk::Counts;

/// A client, and the server's end of it.
struct Bench {
    plan: Plan,
    recorder: Recorder,
    client: Client,
    out: Vec<u8>,
    now_ns: u64,
    /// Bytes handed to the client.
    bytes: u64,
}

impl Bench {
    fn of(scenario: &str, number: u32) -> Self {
        let plan = Plan::new(toml::from_str(&format!("name = \"test\"\n{scenario}")).unwrap()).unwrap();
        let mut recorder = Recorder::new(&plan);
        // Time is the test's, and begins with 0.
        recorder.earliest_ns = 0;
        Self { plan, recorder, client: Client::new(number), out: Vec::new(), now_ns: 1_000, bytes: 0 }
    }

    fn turn<T>(&mut self, act: impl FnOnce(&mut Client, &mut Turn<'_>) -> T) -> T {
        let Self { plan, recorder, client, out, now_ns, .. } = self;
        act(client, &mut Turn { plan, recorder, out, now_ns: *now_ns })
    }

    fn receive(&mut self, bytes: &[u8]) -> Result<(), Ended> {
        self.bytes += bytes.len() as u64;
        self.turn(|client, turn| client.receive(bytes, turn))
    }

    fn text(&mut self, text: &str) {
        self.receive(&server_frame(0x80 | frame::TEXT, text.as_bytes())).unwrap();
    }

    /// Opens it, and gives the good answer.
    fn shake_hands(&mut self) {
        let due_ns = self.now_ns - 500;
        self.out.clear();
        self.turn(|client, turn| client.open(due_ns, turn));
        let answer = handshake::tests::good_answer(&std::mem::take(&mut self.out));
        self.receive(answer.as_bytes()).unwrap();
    }

    /// Payloads of the frames the client sent since the last look, unmasked.
    fn sent(&mut self) -> Vec<String> {
        let out = std::mem::take(&mut self.out);
        client_frames(&out).into_iter().map(|(_, payload)| String::from_utf8(payload).unwrap()).collect()
    }

    fn counts(&self) -> Counts {
        *self.recorder.counts()
    }

    fn message(&mut self, stream: u32, seq: u64) {
        self.text(&message(&self.plan, stream, seq, self.now_ns));
    }

    fn settle(&mut self, published: &[u64], refused: &[(u32, u64)]) -> Counts {
        self.recorder.published(published.to_vec(), refused);
        self.turn(|client, turn| client.settle(0, turn));
        self.balanced()
    }

    /// The counts, which must agree with each other and with the bytes.
    fn balanced(&mut self) -> Counts {
        self.turn(|client, turn| client.ended(true, turn));
        let counts = self.counts();
        assert_eq!(self.recorder.held.begun_bytes(), 0, "who is gone holds nothing");
        assert_eq!(counts.expected, counts.received + counts.gaps + counts.lost);
        assert_eq!(self.bytes, counts.bytes_handshake + counts.bytes_frames + counts.bytes_partial);
        counts
    }
}

/// As epush sends it, written when it was due.
fn message(plan: &Plan, stream: u32, seq: u64, due_ns: u64) -> String {
    let mut payload = Vec::new();
    Stamp { run: plan.run, intended_ns: due_ns, slip_us: 0, stream, seq }
        .write(plan.payload_bytes(stream), &mut payload);
    format!("{{\"op\":\"message\",\"channel\":\"news\",\"data\":\"{}\"}}", String::from_utf8(payload).unwrap())
}

fn server_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        short @ 0..=125 => frame.push(short as u8),
        medium @ 126..=65_535 => {
            frame.push(126);
            frame.extend_from_slice(&(medium as u16).to_be_bytes());
        }
        long => {
            frame.push(127);
            frame.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame
}

fn client_frames(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let [first, second, rest @ ..] = bytes {
        assert!(second & 0x80 != 0, "clients mask");
        let (length, rest) = match second & 0x7f {
            126 => (usize::from(u16::from_be_bytes([rest[0], rest[1]])), &rest[2..]),
            short => (usize::from(short), rest),
        };
        let mut payload = rest[4..4 + length].to_vec();
        epush_core::wire::websocket::mask_in_place(&mut payload, rest[..4].try_into().unwrap());
        frames.push((first & 15, payload));
        bytes = &rest[4 + length..];
    }
    frames
}

const SUBSCRIBER: &str = r#"
[[group]]
clients = 2
channels = ["news"]
[[publisher]]
to = { channels = ["news"] }
rate_per_s = 1000.0
payload_bytes = 128
"#;

/// A subscriber of the channel that is ready.
fn subscriber() -> Bench {
    let mut bench = Bench::of(SUBSCRIBER, 0);
    bench.shake_hands();
    bench.text(r#"{"op":"welcome","session":"s"}"#);
    bench.text(r#"{"op":"ok","id":1,"channel":"news"}"#);
    bench.out.clear();
    assert_eq!(bench.client.phase(), Phase::Ready);
    bench
}

#[test]
fn a_client_is_small() {
    assert!(size_of::<Client>() <= 128, "{} bytes", size_of::<Client>());
}
