//! What every broker does, told of both twins; and what only the one of a cluster does.

use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;

use crossbeam_channel::Receiver;
use epush_core::id::{ConnId, SessionRef};
use epush_core::mail::{Answer, ClusterCounts, Mail};
use epush_core::message::{ChannelName, UserName};
use epush_core::shard::Gauges;
use mio::{Events, Poll, Token, Waker};
use serde_json::value::RawValue;

use super::*;
use crate::clock::Clock;
use crate::gauges::NodeGauges;
use crate::intake::Intake;
use crate::mailbox::{Inbox, Mailbox, mailbox};
use crate::reactor::Post;
use crate::relay::testing::{self, RedisServer};
use crate::relay::{self, Arrival, Census, Front, NodeRecord, Order, RelayFigures, RelaySetup};

/// A broker, and everything behind it in the hands of the test.
struct World {
    broker: Box<dyn Broker>,
    inboxes: Vec<Inbox<Post>>,
    intake: Intake,
    /// Of the cluster's broker: what the relay is asked for.
    relay: Option<Relay>,
    /// The relay's own threads, where the test does not stand in for them.
    _wire: Option<Wire>,
    /// Kept open: a waker without its poll wakes nobody.
    _polls: Vec<Poll>,
}

/// A running relay on a Redis of its own.
struct Wire {
    front: Front,
    threads: Vec<JoinHandle<()>>,
    _redis: RedisServer,
}

struct Relay {
    front: Front,
    orders: Receiver<Order>,
    arrivals: Inbox<Arrival>,
    gauges: Arc<NodeGauges>,
    _poll: Poll,
}

fn polled<T>() -> (Mailbox<T>, Inbox<T>, Poll) {
    let poll = Poll::new().expect("poll");
    let (post, inbox) = mailbox(Waker::new(poll.registry(), Token(0)).expect("waker"));
    (post, inbox, poll)
}

impl Relay {
    fn new(queue_bytes: usize, loss_bytes: usize) -> Self {
        let (outward, orders) = crossbeam_channel::unbounded();
        let (inward, arrivals, _poll) = polled();
        let front = Front {
            outward,
            inward,
            queue: Intake::new(queue_bytes),
            losses: Intake::new(loss_bytes),
            view: Arc::default(),
            figures: Arc::new(RelayFigures::default()),
        };
        front.figures.is_up.store(true, Relaxed);
        Self { front, orders, arrivals, gauges: Arc::new(NodeGauges::new(1)), _poll }
    }

    /// How many bytes its queue and its losses hold.
    fn bytes(&self) -> (usize, usize) {
        (self.front.queue.bytes(), self.front.losses.bytes())
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.front.order(Order::Stop);
        self.front.inward.post(Arrival::Stop);
        for thread in self.threads.drain(..) {
            thread.join().expect("the relay ends");
        }
    }
}

/// Mailboxes of so many shards.
fn shards(count: usize) -> (Vec<Mailbox<Post>>, Vec<Inbox<Post>>, Vec<Poll>) {
    let (mut mailboxes, mut inboxes, mut polls) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..count {
        let (post, inbox, poll) = polled();
        mailboxes.push(post);
        inboxes.push(inbox);
        polls.push(poll);
    }
    (mailboxes, inboxes, polls)
}

impl World {
    fn new(count: usize, intake_bytes: usize, relay: Option<Relay>) -> Self {
        let intake = Intake::new(intake_bytes);
        let (mailboxes, inboxes, polls) = shards(count);
        let local = Local::new(mailboxes.clone(), intake.clone());
        let broker: Box<dyn Broker> = match &relay {
            None => Box::new(local),
            Some(relay) => {
                let census = Census::new(Arc::clone(&relay.front.view), Arc::clone(&relay.gauges), "b0", 1_000);
                Box::new(Redis::new(local, mailboxes, relay.front.clone(), census, Clock::start()))
            }
        };
        Self { broker, inboxes, intake, relay, _wire: None, _polls: polls }
    }

