//! One connection of a publisher: its socket, what waits for it, and what happens when it breaks.
//!
//! Knows nothing of schedules: what it is given is due.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use rustix::event::PollFlags;

use super::desk::Desk;
use super::http::Verdict;
use super::ledger::Item;
use super::live::NEVER;
use super::queue::{Burst, Queue};
use super::socket::{Route, Socket};
use super::wire::Wire;

/// A connection of a publisher.
#[derive(Debug)]
pub struct Link {
    route: Arc<Route>,
    wire: Wire,
    state: State,
    queue: Queue,
    out: Vec<u8>,
    /// Bytes of `out` that the socket took.
    ///
    /// Invariant: below `out.len()`, or both are 0.
    sent: usize,
    /// Messages in `out` and where each ends there. Invariant: empty when `out` is.
    ends: Vec<(usize, Item)>,
    /// Why it broke, until it is open again: what is due meanwhile is not sent.
    broken: Option<String>,
    /// Connections in a row that came to nothing.
    attempts: u32,
}

#[derive(Debug)]
enum State {
    Down { retry_ns: u64 },
    Opening { socket: Socket, deadline_ns: u64 },
    Up { socket: Socket },
}

impl Link {
    /// Not open yet; the first [`Self::turn`] begins to connect.
    #[must_use]
    pub fn new(route: Arc<Route>, wire: Wire) -> Self {
        Self {
            route,
            wire,
            state: State::Down { retry_ns: 0 },
            queue: Queue::default(),
            out: Vec::new(),
            sent: 0,
            ends: Vec::new(),
            broken: None,
            attempts: 0,
        }
    }

