//! One connection of a publisher: its socket, what waits for it, and what happens when it breaks.
//!
//! Knows nothing of schedules: what it is given is due.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use rustix::event::PollFlags;

use super::desk::Desk;
use super::http::Verdict;
use super::live::NEVER;
use super::output::Output;
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
    output: Output,
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
            output: Output::default(),
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
        self.is_ready() && self.queue.is_empty() && self.output.is_empty() && self.wire.room() > 0
    }

    /// Nothing waits to be written or answered, and where the protocol has a goodbye, the server answered it.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let has_left = !self.wire.has_goodbye() || !matches!(self.state, State::Up { .. });
        self.is_written() && self.wire.under_way() == 0 && has_left
    }

    fn is_written(&self) -> bool {
        self.queue.is_empty() && !self.output.has_messages()
    }

    /// Nothing more will be due: says goodbye when all is written.
    ///
    /// A socket that is just closed takes with it what the server has not read yet, once anything unread is in it.
    pub fn leave(&mut self) {
        if self.is_ready() && self.is_written() {
            self.wire.leave(self.output.bytes());
        }
    }

    /// Bytes that wait, where each message in the queue has so many.
    #[must_use]
    pub fn backlog_bytes(&self, payload_bytes: usize) -> u64 {
        self.output.rest().len() as u64 + self.queue.messages() * payload_bytes as u64
    }

    /// What to wait for.
    #[must_use]
    pub fn interest(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        match &self.state {
            State::Down { .. } => None,
            State::Opening { socket, .. } => Some((socket.as_fd(), PollFlags::OUT)),
            State::Up { socket } => Some((socket.as_fd(), socket.interest(!self.output.is_empty()))),
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
                self.wire.opened(self.output.bytes(), desk);
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
        self.wire.keep_alive(self.output.bytes(), desk);
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
                Some(len) => self.wire.receive(len, self.output.bytes(), desk),
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
            if !self.output.has_messages() {
                self.compose(desk);
            }
            let State::Up { socket } = &mut self.state else { return Ok(()) };
            if self.output.is_empty() {
                return socket.flush();
            }
            let taken = socket.write(self.output.rest())?;
            if !self.output.sent(taken) {
                return self.output.bounded();
            }
        }
    }

    /// Writes messages that are due into the output: whole bursts, until that is enough for one write.
    fn compose(&mut self, desk: &mut Desk) {
        let mut whole = true;
        while self.wire.room() > 0 && !(whole && self.output.is_a_write()) {
            let Some((item, last)) = self.queue.pop() else { return };
            whole = last;
            self.wire.compose(item, self.output.bytes(), desk);
            self.output.ends_message(item);
        }
    }

    // --- ending --------------------------------------------------------------

    /// The server ended the connection as it may: what it has not looked at goes over the next one.
    fn renew(&mut self, desk: &mut Desk) {
        for item in self.wire.take_under_way().into_iter().rev() {
            self.queue.put_back(item);
        }
        self.output.clear();
        self.connect(desk);
    }

    fn break_off(&mut self, why: &str, desk: &mut Desk) {
        if self.wire.is_leaving() {
            self.output.clear();
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
            self.output.unsent().for_each(|item| desk.refuse(item.stream, item.seq, NOT_SENT, why));
        }
        self.output.clear();
    }

    fn refuse_queue(&mut self, desk: &mut Desk) {
        let why = self.broken.as_deref().unwrap_or("the server took no more until the end");
        while let Some((item, _)) = self.queue.pop() {
            desk.refuse(item.stream, item.seq, NOT_SENT, why);
        }
    }
}

fn words(error: &io::Error) -> String {
    crate::error::words(error)
}

const NOT_SENT: &str = "publication not sent";

const UNANSWERED: &str = "publication never answered";

/// Bounds how long a server that sends without end (everything it publishes comes here, too) keeps others waiting.
const READS_PER_TURN: usize = 16;

/// First wait after a connection broke; doubled each time.
const BACK_OFF_NS: u64 = 20_000_000;

/// Longest wait between two attempts.
const BACK_OFF_NS_MAX: u64 = 1_000_000_000;
