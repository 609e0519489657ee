//! An nginx in front of a node, on the configuration that ships.

use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::ports::free_port;
use super::tools::{repository_file, succeeds, tool};
use super::{Node, until};

/// A running nginx. It ends with the test.
pub struct Nginx {
    child: Child,
    pub address: SocketAddr,
    _dir: tempfile::TempDir,
}

impl Nginx {
    /// Renders `config/nginx.conf` with the node's port and one of its own.
    pub fn in_front_of(node: &Node) -> Self {
        let shipped = Shipped::read("config/nginx.conf");
        Self::on(shipped.replace("server 127.0.0.1:7000;", &format!("server {};", node.clients)))
    }

    /// Renders `config/nginx-cluster.conf` with three nodes' ports and one of its own.
    pub fn in_front_of_all(nodes: [&Node; 3]) -> Self {
        let mut shipped = Shipped::read("config/nginx-cluster.conf");
        for (name, node) in ["10.0.0.1", "10.0.0.2", "10.0.0.3"].into_iter().zip(nodes) {
            shipped = shipped.replace(&format!("server {name}:7000 "), &format!("server {} ", node.clients));
        }
        Self::on(shipped)
    }

    fn on(shipped: Shipped) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let port = free_port();
        let site = shipped.replace("listen 80;", &format!("listen 127.0.0.1:{port};")).text;
        std::fs::write(dir.path().join("epush.conf"), site).expect("writable");
        let here = dir.path().display();
        // What Debian's own nginx.conf puts around a site, with every path in the temporary directory.
        let temp_paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {here}/{kind};\n"))
            .concat();
        let main = format!(
            "daemon off;\nworker_processes 1;\npid {here}/pid;\nerror_log {here}/error.log;\n\
             events {{ worker_connections 512; }}\nhttp {{\naccess_log off;\n{temp_paths}include {here}/epush.conf;\n}}\n"
        );
        let file = dir.path().join("nginx.conf");
        std::fs::write(&file, main).expect("writable");
        let nginx = || {
            let mut command = Command::new(tool("nginx"));
            command.arg("-p").arg(dir.path()).arg("-c").arg(&file).args(["-e", &format!("{here}/error.log")]);
            command
        };
        succeeds(nginx().arg("-t"));
        let child = nginx().stdin(Stdio::null()).spawn().expect("nginx starts");
        let address = ([127, 0, 0, 1], port).into();
        until("nginx listens", || TcpStream::connect(address).is_ok());
        Self { child, address, _dir: dir }
    }

    pub fn url(&self, path: &str) -> String {
        format!("ws://{}{path}", self.address)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // SIGTERM, so that the master takes its worker with it.
        let pid = Pid::from_child(&self.child);
        let _ = kill_process(pid, Signal::TERM);
        let _ = self.child.wait();
    }
}

/// A file of `config/`, on its way to one that runs here.
struct Shipped {
    file: &'static str,
    text: String,
}

impl Shipped {
    fn read(file: &'static str) -> Self {
        Self { file, text: std::fs::read_to_string(repository_file(file)).expect("a file of the repository") }
    }

    fn replace(self, from: &str, to: &str) -> Self {
        assert!(self.text.contains(from), "{} has no {from:?}", self.file);
        Self { text: self.text.replace(from, to), ..self }
    }
}
