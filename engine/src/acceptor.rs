//! The main reactor: accepts sockets, refuses those over a limit, and hands the others to the sub-reactors.
//!
//! Owns the listeners, the account of who is connected ([`Admission`]) and the choice of a shard ([`Placement`]).
//! Knows nothing of what is said on a connection.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use epush_core::close::CloseReason;
use epush_core::id::{ConnId, ShardId};
use epush_core::mail::Mail;
use epush_core::network::Network;
use epush_core::shard::Door;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use tracing::{debug, info, warn};

use crate::admission::{AcceptLimits, Admission, Over};
use crate::clock::Clock;
use crate::gauges::NodeGauges;
use crate::logging::{Kind, Throttle};
use crate::mailbox::{Inbox, Mailbox};
use crate::placement::Placement;
use crate::process;
use crate::reactor::Post;
use crate::sys;

/// What the other threads tell the acceptor.
#[derive(Debug)]
pub enum Note {
    /// A connection is gone.
    Closed {
        /// The listener it came through.
        door: Door,
        /// The shard it was handed to.
        shard: ShardId,
        /// The address it was counted under.
        ip: IpAddr,
    },
    /// A proxy's connection turned out to be a client's.
    Behind {
        /// The shard it was handed to.
        shard: ShardId,
        /// Its name there.
        conn: ConnId,
        /// The address it was counted under until now.
        before: IpAddr,
        /// The client's.
        client: IpAddr,
    },
    /// New limits.
    Limits(AcceptLimits),
    /// Close the client listener, then have the shards close their sessions over this time.
    Drain {
        /// The time, in ms.
        over_ms: u64,
    },
    /// End.
    Stop,
}

/// What an acceptor is made of.
pub struct AcceptorSetup {
    /// The poll its inbox wakes with [`WAKE`].
    pub poll: Poll,
    /// Where the others' notes arrive.
    pub inbox: Inbox<Note>,
    /// The listener for clients.
    pub client: TcpListener,
    /// The listener for the control API.
    pub api: TcpListener,
    /// The limits.
    pub limits: AcceptLimits,
    /// Peers that are proxies: fixed for the life of the node, so that every leaver is found where it was counted.
    pub trusted: Vec<Network>,
    /// The sub-reactors, by shard.
    pub reactors: Vec<Mailbox<Post>>,
    /// Where accepts are counted.
    pub gauges: Arc<NodeGauges>,
    /// The node's clock.
    pub clock: Clock,
}

/// The token of the acceptor's waker.
pub const WAKE: Token = Token(usize::MAX);
const CLIENT: Token = Token(0);
const API: Token = Token(1);

/// Sockets accepted from one listener in a turn: bounds how long notes and the other listener wait.
const ACCEPTS_PER_TURN: usize = 256;

/// Notes handled in a turn: bounds how long a mass disconnect keeps newcomers waiting.
const NOTES_PER_TURN: usize = 4_096;

/// Pause after running out of descriptors or memory: something has to be closed first, and trying is not free.
const PAUSE_US: u64 = 100_000;

/// How often the process's own numbers are read: more often than anybody scrapes, yet next to nothing for an idle node,
/// and little where the kernel has descriptors counted one by one.
const OBSERVE_EVERY_US: u64 = 5_000_000;

const BUSY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const TOO_MANY: &[u8] =
    b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 30\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// The main reactor.
pub struct Acceptor {
    poll: Poll,
    inbox: Inbox<Note>,
    client: Option<Gate<TcpListener>>,
    api: Option<Gate<TcpListener>>,
    desk: Desk,
    observe_at_us: u64,
}

/// A listener, and what is known of its backlog.
struct Gate<L> {
    door: Door,
    listener: L,
    /// Whether connections may wait: edges tell of new ones only, so a turn that stops early must remember.
    waiting: bool,
    /// Not to be tried before.
    pause_until_us: u64,
}

/// Everything an accept needs but the listener.
struct Desk {
    admission: Admission,
    placement: Placement,
    spare: Spare,
    reactors: Vec<Mailbox<Post>>,
    gauges: Arc<NodeGauges>,
    clock: Clock,
    throttle: Throttle,
}

/// What is accepted from; a test's fails on demand.
trait Listen {
    fn accept(&self) -> io::Result<(TcpStream, SocketAddr)>;
}

impl Listen for TcpListener {
    fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        Self::accept(self)
    }
}

