//! An engine inside an application: real sockets, a handler, jobs, pushes and the ways to end.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use epush::config::Secret;
use epush::engine::Event;
use epush::handler::HandlerError;
use epush::{
    CloseReason, Config, Engine, ErrorCode, Handler, HandshakeRequest, Message, PushError, Reply, Session, Target,
    Verdict,
};
use serde_json::{Value, json};
use tungstenite::WebSocket;
use tungstenite::protocol::frame::coding::CloseCode;

const PATIENCE: Duration = Duration::from_secs(20);

fn config() -> Config {
    let mut config = Config::default();
    let any = "127.0.0.1:0".parse().expect("address");
    (config.server.listen, config.server.api, config.server.reactors) = (any, any, 2);
    config
}

struct Client(WebSocket<TcpStream>);

impl Client {
    fn stream(address: SocketAddr) -> TcpStream {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("connect");
        stream.set_read_timeout(Some(PATIENCE)).expect("time-out");
        stream
    }

    /// A client that has read its welcome.
    fn connect(engine: &Engine, path: &str) -> Self {
        let address = engine.addresses().client;
        let (socket, _) =
            tungstenite::client(format!("ws://{address}{path}"), Self::stream(address)).expect("handshake");
        let mut client = Self(socket);
        assert_eq!(client.read()["op"], "welcome");
        client
    }

    fn read(&mut self) -> Value {
        loop {
            match self.0.read().expect("a frame in time") {
                tungstenite::Message::Text(text) => return serde_json::from_str(text.as_str()).expect("JSON"),
                tungstenite::Message::Ping(_) => {}
                other => panic!("expected text, got {other:?}"),
            }
        }
    }

    fn call(&mut self, frame: &Value) -> Value {
        self.0.send(tungstenite::Message::text(frame.to_string())).expect("open");
        self.read()
    }

    /// Reads on to the close frame.
    fn close_code(mut self) -> CloseCode {
        loop {
            if let tungstenite::Message::Close(frame) = self.0.read().expect("a close frame in time") {
                return frame.expect("a code").code;
            }
        }
    }
}

fn http(address: SocketAddr, request: &str) -> String {
    let mut stream = Client::stream(address);
    write!(stream, "{request} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").expect("open");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("a response in time");
    text
}

/// Bytes of a reply that is larger than an outbox may be by default.
const LARGE: usize = 1024 * 1024;

/// Tells what it sees; refuses user 13; answers `double`; keeps `later` for another thread; panics at `panic`.
struct Witness {
    seen: Sender<String>,
    kept: Sender<Reply>,
}

impl Witness {
    fn new() -> (Self, Receiver<String>, Receiver<Reply>) {
        let ((seen, lines), (kept, replies)) = (unbounded(), unbounded());
        (Self { seen, kept }, lines, replies)
    }

    fn tell(&self, line: String) {
        self.seen.send(line).expect("the test listens");
    }
}

impl Handler for Witness {
    fn on_handshake(&self, request: &HandshakeRequest<'_>) -> Verdict {
        if request.path().ends_with("/13") { request.refuse(403, "unlucky") } else { request.accept() }
    }

    fn on_open(&self, session: &Session) {
        self.tell(format!("open {}", session.user().unwrap_or("-")));
    }

    fn on_message(&self, session: &Session, message: Message<'_>, reply: Reply) -> Option<Reply> {
        match message {
            Message::Ask { kind: "double", .. } => {
                let number: u64 = message.parse().expect("a number");
                reply.send(&(2 * number)).expect("JSON");
            }
            Message::Ask { kind: "later", .. } => self.kept.send(reply).expect("the test listens"),
            Message::Ask { kind: "drop", .. } => drop(reply),
            Message::Ask { kind: "large", .. } => reply.send(&"x".repeat(LARGE)).expect("JSON"),
            Message::Ask { kind: "panic", .. } => panic!("asked to"),
            Message::Ask { .. } => return Some(reply),
            Message::Binary(bytes) => session.send(&bytes.len()).expect("room"),
        }
        None
    }

