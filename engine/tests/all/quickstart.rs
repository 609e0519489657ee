//! The quickstart of the README, word for word but for the ports.

use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::Receiver;

use crate::support::Node;
use crate::support::deadline::PATIENCE;
use crate::support::node::follow_lines;
use crate::support::tools::{node_modules, python, repository_file, succeeds};

/// The blocks of shell commands in the quickstart, and the text around them.
fn quickstart() -> (Vec<String>, String) {
    let readme = std::fs::read_to_string(repository_file("README.md")).expect("README.md");
    let part = readme.split("\n## ").find(|part| part.starts_with("Quickstart")).expect("a quickstart").to_owned();
    let blocks = part.split("```sh\n").skip(1);
    (blocks.map(|block| block.split("\n```").next().unwrap().to_owned()).collect(), part)
}

/// A command of the README for this node.
fn for_node(command: &str, node: &Node) -> String {
    let ported = command.replace("127.0.0.1:7000", &node.clients.to_string());
    ported.replace("127.0.0.1:7001", &node.control.to_string())
}

/// A client of the command line.
struct Terminal {
    child: Child,
    /// Kept open: where nobody can type any more, the client ends.
    _typed: ChildStdin,
    shown: Receiver<String>,
}

impl Terminal {
    fn open(program: &mut Command, line: &str) -> Self {
        let url = line.split_whitespace().find(|word| word.contains("ws://")).expect("a URL").trim_matches('\'');
        let mut child = program.arg(url).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let typed = child.stdin.take().expect("piped");
        let shown = follow_lines(child.stdout.take().expect("piped"));
        Self { child, _typed: typed, shown }
    }

    /// The next line it shows that has `needle`.
    fn expect(&self, needle: &str) -> String {
        loop {
            let line = self.shown.recv_timeout(PATIENCE).unwrap_or_else(|why| panic!("no {needle}: {why}"));
            if line.contains(needle) {
                return line;
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether `text` has the parts of `shape` in their order; `…` stands for anything.
fn has_shape(text: &str, shape: &str) -> bool {
    let mut rest = text;
    shape.split('…').all(|part| {
        let found = rest.split_once(part);
        rest = found.map_or("", |(_, after)| after);
        found.is_some()
    })
}

#[test]
fn the_three_commands_of_the_quickstart_do_what_it_says() {
    let (commands, text) = quickstart();
    let [run, client, push, test] = &commands[..] else { panic!("three commands and the tests: {commands:?}") };
    // The binary is the same; only how it is optimised differs, and its ports.
    assert_eq!((run.as_str(), test.as_str()), ("cargo run --release", "./test"));
    let node = Node::plain();
    let (wscat, other) = client.split_once("# or: ").expect("two clients");
    assert!(wscat.starts_with("npx wscat -c ") && other.starts_with("python3 -m websockets "), "{client}");
    let (wscat, other, push) = (for_node(wscat, &node), for_node(other, &node), for_node(push, &node));

    let clients = [
        Terminal::open(Command::new(node_modules().join(".bin/wscat")).arg("-c"), &wscat),
        Terminal::open(Command::new(python()).args(["-m", "websockets"]), &other),
    ];
    for client in &clients {
        assert!(client.expect("welcome").contains(r#""user":"42""#));
    }
    let pushed = succeeds(Command::new("sh").args(["-c", &push])).stdout;
    assert!(pushed.contains(r#""local":2"#), "{pushed}");
    let shape = text.split('`').find(|part| part.starts_with(r#"{"op":"message""#)).expect("what the client shows");
    for client in &clients {
        let shown = client.expect(r#""op":"message""#);
        assert!(has_shape(&shown, shape), "{shown} is not {shape}");
    }
}
