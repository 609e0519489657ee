//! Publishing from the embedding application: a builder in front of the broker. Never waits.
//!
//! Knows nothing of shards.

use std::sync::Arc;

use epush_core::limits::{CHANNELS_PER_PUSH_MAX, USERS_PER_PUSH_MAX, WORD_BYTES_MAX};
use epush_core::message::{ChannelName, Draft, Target, UserName};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::broker::Refused;
use crate::node::Node;

/// Publishes into a running engine. Cheap to clone; any thread may use it, handlers included.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let engine = epush::Engine::builder().start()?;
/// let pusher = engine.pusher();
/// pusher.to_user("42").kind("order.paid").json(&serde_json::json!({"order": 7}))?.push()?;
/// pusher.to_channel("news").json(&"hello")?.push()?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Pusher {
    node: Arc<Node>,
}

/// Why a push was not taken. Nobody got it.
#[derive(Debug)]
pub enum PushError {
    /// Too much is under way (`limits.intake_bytes_max`): later it may fit.
    Full,
    /// It is larger than the whole intake: it never fits.
    TooLarge,
    /// The engine has stopped.
    Stopped,
    /// This is no user's name: 1–256 bytes without control characters.
    BadUser(Box<str>),
    /// This is no channel's name: 1–128 bytes of letters, digits and `._-:/#@`.
    BadChannel(Box<str>),
    /// A type, module or id of more than 128 bytes.
    BadWord(Box<str>),
    /// More users (10 000) or channels (1 000) than one push may have.
    TooManyTargets,
    /// The payload is not JSON.
    BadJson(serde_json::Error),
}

impl std::fmt::Display for PushError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Full => out.write_str("too many bytes under way, try again later"),
            Self::TooLarge => out.write_str("larger than limits.intake_bytes_max or cluster.queue_bytes_max"),
            Self::Stopped => out.write_str("the engine has stopped"),
            Self::BadUser(name) => write!(out, "{name:?} is no user name"),
            Self::BadChannel(name) => write!(out, "{name:?} is no channel name"),
            Self::BadWord(word) => write!(out, "{word:?} is over {WORD_BYTES_MAX} bytes"),
            Self::TooManyTargets => out.write_str("too many users or channels for one push"),
            Self::BadJson(error) => write!(out, "the payload is not JSON: {error}"),
        }
    }
}

impl std::error::Error for PushError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::BadJson(error) => Some(error),
            _ => None,
        }
    }
}

impl From<serde_json::Error> for PushError {
    fn from(error: serde_json::Error) -> Self {
        Self::BadJson(error)
    }
}

impl From<Refused> for PushError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Full => Self::Full,
            Refused::TooLarge => Self::TooLarge,
        }
    }
}

impl Pusher {
    pub(crate) fn new(node: Arc<Node>) -> Self {
        Self { node }
    }

    /// A push to every session of a user.
    pub fn to_user(&self, user: &str) -> Push<'_> {
        self.to_users([user])
    }

    /// A push to every session of these users; nobody is not an error.
    pub fn to_users<S: AsRef<str>>(&self, users: impl IntoIterator<Item = S>) -> Push<'_> {
        let parse = |name: S| UserName::parse(name.as_ref()).ok_or_else(|| PushError::BadUser(name.as_ref().into()));
        self.to_result(users.into_iter().map(parse).collect::<Result<_, _>>().map(once_each).map(Target::Users))
    }

    /// A push to every subscriber of a channel.
    pub fn to_channel(&self, channel: &str) -> Push<'_> {
        self.to_channels([channel])
    }

    /// A push to every subscriber of these channels: one who subscribed to several gets it several times.
    pub fn to_channels<S: AsRef<str>>(&self, channels: impl IntoIterator<Item = S>) -> Push<'_> {
        let parse =
            |name: S| ChannelName::parse(name.as_ref()).ok_or_else(|| PushError::BadChannel(name.as_ref().into()));
        self.to_result(channels.into_iter().map(parse).collect::<Result<_, _>>().map(once_each).map(Target::Channels))
    }

    /// A push to every open session.
    pub fn to_all(&self) -> Push<'_> {
        self.to(Target::All)
    }

    /// A push to a target that is already one.
    pub fn to(&self, target: Target) -> Push<'_> {
        self.to_result(Ok(target))
    }

    fn to_result(&self, target: Result<Target, PushError>) -> Push<'_> {
        let draft = target.and_then(check_size).map(|to| Draft::new(to, RawValue::NULL.to_owned()));
        Push { node: &self.node, draft }
    }

    /// Pushes a payload that is already JSON text; it reaches the clients byte for byte. Returns the push's id.
    ///
    /// # Errors
    /// [`PushError::BadJson`] when it is not JSON, and as for [`Push::push`].
    pub fn raw(&self, to: Target, bytes: impl Into<Vec<u8>>) -> Result<Arc<str>, PushError> {
        // A line break at the end is white space to JSON, but not to RawValue's byte-for-byte promise.
        let text = String::from_utf8(bytes.into()).map_err(|error| serde::de::Error::custom(error.utf8_error()));
        let data = RawValue::from_string(text.map_err(PushError::BadJson)?)?;
        self.to(to).data(data).push()
    }
}

