//! The command line: arguments to an [`Invocation`].
//!
//! Knows which flag sets which key; what a key may be is `config`'s to know, what a call answers is `client`'s.

use std::ffi::OsString;
use std::io::Read;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};
use epush::config::{CONFIG_VARIABLE, Layers};

use crate::client::{Call, Control};
use crate::push::{Payload, Push, Target};

/// What the user wants done.
#[derive(Debug)]
pub enum Invocation {
    /// Run the engine.
    Serve(Layers),
    /// Validate a configuration and print it, or only its faults.
    Check(Layers, bool),
    /// Call the control API of a running engine.
    Call(Control, Call),
}

/// Reads the process's arguments and environment. Ends the process with 2 on bad usage, with 0 after `--help`.
pub fn parse() -> Invocation {
    parse_from(std::env::args_os(), environment(), &mut std::io::stdin()).unwrap_or_else(|usage| usage.exit())
}

/// As [`parse`], of these arguments.
fn parse_from(
    arguments: impl IntoIterator<Item = OsString>,
    environment: Vec<(String, String)>,
    stdin: &mut dyn Read,
) -> Result<Invocation, clap::Error> {
    let cli = Cli::try_parse_from(arguments)?;
    Ok(match cli.command {
        None => Invocation::Serve(cli.serve.layers(environment)?),
        Some(Command::Serve(serve)) => Invocation::Serve(serve.layers(environment)?),
        Some(Command::Check { file, set, quiet }) => {
            Invocation::Check(with_sets(Layers::new().file(file).environment(environment), &set)?, quiet)
        }
        Some(Command::Push(push)) => push.invocation(stdin)?,
        Some(Command::Online(control)) => Invocation::Call(control.into(), Call::online()),
        Some(Command::User { user, control }) => Invocation::Call(control.into(), Call::user(&user)),
        Some(Command::Kick { user, control }) => Invocation::Call(control.into(), Call::kick(&user)),
        Some(Command::Nodes(control)) => Invocation::Call(control.into(), Call::nodes()),
        Some(Command::Drain(control)) => Invocation::Call(control.into(), Call::drain()),
    })
}

/// Our variables. One that is not UTF-8 keeps its readable part, and so fails with its name where it matters.
fn environment() -> Vec<(String, String)> {
    let readable =
        |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.to_string_lossy().into()));
    std::env::vars_os().filter_map(readable).collect()
}

/// A push engine: very many WebSocket clients, pushed to at once.
///
/// Without a command, the engine runs: `epush` is `epush serve`.
#[derive(Parser)]
#[command(name = "epush", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Subcommand)]
enum Command {
    /// Run the engine
    Serve(Serve),
    /// Validate a config file and print the effective configuration, secrets hidden
    Check {
        /// The TOML file. Variables EPUSH_SECTION_KEY count, as they do for serve
        file: PathBuf,
        /// Set any key, as for serve
        #[arg(long, value_name = "SECTION.KEY=VALUE")]
        set: Vec<String>,
        /// Print errors and warnings only
        #[arg(long, short)]
        quiet: bool,
    },
    /// Publish through the control API
    Push(PushArgs),
    /// Print how many clients are connected
    Online(ControlArgs),
    /// Print a user's sessions
    User {
        /// The user
        user: String,
        #[command(flatten)]
        control: ControlArgs,
    },
    /// Close all sessions of a user
    Kick {
        /// The user
        user: String,
        #[command(flatten)]
        control: ControlArgs,
    },
    /// Print the nodes of the cluster
    Nodes(ControlArgs),
    /// Start draining the node: its clients move on, then it stops
    Drain(ControlArgs),
}

#[derive(Args)]
struct Serve {
    /// TOML file with any of the keys
    #[arg(long, value_name = "FILE", env = CONFIG_VARIABLE)]
    config: Option<PathBuf>,
    /// Address of the client listener [default: 127.0.0.1:7000]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Address of the control API [default: 127.0.0.1:7001]
    #[arg(long, value_name = "ADDR")]
    api: Option<String>,
    /// Sub-reactor threads [default: one per core]
    #[arg(long, value_name = "N")]
    reactors: Option<String>,
    /// Redis that joins nodes [default: none, a single node]
    #[arg(long, value_name = "URL")]
    redis: Option<String>,
    /// The node's name [default: host name and a random suffix]
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// Serve /echo
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    echo: Option<String>,
    /// Least important log lines: off, error, warn, info, debug, trace [default: info]
    #[arg(long, value_name = "LEVEL")]
    log: Option<String>,
    /// Set any key: --set limits.connections=5000. Lists are separated by commas
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    set: Vec<String>,
}

