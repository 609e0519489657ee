//! Users, channels, the node and its metrics.

use super::*;
use epush_core::page::{ChannelCount, ChannelPage};

#[test]
fn a_users_sessions_are_shown_with_node_session_since_and_remote() {
    let mut bench = Bench::new();
    bench.send(1, "GET", "/v1/users/42", "");
    let (question, asker) = bench.asked_all();
    assert!(matches!(question, Question::User(user) if user.as_str() == "42"));
    let at = SessionRef { shard: ShardId(1), conn: conn(9) };
    let info = |node: &str, boot, since_unix_ms, remote: &str| SessionInfo {
        node: node.into(),
        session: SessionId { boot, at },
        since_unix_ms,
        remote: remote.parse().expect("address"),
    };
    bench.answer(&asker, Answer::Sessions(vec![info("n1", 0xb0, 77, "192.0.2.1"), info("n2", 0xb1, 78, "::1")]));
    let expected = json!({"user":"42","sessions":[
        {"node":"n1","session":"b0-1-9-0","since":77,"remote":"192.0.2.1"},
        {"node":"n2","session":"b1-1-9-0","since":78,"remote":"::1"}]});
    assert_eq!(body(&bench.response(1)), expected);
    assert_eq!(bench.call("GET", &format!("/v1/users/{}", "x".repeat(257)), "").status, 400);
}

#[test]
fn kicking_a_user_says_how_many_sessions_it_closed() {
    let mut bench = Bench::new();
    bench.send(1, "DELETE", "/v1/users/42", "");
    let (question, asker) = bench.asked_all();
    assert!(matches!(question, Question::Kick(user) if user.as_str() == "42"));
    bench.answer(&asker, Answer::Kicked(2));
    assert_eq!(body(&bench.response(1)), json!({"user":"42","kicked":2}));
}

