//! The API of one node among several: who is there, and schedules that one of them fires.

use std::sync::atomic::AtomicBool;

use arc_swap::ArcSwap;
use epush_core::page::{ChannelCount, ChannelPage};

use super::*;
use crate::intake::Intake;
use crate::relay::{ClusterView, NodeRecord, RelayFigures, ScheduleNews, StoredSchedule};

const LEASE_MS: u64 = 10_000;

/// Redis's clock when the node's monotonic one is at 0.
const REDIS_MS: u64 = 5_000_000;

struct Cluster {
    bench: Bench,
    view: Arc<ArcSwap<ClusterView>>,
    figures: Arc<RelayFigures>,
}

fn record(name: &str, boot: &str) -> NodeRecord {
    NodeRecord {
        name: name.into(),
        boot: boot.into(),
        address: format!("{name}:7000"),
        api: format!("{name}:7001"),
        version: "1.2.3".into(),
        state: "ready".into(),
        since: 500,
        connections: 10,
        users: 8,
        synced: true,
    }
}

fn set(flag: &AtomicBool, value: bool) {
    flag.store(value, Relaxed);
}

impl Cluster {
    fn new() -> Self {
        let (view, figures) = (Arc::new(ArcSwap::default()), Arc::new(RelayFigures::default()));
        let bench = Bench::with(|setup| {
            setup.census = Census::new(Arc::clone(&view), Arc::clone(&setup.gauges), "b0", LEASE_MS);
            let (figures, queue) = (Arc::clone(&figures), Intake::new(1_000));
            setup.relay = Some(ApiRelay { figures, queue, ready_without_redis: false });
        });
        bench.gauges.shards[0].store(Gauges { connections: 9, sessions: 3, users: 2 });
        let cluster = Self { bench, view, figures };
        cluster.renew(true);
        cluster
    }

    /// The view as it is after Redis answered, or did not.
    fn renew(&self, is_up: bool) {
        let now = self.bench.now;
        let before = self.view.load();
        let renewed_us = if is_up { now.monotonic_us } else { before.renewed_us };
        self.view.store(Arc::new(ClusterView {
            nodes: vec![record("n0", "a"), record("n1", "b0"), record("n2", "c")],
            users: 17,
            is_up,
            renewed_us,
            redis_unix_ms: REDIS_MS + renewed_us / 1_000,
            ..ClusterView::default()
        }));
        set(&self.figures.is_up, is_up);
        set(&self.figures.is_listening, is_up);
    }

    fn get(&mut self, path: &str) -> Value {
        body(&self.bench.call("GET", path, ""))
    }

    fn all(&mut self, stored: &[StoredSchedule]) {
        self.bench.api.handle_schedules(self.bench.now, ScheduleNews::All(stored.to_vec()));
    }

    fn tick(&mut self, ms: u64) {
        self.bench.advance(ms);
        self.bench.api.handle_time(self.bench.now);
    }

    #[track_caller]
    fn order(&mut self) -> ScheduleOrder {
        match self.bench.action() {
            ApiAction::Schedule(order) => order,
            action => panic!("{action:?} asks nothing about schedules"),
        }
    }

    /// The tick that is claimed for the schedule with this number.
    #[track_caller]
    fn claim(&mut self, of: u64) -> u64 {
        match self.order() {
            ScheduleOrder::Claim { number, tick, .. } if number == of => tick,
            order => panic!("{order:?} claims nothing for {of}"),
        }
    }

    fn claimed(&mut self, name: &str, number: u64, won: bool, fired: u64) {
        let news = ScheduleNews::Claimed { name: name.into(), number, won, fired };
        self.bench.api.handle_schedules(self.bench.now, news);
    }

    fn changed(&mut self, conn: ConnId, tag: u64, outcome: Result<bool, Refusal>) -> Response {
        self.bench.api.handle_schedules(self.bench.now, ScheduleNews::Changed { conn, tag, outcome });
        self.bench.response(1)
    }
}

