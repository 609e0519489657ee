//! The files of `config/`: each is parsed, and compared with what it speaks of.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use epush::config::{AuthMode, Config, Layers};
use epush_core::settings::Audience;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../config").join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(path(name)).expect("a file of config/")
}

/// `section.key` of every key.
fn keys(toml: &str) -> BTreeSet<String> {
    let document: toml::Table = toml.parse().expect("TOML");
    let keys_of = |(section, table): (&String, &toml::Value)| {
        let keys = table.as_table().expect("sections only").keys();
        keys.map(|key| format!("{section}.{key}")).collect::<Vec<_>>()
    };
    document.iter().flat_map(keys_of).collect()
}

#[test]
fn the_reference_file_is_the_defaults() {
    let loaded = Layers::new().file(path("epush.toml")).load().expect("valid");
    assert_eq!(loaded.config, Config::default());
    assert_eq!(loaded.warnings, Vec::<String>::new());
}

#[test]
fn the_reference_file_has_every_key() {
    assert_eq!(keys(&text("epush.toml")), keys(&Config::default().to_toml()));
}

#[test]
fn every_key_of_the_reference_file_has_a_comment_above_it() {
    let text = text("epush.toml");
    let lines: Vec<&str> = text.lines().collect();
    for pair in lines.windows(2) {
        let is_key = pair[1].contains(" = ") && !pair[1].starts_with('#');
        assert!(!is_key || pair[0].starts_with("# "), "no comment above: {}", pair[1]);
    }
}

#[test]
fn the_examples_in_the_reference_file_are_valid() {
    let example = |line: &str| {
        let line = line.strip_prefix("# ")?;
        let is_code = line.starts_with('[') || line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
        is_code.then(|| line.to_owned())
    };
    let uncommented: Vec<String> =
        text("epush.toml").lines().map(|line| example(line).unwrap_or_else(|| line.to_owned())).collect();
    let config = Config::from_toml(&uncommented.join("\n")).expect("valid");
    assert_eq!(config.namespaces["chat"].publish, Audience::Subscribers);
    assert!(config.jobs["time"].template.to_json().contains(r#"{"$time":"rfc3339"}"#));
}

#[test]
fn the_production_file_passes_check_and_asks_everybody_who_they_are() {
    let loaded = Layers::new().file(path("production.toml")).load().expect("valid");
    assert_eq!(loaded.warnings, Vec::<String>::new());
    assert_eq!(loaded.config.auth.mode, AuthMode::Jwt);
    assert!(loaded.config.api.keys_file.is_some() && !loaded.config.api.open);
    let check = Command::new(env!("CARGO_BIN_EXE_epush")).arg("check").arg(path("production.toml")).output();
    let check = check.expect("epush runs");
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
    let printed = String::from_utf8(check.stdout).expect("text");
    assert_eq!(Config::from_toml(&printed).expect("valid"), loaded.config);
}

/// Directives of the unit, each with its values in order.
fn unit() -> BTreeMap<String, Vec<String>> {
    let mut directives: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut section = String::new();
    for line in text("epush.service").lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if line.starts_with('[') {
            line.clone_into(&mut section);
        } else {
            let (key, value) = line.split_once('=').expect("key=value");
            directives.entry(format!("{section}{key}")).or_default().push(value.to_owned());
        }
    }
    directives
}

/// Every directive the unit may use: a misspelt one would be ignored by systemd with a warning nobody reads.
const DIRECTIVES: &[&str] = &[
    "[Install]WantedBy",
    "[Service]CapabilityBoundingSet",
    "[Service]EnvironmentFile",
    "[Service]ExecReload",
    "[Service]ExecStart",
    "[Service]Group",
    "[Service]KillSignal",
    "[Service]LimitNOFILE",
    "[Service]LockPersonality",
    "[Service]MemoryDenyWriteExecute",
    "[Service]NoNewPrivileges",
    "[Service]OOMScoreAdjust",
    "[Service]PrivateDevices",
    "[Service]PrivateTmp",
    "[Service]ProtectClock",
    "[Service]ProtectControlGroups",
    "[Service]ProtectHome",
    "[Service]ProtectHostname",
    "[Service]ProtectKernelLogs",
    "[Service]ProtectKernelModules",
    "[Service]ProtectKernelTunables",
    "[Service]ProtectSystem",
    "[Service]Restart",
    "[Service]RestartPreventExitStatus",
    "[Service]RestartSec",
    "[Service]RestrictAddressFamilies",
    "[Service]RestrictNamespaces",
    "[Service]RestrictRealtime",
    "[Service]RestrictSUIDSGID",
    "[Service]SystemCallArchitectures",
    "[Service]SystemCallFilter",
    "[Service]TimeoutStopSec",
    "[Service]Type",
    "[Service]UMask",
    "[Service]User",
    "[Unit]After",
    "[Unit]Description",
    "[Unit]Documentation",
    "[Unit]Wants",
];

#[test]
fn the_unit_has_known_directives_and_runs_commands_that_exist() {
    let unit = unit();
    assert_eq!(unit.keys().map(String::as_str).collect::<Vec<_>>(), DIRECTIVES);
    for command in ["[Service]ExecStart", "[Service]ExecReload"].iter().flat_map(|key| &unit[*key]) {
        let mut words = command.split(' ');
        match words.next().expect("a program") {
            "/usr/local/bin/epush" => {
                let help = Command::new(env!("CARGO_BIN_EXE_epush"))
                    .arg(words.next().expect("a command"))
                    .arg("--help")
                    .output();
                let help = String::from_utf8(help.expect("epush runs").stdout).expect("text");
                for flag in words.filter(|word| word.starts_with("--")) {
                    assert!(help.contains(flag), "{flag} in {command}");
                }
            }
            program => assert!(Path::new(program).exists(), "{program}"),
        }
    }
}

#[test]
fn the_unit_leaves_time_to_drain_and_descriptors_for_every_connection() {
    let unit = unit();
    let number = |key: &str| unit[key][0].parse::<u64>().expect("a number");
    for name in ["epush.toml", "production.toml"] {
        let config = Layers::new().file(path(name)).load().expect("valid").config;
        assert!(number("[Service]TimeoutStopSec") > config.drain.seconds, "{name}");
        assert!(number("[Service]LimitNOFILE") > config.limits.connections as u64, "{name}");
    }
}

#[test]
fn systemd_finds_no_fault_with_the_unit() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        // Where systemd is not, the list of directives above has to do.
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let installed = directory.path().join("epush.service");
    let unit = text("epush.service").replace("/usr/local/bin/epush", env!("CARGO_BIN_EXE_epush"));
    std::fs::write(&installed, unit.replace("Documentation=", "# ")).expect("written");
    let verify = Command::new("systemd-analyze").arg("verify").arg(&installed).output().expect("it runs");
    let said = String::from_utf8_lossy(&verify.stderr);
    let about_us = said.lines().filter(|line| line.contains("epush")).collect::<Vec<_>>();
    assert_eq!(about_us, Vec::<&str>::new());
}