#[test]
fn muted_types_are_read_from_and_replaced_at_the_users_home() {
    let mut bench = Bench::new();
    bench.send(1, "GET", "/v1/users/42/mutes", "");
    let (user, question, asker) = bench.asked_home();
    assert_eq!(user.as_str(), "42");
    assert!(matches!(question, Question::Mutes(_)));
    bench.answer(&asker, Answer::Mutes([Arc::from("promo")].into()));
    assert_eq!(body(&bench.response(1)), json!({"user":"42","types":["promo"]}));

    bench.send(1, "PUT", "/v1/users/42/mutes", r#"{"types":["a","b","a"]}"#);
    let (_, question, asker) = bench.asked_home();
    let Question::ChangeMutes { change: MuteChange::Replace(types), .. } = question else { panic!("{question:?}") };
    assert_eq!(types, [Arc::from("a"), Arc::from("b")]);
    bench.answer(&asker, refused(ErrorCode::LimitReached));
    assert_eq!(bench.response(1).status, 429);
    assert_eq!(bench.call("PUT", "/v1/users/42/mutes", "[]").status, 400);
}

fn channels(names: &[(&str, u64)]) -> Answer {
    let channel = |(name, here): &(&str, u64)| {
        let name = ChannelName::parse(name).expect("valid");
        ChannelCount { name, here: *here, elsewhere: 0 }
    };
    let channels = names.iter().map(channel).collect();
    Answer::Channels(ChannelPage { channels, more: false })
}

#[test]
fn channels_are_listed_in_pages() {
    let mut bench = Bench::new();
    let mut list = |query: &str, expected: (&str, &str, usize)| {
        bench.send(1, "GET", &format!("/v1/channels{query}"), "");
        let (question, asker) = bench.asked_all();
        let Question::Channels(range) = question else { panic!("another question: {question:?}") };
        assert_eq!((&*range.prefix, &*range.after, range.channels_max), expected);
        bench.answer(&asker, channels(&[("room.1", 2), ("room.2", 3), ("room.3", 4)]));
        let body = body(&bench.response(1));
        let names = body["channels"].as_array().expect("list").iter();
        let names: Vec<_> = names.map(|entry| entry["channel"].as_str().expect("name").to_owned()).collect();
        (names.join(" "), body["more"].as_bool().expect("more"))
    };
    assert_eq!(list("", ("", "", 1_000)), ("room.1 room.2 room.3".into(), false));
    assert_eq!(list("?prefix=room.&after=a&limit=3", ("room.", "a", 3)), ("room.1 room.2 room.3".into(), false));
    assert_eq!(list("?limit=2", ("", "", 2)), ("room.1 room.2".into(), true), "two shards may have more together");
    for limit in ["0", "10001", "x"] {
        assert_eq!(bench.call("GET", &format!("/v1/channels?limit={limit}"), "").status, 400);
    }
}

#[test]
fn a_channel_shows_its_subscribers_and_on_request_its_users() {
    let mut bench = Bench::new();
    let users = vec![UserName::parse("7").expect("valid")];
    let mut show = |query: &str, asks: bool, users: &[UserName]| {
        bench.send(1, "GET", &format!("/v1/channels/room/7{query}"), "");
        let (question, asker) = bench.asked_all();
        assert!(matches!(question, Question::Channel { members, .. } if members == asks), "{question:?}");
        let channel = ChannelName::parse("room.7").expect("valid");
        bench.answer(&asker, Answer::Channel { channel, subscribers: 2, elsewhere: 0, users: users.to_vec() });
        body(&bench.response(1))
    };
    let plain = json!({"channel":"room/7","node":{"subscribers":2},"cluster":{"subscribers":2}});
    assert_eq!(show("", false, &[]), plain);
    assert_eq!(show("?members=false", false, &[]), plain);
    assert_eq!(show("?members=true", true, &users)["users"], json!(["7"]));
    assert_eq!(bench.call("GET", "/v1/channels/a b", "").status, 400);
}

#[test]
fn online_and_nodes_show_the_gauges() {
    let mut bench = Bench::new();
    bench.gauges.shards[0].store(Gauges { connections: 9, sessions: 3, users: 2 });
    bench.gauges.shards[1].store(Gauges { connections: 9, sessions: 4, users: 1 });
    bench.api.set_state(NodeState::Ready);
    bench.advance(5_000);
    let expected = json!({"node":{"connections":7,"users":3},"cluster":{"connections":7,"users":3,"nodes":1}});
    assert_eq!(body(&bench.call("GET", "/v1/online", "")), expected);
    let expected = json!({"nodes":[{"name":"n1","address":"127.0.0.1:7000","api":"127.0.0.1:7001","version":"1.2.3",
        "state":"ready","since":1_000,"uptime_ms":5_000,"connections":7,"users":3,"synced":true}]});
    assert_eq!(body(&bench.call("GET", "/v1/nodes", "")), expected);
}

#[test]
fn readiness_follows_the_state_and_draining_is_asked_once() {
    let mut bench = Bench::new();
    assert_eq!(bench.call("GET", "/readyz", "").status, 503);
    bench.api.set_state(NodeState::Ready);
    assert_eq!(bench.call("GET", "/readyz", "").body, b"ready");
    assert_eq!(bench.call("GET", "/healthz", "").body, b"ok");
    bench.send(1, "POST", "/v1/drain", "");
    let response = bench.response(1);
    assert_eq!((response.status, &*response.body), (202, &br#"{"draining":true}"#[..]));
    assert!(matches!(bench.action(), ApiAction::Drain));
    assert_eq!(bench.call("POST", "/v1/drain", "").status, 202);
    assert_eq!(bench.call("GET", "/readyz", "").status, 503);
    assert_eq!(bench.call("GET", "/healthz", "").status, 200);
}

#[test]
fn metrics_are_made_from_the_shards_counters() {
    let mut bench = Bench::new();
    bench.gauges.open_fds.store(12, Relaxed);
    bench.send(1, "GET", "/metrics", "");
    let (question, asker) = bench.asked_all();
    assert!(matches!(question, Question::Counters));
    bench.answer(&asker, Answer::Counters(Box::new(Counters { gaps: 4, ..Counters::default() })));
    let response = bench.response(1);
    let page = String::from_utf8(response.body).expect("UTF-8");
    assert!(response.content_type.starts_with("application/openmetrics-text"));
    assert!(page.contains("epush_gaps_total 4\n") && page.contains("process_open_fds 12\n"), "{page}");
}
