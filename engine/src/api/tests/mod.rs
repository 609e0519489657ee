//! The API as a caller and its reactor see it: requests in, actions out, virtual time.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use epush_core::counters::Counters;
use epush_core::id::{SessionId, SessionRef, ShardId};
use epush_core::mail::{MuteChange, SessionInfo};
use epush_core::message::{ChannelName, Target};
use epush_core::shard::Gauges;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::*;
use crate::gauges::NodeGauges;
use crate::relay::Census;
use crate::webhook::Fetched;

mod cluster;
mod nodes;
mod push;
mod schedules;

/// An API, and a clock that only tests move.
struct Bench {
    api: Api,
    now: Now,
    gauges: Arc<NodeGauges>,
}

fn conn(index: u32) -> ConnId {
    ConnId { index, generation: 0 }
}

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.into()).expect("test JSON")
}

fn body(response: &Response) -> Value {
    serde_json::from_slice(&response.body)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&response.body)))
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers.iter().find(|(key, _)| *key == name).map(|(_, value)| &**value)
}

impl Bench {
    fn with(change: impl FnOnce(&mut ApiSetup)) -> Self {
        let gauges = Arc::new(NodeGauges::new(2));
        let mut setup = ApiSetup {
            node: "n1".into(),
            boot: 0xb0,
            version: "1.2.3",
            address: "127.0.0.1:7000".into(),
            api_address: "127.0.0.1:7001".into(),
            started_unix_ms: 1_000,
            keys: Vec::new(),
            idempotency_keys_max: 100,
            idempotency_ms: 60_000,
            schedules_max: 3,
            gauges: Arc::clone(&gauges),
            census: Census::alone(Arc::clone(&gauges)),
            relay: None,
        };
        change(&mut setup);
        Self { api: Api::new(setup), now: Now { monotonic_us: 0, unix_ms: 1_000 }, gauges }
    }

    fn new() -> Self {
        Self::with(|_| {})
    }

    fn advance(&mut self, ms: u64) {
        self.now.monotonic_us += ms * 1_000;
        self.now.unix_ms += ms;
    }

    fn send(&mut self, index: u32, method: &str, path: &str, body: &str) {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let query = pairs.map(|(key, value)| (key.into(), value.into())).collect();
        let (method, path) = (method.into(), path.into());
        let request = Request { method, path, query, bearer: None, body: body.into() };
        self.api.handle_request(self.now, conn(index), request);
    }

    #[track_caller]
    fn action(&mut self) -> ApiAction {
        self.api.poll_action().expect("something to do")
    }

    #[track_caller]
    fn idle(&mut self) {
        let action = self.api.poll_action();
        assert!(action.is_none(), "{action:?}");
    }

    #[track_caller]
    fn response(&mut self, index: u32) -> Response {
        match self.action() {
            ApiAction::Respond { conn: to, response } if to == conn(index) => response,
            action => panic!("{action:?} is no response for {index}"),
        }
    }

    /// The response to a call that is answered at once.
    #[track_caller]
    fn call(&mut self, method: &str, path: &str, body: &str) -> Response {
        self.send(1, method, path, body);
        let response = self.response(1);
        self.idle();
        response
    }

    #[track_caller]
    fn published(&mut self) -> (Draft, Asker) {
        match self.action() {
            ApiAction::Publish { draft, asker } => (draft, asker),
            action => panic!("{action:?} publishes nothing"),
        }
    }

    #[track_caller]
    fn asked_all(&mut self) -> (Question, Asker) {
        match self.action() {
            ApiAction::AskAll { question, asker } => (question, asker),
            action => panic!("{action:?} asks not all"),
        }
    }

    #[track_caller]
    fn asked_home(&mut self) -> (UserName, Question, Asker) {
        match self.action() {
            ApiAction::AskHome { user, question, asker } => (user, question, asker),
            action => panic!("{action:?} asks no home"),
        }
    }

    #[track_caller]
    fn answer(&mut self, asker: &Asker, answer: Answer) {
        let Asker::Api { conn, tag } = asker else { panic!("{asker:?} wants no answer") };
        self.api.handle_answer(self.now, *conn, *tag, answer);
    }

    /// Time passes; the data of the pushes this fires.
    fn ticks(&mut self, ms: u64) -> Vec<String> {
        self.advance(ms);
        self.api.handle_time(self.now);
        let mut fired = Vec::new();
        while let Some(action) = self.api.poll_action() {
            let ApiAction::Publish { draft, asker: Asker::Nobody } = action else { panic!("{action:?}") };
            fired.push(draft.data.get().to_owned());
        }
        fired
    }
}

fn refused(code: ErrorCode) -> Answer {
    Answer::Refused(Refusal::new(code, "no"))
}

#[test]
fn unknown_paths_and_wrong_methods_get_json_errors() {
    let mut bench = Bench::new();
    let response = bench.call("GET", "/v1/nothing", "");
    assert_eq!((response.status, &body(&response)["error"]["code"]), (404, &json!("not_found")));
    let response = bench.call("GET", "/v1/push", "");
    assert_eq!((response.status, header(&response, "Allow")), (405, Some("POST")));
    assert!(body(&response)["error"]["message"].is_string());
    assert_eq!(bench.call("GET", "/v1/push/batch", "").status, 405);
}

#[test]
fn with_keys_only_their_bearers_and_health_checks_come_in() {
    let mut bench = Bench::with(|setup| setup.keys = vec!["secret".into()]);
    for path in ["/v1/online", "/metrics", "/v1/nothing", "/v1/push/batch"] {
        let response = bench.call("GET", path, "");
        assert_eq!((response.status, &body(&response)["error"]["code"]), (401, &json!("unauthorized")), "{path}");
        assert_eq!(header(&response, "WWW-Authenticate"), Some("Bearer"));
    }
    assert_eq!(bench.call("GET", "/healthz", "").status, 200);
    assert_eq!(bench.call("HEAD", "/readyz", "").status, 503);
    let mut ask = |bearer: &str, status: u16| {
        let request = Request {
            method: "GET".into(),
            path: "/v1/online".into(),
            bearer: Some(bearer.into()),
            ..Request::default()
        };
        bench.api.handle_request(bench.now, conn(1), request);
        assert_eq!(bench.response(1).status, status, "{bearer}");
        bench.api.set_keys(vec!["other".into()]);
    };
    ask("secret", 200);
    ask("secret", 401);
    ask("other", 200);
}
