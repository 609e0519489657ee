//! A running node: its threads, and the ordered ways to change and to end it.
//!
//! Building one is `builder`'s; what happens on the threads is the acceptor's and the reactors'.

mod builder;
mod cluster;
mod errors;
mod listener;
mod outcomes;

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use arc_swap::ArcSwap;
use crossbeam_channel::Receiver;
use epush_core::mail::Mail;
use tracing::info;

use crate::acceptor::Note;
use crate::api::NodeState;
use crate::auth::Auth;
use crate::config::{Config, Reload};
use crate::mailbox::Mailbox;
use crate::node::Node;
use crate::pusher::Pusher;
use crate::reactor::{Change, Post};
use crate::relay::Order;
use crate::webhook::Webhooks;

pub use builder::Builder;
pub use errors::{DrainError, ReloadError, StartError};
pub use outcomes::Event;
pub(crate) use outcomes::Outcomes;

/// A running node. Dropping it stops it at once; [`Engine::drain`] ends it gently.
///
/// Several may run in one process. A handler may stop its own engine: the thread it runs on ends behind it.
///
/// ```no_run
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let engine = epush::Engine::builder().start()?;
/// println!("clients connect to {}", engine.addresses().client);
/// engine.pusher().to_all().json(&"hello")?.push()?;
/// engine.drain(Duration::from_secs(30))?;
/// # Ok(()) }
/// ```
pub struct Engine {
    node: Arc<Node>,
    addresses: Addresses,
    notes: Mailbox<Note>,
    auth: Arc<ArcSwap<Auth>>,
    webhooks: Arc<Webhooks>,
    /// What is in force.
    config: Mutex<Config>,
    events: Receiver<Event>,
    drained: Receiver<()>,
    /// Empty once the node has stopped.
    threads: Vec<JoinHandle<()>>,
    /// The relay's, which end last: the reactors tell them who is gone.
    relay_threads: Vec<JoinHandle<()>>,
}

/// Where a node listens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Addresses {
    /// For clients.
    pub client: SocketAddr,
    /// For the control API.
    pub api: SocketAddr,
}

/// How many are online on a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Online {
    /// Open sessions.
    pub sessions: usize,
    /// Distinct users.
    pub users: usize,
}

/// How long a drain waits for Redis before it begins: sessions may not wait for one that hangs.
const TELL_AT_MOST: Duration = Duration::from_secs(1);

/// What a drain waits for beyond its own time and the close handshake: the turns of the reactors, on a busy machine.
const DRAIN_GRACE: Duration = Duration::from_secs(1);

impl Engine {
    /// An engine in the making, with the default configuration.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Publishes into this engine, from any thread.
    #[must_use]
    pub fn pusher(&self) -> Pusher {
        Pusher::new(Arc::clone(&self.node))
    }

