//! HTTP requests: heads of both listeners, bodies and answers of the API's.
//!
//! What the client listener does with a head is `upgrade`'s.

use std::net::IpAddr;

use super::received::Received;
use super::{Door, Shard};
use crate::close::CloseReason;
use crate::connection::{Flags, Phase};
use crate::effect::Effect;
use crate::http::{Request, Response};
use crate::id::ConnId;
use crate::now::Now;
use crate::wire::http::{self, Body, BodyStep, Head, HeadScan, HttpError};
use crate::wire::proxy;

/// The one API path whose body is handled line by line, as it arrives.
const LINES_PATH: &str = "/v1/push/batch";

/// How long the rest of a refused request is read and thrown away, so that the client gets to read the refusal.
pub(super) const REFUSED_LINGER_MS: u64 = 2_000;

/// The HTTP side of a connection.
#[derive(Default)]
pub struct Exchange {
    received: Received,
    /// How far the head in `received` was looked at: one that trickles in is read once, not once a byte.
    scan: HeadScan,
    /// The request under way.
    current: Option<Current>,
    /// The peer of the socket, or whom its PROXY header named: a proxy's kept-alive connection carries many clients.
    peer: Option<IpAddr>,
    /// The key to answer an upgrade with, and whether the client speaks [`SUBPROTOCOL`].
    pub(super) upgrade: Option<(Box<str>, bool)>,
}

/// A request whose head is complete.
struct Current {
    /// What is known of it; its body grows.
    request: Request,
    body: Body,
    keep_alive: bool,
    /// `HEAD`: the answer has no body.
    head_only: bool,
    /// Each line of the body is a request of its own.
    lines: bool,
    /// The head of the streamed answer is out.
    streaming: bool,
    /// The body was read to its end.
    complete: bool,
    /// Bytes of `request.body` whose lines were handed on.
    taken: usize,
}

impl Exchange {
    /// Whether some, but not all, of a request has come.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.current.is_some() || !self.received.is_empty()
    }
}

impl Current {
    /// The next line of the body, without its end; at the end of the body, also one without an end.
    fn next_line(&mut self) -> Option<Vec<u8>> {
        let rest = &self.request.body[self.taken..];
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            let line = (self.complete && !rest.is_empty()).then(|| rest.to_vec());
            self.request.body.drain(..if self.complete { self.request.body.len() } else { self.taken });
            self.taken = 0;
            return line;
        };
        self.taken += end + 1;
        let line = &rest[..end];
        Some(line.strip_suffix(b"\r").unwrap_or(line).to_vec())
    }
}

impl Shard {
    /// Takes bytes of an HTTP conversation.
    pub(super) fn feed_http(&mut self, conn: ConnId, bytes: &[u8]) {
        let Some(connection) = self.find(conn) else { return };
        connection.rare().exchange.get_or_insert_default().received.append(bytes);
        self.advance(conn);
    }

    /// Gets as far with the buffered bytes as they allow.
    pub(super) fn advance(&mut self, conn: ConnId) {
        while !self.choke(conn)
            && let Some(connection) = self.find(conn)
        {
            let went_on = match connection.phase {
                Phase::Proxy => self.read_proxy_header(conn),
                Phase::Head => self.read_head(conn),
                Phase::Body => self.read_body(conn),
                _ => return,
            };
            if !went_on {
                return;
            }
        }
    }

    pub(super) fn exchange(&mut self, conn: ConnId) -> Option<&mut Exchange> {
        Some(self.find(conn)?.rare().exchange.get_or_insert_default())
    }

    fn read_proxy_header(&mut self, conn: ConnId) -> bool {
        let Some(exchange) = self.exchange(conn) else { return false };
        match proxy::parse(exchange.received.rest()) {
            Ok(Some((client, used))) => {
                exchange.received.pass(used);
                self.connections[conn.index as usize].phase = Phase::Head;
                if let Some(client) = client {
                    self.stand_behind(conn, client.ip().to_canonical());
                }
                true
            }
            Ok(None) => false,
            Err(_) => {
                self.finish(conn, CloseReason::HttpRefused);
                false
            }
        }
    }