/// Sysctls that exist only where their kernel module is loaded.
const OPTIONAL_SYSCTLS: &[&str] = &["-net.netfilter.nf_conntrack_max"];

#[test]
fn every_sysctl_exists_has_a_reason_and_as_many_numbers_as_the_kernel_wants() {
    let text = text("99-epush.conf");
    let lines: Vec<&str> = text.lines().collect();
    for pair in lines.windows(2).filter(|pair| !pair[1].is_empty() && !pair[1].starts_with('#')) {
        assert!(pair[0].starts_with("# "), "no reason above: {}", pair[1]);
        let (name, value) = pair[1].split_once(" = ").expect("name = value");
        let optional = OPTIONAL_SYSCTLS.contains(&name);
        assert_eq!(name.starts_with('-'), optional, "{name}");
        let file = Path::new("/proc/sys").join(name.trim_start_matches('-').replace('.', "/"));
        assert!(value.split(' ').all(|number| number.parse::<i64>().is_ok()), "{name}");
        // Inside a container, what belongs to the whole machine is hidden.
        let Ok(current) = std::fs::read_to_string(&file) else { continue };
        assert_eq!(current.split_whitespace().count(), value.split(' ').count(), "{name}");
    }
}

#[test]
fn the_listeners_stay_out_of_the_range_of_local_ports() {
    let text = text("99-epush.conf");
    let range = text.lines().find_map(|line| line.strip_prefix("net.ipv4.ip_local_port_range = ")).expect("a range");
    let first: u16 = range.split(' ').next().expect("two numbers").parse().expect("a port");
    let server = Config::default().server;
    assert!(server.listen.port() < first && server.api.port() < first);
}
