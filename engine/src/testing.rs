//! A node without threads, for unit tests: what is posted stays in the inboxes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use arc_swap::ArcSwap;
use epush_core::id::{ConnId, SessionRef, ShardId};
use epush_core::message::UserName;
use epush_core::shard::SessionView;
use mio::{Poll, Waker};

use crate::auth::{Auth, AuthSetup};
use crate::broker::Local;
use crate::clock::Clock;
use crate::config::AuthMode;
use crate::gauges::NodeGauges;
use crate::handler::{Handler, Session};
use crate::intake::Intake;
use crate::jobs::Jobs;
use crate::mailbox::{Inbox, mailbox};
use crate::node::Node;
use crate::reactor::{Outside, Post, WAKE};
use crate::relay::Census;
use crate::webhook::{WebhookSetup, Webhooks};

pub struct Bench {
    pub node: Arc<Node>,
    pub inboxes: Vec<Inbox<Post>>,
    /// Kept open: a waker without its poll wakes nobody.
    pub polls: Vec<Poll>,
}

pub fn bench(shards: u16, intake_bytes: usize) -> Bench {
    let (mut reactors, mut inboxes, mut polls) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..shards {
        let poll = Poll::new().expect("poll");
        let (post, inbox) = mailbox(Waker::new(poll.registry(), WAKE).expect("waker"));
        reactors.push(post);
        inboxes.push(inbox);
        polls.push(poll);
    }
    let intake = Intake::new(intake_bytes);
    let gauges = Arc::new(NodeGauges::new(usize::from(shards)));
    let node = Node {
        name: "test".into(),
        boot: 0xb007,
        clock: Clock::start(),
        broker: Box::new(Local::new(reactors.clone(), intake.clone())),
        relay: None,
        census: Census::alone(Arc::clone(&gauges)),
        reactors,
        intake,
        gauges,
        stopped: AtomicBool::new(false),
        published: AtomicU64::new(0),
    };
    Bench { node: Arc::new(node), inboxes, polls }
}

/// A way to the outside that lets everybody in, as whoever they say they are, unless the handler objects.
pub fn outside(bench: &Bench, handler: Option<Arc<dyn Handler>>) -> Outside {
    let setup = WebhookSetup {
        node: "test".into(),
        handshake_url: String::new(),
        ask_url: String::new(),
        timeout_ms: 1_000,
        workers: 1,
        queue_max: 1,
        authorization: String::new(),
    };
    let auth = Auth::load(&AuthSetup { mode: AuthMode::None, ..AuthSetup::default() }).expect("no keys needed");
    Outside {
        node: Arc::clone(&bench.node),
        auth: Arc::new(ArcSwap::from_pointee(auth)),
        webhooks: Arc::new(Webhooks::start(setup, |_, _| {}, |_| {}).expect("pool")),
        handler,
        jobs: Arc::new(Jobs::default()),
    }
}

/// A session of user 42.
pub fn session(bench: &Bench) -> Session {
    let user = UserName::parse("42").expect("name");
    let at = SessionRef { shard: ShardId(0), conn: ConnId { index: 1, generation: 0 } };
    let remote = "192.0.2.1".parse().expect("address");
    Session::new(
        &bench.node,
        &SessionView { id: bench.node.session_id(at), user: Some(&user), remote, attributes: None },
    )
}