    fn stand_behind(&mut self, conn: ConnId, client: IpAddr) {
        let Some(connection) = self.find(conn) else { return };
        let proxy = std::mem::replace(&mut connection.remote, client);
        if proxy != client {
            self.effects.push_back(Effect::Behind { conn, proxy, client });
        }
    }

    fn read_head(&mut self, conn: ConnId) -> bool {
        let Some(exchange) = self.exchange(conn) else { return false };
        let received = std::mem::take(&mut exchange.received);
        let used = match exchange.scan.parse(received.rest()) {
            Ok(Some((head, used))) => {
                self.handle_head(conn, &head);
                used
            }
            Ok(None) => 0,
            Err(error) => {
                self.refuse_request(conn, error);
                return false;
            }
        };
        let Some(exchange) = self.exchange(conn) else { return false };
        exchange.received = received;
        exchange.received.pass(used);
        let connection = &mut self.connections[conn.index as usize];
        if matches!(connection.phase, Phase::Deciding | Phase::Echo) {
            // What follows an upgrade request are frames.
            let rare = connection.rare();
            rare.held = rare.exchange.as_mut().map(|exchange| exchange.received.take_rest()).unwrap_or_default();
        }
        if connection.phase == Phase::Echo {
            connection.rare().exchange = None;
            self.resume(conn);
        }
        used > 0
    }

    fn handle_head(&mut self, conn: ConnId, head: &Head<'_>) {
        let settings = std::sync::Arc::clone(&self.setup.settings);
        let Some(connection) = self.find(conn) else { return };
        let remote = connection.remote;
        let peer = *connection.rare().exchange.get_or_insert_default().peer.get_or_insert(remote);
        let client = http::forwarded_for(head, peer, &settings.trusted_proxies);
        self.stand_behind(conn, client);
        let door = self.connections[conn.index as usize].door;
        match door {
            Door::Api => self.begin_request(conn, head),
            Door::Client => self.route_client(conn, head),
        }
    }

    fn begin_request(&mut self, conn: ConnId, head: &Head<'_>) {
        let limit = self.setup.settings.body_bytes_max;
        // The answer to lines is chunked, which HTTP/1.0 does not know: there the body is a request like any other.
        let lines = head.path() == LINES_PATH && head.method() == "POST" && !head.is_http_10();
        let body = match Body::new(head.body(), if lines { u64::MAX } else { limit as u64 }) {
            Ok(body) => body,
            Err(error) => return self.refuse_request(conn, error),
        };
        if head.expect_continue() {
            self.push_own(conn, |out| out.extend_from_slice(http::CONTINUE));
        }
        let request = head.to_request(Vec::new());
        let (keep_alive, head_only) = (head.keep_alive(), head.method() == "HEAD");
        let current =
            Current { request, body, keep_alive, head_only, lines, streaming: false, complete: false, taken: 0 };
        if let Some(exchange) = self.exchange(conn) {
            exchange.current = Some(current);
        }
        self.connections[conn.index as usize].phase = Phase::Body;
        let by = self.now.monotonic_ms() + self.setup.settings.request_timeout_ms;
        self.arm(conn, by);
    }