    /// One whose relay runs, on a real Redis.
    fn wired(count: usize, intake_bytes: usize) -> Self {
        const BOOT: u64 = 0xb0;
        let redis = RedisServer::start();
        let (front, pending) = relay::prepare(&testing::config(&redis.url())).expect("a URL of use");
        let (mailboxes, inboxes, mut polls) = shards(count);
        let (intake, gauges, clock) = (Intake::new(intake_bytes), Arc::new(NodeGauges::new(count)), Clock::start());
        let census = Census::new(Arc::clone(&front.view), Arc::clone(&gauges), "b0", 1_000);
        let record = NodeRecord {
            name: "test".into(),
            boot: format!("{BOOT:x}"),
            address: String::new(),
            api: String::new(),
            version: String::new(),
            state: "ready".into(),
            since: 0,
            connections: 0,
            users: 0,
            synced: false,
        };
        let setup = RelaySetup {
            shards: mailboxes.clone(),
            intake: intake.clone(),
            gauges,
            clock,
            boot: BOOT,
            record,
            per_user: 0,
            muted_types_max: 64,
        };
        let mut threads = Vec::new();
        for (_, run) in pending.start(setup) {
            threads.push(std::thread::spawn(move || run().expect("it ends as it should")));
        }
        // The first it tells a node that has a shard: that there are no schedules in Redis.
        polls[0].poll(&mut Events::with_capacity(1), Some(testing::PATIENCE)).expect("poll");
        assert!(front.is_up(), "Redis does not answer");
        let local = Local::new(mailboxes.clone(), intake.clone());
        let broker = Box::new(Redis::new(local, mailboxes, front.clone(), census, clock));
        let _wire = Some(Wire { front, threads, _redis: redis });
        Self { broker, inboxes, intake, relay: None, _wire, _polls: polls }
    }

    fn local(count: usize, intake_bytes: usize) -> Self {
        Self::new(count, intake_bytes, None)
    }

    /// One with room for all that the test publishes.
    fn redis(count: usize, intake_bytes: usize) -> Self {
        Self::new(count, intake_bytes, Some(Relay::new(1_000_000, 1_000_000)))
    }

    fn relay(&self) -> &Relay {
        self.relay.as_ref().expect("a world with a relay")
    }

    /// Publishes; whether the cluster took it.
    fn publish(&self, draft: &Draft) -> Result<bool, Refused> {
        let accepted = self.broker.accept(draft, Now::default())?;
        let relayed = accepted.relayed;
        self.broker.spread(None, accepted, None);
        Ok(relayed)
    }

    #[track_caller]
    fn order(&self) -> Order {
        self.relay().orders.try_recv().expect("an order")
    }
}

fn draft(to: Target, json: &str) -> Draft {
    Draft::new(to, RawValue::from_string(json.into()).expect("JSON"))
}

/// A draft to everybody that weighs something over 300 bytes.
fn heavy() -> Draft {
    draft(Target::All, &format!("\"{}\"", "x".repeat(300)))
}

fn user(name: &str) -> UserName {
    UserName::parse(name).expect("valid")
}

fn channel(name: &str) -> ChannelName {
    ChannelName::parse(name).expect("valid")
}

/// The next publication, past what a running relay tells besides.
fn published(inbox: &Inbox<Post>) -> Option<(Arc<Publication>, Option<Report>)> {
    loop {
        match inbox.take()? {
            Post::Mail(Mail::Publish { publication, report }) => return Some((publication, report)),
            Post::Schedules(_) => {}
            post => panic!("expected a publication, not {post:?}"),
        }
    }
}

