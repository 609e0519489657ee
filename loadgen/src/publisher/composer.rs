//! Writes publications as the dialect has them: requests, and what frames hold. Knows nothing of connections.

use super::ledger::Item;
use crate::dialect::template::Fill;
use crate::plan::{Destination, Plan};
use crate::stamp::Stamp;

/// Writes the publications of one publisher.
#[derive(Debug)]
pub struct Composer {
    payload_bytes: usize,
    /// Header lines that are the same in every request, each with its end.
    headers: String,
    /// Kept between messages, so that none allocates.
    payload: Vec<u8>,
    body: Vec<u8>,
}

impl Composer {
    /// For publisher `number` of the plan, whose requests go to this host and port.
    #[must_use]
    pub fn new(plan: &Plan, number: usize, host: &str) -> Self {
        let mut headers = format!("host: {host}\r\n");
        for (name, value) in &plan.scenario.target.headers {
            headers.push_str(&format!("{name}: {value}\r\n"));
        }
        let payload_bytes = plan.scenario.publishers[number].payload_bytes;
        Self { payload_bytes, headers, payload: Vec::new(), body: Vec::new() }
    }

    /// Appends the request that publishes a message, written so late.
    pub fn request(&mut self, plan: &Plan, item: Item, slip_ns: u64, out: &mut Vec<u8>) {
        let destination = &plan.streams[item.stream as usize];
        let (Some(http), Some((path, body))) = (&plan.words.http, plan.words.by_http(destination)) else { return };
        stamped(plan.run, item, slip_ns, self.payload_bytes, &mut self.payload);
        let fill = fill(destination, &self.payload);
        self.body.clear();
        body.expand(&fill, &mut self.body);
        out.extend_from_slice(http.method.as_bytes());
        out.push(b' ');
        path.expand_in_url(&fill, out);
        out.extend_from_slice(b" HTTP/1.1\r\n");
        out.extend_from_slice(self.headers.as_bytes());
        for (name, value) in &http.headers {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            value.expand(&fill, out);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(format!("content-length: {}\r\n\r\n", self.body.len()).as_bytes());
        out.extend_from_slice(&self.body);
    }

    /// What the frame that publishes a message holds, written so late.
    pub fn frame(&mut self, plan: &Plan, item: Item, slip_ns: u64) -> &mut [u8] {
        let destination = &plan.streams[item.stream as usize];
        self.body.clear();
        if let Some(text) = plan.words.over_websocket(destination) {
            stamped(plan.run, item, slip_ns, self.payload_bytes, &mut self.payload);
            text.expand(&fill(destination, &self.payload), &mut self.body);
        }
        &mut self.body
    }
}

fn stamped(run: u32, item: Item, slip_ns: u64, payload_bytes: usize, payload: &mut Vec<u8>) {
    payload.clear();
    let slip_us = u32::try_from(slip_ns / 1_000).unwrap_or(u32::MAX);
    let stamp = Stamp { run, intended_ns: item.due_ns, slip_us, stream: item.stream, seq: item.seq };
    stamp.write(payload_bytes, payload);
}

fn fill<'a>(destination: &'a Destination, payload: &'a [u8]) -> Fill<'a> {
    let fill = Fill { user: "publisher", payload, ..Fill::default() };
    match destination {
        Destination::Channel(channel) => Fill { channel, ..fill },
        Destination::User(to) => Fill { to, ..fill },
        Destination::All => fill,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::scenario;
    use super::*;
    use crate::dialect::{Dialect, HttpPublish};

    const ITEM: Item = Item { due_ns: 0x10, stream: 0, seq: 9 };

    const PAYLOAD: &str = "epl2:0000abcd:0000000000000010:00000002:00000000:0000000009:xxxx";

    #[test]
    fn a_request_has_the_dialects_path_headers_and_body() {
        let dialect = Dialect {
            http: Some(HttpPublish {
                path: "/pub?id={channel}".into(),
                headers: [("x-key".into(), "k".into())].into(),
                body: "[{payload}]".into(),
                ..HttpPublish::default()
            }),
            ..Dialect::default()
        };
        let mut scenario = scenario("ws://127.0.0.1:1", dialect);
        scenario.target.headers.insert("x-more".into(), "m".into());
        let plan = Plan::new(scenario).unwrap().of_run(0xabcd);
        let mut out = Vec::new();
        Composer::new(&plan, 0, "h:1").request(&plan, ITEM, 2_999, &mut out);
        let expected = format!(
            "POST /pub?id=a%20b HTTP/1.1\r\nhost: h:1\r\nx-more: m\r\nx-key: k\r\ncontent-length: 66\r\n\r\n[{PAYLOAD}]"
        );
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn a_frame_has_the_dialects_text() {
        let dialect = Dialect { publish: Some("{channel}={payload}".into()), ..Dialect::default() };
        let plan = Plan::new(scenario("ws://127.0.0.1:1", dialect)).unwrap().of_run(0xabcd);
        let mut composer = Composer::new(&plan, 0, "h:1");
        let text = composer.frame(&plan, ITEM, 2_000).to_vec();
        assert_eq!(String::from_utf8(text).unwrap(), format!("a b={PAYLOAD}"));
    }
}
