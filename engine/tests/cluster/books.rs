//! Numbered messages to users, a channel and everybody, and what every session got of them.
//!
//! Knows nothing of what happens to nodes and to Redis meanwhile.

use std::collections::BTreeMap;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use crate::ask::{push, to_all, to_channel, to_user};
use crate::support::{Api, Client, Cluster, Node, PATIENCE, Value, eventually, json};

/// The accounts of a cluster: what was sent, and what every session has to show for it.
pub struct Books {
    pub sessions: Vec<Session>,
    pub publishers: Vec<Publisher>,
}

/// One session and what it got.
pub struct Session {
    pub client: Client,
    /// The index of its node.
    pub node: usize,
    streams: BTreeMap<String, Seen>,
}

/// Who sends numbered messages to all streams, through one node.
pub struct Publisher {
    api: Api,
    id: u64,
    /// Messages of each stream that were taken.
    sent: BTreeMap<String, u64>,
}

/// One stream as one session saw it.
#[derive(Default, Debug)]
struct Seen {
    /// By publisher: the number that comes next, if nothing is lost.
    next: BTreeMap<u64, u64>,
    received: u64,
    /// The sum of all gaps.
    announced: u64,
    /// Messages jumped over.
    missing: u64,
}

/// Users of the books: the first is on every node, the others each on one.
const EVERYWHERE: &str = "everywhere";
const CHANNEL: &str = "news";

/// From the end of a fault, longer than any recovery takes.
const BALANCE_DEADLINE: Duration = Duration::from_secs(20);

impl Books {
    /// On every node a session of the user who is everywhere, one of a user of its own, and an anonymous one, all
    /// subscribed to the channel; publishers on these nodes.
    pub fn open(nodes: &Cluster, publishers: &[usize]) -> Self {
        let mut sessions = Vec::new();
        for node in 0..nodes.len() {
            for (path, user) in
                [(format!("/msg/{EVERYWHERE}"), Some(EVERYWHERE.to_string())), (own_path(node), Some(own(node)))]
            {
                sessions.push(Session::open(nodes[node].client(&path), node, user));
            }
            sessions.push(Session::open(nodes[node].anyone(), node, None));
        }
        let mut books = Self { sessions, publishers: Vec::new() };
        for node in publishers {
            books.add_publisher(nodes, *node);
        }
        books
    }

    pub fn add_publisher(&mut self, nodes: &Cluster, node: usize) {
        let id = self.publishers.len() as u64;
        let users = (0..nodes.len()).map(own).chain([EVERYWHERE.to_string()]);
        let streams = users.map(|user| format!("user {user}")).chain([format!("channel {CHANNEL}"), "all".into()]);
        self.publishers.push(Publisher { api: nodes[node].api(), id, sent: streams.map(|name| (name, 0)).collect() });
    }

    /// Sessions of a node that is no more.
    pub fn forget_node(&mut self, node: usize) {
        self.sessions.retain(|session| session.node != node);
    }

    /// Every publisher sends so many messages to every stream.
    pub fn rounds(&mut self, count: u64) {
        self.rounds_around(count, || {});
    }

    /// The same; in the middle of it, while they go on, something happens.
    pub fn rounds_around(&mut self, count: u64, happening: impl FnOnce()) {
        thread::scope(|scope| {
            let (half, halves) = channel();
            let running: Vec<_> = self
                .publishers
                .iter_mut()
                .map(|publisher| {
                    let half = half.clone();
                    scope.spawn(move || {
                        for round in 0..count {
                            if round == count / 2 {
                                half.send(()).expect("the test waits for it");
                            }
                            publisher.round();
                        }
                    })
                })
                .collect();
            for _ in &running {
                halves.recv_timeout(PATIENCE).expect("publishers publish");
            }
            happening();
            running.into_iter().for_each(|publisher| publisher.join().expect("published"));
        });
        self.read();
    }

    /// Reads what has come to every session.
    pub fn read(&mut self) {
        self.sessions.iter_mut().for_each(Session::read);
    }

    /// Waits until received + announced = sent in every stream of every session; then nothing more comes but new messages,
    /// without any gap. Returns how many were announced as lost, over all sessions.
    pub fn balance(&mut self) -> u64 {
        self.wait_for_balance();
        let announced = self.announced();
        self.rounds(1);
        self.wait_for_balance();
        assert_eq!(self.announced(), announced, "all is well, and yet a message was lost");
        announced
    }