    fn on_close(&self, session: &Session, reason: CloseReason) {
        self.tell(format!("close {} {}", session.user().unwrap_or("-"), reason.word()));
    }

    fn on_error(&self, error: &HandlerError) {
        self.tell(error.to_string());
    }
}

#[test]
fn a_push_reaches_users_channels_and_all_on_every_reactor() {
    let engine = Engine::builder().config(config()).start().expect("start");
    let mut clients: Vec<_> = (0..4).map(|user| Client::connect(&engine, &format!("/msg/{user}"))).collect();
    for client in &mut clients {
        assert_eq!(client.call(&json!({"op":"subscribe","id":1,"channel":"news"}))["op"], "ok");
    }
    let pusher = engine.pusher();
    pusher.to_channel("news").kind("head").json(&1).expect("JSON").push().expect("room");
    pusher.raw(Target::All, "2").expect("room");
    pusher.to_users(["1", "3"]).json(&3).expect("JSON").push().expect("room");
    for (user, client) in clients.iter_mut().enumerate() {
        // Order is promised within a target, not between targets.
        let mut got: Vec<_> = (0..2 + user % 2).map(|_| client.read()).collect();
        got.sort_by_key(|message| message["data"].as_u64());
        assert_eq!((&got[0]["channel"], &got[0]["type"], &got[0]["data"]), (&json!("news"), &json!("head"), &json!(1)));
        assert_eq!(got[1]["data"], 2);
        if user % 2 == 1 {
            assert_eq!((&got[2]["user"], &got[2]["data"]), (&json!(user.to_string()), &json!(3)));
        }
    }
    assert_eq!(engine.online().sessions, 4);
    assert_eq!(engine.online().users, 4);
    engine.stop();
    assert!(matches!(pusher.to_all().push(), Err(PushError::Stopped)));
}

