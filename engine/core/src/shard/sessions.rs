//! Sessions from the verdict to the goodbye: signing in, opening, closing.

use std::sync::Arc;

use super::{Departed, Door, Shard};
use crate::close::CloseReason;
use crate::connection::{Flags, Phase};
use crate::effect::Effect;
use crate::error::{ErrorCode, Refusal};
use crate::id::ConnId;
use crate::mail::{Identity, Mail, Mutes, Verdict};
use crate::message::{ChannelName, UserName};
use crate::registry::home;
use crate::wire::native::reply::{self, Welcome};
use crate::wire::websocket::{CLOSE, close_payload, frame_into, text_frame_into};

impl Shard {
    /// What the application decided about a handshake or a `hello`.
    pub(super) fn handle_verdict(&mut self, conn: ConnId, verdict: Verdict) {
        let Some(connection) = self.find(conn) else { return };
        // One verdict for each `hello`: once it is accepted, only the home is waited for.
        let said_hello = connection.flags.has(Flags::WAITING) && !connection.flags.has(Flags::REGISTERED);
        match (connection.phase, verdict) {
            (Phase::Deciding, Verdict::Accept(identity)) => {
                self.upgrade(conn);
                self.let_in(conn, identity);
            }
            (Phase::Deciding, Verdict::Refuse { status, message }) => self.refuse_handshake(conn, status, &message),
            (Phase::Open, Verdict::Accept(identity)) if said_hello => self.let_in(conn, identity),
            (Phase::Open, Verdict::Refuse { message, .. }) if said_hello => {
                let id = std::mem::take(&mut connection.rare().hello_id);
                connection.flags.set(Flags::WAITING, false);
                self.push_error(conn, &id, &Refusal::new(ErrorCode::Unauthorized, String::from(message)));
                self.close(conn, CloseReason::Unauthorized);
            }
            _ => {}
        }
    }

    /// Registers the session with its user's home, or opens it at once when it has no user.
    fn let_in(&mut self, conn: ConnId, mut identity: Identity) {
        let (shards, session, now) = (self.setup.shards, self.session_ref(conn), self.now);
        let Some(connection) = self.find(conn) else { return };
        let user = identity.user.take();
        if connection.phase == Phase::Deciding {
            connection.phase = Phase::SigningIn;
            connection.since_unix_ms = now.unix_ms;
        }
        let Some(user) = user else {
            connection.rare().identity = Some(identity);
            self.signed_in(conn, None);
            return;
        };
        identity.user = Some(user.clone());
        connection.rare().identity = Some(identity);
        connection.flags.set(Flags::REGISTERED, true);
        let (since_unix_ms, remote) = (connection.since_unix_ms, connection.remote);
        self.send(home(&user, shards), Mail::SignIn { user, session, since_unix_ms, remote });
    }

    /// The home has the session: it is open now, and pushes reach it.
    pub(super) fn signed_in(&mut self, conn: ConnId, mutes: Option<Mutes>) {
        let now = self.now;
        let sign_in_by_ms = now.monotonic_ms() + self.setup.settings.sign_in_timeout_ms;
        let Some(connection) = self.find(conn) else { return };
        let Some(identity) = connection.rare().identity.take() else { return };
        let late = connection.phase == Phase::Open;
        connection.phase = Phase::Open;
        let rare = connection.rare.get_or_insert_default();
        rare.exchange = None;
        rare.attributes = identity.attributes;
        rare.expires_unix_ms = identity.expires_unix_ms;
        rare.sign_in_by_ms = identity.must_sign_in.then_some(sign_in_by_ms);
        connection.tidy();
        if let Some(user) = &identity.user {
            let slot = self.hub.sign_in(user, conn.index);
            self.connections[conn.index as usize].user = Some(slot);
            self.mute_newcomer(conn.index, slot, mutes.filter(|mutes| !mutes.is_empty()));
        }
        if late {
            self.answer_hello(conn)
        } else {
            let user = identity.user.as_ref();
            self.push_welcome(conn, user)
        }
        if !identity.must_sign_in {
            self.admit(conn);
            for channel in &identity.channels {
                // A token may list more channels than a session may have; the rest is refused like any other.
                let _ = self.join(conn, channel, None);
            }
        }
        self.arm_open(conn);
        self.resume(conn);
    }

    fn admit(&mut self, conn: ConnId) {
        let connection = &mut self.connections[conn.index as usize];
        if !connection.flags.has(Flags::ADMITTED) {
            connection.flags.set(Flags::ADMITTED, true);
            self.counters.sessions += 1;
            self.effects.push_back(Effect::Opened(conn));
        }
    }

