//! An nginx in front of a node, on the configuration that ships.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use rustix::process::{Pid, Signal, kill_process};

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
        let dir = tempfile::tempdir().expect("a temporary directory");
        let port = free_port();
        let shipped = std::fs::read_to_string(repository_file("config/nginx.conf")).expect("config/nginx.conf");
        let replace = |text: String, from: &str, to: &str| {
            assert!(text.contains(from), "config/nginx.conf has no {from:?}");
            text.replace(from, to)
        };
        let site = replace(shipped, "server 127.0.0.1:7000;", &format!("server {};", node.clients));
        let site = replace(site, "listen 80;", &format!("listen 127.0.0.1:{port};"));
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

/// A port to listen on.
///
/// Below those the kernel gives out by itself (`net.ipv4.ip_local_port_range`): between our look and nginx's bind, one of
/// those could go to any of the connections other tests open.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let of_this_process = 20_000 + (std::process::id() % 100) as u16 * 100;
    let ports = std::iter::repeat_with(|| of_this_process + NEXT.fetch_add(1, Ordering::Relaxed) % 100);
    ports.take(100).find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a free port")
}
