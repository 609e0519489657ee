//! The configuration from the outside: which layer wins, what errors look like, what is printed.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use epush::config::{Algorithm, AuthMode, ChannelsConfig, Config, JobConfig, Layers, LogLevel, Secret, TemplateValue};
use epush_core::settings::{Audience, OnSlow};
use proptest::prelude::*;

fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn errors_of(layers: &Layers, text: &str) -> Vec<String> {
    let errors = layers.load_text("e.toml", text).expect_err("an error");
    errors.to_string().lines().map(str::to_owned).collect()
}

fn errors(text: &str) -> Vec<String> {
    errors_of(&Layers::new(), text)
}

#[test]
fn each_layer_wins_over_the_one_below() {
    let text = "[limits]\nconnections = 2\n";
    let environment = variables(&[("EPUSH_LIMITS_CONNECTIONS", "3"), ("HOME", "/root")]);
    let loaded = |layers: &Layers, text| layers.load_text("e.toml", text).unwrap().config.limits.connections;
    let layers = Layers::new();
    assert_eq!(loaded(&layers, ""), 100_000);
    assert_eq!(loaded(&layers, text), 2);
    let layers = layers.environment(environment);
    assert_eq!(loaded(&layers, text), 3);
    let layers = layers.flag("--set limits.connections", "limits.connections", "4");
    assert_eq!(loaded(&layers, text), 4);
    let layers = layers.flag("--set limits.connections", "limits.connections", "5");
    assert_eq!(loaded(&layers, text), 5);
}

