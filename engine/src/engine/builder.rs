//! From a configuration to running threads.
//!
//! Everything that can fail happens before the first thread runs.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use arc_swap::ArcSwap;
use epush_core::id::ShardId;
use epush_core::shard::ShardSetup;
use mio::{Poll, Waker};
use serde::Serialize;
use tracing::{Span, error, error_span, warn};

use super::cluster::Way;
use super::listener::listen;
use super::{Addresses, Engine, Event, Outcomes, StartError};
use crate::acceptor::{self, Acceptor, AcceptorSetup};
use crate::admission::AcceptLimits;
use crate::api::{Api, ApiRelay, ApiSetup, NodeState};
use crate::auth::{Auth, AuthSetup};
use crate::clock::Clock;
use crate::config::{Algorithm, AuthConfig, Config, Secret, WebhookConfig};
use crate::gauges::NodeGauges;
use crate::handler::Handler;
use crate::intake::Intake;
use crate::jobs::{JobCall, Jobs};
use crate::mailbox::{Inbox, mailbox};
use crate::node::Node;
use crate::reactor::{Outside, Post, Reactor, ReactorSetup, WAKE};
use crate::sys;
use crate::webhook::{WebhookSetup, Webhooks};

/// An engine in the making.
#[derive(Default)]
pub struct Builder {
    config: Config,
    handler: Option<Arc<dyn Handler>>,
    jobs: Jobs,
}

/// Descriptors besides the connections: listeners, polls, files, webhooks, the API's own.
const SPARE_DESCRIPTORS: u64 = 256;

impl Builder {
    /// Replaces the default configuration.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// The application that is told of sessions and decides about them.
    #[must_use]
    pub fn handler(mut self, handler: impl Handler) -> Self {
        self.handler = Some(Arc::new(handler));
        self
    }