/// Tells each fact of both twins: of the cluster's with the test in the relay's place, and with a relay and a real Redis.
macro_rules! of_both_twins {
    ($($fact:ident)*) => {
        mod local { $(#[test] fn $fact() { super::$fact(super::World::local); })* }
        mod redis { $(#[test] fn $fact() { super::$fact(super::World::redis); })* }
        mod redis_itself { $(#[test] fn $fact() { super::$fact(super::World::wired); })* }
    };
}

of_both_twins! {
    every_shard_but_the_origin_gets_the_same_publication
    a_publisher_without_a_shard_reaches_all_of_them
    one_publishers_messages_stay_in_order
    the_bytes_are_given_back_when_the_last_shard_is_done
    what_does_not_fit_reaches_nobody
    what_never_fits_is_told_so
}

type Twin = fn(usize, usize) -> World;

fn every_shard_but_the_origin_gets_the_same_publication(twin: Twin) {
    let world = twin(3, 10_000);
    let accepted = world.broker.accept(&draft(Target::All, "1"), Now::default()).expect("fits");
    let report = Report { shard: ShardId(1), ticket: 9 };
    let publication = world.broker.spread(Some(ShardId(1)), accepted, Some(report));
    for (index, inbox) in world.inboxes.iter().enumerate() {
        match published(inbox) {
            Some((received, reported)) => {
                assert!(Arc::ptr_eq(&received, &publication) && reported == Some(report));
            }
            None => assert_eq!(index, 1),
        }
    }
}

fn a_publisher_without_a_shard_reaches_all_of_them(twin: Twin) {
    let world = twin(2, 10_000);
    world.publish(&draft(Target::All, "1")).expect("fits");
    assert!(world.inboxes.iter().all(|inbox| published(inbox).is_some() && published(inbox).is_none()));
}

fn one_publishers_messages_stay_in_order(twin: Twin) {
    let world = twin(2, 10_000);
    for json in ["1", "2", "3"] {
        world.publish(&draft(Target::Channels(vec![channel("news")]), json)).expect("fits");
    }
    for inbox in &world.inboxes {
        for json in ["1", "2", "3"] {
            let (publication, _) = published(inbox).expect("posted");
            assert!(publication.frames[0].ends_with(format!("\"data\":{json}}}").as_bytes()));
        }
    }
}

fn the_bytes_are_given_back_when_the_last_shard_is_done(twin: Twin) {
    let world = twin(2, 10_000);
    drop(world.broker.publish(None, &draft(Target::All, "1"), Now::default()).expect("fits"));
    let first = published(&world.inboxes[0]).expect("posted");
    assert!(world.intake.bytes() > 0);
    drop(first);
    assert!(world.intake.bytes() > 0, "the other shard still has it");
    drop(published(&world.inboxes[1]).expect("posted"));
    assert_eq!(world.intake.bytes(), 0);
}

fn what_does_not_fit_reaches_nobody(twin: Twin) {
    let world = twin(2, 500);
    let held = world.broker.publish(None, &heavy(), Now::default()).expect("fits");
    let refused = world.broker.publish(None, &heavy(), Now::default());
    assert_eq!(refused.err(), Some(Refused::Full));
    assert!(world.inboxes.iter().all(|inbox| published(inbox).is_some() && published(inbox).is_none()));
    if let Some(relay) = &world.relay {
        assert!(matches!(relay.orders.try_recv(), Ok(Order::Publish { .. })));
        assert!(relay.orders.is_empty() && relay.bytes() == (0, 0), "nor another node");
    }
    drop(held);
    assert!(world.broker.publish(None, &heavy(), Now::default()).is_ok());
}

fn what_never_fits_is_told_so(twin: Twin) {
    let world = twin(1, 100);
    assert_eq!(world.publish(&heavy()).err(), Some(Refused::TooLarge));
    assert!(published(&world.inboxes[0]).is_none());
}

#[test]
fn the_reservation_covers_the_frames() {
    let mut draft = draft(Target::Users(vec![user(&"u".repeat(200)); 3]), "[1,2,3]");
    (draft.id, draft.kind, draft.module) = (Some("id".into()), Some("kind".into()), Some("module".into()));
    draft.from = Some(user(&"f".repeat(200)));
    let now = Now { monotonic_us: 0, unix_ms: u64::MAX };
    assert!(Publication::encode(&draft, now).bytes() <= weight(&draft));
    draft.to = Target::Channels(vec![channel("news")]);
    assert!(Publication::encode(&draft, now).bytes() <= weight(&draft));
}

#[test]
fn a_node_that_is_alone_relays_nothing() {
    let world = World::local(1, 10_000);
    assert_eq!(world.publish(&draft(Target::All, "1")), Ok(false));
    assert!(!world.broker.ask_others(&Question::Online, Report { shard: ShardId(0), ticket: 1 }));
}

#[test]
fn what_crosses_is_what_the_shards_get_and_holds_no_room_of_theirs() {
    let world = World::redis(1, 10_000);
    let to = Target::Users(vec![user("7"), user("8")]);
    let sent = Draft { kind: Some("t".into()), ..draft(to.clone(), "1") };
    assert_eq!(world.publish(&sent), Ok(true));
    let frames = published(&world.inboxes[0]).expect("posted").0.frames.clone();
    assert_eq!(world.intake.bytes(), 0, "the shard is done; the relay is not");
    let Order::Publish { to: crossing, kind, frames: relayed, permit } = world.order() else { panic!("a publication") };
    assert_eq!((crossing, kind.as_deref(), &relayed), (to, Some("t"), &frames));
    assert!(world.relay().bytes().0 >= frames.iter().map(bytes::Bytes::len).sum());
    drop(permit);
    assert_eq!(world.relay().bytes(), (0, 0));
}

#[test]
fn with_a_full_queue_the_shards_get_it_and_the_others_hear_of_a_loss() {
    let world = World::new(1, 10_000, Some(Relay::new(500, 10_000)));
    assert_eq!(world.publish(&heavy()), Ok(true));
    let waiting = world.order();
    assert_eq!(world.publish(&heavy()), Ok(false));
    assert!(published(&world.inboxes[0]).is_some() && published(&world.inboxes[0]).is_some());
    let Order::Lose { to: Target::All, permit } = world.order() else { panic!("a loss") };
    assert!(world.relay().bytes().1 > 0);
    drop((permit, waiting));
    assert_eq!(world.relay().bytes(), (0, 0));
    assert_eq!(world.publish(&heavy()), Ok(true));
}

#[test]
fn what_is_larger_than_the_queue_is_refused_since_it_could_never_cross() {
    let world = World::new(1, 10_000, Some(Relay::new(100, 10_000)));
    assert_eq!(world.publish(&heavy()), Err(Refused::TooLarge));
    assert!(world.inboxes[0].is_empty() && world.relay().orders.is_empty());
}

#[test]
fn without_room_even_to_note_a_loss_nobody_gets_it() {
    let world = World::new(1, 10_000, Some(Relay::new(500, 600)));
    assert_eq!(world.publish(&heavy()), Ok(true));
    let waiting = world.order();
    assert_eq!(world.publish(&heavy()), Ok(false));
    // The note of it waits; two further ones are more than there is room for.
    let refused = world.publish(&draft(Target::Users(vec![user("7"), user("8")]), "1"));
    assert_eq!(refused, Err(Refused::Full));
    assert!(published(&world.inboxes[0]).is_some() && published(&world.inboxes[0]).is_some());
    assert!(world.inboxes[0].is_empty());
    assert!(matches!(world.order(), Order::Lose { .. }) && world.relay().orders.is_empty());
    drop(waiting);
}

#[test]
fn without_redis_it_waits_and_nobody_says_that_the_cluster_took_it() {
    let world = World::redis(1, 10_000);
    world.relay().front.figures.is_up.store(false, Relaxed);
    assert_eq!(world.publish(&draft(Target::All, "1")), Ok(false));
    assert!(matches!(world.order(), Order::Publish { .. }));
}

#[test]
fn what_a_shard_asks_of_the_cluster_goes_to_the_thread_that_does_it() {
    let world = World::redis(1, 10_000);
    let session = SessionRef { shard: ShardId(0), conn: ConnId { index: 1, generation: 2 } };
    let remote = "192.0.2.1".parse().expect("address");
    let calls = [
        ClusterCall::SignIn { user: user("7"), session, since_unix_ms: 5, remote },
        ClusterCall::Join(channel("news")),
        ClusterCall::SignOut { user: user("7"), session },
        ClusterCall::Leave(channel("news")),
    ];
    for call in calls {
        world.broker.call(ShardId(0), call);
    }
    assert!(matches!(world.order(), Order::SignIn { session: at, since_unix_ms: 5, .. } if at == session));
    assert!(matches!(world.order(), Order::SignOut { session: at, .. } if at == session));
    let arrivals = &world.relay().arrivals;
    assert!(
        matches!(arrivals.take(), Some(Arrival::Join { shard: ShardId(0), channel: joined }) if joined == channel("news"))
    );
    assert!(matches!(arrivals.take(), Some(Arrival::Leave { .. })));
}

#[test]
fn questions_about_other_nodes_go_to_the_relay_and_those_about_this_one_do_not() {
    let world = World::redis(1, 10_000);
    let report = Report { shard: ShardId(0), ticket: 3 };
    let asked = |question| world.broker.ask_others(&question, report);
    assert!(asked(Question::User(user("7"))) && asked(Question::Kick(user("7"))));
    for _ in 0..2 {
        assert!(matches!(world.order(), Order::Ask { report: to, .. } if to == report));
    }
    assert!(asked(Question::Channel { channel: channel("news"), members: true }));
    assert!(matches!(world.relay().arrivals.take(), Some(Arrival::Ask { report: to, .. }) if to == report));
    assert!(!asked(Question::Counters) && !asked(Question::Mutes(user("7"))));
    assert!(world.relay().orders.is_empty());
}

#[test]
fn how_many_are_online_in_the_cluster_is_known_at_once() {
    let world = World::redis(1, 10_000);
    world.relay().gauges.shards[0].store(Gauges { connections: 2, sessions: 2, users: 1 });
    assert!(world.broker.ask_others(&Question::Online, Report { shard: ShardId(0), ticket: 3 }));
    let Some(Post::Mail(Mail::Answer { ticket: 3, answer })) = world.inboxes[0].take() else { panic!("an answer") };
    let expected = Some(ClusterCounts { sessions: 2, users: 1, nodes: 1 });
    assert!(matches!(answer, Answer::Online { sessions: 0, users: 0, cluster } if cluster == expected), "{answer:?}");
}

#[test]
fn mutes_are_asked_of_the_cluster_by_the_users_home() {
    let world = World::redis(1, 10_000);
    let report = Report { shard: ShardId(0), ticket: 3 };
    world.broker.call(ShardId(0), ClusterCall::Ask { question: Question::Mutes(user("7")), report });
    assert!(matches!(world.order(), Order::Ask { question: Question::Mutes(_), .. }));
}