impl std::fmt::Debug for Pusher {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Pusher").field("node", &self.node.name).finish_non_exhaustive()
    }
}

fn check_size(target: Target) -> Result<Target, PushError> {
    let fits = match &target {
        Target::Users(users) => users.len() <= USERS_PER_PUSH_MAX,
        Target::Channels(channels) => channels.len() <= CHANNELS_PER_PUSH_MAX,
        Target::All => true,
    };
    if fits { Ok(target) } else { Err(PushError::TooManyTargets) }
}

/// A push in the making. What is wrong with it comes out of [`Push::push`].
#[must_use = "nothing is pushed before `push()`"]
pub struct Push<'a> {
    node: &'a Node,
    draft: Result<Draft, PushError>,
}

impl Push<'_> {
    /// Names the message type, which users can mute.
    pub fn kind(self, kind: &str) -> Self {
        self.word(kind, |draft, word| draft.kind = Some(word))
    }

    /// Names the module of the application it comes from.
    pub fn module(self, module: &str) -> Self {
        self.word(module, |draft, word| draft.module = Some(word))
    }

    /// Names the push; without, the engine gives it a name.
    pub fn id(self, id: &str) -> Self {
        self.word(id, |draft, word| draft.id = Some(word))
    }

    /// Names the user it comes from.
    pub fn from(mut self, user: &str) -> Self {
        match UserName::parse(user) {
            Some(user) => self.change(|draft| draft.from = Some(user)),
            None => self.fail(PushError::BadUser(user.into())),
        }
        self
    }

    /// The payload: any value that can be JSON. Without one it is `null`.
    ///
    /// # Errors
    /// [`PushError::BadJson`] when it cannot.
    pub fn json(self, data: &(impl Serialize + ?Sized)) -> Result<Self, PushError> {
        Ok(self.data(to_raw_value(data)?))
    }

    /// The payload, as JSON text.
    pub fn data(mut self, data: Box<RawValue>) -> Self {
        self.change(|draft| draft.data = data);
        self
    }

    /// Hands the push to the engine and returns its id. Never waits.
    ///
    /// # Errors
    /// A [`PushError`]; then nobody gets it.
    pub fn push(self) -> Result<Arc<str>, PushError> {
        let mut draft = self.draft?;
        if self.node.is_stopped() {
            return Err(PushError::Stopped);
        }
        let id = Arc::clone(draft.id.get_or_insert_with(|| self.node.next_publication_id()));
        self.node.broker.publish(None, &draft, self.node.clock.now())?;
        Ok(id)
    }

    fn word(mut self, word: &str, set: impl FnOnce(&mut Draft, Arc<str>)) -> Self {
        if word.len() > WORD_BYTES_MAX {
            self.fail(PushError::BadWord(word.into()));
        } else {
            self.change(|draft| set(draft, word.into()));
        }
        self
    }

    fn change(&mut self, change: impl FnOnce(&mut Draft)) {
        if let Ok(draft) = &mut self.draft {
            change(draft);
        }
    }

    /// Keeps the first thing that is wrong.
    fn fail(&mut self, error: PushError) {
        if self.draft.is_ok() {
            self.draft = Err(error);
        }
    }
}

