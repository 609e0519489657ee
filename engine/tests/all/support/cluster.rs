//! Several nodes on one Redis: started together, killed and started again one by one.

use std::collections::BTreeMap;
use std::ops::Index;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use super::deadline::{PATIENCE, eventually};
use super::node::Node;
use super::redis::Redis;

/// Running nodes, `n1` first. Dropping it kills them.
pub struct Cluster {
    /// None: killed, or stopped.
    nodes: Vec<Option<Node>>,
    plan: Plan,
}

/// What to start nodes with.
#[derive(Clone)]
pub struct Plan {
    /// `[cluster]`.
    settings: BTreeMap<String, String>,
    /// Everything else.
    config: String,
    /// In place of `cluster.redis`, by the node's index.
    ways: BTreeMap<usize, String>,
    args: Vec<String>,
}

impl Plan {
    /// On this Redis, with times short enough for a test.
    pub fn on(redis: &Redis) -> Self {
        let plan = Self { settings: BTreeMap::new(), config: String::new(), ways: BTreeMap::new(), args: Vec::new() };
        let plan = plan.set("redis", format!("{:?}", redis.url));
        let plan = redis.settings.iter().fold(plan, |plan, (key, value)| plan.set(key, value));
        plan.set("lease_ms", LEASE.as_millis()).set("timeout_ms", 500).set("linger_ms", 200)
    }

    /// A key of `[cluster]`, its value as TOML.
    pub fn set(mut self, key: &str, value: impl ToString) -> Self {
        self.settings.insert(key.into(), value.to_string());
        self
    }

    /// Further sections of the configuration.
    pub fn config(mut self, text: &str) -> Self {
        self.config.push_str(text);
        self
    }

    /// Further arguments of every node.
    pub fn args(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(ToString::to_string));
        self
    }

    /// This node goes another way to Redis.
    pub fn way(mut self, index: usize, url: &str) -> Self {
        self.ways.insert(index, format!("{url:?}"));
        self
    }

    /// Starts `count` nodes and waits until each knows all.
    pub fn start(self, count: usize) -> Cluster {
        let nodes = self.start_apart(count);
        nodes.settle();
        nodes
    }

    /// Starts `count` nodes, whether they know each other or not.
    pub fn start_apart(self, count: usize) -> Cluster {
        let plan = &self;
        let nodes = thread::scope(|scope| {
            let starting: Vec<_> = (0..count).map(|index| scope.spawn(move || plan.node(index))).collect();
            starting.into_iter().map(|node| Some(node.join().expect("a node"))).collect()
        });
        Cluster { nodes, plan: self }
    }

    /// One node of it.
    fn node(&self, index: usize) -> Node {
        let name = name(index);
        let args: Vec<&str> = self.args.iter().map(String::as_str).chain(["--node", &name]).collect();
        Node::setup(&self.file(index)).args(&args).start()
    }

    /// The configuration of one node.
    pub fn file(&self, index: usize) -> String {
        let mut settings = self.settings.clone();
        if let Some(url) = self.ways.get(&index) {
            settings.insert("redis".into(), url.clone());
        }
        let lines: Vec<String> = settings.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
        format!("[cluster]\n{}\n{}", lines.concat(), self.config)
    }
}

impl Cluster {
    /// Three nodes, or another number, with nothing special.
    pub fn start(count: usize, redis: &Redis) -> Self {
        Plan::on(redis).start(count)
    }

    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Those that run.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().flatten()
    }

    /// SIGKILL.
    pub fn kill(&mut self, index: usize) {
        drop(self.nodes[index].take().expect("it runs"));
    }

    /// SIGTERM, and waits for the end, which must be a good one.
    pub fn stop(&mut self, index: usize) {
        let mut node = self.nodes[index].take().expect("it runs");
        node.signal(Signal::TERM);
        assert_eq!(node.ended().code(), Some(0), "{}", node.log());
    }

    /// Starts a node that was killed or stopped again, with new ports and the same name.
    pub fn restart(&mut self, index: usize) {
        assert!(self.nodes[index].is_none(), "it still runs");
        self.nodes[index] = Some(self.plan.node(index));
    }

    /// Waits until every node that runs knows those that run and no other, ready and with all their sessions in the
    /// directory, and hears what they send.
    pub fn settle(&self) {
        self.settle_within(PATIENCE);
    }

    /// [`Cluster::settle`] with another deadline.
    pub fn settle_within(&self, deadline: Duration) {
        let mut expected: Vec<&str> = self.nodes().map(|node| node.name.as_str()).collect();
        expected.sort_unstable();
        for node in self.nodes() {
            let mut api = node.api();
            eventually(deadline, &format!("{} knows all nodes", node.name), || {
                let seen = api.get("/v1/nodes").json();
                (is_settled(&seen, &expected) && up(&api.get("/metrics").text())).then_some(())
            });
        }
    }
}

impl Index<usize> for Cluster {
    type Output = Node;

    fn index(&self, index: usize) -> &Node {
        self.nodes[index].as_ref().expect("it runs")
    }
}

/// What [`Plan::on`] sets as `cluster.lease_ms`.
pub const LEASE: Duration = Duration::from_millis(3_000);

fn name(index: usize) -> String {
    format!("n{}", index + 1)
}

/// Whether an answer of `/v1/nodes` shows exactly these, each ready and known with all its sessions.
fn is_settled(seen: &Value, expected: &[&str]) -> bool {
    let Some(nodes) = seen["nodes"].as_array() else { return false };
    let mut names: Vec<&str> = nodes.iter().filter_map(|node| node["name"].as_str()).collect();
    names.sort_unstable();
    names == expected && nodes.iter().all(|node| node["state"] == "ready" && node["synced"] == true)
}

fn up(metrics: &str) -> bool {
    metrics.lines().any(|line| line == "epush_relay_up 1")
}
