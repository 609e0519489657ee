//! One subscriber connection to one master: what it is subscribed to, and what its replies answer.
//!
//! Replies come in the order of their commands, and messages between them where they belong: so a reply says exactly
//! which messages came before it. Knows nothing of what messages mean.

use std::collections::VecDeque;
use std::fmt;

use epush_core::batch::Stream;
use epush_core::message::ChannelName;
use redis::{Cmd, PushKind, Value, cmd};

use crate::relay::keys::Keys;
use crate::relay::{LinkError, Polled};

/// See the module.
#[derive(Debug)]
pub struct Link {
    /// The connection.
    pub polled: Polled,
    /// Whether there may be something to read: a poll says so once.
    pub is_readable: bool,
    keys: Keys,
    is_sharded: bool,
    /// What replies are still to come, oldest first.
    expected: VecDeque<Expected>,
    /// Channels to subscribe, oldest first, when the window has room.
    backlog: VecDeque<ChannelName>,
    /// Heads in `expected`.
    window: usize,
    /// Of what was to be subscribed at first, what is not yet: it comes before everything later.
    restoring: usize,
    /// Own UNSUBSCRIBEs that are not confirmed.
    unsubscribing: usize,
    /// When it last said anything, or was first asked something after it had answered everything.
    heard_ms: u64,
    ping_at_ms: u64,
}

#[derive(Debug)]
enum Expected {
    /// That it lives.
    Pong,
    /// That it lives, and what was subscribed before is.
    Fence,
    /// What was sent to a stream, right behind its subscription.
    Heads(Stream),
}

/// What a link says.
#[derive(Debug)]
pub enum Heard {
    /// A message.
    Message(Vec<u8>),
    /// What was sent to a stream before: from here on, everything comes.
    Heads(Stream, Value),
    /// Nothing for anybody else.
    Nothing,
}

/// Why a link is finished.
#[derive(Debug)]
pub enum Loss {
    /// The connection ended.
    Link(LinkError),
    /// Redis refused a subscription; in its words.
    Refused(String),
    /// Redis ended a subscription: the slot has another master now.
    Moved,
    /// No answer within the time-out.
    Silent,
    /// A reply that belongs to nothing.
    Protocol,
    /// The sending thread found that Redis is elsewhere, or the topology says so.
    Replaced,
}

/// What a link subscribes to besides channels.
#[derive(Debug)]
pub struct Duties {
    /// This node's own channels on the master.
    pub own: Vec<String>,
    /// Whether broadcasts come by this master.
    pub all: bool,
}

/// Names in one SUBSCRIBE: a few kilobytes, so that Redis gets to other clients in between.
const NAMES_MAX: usize = 256;

/// Subscriptions under way: many in flight make a hundred thousand a matter of a second; without a bound, their replies
/// could fill the output buffer that Redis allows a subscriber (32 MiB), and it would drop the connection.
const WINDOW: usize = 2_048;

/// How often a link is asked whether it lives.
const PING_EVERY_MS: u64 = 1_000;

impl Link {
    /// Subscribes to its duties first and to the backlog behind them.
    #[must_use]
    pub fn new(
        polled: Polled,
        keys: &Keys,
        is_sharded: bool,
        duties: &Duties,
        backlog: VecDeque<ChannelName>,
        now_ms: u64,
    ) -> Self {
        let mut link = Self {
            polled,
            // What came before it was registered wakes nobody.
            is_readable: true,
            keys: keys.clone(),
            is_sharded,
            expected: VecDeque::new(),
            restoring: 1 + usize::from(duties.all) + backlog.len(),
            backlog,
            window: 0,
            unsubscribing: 0,
            heard_ms: now_ms,
            ping_at_ms: now_ms + PING_EVERY_MS,
        };
        link.subscribe(&duties.own);
        link.ask(&cmd("PING"), Expected::Fence, now_ms);
        if duties.all {
            link.subscribe(&[keys.all()]);
            link.ask(cmd("HGETALL").arg(keys.all_heads()), Expected::Heads(Stream::All), now_ms);
        }
        link
    }