impl Serve {
    fn layers(self, environment: Vec<(String, String)>) -> Result<Layers, clap::Error> {
        let mut layers = Layers::new().environment(environment);
        if let Some(file) = self.config {
            layers = layers.file(file);
        }
        // A flag of its own is more particular than --set, so it comes later and wins.
        layers = with_sets(layers, &self.set)?;
        let flags = [
            ("--listen", "server.listen", self.listen),
            ("--api", "server.api", self.api),
            ("--reactors", "server.reactors", self.reactors),
            ("--redis", "cluster.redis", self.redis),
            ("--node", "server.node", self.node),
            ("--echo", "server.echo", self.echo),
            ("--log", "log.level", self.log),
        ];
        for (name, key, value) in flags {
            if let Some(value) = value {
                layers = layers.flag(name, key, value);
            }
        }
        Ok(layers)
    }
}

fn with_sets(layers: Layers, sets: &[String]) -> Result<Layers, clap::Error> {
    sets.iter().try_fold(layers, |layers, set| match set.split_once('=') {
        Some((key, value)) => Ok(layers.flag(format!("--set {}", key.trim()), key.trim(), value)),
        // The text is not repeated: it may be a secret whose key was forgotten.
        None => Err(usage("--set: expected section.key=value")),
    })
}

#[derive(Args)]
struct ControlArgs {
    /// URL of the control API
    #[arg(long, value_name = "URL", env = "EPUSHCTL_API", default_value = "http://127.0.0.1:7001")]
    api: String,
    /// Key of the control API
    #[arg(long, value_name = "KEY", env = "EPUSHCTL_KEY", hide_env_values = true)]
    key: Option<String>,
}

impl From<ControlArgs> for Control {
    fn from(ControlArgs { api, key }: ControlArgs) -> Self {
        // An empty variable is how scripts unset one.
        Self::new(&api, key.filter(|key| !key.is_empty()))
    }
}

#[derive(Args)]
struct PushArgs {
    /// To these users, on all their sessions
    #[arg(long, value_name = "USER", num_args = 1.., conflicts_with_all = ["channel", "all"])]
    user: Vec<String>,
    /// To the subscribers of these channels
    #[arg(long, value_name = "CHANNEL", num_args = 1.., conflicts_with = "all")]
    channel: Vec<String>,
    /// To every session
    #[arg(long)]
    all: bool,
    /// The message's type, which users can mute
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// The module of the application it comes from
    #[arg(long, value_name = "MODULE")]
    module: Option<String>,
    /// Idempotency key: the same push again is not delivered again
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// The payload: JSON, @file, or - for stdin
    #[arg(long, value_name = "JSON|@FILE|-", allow_hyphen_values = true)]
    data: Option<String>,
    /// The payload from stdin
    #[arg(value_name = "-", value_parser = ["-"], conflicts_with = "data")]
    stdin: Option<String>,
    #[command(flatten)]
    control: ControlArgs,
}

impl PushArgs {
    fn invocation(mut self, stdin: &mut dyn Read) -> Result<Invocation, clap::Error> {
        let payload = self.payload().ok_or_else(|| usage("push: give the payload with --data, or - for stdin"))?;
        let target = match (self.user, self.channel, self.all) {
            (users, _, _) if !users.is_empty() => Target::Users(users),
            (_, channels, _) if !channels.is_empty() => Target::Channels(channels),
            (_, _, true) => Target::All(true),
            _ => return Err(usage("push: give a target: --user U…, --channel C… or --all")),
        };
        let data = payload.read(stdin).map_err(|why| usage(&format!("push: {why}")))?;
        let push = Push { to: target, kind: self.kind, module: self.module, id: self.id, data };
        Ok(Invocation::Call(self.control.into(), Call::push(&push)))
    }

    /// Where the payload is. The `-` of `--user 7 9 -` was read as one more user.
    fn payload(&mut self) -> Option<Payload> {
        if let Some(data) = self.data.take() {
            return Some(Payload::of_argument(data));
        }
        let names = if self.user.is_empty() { &mut self.channel } else { &mut self.user };
        let trailing = names.last().is_some_and(|last| last == "-");
        if trailing {
            names.pop();
        }
        (trailing || self.stdin.is_some()).then_some(Payload::Stdin)
    }
}

