//! What clients send by themselves: echo and peer, on schedule or as answers come.

use super::agenda::{Agenda, Job};
use super::fleet::Fleet;
use super::pacer::Due;
use super::seat::Stage;
use crate::scenario::Activity;

/// How the clients of a group send.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sending {
    /// Not at all.
    Never,
    /// Whenever fewer than so many are unanswered.
    Answered {
        /// Messages under way at a time.
        in_flight: u32,
    },
    /// On a schedule; one that is due while so many are unanswered waits, and keeps its due time.
    Scheduled {
        /// Between two of a client, nanoseconds.
        period_ns: f64,
        /// Messages under way at a time; 0: any number.
        in_flight: u32,
    },
}

impl Sending {
    /// How an activity sends.
    #[must_use]
    pub fn of(activity: &Activity) -> Self {
        match *activity {
            Activity::Echo { rate_per_s, in_flight, .. } if rate_per_s > 0.0 => {
                Self::Scheduled { period_ns: 1e9 / rate_per_s, in_flight }
            }
            Activity::Echo { in_flight, .. } => Self::Answered { in_flight: in_flight.max(1) },
            Activity::Peer { rate_per_s, .. } if rate_per_s > 0.0 => {
                Self::Scheduled { period_ns: 1e9 / rate_per_s, in_flight: 0 }
            }
            _ => Self::Never,
        }
    }

    /// Whether an answer may let the next one go.
    #[must_use]
    pub const fn answers_matter(self) -> bool {
        match self {
            Self::Never => false,
            Self::Answered { .. } => true,
            Self::Scheduled { in_flight, .. } => in_flight > 0,
        }
    }

    /// A client's turn has come: sends, unless the client waits for answers, or is not there.
    pub fn on_due(self, due: Due, fleet: &mut Fleet) {
        // Who has to wait with an earlier one has to wait with this one, too.
        if fleet.seats[due.seat].round != due.round {
            return;
        }
        if fleet.seats[due.seat].stage != Stage::Ready {
            // Who is not connected sends nothing; when it comes it begins with what is due then.
            fleet.seats[due.seat].round += 1;
        } else if self.may_send(due.seat, fleet) {
            fleet.seats[due.seat].round += 1;
            fleet.send(due.seat, due.at_ns);
        }
    }

    /// A client's session is over, or all are: what was due and waited for answers will not be sent.
    pub fn give_up(at: usize, fleet: &mut Fleet, agenda: &Agenda, now_ns: u64) {
        let Some(pacer) = agenda.pacer(usize::from(fleet.seats[at].squad), Job::Send) else { return };
        let end = pacer.round_of(at);
        for round in fleet.seats[at].round..end {
            fleet.recorder.unsent(now_ns.saturating_sub(pacer.due_ns(at, round)));
        }
        fleet.seats[at].round = end;
    }

    /// Something arrived, or the client got ready: sends what was waiting. `now_ns` is within the steady phase, or none.
    pub fn on_answer(self, at: usize, fleet: &mut Fleet, agenda: &Agenda, now_ns: Option<u64>) {
        match (self, now_ns) {
            (Self::Never, _) | (Self::Answered { .. }, None) => {}
            (Self::Answered { .. }, Some(now_ns)) => {
                while self.may_send(at, fleet) {
                    fleet.send(at, now_ns);
                }
            }
            (Self::Scheduled { .. }, _) => {
                let Some(pacer) = agenda.pacer(usize::from(fleet.seats[at].squad), Job::Send) else { return };
                while fleet.seats[at].round < pacer.round_of(at) && self.may_send(at, fleet) {
                    let due_ns = pacer.due_ns(at, fleet.seats[at].round);
                    fleet.seats[at].round += 1;
                    fleet.send(at, due_ns);
                }
            }
        }
    }

    /// A client got ready: what was due before is not its business.
    pub fn on_ready(self, at: usize, fleet: &mut Fleet, agenda: &Agenda) {
        let pacer = agenda.pacer(usize::from(fleet.seats[at].squad), Job::Send);
        fleet.seats[at].round = pacer.map_or(0, |pacer| pacer.round_of(at));
    }

    /// Whether a client still has messages to send that were due.
    #[must_use]
    pub fn owes(self, at: usize, fleet: &Fleet, agenda: &Agenda) -> bool {
        let seat = &fleet.seats[at];
        let waits = matches!(self, Self::Scheduled { in_flight, .. } if in_flight > 0) && seat.stage == Stage::Ready;
        let pacer = if waits { agenda.pacer(usize::from(seat.squad), Job::Send) } else { None };
        pacer.is_some_and(|pacer| seat.round < pacer.round_of(at))
    }

    fn may_send(self, at: usize, fleet: &Fleet) -> bool {
        let seat = &fleet.seats[at];
        seat.stage == Stage::Ready
            && match self {
                Self::Never => false,
                Self::Answered { in_flight } => seat.client.in_flight() < in_flight,
                Self::Scheduled { in_flight, .. } => in_flight == 0 || seat.client.in_flight() < in_flight,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn echo(rate_per_s: f64, in_flight: u32) -> Sending {
        Sending::of(&Activity::Echo { rate_per_s, in_flight, payload_bytes: 64, binary: false })
    }

    #[test]
    fn a_rate_makes_a_schedule_and_none_waits_for_answers() {
        assert_eq!(echo(100.0, 3), Sending::Scheduled { period_ns: 1e7, in_flight: 3 });
        assert_eq!(echo(0.0, 0), Sending::Answered { in_flight: 1 });
        assert_eq!(echo(0.0, 4), Sending::Answered { in_flight: 4 });
        assert_eq!(Sending::of(&Activity::Listen), Sending::Never);
        let peer = Sending::of(&Activity::Peer { rate_per_s: 1.0, payload_bytes: 64 });
        assert_eq!(peer, Sending::Scheduled { period_ns: 1e9, in_flight: 0 });
        assert!(echo(100.0, 3).answers_matter() && !echo(100.0, 0).answers_matter() && !peer.answers_matter());
    }
}
