//! A dialect made ready to work with: its texts taken apart once, its searches prepared.

use memchr::memmem::Finder;

use super::pattern::{Pattern, whole_number};
use super::template::{OF_CLIENT, OF_EVERY, OF_MESSAGE, OF_SUBSCRIPTION, Template};
use super::{Dialect, HttpPublish, Step};
use crate::plan::Destination;

/// The words of a server.
#[derive(Debug)]
pub struct Words {
    /// Path and query of the handshake.
    pub path: Template,
    /// Header lines of the handshake.
    pub headers: Vec<(String, Template)>,
    /// `Sec-WebSocket-Protocol`.
    pub subprotocol: Option<String>,
    /// Before anything else.
    pub open: Vec<StepWords>,
    /// Once for every channel.
    pub subscribe: Option<StepWords>,
    /// For a periodic push.
    pub every: Option<StepWords>,
    /// What is answered.
    pub answers: Vec<AnswerWords>,
    /// What is sent every so often.
    pub keepalive: Option<Template>,
    /// Goodbye.
    pub leave: Option<Template>,
    /// To have a payload back.
    pub echo: Template,
    /// To another user.
    pub send_user: Option<Template>,
    /// To a channel.
    pub publish: Option<Template>,
    /// To everybody.
    pub publish_all: Option<Template>,
    /// To a user, from a publisher.
    pub publish_user: Option<Template>,
    /// Publications as requests.
    pub http: Option<HttpWords>,
    /// The sender's time in messages that the tool did not publish.
    pub pattern: Option<Pattern>,
    /// A periodic push.
    pub tick: Option<Search>,
    /// Between messages that share a frame.
    pub separator: Option<Search>,
    /// An announced loss, and what stands before its number.
    pub gap: Option<(Search, Option<Search>)>,
    /// A refusal.
    pub error: Option<Search>,
    /// What clients send is binary.
    pub binary: bool,
}

/// A text to look for.
pub type Search = Finder<'static>;

/// A step.
#[derive(Debug)]
pub struct StepWords {
    /// Waited for before.
    pub after: Option<Search>,
    /// Sent.
    pub send: Option<Template>,
    /// Waited for after.
    pub until: Option<Search>,
}

/// An answer.
#[derive(Debug)]
pub struct AnswerWords {
    when: Vec<u8>,
    is_beginning: bool,
    /// What is sent.
    pub send: Template,
}

/// A publication as a request.
#[derive(Debug)]
pub struct HttpWords {
    /// `POST`, as a rule.
    pub method: String,
    /// Path to a channel, to everybody, to a user.
    pub path: [Template; 3],
    /// Body to a channel, to everybody, to a user: `None` where the server has no such thing.
    pub body: [Option<Template>; 3],
    /// Header lines.
    pub headers: Vec<(String, Template)>,
    /// Several requests may be under way.
    pub pipelined: bool,
    /// What makes an answer's body a refusal.
    pub refused: Option<Search>,
}

impl Words {
    /// Takes a dialect's texts apart.
    ///
    /// # Errors
    /// A text with a place that nothing can be filled in, in words.
    pub fn new(dialect: &Dialect) -> Result<Self, String> {
        let optional = |text: &Option<String>, what: &str, allowed| {
            text.as_deref().map(|text| template(text, what, allowed)).transpose()
        };
        Ok(Self {
            path: template(&dialect.path, "path", OF_SUBSCRIPTION)?,
            headers: headers(&dialect.headers, "headers", OF_CLIENT)?,
            subprotocol: dialect.subprotocol.clone(),
            open: dialect.open.iter().map(|step| StepWords::new(step, "open", OF_CLIENT)).collect::<Result<_, _>>()?,
            subscribe: step(dialect.subscribe.as_ref(), "subscribe", OF_SUBSCRIPTION)?,
            every: step(dialect.every.as_ref(), "every", OF_EVERY)?,
            answers: dialect.answer.iter().map(AnswerWords::new).collect::<Result<_, _>>()?,
            keepalive: match &dialect.keepalive {
                Some(keepalive) => Some(template(&keepalive.send, "keepalive.send", OF_CLIENT)?),
                None => None,
            },
            leave: optional(&dialect.leave, "leave", OF_CLIENT)?,
            echo: template(dialect.echo.as_deref().unwrap_or("{payload}"), "echo", OF_MESSAGE)?,
            send_user: optional(&dialect.send_user, "send_user", OF_MESSAGE)?,
            publish: optional(&dialect.publish, "publish", OF_MESSAGE)?,
            publish_all: optional(&dialect.publish_all, "publish_all", OF_MESSAGE)?,
            publish_user: optional(&dialect.publish_user, "publish_user", OF_MESSAGE)?,
            http: dialect.http.as_ref().map(HttpWords::new).transpose()?,
            pattern: dialect.message.stamp.as_deref().map(Pattern::parse).transpose()?,
            tick: dialect.message.every.as_deref().map(search),
            separator: dialect.message.separator.as_deref().filter(|text| !text.is_empty()).map(search),
            gap: dialect.gap.as_ref().map(|gap| (search(&gap.contains), gap.count.as_deref().map(search))),
            error: dialect.error.as_deref().map(search),
            binary: dialect.binary,
        })
    }