impl Acceptor {
    /// Registers the listeners.
    ///
    /// # Errors
    /// When the poll refuses them.
    pub fn new(setup: AcceptorSetup) -> io::Result<Self> {
        let AcceptorSetup { poll, inbox, mut client, mut api, .. } = setup;
        poll.registry().register(&mut client, CLIENT, Interest::READABLE)?;
        poll.registry().register(&mut api, API, Interest::READABLE)?;
        let desk = Desk {
            admission: Admission::new(setup.limits, setup.trusted),
            placement: Placement::new(setup.reactors.len() as u16),
            spare: Spare::new(),
            reactors: setup.reactors,
            gauges: setup.gauges,
            clock: setup.clock,
            throttle: Throttle::default(),
        };
        let (client, api) = (Gate::new(Door::Client, client), Gate::new(Door::Api, api));
        Ok(Self { poll, inbox, client: Some(client), api: Some(api), desk, observe_at_us: 0 })
    }

    /// Runs until [`Note::Stop`].
    ///
    /// # Errors
    /// When polling fails, which it does not on a poll that is open.
    pub fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(64);
        loop {
            let patience = self.patience();
            match self.poll.poll(&mut events, patience) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for event in &events {
                self.mark(event.token());
            }
            // Notes before accepts: a slot that was freed can be given again in the same turn.
            if self.read_notes() == Flow::Stop {
                return Ok(());
            }
            for gate in [&mut self.client, &mut self.api].into_iter().flatten() {
                self.desk.accept_turn(gate);
            }
            self.observe();
        }
    }

    fn patience(&self) -> Option<Duration> {
        if !self.inbox.is_empty() {
            return Some(Duration::ZERO);
        }
        let due = |gate: &Gate<TcpListener>| gate.waiting.then_some(gate.pause_until_us);
        let gates = [&self.client, &self.api].into_iter().flatten().filter_map(due);
        let next_us = gates.chain([self.observe_at_us]).min()?;
        Some(Duration::from_micros(next_us.saturating_sub(self.desk.clock.monotonic_us())))
    }

    fn mark(&mut self, token: Token) {
        let gate = match token {
            CLIENT => &mut self.client,
            API => &mut self.api,
            _ => return,
        };
        if let Some(gate) = gate {
            gate.waiting = true;
        }
    }

    fn read_notes(&mut self) -> Flow {
        self.inbox.open();
        for _ in 0..NOTES_PER_TURN {
            match self.inbox.take() {
                None => break,
                Some(Note::Stop) => return Flow::Stop,
                Some(Note::Drain { over_ms }) => self.drain(over_ms),
                Some(note) => self.desk.read_note(note),
            }
        }
        Flow::Go
    }

    fn drain(&mut self, over_ms: u64) {
        // Once: a shard that is drained and told again would report itself in another's place.
        let Some(mut gate) = self.client.take() else { return };
        // Closing the listener removes it from the poll as well; an error here could not change anything.
        let _ = self.poll.registry().deregister(&mut gate.listener);
        drop(gate);
        info!(connections = self.desk.admission.clients(), over_ms, "draining: no new clients");
        // From here and not from whoever drains: sockets handed over before stand before this in every mailbox.
        for reactor in &self.desk.reactors {
            reactor.post(Post::Mail(Mail::Drain { over_ms }));
        }
    }

    fn observe(&mut self) {
        let now_us = self.desk.clock.monotonic_us();
        if now_us >= self.observe_at_us {
            self.observe_at_us = now_us + OBSERVE_EVERY_US;
            process::observe(&self.desk.gauges);
        }
    }
}

/// Whether a loop goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Flow {
    Go,
    Stop,
}

impl<L> Gate<L> {
    fn new(door: Door, listener: L) -> Self {
        // Connections may have come between listen and registration.
        Self { door, listener, waiting: true, pause_until_us: 0 }
    }
}

impl Desk {
    /// Accepts until the backlog is empty, the turn's share is used up, or accepting has to pause.
    fn accept_turn<L: Listen>(&mut self, gate: &mut Gate<L>) {
        if !gate.waiting {
            return;
        }
        let now_us = self.clock.monotonic_us();
        if now_us < gate.pause_until_us {
            return;
        }
        for _ in 0..ACCEPTS_PER_TURN {
            if gate.door == Door::Client
                && let Err(wait_us) = self.admission.pace(now_us)
            {
                gate.pause_until_us = now_us + wait_us;
                return;
            }
            match gate.listener.accept() {
                Ok((stream, peer)) => {
                    if gate.door == Door::Client {
                        self.admission.spend(now_us);
                    }
                    self.admit(gate.door, stream, peer);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    gate.waiting = false;
                    return;
                }
                Err(error) => {
                    if self.accept_failed(&gate.listener, &error) == Flow::Stop {
                        gate.pause_until_us = now_us + PAUSE_US;
                        return;
                    }
                }
            }
        }
    }

