//! Plans of small scenarios.

use super::*;
use crate::dialect::template::Fill;

fn plan(text: &str) -> Result<Plan, String> {
    Plan::new(toml::from_str(&format!("name = \"test\"\n{text}")).unwrap())
}

const TWO_GROUPS: &str = r#"
[[group]]
clients = 3
channels = ["news", "room.{client%2}"]
[[group]]
clients = 4
user = "peer-{client}"
activity = { kind = "peer", rate_per_s = 1.0, payload_bytes = 64 }
[[publisher]]
to = { channels = ["news", "nobody", "news"] }
rate_per_s = 10.0
payload_bytes = 128
[[publisher]]
to = { channel_range = { name = "room", count = 2 } }
pace = "delivered"
burst = 4
payload_bytes = 256
[[publisher]]
to = { users = 2 }
rate_per_s = 1.0
payload_bytes = 100
[[publisher]]
to = "all"
rate_per_s = 3000.0
burst = 3
payload_bytes = 100
[[publisher]]
to = { channels = ["news"] }
pace = "taken"
payload_bytes = 99
"#;

#[test]
fn every_client_has_its_streams() {
    let plan = plan(TWO_GROUPS).unwrap();
    let names = |range: Range<u32>| plan.streams[range.start as usize..range.end as usize].to_vec();
    assert_eq!(plan.publishers, [0..2, 2..4, 4..6, 6..7, 7..8], "a channel named twice is one stream");
    assert_eq!(names(2..4), [Destination::Channel("room.0".into()), Destination::Channel("room.1".into())]);
    assert_eq!(names(4..6), [Destination::User("user-0".into()), Destination::User("user-1".into())]);
    assert_eq!(plan.streams_of(0), [0, 2, 4, 6, 7]);
    assert_eq!(plan.streams_of(1), [0, 3, 5, 6, 7]);
    assert_eq!(plan.streams_of(2), [0, 2, 6, 7]);
    assert_eq!(plan.streams_of(3), [6]);
    assert_eq!((0..8).map(|stream| plan.receivers(stream)).collect::<Vec<_>>(), [3, 0, 2, 1, 1, 1, 7, 3]);
    assert_eq!(plan.numbers[&Destination::Channel("news".into())], [0, 7], "two publishers, two streams");
}

#[test]
fn neighbours_are_pairs_of_their_group_wherever_it_begins() {
    let plan = plan(TWO_GROUPS).unwrap();
    assert_eq!(
        (0..7).map(|client| plan.neighbour(client)).collect::<Vec<_>>(),
        [None, None, None, Some(4), Some(3), Some(6), Some(5)]
    );
    assert_eq!((0..7).map(|client| plan.pair(client)).collect::<Vec<_>>(), [0, 0, 1, 2, 2, 3, 3]);
}

#[test]
fn payloads_are_those_of_the_sender() {
    let plan = plan(TWO_GROUPS).unwrap();
    let bytes: Vec<usize> =
        [0, 3, 5, 6, 7, CLIENT_STREAM | 3].iter().map(|stream| plan.payload_bytes(*stream)).collect();
    assert_eq!(bytes, [128, 256, 100, 100, 99, 64]);
}

#[test]
fn only_a_rate_makes_a_schedule() {
    let schedules = plan(TWO_GROUPS).unwrap().schedules(77);
    let with: Vec<bool> = schedules.iter().map(Option::is_some).collect();
    assert_eq!(with, [true, false, true, true, false]);
    let all = schedules[3].clone().unwrap();
    assert_eq!((all.from_ns, all.burst, all.streams), (77, 3, 6..7));
    assert!((all.period_ns - 1e6).abs() < 1e-6);
}

#[test]
fn at_most_so_many_messages_a_second_are_watched() {
    assert_eq!(plan(TWO_GROUPS).unwrap().skew_every, 16, "nobody knows how many the unpaced ones will be");
    let paced = |rate: u32| {
        plan(&format!("[[group]]\nclients = 2\n[[publisher]]\nto = \"all\"\nrate_per_s = {rate}.0\npayload_bytes = 64"))
            .unwrap()
            .skew_every
    };
    assert_eq!([paced(1), paced(1_000), paced(1_001), paced(5_000)], [1, 1, 2, 8]);
}

#[test]
fn what_a_dialect_cannot_say_is_said_before_the_run() {
    let with =
        |dialect: &str, rest: &str| plan(&format!("target = {{ dialect = \"{dialect}\" }}\n{rest}")).unwrap_err();
    let peer = "[[group]]\nclients = 2\nactivity = { kind = \"peer\", rate_per_s = 1.0, payload_bytes = 64 }";
    assert!(with("raw", peer).contains("raw has no send_user"));
    let every = "[[group]]\nclients = 2\nactivity = { kind = \"every\", interval_ms = 100 }";
    assert!(with("nchan", every).contains("nchan has no every"));
    let all = "[[group]]\nclients = 2\n[[publisher]]\nto = \"all\"\nrate_per_s = 1.0\npayload_bytes = 64";
    let signed = with("pusher", all);
    assert!(
        signed.contains("pusher does not say how to publish to everybody over WebSocket: Pusher wants"),
        "{signed}"
    );
    assert!(with("nchan", all).contains("nchan does not say how to publish to everybody by HTTP"));
    let socket = format!("{all}\nvia = \"websocket\"");
    assert!(with("epush", &socket).contains("epush does not say how to publish to everybody over WebSocket"));
}

#[test]
fn a_wrong_place_in_a_name_is_found() {
    let words = plan("[[group]]\nname = \"g\"\nclients = 1\nuser = \"{clent}\"").unwrap_err();
    assert!(words.starts_with("user of the group g: {clent}"), "{words}");
}

fn at(url: &str) -> Result<Plan, String> {
    plan(&format!("group = []\ntarget = {{ url = {url:?} }}"))
}

#[test]
fn what_a_url_asks_for_is_filled_in_for_each_client() {
    let fill = Fill { user: "a b", ..Fill::default() };
    let mut path = Vec::new();
    at("wss://push.example/msg/{user}?x=1").unwrap().path.unwrap().expand_in_url(&fill, &mut path);
    assert_eq!(path, b"/msg/a%20b?x=1");
    assert!(at("wss://push.example").unwrap().path.is_none(), "the dialect's");
}

#[test]
fn an_address_that_nobody_can_reach_is_refused_with_its_key() {
    for (url, words) in [
        ("http://h", "target.url: `http://` is not for this"),
        ("ws://h/{usr}", "target.url: {usr} cannot be filled in"),
    ] {
        let error = at(url).unwrap_err();
        assert!(error.contains(words), "{error}");
    }
    let error = plan("group = []\ntarget = { api = \"ws://h\" }").unwrap_err();
    assert!(error.starts_with("target.api: `ws://` is not for this"), "{error}");
}

#[test]
fn deliveries_are_counted_for_the_publisher_that_waits_for_them() {
    assert_eq!(plan(TWO_GROUPS).unwrap().awaited_streams(), 2..4);
    let paced = TWO_GROUPS.replace("pace = \"delivered\"", "rate_per_s = 1.0");
    assert_eq!(plan(&paced).unwrap().awaited_streams(), 0..8, "nobody waits");
}
