//! Whatever else connects: echoes, health checks, garbage, heads that never end.

use super::random::Random;
use super::wire::{BINARY, CLOSE, PING, PONG, TEXT, frame, message, take_frame, take_response};

pub enum Odd {
    Echo {
        open: bool,
        greeted: bool,
        sent: Vec<Vec<u8>>,
        bytes: Vec<u8>,
        closing: bool,
    },
    /// Pipelined health checks: asked and answered.
    Health {
        asked: usize,
        answered: usize,
        bytes: Vec<u8>,
    },
    Garbage,
    /// A head of which one byte comes at a time.
    Slow {
        at: usize,
    },
}

const HEAD: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";

impl Odd {
    pub fn new(random: &mut Random) -> Self {
        match random.below(5) {
            0 | 1 => Self::Echo { open: false, greeted: false, sent: Vec::new(), bytes: Vec::new(), closing: false },
            2 => Self::Health { asked: 0, answered: 0, bytes: Vec::new() },
            3 => Self::Garbage,
            _ => Self::Slow { at: 0 },
        }
    }

    pub fn act(&mut self, random: &mut Random) -> Vec<u8> {
        match self {
            Self::Echo { greeted, .. } if !*greeted => {
                *greeted = true;
                b"GET /echo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                  Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
                    .to_vec()
            }
            Self::Echo { open: true, sent, closing: false, .. } if random.one_in(4) => {
                let size = if random.one_in(8) { random.below(20_000) } else { random.below(300) };
                let payload = vec![b'e'; size];
                let opcode = *random.pick(&[TEXT, BINARY]);
                sent.push(payload.clone());
                message(random, opcode, &payload)
            }
            Self::Health { asked, .. } if random.one_in(6) => {
                let count = random.between(1, 40);
                *asked += count;
                HEAD.repeat(count)
            }
            Self::Garbage if random.one_in(5) => (0..random.between(1, 400)).map(|_| random.next() as u8).collect(),
            Self::Slow { at } if *at < HEAD.len() - 1 => {
                *at += 1;
                vec![HEAD[*at - 1]]
            }
            _ => Vec::new(),
        }
    }

    pub fn receive(&mut self, more: &[u8], random: &mut Random) -> Vec<u8> {
        match self {
            Self::Echo { open, sent, bytes, closing, .. } => {
                bytes.extend_from_slice(more);
                if !*open {
                    let Some(response) = take_response(bytes) else { return Vec::new() };
                    assert_eq!(response.status, 101);
                    *open = true;
                }
                let mut answer = Vec::new();
                while let Some(frame_in) = take_frame(bytes) {
                    match frame_in.opcode {
                        TEXT | BINARY => assert_eq!(frame_in.payload, sent.remove(0), "echoes in order"),
                        PING if !*closing => answer.extend(frame(random, true, PONG, &frame_in.payload)),
                        CLOSE => {
                            *closing = true;
                            answer.extend(frame(random, true, CLOSE, &frame_in.payload));
                        }
                        _ => {}
                    }
                }
                answer
            }
            Self::Health { answered, bytes, .. } => {
                bytes.extend_from_slice(more);
                while let Some(response) = take_response(bytes) {
                    assert!(response.status == 408 || response.body == b"ok");
                    *answered += usize::from(response.status == 200);
                }
                Vec::new()
            }
            Self::Garbage | Self::Slow { .. } => Vec::new(),
        }
    }

    /// At a quiet moment: everything asked for has come.
    pub fn settle(&self) {
        match self {
            Self::Echo { sent, closing, .. } => assert!(sent.is_empty() || *closing),
            Self::Health { asked, answered, .. } => assert_eq!(asked, answered),
            Self::Garbage | Self::Slow { .. } => {}
        }
    }
}