    /// Reads on in a body; returns whether the phase changed.
    fn read_body(&mut self, conn: ConnId) -> bool {
        let limit = self.setup.settings.body_bytes_max;
        let Some(exchange) = self.exchange(conn) else { return false };
        let Some(current) = &mut exchange.current else { return false };
        let before = exchange.received.rest();
        let mut input = before;
        let outcome = loop {
            if current.lines && current.request.body[current.taken..].contains(&b'\n') {
                break Ok(true);
            }
            // The lines before are handled; a body that streams is never kept as a whole.
            current.request.body.drain(..std::mem::take(&mut current.taken));
            match current.body.next(&mut input) {
                Ok(BodyStep::Piece(piece)) => current.request.body.extend_from_slice(piece),
                Ok(BodyStep::End) => {
                    current.complete = true;
                    break Ok(true);
                }
                Ok(BodyStep::More) => break Ok(false),
                Err(error) => break Err(error),
            }
        };
        let used = before.len() - input.len();
        exchange.received.pass(used);
        match outcome {
            Ok(true) => self.hand_on(conn),
            Ok(false) => {
                let Some(current) = self.exchange(conn).and_then(|exchange| exchange.current.as_mut()) else {
                    return false;
                };
                if current.lines && current.request.body.len() - current.taken > limit {
                    return self.refuse_line(conn);
                }
                false
            }
            Err(error) => {
                self.refuse_request(conn, error);
                false
            }
        }
    }

    /// Hands a whole request, or the next line, to the application.
    fn hand_on(&mut self, conn: ConnId) -> bool {
        let limit = self.setup.settings.body_bytes_max;
        let Some(current) = self.exchange(conn).and_then(|exchange| exchange.current.as_mut()) else { return false };
        let request = if current.lines {
            let Some(line) = current.next_line() else {
                return self.end_lines(conn);
            };
            if line.len() > limit {
                return self.refuse_line(conn);
            }
            let Request { method, path, query, bearer, .. } = &current.request;
            let (method, path, query, bearer) = (method.clone(), path.clone(), query.clone(), bearer.clone());
            Request { method, path, query, bearer, body: line }
        } else {
            std::mem::take(&mut current.request)
        };
        self.connections[conn.index as usize].phase = Phase::Answering;
        self.effects.push_back(Effect::Request { conn, request });
        false
    }

    /// All lines are answered.
    fn end_lines(&mut self, conn: ConnId) -> bool {
        let Some(current) = self.exchange(conn).and_then(|exchange| exchange.current.as_mut()) else { return false };
        let (streaming, keep_alive) = (current.streaming, current.keep_alive);
        self.push_own(conn, |out| {
            if !streaming {
                http::write_chunked_head(out, &ndjson(), keep_alive);
            }
            http::write_last_chunk(out);
        });
        self.next_request(conn, keep_alive);
        true
    }

    fn refuse_line(&mut self, conn: ConnId) -> bool {
        let why = "a line over the limit of a body";
        self.push_line(conn, &HttpError { status: 413, why }.response());
        self.push_own(conn, http::write_last_chunk);
        self.linger(conn, CloseReason::HttpRefused, REFUSED_LINGER_MS);
        false
    }

    /// Answers an API request; for a streamed line, one line of the answer.
    pub fn respond(&mut self, now: Now, conn: ConnId, response: &Response) {
        self.now = now;
        self.respond_now(conn, response);
        self.settle();
    }

    pub(super) fn respond_now(&mut self, conn: ConnId, response: &Response) {
        let Some(connection) = self.find(conn).filter(|connection| connection.phase == Phase::Answering) else {
            return;
        };
        let exchange = connection.rare().exchange.get_or_insert_default();
        let Some(current) = &mut exchange.current else { return };
        let (keep_alive, head_only, lines) = (current.keep_alive, current.head_only, current.lines);
        if lines && (current.streaming || response.status == 200) {
            self.push_line(conn, response);
            self.connections[conn.index as usize].phase = Phase::Body;
            self.rearm_request(conn);
            self.resume(conn);
            return;
        }
        // A stream whose first line is refused for who asks is refused as a whole.
        let keep_alive = keep_alive && !lines;
        self.push_own(conn, |out| http::write_response(out, response, keep_alive, head_only));
        self.next_request(conn, keep_alive);
        self.resume(conn);
    }

    fn push_line(&mut self, conn: ConnId, response: &Response) {
        let Some(current) = self.exchange(conn).and_then(|exchange| exchange.current.as_mut()) else { return };
        let first = !std::mem::replace(&mut current.streaming, true);
        let keep_alive = current.keep_alive;
        self.push_own(conn, |out| {
            if first {
                http::write_chunked_head(out, &ndjson(), keep_alive);
            }
            if !response.body.is_empty() {
                let mut line = response.body.clone();
                line.push(b'\n');
                http::write_chunk(out, &line);
            }
        });
    }