    fn admit(&mut self, door: Door, stream: TcpStream, peer: SocketAddr) {
        let admitted = match door {
            Door::Client => self.admission.enter(peer.ip()),
            Door::Api => self.admission.enter_api(),
        };
        if let Err(over) = admitted {
            return self.refuse(stream, peer, over);
        }
        self.gauges.accepted.fetch_add(1, Relaxed);
        // The API's memory (idempotency keys, schedules) lives on the first reactor, and so do its connections.
        let shard = if door == Door::Api { ShardId(0) } else { self.placement.fewest() };
        self.placement.handed_over(shard);
        self.reactors[usize::from(shard.0)].post(Post::Adopt { stream, peer, door });
    }

    fn refuse(&mut self, stream: TcpStream, peer: SocketAddr, over: Over) {
        let (counter, limit, response) = match over {
            Over::Connections => (&self.gauges.refused_connections, "limits.connections", BUSY),
            Over::PerIp => (&self.gauges.refused_per_ip, "limits.connections_per_ip", TOO_MANY),
            Over::Api => (&self.gauges.refused_api, "limits.api_connections", BUSY),
        };
        counter.fetch_add(1, Relaxed);
        if self.throttle.admit(Kind::Refused, self.clock.monotonic_us()) {
            warn!(%peer, limit, "connection refused");
        }
        turn_away(stream, response);
    }

    /// What to do about a failed accept: go on with the next connection, or stop for a while.
    fn accept_failed<L: Listen>(&mut self, listener: &L, error: &io::Error) -> Flow {
        if sys::is_of_one_connection(error) {
            debug!(%error, "a connection ended before it was accepted");
            return Flow::Go;
        }
        // Descriptors, memory, or something nobody foresaw: whatever it is, the next call would meet it too.
        self.gauges.accept_errors.fetch_add(1, Relaxed);
        if self.throttle.admit(Kind::Accept, self.clock.monotonic_us()) {
            warn!(%error, "cannot accept: pausing");
        }
        if sys::is_out_of_descriptors(error) {
            // One is told, so that it does not wait in the backlog for a server that cannot take it.
            if self.spare.give()
                && let Ok((stream, _)) = listener.accept()
            {
                turn_away(stream, BUSY);
            }
            self.spare.take_back();
        }
        Flow::Stop
    }

    fn read_note(&mut self, note: Note) {
        match note {
            Note::Closed { door, shard, ip } => {
                self.placement.closed(shard);
                match door {
                    Door::Client => self.admission.leave(ip),
                    Door::Api => self.admission.leave_api(),
                }
            }
            Note::Behind { shard, conn, before, client } => {
                if !self.admission.behind(before, client) {
                    self.gauges.refused_per_ip.fetch_add(1, Relaxed);
                    let close = Mail::Close { conn, reason: CloseReason::RateLimited };
                    self.reactors[usize::from(shard.0)].post(Post::Mail(close));
                }
            }
            Note::Limits(limits) => self.admission.set_limits(limits),
            Note::Drain { .. } | Note::Stop => {}
        }
    }
}

/// Says why and closes. Best effort: a peer that is refused must not cost more than this.
fn turn_away(mut stream: TcpStream, response: &[u8]) {
    let _ = stream.write(response);
    // Closing over unread bytes would reset the connection and could take the response with it.
    let _ = stream.read(&mut [0; 1_024]);
}

/// A descriptor kept for the moment when there is no other.
struct Spare(Option<File>);

impl Spare {
    fn new() -> Self {
        Self(File::open("/dev/null").ok())
    }

    /// Frees the descriptor, if it is there.
    fn give(&mut self) -> bool {
        self.0.take().is_some()
    }

    /// Another thread may have been quicker; then the next shortage turns nobody away, and tries this again.
    fn take_back(&mut self) {
        self.0 = File::open("/dev/null").ok();
    }
}

#[cfg(test)]
mod tests;