fn usage(why: &str) -> clap::Error {
    Cli::command().error(ErrorKind::ValueValidation, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use epush::config::{Config, LogLevel};

    fn parse(arguments: &[&str]) -> Result<Invocation, clap::Error> {
        parse_with_stdin(arguments, "")
    }

    fn parse_with_stdin(arguments: &[&str], stdin: &str) -> Result<Invocation, clap::Error> {
        let arguments = ["epush"].iter().chain(arguments).map(OsString::from);
        parse_from(arguments, Vec::new(), &mut stdin.as_bytes())
    }

    fn served(arguments: &[&str]) -> Config {
        match parse(arguments).expect("good usage") {
            Invocation::Serve(layers) => layers.load().expect("good values").config,
            other => panic!("not serve: {other:?}"),
        }
    }

    fn pushed(arguments: &[&str], stdin: &str) -> serde_json::Value {
        match parse_with_stdin(arguments, stdin).expect("good usage") {
            Invocation::Call(_, call) => serde_json::from_slice(call.body().expect("a body")).expect("JSON"),
            other => panic!("no call: {other:?}"),
        }
    }

    fn exit_code(arguments: &[&str]) -> i32 {
        parse(arguments).expect_err("bad usage").exit_code()
    }

    #[test]
    fn clap_finds_no_fault_with_the_definition() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_command_is_serve() {
        assert_eq!(served(&[]), Config::default());
        assert_eq!(served(&["--listen", "127.0.0.1:0"]), served(&["serve", "--listen", "127.0.0.1:0"]));
    }

    #[test]
    fn every_serve_flag_sets_its_key() {
        let config = served(&[
            "--listen",
            "127.0.0.1:1",
            "--api",
            "127.0.0.1:2",
            "--reactors",
            "3",
            "--node",
            "n1",
            "--echo",
            "--log",
            "debug",
            "--set",
            "limits.connections=5",
            "--set",
            "server.origins=https://a.example,https://b.example",
            "--set",
            "server.node=n2",
        ]);
        let mut expected = Config::default();
        expected.server.listen.set_port(1);
        expected.server.api.set_port(2);
        expected.server.reactors = 3;
        expected.server.node = Some("n1".into());
        expected.server.echo = true;
        expected.server.origins = vec!["https://a.example".into(), "https://b.example".into()];
        expected.log.level = LogLevel::Debug;
        expected.limits.connections = 5;
        assert_eq!(config, expected);
        assert!(!served(&["--echo=false"]).server.echo);
    }

    #[test]
    fn a_push_goes_to_users_channels_or_all() {
        let data = ["--data", r#"{"b":1,"a":2}"#];
        let to = |target: &[&str]| pushed(&[&["push"], target, &data].concat(), "")["to"].to_string();
        assert_eq!(to(&["--user", "7", "9", "--user", "a b"]), r#"{"users":["7","9","a b"]}"#);
        assert_eq!(to(&["--channel", "news"]), r#"{"channels":["news"]}"#);
        assert_eq!(to(&["--all"]), r#"{"all":true}"#);
    }

    #[test]
    fn a_payload_comes_from_the_argument_a_file_or_stdin() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "[1, 2]\n").expect("written");
        let at_file = format!("@{}", file.path().display());
        assert_eq!(pushed(&["push", "--all", "--data", "-5"], "")["data"], -5);
        assert_eq!(pushed(&["push", "--all", "--data", &at_file], "")["data"], serde_json::json!([1, 2]));
        assert_eq!(pushed(&["push", "--all", "--data", "-"], "\"in\"\n")["data"], "in");
        assert_eq!(pushed(&["push", "--all", "-"], "\"in\"")["data"], "in");
        let push = pushed(&["push", "--user", "7", "9", "-"], "\"in\"");
        assert_eq!((push["data"].as_str(), push["to"]["users"].to_string()), (Some("in"), r#"["7","9"]"#.into()));
        let push = pushed(&["push", "--channel", "c", "--type", "t", "--module", "m", "--id", "i", "-"], "null");
        let expected = serde_json::json!({"to":{"channels":["c"]},"type":"t","module":"m","id":"i","data":null});
        assert_eq!(push, expected);
    }

    #[test]
    fn bad_usage_is_exit_code_2() {
        for arguments in [
            &["push", "--data", "1"][..],
            &["push", "--all"],
            &["push", "--user", "-"],
            &["push", "--all", "--data", "{nonsense"],
            &["push", "--all", "--data", ""],
            &["push", "--all", "--data", "@/nonexistent"],
            &["push", "--all", "--user", "7", "--data", "1"],
            &["push", "--all", "--data", "1", "-"],
            &["push", "--all", "elsewhere"],
            &["serve", "--nonsense"],
            &["nonsense"],
            &["user"],
            &["check"],
            &["--set", "nonsense"],
            &["--listen", "127.0.0.1:1", "online"],
        ] {
            assert_eq!(exit_code(arguments), 2, "{arguments:?}");
        }
        assert_eq!(exit_code(&["--help"]), 0);
        assert_eq!(exit_code(&["--version"]), 0);
    }

    #[test]
    fn control_variables_cannot_be_mistaken_for_keys() {
        let command = Cli::command();
        let push = command.find_subcommand("push").expect("push");
        for argument in push.get_arguments().filter_map(clap::Arg::get_env) {
            assert!(!argument.to_string_lossy().starts_with("EPUSH_"), "{argument:?}");
        }
    }
}