    /// Whether everything it was to subscribe at first is subscribed.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.restoring == 0
    }

    /// Subscribes to a channel, behind those that wait; [`Heard::Heads`] confirms it.
    pub fn want(&mut self, channel: ChannelName) {
        self.backlog.push_back(channel);
    }

    /// Unsubscribes from channels.
    pub fn drop_channels(&mut self, channels: &[ChannelName]) {
        let names: Vec<String> = channels.iter().map(|channel| self.keys.channel(channel)).collect();
        self.unsubscribing += names.len();
        self.name_all(if self.is_sharded { "SUNSUBSCRIBE" } else { "UNSUBSCRIBE" }, &names);
    }

    /// Sends what waits, as far as window and socket allow.
    ///
    /// # Errors
    /// It is finished.
    pub fn flush(&mut self, now_ms: u64) -> Result<(), Loss> {
        while !self.backlog.is_empty() && self.window < WINDOW {
            let count = self.backlog.len().min(NAMES_MAX).min(WINDOW - self.window);
            let channels: Vec<ChannelName> = self.backlog.drain(..count).collect();
            let names: Vec<String> = channels.iter().map(|channel| self.keys.channel(channel)).collect();
            self.subscribe(&names);
            for channel in channels {
                let heads = self.keys.channel_heads(&channel);
                self.ask(cmd("HGETALL").arg(heads), Expected::Heads(Stream::Channel(channel)), now_ms);
            }
        }
        self.polled.flush().map(|_| ()).map_err(Loss::Link)
    }

    /// The next thing it says; none: nothing for now.
    ///
    /// # Errors
    /// It is finished.
    pub fn receive(&mut self, now_ms: u64) -> Result<Option<Heard>, Loss> {
        let Some(value) = self.polled.try_receive().map_err(Loss::Link)? else {
            self.is_readable = false;
            return Ok(None);
        };
        self.heard_ms = now_ms;
        match value {
            Value::Push { kind, data } => self.pushed(&kind, data).map(Some),
            Value::ServerError(error) => Err(Loss::Refused(error.to_string())),
            reply => self.replied(reply).map(Some),
        }
    }

    fn pushed(&mut self, kind: &PushKind, mut data: Vec<Value>) -> Result<Heard, Loss> {
        match kind {
            PushKind::Message | PushKind::SMessage => match data.pop() {
                Some(Value::BulkString(bytes)) => Ok(Heard::Message(bytes)),
                _ => Ok(Heard::Nothing),
            },
            PushKind::Unsubscribe | PushKind::SUnsubscribe => {
                // Each own one is confirmed once, so any beyond them is Redis's own doing.
                self.unsubscribing = self.unsubscribing.checked_sub(1).ok_or(Loss::Moved)?;
                Ok(Heard::Nothing)
            }
            _ => Ok(Heard::Nothing),
        }
    }

    fn replied(&mut self, reply: Value) -> Result<Heard, Loss> {
        match self.expected.pop_front() {
            None => Err(Loss::Protocol),
            Some(Expected::Pong) => Ok(Heard::Nothing),
            Some(Expected::Fence) => {
                self.restoring = self.restoring.saturating_sub(1);
                Ok(Heard::Nothing)
            }
            Some(Expected::Heads(stream)) => {
                self.restoring = self.restoring.saturating_sub(1);
                if stream != Stream::All {
                    self.window -= 1;
                }
                Ok(Heard::Heads(stream, reply))
            }
        }
    }

    /// Asks now and then whether it lives.
    ///
    /// # Errors
    /// [`Loss::Silent`]: it does not.
    pub fn check(&mut self, timeout_ms: u64, now_ms: u64) -> Result<(), Loss> {
        if !self.expected.is_empty() && now_ms >= self.heard_ms + timeout_ms {
            return Err(Loss::Silent);
        }
        if now_ms >= self.ping_at_ms {
            self.ping_at_ms = now_ms + PING_EVERY_MS;
            // Whatever it answers to something else says as well that it lives.
            if self.expected.is_empty() {
                self.ask(&cmd("PING"), Expected::Pong, now_ms);
            }
        }
        Ok(())
    }

    /// When to call [`Link::check`] next.
    #[must_use]
    pub fn next_ms(&self, timeout_ms: u64) -> u64 {
        if self.expected.is_empty() { self.ping_at_ms } else { self.ping_at_ms.min(self.heard_ms + timeout_ms) }
    }

    /// Nobody listened for a while: its silence counts from now.
    pub fn excuse(&mut self, now_ms: u64) {
        self.heard_ms = now_ms;
    }

    fn subscribe(&mut self, names: &[String]) {
        self.name_all(if self.is_sharded { "SSUBSCRIBE" } else { "SUBSCRIBE" }, names);
    }

    /// In a Redis Cluster the names of one command must lie in one slot, and hardly any two do.
    fn name_all(&mut self, verb: &str, names: &[String]) {
        for names in names.chunks(if self.is_sharded { 1 } else { NAMES_MAX }) {
            self.polled.queue(&cmd(verb).arg(names).get_packed_command());
        }
    }

    fn ask(&mut self, command: &Cmd, expected: Expected, now_ms: u64) {
        if self.expected.is_empty() {
            self.heard_ms = now_ms;
        }
        if matches!(expected, Expected::Heads(Stream::Channel(_))) {
            self.window += 1;
        }
        self.polled.queue(&command.get_packed_command());
        self.expected.push_back(expected);
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link(error) => error.fmt(out),
            Self::Refused(why) => write!(out, "Redis refused a subscription: {why}"),
            Self::Moved => out.write_str("Redis ended a subscription: its slot has another master"),
            Self::Silent => out.write_str("Redis did not answer in time (cluster.timeout_ms)"),
            Self::Protocol => out.write_str("a reply that belongs to nothing"),
            Self::Replaced => out.write_str("Redis is elsewhere now"),
        }
    }
}