/// Whoever is named twice gets one message.
fn once_each<N: Ord>(mut names: Vec<N>) -> Vec<N> {
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::Post;
    use crate::testing;
    use epush_core::mail::Mail;
    use std::sync::atomic::Ordering;

    fn frames(bench: &testing::Bench, shard: usize) -> Vec<String> {
        match bench.inboxes[shard].take() {
            Some(Post::Mail(Mail::Publish { publication, report: None })) => {
                publication.frames.iter().map(|frame| String::from_utf8_lossy(frame).into_owned()).collect()
            }
            _ => panic!("expected a publication"),
        }
    }

    #[test]
    fn a_push_reaches_every_shard_as_it_was_built() {
        let bench = testing::bench(2, 10_000);
        let pusher = Pusher::new(Arc::clone(&bench.node));
        let push = pusher.to_user("42").kind("order.paid").module("shop").from("7").json(&[1]).expect("JSON");
        let id = push.push().expect("room");
        for shard in 0..2 {
            let frame = &frames(&bench, shard)[0];
            assert!(frame.contains(r#""user":"42""#) && frame.contains(r#""type":"order.paid""#), "{frame}");
            assert!(frame.contains(r#""module":"shop","from":"7""#) && frame.contains(&format!("\"id\":\"{id}\"")));
            assert!(frame.ends_with(r#""data":[1]}"#));
        }
    }

    #[test]
    fn who_is_named_twice_gets_one_message() {
        let bench = testing::bench(1, 10_000);
        let pusher = Pusher::new(Arc::clone(&bench.node));
        pusher.to_users(["9", "7", "9"]).json(&1).expect("JSON").push().expect("room");
        assert_eq!(frames(&bench, 0).len(), 2);
        pusher.to_channels(["news", "news"]).json(&1).expect("JSON").push().expect("room");
        assert_eq!(frames(&bench, 0).len(), 1);
    }

    #[test]
    fn raw_bytes_must_be_json_and_are_passed_through() {
        let bench = testing::bench(1, 10_000);
        let pusher = Pusher::new(Arc::clone(&bench.node));
        pusher.raw(Target::All, &br#"{ "n": 1.50 }"#[..]).expect("JSON");
        assert!(frames(&bench, 0)[0].ends_with(r#""data":{ "n": 1.50 }}"#));
        for bytes in [&b"{"[..], b"", b"1 2", b"\"\xff\""] {
            assert!(matches!(pusher.raw(Target::All, bytes), Err(PushError::BadJson(_))), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_wrong_comes_out_typed_and_nobody_gets_it() {
        let bench = testing::bench(1, 200);
        let pusher = Pusher::new(Arc::clone(&bench.node));
        assert!(matches!(pusher.to_user("").push(), Err(PushError::BadUser(_))));
        assert!(matches!(pusher.to_channel("a b").kind("x").push(), Err(PushError::BadChannel(_))));
        assert!(matches!(pusher.to_all().kind(&"x".repeat(129)).push(), Err(PushError::BadWord(_))));
        let crowd = (0..=USERS_PER_PUSH_MAX).map(|number| number.to_string());
        assert!(matches!(pusher.to_users(crowd).push(), Err(PushError::TooManyTargets)));
        let large = pusher.to_all().json(&"x".repeat(500)).expect("JSON");
        assert!(matches!(large.push(), Err(PushError::TooLarge)));
        assert!(bench.inboxes[0].is_empty());

        pusher.to_all().push().expect("room");
        assert!(matches!(pusher.to_all().push(), Err(PushError::Full)));
        bench.node.stopped.store(true, Ordering::Release);
        assert!(matches!(pusher.to_all().push(), Err(PushError::Stopped)));
    }
}