    fn push_welcome(&mut self, conn: ConnId, user: Option<&UserName>) {
        let session = self.session_id(conn);
        let node = Arc::clone(&self.setup.node);
        let (time_ms, ping_interval_ms) = (self.now.unix_ms, self.setup.settings.ping_interval_ms);
        self.push_text(conn, |out| {
            let welcome = Welcome { session, user, node: &node, time_ms, ping_interval_ms };
            reply::welcome(out, &welcome);
        });
    }

    fn answer_hello(&mut self, conn: ConnId) {
        let (session, user) = (self.session_id(conn), self.user_of(conn));
        let Some(connection) = self.find(conn) else { return };
        connection.flags.set(Flags::WAITING, false);
        let id = std::mem::take(&mut connection.rare().hello_id);
        connection.tidy();
        self.push_text(conn, |out| reply::ok_signed_in(out, &id, user.as_ref(), session));
    }

    /// Subscribes the session, unless it is already.
    pub(super) fn join(
        &mut self,
        conn: ConnId,
        channel: &ChannelName,
        on_slow: Option<crate::settings::OnSlow>,
    ) -> Result<(), Refusal> {
        let slot = self.hub.find_channel(channel);
        let settings = &self.setup.settings;
        let connection = &mut self.connections[conn.index as usize];
        if let Some(slot) = slot
            && let Some(held) = connection.subscriptions.iter_mut().find(|held| held.channel == slot)
        {
            held.on_slow = on_slow.or(held.on_slow);
            return Ok(());
        }
        let limit_reached = |message| Err(Refusal::new(ErrorCode::LimitReached, message));
        if connection.subscriptions.len() >= settings.subscriptions_max {
            return limit_reached(format!("at most {} subscriptions a session", settings.subscriptions_max));
        }
        // A join that is not answered is remembered without a subscriber too.
        if slot.is_none() && self.hub.channels_len().max(self.joins.len()) >= settings.channels_max {
            return limit_reached("too many channels on this node".to_owned());
        }
        let subscription = self.hub.join(channel, conn.index, on_slow);
        connection.subscriptions.push(subscription);
        if slot.is_none() {
            self.join_cluster(channel);
        }
        Ok(())
    }

    /// Ends the subscription to the channel in this slot, if the session has it.
    pub(super) fn leave(&mut self, conn: ConnId, slot: u32) {
        let connection = &mut self.connections[conn.index as usize];
        let Some(at) = connection.subscriptions.iter().position(|held| held.channel == slot) else { return };
        let subscription = connection.subscriptions.swap_remove(at);
        let clustered = if self.setup.clustered { self.hub.channel(slot) } else { None };
        let name = clustered.map(|channel| channel.name.clone());
        if self.hub.channel(slot).is_some_and(|channel| channel.members.len() == 1) {
            self.forget_window(slot);
        }
        if let Some(moved) = self.hub.leave(subscription) {
            let others = &mut self.connections[moved as usize].subscriptions;
            if let Some(other) = others.iter_mut().find(|other| other.channel == slot) {
                other.position = subscription.position;
            }
        }
        if let Some(name) = name {
            self.forget_waiting(conn, &name);
            if self.hub.channel(slot).is_none() {
                self.leave_cluster(name);
            }
        }
    }

    /// Closes a session with a goodbye and a close frame, or whatever the phase has in their place.
    pub(super) fn close(&mut self, conn: ConnId, reason: CloseReason) {
        self.close_in(conn, reason, 0);
    }

    /// The same, telling the client when to come back.
    pub(super) fn close_in(&mut self, conn: ConnId, reason: CloseReason, retry_in_ms: u64) {
        let Some(connection) = self.find(conn) else { return };
        match connection.phase {
            Phase::Open | Phase::Echo => {}
            Phase::SigningIn => self.open_to_close(conn),
            Phase::Closing | Phase::Lingering | Phase::Dead => return,
            _ => return self.finish(conn, reason),
        }
        let connection = &mut self.connections[conn.index as usize];
        if reason == CloseReason::SlowConsumer {
            let before = connection.outbox.bytes();
            let dropped = connection.outbox.drop_shared();
            self.counters.outbox_bytes -= (before - connection.outbox.bytes()) as u64;
            self.counters.dropped_slow += dropped;
        }
        if self.connections[conn.index as usize].phase == Phase::Open {
            self.push_text(conn, |out| reply::goodbye(out, reason, None, retry_in_ms));
        }
        self.push_own(conn, |out| frame_into(out, CLOSE, &close_payload(reason.code(), reason.word())));
        self.depart(conn, reason);
        let close_by = self.now.monotonic_ms() + self.setup.settings.close_timeout_ms;
        let connection = &mut self.connections[conn.index as usize];
        connection.reason = Some(reason);
        connection.phase = Phase::Closing;
        connection.flags.set(Flags::WAITING, false);
        connection.flags.set(Flags::CHOKED, false);
        connection.flags.set(Flags::BUSY, false);
        self.arm(conn, close_by);
        self.resume(conn);
    }

