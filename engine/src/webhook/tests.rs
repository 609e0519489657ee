//! The pool against a real HTTP server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use epush_core::effect::Handshake;
use epush_core::error::ErrorCode;
use epush_core::id::{ConnId, ShardId};
use epush_core::mail::{Identity, Mail, Verdict};
use epush_core::message::UserName;
use serde_json::value::RawValue;

use super::calls::Caller;
use super::{AskCall, Fetch, Fetched, WebhookError, WebhookSetup, Webhooks};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

const SHARD: ShardId = ShardId(3);

/// A request the server got.
struct Call {
    /// Request line and header lines, lower case.
    head: String,
    body: String,
    socket: TcpStream,
}

impl Call {
    fn answer(self, status: u16, body: &str) {
        // One call a connection: said, or the next call would be sent into the closing one.
        let length = body.len();
        let head = format!("HTTP/1.1 {status} Word\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
        self.answer_with(&head, body.as_bytes());
    }

    fn answer_with(mut self, head: &str, body: &[u8]) {
        // The client may be gone: that is its side of the test.
        let _ = self.socket.write_all(head.as_bytes()).and_then(|()| self.socket.write_all(body));
    }
}

/// A server whose requests the test answers itself, one connection each.
struct Server {
    address: SocketAddr,
    calls: Receiver<Call>,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (sender, calls) = unbounded();
        // Ends with the test's process; a test that is over takes no more calls, which ends it earlier.
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let sender = sender.clone();
                thread::spawn(move || receive(socket, &sender));
            }
        });
        Self { address, calls }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn next(&self) -> Call {
        self.calls.recv_timeout(PATIENCE).expect("a call")
    }
}

fn receive(socket: TcpStream, sender: &Sender<Call>) {
    let mut reader = BufReader::new(socket);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).expect("a head") == 0 {
            return;
        }
    }
    let head = head.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().expect("a number"))];
    reader.read_exact(&mut body).expect("a body");
    let body = String::from_utf8(body).expect("UTF-8");
    let _ = sender.send(Call { head, body, socket: reader.into_inner() });
}

/// What the pool handed over.
struct Answers {
    mail: Receiver<(ShardId, Mail)>,
    fetched: Receiver<Fetched>,
}

impl Answers {
    fn verdict(&self) -> (ConnId, Verdict) {
        match self.mail.recv_timeout(PATIENCE).expect("mail") {
            (SHARD, Mail::Verdict { conn, verdict }) => (conn, verdict),
            other => panic!("{other:?}"),
        }
    }

    /// The status and message of a refused handshake.
    fn refusal(&self) -> (u16, String) {
        match self.verdict().1 {
            Verdict::Refuse { status, message } => (status, message.into()),
            Verdict::Accept(identity) => panic!("{identity:?}"),
        }
    }

    /// The reply to an ask: its JSON, or the code of the refusal.
    fn reply(&self) -> Result<String, ErrorCode> {
        match self.mail.recv_timeout(PATIENCE).expect("mail") {
            (SHARD, Mail::Reply { conn, id, outcome }) => {
                assert_eq!((conn, &*id), (conn_id(1), "77"));
                outcome.map(|reply| reply.get().to_owned()).map_err(|refusal| refusal.code)
            }
            other => panic!("{other:?}"),
        }
    }

    fn document(&self) -> Result<String, String> {
        let fetched = self.fetched.recv_timeout(PATIENCE).expect("a document");
        assert_eq!(&*fetched.schedule, "ticker");
        fetched.outcome.map(|document| document.get().to_owned())
    }
}

fn setup(server: &Server) -> WebhookSetup {
    WebhookSetup {
        node: "n1".into(),
        handshake_url: server.url("/handshake"),
        ask_url: server.url("/ask"),
        timeout_ms: PATIENCE.as_millis() as u64,
        workers: 1,
        queue_max: 16,
        authorization: "Bearer our-own".into(),
    }
}

fn start(setup: WebhookSetup) -> (Webhooks, Answers) {
    let (mail_in, mail) = unbounded();
    let (fetched_in, fetched) = unbounded();
    let deliver = move |shard, mail| drop(mail_in.send((shard, mail)));
    let webhooks = Webhooks::start(setup, deliver, move |fetched| drop(fetched_in.send(fetched)));
    (webhooks.expect("a pool"), Answers { mail, fetched })
}

fn conn_id(index: u32) -> ConnId {
    ConnId { index, generation: 0 }
}

