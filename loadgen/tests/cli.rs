//! The program as people meet it: what it says, and what it exits with.

#![allow(clippy::unwrap_used)]

use std::io::Write as _;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use epush::config::AuthMode;
use epush::{Config, Engine};
use epush_loadgen::outcome::{Ended as How, Outcome};

const PROGRAM: &str = env!("CARGO_BIN_EXE_epush-loadgen");

/// What a run of the program came to.
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl Ended {
    /// It exited with this code, and said all of this on standard error.
    #[track_caller]
    fn refused(&self, code: i32, words: &[&str]) {
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is missing in:\n{}", self.stderr);
        }
        assert_eq!(self.code, Some(code), "{}", self.stderr);
    }
}

fn loadgen(arguments: &[&str]) -> Ended {
    Command::new(PROGRAM).args(arguments).stdin(Stdio::null()).output().unwrap().into()
}

/// A scenario file that is gone when it is dropped.
fn scenario(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn run_file(text: &str) -> (Ended, String) {
    let file = scenario(text);
    let path = file.path().to_str().unwrap().to_owned();
    (loadgen(&["run", &path, "--plain"]), path)
}

/// A port where nothing listens.
fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn without_arguments_it_says_what_there_is() {
    let ended = loadgen(&[]);
    ended.refused(2, &["Usage:", "fanout", "compare", "Exit codes:"]);
    assert!(!ended.stderr.contains("worker"), "{}", ended.stderr);
}

#[test]
fn a_misspelt_subcommand_or_flag_names_the_nearest() {
    loadgen(&["fan-out"]).refused(2, &["'fan-out'", "'fanout'"]);
    loadgen(&["fanout", "--client", "3"]).refused(2, &["'--client'", "'--clients'"]);
}

#[test]
fn a_wrong_url_is_named_with_the_flag_it_came_from() {
    loadgen(&["hold", "--url", "http://127.0.0.1:1"])
        .refused(2, &["--url: `http://` is not for this: expected ws:// or wss://"]);
    loadgen(&["hold", "--url", "127.0.0.1:1"]).refused(2, &["--url: `127.0.0.1:1` is no URL: expected ws://"]);
    loadgen(&["fanout", "--api", "ws://x"])
        .refused(2, &["--api: `ws://` is not for this: expected http:// or https://"]);
}

#[test]
fn wrong_values_of_flags_are_all_named_at_once() {
    let wrong = ["echo", "--clients", "0", "--rate", "-1", "--payload", "50", "--processes", "0", "--source", "10.0.0"];
    let words = [
        "--clients: expected 1 to",
        "--rate: expected 0",
        "--payload: expected 60",
        "--processes: expected",
        "--source: `10.0.0`",
    ];
    // A negative number is no flag.
    let wrong: Vec<String> = wrong.join(" ").replace("--rate -1", "--rate=-1").split(' ').map(String::from).collect();
    loadgen(&wrong.iter().map(String::as_str).collect::<Vec<_>>()).refused(2, &words);
}

#[test]
fn times_and_headers_are_explained_where_they_are_wrong() {
    loadgen(&["hold", "--steady", "10"]).refused(2, &["--steady", "expected a time with its unit, such as 500ms"]);
    loadgen(&["hold", "--header", "nothing"]).refused(2, &["--header", "expected 'Name: value'"]);
    loadgen(&["hold", "--header", "A b: c"]).refused(2, &["--header: `A b` cannot be the name of a header"]);
    loadgen(&["fanout", "--rate", "1", "--pace", "taken"]).refused(2, &["--rate", "cannot be used with", "--pace"]);
}

#[test]
fn values_that_contradict_each_other_are_explained() {
    loadgen(&["peer", "--clients", "3"]).refused(2, &["--clients: peers come in pairs"]);
    loadgen(&["direct", "--clients", "5", "--users", "6"]).refused(2, &["--users: the first group has 5 clients"]);
    loadgen(&["fanout", "--clients", "5", "--channels", "6"]).refused(2, &["--channels: nobody subscribes to news.5"]);
    loadgen(&["fanout", "--pace", "delivered", "--processes", "2"]).refused(2, &["--pace: \"delivered\" needs"]);
    loadgen(&["hold", "--dialect", "socketoi"]).refused(2, &["--dialect: there is no dialect socketoi", "socketio"]);
    loadgen(&["fanout", "--dialect", "pusher"]).refused(2, &["cannot do", "Servers that want signatures"]);
}

#[test]
fn bad_toml_is_named_with_its_line() {
    let (ended, path) = run_file("name = \"a\"\n[target\nurl = 3\n");
    ended.refused(2, &[&format!("{path}:2: syntax:")]);
}

#[test]
fn unknown_keys_and_wrong_values_are_named_with_their_lines_and_the_nearest_key() {
    let (ended, path) =
        run_file("[target]\nurll = \"ws://x\"\n[[group]]\nclients = 5\nchanels = []\nconnect_per_s = \"x\"\n");
    let lines = [
        format!("{path}:2: target.urll: unknown key; did you mean `url`?"),
        format!("{path}:5: group.chanels: unknown key; did you mean `channels`?"),
        format!("{path}:6: group.connect_per_s: expected a number, found string \"x\""),
    ];
    ended.refused(2, &lines.each_ref().map(String::as_str));
}

/// Nobody listens at the address: what is found before anything is done is found without a server.
#[test]
fn what_a_dialect_and_an_address_cannot_be_is_named_with_its_line() {
    let text = "[target]\napi = \"http://127.0.0.1:1\"\n[[group]]\nclients = 1\nchannels = [\"a\"]\n\
        [[publisher]]\nto = { channels = [\"a\"] }\nrate_per_s = 1\npayload_bytes = 64\n\
        [dialect]\nname = \"mine\"\nsubscribe = { send = \"sub {channel}\" }\n\
        keepalive = { send = \"ping\", interval_ms = 0 }\nhttp = { path = \"/pub\" }\n";
    let (ended, path) = run_file(text);
    let lines = [
        format!("{path}:7: publisher.to: dialect `mine` has no words for publishing to a channel over an HTTP request"),
        format!("{path}:13: dialect.keepalive.interval_ms: expected 1 to 86400000"),
    ];
    ended.refused(2, &lines.each_ref().map(String::as_str));
    let (ended, path) = run_file("[tool]\nsource_addresses = [\"fd00::/64\"]\n[[group]]\nclients = 1\n");
    ended.refused(2, &[&format!("{path}:2: tool.source_addresses: `fd00::/64` is a network of IPv6")]);
}

#[test]
fn a_dialect_in_a_file_of_its_own_is_named_with_its_key() {
    let dialect = scenario("name = \"mine\"\nkeepalive = { send = \"ping\", interval_ms = 0 }\n");
    let path = dialect.path().to_str().unwrap();
    loadgen(&["hold", "--dialect", path])
        .refused(2, &["--dialect: mine: keepalive.interval_ms: expected 1 to 86400000"]);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    loadgen(&["run", "/nowhere/a.toml"]).refused(2, &["/nowhere/a.toml: cannot be read: No such file"]);
    loadgen(&["compare", "/nowhere/a.json", "/nowhere/b.json"]).refused(2, &["/nowhere/a.json"]);
    loadgen(&["compare", "/nowhere/a.json"]).refused(2, &["expected two results"]);
}

#[test]
fn results_that_could_not_be_written_are_refused_before_the_run() {
    loadgen(&["hold", "--json", "/nowhere/a.json"]).refused(2, &["--json: /nowhere/a.json cannot be written"]);
    loadgen(&["hold", "--html", "/nowhere/a.html"]).refused(2, &["--html: /nowhere/a.html cannot be written"]);
    loadgen(&["hold", "--expect", "p99<5parsecs"]).refused(2, &["--expect:"]);
}

#[test]
fn a_builtin_scenario_is_shown_as_the_file_it_is() {
    let shown = loadgen(&["show", "mixed"]);
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../config/loadgen/mixed.toml");
    assert_eq!((shown.stdout, shown.code), (std::fs::read_to_string(file).unwrap(), Some(0)));
    loadgen(&["show", "mixd"]).refused(2, &["mixd", "mixed"]);
}

#[test]
fn dialects_are_listed_and_printed() {
    let listed = loadgen(&["dialects"]);
    for name in ["epush", "raw", "socketio", "centrifugo", "pusher", "nchan", "stomp"] {
        assert!(listed.stdout.lines().any(|line| line.starts_with(name)), "{name} in {}", listed.stdout);
    }
    let printed = loadgen(&["dialects", "stomp"]);
    assert!(printed.stdout.contains("name = \"stomp\""), "{}", printed.stdout);
    loadgen(&["dialects", "stom"]).refused(2, &["there is no dialect stom"]);
}

#[test]
fn a_server_that_is_not_there_is_said_so() {
    let url = format!("ws://127.0.0.1:{}", closed_port());
    let short = ["--clients", "3", "--ramp", "10ms", "--steady", "100ms", "--drain", "100ms", "--plain"];
    let ended = loadgen(&[&["hold", "--url", &url], &short[..]].concat());
    ended.refused(1, &["connection refused", &url["ws://".len()..], "--url"]);
}

#[test]
fn too_few_descriptors_are_refused_with_what_to_do() {
    let script =
        format!("ulimit -n 256; exec {PROGRAM} hold --clients 1000 --plain --url ws://127.0.0.1:{}", closed_port());
    let ended: Ended = Command::new("sh").args(["-c", &script]).output().unwrap().into();
    ended.refused(2, &["1000", "256", "ulimit", "--processes"]);
}

fn engine() -> Engine {
    let mut config = Config::default();
    config.server.listen.set_port(0);
    config.server.api.set_port(0);
    config.server.reactors = 1;
    config.auth.mode = AuthMode::None;
    Engine::builder().config(config).start().unwrap()
}

/// A short fan-out over this engine, with further flags.
fn fanout(engine: &Engine, flags: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    let (url, api) = (format!("ws://{}", engine.addresses().client), format!("http://{}", engine.addresses().api));
    command.args(["fanout", "--url", &url, "--api", &api, "--clients", "20", "--ramp", "50ms", "--rate", "20"]);
    command.args(["--steady", "1s", "--drain", "5s"]).args(flags).stdin(Stdio::null());
    command
}

#[test]
fn a_run_prints_its_table_and_lines_of_progress() {
    let ended: Ended =
        fanout(&engine(), &["--expect", "lost=0,duplicates=0,balance=ok,received>0"]).output().unwrap().into();
    // A machine that is busy with other tests may make the tool its own bottleneck.
    assert!(matches!(ended.code, Some(0 | 4)), "{}", ended.stderr);
    assert!(ended.stdout.contains("lost"), "{}", ended.stdout);
    assert!(ended.stderr.contains("20 of 20 ready"), "{}", ended.stderr);
}

#[test]
fn an_expectation_that_does_not_hold_exits_3_and_says_what_was_instead() {
    let ended: Ended = fanout(&engine(), &["--quiet", "--expect", "lost=0,received<5"]).output().unwrap().into();
    ended.refused(3, &["received<5"]);
    assert_eq!(ended.stdout, "");
}

#[test]
fn json_goes_to_standard_output_alone() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("a.html");
    let ended: Ended = fanout(&engine(), &["--json", "-", "--html", page.to_str().unwrap()]).output().unwrap().into();
    let outcome: Outcome = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((outcome.counts.ready, outcome.counts.lost, outcome.ended), (20, 0, How::Complete));
    assert_eq!(outcome.scenario.name, "fanout");
    assert!(ended.stderr.contains("lost"), "the table is still to be read: {}", ended.stderr);
    assert!(std::fs::read_to_string(page).unwrap().contains("<svg"));
}

