//! Frames of a session: echoes, native commands, control frames.

use super::Shard;
use crate::close::CloseReason;
use crate::connection::{Flags, Phase};
use crate::effect::{Asker, Effect};
use crate::error::{ErrorCode, Refusal};
use crate::id::ConnId;
use crate::mail::{MuteChange, Question};
use crate::message::{ChannelName, Draft, Target, UserName};
use crate::rate::TokenBucket;
use crate::settings::{Audience, OnSlow};
use crate::wire::native::{self, Command, Incoming, reply};
use crate::wire::websocket::{
    BINARY, CLOSE, Decoder, FrameError, FrameLimits, Item, PONG, TEXT, close_payload, frame_into,
};

/// Questions of one session that may be unanswered at a time: beyond, it is not read until some are. Bounds what a
/// client can make others remember.
const UNANSWERED_MAX: u16 = 64;

/// Frames refused in a row for coming too fast before the session is closed with 4504.
const REFUSED_FRAMES_MAX: u32 = 100;

/// What `/echo` takes whatever the limits say: conformance suites send messages of 16 MiB, and 65 536 fragments with an
/// empty one behind them to end the message.
const ECHO_LIMITS: FrameLimits = FrameLimits { message_bytes_max: 16 * 1024 * 1024, fragments_max: 65_536 + 1 };

