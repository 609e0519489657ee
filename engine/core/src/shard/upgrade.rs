//! The client listener's requests: the upgrade to WebSocket, and the few small paths beside it.

use super::Shard;
use super::exchange::REFUSED_LINGER_MS;
use crate::close::CloseReason;
use crate::connection::Phase;
use crate::effect::{Effect, Handshake};
use crate::http::Response;
use crate::id::ConnId;
use crate::message::UserName;
use crate::wire::http::{self, BodyFraming, Head, Upgrade};

/// The subprotocol of the native protocol.
const SUBPROTOCOL: &str = "epush.v1";

impl Shard {
    pub(super) fn route_client(&mut self, conn: ConnId, head: &Head<'_>) {
        let settings = std::sync::Arc::clone(&self.setup.settings);
        let path = head.path();
        let native = path.strip_prefix(&*settings.path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if native || settings.echo && path == "/echo" {
            return self.begin_upgrade(conn, head);
        }
        let response = match (path, head.method()) {
            ("/healthz", "GET" | "HEAD") => Response::text(200, "ok"),
            ("/healthz", _) => {
                let mut response = Response::text(405, "method not allowed\n");
                response.headers.push(("allow", "GET, HEAD".into()));
                response
            }
            _ => Response::text(404, "not found\n"),
        };
        self.answer_small(conn, head, &response);
    }

    /// Answers a request of the client listener. One that brings a body is not kept: nothing there takes bodies.
    fn answer_small(&mut self, conn: ConnId, head: &Head<'_>, response: &Response) {
        let keep_alive = head.keep_alive() && matches!(head.body(), BodyFraming::None);
        let head_only = head.method() == "HEAD";
        self.push_own(conn, |out| http::write_response(out, response, keep_alive, head_only));
        if keep_alive {
            let idle_by = self.now.monotonic_ms() + self.setup.settings.idle_timeout_ms;
            self.arm(conn, idle_by);
        } else {
            self.linger(conn, CloseReason::HttpDone, REFUSED_LINGER_MS);
        }
    }

    fn begin_upgrade(&mut self, conn: ConnId, head: &Head<'_>) {
        let upgrade = match Upgrade::check(head) {
            Ok(upgrade) => upgrade,
            Err(error) => return self.refuse_upgrade(conn, &error.response()),
        };
        let settings = &self.setup.settings;
        let known = |origin: &str| settings.origins.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin));
        if !settings.origins.is_empty() && upgrade.origin.is_some_and(|origin| !known(origin)) {
            return self.refuse_upgrade(conn, &Response::text(403, "this origin may not connect\n"));
        }
        let speaks = upgrade.choose(&[SUBPROTOCOL]).is_some();
        let key = upgrade.key.into();
        if let Some(exchange) = self.exchange(conn) {
            exchange.upgrade = Some((key, speaks));
        }
        if head.path() == "/echo" {
            self.open_echo(conn);
        } else {
            let handshake = self.handshake(conn, head);
            self.connections[conn.index as usize].phase = Phase::Deciding;
            self.effects.push_back(Effect::Handshake(Box::new(handshake)));
        }
    }

    fn handshake(&self, conn: ConnId, head: &Head<'_>) -> Handshake {
        let of_path = head.path().strip_prefix(&*self.setup.settings.path).and_then(|rest| rest.strip_prefix('/'));
        let of_path = of_path.filter(|user| !user.is_empty());
        let of_query = |key| head.query_value(key);
        let claimed = of_path.or_else(|| of_query("user")).or_else(|| of_query("userId"));
        let claimed_user = claimed.and_then(UserName::parse);
        Handshake {
            conn,
            remote: self.connections[conn.index as usize].remote,
            path: head.path().into(),
            query: head.to_request(Vec::new()).query,
            headers: head
                .headers()
                .map(|(name, value)| (name.to_ascii_lowercase().into(), String::from_utf8_lossy(value).into()))
                .collect(),
            token: of_query("token").or_else(|| head.bearer()).map(Into::into),
            claims_bad_user: claimed.is_some() && claimed_user.is_none(),
            claimed_user,
        }
    }

    fn refuse_upgrade(&mut self, conn: ConnId, response: &Response) {
        self.push_own(conn, |out| http::write_response(out, response, false, false));
        self.linger(conn, CloseReason::HttpRefused, REFUSED_LINGER_MS);
    }

    /// The application does not want this client.
    pub(super) fn refuse_handshake(&mut self, conn: ConnId, status: u16, message: &str) {
        let status = if (400..600).contains(&status) { status } else { 403 };
        self.refuse_upgrade(conn, &Response::text(status, format!("{message}\n")));
        self.resume(conn);
    }

    /// Answers 101.
    pub(super) fn upgrade(&mut self, conn: ConnId) {
        let Some(exchange) = self.exchange(conn) else { return };
        let Some((key, speaks)) = exchange.upgrade.take() else { return };
        let subprotocol = speaks.then_some(SUBPROTOCOL);
        self.push_own(conn, |out| http::write_switching_protocols(out, &key, subprotocol));
    }

    fn open_echo(&mut self, conn: ConnId) {
        self.upgrade(conn);
        let connection = &mut self.connections[conn.index as usize];
        connection.phase = Phase::Echo;
        self.arm_open(conn);
    }
}
