//! What time does to a shard: time-outs, heartbeats, periodic pushes, draining.
//!
//! Every connection has one timer at most. Activity only leaves a time stamp; a timer that goes off looks at it and
//! is set again for what is left.

use serde_json::value::RawValue;

use super::{Door, Shard};
use crate::close::CloseReason;
use crate::connection::{Connection, Flags, Phase};
use crate::effect::Effect;
use crate::error::{ErrorCode, Refusal};
use crate::id::ConnId;
use crate::now::Now;
use crate::settings::Settings;
use crate::wheel::TimerKey;
use crate::wire::native::reply::{self, GapOf, GapReason};
use crate::wire::websocket::{PING, frame_into};

/// What is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Due {
    /// A connection's deadline.
    Connection(ConnId),
    /// The periodic push in this slot of the shard's jobs.
    Job(u32),
    /// The window of the channel in this slot of the hub.
    Window(u32),
    /// The next step of a drain.
    Drain,
}

/// A session's periodic push.
pub(super) struct Job {
    conn: ConnId,
    name: Box<str>,
    args: Option<Box<RawValue>>,
    interval_ms: u64,
    /// How often it fired.
    seq: u64,
    /// Pushes dropped since the last one that went out.
    lost: u64,
    /// When it is due, in monotonic ms: always the start and a whole number of intervals, so that it does not drift.
    due_ms: u64,
    timer: TimerKey,
}

/// A periodic push a client asks for.
pub struct JobRequest<'a> {
    /// The session.
    pub conn: ConnId,
    /// The `id` of its frame, as JSON text; empty when it gave none.
    pub id: &'a str,
    /// The job's name.
    pub job: &'a str,
    /// Every how many ms.
    pub interval_ms: u64,
    /// `args`.
    pub args: Option<Box<RawValue>>,
}

/// A drain under way.
#[derive(Clone, Copy)]
pub(super) struct Drain {
    /// Between two steps.
    step_ms: u64,
    /// Steps done.
    step: u64,
    /// Steps in all; the last one closes whatever is left.
    steps: u64,
    /// Clients there were when it began.
    clients: u64,
    /// Clients are told to come back within this time.
    over_ms: u64,
}

/// Steps of a drain: few enough to cost nothing, enough to spread the reconnects.
const DRAIN_STEPS: u64 = 100;

impl Shard {
    /// Does what is due.
    pub fn handle_time(&mut self, now: Now) {
        self.now = now;
        while let Some((_, due)) = self.wheel.pop_due(now.monotonic_ms()) {
            match due {
                Due::Connection(conn) => self.handle_deadline(conn),
                Due::Job(job) => self.tick(job),
                Due::Window(channel) => self.window_is_over(channel),
                Due::Drain => self.drain_step(),
            }
            self.settle();
        }
    }

    /// When [`Shard::handle_time`] wants to be called, in monotonic µs.
    #[must_use]
    pub fn next_deadline_us(&self) -> Option<u64> {
        self.wheel.next_deadline_ms().map(|ms| ms.saturating_mul(1_000))
    }

    /// Sets the connection's one timer.
    pub(super) fn arm(&mut self, conn: ConnId, deadline_ms: u64) {
        let Some(connection) = self.connections.get_mut(conn.index as usize) else { return };
        match connection.deadline {
            Some(key) => self.wheel.rearm(key, deadline_ms),
            None => connection.deadline = Some(self.wheel.insert(deadline_ms, Due::Connection(conn))),
        }
    }

    /// Sets the timer of an open session for the first thing that can become due.
    pub(super) fn arm_open(&mut self, conn: ConnId) {
        let (now, settings) = (self.now, std::sync::Arc::clone(&self.setup.settings));
        let Some(connection) = self.find(conn) else { return };
        let deadline_ms = open_deadline_ms(connection, &settings, now);
        self.arm(conn, deadline_ms);
    }

    fn handle_deadline(&mut self, conn: ConnId) {
        let Some(connection) = self.find(conn) else { return };
        connection.deadline = None;
        match connection.phase {
            Phase::Proxy => self.finish(conn, CloseReason::RequestTimeout),
            Phase::Head | Phase::Body => self.request_timed_out(conn),
            Phase::Deciding => self.refuse_handshake(conn, 503, "no decision in time"),
            // The API answers from memory or the other shards do; both always answer.
            Phase::Answering => self.arm(conn, self.now.monotonic_ms() + self.setup.settings.request_timeout_ms),
            Phase::SigningIn => self.finish(conn, CloseReason::Internal),
            Phase::Open | Phase::Echo => self.check_open(conn),
            Phase::Closing | Phase::Lingering => {
                let reason = connection.reason.unwrap_or(CloseReason::Reset);
                self.finish(conn, reason);
            }
            Phase::Dead => {}
        }
    }