    /// What a publisher sends over its WebSocket to reach a destination.
    #[must_use]
    pub const fn over_websocket(&self, to: &Destination) -> Option<&Template> {
        match to {
            Destination::Channel(_) => self.publish.as_ref(),
            Destination::All => self.publish_all.as_ref(),
            Destination::User(_) => match &self.publish_user {
                Some(own) => Some(own),
                None => self.send_user.as_ref(),
            },
        }
    }

    /// Path and body of a request that reaches a destination.
    #[must_use]
    pub fn by_http(&self, to: &Destination) -> Option<(&Template, &Template)> {
        let http = self.http.as_ref()?;
        let at = match to {
            Destination::Channel(_) => 0,
            Destination::All => 1,
            Destination::User(_) => 2,
        };
        Some((&http.path[at], http.body[at].as_ref()?))
    }

    /// How many messages a frame announces as lost. `None`: it is no such frame.
    #[must_use]
    pub fn announced(&self, frame: &[u8]) -> Option<u64> {
        let (contains, count) = self.gap.as_ref()?;
        contains.find(frame)?;
        let Some(before) = count else { return Some(1) };
        let at = before.find(frame)? + before.needle().len();
        Some(whole_number(&frame[at..])?.0)
    }
}

impl StepWords {
    fn new(step: &Step, what: &str, allowed: &[&str]) -> Result<Self, String> {
        Ok(Self {
            after: step.after.as_deref().map(search),
            send: step.send.as_deref().map(|text| template(text, &format!("{what}.send"), allowed)).transpose()?,
            until: step.until.as_deref().map(search),
        })
    }
}

impl AnswerWords {
    fn new(answer: &super::Answer) -> Result<Self, String> {
        let (when, is_beginning) = match answer.when.strip_suffix('*') {
            Some(beginning) => (beginning, true),
            None => (answer.when.as_str(), false),
        };
        let send = template(&answer.send, "answer.send", OF_CLIENT)?;
        Ok(Self { when: when.into(), is_beginning, send })
    }

    /// Whether this frame wants it.
    #[must_use]
    pub fn fits(&self, frame: &[u8]) -> bool {
        if self.is_beginning { frame.starts_with(&self.when) } else { frame == self.when }
    }
}

impl HttpWords {
    fn new(http: &HttpPublish) -> Result<Self, String> {
        let path = |own: &str, what: &str| template(if own.is_empty() { &http.path } else { own }, what, OF_MESSAGE);
        let body = |text: &str, what: &str| template(text, what, OF_MESSAGE);
        Ok(Self {
            method: if http.method.is_empty() { String::from("POST") } else { http.method.clone() },
            path: [
                path(&http.path, "http.path")?,
                path(&http.path_all, "http.path_all")?,
                path(&http.path_user, "http.path_user")?,
            ],
            body: [
                (!http.body.is_empty()).then(|| body(&http.body, "http.body")).transpose()?,
                http.body_all.as_deref().map(|text| body(text, "http.body_all")).transpose()?,
                http.body_user.as_deref().map(|text| body(text, "http.body_user")).transpose()?,
            ],
            headers: headers(&http.headers, "http.headers", OF_MESSAGE)?,
            pipelined: http.pipelined,
            refused: http.refused.as_deref().filter(|text| !text.is_empty()).map(search),
        })
    }
}

fn step(step: Option<&Step>, what: &str, allowed: &[&str]) -> Result<Option<StepWords>, String> {
    step.map(|step| StepWords::new(step, what, allowed)).transpose()
}

fn template(text: &str, what: &str, allowed: &[&str]) -> Result<Template, String> {
    Template::parse(text, &format!("dialect.{what}"), allowed)
}

fn headers(
    lines: &std::collections::BTreeMap<String, String>,
    what: &str,
    allowed: &[&str],
) -> Result<Vec<(String, Template)>, String> {
    lines.iter().map(|(name, value)| Ok((name.clone(), template(value, what, allowed)?))).collect()
}

fn search(text: &str) -> Search {
    Finder::new(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::{Answer, Gap};

    #[test]
    fn an_answer_wants_the_whole_frame_or_its_beginning() {
        let words = |when: &str| AnswerWords::new(&Answer { when: when.into(), send: "3".into() }).unwrap();
        assert!(words("2").fits(b"2"));
        assert!(!words("2").fits(b"42[]"), "an event is no heartbeat");
        assert!(!words("2").fits(b"2probe"));
        assert!(words("2*").fits(b"2probe"));
    }

    #[test]
    fn an_announced_loss_has_its_number() {
        let gap = Gap { contains: r#""op":"gap""#.into(), count: Some(r#""count":"#.into()) };
        let words = Words::new(&Dialect { gap: Some(gap.clone()), ..Dialect::default() }).unwrap();
        assert_eq!(words.announced(br#"{"op":"gap","channel":"news","count":31,"reason":"slow_consumer"}"#), Some(31));
        assert_eq!(words.announced(br#"{"op":"ok","count":31}"#), None);
        assert_eq!(words.announced(br#"{"op":"gap","count":"many"}"#), None);
        let one = Words::new(&Dialect { gap: Some(Gap { count: None, ..gap }), ..Dialect::default() }).unwrap();
        assert_eq!(one.announced(br#"{"op":"gap"}"#), Some(1));
    }

    #[test]
    fn a_mistake_names_its_key() {
        let step = Step { send: Some("{channel}".into()), ..Step::default() };
        let words = Words::new(&Dialect { open: vec![step], ..Dialect::default() }).unwrap_err();
        assert!(words.starts_with("dialect.open.send: {channel} cannot be filled in here"), "{words}");
    }
}
