//! How the servers of the ready dialects speak: their frames, as the servers themselves wrote them.
//!
//! | tongue | copied from |
//! |---|---|
//! | [`Centrifugo`] | its client protocol and HTTP API, as documented |
//! | [`Pusher`] | soketi 1.6.1 |
//! | [`Stomp`] | RabbitMQ 3.10.8, web_stomp |
//! | [`SocketIo`] | Socket.IO 4.8.4 |
//! | [`Nchan`] | nchan 1.3.6 |
//!
//! What a real server does not understand panics here: the connection breaks, and the run with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::server::{Say, Tongue};
use crate::wire;

/// Pings of the server that were answered.
pub type Pongs = Arc<AtomicU64>;

fn path_is(head: &str, path: &str) -> bool {
    wire::path(head).split('?').next() == Some(path)
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// JSON in, JSON out; several replies share a frame.
#[derive(Default)]
pub struct Centrifugo(pub Pongs);

impl Tongue for Centrifugo {
    fn welcome(&self, head: &str) -> Option<Vec<Say>> {
        path_is(head, "/connection/websocket").then(Vec::new)
    }

    fn heard(&self, text: &str) -> Vec<Say> {
        let command = parse(text);
        if command == json!({}) {
            self.0.fetch_add(1, Ordering::Relaxed);
            return vec![];
        }
        let id = command["id"].as_u64().filter(|id| *id > 0).expect("a command has a number");
        if command["connect"].is_object() {
            let client = "1b3b1b1e-6a5c-4a6a-9d0e-2f4f2a3c7a10";
            return vec![Say::Back(format!(
                r#"{{"id":{id},"connect":{{"client":"{client}","version":"6.0.0 OSS","ping":25,"pong":true}}}}"#
            ))];
        }
        if let Some(publish) = command.get("publish") {
            let push = push_of(&text_of(&publish["channel"]), &publish["data"]);
            return vec![Say::Back(format!("{{\"id\":{id},\"publish\":{{}}}}\n{{}}")), push];
        }
        let channel = text_of(&command["subscribe"]["channel"]);
        if channel == "secret" {
            return vec![Say::Back(format!(r#"{{"id":{id},"error":{{"code":103,"message":"permission denied"}}}}"#))];
        }
        // A reply and the server's ping.
        vec![Say::Join(channel), Say::Back(format!("{{\"id\":{id},\"subscribe\":{{}}}}\n{{}}"))]
    }

    fn posted(&self, head: &str, body: &str) -> (&'static str, String, Vec<Say>) {
        assert!(path_is(head, "/api/publish") && head.contains("application/json"), "{head}");
        let body = parse(body);
        let channel = text_of(&body["channel"]);
        if channel.contains(':') {
            return ("200 OK", r#"{"error":{"code":102,"message":"unknown channel"}}"#.into(), vec![]);
        }
        ("200 OK", r#"{"result":{}}"#.into(), vec![push_of(&channel, &body["data"])])
    }
}

fn push_of(channel: &str, data: &Value) -> Say {
    Say::To(channel.to_owned(), format!(r#"{{"push":{{"channel":"{channel}","pub":{{"data":{data}}}}}}}"#))
}

/// Public channels of an application, and its HTTP API behind something that signs.
#[derive(Default)]
pub struct Pusher(pub Pongs);

impl Tongue for Pusher {
    fn welcome(&self, head: &str) -> Option<Vec<Say>> {
        assert!(wire::path(head).contains("protocol=7"), "{head}");
        let established = r#"{"event":"pusher:connection_established","data":"{\"socket_id\":\"8375857373.9539096309\",\"activity_timeout\":30}"}"#;
        let refused = r#"{"event":"pusher:error","data":{"code":4001,"message":"App key nokey does not exist."}}"#;
        let words = if path_is(head, "/app/app-key") { established } else { refused };
        Some(vec![Say::Back(words.into())])
    }

    fn heard(&self, text: &str) -> Vec<Say> {
        let said = parse(text);
        match said["event"].as_str() {
            Some("pusher:pong") => {
                self.0.fetch_add(1, Ordering::Relaxed);
                vec![]
            }
            Some("pusher:subscribe") => {
                let channel = text_of(&said["data"]["channel"]);
                if channel.starts_with("private-") {
                    return vec![Say::Back(format!(
                        r#"{{"event":"pusher:subscription_error","channel":"{channel}","data":{{"type":"AuthError","error":"The connection is unauthorized.","status":401}}}}"#
                    ))];
                }
                vec![
                    Say::Back(format!(r#"{{"event":"pusher_internal:subscription_succeeded","channel":"{channel}"}}"#)),
                    Say::Join(channel),
                    Say::Back(r#"{"event":"pusher:ping","data":{}}"#.into()),
                ]
            }
            _ => panic!("not understood: {text}"),
        }
    }

    fn posted(&self, head: &str, body: &str) -> (&'static str, String, Vec<Say>) {
        assert!(path_is(head, "/apps/app-id/events"), "{head}");
        let body = parse(body);
        let channel = text_of(&body["channels"][0]);
        let event = json!({ "event": body["name"], "channel": channel, "data": body["data"] });
        ("200 OK", r#"{"ok":true}"#.into(), vec![Say::To(channel, event.to_string())])
    }
}

/// A topic exchange; what is no topic would be a queue, and goes to one reader only.
#[derive(Default)]
pub struct Stomp(AtomicU64);

impl Tongue for Stomp {
    fn welcome(&self, head: &str) -> Option<Vec<Say>> {
        assert_eq!(wire::header(head, "sec-websocket-protocol"), Some("v12.stomp"));
        path_is(head, "/ws").then(Vec::new)
    }

    fn heard(&self, text: &str) -> Vec<Say> {
        let frame = text.strip_suffix('\0').expect("a frame ends with a zero byte");
        let (head, body) = frame.split_once("\n\n").expect("headers end with an empty line");
        let (command, headers) = head.split_once('\n').unwrap_or((head, ""));
        let header = |name: &str| {
            let found = headers.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            found.unwrap_or_else(|| panic!("{command} without {name}"))
        };
        let topic = || header("destination").strip_prefix("/topic/").expect("a topic").to_owned();
        match command {
            "CONNECT" => {
                assert_eq!((header("accept-version"), header("heart-beat")), ("1.2", "0,0"));
                vec![Say::Back(
                    "CONNECTED\nserver:RabbitMQ/3.10.8\nsession:session-fHcWERyCzFTYkurwrrfI1w\nheart-beat:0,0\nversion:1.2\n\n\0\n"
                        .into(),
                )]
            }
            "SUBSCRIBE" if topic() == "secret" => {
                vec![Say::Back("ERROR\nmessage:access_refused\ncontent-type:text/plain\nversion:1.2\n\nno\0\n".into())]
            }
            "SUBSCRIBE" => {
                assert_eq!((header("id"), header("ack")), (topic().as_str(), "auto"));
                vec![Say::Join(topic()), Say::Back(format!("RECEIPT\nreceipt-id:{}\n\n\0\n", header("receipt")))]
            }
            "SEND" => {
                let (topic, number) = (topic(), self.0.fetch_add(1, Ordering::Relaxed));
                let message = format!(
                    "MESSAGE\nsubscription:{topic}\ndestination:/topic/{topic}\nmessage-id:T_{topic}@@session-x@@{number}\n\
                     redelivered:false\ncontent-type:text/plain\ncontent-length:{}\n\n{body}\0\n",
                    body.len()
                );
                vec![Say::To(topic, message)]
            }
            "DISCONNECT" => vec![],
            _ => panic!("not understood: {text}"),
        }
    }
}

/// Engine.IO 4 packets; the application is the one the dialect describes.
#[derive(Default)]
pub struct SocketIo(pub Pongs);

impl Tongue for SocketIo {
    fn welcome(&self, head: &str) -> Option<Vec<Say>> {
        let path = wire::path(head);
        assert!(path.contains("EIO=4") && path.contains("transport=websocket"), "{path}");
        let user = path.split("user=").nth(1).expect("who it is");
        let open = r#"0{"sid":"iqv40S9TeyJ1dmIwAAHv","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
        path_is(head, "/socket.io/").then(|| vec![Say::Join(format!("user:{user}")), Say::Back(open.into())])
    }

    fn heard(&self, text: &str) -> Vec<Say> {
        let Some((packet, arguments)) = text.find('[').map(|at| (&text[..at], parse(&text[at..]))) else {
            return match text {
                "40" => vec![Say::Back(r#"40{"sid":"2Hyn-O2BTjTMf_jGAAHv"}"#.into())],
                "3" => {
                    self.0.fetch_add(1, Ordering::Relaxed);
                    vec![]
                }
                "41" => vec![],
                _ => panic!("not understood: {text}"),
            };
        };
        let argument = |at: usize| text_of(&arguments[at]);
        let message = |payload: &str| format!(r#"42["message","{payload}"]"#);
        match (packet, argument(0).as_str()) {
            // The acknowledgement bears the packet's number; the server's ping follows.
            ("421", "subscribe") => vec![Say::Join(argument(1)), Say::Back("431[]".into()), Say::Back("2".into())],
            ("42", "publish") => vec![Say::To(argument(1), message(&argument(2)))],
            ("42", "publish_all") => vec![Say::All(message(&argument(1)))],
            ("42", "send") => vec![Say::To(format!("user:{}", argument(1)), message(&argument(2)))],
            ("42", "echo") => vec![Say::Back(message(&argument(1)))],
            _ => panic!("not understood: {text}"),
        }
    }
}

/// The path says it all.
pub struct Nchan;

impl Tongue for Nchan {
    fn welcome(&self, head: &str) -> Option<Vec<Say>> {
        Some(vec![Say::Join(wire::path(head).strip_prefix("/sub/")?.to_owned())])
    }

    fn heard(&self, text: &str) -> Vec<Say> {
        panic!("subscribers say nothing: {text}")
    }

    fn posted(&self, head: &str, body: &str) -> (&'static str, String, Vec<Say>) {
        let channel = wire::path(head).strip_prefix("/pub/").expect("a channel").to_owned();
        let answer = "queued messages: 1\r\nlast requested: 0 sec. ago\r\nactive subscribers: 1\r\n";
        ("202 Accepted", answer.into(), vec![Say::To(channel, body.to_owned())])
    }
}

/// Gives to everybody what anybody sends.
pub struct Raw;

impl Tongue for Raw {
    fn welcome(&self, head: &str) -> Option<Vec<Say>> {
        path_is(head, "/").then(Vec::new)
    }

    fn heard(&self, text: &str) -> Vec<Say> {
        vec![Say::All(text.to_owned())]
    }
}

/// Gives back what one sends.
pub struct Echo;

impl Tongue for Echo {
    fn welcome(&self, head: &str) -> Option<Vec<Say>> {
        path_is(head, "/echo").then(Vec::new)
    }

    fn heard(&self, text: &str) -> Vec<Say> {
        vec![Say::Back(text.to_owned())]
    }
}