    fn check_open(&mut self, conn: ConnId) {
        let (now, settings) = (self.now, std::sync::Arc::clone(&self.setup.settings));
        let Some(connection) = self.find(conn) else { return };
        let silent_ms = now.monotonic_ms().saturating_sub(connection.last_input_ms);
        let rare = connection.rare.as_deref();
        if rare.and_then(|rare| rare.expires_unix_ms).is_some_and(|expires| expires <= now.unix_ms) {
            return self.close(conn, CloseReason::TokenExpired);
        }
        let sign_in_by_ms = rare.and_then(|rare| rare.sign_in_by_ms);
        let waiting = connection.flags.has(Flags::WAITING);
        if !waiting && sign_in_by_ms.is_some_and(|by_ms| by_ms <= now.monotonic_ms()) {
            return self.close(conn, CloseReason::SignInTimeout);
        }
        // A session that waits for others is not read, and cannot be heard. One that is choked is heard by what its
        // socket takes (see `handle_sent`).
        if waiting || connection.flags.has(Flags::BUSY) {
            connection.last_input_ms = now.monotonic_ms();
        } else if silent_ms >= settings.ping_interval_ms + settings.ping_timeout_ms {
            return self.close_lost(conn);
        } else if silent_ms >= settings.ping_interval_ms && !connection.flags.has(Flags::PING_SENT) {
            connection.flags.set(Flags::PING_SENT, true);
            // The time-out counts from the ping, however late this turn came.
            connection.last_input_ms = now.monotonic_ms() - settings.ping_interval_ms;
            self.push_own(conn, |out| frame_into(out, PING, b""));
        }
        self.arm_open(conn);
    }

    /// The peer is silent: says goodbye in case it still listens, but does not wait for it.
    fn close_lost(&mut self, conn: ConnId) {
        self.close(conn, CloseReason::HeartbeatTimeout);
        self.linger(conn, CloseReason::HeartbeatTimeout, self.setup.settings.close_timeout_ms);
    }

    /// Starts a periodic push, or replaces the session's one of the same name. `known`: there is such a job.
    pub fn start_job(&mut self, now: Now, request: JobRequest<'_>, known: bool) {
        self.now = now;
        let conn = request.conn;
        let Some(connection) = self.find(conn).filter(|connection| connection.phase == Phase::Open) else { return };
        connection.flags.set(Flags::WAITING, false);
        self.add_job(request, known);
        self.resume(conn);
        self.settle();
    }

    fn add_job(&mut self, request: JobRequest<'_>, known: bool) {
        let JobRequest { conn, id, job, interval_ms, args } = request;
        if !known {
            return self.refuse_command(conn, id, ErrorCode::NotFound, "there is no such job");
        }
        let _ = self.end_job_named(conn, job);
        let jobs_max = self.setup.settings.jobs_max;
        if self.connections[conn.index as usize].rare().jobs.len() >= jobs_max {
            let refusal = Refusal::new(ErrorCode::LimitReached, format!("at most {jobs_max} jobs a session"));
            return self.push_error(conn, id, &refusal);
        }
        let entry = self.jobs.vacant_entry();
        let slot = entry.key() as u32;
        // The wheel counts whole milliseconds. From the next one on: no push comes before its interval is over.
        let due_ms = self.now.monotonic_us.div_ceil(1_000).saturating_add(interval_ms);
        let timer = self.wheel.insert(due_ms, Due::Job(slot));
        entry.insert(Job { conn, name: job.into(), args, interval_ms, seq: 0, lost: 0, due_ms, timer });
        self.connections[conn.index as usize].rare().jobs.push(slot);
        self.push_text(conn, |out| reply::ok_plain(out, id));
    }

    fn tick(&mut self, slot: u32) {
        let now_ms = self.now.monotonic_ms();
        let Some(job) = self.jobs.get_mut(slot as usize) else { return };
        let effect = Effect::Tick { conn: job.conn, job: job.name.clone(), args: job.args.clone(), seq: job.seq };
        job.seq += 1;
        // A turn that came late fires once and skips what it missed.
        let missed = (now_ms - job.due_ms.min(now_ms)) / job.interval_ms;
        job.due_ms = job.due_ms.saturating_add(job.interval_ms.saturating_mul(missed + 1));
        job.timer = self.wheel.insert(job.due_ms, Due::Job(slot));
        self.effects.push_back(effect);
    }

    /// Sends what a periodic push rendered. What does not fit for a slow session is announced before the next push.
    pub fn push_job(&mut self, now: Now, conn: ConnId, job: &str, seq: u64, data: &RawValue) {
        self.now = now;
        let limit = self.setup.settings.outbox_bytes_max;
        let Some(connection) = self.find(conn).filter(|connection| connection.phase == Phase::Open) else { return };
        let full = connection.flags.has(Flags::BLOCKED) && connection.outbox.bytes() + data.get().len() > limit;
        let Some(slot) = self.find_job(conn, job) else { return };
        if full {
            self.jobs[slot as usize].lost += 1;
            self.counters.dropped_slow += 1;
            return;
        }
        self.announce_job(conn, slot);
        self.counters.deliveries += 1;
        self.push_text(conn, |out| reply::job(out, job, seq, now.unix_ms, data));
    }