#[test]
fn every_kind_of_value_can_come_from_the_environment() {
    let environment = variables(&[
        ("EPUSH_SERVER_LISTEN", "[::1]:9000"),
        ("EPUSH_SERVER_ECHO", "true"),
        ("EPUSH_SERVER_TRUSTED_PROXIES", "10.0.0.0/8, ::1"),
        ("EPUSH_SERVER_ORIGINS", "https://a.example,https://b.example"),
        ("EPUSH_API_KEYS", "one,two"),
        ("EPUSH_AUTH_MODE", "jwt"),
        ("EPUSH_AUTH_ALGORITHMS", "EdDSA,ES256"),
        ("EPUSH_AUTH_KEY_FILE", "/etc/key.pem"),
        ("EPUSH_SESSIONS_ON_SLOW", "latest"),
        ("EPUSH_NAMESPACES_CHAT_PUBLISH", "subscribers"),
        ("EPUSH_JOBS_TIME_TEMPLATE", r#"{"time":{"$time":"ms"}}"#),
        ("EPUSH_LOG_LEVEL", "debug"),
        ("EPUSH_CONFIG", "not a key"),
    ]);
    let loaded = Layers::new().environment(environment).load().unwrap();
    assert_eq!(loaded.warnings, Vec::<String>::new());
    let config = loaded.config;
    assert_eq!(config.server.listen, "[::1]:9000".parse().unwrap());
    assert!(config.server.echo);
    assert_eq!(config.server.trusted_proxies, ["10.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()]);
    assert_eq!(config.server.origins, ["https://a.example", "https://b.example"]);
    assert_eq!(config.api.keys, [Secret::new("one"), Secret::new("two")]);
    assert_eq!(config.auth.algorithms, [Algorithm::EdDsa, Algorithm::Es256]);
    assert_eq!(config.auth.key_file.as_deref(), Some("/etc/key.pem".as_ref()));
    assert_eq!(config.sessions.on_slow, OnSlow::Latest);
    assert_eq!(config.namespaces["chat"].publish, Audience::Subscribers);
    assert_eq!(config.jobs["time"].template.to_json(), r#"{"time":{"$time":"ms"}}"#);
    assert_eq!(config.log.level, LogLevel::Debug);
}

#[test]
fn an_unknown_variable_of_ours_is_a_warning() {
    let environment = variables(&[("EPUSH_LIMITS_CONECTIONS", "3"), ("EPUSH_COLOUR", "red"), ("EPUSHCTL_API", "x")]);
    let loaded = Layers::new().environment(environment).load().unwrap();
    assert_eq!(
        loaded.warnings,
        [
            "EPUSH_LIMITS_CONECTIONS: no such key, ignored; did you mean EPUSH_LIMITS_CONNECTIONS?",
            "EPUSH_COLOUR: no such key, ignored",
        ]
    );
}

#[test]
fn an_empty_value_takes_back_what_a_lower_layer_set() {
    let layers = Layers::new().environment(variables(&[("EPUSH_SERVER_NODE", ""), ("EPUSH_SERVER_ORIGINS", "")]));
    let text = "[server]\nnode = \"n1\"\norigins = [\"https://a.example\"]\n";
    let config = layers.load_text("e.toml", text).unwrap().config;
    assert_eq!(config, Config::default());
}

#[test]
fn a_namespace_starts_from_the_channel_rules_of_all_layers() {
    let text = "[namespaces.chat]\npublish = \"users\"\n[namespaces.news]\n[channels]\npresence = \"nobody\"\n";
    let layers = Layers::new().flag("--set channels.on_slow", "channels.on_slow", "latest");
    let config = layers.load_text("e.toml", text).unwrap().config;
    let inherited = ChannelsConfig { presence: Audience::Nobody, on_slow: OnSlow::Latest, ..Default::default() };
    assert_eq!(config.namespaces["news"], inherited);
    assert_eq!(config.namespaces["chat"], ChannelsConfig { publish: Audience::Users, ..inherited });
}

#[test]
fn an_unknown_key_or_section_names_its_line_and_what_was_meant() {
    let text = "listen = \"127.0.0.1:1\"\n\n[limits]\n# a comment\nconections = 3\n\n[sever]\n[namespaces.chat]\npublsh = \"users\"\n[server]\nzzz = 1\n";
    assert_eq!(
        errors(text),
        [
            "e.toml:1: listen: unknown section; did you mean server.listen?",
            "e.toml:5: limits.conections: unknown key; did you mean limits.connections?",
            "e.toml:7: sever: unknown section; did you mean server?",
            "e.toml:9: namespaces.chat.publsh: unknown key; did you mean namespaces.chat.publish?",
            "e.toml:11: server.zzz: unknown key",
        ]
    );
}

#[test]
fn a_wrong_type_names_its_line_and_what_was_expected() {
    let text = "server.echo = \"yes\"\n[limits]\nconnections = \"many\"\n[server]\nlisten = 7000\ntrusted_proxies = [\"10.0.0.0/8\",\n  \"here\"]\n";
    // A dotted key and a header for the same table: TOML refuses the second.
    assert_eq!(errors(text), ["e.toml:4: server: duplicate key"]);
    assert_eq!(
        errors(text.split_once('\n').unwrap().1),
        [
            "e.toml:2: limits.connections: expected an integer, found a string",
            "e.toml:4: server.listen: expected an address and port such as \"127.0.0.1:7000\" or \"[::]:7000\", found an integer",
            "e.toml:5: server.trusted_proxies: item 2: expected an address or network such as \"10.0.0.0/8\"",
        ]
    );
    assert_eq!(errors("server = 3\n"), ["e.toml:1: server: expected a table, found integer"]);
    assert_eq!(errors("jobs.x = 3\n"), ["e.toml:1: jobs.x: expected a table, found integer"]);
    assert_eq!(errors("jobs = 3\n"), ["e.toml:1: jobs: expected tables [jobs.NAME], found integer"]);
}

#[test]
fn broken_toml_names_its_line_without_quoting_it() {
    let found = errors("[auth]\nmode = \"jwt\"\nsecret = \"hunter2\n[log]\nlevel = \"info\"\n");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("e.toml:3: auth.secret: "), "{found:?}");
    assert!(!found[0].contains("hunter2"), "{found:?}");
    let found = errors("[server]\necho =\n\n[log\nlevel = 1\nlevel = 2\n");
    assert!(found[0].starts_with("e.toml:2: server.echo: "), "{found:?}");
    assert!(found.iter().any(|line| line.starts_with("e.toml:4: ")), "{found:?}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let why = Layers::new().file("/nonexistent/epush.toml").load().expect_err("no file").to_string();
    assert!(why.starts_with("/nonexistent/epush.toml: cannot be read: "), "{why}");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), b"[server]\nnode = \"\xff\"\n").unwrap();
    let why = Layers::new().file(file.path()).load().expect_err("no UTF-8").to_string();
    assert_eq!(why, format!("{}:2: syntax: not UTF-8", file.path().display()));
}

#[test]
fn errors_of_the_environment_and_of_flags_name_the_variable_and_the_flag() {
    let layers = Layers::new()
        .environment(variables(&[("EPUSH_LIMITS_CONNECTIONS", "0"), ("EPUSH_SERVER_API", "nowhere")]))
        .flag("--reactors", "server.reactors", "many")
        .flag("--set server.pth", "server.pth", "/x")
        .flag("--set nonsense", "nonsense", "1")
        .flag("--log", "log.level", "loud");
    assert_eq!(
        errors_of(&layers, "[drain]\nsecnds = 1\n"),
        [
            "e.toml:2: drain.secnds: unknown key; did you mean drain.seconds?",
            "EPUSH_LIMITS_CONNECTIONS: must be at least 1",
            "EPUSH_SERVER_API: expected an address and port such as \"127.0.0.1:7000\" or \"[::]:7000\"",
            "--log: expected one of \"off\", \"error\", \"warn\", \"info\", \"debug\", \"trace\"",
            "--reactors: expected an integer",
            "--set nonsense: expected section.key",
            "--set server.pth: unknown key; did you mean server.path?",
        ]
    );
}

#[test]
fn flags_cannot_make_tables_that_do_not_exist() {
    for (key, why) in [
        ("namespaces.publish", "expected namespaces.NAME.KEY"),
        ("server.x.listen", "unknown key; did you mean server.x.listen?"),
        ("nowhere.x.y", "unknown section"),
        ("namespaces.chat.template", "unknown key"),
    ] {
        let errors = errors_of(&Layers::new().flag("--set", key, "1"), "");
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(
            errors[0].starts_with("--set: ") && (key == "server.x.listen" || errors[0].contains(why)),
            "{errors:?}"
        );
    }
}

/// One wrong value each: where it is reported, and a word of the reason.
const WRONG: &[(&str, &str)] = &[
    ("[limits]\nmessage_bytes_max = 16777217", "e.toml:2: limits.message_bytes_max: must be from 1 to 16777216"),
    ("[limits]\nfragments_max = 65537", "e.toml:2: limits.fragments_max: must be from 1 to 65536"),
    ("[limits]\noutbox_bytes_max = 4095", "e.toml:2: limits.outbox_bytes_max: must be at least 4096"),
    ("[limits]\nrequest_timeout_ms = 0", "e.toml:2: limits.request_timeout_ms: must be from 1 to 86400000"),
    ("[limits]\nconnections = -1", "e.toml:2: limits.connections: must be from 0"),
    ("[limits]\nconnections = 99999999999999999999", "e.toml:2: limits.connections: "),
    ("[limits]\nintake_bytes_max = 5000", "e.toml:2: limits.intake_bytes_max: is under api.body_bytes_max"),
    ("[api]\nbody_bytes_max = 67108864\n[limits]\nintake_bytes_max=67108863", "e.toml:4: limits.intake_bytes_max: "),
    ("[sessions]\nping_interval_ms = 0", "e.toml:2: sessions.ping_interval_ms: must be"),
    ("[server]\nnode = \"a b\"", "e.toml:2: server.node: must be up to 64 letters"),
    ("[server]\npath = \"msg\"", "e.toml:2: server.path: must be \"/\" and a name"),
    ("[server]\npath = \"/\"", "e.toml:2: server.path: must be"),
    ("[server]\npath = \"/a//b\"", "e.toml:2: server.path: must be"),
    ("[server]\npath = \"/a?b\"", "e.toml:2: server.path: must be"),
    ("[server]\npath = \"/../b\"", "e.toml:2: server.path: must be"),
    ("[server]\npath = \"/echo\"", "e.toml:2: server.path: /echo is taken"),
    ("[server]\npath = \"/healthz/\"", "e.toml:2: server.path: /healthz is taken"),
    ("[server]\norigins = [\"https://a.example/\"]", "e.toml:2: server.origins: \"https://a.example/\" is no origin"),
    ("[server]\nproxy_protocol = true", "e.toml:2: server.proxy_protocol: needs server.trusted_proxies"),
    ("[server]\nsend_buffer_bytes = 100", "e.toml:2: server.send_buffer_bytes: must be 0"),
    ("[server]\nlisten = \"127.0.0.1:7001\"", "e.toml:2: server.api: is the address of server.listen"),
    ("[server]\nlisten = \"0.0.0.0:7000\"", "e.toml:2: server.listen: 0.0.0.0:7000 is not loopback"),
    ("[server]\nlisten = \"[::]:7000\"", "e.toml:2: server.listen: [::]:7000 is not loopback"),
    ("[server]\napi = \"192.0.2.1:7001\"", "e.toml:2: server.api: 192.0.2.1:7001 is not loopback"),
    ("[auth]\nmode = \"jwt\"", "e.toml:2: auth.mode: \"jwt\" needs auth.secret"),
    ("[auth]\nsecret = \"x\"", "e.toml:2: auth.secret: is given, but auth.mode is not"),
    ("[auth]\nmode = \"webhook\"", "e.toml:2: auth.mode: \"webhook\" needs webhook.handshake_url"),
    ("[auth]\nmode = \"jwt\"\nsecret = \"x\"\nalgorithms = []", "e.toml:4: auth.algorithms: must name at least one"),
    ("[auth]\nmode = \"jwt\"\nsecret = \"x\"\nalgorithms = [\"RS256\"]", "e.toml:4: auth.algorithms: RS256, ES256"),
    (
        "[auth]\nmode = \"jwt\"\nkey_file = \"k\"\nalgorithms = [\"RS256\", \"HS256\"]",
        "e.toml:4: auth.algorithms: HS256 beside a public key",
    ),
    ("[auth]\nmode = \"jwt\"\nalgorithms = [\"none\"]", "e.toml:3: auth.algorithms: item 1: expected one of \"HS256\""),
    ("[auth]\nmode = \"JWT\"", "e.toml:2: auth.mode: expected one of"),
    ("[webhook]\nask_url = \"localhost:3000\"", "e.toml:2: webhook.ask_url: must be an absolute http"),
    ("[webhook]\nauthorization = \"a\\nb\"", "e.toml:2: webhook.authorization: must be"),
    ("[webhook]\nworkers = 0", "e.toml:2: webhook.workers: must be"),
    ("[api]\nkeys = [\"ok\", \"\"]", "e.toml:2: api.keys: item 2 must be visible"),
    ("[channels]\nsubscribe = \"subscribers\"\n[namespaces.a]", "e.toml:2: channels.subscribe: \"subscribers\""),
    ("[namespaces.a]\nsubscribe = \"subscribers\"", "e.toml:2: namespaces.a.subscribe: \"subscribers\""),
    ("[namespaces.\"a.b\"]\npublish = \"users\"", "e.toml:1: namespaces.a.b: must be up to 128 letters"),
    ("[send]\nallow = \"subscribers\"", "e.toml:2: send.allow: there is no channel"),
    ("[send]\nusers_max = 0", "e.toml:2: send.users_max: must be from 1 to 10000"),
    ("[send]\ntypes = [\"\"]", "e.toml:2: send.types: "),
    ("[jobs.t]\ntemplate = { \"$time\" = \"us\" }", "e.toml:2: jobs.t.template: $time takes"),
    ("[jobs.t]\ntemplate = { a = [{ \"$seq\" = 1 }] }", "e.toml:2: jobs.t.template: at a[0]: $seq takes true"),
    ("[jobs.t]\ntemplate = [nan]", "e.toml:2: jobs.t.template: JSON has no nan"),
    ("[drain]\nseconds = 100000", "e.toml:2: drain.seconds: must be from 0 to 86400"),
    ("[cluster]\nredis = \"http://h\"", "e.toml:2: cluster.redis: must begin with redis://"),
    ("[cluster]\nredis = \"redis://h:0\"", "e.toml:2: cluster.redis: a port is a number from 1 to 65535"),
    ("[cluster]\nredis = \"redis+sentinel://h\"", "e.toml:2: cluster.redis: must name the master"),
    ("[cluster]\nprefix = \"\"", "e.toml:2: cluster.prefix: must be 1 to 64 letters"),
    ("[cluster]\nprefix = \"a{b}\"", "e.toml:2: cluster.prefix: must be 1 to 64 letters"),
    ("[cluster]\ncert_file = \"c.pem\"", "e.toml:2: cluster.cert_file: needs cluster.key_file"),
    ("[cluster]\nkey_file = \"k.pem\"", "e.toml:2: cluster.key_file: needs cluster.cert_file"),
];

#[test]
fn each_wrong_value_is_one_error_with_its_line() {
    for (text, expected) in WRONG {
        let errors = errors(text);
        assert_eq!(errors.len(), 1, "{text}\n{errors:?}");
        assert!(errors[0].starts_with(expected), "{text}\n{errors:?}");
    }
}

#[test]
fn a_template_may_hold_keys_with_a_dollar_that_are_no_template_values() {
    let text = "[jobs.t]\ntemplate = { id = { \"$oid\" = \"5f\" } }\n";
    let loaded = Layers::new().load_text("e.toml", text).unwrap();
    assert_eq!(loaded.config.jobs["t"].template.to_json(), r#"{"id":{"$oid":"5f"}}"#);
}

#[test]
fn a_rule_between_keys_is_silent_while_a_key_is_misspelt() {
    let text = "[auth]\nmode = \"jwt\"\nsecrt = \"x\"\n[drain]\nseconds = 999999\n";
    assert_eq!(
        errors(text),
        [
            "e.toml:3: auth.secrt: unknown key; did you mean auth.secret?",
            "e.toml:5: drain.seconds: must be from 0 to 86400"
        ]
    );
}

#[test]
fn an_open_listener_may_start_when_that_is_written_out() {
    let text =
        "[server]\nlisten = \"0.0.0.0:7000\"\napi = \"0.0.0.0:7001\"\n[auth]\nmode = \"none\"\n[api]\nopen = true\n";
    let loaded = Layers::new().load_text("e.toml", text).unwrap();
    assert_eq!(loaded.config.auth.mode, AuthMode::None);
    assert_eq!(loaded.warnings.len(), 2, "{:?}", loaded.warnings);
    let text = "[server]\nlisten = \"0.0.0.0:7000\"\napi = \"0.0.0.0:7001\"\n[auth]\nmode = \"jwt\"\njwks_file = \"/k\"\n[api]\nkeys = [\"k\"]\n";
    assert_eq!(Layers::new().load_text("e.toml", text).unwrap().warnings, Vec::<String>::new());
    let mapped = Layers::new().flag("--listen", "server.listen", "[::ffff:127.0.0.1]:0").load();
    assert!(mapped.is_ok(), "loopback in IPv6's clothes");
}

#[test]
fn a_queue_that_is_too_small_for_the_largest_push_is_a_warning_in_a_cluster() {
    let warnings = |text: &str| Layers::new().load_text("e.toml", text).unwrap().warnings;
    let text = "[cluster]\nqueue_bytes_max = 8192\n";
    assert_eq!(warnings(text), Vec::<String>::new());
    let warned = warnings(&format!("{text}redis = \"redis://h\"\n"));
    assert!(warned.len() == 1 && warned[0].starts_with("cluster.queue_bytes_max: is under "), "{warned:?}");
}

#[test]
fn secrets_are_neither_debugged_nor_printed_nor_part_of_an_error() {
    let text = "[api]\nkeys = [\"hunter2\", \"hunter2b\"]\n[auth]\nmode = \"jwt\"\nsecret = \"hunter2\"\n[webhook]\nauthorization = \"Bearer hunter2\"\n";
    let config = Config::from_toml(text).unwrap();
    let printed = config.to_toml();
    assert!(!format!("{config:?}").contains("hunter2"));
    assert!(!printed.contains("hunter2"));
    assert!(printed.contains("keys = [\"***\", \"***\"]\n"), "{printed}");
    assert!(printed.contains("secret = \"***\"\n") && printed.contains("authorization = \"***\"\n"), "{printed}");
    assert_eq!(config.auth.secret.unwrap().expose(), "hunter2");
    for text in [
        "[auth]\nsecret = [\"hunter2\"]",
        "[api]\nkeys = [\"hunter2 \"]",
        "[api]\nkeys = \"hunter2\"",
        "[auth]\nsecret = \"hunter2",
        "[cluster]\nredis = \"redis://:hunter2@h:x\"",
        "[cluster]\nredis = \"redis://hunter2@h\"",
    ] {
        let errors = errors(text).concat();
        assert!(!errors.contains("hunter2"), "{errors}");
    }
}

#[test]
fn a_program_can_check_what_it_put_together() {
    let mut config = Config::default();
    assert!(config.check().is_ok());
    config.limits.outbox_bytes_max = 1;
    config.auth.mode = AuthMode::Jwt;
    let why = config.check().expect_err("two errors").to_string();
    assert_eq!(
        why,
        "auth.mode: \"jwt\" needs auth.secret, auth.key_file or auth.jwks_file\n\
         limits.outbox_bytes_max: must be at least 4096"
    );
}

fn audience() -> impl Strategy<Value = Audience> {
    prop_oneof![Just(Audience::Nobody), Just(Audience::Users), Just(Audience::Anyone)]
}

fn on_slow() -> impl Strategy<Value = OnSlow> {
    prop_oneof![Just(OnSlow::DropOldest), Just(OnSlow::DropNewest), Just(OnSlow::Latest), Just(OnSlow::Close)]
}

fn rules() -> impl Strategy<Value = ChannelsConfig> {
    (audience(), audience(), audience(), on_slow(), 0..=1_000_u64).prop_map(
        |(subscribe, publish, presence, on_slow, batch_ms)| ChannelsConfig {
            subscribe,
            publish,
            presence,
            on_slow,
            batch_ms,
        },
    )
}

fn template() -> impl Strategy<Value = TemplateValue> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        (-1e9..1e9).prop_map(serde_json::Value::from),
        "\\PC{0,12}".prop_map(serde_json::Value::from),
        "[\\x00-\\x7f]{0,12}".prop_map(serde_json::Value::from),
        Just(serde_json::json!({"$seq": true})),
    ];
    let value = leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            prop::collection::btree_map("[a-z \"'.\\\\]{0,6}", inner, 0..4)
                .prop_map(|fields| serde_json::Value::Object(fields.into_iter().collect())),
        ]
    });
    value.prop_map(|value| TemplateValue::from_json(&value.to_string()).unwrap())
}