#[test]
fn a_result_that_standard_output_does_not_take_exits_1_and_the_others_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("a.html");
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let engine = engine();
    for flags in [&["--json", "-", "--html", page.to_str().unwrap()][..], &[]] {
        let mut command = fanout(&engine, flags);
        let ended: Ended = command.stdout(full()).stderr(Stdio::piped()).output().unwrap().into();
        ended.refused(1, &["cannot write to standard output: No space left"]);
    }
    assert!(std::fs::read_to_string(page).unwrap().ends_with("</html>\n"));
    let listed: Ended =
        Command::new(PROGRAM).arg("dialects").stdout(full()).stderr(Stdio::piped()).output().unwrap().into();
    listed.refused(1, &["cannot write to standard output"]);
}

#[test]
fn a_reader_of_the_table_that_has_seen_enough_is_no_failure() {
    let script = format!("{PROGRAM} show mixed | true; exit ${{PIPESTATUS[0]}}");
    let ended: Ended = Command::new("bash").args(["-c", &script]).output().unwrap().into();
    ended.refused(0, &[]);
}

#[test]
fn two_processes_give_one_result() {
    let ended: Ended = fanout(&engine(), &["--json", "-", "--processes", "2", "--quiet"]).output().unwrap().into();
    let outcome: Outcome = serde_json::from_str(&ended.stdout).unwrap_or_else(|why| panic!("{why}: {}", ended.stderr));
    assert_eq!((outcome.counts.ready, outcome.counts.lost), (20, 0));
    assert_eq!(outcome.counts.received, outcome.publishing.published * 20);
}

#[test]
fn ctrl_c_ends_a_run_early_with_its_result() {
    let engine = engine();
    let mut run = fanout(&engine, &["--json", "-", "--steady", "10m"]);
    let mut child = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for_progress(&mut child);
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::INT).unwrap();
    let ended: Ended = child.wait_with_output().unwrap().into();
    let outcome: Outcome = serde_json::from_str(&ended.stdout).unwrap_or_else(|why| panic!("{why}: {}", ended.stderr));
    assert_eq!((outcome.ended, outcome.counts.lost), (How::Interrupted, 0));
    assert!(matches!(ended.code, Some(0 | 4)), "{:?}", ended.code);
}

/// Reads standard error until messages have arrived.
fn wait_for_progress(child: &mut Child) {
    use std::io::{BufRead as _, BufReader};
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    while Instant::now() < deadline {
        if lines.next().unwrap().unwrap().contains("p99") {
            // Whoever reads no more must not stop the run: the rest is drained.
            std::thread::spawn(move || lines.for_each(drop));
            return;
        }
    }
    panic!("no message arrived in time");
}