    fn announce_job(&mut self, conn: ConnId, slot: u32) {
        let job = &mut self.jobs[slot as usize];
        let lost = std::mem::take(&mut job.lost);
        if lost > 0 {
            let name = job.name.clone();
            self.counters.gaps += 1;
            self.push_text(conn, |out| reply::gap(out, GapOf::Job(&name), lost, GapReason::SlowConsumer));
        }
    }

    fn find_job(&self, conn: ConnId, name: &str) -> Option<u32> {
        let jobs = &self.connections.get(conn.index as usize)?.rare.as_ref()?.jobs;
        jobs.iter().copied().find(|slot| *self.jobs[*slot as usize].name == *name)
    }

    pub(super) fn cancel_job(&mut self, conn: ConnId, id: &str, job: &str) -> Result<(), Refusal> {
        self.end_job_named(conn, job).ok_or(Refusal::new(ErrorCode::NotFound, "no such job is running"))?;
        self.push_text(conn, |out| reply::ok_plain(out, id));
        Ok(())
    }

    fn end_job_named(&mut self, conn: ConnId, name: &str) -> Option<()> {
        let slot = self.find_job(conn, name)?;
        self.announce_job(conn, slot);
        let connection = &mut self.connections[conn.index as usize];
        connection.rare().jobs.retain(|other| *other != slot);
        connection.tidy();
        self.end_job(slot);
        Some(())
    }

    pub(super) fn end_job(&mut self, slot: u32) {
        let job = self.jobs.remove(slot as usize);
        self.wheel.cancel(job.timer);
    }

    /// Begins to close every client, evenly over the first four fifths of the time: the rest is for flushing.
    pub(super) fn start_drain(&mut self, over_ms: u64) {
        let closing_ms = over_ms / 5 * 4;
        let step_ms = (closing_ms / DRAIN_STEPS).max(1);
        if self.drain.is_none() {
            let (steps, clients) = (DRAIN_STEPS.min(closing_ms).max(1), self.clients as u64);
            self.drain = Some(Drain { step_ms, step: 0, steps, clients, over_ms });
            self.flush_windows();
            self.drain_step();
        }
    }

    fn drain_step(&mut self) {
        let Some(drain) = &mut self.drain else { return };
        drain.step += 1;
        let Drain { step_ms, step, steps, clients, over_ms } = *drain;
        let client = |(_, connection): &(usize, &Connection)| connection.door == Door::Client;
        let waiting: Vec<ConnId> = self
            .connections
            .iter()
            .filter(client)
            .filter(|(_, connection)| !matches!(connection.phase, Phase::Closing | Phase::Lingering | Phase::Dead))
            .filter_map(|(index, _)| self.conn_id(index as u32))
            .collect();
        // Rounded up, so that the first goes at once and the last step leaves nobody.
        let gone_by_now = (clients * step).div_ceil(steps);
        let gone = clients.saturating_sub(waiting.len() as u64);
        for conn in waiting.into_iter().take(gone_by_now.saturating_sub(gone) as usize) {
            let place = conn.index.wrapping_mul(self.setup.shards.into()).wrapping_add(self.setup.id.0.into());
            self.close_in(conn, CloseReason::Drain, spread(place, over_ms));
        }
        if step < steps {
            self.wheel.insert(self.now.monotonic_ms() + step_ms, Due::Drain);
        }
    }
}

/// When a client should come back: somewhere in the time the drain takes, its neighbours elsewhere.
fn spread(place: u32, over_ms: u64) -> u64 {
    // Fibonacci hashing: consecutive places land far apart.
    let scattered = u64::from(place.wrapping_mul(2_654_435_769));
    ((u128::from(scattered) * u128::from(over_ms)) >> 32) as u64
}

fn open_deadline_ms(connection: &Connection, settings: &Settings, now: Now) -> u64 {
    let quiet_ms =
        settings.ping_interval_ms + if connection.flags.has(Flags::PING_SENT) { settings.ping_timeout_ms } else { 0 };
    let heartbeat_ms = connection.last_input_ms + quiet_ms;
    let rare = connection.rare.as_deref();
    // While its `hello` is decided it cannot be late: a time that has passed would wake the reactor without end.
    let waiting = connection.flags.has(Flags::WAITING);
    let sign_in_ms = rare.and_then(|rare| rare.sign_in_by_ms).filter(|_| !waiting).unwrap_or(u64::MAX);
    let expiry_ms = rare
        .and_then(|rare| rare.expires_unix_ms)
        .map_or(u64::MAX, |unix_ms| now.monotonic_ms().saturating_add(unix_ms.saturating_sub(now.unix_ms)));
    heartbeat_ms.min(sign_in_ms).min(expiry_ms)
}
