//! A worker's loop.

mod duties;
mod phases;
mod reports;

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TryRecvError};
use mio::{Events, Poll, Token};

use super::Share;
use super::agenda::Agenda;
use super::alarm::Alarm;
use super::fleet::{Change, Fleet};
use super::opening::Opening;
use super::progress::Pulse;
use super::route::Route;
use super::seat::Seat;
use super::sender::Sending;
use super::squad::Squad;
use crate::client::Client;
use crate::clock::now_ns;
use crate::plan::Plan;
use crate::talk::{Order, Remaining, Report};
use phases::Steady;

/// Of the waker.
pub const WAKER: Token = Token(usize::MAX);

/// Of the alarm.
const ALARM: Token = Token(usize::MAX - 1);

/// Sockets told of at once: more make a system call cheaper for each, and let timers wait longer.
const EVENTS_PER_TURN: usize = 1_024;

/// A worker.
pub struct Run {
    share: Share,
    plan: Arc<Plan>,
    poll: Poll,
    events: Events,
    alarm: Alarm,
    orders: Receiver<Order>,
    reports: Sender<(u32, Report)>,
    /// Shared with publishers.
    delivered: Arc<AtomicU64>,
    /// What of it is from here.
    delivered_told: u64,
    fleet: Fleet,
    squads: Vec<Squad>,
    agenda: Agenda,
    opening: Opening,
    pulse: Pulse,
    steady: Option<Steady>,
    /// Who was there when it ended.
    remaining: Remaining,
    /// The steady phase was ordered, whether or not it is over.
    is_planned: bool,
    /// Publishing is over.
    is_published: bool,
    /// Everybody leaves.
    is_finishing: bool,
    changes: Vec<Change>,
}

/// Whether the loop goes on.
#[derive(PartialEq)]
enum Turned {
    On,
    Over,
}

impl Run {
    /// Everything a worker needs, and nobody connected.
    ///
    /// # Errors
    /// When the system has no descriptor for the alarm.
    pub fn new(
        plan: Arc<Plan>,
        share: Share,
        route: Route,
        poll: Poll,
        orders: Receiver<Order>,
        reports: Sender<(u32, Report)>,
        delivered: Arc<AtomicU64>,
    ) -> io::Result<Self> {
        let mut fleet = Fleet::new(Arc::clone(&plan), route, poll.registry().try_clone()?);
        let squads = seat_all(&plan, share, &mut fleet);
        Ok(Self {
            share,
            plan,
            events: Events::with_capacity(EVENTS_PER_TURN),
            alarm: Alarm::new(poll.registry(), ALARM)?,
            poll,
            orders,
            reports,
            delivered,
            delivered_told: 0,
            fleet,
            squads,
            agenda: Agenda::default(),
            opening: Opening::default(),
            pulse: Pulse::new(now_ns()),
            steady: None,
            remaining: Remaining::default(),
            is_planned: false,
            is_published: false,
            is_finishing: false,
            changes: Vec::new(),
        })
    }

    /// Runs until it has reported for the last time, or nobody gives orders any more.
    pub fn run(mut self) {
        loop {
            match self.turn() {
                Ok(Turned::On) => {}
                Ok(Turned::Over) => return,
                Err(error) => {
                    self.report(Report::Failed(format!("worker {}: {error}", self.share.worker)));
                    return;
                }
            }
        }
    }

    /// One turn of the loop.
    fn turn(&mut self) -> io::Result<Turned> {
        // 1. Sleep until a socket, an order or the time has something to say.
        self.sleep()?;
        // 2. Orders before sockets: what a phase counts begins with its order.
        if self.obey() == Turned::Over {
            return Ok(Turned::Over);
        }
        // 3. Sockets.
        self.serve();
        // 4. Sockets with more than a turn's share, and broken ones.
        self.fleet.catch_up();
        // 5. What is due. After reading: an answer that is already here makes room for the next message.
        let now_ns = now_ns();
        self.fleet.expire(now_ns);
        self.mark_phases(now_ns);
        self.opening.go_on(&mut self.fleet, now_ns);
        self.do_what_is_due(now_ns);
        // 6. What follows from all that.
        self.follow(now_ns);
        // 7. Tell.
        self.tell(now_ns);
        // 8. Over, when everybody has left.
        if self.is_finishing && self.fleet.open == 0 && self.agenda.next_ns() == u64::MAX {
            self.give_tally();
            return Ok(Turned::Over);
        }
        Ok(Turned::On)
    }

    fn sleep(&mut self) -> io::Result<()> {
        let next_ns = self.agenda.next_ns().min(self.fleet.next_ns()).min(self.pulse.next_ns());
        let next_ns = next_ns.min(self.opening.next_ns(&self.fleet)).min(self.next_phase_ns());
        let is_due = self.fleet.has_more() || next_ns <= now_ns();
        if !is_due {
            self.alarm.set(next_ns)?;
        }
        match self.poll.poll(&mut self.events, is_due.then_some(Duration::ZERO)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }

    fn serve(&mut self) {
        for event in &self.events {
            match event.token() {
                WAKER => {}
                ALARM => self.alarm.rang(),
                Token(at) => self.fleet.on_event(at, event),
            }
        }
    }

    // --- orders ----------------------------------------------------------------

    fn obey(&mut self) -> Turned {
        loop {
            match self.orders.try_recv() {
                Ok(Order::Connect { at_ns }) => self.connect(at_ns),
                Ok(Order::Steady { from_ns, until_ns }) => self.steady(from_ns, until_ns),
                Ok(Order::Published { counts, refused }) => self.published(counts, refused),
                Ok(Order::Finish { until_ns }) => self.finish(until_ns),
                Err(TryRecvError::Empty) => return Turned::On,
                Err(TryRecvError::Disconnected) => return Turned::Over,
            }
        }
    }
}

/// Gives every client of a worker its seat.
fn seat_all(plan: &Plan, share: Share, fleet: &mut Fleet) -> Vec<Squad> {
    let mut squads = Vec::with_capacity(plan.groups.len());
    let mut first_seat = 0;
    for (index, range) in plan.groups.iter().enumerate() {
        let squad = Squad::new(index, range.end - range.start, share, first_seat);
        first_seat = squad.seats.end;
        squads.push(squad);
    }
    fleet.seats.reserve_exact(first_seat);
    for (index, squad) in squads.iter().enumerate() {
        let answers_matter = Sending::of(&plan.scenario.groups[squad.group].activity).answers_matter();
        for place in 0..squad.seats.len() {
            let number = plan.groups[squad.group].start + squad.position(place);
            let mut seat = Seat::new(Client::new(number), index as u16);
            seat.answers_matter = answers_matter;
            fleet.seats.push(seat);
        }
    }
    squads
}