    /// It can publish.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        matches!(self.state, State::Up { .. }) && self.wire.is_ready()
    }

    /// It can publish, and nothing waits for the server to take it.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.is_ready() && self.queue.is_empty() && self.out.is_empty() && self.wire.room() > 0
    }

    /// Nothing waits to be written or answered, and where the protocol has a goodbye, the server answered it.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let has_left = !self.wire.has_goodbye() || !matches!(self.state, State::Up { .. });
        self.is_written() && self.wire.under_way() == 0 && has_left
    }

    fn is_written(&self) -> bool {
        self.queue.is_empty() && self.ends.is_empty()
    }

    /// Nothing more will be due: says goodbye when all is written.
    ///
    /// A socket that is just closed takes with it what the server has not read yet, once anything unread is in it.
    pub fn leave(&mut self) {
        if self.is_ready() && self.is_written() {
            self.wire.leave(&mut self.out);
        }
    }

    /// Bytes that wait, where each message in the queue has so many.
    #[must_use]
    pub fn backlog_bytes(&self, payload_bytes: usize) -> u64 {
        (self.out.len() - self.sent) as u64 + self.queue.messages() * payload_bytes as u64
    }

    /// What to wait for.
    #[must_use]
    pub fn interest(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        match &self.state {
            State::Down { .. } => None,
            State::Opening { socket, .. } => Some((socket.as_fd(), PollFlags::OUT)),
            State::Up { socket } => Some((socket.as_fd(), socket.interest(!self.out.is_empty()))),
        }
    }

    /// Takes messages that are due. What cannot be sent because the connection is broken is counted so.
    pub fn push(&mut self, burst: Burst, desk: &mut Desk) {
        let (refused, why) = match (&self.broken, self.queue.push(burst)) {
            (_, Err(burst)) => (burst, "too many wait for the server"),
            (None, Ok(())) => return,
            (Some(_), Ok(())) => return self.refuse_queue(desk),
        };
        (0..u64::from(refused.count)).for_each(|at| desk.refuse(refused.stream, refused.seq + at, NOT_SENT, why));
    }

    /// Does what can be done now without waiting.
    pub fn turn(&mut self, ready: PollFlags, desk: &mut Desk) {
        match &self.state {
            State::Down { retry_ns } if desk.now_ns >= *retry_ns => self.connect(desk),
            State::Down { .. } => {}
            State::Opening { deadline_ns, .. } if desk.now_ns >= *deadline_ns => {
                self.break_off("connect timed out", desk);
            }
            State::Opening { .. } if ready.is_empty() => {}
            State::Opening { .. } => self.opened(desk),
            State::Up { .. } => self.work(ready, desk),
        }
    }

    /// Publishing is over: what waits is not sent, what is not answered stays so.
    pub fn give_up(&mut self, desk: &mut Desk) {
        self.abandon("the run ended before", desk);
        self.refuse_queue(desk);
    }

    // --- opening -------------------------------------------------------------

    fn connect(&mut self, desk: &mut Desk) {
        match Socket::connect(&self.route) {
            Ok(socket) => {
                self.state = State::Opening { socket, deadline_ns: desk.now_ns + desk.connect_timeout_ns };
            }
            Err(error) => self.break_off(&words(&error), desk),
        }
    }

    fn opened(&mut self, desk: &mut Desk) {
        let down = State::Down { retry_ns: desk.now_ns };
        let State::Opening { socket, deadline_ns } = std::mem::replace(&mut self.state, down) else { return };
        match socket.connected() {
            Err(error) => self.break_off(&words(&error), desk),
            Ok(false) => self.state = State::Opening { socket, deadline_ns },
            Ok(true) => {
                self.state = State::Up { socket };
                self.wire.opened(&mut self.out, desk);
                self.settled_in();
                self.work(PollFlags::empty(), desk);
            }
        }
    }

    /// What is due from now on is sent; the wait for the next attempt is short again.
    fn settled_in(&mut self) {
        if self.is_ready() {
            (self.broken, self.attempts) = (None, 0);
        }
    }

    // --- working -------------------------------------------------------------

    fn work(&mut self, ready: PollFlags, desk: &mut Desk) {
        let wants_read = ready.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR);
        let read = if wants_read { self.read(desk) } else { Ok(Verdict::Stays) };
        let verdict = match read {
            Ok(Verdict::Stays) => self.write(desk).map(|()| Verdict::Stays),
            other => other,
        };
        match verdict {
            Ok(Verdict::Stays) => {}
            Ok(Verdict::Renew) => self.renew(desk),
            Ok(Verdict::Broken(words)) => self.break_off(&words, desk),
            Err(error) => self.break_off(&words(&error), desk),
        }
    }

    fn read(&mut self, desk: &mut Desk) -> io::Result<Verdict> {
        let State::Up { socket } = &mut self.state else { return Ok(Verdict::Stays) };
        for _ in 0..READS_PER_TURN {
            let verdict = match socket.read(&mut desk.buffer)? {
                None => break,
                Some(0) => self.wire.closed(desk),
                Some(len) => self.wire.receive(len, &mut self.out, desk),
            };
            if verdict != Verdict::Stays {
                return Ok(verdict);
            }
        }
        self.settled_in();
        Ok(Verdict::Stays)
    }

    /// Writes until the socket is full or nothing is left. All that is due goes into one write.
    fn write(&mut self, desk: &mut Desk) -> io::Result<()> {
        loop {
            if self.ends.is_empty() {
                self.compose(desk);
            }
            let State::Up { socket } = &mut self.state else { return Ok(()) };
            if self.out.is_empty() {
                return socket.flush();
            }
            self.sent += socket.write(&self.out[self.sent..])?;
            if self.sent < self.out.len() {
                return self.bounded();
            }
            self.out.clear();
            self.ends.clear();
            self.sent = 0;
        }
    }

    /// Messages are written into `out` only while it is empty; answers to a server that pings and does not read are not.
    fn bounded(&self) -> io::Result<()> {
        if self.out.len() - self.sent <= OUT_BYTES_MAX {
            return Ok(());
        }
        Err(io::Error::other("the server stopped reading"))
    }

    /// Writes messages that are due into `out`: whole bursts, until that is enough for one write.
    fn compose(&mut self, desk: &mut Desk) {
        let mut whole = true;
        while self.wire.room() > 0 && !(whole && self.out.len() >= WRITE_BYTES) {
            let Some((item, last)) = self.queue.pop() else { return };
            whole = last;
            self.wire.compose(item, &mut self.out, desk);
            self.ends.push((self.out.len(), item));
        }
    }

    // --- ending --------------------------------------------------------------

    /// The server ended the connection as it may: what it has not looked at goes over the next one.
    fn renew(&mut self, desk: &mut Desk) {
        for item in self.wire.take_under_way().into_iter().rev() {
            self.queue.put_back(item);
        }
        self.clear_output();
        self.connect(desk);
    }

    fn break_off(&mut self, why: &str, desk: &mut Desk) {
        if self.wire.is_leaving() {
            self.clear_output();
            self.state = State::Down { retry_ns: NEVER };
            return;
        }
        desk.ledger.fail(&format!("publisher's connection: {why}"), &self.route.address.to_string());
        self.abandon(why, desk);
        self.broken = Some(why.to_owned());
        self.refuse_queue(desk);
        let wait_ns = (BACK_OFF_NS << self.attempts.min(6)).min(BACK_OFF_NS_MAX);
        self.attempts += 1;
        self.state = State::Down { retry_ns: desk.now_ns + wait_ns };
    }

    /// What was begun and not finished: never answered, or not written to its end.
    fn abandon(&mut self, why: &str, desk: &mut Desk) {
        let unanswered = self.wire.take_under_way();
        let has_answers = self.wire.has_answers();
        unanswered.iter().for_each(|item| desk.refuse(item.stream, item.seq, UNANSWERED, why));
        if !has_answers {
            let unsent = self.ends.iter().filter(|(end, _)| *end > self.sent);
            unsent.for_each(|(_, item)| desk.refuse(item.stream, item.seq, NOT_SENT, why));
        }
        self.clear_output();
    }

    fn refuse_queue(&mut self, desk: &mut Desk) {
        let why = self.broken.as_deref().unwrap_or("the server took no more until the end");
        while let Some((item, _)) = self.queue.pop() {
            desk.refuse(item.stream, item.seq, NOT_SENT, why);
        }
    }

    fn clear_output(&mut self) {
        self.out.clear();
        self.ends.clear();
        self.sent = 0;
    }
}

fn words(error: &io::Error) -> String {
    crate::error::words(error)
}

const NOT_SENT: &str = "publication not sent";

const UNANSWERED: &str = "publication never answered";

/// Enough for one `send` to be worth its price; bursts are never cut.
const WRITE_BYTES: usize = 256 << 10;

/// Bytes that may wait for the socket: a write's worth of the largest messages, and room for what the server asks meanwhile.
const OUT_BYTES_MAX: usize = 64 << 20;

/// Bounds how long a server that sends without end (everything it publishes comes here, too) keeps others waiting.
const READS_PER_TURN: usize = 16;

/// First wait after a connection broke; doubled each time.
const BACK_OFF_NS: u64 = 20_000_000;

/// Longest wait between two attempts.
const BACK_OFF_NS_MAX: u64 = 1_000_000_000;
