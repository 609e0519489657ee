//! One WebSocket connection: a thread that reads what the client says, and one that writes, with the faults of the script.

use std::io::Write as _;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use epush_loadgen::clock::now_ns;
use epush_loadgen::stamp::Stamp;
use socket2::SockRef;

use crate::book::{Entry, To};
use crate::hub::{Hub, Say};
use crate::script::{Damage, End, Fate, Fault, Oddity, Violation, Welcome};
use crate::wire::{self, BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT};

/// That of a run long ago. A run of today has it once in four thousand million.
const OTHER_RUN: u32 = 0x0ddb_a115;

/// Serves a connection until it is over.
pub fn serve(mut stream: TcpStream, hub: &Arc<Hub>) {
    let Ok(head) = wire::read_head(&mut stream) else { return };
    // A publisher is nobody's client: nothing is done wrong to it but to its publications.
    let client = wire::path(&head).strip_prefix("/s/user-").and_then(|number| number.parse().ok());
    let welcome = client.map_or(Welcome::Good, |client| (hub.script.welcome)(client));
    let mut writer = Writer { stream, client, hub: Arc::clone(hub), held: Vec::new() };
    if let Some(client) = client.filter(|_| !welcome.lets_in()) {
        hub.book().turned_away.push((client, welcome));
    }
    let answer = match welcome {
        Welcome::Status(status) => format!("HTTP/1.1 {status} No\r\ncontent-length: 4\r\n\r\nnope"),
        Welcome::Garbage => String::from("SSH-2.0-OpenSSH_9.2\r\n"),
        Welcome::WrongKey => wire::upgrade("another"),
        Welcome::Silence => String::new(),
        Welcome::EndAtOnce => return,
        Welcome::Good | Welcome::Replays | Welcome::RefusesToSubscribe | Welcome::NeverJoins => {
            wire::upgrade(wire::header(&head, "Sec-WebSocket-Key").expect("a handshake has a key"))
        }
    };
    writer.put(answer.as_bytes());
    if answer.starts_with("HTTP/1.1 101") && welcome != Welcome::WrongKey {
        writer.put(&wire::frame(TEXT, b"welcome"));
    }
    writer.converse(welcome);
}

/// What the client says.
struct Reader {
    stream: TcpStream,
    client: Option<u32>,
    welcome: Welcome,
    hub: Arc<Hub>,
    say: Sender<Say>,
}

impl Reader {
    fn run(mut self) {
        while let Ok((opcode, payload)) = wire::read_frame(&mut self.stream) {
            match opcode {
                CLOSE => {
                    let _ = self.say.send(Say::Goodbye);
                    break;
                }
                PONG => self.hub.book().pongs += 1,
                TEXT | BINARY => self.hear(&payload),
                other => panic!("a client says nothing of opcode {other}"),
            }
        }
        if let Some(client) = self.client {
            self.hub.leave(client);
        }
    }

    fn hear(&mut self, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        let (verb, rest) = text.split_once(' ').expect("a verb, and what it is about");
        match (verb, self.client) {
            ("sub", Some(client)) => self.join(client, rest),
            ("echo", Some(client)) => drop(self.hub.publish(To::Client(client), rest.as_bytes())),
            ("to", Some(_)) => {
                let (user, payload) = rest.split_once(' ').expect("to whom, and what");
                let to = user.strip_prefix("user-").and_then(|number| number.parse().ok()).expect("a client");
                self.hub.publish(To::Client(to), payload.as_bytes());
            }
            ("pub", _) => {
                let (channel, payload) = rest.split_once(' ').expect("a channel, and what");
                let answer = match self.hub.publish(To::Channel(channel.into()), payload.as_bytes()) {
                    Fate::Taken | Fate::Forgotten => return,
                    Fate::Refused | Fate::RefusedAndSent => Say::Word(format!("refused {payload}")),
                    Fate::Unanswered => Say::HangUp,
                };
                let _ = self.say.send(answer);
            }
            _ => panic!("nobody says {text}"),
        }
    }

    fn join(&mut self, client: u32, channel: &str) {
        match self.welcome {
            // Once: then the client is gone.
            Welcome::RefusesToSubscribe => {
                self.welcome = Welcome::NeverJoins;
                self.answer("refused, as always");
            }
            Welcome::NeverJoins => {}
            _ => {
                if !self.hub.book().sessions.contains_key(&client) {
                    self.hub.join(client, To::Client(client), self.say.clone());
                }
                self.hub.join(client, To::Channel(channel.to_owned()), self.say.clone());
                self.hub.book().sessions.entry(client).or_default().channels.push(channel.to_owned());
                self.answer("joined");
                if self.welcome == Welcome::Replays {
                    (0..10).for_each(|seq| drop(self.say.send(Say::Old(0, seq))));
                }
            }
        }
    }

