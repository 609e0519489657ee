//! The live screen on a terminal: that of `script`, from util-linux, which takes what is typed from its standard input.

#![allow(clippy::unwrap_used)]

use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use epush::config::AuthMode;
use epush::{Config, Engine};

const PROGRAM: &str = env!("CARGO_BIN_EXE_epush-loadgen");

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The screen of its own that a terminal has for such programs, begun and left.
const ENTER: &str = "\x1b[?1049h";
const LEAVE: &str = "\x1b[?1049l";

/// Ctrl-C, as a terminal sends it.
const CONTROL_C: &[u8] = b"\x03";

fn engine() -> Engine {
    let mut config = Config::default();
    config.server.listen.set_port(0);
    config.server.api.set_port(0);
    config.server.reactors = 1;
    config.auth.mode = AuthMode::None;
    Engine::builder().config(config).start().unwrap()
}

/// A terminal of 120 by 40, and the program on it. Afterwards the terminal says how it was left.
struct Seat {
    child: Child,
    keys: ChildStdin,
    shown: Receiver<Vec<u8>>,
    so_far: String,
}

impl Seat {
    fn take(arguments: &str) -> Self {
        let line = format!("stty rows 40 cols 120; {PROGRAM} {arguments}; code=$?; echo left; stty -a; exit $code");
        let mut command = Command::new("script");
        command.args(["--quiet", "--return", "--command", &line, "/dev/null"]).env("TERM", "xterm");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (keys, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (tell, shown) = channel();
        std::thread::spawn(move || {
            let mut piece = [0; 4_096];
            while let Ok(count @ 1..) = screen.read(&mut piece) {
                let _ = tell.send(piece[..count].to_vec());
            }
        });
        Self { child, keys, shown, so_far: String::new() }
    }

    /// Waits until all of this was shown.
    #[track_caller]
    fn until(&mut self, words: &[&str]) {
        let deadline = Instant::now() + PATIENCE;
        while !words.iter().all(|words| self.so_far.contains(words)) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.shown.recv_timeout(left) {
                Ok(piece) => self.so_far.push_str(&String::from_utf8_lossy(&piece)),
                Err(_) => panic!("waited in vain for {words:?}:\n{}", self.so_far),
            }
        }
    }

    fn press(&mut self, keys: &[u8]) {
        self.keys.write_all(keys).unwrap();
    }

    /// Everything that was shown, and the exit code.
    fn leave(mut self) -> (String, Option<i32>) {
        while let Ok(piece) = self.shown.recv_timeout(PATIENCE) {
            self.so_far.push_str(&String::from_utf8_lossy(&piece));
        }
        let status = self.child.wait().unwrap();
        (std::mem::take(&mut self.so_far), status.code())
    }
}

#[test]
fn the_live_screen_is_drawn_and_ctrl_c_ends_the_run_with_its_report_and_the_terminal_as_it_was() {
    let engine = engine();
    let (url, api) = (engine.addresses().client, engine.addresses().api);
    let load = "--clients 20 --ramp 50ms --rate 20 --steady 10m --drain 5s";
    let mut seat = Seat::take(&format!("fanout --url ws://{url} --api http://{api} {load}"));
    seat.until(&[ENTER, "epush-loadgen fanout", "20 of 20 connections ready", "steady", "messages", "Ctrl-C"]);
    assert!(!seat.so_far.contains(LEAVE), "{}", seat.so_far);
    seat.press(CONTROL_C);
    let (shown, code) = seat.leave();
    let (_, after) = shown.split_once(LEAVE).expect("the screen is left");
    let (report, terminal) = after.split_once("left\r\n").expect("the shell goes on");
    // The whole report, on the screen that was there before.
    for words in ["ended early by Ctrl-C", "Connections", "Messages", "expected", "Publishing", "p99"] {
        assert!(report.contains(words), "{words:?} is missing in:\n{report}");
    }
    // A machine that is busy with other tests may make the tool its own bottleneck.
    assert!(matches!(code, Some(0 | 4)), "{code:?}: {report}");
    let modes: Vec<&str> = terminal.split([' ', ';', '\r', '\n']).collect();
    for mode in ["icanon", "echo", "isig", "icrnl", "opost"] {
        assert!(modes.contains(&mode), "{mode} is off: {terminal}");
    }
    assert!(after.contains("\x1b[?25h"), "the cursor is shown again");
    engine.stop();
}