fn plan(interval_ms: u64, source: &str) -> String {
    format!(r#"{{"to":{{"all":true}},"interval_ms":{interval_ms},"source":{source},"scope":"cluster"}}"#)
}

/// As Redis keeps it, begun so long before the node's start.
fn stored(name: &str, number: u64, since_ms: u64, plan: &str) -> StoredSchedule {
    StoredSchedule { name: name.into(), number, start_unix_ms: REDIS_MS - since_ms, plan: plan.into() }
}

const SEQ: &str = r#"{"template":{"$seq":true}}"#;

#[test]
fn counts_are_those_of_all_nodes_with_the_own_as_they_are() {
    let mut cluster = Cluster::new();
    let expected =
        json!({"node":{"connections":3,"users":2},"cluster":{"connections":23,"users":17,"nodes":3},"relay":"up"});
    assert_eq!(cluster.get("/v1/online"), expected);
    let nodes = cluster.get("/v1/nodes");
    let shown: Vec<_> = nodes["nodes"].as_array().expect("list").iter().collect();
    assert_eq!(shown.iter().map(|node| node["name"].as_str().expect("name")).collect::<Vec<_>>(), ["n0", "n1", "n2"]);
    assert_eq!(
        (&shown[0]["connections"], &shown[0]["uptime_ms"], &shown[0]["synced"]),
        (&json!(10), &json!(500), &json!(true))
    );
    assert_eq!((&shown[1]["connections"], &shown[1]["address"]), (&json!(3), &json!("127.0.0.1:7000")));
}

#[test]
fn without_redis_the_others_are_shown_for_a_lease_and_then_no_more() {
    let mut cluster = Cluster::new();
    cluster.bench.advance(LEASE_MS);
    cluster.renew(false);
    let online = cluster.get("/v1/online");
    assert_eq!((&online["cluster"]["nodes"], &online["relay"]), (&json!(3), &json!("down")));
    cluster.bench.advance(1);
    let expected = json!({"connections":3,"users":2,"nodes":1});
    assert_eq!(cluster.get("/v1/online")["cluster"], expected);
    assert_eq!(cluster.get("/v1/nodes")["nodes"].as_array().expect("list").len(), 1);
}

#[test]
fn a_node_that_must_have_redis_is_ready_only_with_it() {
    let mut cluster = Cluster::new();
    cluster.bench.api.set_state(NodeState::Ready);
    assert_eq!(cluster.bench.call("GET", "/readyz", "").status, 200);
    set(&cluster.figures.is_listening, false);
    let response = cluster.bench.call("GET", "/readyz", "");
    assert_eq!((response.status, &*response.body), (503, &b"redis"[..]));
    cluster.bench.api.set_ready_without_redis(true);
    assert_eq!(cluster.bench.call("GET", "/readyz", "").status, 200);
    cluster.bench.api.set_state(NodeState::Draining);
    assert_eq!(cluster.bench.call("GET", "/readyz", "").body, b"draining");
}

#[test]
fn templates_know_how_many_are_online_in_the_cluster() {
    let mut cluster = Cluster::new();
    let plan =
        r#"{"to":{"all":true},"interval_ms":100,"source":{"template":[{"$online":"node"},{"$online":"cluster"}]}}"#;
    cluster.bench.call("PUT", "/v1/schedules/crowd", plan);
    assert_eq!(cluster.bench.ticks(100), ["[3,23]"]);
}

#[test]
fn a_cluster_schedule_is_put_and_ended_by_the_cluster() {
    let mut cluster = Cluster::new();
    cluster.bench.send(1, "PUT", "/v1/schedules/s", &plan(100, SEQ));
    let ScheduleOrder::Put { conn, tag, name, plan: text } = cluster.order() else { panic!("no put") };
    assert_eq!((&*name, &*text), ("s", &*plan(100, SEQ)));
    let response = cluster.changed(conn, tag, Ok(false));
    let shown = body(&response);
    assert_eq!((response.status, &shown["scope"], &shown["fired"]), (201, &json!("cluster"), &json!(0)));
    cluster.all(&[stored("s", 7, 0, &text)]);
    assert_eq!(cluster.get("/v1/schedules/s")["next_in_ms"], 100);
    assert_eq!(cluster.get("/v1/schedules")["schedules"][0]["scope"], "cluster");

    cluster.bench.send(1, "PUT", "/v1/schedules/s", &plan(50, SEQ));
    let ScheduleOrder::Put { conn, tag, .. } = cluster.order() else { panic!("no put") };
    assert_eq!(cluster.changed(conn, tag, Ok(true)).status, 200);

    cluster.bench.send(1, "DELETE", "/v1/schedules/s", "");
    let ScheduleOrder::Remove { conn, tag, .. } = cluster.order() else { panic!("no removal") };
    assert_eq!(body(&cluster.changed(conn, tag, Ok(true))), json!({"deleted":"s"}));
    assert_eq!(cluster.bench.call("GET", "/v1/schedules/s", "").status, 404);

    // Another node may have put one this node has not heard of.
    for (outcome, status) in [(Ok(true), 200), (Ok(false), 404)] {
        cluster.bench.send(1, "DELETE", "/v1/schedules/else", "");
        let ScheduleOrder::Remove { conn, tag, .. } = cluster.order() else { panic!("no removal") };
        assert_eq!(cluster.changed(conn, tag, outcome).status, status);
    }
}

#[test]
fn without_redis_a_cluster_schedule_is_refused_and_nothing_changes() {
    let mut cluster = Cluster::new();
    cluster.bench.send(1, "PUT", "/v1/schedules/s", &plan(100, SEQ));
    let ScheduleOrder::Put { conn, tag, .. } = cluster.order() else { panic!("no put") };
    let away = Refusal::new(ErrorCode::Unavailable, "Redis is away");
    assert_eq!(cluster.changed(conn, tag, Err(away)).status, 503);
    assert_eq!(cluster.bench.call("GET", "/v1/schedules/s", "").status, 404);
    assert_eq!(cluster.bench.call("PUT", "/v1/schedules/s", &plan(9, SEQ)).status, 400);
}

#[test]
fn a_cluster_schedule_takes_the_place_of_the_nodes_own_and_not_the_other_way_round() {
    let mut cluster = Cluster::new();
    let own = r#"{"to":{"all":true},"interval_ms":100,"source":{"template":"own"}}"#;
    assert_eq!(cluster.bench.call("PUT", "/v1/schedules/s", own).status, 201);
    cluster.all(&[stored("s", 7, 0, &plan(100, SEQ))]);
    cluster.tick(100);
    assert_eq!(cluster.claim(7), 1);
    cluster.bench.idle();
    let refused = cluster.bench.call("PUT", "/v1/schedules/s", own);
    assert_eq!((refused.status, &body(&refused)["error"]["code"]), (400, &json!("bad_request")));
    // Without the cluster's, the node's own ends at the node.
    cluster.all(&[]);
    assert_eq!(cluster.bench.call("PUT", "/v1/schedules/s", own).status, 201);
    assert_eq!(cluster.bench.call("DELETE", "/v1/schedules/s", "").status, 200);
}

#[test]
fn only_a_node_that_wins_the_claim_fires_the_tick() {
    let mut cluster = Cluster::new();
    // Begun 250 ms before this node came: its first tick here is the third.
    cluster.all(&[stored("s", 7, 250, &plan(100, SEQ))]);
    cluster.tick(49);
    cluster.bench.idle();
    cluster.tick(1);
    assert_eq!(cluster.claim(7), 3);
    cluster.claimed("s", 7, false, 3);
    cluster.bench.idle();
    cluster.tick(100);
    assert_eq!(cluster.claim(7), 4);
    cluster.claimed("s", 7, true, 3);
    assert_eq!(cluster.bench.published().0.data.get(), "3");
    let shown = cluster.get("/v1/schedules/s");
    assert_eq!((&shown["fired"], &shown["skipped"], &shown["last_fired_ms"]), (&json!(4), &json!(0), &json!(1_150)));
}

#[test]
fn missed_ticks_of_the_cluster_are_not_made_up_for() {
    let mut cluster = Cluster::new();
    cluster.all(&[stored("s", 7, 0, &plan(100, SEQ))]);
    cluster.tick(350);
    assert_eq!(cluster.claim(7), 3);
    cluster.bench.idle();
    // The answer is late: the tick meanwhile is not claimed on top.
    cluster.tick(100);
    cluster.bench.idle();
    cluster.claimed("s", 7, false, 9);
    cluster.tick(50);
    assert_eq!(cluster.claim(7), 5);
}

#[test]
fn a_tick_is_claimed_once_though_redis_s_clock_goes_back() {
    let mut cluster = Cluster::new();
    cluster.all(&[stored("s", 7, 0, &plan(100, SEQ))]);
    cluster.tick(100);
    assert_eq!(cluster.claim(7), 1);
    cluster.claimed("s", 7, true, 0);
    cluster.bench.published();
    let mut view = ClusterView::clone(&cluster.view.load());
    view.redis_unix_ms -= 60;
    cluster.view.store(Arc::new(view));
    cluster.tick(100);
    cluster.bench.idle();
    cluster.tick(60);
    assert_eq!(cluster.claim(7), 2);
}

#[test]
fn the_nodes_other_clock_may_be_set_at_any_moment() {
    let mut cluster = Cluster::new();
    cluster.all(&[stored("s", 7, 0, &plan(100, SEQ))]);
    cluster.bench.now.unix_ms += 3_600_000;
    cluster.tick(100);
    assert_eq!(cluster.claim(7), 1);
}

#[test]
fn nothing_is_claimed_before_redis_s_clock_is_known() {
    let mut cluster = Cluster::new();
    cluster.view.store(Arc::default());
    cluster.all(&[stored("s", 7, 250, &plan(100, SEQ))]);
    cluster.tick(1_000);
    cluster.bench.idle();
    cluster.renew(true);
    cluster.tick(1_000);
    cluster.bench.idle();
    cluster.tick(50);
    assert_eq!(cluster.claim(7), 23);
    assert_eq!(cluster.get("/v1/schedules/s")["skipped"], 0);
}

#[test]
fn a_set_of_schedules_replaces_the_one_before_and_what_runs_goes_on() {
    let mut cluster = Cluster::new();
    let set = [stored("a", 1, 0, &plan(100, SEQ)), stored("b", 2, 0, &plan(100, SEQ))];
    cluster.all(&set);
    cluster.tick(100);
    assert_eq!((cluster.claim(1), cluster.claim(2)), (1, 1));
    // `a` stays with its claim; `b` is another; `c` cannot be read.
    cluster.all(&[set[0].clone(), stored("b", 3, 0, &plan(200, SEQ)), stored("c", 4, 0, "{}")]);
    cluster.claimed("a", 1, true, 0);
    assert_eq!(cluster.bench.published().0.data.get(), "0");
    cluster.claimed("b", 2, true, 0);
    cluster.bench.idle();
    cluster.tick(100);
    assert_eq!((cluster.claim(1), cluster.claim(3)), (2, 1));
    cluster.all(&[]);
    assert_eq!(cluster.get("/v1/schedules"), json!({"schedules":[]}));
    assert_eq!(cluster.bench.api.next_deadline_us(), None);
}

#[test]
fn a_url_is_fetched_by_the_node_that_won() {
    let mut cluster = Cluster::new();
    cluster.all(&[stored("w", 7, 0, &plan(100, r#"{"url":"http://127.0.0.1:9/w"}"#))]);
    cluster.tick(100);
    cluster.claim(7);
    cluster.bench.idle();
    cluster.claimed("w", 7, true, 4);
    let ApiAction::Fetch(fetch) = cluster.bench.action() else { panic!("no fetch") };
    // While it is under way, this node leaves the ticks to others.
    cluster.tick(100);
    cluster.bench.idle();
    cluster.bench.api.handle_fetched(cluster.bench.now, Fetched { schedule: fetch.schedule, outcome: Ok(raw("21")) });
    assert_eq!(cluster.bench.published().0.data.get(), "21");
    assert_eq!(cluster.get("/v1/schedules/w")["fired"], 5);
}

#[test]
fn a_last_schedule_hears_its_channel_and_claims_only_with_something_to_push() {
    let mut cluster = Cluster::new();
    let news = ChannelName::parse("news").expect("valid");
    cluster.all(&[stored("again", 7, 0, &plan(100, r#"{"last":"news"}"#))]);
    assert!(matches!(cluster.bench.action(), ApiAction::Cluster(ClusterCall::Join(channel)) if channel == news));
    cluster.tick(100);
    cluster.bench.idle();
    let draft = Draft::new(Target::Channels(vec![news.clone()]), raw("1"));
    cluster.bench.api.observe(&Publication::encode(&draft, cluster.bench.now));
    cluster.tick(100);
    assert_eq!(cluster.claim(7), 2);
    cluster.claimed("again", 7, true, 0);
    assert_eq!(cluster.bench.published().0.data.get(), "1");

    // The node's own one of the same channel wants nothing more, and the last of them ends it.
    let own = r#"{"to":{"all":true},"interval_ms":1000,"source":{"last":"news"}}"#;
    assert_eq!(cluster.bench.call("PUT", "/v1/schedules/own", own).status, 201);
    cluster.all(&[]);
    cluster.bench.idle();
    cluster.bench.send(1, "DELETE", "/v1/schedules/own", "");
    assert!(matches!(cluster.bench.action(), ApiAction::Cluster(ClusterCall::Leave(channel)) if channel == news));
    assert_eq!(cluster.bench.response(1).status, 200);
}

#[test]
fn subscribers_of_other_nodes_are_counted_in_the_cluster() {
    let mut cluster = Cluster::new();
    cluster.bench.send(1, "GET", "/v1/channels/news", "");
    let (_, asker) = cluster.bench.asked_all();
    let channel = ChannelName::parse("news").expect("valid");
    cluster
        .bench
        .answer(&asker, Answer::Channel { channel: channel.clone(), subscribers: 2, elsewhere: 5, users: vec![] });
    let expected = json!({"channel":"news","node":{"subscribers":2},"cluster":{"subscribers":7}});
    assert_eq!(body(&cluster.bench.response(1)), expected);

    cluster.bench.send(1, "GET", "/v1/channels", "");
    let (_, asker) = cluster.bench.asked_all();
    let channels = vec![ChannelCount { name: channel, here: 2, elsewhere: 5 }];
    cluster.bench.answer(&asker, Answer::Channels(ChannelPage { channels, more: false }));
    assert_eq!(body(&cluster.bench.response(1))["channels"][0], expected);
}

#[test]
fn the_number_of_schedules_is_bounded_in_a_cluster_too() {
    let mut cluster = Cluster::new();
    let set: Vec<_> = (0..3).map(|n| stored(&format!("s{n}"), n, 0, &plan(1_000, SEQ))).collect();
    cluster.all(&set);
    assert_eq!(cluster.bench.call("PUT", "/v1/schedules/more", &plan(1_000, SEQ)).status, 429);
}

#[test]
fn the_relays_figures_are_in_the_metrics() {
    let mut cluster = Cluster::new();
    cluster.figures.lost.store(6, Relaxed);
    cluster.bench.send(1, "GET", "/metrics", "");
    let (_, asker) = cluster.bench.asked_all();
    cluster.bench.answer(&asker, Answer::Counters(Box::default()));
    let page = String::from_utf8(cluster.bench.response(1).body).expect("UTF-8");
    for line in
        ["epush_relay_up 1", "epush_relay_lost_total 6", "epush_cluster_nodes 3", "epush_cluster_connections 23"]
    {
        assert!(page.lines().any(|other| other == line), "{line} is not in\n{page}");
    }
}
