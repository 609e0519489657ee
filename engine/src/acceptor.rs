//! The main reactor: accepts sockets, refuses those over a limit, and hands the others to the sub-reactors.
//!
//! Owns the listeners, the account of who is connected ([`Admission`]) and the choice of a shard ([`Placement`]).
//! Knows nothing of what is said on a connection.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use epush_core::id::{ConnId, ShardId};
use epush_core::mail::Mail;
use epush_core::network::Network;
use epush_core::shard::Door;
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};
use tracing::info;

use crate::admission::{AcceptLimits, Admission};
use crate::clock::Clock;
use crate::gauges::NodeGauges;
use crate::logging::Throttle;
use crate::mailbox::{Inbox, Mailbox};
use crate::placement::Placement;
use crate::process;
use crate::reactor::Post;
use desk::{Desk, Gate};
use spare::Spare;

mod desk;
mod spare;

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

/// Notes handled in a turn: bounds how long a mass disconnect keeps newcomers waiting.
const NOTES_PER_TURN: usize = 4_096;

/// How long it rests after a crowd came, so that those who come meanwhile share one wake-up, of it and of a reactor: threads
/// that wake each other were a third of what a connection of a storm cost (`bench/compare --work storm`, with and without).
/// A connection of a crowd waits so much longer, and so does a caller of the API who connects in the middle of one; a backlog
/// gets a hundred connections where 200 000 come in a second.
const CROWD_REST: Duration = Duration::from_micros(500);

/// How often the process's own numbers are read: more often than anybody scrapes, yet next to nothing for an idle node,
/// and little where the kernel has descriptors counted one by one.
const OBSERVE_EVERY_US: u64 = 5_000_000;

/// The main reactor.
pub struct Acceptor {
    poll: Poll,
    inbox: Inbox<Note>,
    client: Option<Gate<TcpListener>>,
    api: Option<Gate<TcpListener>>,
    desk: Desk,
    observe_at_us: u64,
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
            let mut crowded = false;
            for gate in [&mut self.client, &mut self.api].into_iter().flatten() {
                let came = self.desk.accept_turn(gate);
                crowded |= gate.is_crowded(came);
            }
            self.observe();
            if crowded {
                // Asleep rather than in the poll, which every one of them would end.
                thread::sleep(CROWD_REST);
            }
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

#[cfg(test)]
mod tests;
