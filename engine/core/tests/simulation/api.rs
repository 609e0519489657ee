//! A back end that calls the API: pipelined requests, bodies in chunks, batches, bodies cut short.

use std::collections::VecDeque;

use serde_json::Value;

use super::random::Random;
use super::wire::take_response;

#[derive(Default)]
pub struct ApiPeer {
    next: u64,
    /// The numbers each response has to carry, in order.
    expected: VecDeque<Vec<u64>>,
    bytes: Vec<u8>,
    /// A body was cut short: refused, or just closed.
    pub cut: bool,
    pub calm: bool,
    /// The node said that it closes.
    pub closed: bool,
}

impl ApiPeer {
    pub fn act(&mut self, random: &mut Random) -> Vec<u8> {
        if self.cut || self.calm || self.closed || !random.one_in(5) {
            return Vec::new();
        }
        (0..random.between(1, 4)).flat_map(|_| self.request(random)).collect()
    }

    fn body(&mut self, random: &mut Random) -> String {
        self.next += 1;
        let how = *random.pick(&["now", "later", "push", "ask"]);
        let pad = "y".repeat(random.below(200));
        format!(r#"{{"n":{},"how":"{how}","pad":"{pad}"}}"#, self.next)
    }

    fn request(&mut self, random: &mut Random) -> Vec<u8> {
        if self.cut {
            return Vec::new();
        }
        if random.one_in(4) {
            let lines: Vec<String> = (0..random.below(6)).map(|_| self.body(random)).collect();
            let first = self.next + 1 - lines.len() as u64;
            self.expected.push_back((first..=self.next).collect());
            let body = lines.join("\n") + if random.one_in(2) || lines.is_empty() { "" } else { "\r\n" };
            return self.head(random, "/v1/push/batch", body.as_bytes());
        }
        let body = self.body(random);
        self.expected.push_back(vec![self.next]);
        self.head(random, "/v1/push", body.as_bytes())
    }

    fn head(&mut self, random: &mut Random, path: &str, body: &[u8]) -> Vec<u8> {
        let mut bytes = format!("POST {path} HTTP/1.1\r\nHost: x\r\n").into_bytes();
        if random.one_in(3) {
            bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            let size = random.between(1, 50);
            for chunk in body.chunks(size) {
                bytes.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
                bytes.extend_from_slice(chunk);
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"0\r\n\r\n");
        } else {
            bytes.extend(format!("Content-Length: {}\r\n\r\n", body.len()).into_bytes());
            bytes.extend_from_slice(body);
        }
        if random.one_in(60) {
            self.cut = true;
            bytes.truncate(bytes.len() - 1 - random.below(body.len().max(1)));
        }
        bytes
    }

    pub fn receive(&mut self, more: &[u8]) -> Vec<u8> {
        self.bytes.extend_from_slice(more);
        while let Some(response) = take_response(&mut self.bytes) {
            assert!(!self.closed, "nothing follows a response that closes");
            self.closed |= response.close;
            let mut numbers = Vec::new();
            let mut refused = response.status >= 400;
            for line in response.body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                let line: Value = serde_json::from_slice(line).expect("JSON");
                match line.get("n").and_then(Value::as_u64) {
                    Some(number) => numbers.push(number),
                    None => refused = true,
                }
            }
            if refused {
                // Cut short, or too slow: the last line of a streamed answer can say so, too.
                assert!(self.cut || response.status == 408 || response.status == 200, "{}", response.status);
                self.closed = true;
                continue;
            }
            let expected = self.expected.pop_front().expect("a request for every response");
            if !(self.cut && self.expected.is_empty()) {
                assert_eq!(numbers, expected, "each answer once and in order");
            }
        }
        Vec::new()
    }

    /// At a quiet moment: everything asked for has come.
    pub fn settle(&self) {
        assert!(self.cut || self.closed || self.expected.is_empty(), "unanswered: {:?}", self.expected);
    }
}
