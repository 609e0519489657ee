//! The program `epush` as a process: exit codes, what goes to stdout and what to stderr.

use std::process::{Command, Output};

fn epush(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_epush"));
    command.env_clear().args(arguments).envs(environment.iter().copied());
    command.output().expect("epush runs")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("written");
    file
}

#[test]
fn check_prints_what_is_in_force_without_secrets() {
    let file = file(
        "[auth]\nmode = \"jwt\"\nsecret = \"hunter2hunter2hunter2hunter2hunter2\"\n\
         [cluster]\nredis = \"redis://epush:hunter2@redis.example\"\n",
    );
    let name = file.path().to_str().expect("text");
    let output = epush(&["check", name], &[("EPUSH_LIMITS_CONNECTIONS", "77"), ("EPUSH_LIMIT_X", "1")]);
    assert_eq!(output.status.code(), Some(0));
    let printed = stdout(&output);
    assert!(printed.contains("secret = \"***\"") && !printed.contains("hunter2"), "{printed}");
    assert!(printed.contains("connections = 77\n"), "{printed}");
    assert_eq!(stderr(&output), "warning: EPUSH_LIMIT_X: no such key, ignored\n");
    let output = epush(&["check", "--quiet", name], &[]);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(0), ""));
}

#[test]
fn check_says_every_error_with_file_and_line_and_ends_with_2() {
    let file = file("[limits]\nconnections = 0\nfragments = 1\n");
    let name = file.path().to_str().expect("text");
    let output = epush(&["check", name], &[("EPUSH_LOG_LEVEL", "loud")]);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(2), ""));
    let expected = format!(
        "{name}:2: limits.connections: must be at least 1\n\
         {name}:3: limits.fragments: unknown key\n\
         EPUSH_LOG_LEVEL: expected one of \"off\", \"error\", \"warn\", \"info\", \"debug\", \"trace\"\n"
    );
    assert_eq!(stderr(&output), expected);
}

#[test]
fn serve_refuses_an_open_listener_with_2() {
    for arguments in [&["--listen", "0.0.0.0:0"][..], &["serve", "--api", "0.0.0.0:0"], &["--redis", "http://h"]] {
        let output = epush(arguments, &[]);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let flag = arguments[arguments.len() - 2];
        assert!(stderr(&output).starts_with(&format!("{flag}: ")), "{}", stderr(&output));
    }
}

#[test]
fn a_call_takes_the_api_from_the_environment_and_fails_with_1_when_nobody_is_there() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let url = format!("http://{free}");
    let output = epush(&["push", "--all", "--data", "1"], &[("EPUSHCTL_API", &url)]);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(1), ""));
    assert!(stderr(&output).starts_with(&format!("epush: {url}: ")), "{}", stderr(&output));
    let output = epush(&["push", "--all", "--data", "{"], &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("not JSON"), "{}", stderr(&output));
}

#[test]
fn help_names_every_command() {
    let output = epush(&["--help"], &[]);
    for command in ["serve", "check", "push", "online", "user", "kick", "nodes", "drain", "--set", "--echo"] {
        assert!(stdout(&output).contains(command), "{command}");
    }
}