    /// A periodic push that clients may ask for with `every`: the closure renders each tick, or skips it with `None`.
    ///
    /// It runs on the reactors and must not wait. A template of the same name in the configuration gives way to it.
    #[must_use]
    pub fn job<R, F>(mut self, name: &str, render: F) -> Self
    where
        R: Serialize,
        F: Fn(&JobCall<'_>) -> Option<R> + Send + Sync + 'static,
    {
        self.jobs.add_closure(name, render);
        self
    }

    /// Binds the listeners and starts the threads.
    ///
    /// # Errors
    /// A [`StartError`]; then nothing runs.
    pub fn start(mut self) -> Result<Engine, StartError> {
        let config = self.config;
        config.check().map_err(StartError::Config)?;
        self.jobs.add_templates(&config).map_err(StartError::Job)?;
        let auth = Auth::load(&auth_setup(&config.auth)).map_err(StartError::Auth)?;
        let keys = config.api.read_keys().map_err(StartError::ApiKeys)?;
        let way = Way::prepare(&config)?;
        let client = listen("server.listen", config.server.listen, &config.server)?;
        let api = listen("server.api", config.server.api, &config.server)?;
        let addresses = Addresses { client: client.local_addr()?, api: api.local_addr()? };

        let parts = Parts::new(&config, &way)?;
        let node = Arc::clone(&parts.node);
        // Threads that start inside write it on their lines too: two nodes may share a log.
        let _lines_of_node = error_span!("epush", node = %node.name).entered();
        let descriptors = check_descriptors(&config);
        node.gauges.max_fds.store(descriptors, Ordering::Relaxed);
        let webhooks = Arc::new(start_webhooks(&config.webhook, &node)?);
        let auth = Arc::new(ArcSwap::from_pointee(auth));
        let outside = Outside {
            node: Arc::clone(&node),
            auth: Arc::clone(&auth),
            webhooks: Arc::clone(&webhooks),
            handler: self.handler,
            jobs: Arc::new(self.jobs),
        };
        let api_setup = api_setup(&config, &node, addresses, &keys);

        let poll = Poll::new()?;
        let (notes, notes_inbox) = mailbox(Waker::new(poll.registry(), acceptor::WAKE)?);
        let setup = AcceptorSetup {
            poll,
            inbox: notes_inbox,
            client,
            api,
            limits: accept_limits(&config),
            trusted: config.server.trusted_proxies.clone(),
            reactors: node.reactors.clone(),
            gauges: Arc::clone(&node.gauges),
            clock: node.clock,
        };
        let acceptor = Acceptor::new(setup)?;

        let (outcomes, events, drained) = Outcomes::new(node.shards());
        let outcomes = Arc::new(outcomes);
        // From here on dropping the engine stops what has been started.
        let mut engine = Engine {
            node: Arc::clone(&node),
            addresses,
            notes: notes.clone(),
            auth,
            webhooks,
            config: Mutex::new(config.clone()),
            events,
            drained,
            threads: Vec::new(),
            relay_threads: Vec::new(),
        };
        let settings = Arc::new(config.settings());
        let mut api_setup = Some(api_setup);
        for (index, (poll, inbox)) in parts.reactors.into_iter().enumerate() {
            let shard = ShardSetup {
                id: ShardId(index as u16),
                shards: node.shards(),
                boot: node.boot,
                node: Arc::clone(&node.name),
                clustered: node.relay.is_some(),
                settings: Arc::clone(&settings),
            };
            let setup = ReactorSetup {
                poll,
                inbox,
                shard,
                outside: outside.clone(),
                api: api_setup.take().map(Api::new),
                notes: notes.clone(),
                events: Arc::clone(&outcomes),
            };
            let run = move || Reactor::new(setup).run();
            engine.threads.push(spawn(format!("reactor-{index}"), &outcomes, run)?);
        }
        engine.relay_threads = way.start(&config, &node, addresses, &outcomes)?;
        // The acceptor last: whom it lets in is looked after.
        engine.threads.push(spawn("acceptor".into(), &outcomes, move || acceptor.run())?);
        drop(engine.tell_cluster(NodeState::Ready));
        Ok(engine)
    }
}

/// The node, and the sub-reactors' own halves of it.
struct Parts {
    node: Arc<Node>,
    reactors: Vec<(Poll, Inbox<Post>)>,
}

impl Parts {
    fn new(config: &Config, way: &Way) -> io::Result<Self> {
        let shards = match config.server.reactors {
            0 => thread::available_parallelism().map_or(1, usize::from),
            reactors => reactors,
        };
        let shards = u16::try_from(shards).unwrap_or(u16::MAX);
        let (mut mailboxes, mut reactors) = (Vec::new(), Vec::new());
        for _ in 0..shards {
            let poll = Poll::new()?;
            let (post, inbox) = mailbox(Waker::new(poll.registry(), WAKE)?);
            mailboxes.push(post);
            reactors.push((poll, inbox));
        }
        // The keys of a RandomState come from the system, and that is all the randomness an engine needs.
        let boot = RandomState::new().build_hasher().finish();
        let clock = Clock::start();
        let intake = Intake::new(config.limits.intake_bytes_max);
        let gauges = Arc::new(NodeGauges::new(usize::from(shards)));
        let census = way.census(&gauges, boot, config);
        let node = Node {
            name: config.server.node.clone().unwrap_or_else(|| name_of_host(boot)).into(),
            boot,
            clock,
            broker: way.broker((&mailboxes, &intake), &census, clock),
            relay: way.front.clone(),
            census,
            reactors: mailboxes,
            intake,
            gauges,
            stopped: AtomicBool::new(false),
            published: AtomicU64::new(0),
        };
        Ok(Self { node: Arc::new(node), reactors })
    }
}

fn name_of_host(boot: u64) -> String {
    format!("{}-{:04x}", sys::host_name(), boot as u16)
}

/// Raises the limit on descriptors and says when the configured connections do not fit; returns the limit.
fn check_descriptors(config: &Config) -> u64 {
    let descriptors = match sys::raise_descriptor_limit() {
        Ok(descriptors) => descriptors,
        Err(error) => {
            warn!(%error, "cannot raise the limit on descriptors");
            return 0;
        }
    };
    let connections = config.limits.connections as u64;
    if connections.saturating_add(SPARE_DESCRIPTORS) > descriptors {
        warn!(
            connections,
            descriptors, "limits.connections does not fit: raise the hard limit (LimitNOFILE, ulimit -Hn) or lower it"
        );
    }
    descriptors
}

/// Starts a thread that tells when it ends otherwise than it should.
pub(super) fn spawn(
    name: String,
    outcomes: &Arc<Outcomes>,
    run: impl FnOnce() -> io::Result<()> + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let outcomes = Arc::clone(outcomes);
    let span = Span::current();
    thread::Builder::new().name(name.clone()).spawn(move || {
        let _lines_of_node = span.entered();
        // Nothing is used after the panic but the channel: the thread's state is gone with it.
        let message = match catch_unwind(AssertUnwindSafe(run)) {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "panicked".into(),
        };
        error!(thread = name, message, "a thread of the engine ended");
        outcomes.post(Event::Failed { thread: name.into(), message: message.into() });
    })
}

fn start_webhooks(config: &WebhookConfig, node: &Arc<Node>) -> Result<Webhooks, StartError> {
    let setup = WebhookSetup {
        node: Arc::clone(&node.name),
        handshake_url: config.handshake_url.clone().unwrap_or_default(),
        ask_url: config.ask_url.clone().unwrap_or_default(),
        timeout_ms: config.timeout_ms,
        workers: config.workers,
        queue_max: config.queue_max,
        authorization: exposed(config.authorization.as_ref()),
    };
    let (mail, documents) = (Arc::clone(node), Arc::clone(node));
    let deliver = move |shard, letter| mail.post(shard, letter);
    let fetched = move |fetched| documents.reactors[0].post(Post::Fetched(fetched));
    Webhooks::start(setup, deliver, fetched).map_err(StartError::Webhook)
}

fn api_setup(config: &Config, node: &Node, addresses: Addresses, keys: &[Secret]) -> ApiSetup {
    ApiSetup {
        node: Arc::clone(&node.name),
        boot: node.boot,
        version: env!("CARGO_PKG_VERSION"),
        address: addresses.client.to_string().into(),
        api_address: addresses.api.to_string().into(),
        started_unix_ms: node.clock.now().unix_ms,
        keys: keys.iter().map(|key| key.expose().into()).collect(),
        idempotency_keys_max: config.api.idempotency_keys_max,
        idempotency_ms: config.api.idempotency_seconds.saturating_mul(1_000),
        schedules_max: config.api.schedules_max,
        gauges: Arc::clone(&node.gauges),
        census: node.census.clone(),
        relay: node.relay.as_ref().map(|relay| ApiRelay {
            figures: Arc::clone(&relay.figures),
            queue: relay.queue.clone(),
            ready_without_redis: config.cluster.ready_without_redis,
        }),
    }
}

pub(super) fn accept_limits(config: &Config) -> AcceptLimits {
    AcceptLimits {
        connections: config.limits.connections,
        connections_per_ip: config.limits.connections_per_ip,
        api_connections: config.limits.api_connections,
        accepts_per_second: config.limits.accepts_per_second,
    }
}

pub(super) fn auth_setup(config: &AuthConfig) -> AuthSetup {
    let path = |path: Option<&Path>| path.map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
    AuthSetup {
        mode: config.mode,
        algorithms: config.algorithms.iter().map(|algorithm| word_of(*algorithm).into()).collect(),
        secret: exposed(config.secret.as_ref()),
        key_file: path(config.key_file.as_deref()),
        jwks_file: path(config.jwks_file.as_deref()),
        issuer: config.issuer.clone().unwrap_or_default(),
        audience: config.audience.clone().unwrap_or_default(),
        leeway_seconds: config.leeway_seconds,
        anonymous: config.anonymous,
    }
}

const fn word_of(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Hs256 => "HS256",
        Algorithm::Rs256 => "RS256",
        Algorithm::Es256 => "ES256",
        Algorithm::EdDsa => "EdDSA",
    }
}

fn exposed(secret: Option<&Secret>) -> String {
    secret.map(Secret::expose).unwrap_or_default().to_owned()
}