    fn rearm_request(&mut self, conn: ConnId) {
        let by = self.now.monotonic_ms() + self.setup.settings.request_timeout_ms;
        self.arm(conn, by);
    }

    fn next_request(&mut self, conn: ConnId, keep_alive: bool) {
        if !keep_alive {
            return self.linger(conn, CloseReason::HttpDone, REFUSED_LINGER_MS);
        }
        let idle_by = self.now.monotonic_ms() + self.setup.settings.idle_timeout_ms;
        let Some(exchange) = self.exchange(conn) else { return };
        exchange.current = None;
        self.connections[conn.index as usize].phase = Phase::Head;
        self.arm(conn, idle_by);
    }

    // --- refusals ------------------------------------------------------------

    /// Answers a request that cannot be taken; where the next one would begin is unknown.
    fn refuse_request(&mut self, conn: ConnId, error: HttpError) {
        let current = self.exchange(conn).and_then(|exchange| exchange.current.as_ref());
        if current.is_some_and(|current| current.streaming) {
            // The head of the answer is out: what is left to say is one more line.
            self.push_line(conn, &error.response());
            self.push_own(conn, http::write_last_chunk);
        } else {
            self.push_own(conn, |out| http::write_response(out, &error.response(), false, false));
        }
        self.linger(conn, CloseReason::HttpRefused, REFUSED_LINGER_MS);
    }

    /// No whole request in time: 408, unless nothing of one came.
    pub(super) fn request_timed_out(&mut self, conn: ConnId) {
        if self.find(conn).is_some_and(|connection| connection.request_is_cut()) {
            self.refuse_request(conn, HttpError { status: 408, why: "no whole request in time" });
            if let Some(connection) = self.find(conn) {
                connection.reason = Some(CloseReason::RequestTimeout);
            }
        } else {
            self.finish(conn, CloseReason::RequestTimeout);
        }
    }

    pub(super) fn refuse_cut_request(&mut self, conn: ConnId) {
        self.refuse_request(conn, HttpError { status: 400, why: "the request was cut short" });
        if let Some(connection) = self.find(conn) {
            connection.flags.set(Flags::EOF, true);
        }
    }
}

fn ndjson() -> Response {
    Response { content_type: "application/x-ndjson", ..Response::json(200, Vec::new()) }
}

#[cfg(test)]
mod tests {
    use super::super::ShardSetup;
    use super::*;
    use crate::id::ShardId;

    fn rest(shard: &mut Shard, conn: ConnId) -> *const u8 {
        shard.exchange(conn).expect("it is open").received.rest().as_ptr()
    }

    #[test]
    fn pipelined_requests_are_read_where_they_arrived() {
        const REQUESTS: usize = 100;
        let now = Now { monotonic_us: 1_000_000, unix_ms: 1_000_000 };
        let (id, node, settings) = (ShardId(0), "n1".into(), std::sync::Arc::default());
        let mut shard = Shard::new(ShardSetup { id, shards: 1, boot: 1, clustered: false, node, settings }, now);
        let conn = shard.adopt(now, ([127, 0, 0, 1], 9).into(), Door::Api);
        let request = b"POST /v1/push HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}";
        shard.handle_bytes(now, conn, &mut request.repeat(REQUESTS));
        let after_first = rest(&mut shard, conn);
        for answered in 1..REQUESTS - 1 {
            shard.respond(now, conn, &Response::json(200, "{}"));
            assert_eq!(rest(&mut shard, conn), after_first.wrapping_add(answered * request.len()), "nothing moved");
        }
        let requests = std::iter::from_fn(|| shard.poll_effect());
        assert_eq!(requests.filter(|effect| matches!(effect, Effect::Request { .. })).count(), REQUESTS - 1);
    }
}