impl Shard {
    /// Decodes and handles frames until the bytes are used up or the session stops reading; returns what is left.
    pub(super) fn feed_frames<'i>(&mut self, conn: ConnId, mut bytes: &'i mut [u8]) -> &'i mut [u8] {
        let Some(connection) = self.find(conn) else { return &mut [] };
        // The decoder leaves its connection so that frames borrowed from it can be handled.
        let mut decoder = std::mem::take(&mut connection.decoder);
        let limits = self.frame_limits(connection_phase(self, conn));
        loop {
            match decoder.next(&mut bytes, &limits) {
                Ok(Some(item)) => self.handle_item(conn, item),
                Ok(None) => break,
                Err(error) => {
                    self.fail_frames(conn, error);
                    return &mut [];
                }
            }
            let reads = self.find(conn).is_some_and(|c| {
                c.is_open() && !c.flags.has(Flags::WAITING | Flags::BUSY) || c.phase == Phase::Closing
            });
            if !reads || self.choke(conn) {
                break;
            }
        }
        self.keep(conn, decoder);
        bytes
    }

    fn keep(&mut self, conn: ConnId, decoder: Decoder) {
        if let Some(connection) = self.find(conn) {
            connection.decoder = decoder;
        }
    }

    fn frame_limits(&self, phase: Phase) -> FrameLimits {
        if phase == Phase::Echo {
            return ECHO_LIMITS;
        }
        let settings = &self.setup.settings;
        FrameLimits { message_bytes_max: settings.message_bytes_max, fragments_max: settings.fragments_max }
    }

    fn fail_frames(&mut self, conn: ConnId, error: FrameError) {
        self.fail(conn, error.close_reason());
    }

    fn handle_item(&mut self, conn: ConnId, item: Item<'_>) {
        let phase = connection_phase(self, conn);
        match (phase, item) {
            (_, Item::Close(close)) => self.handle_close(conn, close.map(|(code, _)| code)),
            // Our close frame is out: RFC 6455 §5.5.1 lets us discard what comes before the peer's.
            (Phase::Closing, _) => {}
            (_, Item::Ping(payload)) => {
                if self.within_rate(conn, "") {
                    self.push_own(conn, |out| frame_into(out, PONG, payload));
                }
            }
            (_, Item::Pong(_)) => {}
            (Phase::Echo, Item::Text(text)) => self.echo(conn, TEXT, text.as_bytes()),
            (Phase::Echo, Item::Binary(bytes)) => self.echo(conn, BINARY, bytes),
            (_, Item::Text(text)) => {
                self.counters.messages_in += 1;
                let Incoming { id, command } = native::parse(text);
                if self.within_rate(conn, &id) {
                    let outcome = command.and_then(|command| self.execute(conn, &id, command));
                    if let Err(refusal) = outcome {
                        self.push_error(conn, &id, &refusal);
                    }
                }
            }
            (_, Item::Binary(bytes)) => {
                self.counters.messages_in += 1;
                if self.within_rate(conn, "") && self.admitted(conn).is_ok() {
                    self.effects.push_back(Effect::Binary { conn, bytes: bytes.into() });
                }
            }
        }
    }

    fn echo(&mut self, conn: ConnId, opcode: tungstenite::protocol::frame::coding::OpCode, payload: &[u8]) {
        self.counters.messages_in += 1;
        self.push_own(conn, |out| frame_into(out, opcode, payload));
    }

    /// The peer's close frame: the end of the handshake we began, or the beginning of one that we end (§5.5.1).
    fn handle_close(&mut self, conn: ConnId, code: Option<u16>) {
        let timeout_ms = self.setup.settings.close_timeout_ms;
        if connection_phase(self, conn) != Phase::Closing {
            let payload = code.map(|code| close_payload(code, "")).unwrap_or_default();
            self.push_own(conn, |out| frame_into(out, CLOSE, &payload));
            self.depart(conn, CloseReason::ClientClosed);
        }
        self.linger(conn, CloseReason::ClientClosed, timeout_ms);
    }

    /// Whether the session may send another frame now; answers it when not.
    fn within_rate(&mut self, conn: ConnId, id: &str) -> bool {
        let (rate, now_us) = (self.setup.settings.frames_per_second, self.now.monotonic_us);
        if rate == 0 {
            return true;
        }
        let Some(connection) = self.find(conn) else { return false };
        let rare = connection.rare();
        if rare.bucket.get_or_insert_with(|| TokenBucket::new(rate, rate)).take(now_us) {
            rare.refused_frames = 0;
            return true;
        }
        rare.refused_frames += 1;
        if rare.refused_frames > REFUSED_FRAMES_MAX {
            self.close(conn, CloseReason::RateLimited);
        } else {
            self.refuse_command(conn, id, ErrorCode::RateLimited, "too many frames a second");
        }
        false
    }

    fn execute(&mut self, conn: ConnId, id: &str, command: Command<'_>) -> Result<(), Refusal> {
        match command {
            Command::Hello { token } => return self.hello(conn, id, &token),
            Command::Ping => {
                let time_ms = self.now.unix_ms;
                self.push_text(conn, |out| reply::pong(out, id, time_ms));
                return Ok(());
            }
            _ => self.admitted(conn)?,
        }
        let asker = Asker::Client { conn, id: id.into() };
        match command {
            Command::Hello { .. } | Command::Ping => {}
            Command::Subscribe { channel, on_slow } => self.subscribe(conn, id, &channel, on_slow)?,
            Command::Unsubscribe { channel } => {
                self.stop_waiting(conn, &channel);
                if let Some(slot) = self.hub.find_channel(&channel) {
                    self.leave(conn, slot);
                }
                self.push_text(conn, |out| reply::ok_channel(out, id, channel.as_str()));
            }
            Command::Publish { channel, kind, data } => {
                let audience = self.setup.settings.channels.of(&channel).publish;
                self.allow(conn, audience, &channel, "publish to")?;
                let mut draft = Draft::new(Target::Channels(vec![channel]), data.to_owned());
                draft.kind = kind;
                self.publish(conn, draft, asker);
            }
            Command::Send { users, kind, data } => {
                self.allow_send(conn, users.len(), kind.as_deref())?;
                let mut draft = Draft::new(Target::Users(users), data.to_owned());
                draft.kind = kind;
                self.publish(conn, draft, asker);
            }
            Command::Every { job, interval_ms, args } => {
                if interval_ms < self.setup.settings.interval_ms_min {
                    let least = self.setup.settings.interval_ms_min;
                    return Err(Refusal::new(ErrorCode::BadRequest, format!("interval_ms: at least {least}")));
                }
                let (job, args) = (job.as_ref().into(), args.map(ToOwned::to_owned));
                // Until it is known whether there is such a job: what follows may be its `cancel`.
                self.wait(conn);
                self.effects.push_back(Effect::Every { conn, id: id.into(), job, interval_ms, args });
            }
            Command::Cancel { job } => self.cancel_job(conn, id, &job)?,
            Command::Mute { types } => self.switch(conn, asker, MuteChange::Add(types))?,
            Command::Unmute { types } => self.switch(conn, asker, MuteChange::Remove(types))?,
            Command::Muted => {
                let user = self.needs_user(conn)?;
                self.asks(conn);
                self.ask_home(&user.clone(), Question::Mutes(user), asker);
            }
            Command::Ask { kind, data } => {
                self.asks(conn);
                let data = data.unwrap_or(serde_json::value::RawValue::NULL).to_owned();
                self.effects.push_back(Effect::Ask { conn, id: id.into(), kind: kind.as_ref().into(), data });
            }
            Command::Online => {
                self.asks(conn);
                self.effects.push_back(Effect::AskAll { question: Question::Online, asker });
            }
            Command::Presence { channel } => {
                let audience = self.setup.settings.channels.of(&channel).presence;
                self.allow(conn, audience, &channel, "see who is in")?;
                self.asks(conn);
                let question = Question::Channel { channel, members: true };
                self.effects.push_back(Effect::AskAll { question, asker });
            }
        }
        Ok(())
    }

    fn hello(&mut self, conn: ConnId, id: &str, token: &str) -> Result<(), Refusal> {
        let possible = self.setup.settings.hello;
        let Some(connection) = self.find(conn) else { return Ok(()) };
        if connection.user.is_some() {
            return Err(Refusal::new(ErrorCode::BadRequest, "signed in already"));
        }
        if !possible {
            return Err(Refusal::new(ErrorCode::BadRequest, "this engine takes no tokens"));
        }
        connection.flags.set(Flags::WAITING, true);
        connection.rare().hello_id = id.into();
        self.effects.push_back(Effect::Hello { conn, token: token.into() });
        Ok(())
    }

    fn admitted(&mut self, conn: ConnId) -> Result<(), Refusal> {
        let admitted = self.find(conn).is_some_and(|connection| connection.flags.has(Flags::ADMITTED));
        if admitted { Ok(()) } else { Err(Refusal::new(ErrorCode::Unauthorized, "say hello with a token first")) }
    }

    fn needs_user(&self, conn: ConnId) -> Result<UserName, Refusal> {
        self.user_of(conn).ok_or_else(|| Refusal::new(ErrorCode::Unauthorized, "an anonymous session has no mutes"))
    }

    fn subscribe(
        &mut self,
        conn: ConnId,
        id: &str,
        channel: &ChannelName,
        on_slow: Option<OnSlow>,
    ) -> Result<(), Refusal> {
        let audience = self.setup.settings.channels.of(channel).subscribe;
        self.allow(conn, audience, channel, "subscribe to")?;
        self.join(conn, channel, on_slow)?;
        self.subscribed(conn, id, channel);
        Ok(())
    }

    /// Reads no further for now.
    fn wait(&mut self, conn: ConnId) {
        if let Some(connection) = self.find(conn) {
            connection.flags.set(Flags::WAITING, true);
        }
    }

    /// Counts a question that others will answer, each with one [`Shard::answered`].
    pub(super) fn asks(&mut self, conn: ConnId) {
        let Some(connection) = self.find(conn) else { return };
        connection.unanswered += 1;
        connection.flags.set(Flags::BUSY, connection.unanswered >= UNANSWERED_MAX);
    }

    /// One of the session's questions has its answer.
    pub(super) fn answered(&mut self, conn: ConnId) {
        let Some(connection) = self.find(conn) else { return };
        connection.unanswered = connection.unanswered.saturating_sub(1);
        if connection.flags.has(Flags::BUSY) && connection.unanswered <= UNANSWERED_MAX / 2 {
            connection.flags.set(Flags::BUSY, false);
            self.resume(conn);
        }
    }

    fn publish(&mut self, conn: ConnId, mut draft: Draft, asker: Asker) {
        draft.from = self.user_of(conn);
        self.asks(conn);
        self.effects.push_back(Effect::Publish { draft, asker });
    }

    fn switch(&mut self, conn: ConnId, asker: Asker, change: MuteChange) -> Result<(), Refusal> {
        let user = self.needs_user(conn)?;
        self.asks(conn);
        self.ask_home(&user.clone(), Question::ChangeMutes { user, change }, asker);
        Ok(())
    }

    fn allow(&self, conn: ConnId, audience: Audience, channel: &ChannelName, what: &str) -> Result<(), Refusal> {
        let connection = &self.connections[conn.index as usize];
        let subscribed = || self.hub.find_channel(channel).is_some_and(|slot| connection.subscription(slot).is_some());
        let allowed = match audience {
            Audience::Nobody => false,
            Audience::Users => connection.user.is_some(),
            Audience::Subscribers => subscribed(),
            Audience::Anyone => true,
        };
        if allowed {
            return Ok(());
        }
        Err(Refusal::new(ErrorCode::Forbidden, format!("this session may not {what} {channel}")))
    }

    fn allow_send(&self, conn: ConnId, users: usize, kind: Option<&str>) -> Result<(), Refusal> {
        let rule = &self.setup.settings.send;
        let allowed = match rule.allow {
            Audience::Nobody | Audience::Subscribers => false,
            Audience::Users => self.connections[conn.index as usize].user.is_some(),
            Audience::Anyone => true,
        };
        let typed = rule.types.is_empty() || kind.is_some_and(|kind| rule.types.iter().any(|known| **known == *kind));
        if !allowed || !typed {
            return Err(Refusal::new(ErrorCode::Forbidden, "this session may not send that to users"));
        }
        if users > rule.users_max {
            return Err(Refusal::new(ErrorCode::LimitReached, format!("at most {} users at once", rule.users_max)));
        }
        Ok(())
    }
}

fn connection_phase(shard: &Shard, conn: ConnId) -> Phase {
    shard.connections.get(conn.index as usize).map_or(Phase::Dead, |connection| connection.phase)
}