#[test]
fn a_handler_decides_answers_and_is_told() {
    let (witness, lines, kept) = Witness::new();
    let engine = Engine::builder().config(config()).handler(witness).start().expect("start");
    let address = engine.addresses().client;
    let refused = tungstenite::client(format!("ws://{address}/msg/13"), Client::stream(address));
    assert!(refused.expect_err("refused").to_string().contains("HTTP"));

    let mut client = Client::connect(&engine, "/msg/42");
    assert_eq!(lines.recv_timeout(PATIENCE).expect("a line"), "open 42");
    let reply = client.call(&json!({"op":"ask","id":1,"type":"double","data":21}));
    assert_eq!((&reply["op"], &reply["id"], &reply["data"]), (&json!("reply"), &json!(1), &json!(42)));
    let dropped = client.call(&json!({"op":"ask","id":2,"type":"drop"}));
    assert_eq!((&dropped["op"], &dropped["code"]), (&json!("error"), &json!(ErrorCode::Internal.word())));
    let unknown = client.call(&json!({"op":"ask","id":3,"type":"other"}));
    assert_eq!(unknown["code"], ErrorCode::NotFound.word());

    client.0.send(tungstenite::Message::text(r#"{"op":"ask","id":4,"type":"later"}"#)).expect("open");
    let reply = kept.recv_timeout(PATIENCE).expect("kept");
    reply.raw(serde_json::value::to_raw_value(&"now").expect("JSON"));
    let later = client.read();
    assert_eq!((&later["id"], &later["data"]), (&json!(4), &json!("now")));

    client.0.send(tungstenite::Message::binary(vec![1, 2, 3])).expect("open");
    assert_eq!(client.read()["data"], 3);
    client.0.close(None).expect("open");
    assert_eq!(lines.recv_timeout(PATIENCE).expect("a line"), "close 42 client_closed");
}

#[test]
fn a_handler_that_panics_costs_its_session_and_not_the_others() {
    let (witness, lines, _kept) = Witness::new();
    let engine = Engine::builder().config(config()).handler(witness).start().expect("start");
    let mut bystanders: Vec<_> = (0..2).map(|_| Client::connect(&engine, "/msg")).collect();
    let mut client = Client::connect(&engine, "/msg");
    client.0.send(tungstenite::Message::text(r#"{"op":"ask","type":"panic"}"#)).expect("open");
    assert_eq!(client.close_code(), CloseCode::Error);
    assert!(lines.iter().any(|line| line == "on_message panicked: asked to"));
    for bystander in &mut bystanders {
        assert_eq!(bystander.call(&json!({"op":"ping","id":1}))["op"], "pong");
    }
}

#[test]
fn replies_larger_than_the_outbox_arrive_whole_and_in_order() {
    let (witness, _lines, _kept) = Witness::new();
    let engine = Engine::builder().config(config()).handler(witness).start().expect("start");
    let mut client = Client::connect(&engine, "/msg");
    for id in 0..8 {
        client
            .0
            .send(tungstenite::Message::text(json!({"op":"ask","id":id,"type":"large"}).to_string()))
            .expect("open");
    }
    for id in 0..8 {
        let reply = client.read();
        assert_eq!(reply["id"], id);
        assert_eq!(reply["data"].as_str().map(str::len), Some(LARGE));
    }
    assert_eq!(client.call(&json!({"op":"ping","id":9}))["op"], "pong");
}

#[test]
fn a_closure_job_renders_for_each_session_with_its_args() {
    let engine = Engine::builder()
        .config(config())
        .job("count", |call| Some(json!({"seq": call.seq, "args": call.args, "user": call.session.user()})))
        .start()
        .expect("start");
    let mut client = Client::connect(&engine, "/msg/42");
    let every = json!({"op":"every","id":1,"job":"count","interval_ms":100,"args":{"size":10}});
    assert_eq!(client.call(&every)["op"], "ok");
    for seq in 0..2 {
        let tick = client.read();
        assert_eq!(tick["data"], json!({"seq": seq, "args": {"size": 10}, "user": "42"}), "{tick}");
    }
    assert_eq!(client.call(&json!({"op":"every","id":2,"job":"other","interval_ms":100}))["code"], "not_found");
}

#[test]
fn a_drain_says_1001_to_everybody_and_503_to_whoever_checks() {
    let engine = Engine::builder().config(config()).start().expect("start");
    let api = engine.addresses().api;
    assert!(http(api, "GET /readyz").starts_with("HTTP/1.1 200 "));
    let clients: Vec<_> = (0..5).map(|_| Client::connect(&engine, "/msg")).collect();
    let events = engine.events();
    engine.begin_drain(Duration::from_millis(300));
    let deadline = Instant::now() + PATIENCE;
    while !http(api, "GET /readyz").starts_with("HTTP/1.1 503 ") {
        assert!(Instant::now() < deadline, "still ready");
    }
    for client in clients {
        assert_eq!(client.close_code(), CloseCode::Away);
    }
    assert_eq!(events.recv_timeout(PATIENCE), Ok(Event::Drained));
    assert!(TcpStream::connect_timeout(&engine.addresses().client, PATIENCE).is_err(), "no new clients");
    engine.drain(Duration::ZERO).expect("nobody is left");
}

#[test]
fn a_stop_offers_what_was_accepted_says_goodbye_and_tells_the_handler_of_every_session() {
    // More than one reactor writes in a turn.
    const CLIENTS: usize = 700;
    let (witness, lines, _kept) = Witness::new();
    let mut config = config();
    config.server.reactors = 1;
    let engine = Engine::builder().config(config).handler(witness).start().expect("start");
    let clients: Vec<_> = (0..CLIENTS).map(|_| Client::connect(&engine, "/msg")).collect();
    engine.pusher().to_all().json(&"last words").expect("JSON").push().expect("room");
    engine.stop();
    assert_eq!(lines.try_iter().filter(|line| line == "close - drain").count(), CLIENTS);
    for mut client in clients {
        assert_eq!(client.read()["data"], "last words");
        assert_eq!(client.read()["op"], "goodbye");
        assert_eq!(client.close_code(), CloseCode::Away);
    }
}

/// Drops the engine it belongs to when a session opens.
struct Quitter(Arc<Mutex<Option<Engine>>>);

impl Handler for Quitter {
    fn on_open(&self, _: &Session) {
        drop(self.0.lock().expect("no panic").take());
    }
}

#[test]
fn a_handler_may_drop_its_own_engine() {
    let place = Arc::new(Mutex::new(None));
    let engine = Engine::builder().config(config()).handler(Quitter(Arc::clone(&place))).start().expect("start");
    let address = engine.addresses().client;
    *place.lock().expect("no panic") = Some(engine);
    let (socket, _) = tungstenite::client(format!("ws://{address}/msg"), Client::stream(address)).expect("handshake");
    assert_eq!(Client(socket).close_code(), CloseCode::Away);
    assert!(place.lock().expect("no panic").is_none());
}

#[test]
fn the_api_hands_a_drain_to_the_engines_owner_and_counts_what_it_pushes() {
    let engine = Engine::builder().config(config()).start().expect("start");
    let api = engine.addresses().api;
    let mut clients: Vec<_> = (0..3).map(|_| Client::connect(&engine, "/msg")).collect();
    let mut stream = Client::stream(api);
    let body = r#"{"to":{"all":true},"data":"x"}"#;
    let length = body.len();
    write!(stream, "POST /v1/push HTTP/1.1\r\nHost: t\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
        .expect("open");
    let mut response = String::new();
    stream.read_to_string(&mut response).expect("a response");
    assert!(response.starts_with("HTTP/1.1 202 ") && response.contains(r#""local":3"#), "{response}");
    for client in &mut clients {
        assert_eq!(client.read()["data"], "x");
    }
    let events = engine.events();
    assert!(http(api, "POST /v1/drain").starts_with("HTTP/1.1 202 "));
    assert_eq!(events.recv_timeout(PATIENCE), Ok(Event::DrainRequested));
}

#[test]
fn a_reload_changes_limits_at_once_and_says_what_waits() {
    let engine = Engine::builder().config(config()).start().expect("start");
    let mut client = Client::connect(&engine, "/msg");
    assert_eq!(client.call(&json!({"op":"subscribe","id":1,"channel":"a"}))["op"], "ok");
    let mut changed = config();
    changed.limits.subscriptions_per_session = 1;
    changed.server.backlog = 1;
    let reload = engine.reload(&changed).expect("valid");
    assert_eq!(reload.applied, ["limits.subscriptions_per_session"]);
    assert_eq!(reload.needs_restart, ["server.backlog"]);
    assert_eq!(client.call(&json!({"op":"subscribe","id":2,"channel":"b"}))["code"], "limit_reached");

    changed.limits.message_bytes_max = 0;
    assert!(engine.reload(&changed).is_err());
}

#[test]
fn a_reload_that_would_open_a_guarded_listener_changes_nothing() {
    let mut guarded = config();
    guarded.server.api = "0.0.0.0:0".parse().expect("address");
    guarded.api.keys = vec![Secret::new("key")];
    let engine = Engine::builder().config(guarded).start().expect("start");
    // On a loopback listener no keys are needed; but the listener stays what it is until a restart.
    let error = engine.reload(&config()).expect_err("the keys would go and the listener stay");
    assert!(error.to_string().contains("server.api"), "{error}");
    let mut api = engine.addresses().api;
    api.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    assert!(http(api, "GET /v1/online").starts_with("HTTP/1.1 401 "));
}

#[test]
fn an_address_in_use_is_an_error_with_its_key() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let mut config = config();
    config.server.api = taken.local_addr().expect("address");
    let error = Engine::builder().config(config).start().expect_err("in use");
    assert!(error.to_string().starts_with("server.api: cannot listen on 127.0.0.1:"), "{error}");
    assert!(!error.is_usage());
}