prop_compose! {
    fn config()(
        (connections, outbox, ping, echo) in (1usize..1 << 40, 4096usize..1 << 30, 1u64..=86_400_000, any::<bool>()),
        node in prop::option::of("[A-Za-z0-9._-]{1,64}"),
        ports in (1u16..30_000, 30_000u16..),
        proxies in prop::collection::vec((any::<[u8; 4]>(), 0u8..=32), 0..3),
        channels in rules(),
        namespaces in prop::collection::btree_map("[A-Za-z0-9_:/#@-]{1,12}", rules(), 0..4),
        jobs in prop::collection::btree_map("[^\\x00]{1,12}", template().prop_map(|template| JobConfig { template }), 0..4),
        types in prop::collection::vec("\\PC{1,8}", 0..3),
        issuer in prop::option::of("\\PC{1,20}"),
        path in "/[a-z0-9._~-]{1,8}x",
    ) -> Config {
        let mut config = Config { channels, namespaces, jobs, ..Config::default() };
        config.limits.connections = connections;
        config.limits.outbox_bytes_max = outbox;
        config.sessions.ping_interval_ms = ping;
        config.server.echo = echo;
        config.server.node = node;
        config.server.path = path;
        config.server.listen.set_port(ports.0);
        config.server.api.set_port(ports.1);
        let network = |(ip, bits): ([u8; 4], u8)| format!("{}/{bits}", std::net::Ipv4Addr::from(ip)).parse().unwrap();
        config.server.trusted_proxies = proxies.into_iter().map(network).collect();
        config.send.types = types;
        config.auth.issuer = issuer;
        config
    }
}

proptest! {
    #[test]
    fn what_is_printed_reads_back_as_the_same_config(config in config()) {
        let printed = config.to_toml();
        let again = Config::from_toml(&printed);
        prop_assert_eq!(again.map_err(|why| why.to_string()), Ok(config), "{}", printed);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC*|([\\[\\]a-z.= \"\n0-9{},#]|limits|server|jobs|\n\\[|= ){0,40}") {
        let _ = Config::from_toml(&text);
    }
}

#[test]
fn what_is_printed_has_every_named_table() {
    let config = Config {
        namespaces: BTreeMap::from([("c:1".into(), ChannelsConfig::default())]),
        jobs: BTreeMap::from([("every \"day\"".into(), JobConfig::default())]),
        ..Config::default()
    };
    let printed = config.to_toml();
    assert!(printed.contains("\n[namespaces.\"c:1\"]\nsubscribe = \"anyone\"\n"), "{printed}");
    assert!(printed.contains("\n[jobs.\"every \\\"day\\\"\"]\ntemplate = {}\n"), "{printed}");
}
