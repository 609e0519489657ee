//! Where a client sits: its sans-IO half, its socket, how far it is.

use super::socket::Socket;
use super::timeouts::Session;
use crate::client::Client;

/// A client of this worker, through all its sessions.
pub struct Seat {
    /// What it says and counts.
    pub client: Client,
    /// Which squad it belongs to.
    pub squad: u16,
    /// Invariant: there exactly when `stage` is not [`Stage::Idle`].
    pub socket: Option<Socket>,
    /// When the connection was due, monotonic nanoseconds.
    pub due_ns: u64,
    /// The next round of its activity it has to send for.
    pub round: u64,
    /// Sessions begun.
    pub sessions: u32,
    /// How far the session is.
    pub stage: Stage,
    /// How it reads.
    pub reading: Reading,
    /// Bytes may wait in the socket that were not looked at: a new edge will not tell again.
    pub unread: bool,
    /// It sends as answers allow, so somebody has to know when one arrives.
    pub answers_matter: bool,
    /// When it has left, it comes again.
    pub comes_again: bool,
}

/// How far a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// There is none.
    Idle,
    /// TCP.
    Dialling,
    /// TLS.
    Securing,
    /// WebSocket, and what the dialect asks for.
    Joining,
    /// Ready.
    Ready,
    /// It said goodbye, and waits for the server's.
    Leaving,
}

/// Whether what arrives is read now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// At once.
    Prompt,
    /// Not before it is told to go on.
    Stalled,
    /// So much at every turn it gets.
    Sips,
}

impl Seat {
    /// An empty seat.
    #[must_use]
    pub const fn new(client: Client, squad: u16) -> Self {
        Self {
            client,
            squad,
            socket: None,
            due_ns: 0,
            round: 0,
            sessions: 0,
            stage: Stage::Idle,
            reading: Reading::Prompt,
            unread: false,
            answers_matter: false,
            comes_again: false,
        }
    }

    /// Its present or last session, when it sits there.
    #[must_use]
    pub const fn session(&self, seat: usize) -> Session {
        Session { seat: seat as u32, number: self.sessions }
    }

    /// Whether a session was begun that is not ready yet.
    #[must_use]
    pub fn is_opening(&self) -> bool {
        (Stage::Dialling..=Stage::Joining).contains(&self.stage)
    }
}