    fn answer(&self, word: &str) {
        // The writer may be gone, and the client with it.
        let _ = self.say.send(Say::Word(word.to_owned()));
    }
}

/// What it is told.
struct Writer {
    stream: TcpStream,
    client: Option<u32>,
    hub: Arc<Hub>,
    /// Messages that go out later, and how many go before them.
    held: Vec<(usize, u32, u64, Vec<u8>)>,
}

/// Whether a connection goes on.
#[derive(PartialEq)]
enum Flow {
    On,
    Over,
    Reset,
}

impl Writer {
    /// Reads and writes until the connection is over.
    fn converse(mut self, welcome: Welcome) {
        let (say, told) = mpsc::channel();
        let stream = self.stream.try_clone().unwrap();
        let reader = Reader { stream, client: self.client, welcome, hub: Arc::clone(&self.hub), say };
        let reader = thread::spawn(move || reader.run());
        let flow = self.run(&told);
        if flow == Flow::Reset {
            // The reader has the same socket: it is let go, so that closing it is the end of it.
            let _ = self.stream.shutdown(Shutdown::Read);
            reader.join().unwrap();
            SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).unwrap();
            return;
        }
        drop(told);
        reader.join().unwrap();
    }

    fn run(&mut self, told: &Receiver<Say>) -> Flow {
        while let Ok(say) = told.recv() {
            let flow = match say {
                Say::Word(word) => self.put(&wire::frame(TEXT, word.as_bytes())),
                Say::Message(stream, seq, payload) => self.message(stream, seq, &payload),
                Say::Old(stream, seq) => self.old(stream, seq, 100),
                Say::Goodbye => {
                    self.put(&wire::frame(CLOSE, &1_000_u16.to_be_bytes()));
                    Flow::Over
                }
                Say::HangUp => {
                    let _ = self.stream.shutdown(Shutdown::Both);
                    Flow::Over
                }
            };
            if flow != Flow::On {
                return flow;
            }
        }
        Flow::Over
    }

    /// A message's turn: it goes out, with all that the script has for it; then those that were held for so long.
    fn message(&mut self, stream: u32, seq: u64, payload: &[u8]) -> Flow {
        let client = self.client.expect("publishers get no messages");
        let faults = (self.hub.script.faults)(client, stream, seq);
        let (mut copies, mut late, mut oddity) = (1, None, None);
        for fault in faults {
            match fault {
                Fault::Drop => copies = 0,
                Fault::Again(times) => copies += times,
                Fault::Late(after) => late = Some(after),
                Fault::Damage(damage) => {
                    copies = 0;
                    self.put(&wire::frame(TEXT, &damaged(payload, damage)));
                    self.hub.note(client, Entry::Damaged);
                }
                Fault::Announce(count) => {
                    self.put(&wire::frame(TEXT, format!("gap {count}").as_bytes()));
                    self.hub.note(client, Entry::Announced(count));
                }
                Fault::Stall(ms) => thread::sleep(Duration::from_millis(ms)),
                Fault::Oddly(how) => oddity = Some(how),
                Fault::End(end) => return self.end(client, end, payload),
            }
        }
        if let (Some(after), true) = (late, copies > 0) {
            self.held.push((after, stream, seq, payload.to_vec()));
            copies = 0;
        }
        (0..copies).for_each(|_| self.send(client, stream, seq, payload, oddity));
        self.release(client);
        Flow::On
    }

    /// What an earlier run left: whole, and due at the first nanosecond of the clock.
    fn old(&mut self, stream: u32, seq: u64, payload_bytes: usize) -> Flow {
        let mut payload = Vec::new();
        Stamp { run: OTHER_RUN, intended_ns: 1, slip_us: 0, stream, seq }.write(payload_bytes, &mut payload);
        self.hub.note(self.client.expect("publishers get no messages"), Entry::Old);
        self.put(&wire::frame(TEXT, &payload))
    }

    fn release(&mut self, client: u32) {
        let (ripe, held) = std::mem::take(&mut self.held).into_iter().partition(|(after, ..)| *after == 0);
        let ripe: Vec<(usize, u32, u64, Vec<u8>)> = ripe;
        self.held = held;
        self.held.iter_mut().for_each(|(after, ..)| *after -= 1);
        ripe.into_iter().for_each(|(_, stream, seq, payload)| self.send(client, stream, seq, &payload, None));
    }

    fn send(&mut self, client: u32, stream: u32, seq: u64, payload: &[u8], oddity: Option<Oddity>) {
        let due_ns = Stamp::read(payload).expect("it had a stamp when it came").intended_ns;
        self.hub.book().written_ns.push((due_ns, now_ns()));
        let flow = match oddity {
            None => self.put(&wire::frame(TEXT, payload)),
            Some(Oddity::Binary) => self.put(&wire::frame(BINARY, payload)),
            Some(Oddity::Trickle) => {
                let frame = wire::frame(TEXT, payload);
                for byte in frame {
                    self.put(&[byte]);
                }
                Flow::On
            }
            Some(Oddity::AfterNoise) => {
                let noise =
                    [wire::frame(TEXT, b"out of nowhere"), wire::frame(TEXT, b""), wire::frame(PONG, b"?")].concat();
                self.put(&[noise, wire::frame(TEXT, payload)].concat())
            }
            Some(Oddity::AfterAnOldOne) => {
                self.old(stream, seq, payload.len());
                self.put(&wire::frame(TEXT, payload))
            }
            Some(Oddity::AfterPing) => {
                self.hub.book().pings += 1;
                self.put(&[wire::frame(PING, b"there?"), wire::frame(TEXT, payload)].concat())
            }
            Some(Oddity::Fragments) => {
                self.hub.book().pings += 1;
                let (first, rest) = payload.split_at(20);
                let (second, third) = rest.split_at(20);
                self.put(&wire::part(TEXT, first));
                self.put(&[wire::part(CONTINUATION, second), wire::frame(PING, b"!")].concat());
                self.put(&wire::frame(CONTINUATION, third))
            }
        };
        if flow == Flow::On {
            self.hub.note(client, Entry::Message(stream, seq));
        }
    }

    fn end(&mut self, client: u32, end: End, payload: &[u8]) -> Flow {
        self.hub.note(client, Entry::Ended(end));
        let frame = wire::frame(TEXT, payload);
        match end {
            End::Close(code, reason) => {
                self.put(&wire::frame(CLOSE, &[&code.to_be_bytes(), reason.as_bytes()].concat()));
            }
            End::CloseEmpty => {
                self.put(&wire::frame(CLOSE, b""));
            }
            End::Reset => return Flow::Reset,
            End::Silent => {}
            End::HalfFrame => {
                self.put(&frame[..frame.len() / 2]);
            }
            End::Violation(violation) => {
                self.put(&violating(violation, payload));
            }
        }
        if matches!(end, End::Silent | End::HalfFrame) {
            let _ = self.stream.shutdown(Shutdown::Write);
        }
        Flow::Over
    }

    /// Writes bytes, and counts them where they go to a client.
    fn put(&mut self, bytes: &[u8]) -> Flow {
        if self.stream.write_all(bytes).is_err() {
            return Flow::Over;
        }
        if self.client.is_some() {
            self.hub.book().bytes += bytes.len() as u64;
        }
        Flow::On
    }
}

fn damaged(payload: &[u8], damage: Damage) -> Vec<u8> {
    let mut payload = payload.to_vec();
    match damage {
        Damage::Filler => *payload.last_mut().expect("it is filled up") = b'y',
        Damage::Stamp => payload[12] = b'?',
        Damage::Cut => drop(payload.pop()),
        Damage::Stretched => payload.push(b'x'),
    }
    payload
}

fn violating(violation: Violation, payload: &[u8]) -> Vec<u8> {
    match violation {
        Violation::Masked => [&[0x81, 0x80 | 5][..], &[1, 2, 3, 4], b"abcde"].concat(),
        Violation::ReservedBit => wire::part(0xc1, payload),
        Violation::UnknownOpcode => wire::part(0x83, payload),
        Violation::Oversize => [&[0x82, 127][..], &(1_u64 << 40).to_be_bytes()].concat(),
        Violation::LongPing => wire::frame(PING, &[b'x'; 200]),
        Violation::LooseContinuation => wire::frame(CONTINUATION, payload),
        Violation::HalfCode => wire::frame(CLOSE, &[3]),
    }
}