    /// Where it listens: with port 0 in the configuration, the ports it was given.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// The node's name.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.node.name
    }

    /// The URL clients connect to.
    #[must_use]
    pub fn client_url(&self) -> String {
        format!("ws://{}{}", self.addresses.client, self.config().server.path)
    }

    /// The URL of the control API.
    #[must_use]
    pub fn api_url(&self) -> String {
        format!("http://{}", self.addresses.api)
    }

    /// The line that a script may wait for: name and URLs.
    #[must_use]
    pub fn ready_line(&self) -> String {
        format!("epush ready node={} ws={} api={}", self.node(), self.client_url(), self.api_url())
    }

    /// How many are online, as of the reactors' last turns.
    #[must_use]
    pub fn online(&self) -> Online {
        Online { sessions: self.node.gauges.sessions(), users: self.node.gauges.users() }
    }

    /// What the node tells its owner. Clones share the events: each is received once.
    #[must_use]
    pub fn events(&self) -> Receiver<Event> {
        self.events.clone()
    }

    /// Puts what can change while the node runs into force: keys, limits, rules. Returns which keys of the
    /// configuration changed, and which of them wait for a restart.
    ///
    /// The log level is the process's, not the engine's: whoever set up the log moves it.
    ///
    /// # Errors
    /// When the configuration is invalid, or what of it can change now does not fit what cannot, or a key file cannot be
    /// read; then nothing has changed.
    pub fn reload(&self, new: &Config) -> Result<Reload, ReloadError> {
        new.check().map_err(ReloadError::Config)?;
        let mut config = self.config();
        let reload = config.reloadable_difference(new);
        let in_force = config.reloaded(new);
        // Half of a change can be wrong where all of it is right: keys go at once, the listener they guard stays.
        in_force.check().map_err(ReloadError::Config)?;
        // Files first: what can fail must come before what cannot.
        let auth = Auth::load(&builder::auth_setup(&in_force.auth)).map_err(ReloadError::Auth)?;
        let keys = in_force.api.read_keys().map_err(ReloadError::ApiKeys)?;

        self.auth.store(Arc::new(auth));
        self.node.intake.set_bytes_max(in_force.limits.intake_bytes_max);
        self.notes.post(Note::Limits(builder::accept_limits(&in_force)));
        let settings = Arc::new(in_force.settings());
        for reactor in &self.node.reactors {
            reactor.post(Post::Mail(Mail::Settings(Arc::clone(&settings))));
        }
        let keys = keys.iter().map(|key| key.expose().into()).collect();
        self.node.reactors[0].post(Post::Change(Change::ApiKeys(keys)));
        if let Some(relay) = &self.node.relay {
            cluster::reload(relay, &in_force);
            let ready = in_force.cluster.ready_without_redis;
            self.node.reactors[0].post(Post::Change(Change::ReadyWithoutRedis(ready)));
        }
        *config = in_force;
        info!(applied = ?reload.applied, needs_restart = ?reload.needs_restart, "configuration read again");
        Ok(reload)
    }

    /// Starts ending: no new clients, `/readyz` says 503, sessions are closed with 1001 spread over this time.
    ///
    /// Returns when the cluster knows, or after a second at most. [`Event::Drained`] tells when the last client is gone;
    /// then [`Engine::stop`]. A drain that has begun goes on as it began.
    pub fn begin_drain(&self, over: Duration) {
        // First, so that who looks for a node to go to does not find one that sends everybody away.
        self.node.reactors[0].post(Post::Change(Change::Draining));
        let told = self.tell_cluster(NodeState::Draining);
        // Nothing is ever sent: the other end goes away.
        let _ = told.recv_timeout(TELL_AT_MOST);
        self.notes.post(Note::Drain { over_ms: u64::try_from(over.as_millis()).unwrap_or(u64::MAX) });
    }

    /// Ends gently: closes the sessions spread over this time, then stops.
    ///
    /// # Errors
    /// When clients were left that did not go in time; they are cut off. The node has stopped either way.
    pub fn drain(mut self, over: Duration) -> Result<(), DrainError> {
        self.begin_drain(over);
        let close_timeout = Duration::from_millis(self.config().sessions.close_timeout_ms);
        let gone = self.drained.recv_timeout(over.saturating_add(close_timeout).saturating_add(DRAIN_GRACE));
        let sessions_left = self.online().sessions;
        self.halt();
        gone.map_err(|_| DrainError { sessions_left })
    }

    /// Stops at once: what was accepted is offered to the sockets, every session is told goodbye with 1001, and none is
    /// waited for.
    ///
    /// Returns when the threads have ended, and with them all calls of the handler. Calls of webhooks have a second to end.
    pub fn stop(mut self) {
        self.halt();
    }

    fn halt(&mut self) {
        if self.threads.is_empty() && self.relay_threads.is_empty() {
            return;
        }
        self.node.stopped.store(true, Ordering::Release);
        // A socket that the acceptor hands to a reactor that has ended is closed by its mailbox.
        self.notes.post(Note::Stop);
        for reactor in &self.node.reactors {
            reactor.post(Post::Stop);
        }
        join(&mut self.threads);
        if let Some(relay) = &self.node.relay {
            cluster::stop(relay);
        }
        join(&mut self.relay_threads);
        self.webhooks.stop();
        info!("stopped");
    }

    /// What it returns ends when the other nodes can see it, or cannot be told.
    fn tell_cluster(&self, state: NodeState) -> Receiver<()> {
        let (told, waits) = crossbeam_channel::bounded(0);
        if let Some(relay) = &self.node.relay {
            relay.order(Order::State { state, told });
        }
        waits
    }

    fn config(&self) -> MutexGuard<'_, Config> {
        self.config.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for threads, but for the one that waits.
fn join(threads: &mut Vec<JoinHandle<()>>) {
    let here = thread::current().id();
    for thread in threads.drain(..).filter(|thread| thread.thread().id() != here) {
        // A thread that panicked has told so in its event.
        let _ = thread.join();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.halt();
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Engine").field("node", &self.node.name).field("addresses", &self.addresses).finish()
    }
}
