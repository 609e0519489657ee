//! Redis in its real forms, each made of processes of the test's own: on free ports, with nothing kept on disk.
//!
//! Knows nothing of what epush keeps there.

mod certificates;
mod server;

use std::time::Duration;

pub use certificates::Certificates;
use redis::FromRedisValue;
pub use server::Server;

use super::deadline::{PATIENCE, eventually};
use super::tools::repository_file;

/// A Redis: one server, or several that belong together. It ends with the test.
pub struct Redis {
    /// Those that hold data: one, or a master and its replica, or all masters.
    pub servers: Vec<Server>,
    /// Those that watch them.
    pub sentinels: Vec<Server>,
    /// For `cluster.redis`.
    pub url: String,
    /// Further lines of `[cluster]` that are needed to get in.
    pub settings: Vec<(String, String)>,
}

impl Redis {
    /// One server without a password.
    pub fn single() -> Self {
        Self::with("")
    }

    /// One server with these lines in its configuration.
    pub fn with(config: &str) -> Self {
        Self::of(Server::start(config), "")
    }

    /// One server that wants a password.
    pub fn with_password(password: &str) -> Self {
        let server = Server::start_as(&format!("requirepass {password}\n"), &format!(":{password}@"));
        Self::of(server, &format!(":{password}@"))
    }

    /// One server that knows this user only, who may do what `docs/CLUSTER.md` says that epush needs.
    pub fn with_user(user: &str, password: &str) -> Self {
        let page = std::fs::read_to_string(repository_file("docs/CLUSTER.md")).expect("a file of the repository");
        let line = page.lines().find(|line| line.starts_with("user epush on >PASSWORD ")).expect("the line of an ACL");
        let line = line.replace("user epush on >PASSWORD", &format!("user {user} on >{password}"));
        let config = format!("user default off\nuser keeper on >keeper ~* &* +@all\n{line}\n");
        Self::of(Server::start_as(&config, "keeper:keeper@"), &format!("{user}:{password}@"))
    }

    /// One server that speaks TLS, and wants its clients' certificates.
    pub fn with_tls() -> Self {
        let certificates = Certificates::new();
        let tls_port = super::ports::free_port();
        let file = |name: &str| certificates.file(name).display().to_string();
        let config = format!(
            "tls-port {tls_port}\ntls-cert-file {}\ntls-key-file {}\ntls-ca-cert-file {}\ntls-auth-clients yes\n",
            file("server.pem"),
            file("server.key"),
            file("ca.pem")
        );
        let mut server = Server::start(&config);
        let settings = [("ca_file", "ca.pem"), ("cert_file", "client.pem"), ("key_file", "client.key")];
        let settings = settings.map(|(key, name)| (key.to_string(), format!("{:?}", file(name))));
        server.keep(certificates);
        Self {
            servers: vec![server],
            sentinels: Vec::new(),
            url: format!("rediss://127.0.0.1:{tls_port}"),
            settings: settings.into(),
        }
    }

    /// A master, its replica, and three sentinels that watch them.
    pub fn sentinel() -> Self {
        let master = Server::start("repl-diskless-sync-delay 0\n");
        let replica = Server::start(&format!("repl-diskless-sync-delay 0\nreplicaof 127.0.0.1 {}\n", master.port));
        eventually(PATIENCE, "the replica follows", || {
            replica.info("replication").contains("master_link_status:up").then_some(())
        });
        let config = format!(
            "sentinel monitor {SERVICE} 127.0.0.1 {} 2\nsentinel down-after-milliseconds {SERVICE} 1000\n\
             sentinel failover-timeout {SERVICE} 4000\n",
            master.port
        );
        let sentinels: Vec<Server> = (0..3).map(|_| Server::start_sentinel(&config)).collect();
        for sentinel in &sentinels {
            // They would take some seconds to find each other and the replica. Not PING-PERIOD: what a sentinel knows of a
            // replica is good for five of them, and it asks once a second.
            let hurry = ["INFO-PERIOD", "500", "PUBLISH-PERIOD", "200", "ASK-PERIOD", "200"];
            let _: () = sentinel.ask(&[&["SENTINEL", "DEBUG"][..], &hurry].concat());
        }
        eventually(PATIENCE, "the sentinels know each other and the replica", || {
            let knows = |sentinel: &Server| {
                let ok: bool = sentinel.try_ask::<String>(&["SENTINEL", "CKQUORUM", SERVICE]).is_ok();
                ok && sentinel.info("sentinel").contains("slaves=1,sentinels=3")
            };
            sentinels.iter().all(knows).then_some(())
        });
        let hosts = hosts(&sentinels);
        let url = format!("redis+sentinel://{hosts}/{SERVICE}");
        Self { servers: vec![master, replica], sentinels, url, settings: Vec::new() }
    }

    /// Redis Cluster: three masters, each with a third of the slots.
    pub fn cluster() -> Self {
        let config = "cluster-enabled yes\ncluster-node-timeout 2000\n";
        let servers: Vec<Server> = (0..3).map(|_| Server::start(config)).collect();
        for (index, server) in servers.iter().enumerate() {
            let slots = [(0, 5460), (5461, 10_922), (10_923, 16_383)][index];
            let () = server.ask(&["CLUSTER", "ADDSLOTSRANGE", &slots.0.to_string(), &slots.1.to_string()]);
            let () = server.ask(&["CLUSTER", "SET-CONFIG-EPOCH", &(index + 1).to_string()]);
            let () = servers[0].ask(&["CLUSTER", "MEET", "127.0.0.1", &server.port.to_string()]);
        }
        let redis = Self {
            url: format!("redis+cluster://{}", hosts(&servers)),
            servers,
            sentinels: Vec::new(),
            settings: Vec::new(),
        };
        redis.expect_cluster();
        redis
    }

    /// Waits until every master of a Redis Cluster knows every other, and all slots are served.
    pub fn expect_cluster(&self) {
        eventually(PATIENCE, "the masters know each other", || {
            let is_whole = |server: &Server| {
                let info: String = server.try_ask(&["CLUSTER", "INFO"]).unwrap_or_default();
                let ranges: Vec<redis::Value> = server.try_ask(&["CLUSTER", "SLOTS"]).unwrap_or_default();
                info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3") && ranges.len() == 3
            };
            self.servers.iter().all(is_whole).then_some(())
        });
    }

    /// Asks the first server.
    ///
    /// # Panics
    /// When it does not answer, or with an error.
    pub fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        self.servers[0].ask(words)
    }

    /// Kills every server.
    pub fn kill(&mut self) {
        self.servers.iter_mut().for_each(Server::kill);
    }

    /// Starts every server again, on its port, without its data.
    pub fn restart_empty(&mut self) {
        self.servers.iter_mut().for_each(Server::restart_empty);
    }

    /// Stops every server where it stands: connections stay, nothing answers.
    pub fn hang(&self) {
        self.servers.iter().for_each(Server::hang);
    }

    /// Lets every server go on.
    pub fn go_on(&self) {
        self.servers.iter().for_each(Server::go_on);
    }

    fn of(server: Server, login: &str) -> Self {
        let url = format!("redis://{login}127.0.0.1:{}", server.port);
        Self { servers: vec![server], sentinels: Vec::new(), url, settings: Vec::new() }
    }
}

/// What the sentinels call the master they watch.
pub const SERVICE: &str = "push";

/// The longest a command may take that is not meant to hang.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(5);

fn hosts(servers: &[Server]) -> String {
    let hosts: Vec<String> = servers.iter().map(|server| format!("127.0.0.1:{}", server.port)).collect();
    hosts.join(",")
}