    /// A session that has to go before it is signed in everywhere: opens it as far as it takes to say why.
    fn open_to_close(&mut self, conn: ConnId) {
        let Some(connection) = self.find(conn) else { return };
        connection.phase = Phase::Open;
        let rare = connection.rare();
        rare.exchange = None;
        let user = rare.identity.as_ref().and_then(|identity| identity.user.clone());
        self.push_welcome(conn, user.as_ref());
    }

    /// The client broke the protocol: says so and reads no further frames.
    pub(super) fn fail(&mut self, conn: ConnId, reason: CloseReason) {
        self.close(conn, reason);
        self.linger(conn, reason, self.setup.settings.close_timeout_ms);
    }

    /// Takes the session out of everything that would find it; tells its home and the application.
    pub(super) fn depart(&mut self, conn: ConnId, reason: CloseReason) {
        if !self.effects.is_empty() {
            self.remember(conn);
        }
        let connection = &mut self.connections[conn.index as usize];
        for job in connection.rare.as_mut().map(|rare| std::mem::take(&mut rare.jobs)).unwrap_or_default() {
            self.end_job(job);
        }
        self.leave_all(conn);
        let identity = self.connections[conn.index as usize].rare.as_mut().and_then(|rare| rare.identity.take());
        let waiting = identity.and_then(|identity| identity.user);
        let user = self.user_of(conn).or(waiting);
        let connection = &mut self.connections[conn.index as usize];
        let admitted = connection.flags.has(Flags::ADMITTED);
        let registered = connection.flags.has(Flags::REGISTERED);
        self.muted_sessions -= usize::from(connection.flags.has(Flags::MUTES));
        connection.flags.set(Flags::ADMITTED, false);
        connection.flags.set(Flags::REGISTERED, false);
        connection.flags.set(Flags::MUTES, false);
        if let (true, Some(user)) = (registered, user.clone()) {
            let (to, session) = (home(&user, self.setup.shards), self.session_ref(conn));
            self.send(to, Mail::SignOut { user, session });
        }
        if admitted {
            self.counters.sessions -= 1;
            let connection = &mut self.connections[conn.index as usize];
            let attributes = connection.rare.as_mut().and_then(|rare| rare.attributes.take());
            let remote = connection.remote;
            self.effects.push_back(Effect::Closed { conn, user: user.clone(), attributes, remote, reason });
        }
        let connection = &mut self.connections[conn.index as usize];
        if let Some(slot) = connection.user.take() {
            self.hub.sign_out(slot, conn.index);
        }
    }

    /// Keeps who the session is for the effects that wait: the application is to see who asked.
    fn remember(&mut self, conn: ConnId) {
        let connection = &self.connections[conn.index as usize];
        if connection.flags.has(Flags::ADMITTED) {
            let attributes = connection.rare.as_ref().and_then(|rare| rare.attributes.clone());
            self.departed.push(Departed { conn, user: self.user_of(conn), attributes });
        }
    }

    fn leave_all(&mut self, conn: ConnId) {
        while let Some(last) = self.connections[conn.index as usize].subscriptions.last().copied() {
            self.leave(conn, last.channel);
        }
    }

    /// The connection is over: its socket is closed, its slot freed at the end of the turn.
    pub(super) fn finish(&mut self, conn: ConnId, reason: CloseReason) {
        if self.find(conn).is_none() {
            return;
        }
        self.depart(conn, reason);
        let connection = &mut self.connections[conn.index as usize];
        let reason = connection.reason.unwrap_or(reason);
        self.counters.outbox_bytes -= connection.outbox.bytes() as u64;
        connection.outbox = crate::outbox::Outbox::default();
        connection.rare = None;
        connection.phase = Phase::Dead;
        self.clients -= usize::from(connection.door == Door::Client);
        if let Some(deadline) = connection.deadline.take() {
            self.wheel.cancel(deadline);
        }
        self.counters.closed[reason.slot()] += 1;
        self.dead.push(conn.index);
        self.effects.push_back(Effect::Close { conn, reason });
    }

    /// The session's user.
    pub(super) fn user_of(&self, conn: ConnId) -> Option<UserName> {
        let slot = self.connections.get(conn.index as usize)?.user?;
        self.hub.user(slot).map(|user| user.name.clone())
    }

    /// Queues one text frame for the session alone. Nothing follows our close frame (RFC 6455 §5.5.1): an answer that
    /// comes later is let go.
    pub(super) fn push_text(&mut self, conn: ConnId, write: impl FnOnce(&mut Vec<u8>)) {
        if self.find(conn).is_some_and(|connection| connection.phase == Phase::Open) {
            self.push_own(conn, |out| text_frame_into(out, write));
        }
    }

    pub(super) fn push_error(&mut self, conn: ConnId, id: &str, refusal: &Refusal) {
        self.push_text(conn, |out| reply::error(out, id, refusal));
    }
}