    /// Messages announced as lost, over all sessions and streams.
    pub fn announced(&self) -> u64 {
        self.sessions.iter().flat_map(|session| session.streams.values()).map(|seen| seen.announced).sum()
    }

    fn wait_for_balance(&mut self) {
        let sent = self.sent();
        let start = Instant::now();
        eventually(PATIENCE, "received + announced = sent", || {
            self.read();
            let open: Vec<String> = self.sessions.iter().filter_map(|session| session.imbalance(&sent)).collect();
            let is_late = start.elapsed() >= BALANCE_DEADLINE;
            assert!(open.is_empty() || !is_late, "not balanced:\n{}", open.join("\n"));
            open.is_empty().then_some(())
        });
    }

    fn sent(&self) -> BTreeMap<String, u64> {
        let mut sent = BTreeMap::new();
        for (stream, count) in self.publishers.iter().flat_map(|publisher| &publisher.sent) {
            *sent.entry(stream.clone()).or_default() += count;
        }
        sent
    }
}

impl Session {
    fn open(mut client: Client, node: usize, user: Option<String>) -> Self {
        client.subscribe(CHANNEL);
        let streams = user.map(|user| format!("user {user}")).into_iter();
        let streams = streams.chain([format!("channel {CHANNEL}"), "all".into()]);
        Self { client, node, streams: streams.map(|name| (name, Seen::default())).collect() }
    }

    /// Everything that came before the answer to a ping.
    fn read(&mut self) {
        assert_eq!(self.client.call(json!({"op": "ping"}))["op"], "pong");
        while let Some(frame) = self.client.take_early() {
            self.take(&frame);
        }
    }

    fn take(&mut self, frame: &Value) {
        let who = format!("{} on n{}", self.client.welcome["user"], self.node + 1);
        let stream = stream_of(frame);
        let seen = self.streams.get_mut(&stream).unwrap_or_else(|| panic!("{who} must not get {frame}"));
        match frame["op"].as_str() {
            Some("gap") => {
                assert_eq!(frame["reason"], "relay", "{who}: {frame}");
                seen.announced += frame["count"].as_u64().filter(|count| *count > 0).expect("a gap counts");
            }
            Some("message") => seen.take(&frame["data"], &format!("{who}: {frame}")),
            _ => panic!("{who}: {frame}"),
        }
    }

    /// What does not add up yet.
    fn imbalance(&self, sent: &BTreeMap<String, u64>) -> Option<String> {
        let who = format!("{} on n{}", self.client.welcome["user"], self.node + 1);
        self.streams.iter().find_map(|(stream, seen)| {
            let accounted = seen.received + seen.announced;
            assert!(accounted <= sent[stream], "{who}, {stream}: more than {} sent: {seen:?}", sent[stream]);
            (accounted < sent[stream]).then(|| format!("{who}, {stream}: {} sent, {seen:?}", sent[stream]))
        })
    }
}

impl Seen {
    /// In order, never twice, and nothing is jumped over that was not announced before.
    fn take(&mut self, data: &Value, context: &str) {
        let number = |name: &str| data[name].as_u64().unwrap_or_else(|| panic!("{context}"));
        let (publisher, n) = (number("p"), number("n"));
        let next = self.next.entry(publisher).or_default();
        assert!(n >= *next, "twice, or out of order, where {next} is next: {context}");
        self.missing += n - *next;
        *next = n + 1;
        self.received += 1;
        assert!(self.missing <= self.announced, "lost without a gap: {self:?}: {context}");
    }
}

impl Publisher {
    /// Publishes through another node from now on: its numbers go on, its node is about to end.
    pub fn move_to(&mut self, node: &Node) {
        self.api = node.api();
    }

    fn round(&mut self) {
        for (stream, sent) in &mut self.sent {
            let data = json!({"p": self.id, "n": *sent});
            let body = match stream.split_once(' ') {
                Some(("user", user)) => to_user(user, data),
                Some((_, channel)) => to_channel(channel, data),
                None => to_all(data),
            };
            push(&mut self.api, &body);
            *sent += 1;
        }
    }
}

fn own(node: usize) -> String {
    format!("own-{}", node + 1)
}

fn own_path(node: usize) -> String {
    format!("/msg/{}", own(node))
}

fn stream_of(frame: &Value) -> String {
    match (frame["user"].as_str(), frame["channel"].as_str()) {
        (Some(user), _) => format!("user {user}"),
        (_, Some(channel)) => format!("channel {channel}"),
        _ => "all".into(),
    }
}