fn handshake(index: u32) -> Box<Handshake> {
    Box::new(Handshake {
        conn: conn_id(index),
        remote: [127, 0, 0, 1].into(),
        path: "/msg".into(),
        query: Vec::new(),
        headers: Vec::new(),
        token: None,
        claimed_user: UserName::parse("42"),
        claims_bad_user: false,
    })
}

fn ask() -> AskCall {
    let data = RawValue::from_string("[1]".into()).expect("JSON");
    AskCall { conn: conn_id(1), id: "77".into(), kind: "t".into(), data, user: None, session: "s".into() }
}

fn fetch(url: String) -> Fetch {
    Fetch { schedule: "ticker".into(), url: url.into() }
}

/// What a handshake comes to when the server answers with these bytes.
fn refusal_of(head: &str, body: &[u8]) -> (u16, String) {
    let server = Server::start();
    let (webhooks, answers) = start(setup(&server));
    assert!(webhooks.handshake(SHARD, handshake(1), Identity::default()));
    server.next().answer_with(head, body);
    answers.refusal()
}

fn unavailable() -> (u16, String) {
    (503, "the application does not answer".into())
}

#[test]
fn the_application_accepts_a_handshake() {
    let server = Server::start();
    let (webhooks, answers) = start(setup(&server));
    assert!(webhooks.handshake(SHARD, handshake(1), Identity::default()));
    let call = server.next();
    assert!(call.head.starts_with("post /handshake http/1.1\r\n"), "{}", call.head);
    for line in ["authorization: bearer our-own", "content-type: application/json", "user-agent: epush/"] {
        assert!(call.head.contains(&format!("\r\n{line}")), "{}", call.head);
    }
    assert!(call.body.contains(r#""user":"42","verified":false"#), "{}", call.body);
    call.answer(200, r#"{"user":"7"}"#);
    let (conn, Verdict::Accept(identity)) = answers.verdict() else { panic!("refused") };
    assert_eq!((conn, identity.user), (conn_id(1), UserName::parse("7")));
}

#[test]
fn the_application_refuses_a_handshake_in_its_own_words() {
    let body = r#"{"error":{"message":"not today"}}"#;
    let head = format!("HTTP/1.1 403 Forbidden\r\ncontent-length: {}\r\n\r\n", body.len());
    assert_eq!(refusal_of(&head, body.as_bytes()), (403, "not today".into()));
}

#[test]
fn an_answer_that_is_none_keeps_the_client_out() {
    assert_eq!(refusal_of("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n", b""), unavailable());
    assert_eq!(refusal_of("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n", b"ok!"), unavailable());
    assert_eq!(refusal_of("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", b"{}"), unavailable());
    assert_eq!(refusal_of("SSH-2.0-OpenSSH_9.2\r\n", b""), unavailable());
    assert_eq!(refusal_of("", b""), unavailable());
    let body = format!(r#"{{"user":"7","pad":"{}"}}"#, "x".repeat(1024 * 1024));
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
    assert_eq!(refusal_of(&head, body.as_bytes()), unavailable());
    assert_eq!(refusal_of("HTTP/1.1 200 OK\r\n\r\n", body.as_bytes()), unavailable());
}

#[test]
fn a_redirect_is_not_followed() {
    let elsewhere = Server::start();
    let head = format!("HTTP/1.1 302 Found\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", elsewhere.url("/"));
    assert_eq!(refusal_of(&head, b""), unavailable());
    assert!(elsewhere.calls.is_empty());
}

#[test]
fn a_slow_application_is_given_up_on() {
    let server = Server::start();
    let (webhooks, answers) = start(WebhookSetup { timeout_ms: 100, ..setup(&server) });
    // Silent after the request; and silent in the middle of its answer.
    assert!(webhooks.handshake(SHARD, handshake(1), Identity::default()));
    let silent = server.next();
    assert_eq!(answers.refusal(), unavailable());
    drop(silent);
    assert!(webhooks.ask(SHARD, ask()));
    let mut halting = server.next();
    halting.socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n[").expect("written");
    assert_eq!(answers.reply(), Err(ErrorCode::Unavailable));
}

#[test]
fn a_call_whose_time_is_up_is_not_begun() {
    let server = Server::start();
    let caller = Caller::new(&setup(&server)).expect("a caller");
    let late = caller.post(&server.url("/"), b"{}", Instant::now()).err();
    assert_eq!(late.as_deref(), Some("no thread was free in time"));
    assert!(caller.get(&server.url("/"), Instant::now()).is_err());
    assert!(server.calls.is_empty());
}

#[test]
fn a_body_is_measured_after_decompression() {
    let body = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/two_megabytes.json.gz"));
    let body = body.expect("the fixture");
    let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", body.len());
    assert_eq!(refusal_of(&head, &body), unavailable());
}

#[test]
fn an_application_that_is_not_there_is_unavailable() {
    let nobody = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let server = Server { address: nobody, calls: unbounded().1 };
    let (webhooks, answers) = start(setup(&server));
    assert!(webhooks.handshake(SHARD, handshake(1), Identity::default()));
    assert_eq!(answers.refusal(), unavailable());
    assert!(webhooks.ask(SHARD, ask()));
    assert_eq!(answers.reply(), Err(ErrorCode::Unavailable));
    assert!(webhooks.fetch(fetch(server.url("/"))));
    assert!(answers.document().is_err());
}

#[test]
fn asks_are_answered_or_refused_by_the_application() {
    let server = Server::start();
    let (webhooks, answers) = start(setup(&server));
    assert!(webhooks.takes_asks());
    for (status, body, reply) in [
        (200, r#"{"state":"sent"}"#, Ok(r#"{"state":"sent"}"#.to_owned())),
        (200, "", Ok("null".into())),
        (200, "sent", Err(ErrorCode::Unavailable)),
        (404, "no such order", Err(ErrorCode::NotFound)),
        (401, "", Err(ErrorCode::Unavailable)),
        (500, "", Err(ErrorCode::Unavailable)),
    ] {
        assert!(webhooks.ask(SHARD, ask()));
        let call = server.next();
        assert!(call.head.starts_with("post /ask http/1.1\r\n"), "{}", call.head);
        assert_eq!(call.body, r#"{"node":"n1","session":"s","user":null,"type":"t","data":[1]}"#);
        call.answer(status, body);
        assert_eq!(answers.reply(), reply, "{status} {body}");
    }
}

#[test]
fn documents_are_fetched_without_our_credentials() {
    let server = Server::start();
    let (webhooks, answers) = start(setup(&server));
    for (status, body, document) in
        [(200, "{ \"n\": 1.50 }", Ok("{ \"n\": 1.50 }".to_owned())), (404, "[]", Err("status 404".to_owned()))]
    {
        assert!(webhooks.fetch(fetch(server.url("/price?x=1"))));
        let call = server.next();
        assert!(call.head.starts_with("get /price?x=1 http/1.1\r\n"), "{}", call.head);
        assert!(!call.head.contains("authorization"), "{}", call.head);
        call.answer(status, body);
        assert_eq!(answers.document(), document);
    }
    assert!(webhooks.fetch(fetch("no url".into())));
    assert!(answers.document().is_err());
}

#[test]
fn a_full_queue_says_so_at_once() {
    let server = Server::start();
    let (webhooks, answers) = start(WebhookSetup { queue_max: 1, ..setup(&server) });
    assert!(webhooks.handshake(SHARD, handshake(1), Identity::default()));
    let first = server.next();
    assert!(webhooks.handshake(SHARD, handshake(2), Identity::default()));
    assert!(!webhooks.handshake(SHARD, handshake(3), Identity::default()));
    assert!(!webhooks.ask(SHARD, ask()));
    assert!(!webhooks.fetch(fetch(server.url("/"))));
    first.answer(200, "{}");
    assert_eq!(answers.verdict().0, conn_id(1));
    server.next().answer(200, "{}");
    assert_eq!(answers.verdict().0, conn_id(2));
}

#[test]
fn the_queue_is_bounded_in_bytes_too() {
    let server = Server::start();
    let (webhooks, answers) = start(WebhookSetup { queue_max: 1_000, ..setup(&server) });
    assert!(webhooks.handshake(SHARD, handshake(1), Identity::default()));
    let busy = server.next();
    let big = || AskCall {
        data: RawValue::from_string(format!("\"{}\"", "x".repeat(16 * 1024 * 1024 - 2))).expect("JSON"),
        ..ask()
    };
    for _ in 0..4 {
        assert!(webhooks.ask(SHARD, big()));
    }
    assert!(!webhooks.ask(SHARD, ask()));
    assert!(webhooks.handshake(SHARD, handshake(2), Identity::default()));
    busy.answer(200, "{}");
    answers.verdict();
    server.next().answer(200, "{}");
    assert_eq!(answers.reply(), Ok("{}".into()));
    // Room again for a small one.
    assert!(webhooks.ask(SHARD, ask()));
    let stopping = thread::spawn(move || webhooks.stop());
    while !stopping.is_finished() {
        // The call under way, if there is one, ends with its connection.
        drop(server.calls.recv_timeout(Duration::from_millis(10)));
    }
    stopping.join().expect("stopped");
}

#[test]
fn a_stop_answers_what_is_queued_and_waits_for_what_is_under_way() {
    let server = Server::start();
    let (webhooks, answers) = start(setup(&server));
    assert!(webhooks.handshake(SHARD, handshake(1), Identity::default()));
    let under_way = server.next();
    assert!(webhooks.handshake(SHARD, handshake(2), Identity::default()));
    assert!(webhooks.fetch(fetch(server.url("/"))));
    let webhooks = Arc::new(webhooks);
    let stopping = thread::spawn({
        let webhooks = Arc::clone(&webhooks);
        move || webhooks.stop()
    });
    // While the first call is still under way.
    let (conn, Verdict::Refuse { status: 503, .. }) = answers.verdict() else { panic!("accepted") };
    assert_eq!(conn, conn_id(2));
    assert_eq!(answers.document(), Err("stopping".into()));
    assert!(!webhooks.handshake(SHARD, handshake(3), Identity::default()));
    under_way.answer(200, "{}");
    let (conn, Verdict::Accept(_)) = answers.verdict() else { panic!("refused") };
    assert_eq!(conn, conn_id(1));
    stopping.join().expect("stopped");
    webhooks.stop();
    assert!(server.calls.is_empty(), "nothing new was begun");
}

#[test]
fn a_stop_does_not_wait_for_an_application_that_takes_its_time() {
    let server = Server::start();
    let (webhooks, _answers) = start(WebhookSetup { timeout_ms: 3_600_000, ..setup(&server) });
    assert!(webhooks.handshake(SHARD, handshake(1), Identity::default()));
    let _under_way = server.next();
    let started = Instant::now();
    webhooks.stop();
    drop(webhooks);
    assert!(started.elapsed() < PATIENCE, "took {:?}", started.elapsed());
}

#[test]
fn a_panic_costs_one_answer_and_no_thread() {
    let server = Server::start();
    let (sender, delivered) = unbounded();
    let deliver = move |_, mail| {
        let Mail::Verdict { conn, .. } = mail else { panic!("{mail:?}") };
        assert_ne!(conn, conn_id(1), "the panic of this test");
        sender.send(conn).expect("the test waits");
    };
    let webhooks = Webhooks::start(setup(&server), deliver, |_| {}).expect("a pool");
    for index in [1, 2] {
        assert!(webhooks.handshake(SHARD, handshake(index), Identity::default()));
        server.next().answer(200, "{}");
    }
    assert_eq!(delivered.recv_timeout(PATIENCE), Ok(conn_id(2)));
}

#[test]
fn several_workers_call_at_a_time() {
    let server = Server::start();
    let (webhooks, answers) = start(WebhookSetup { workers: 3, ..setup(&server) });
    for index in 1..=3 {
        assert!(webhooks.handshake(SHARD, handshake(index), Identity::default()));
    }
    let calls = [server.next(), server.next(), server.next()];
    for call in calls {
        call.answer(200, "{}");
        answers.verdict();
    }
}

#[test]
fn a_setup_that_cannot_work_does_not_start() {
    let server = Server::start();
    let error = |setup| Webhooks::start(setup, |_, _| {}, |_| {}).err().expect("must not start");
    for url in ["127.0.0.1:80", "ftp://x/", "http://", "/handshake", "http://a b/"] {
        let why = error(WebhookSetup { handshake_url: url.into(), ..setup(&server) });
        assert!(matches!(why, WebhookError::BadUrl { key: "webhook.handshake_url", .. }), "{url}: {why}");
    }
    let why = error(WebhookSetup { authorization: "Bearer a\r\nb".into(), ..setup(&server) });
    assert_eq!(why.to_string(), "webhook.authorization: not a header value");
}

#[test]
fn without_a_url_nobody_is_asked() {
    let server = Server::start();
    let (webhooks, answers) = start(WebhookSetup { handshake_url: "".into(), ask_url: "".into(), ..setup(&server) });
    assert!(!webhooks.takes_asks());
    assert!(webhooks.handshake(SHARD, handshake(1), Identity::default()));
    assert_eq!(answers.refusal(), unavailable());
    assert!(webhooks.ask(SHARD, ask()));
    assert_eq!(answers.reply(), Err(ErrorCode::Unavailable));
}
