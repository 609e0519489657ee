//! From a client's text to a [`Command`].
//!
//! Owns the commands and which fields each of them reads. Must not know whether a session may do what it asks for.

use std::borrow::Cow;
use std::ops::Deref;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::field::{Field, Fields, bad_request, channel, integer, interval_ms, text, types, users, word};
use crate::error::Refusal;
use crate::message::{ChannelName, UserName, is_too_deep};
use crate::settings::OnSlow;

/// What a client's frame says, and how to answer it.
#[derive(Clone, Debug)]
pub struct Incoming<'a> {
    /// The `id` that the answer carries, also when the frame is refused.
    pub id: ReplyId<'a>,
    /// The command, or the `error` that answers the frame.
    pub command: Result<Command<'a>, Refusal>,
}

/// The JSON text of the integer a client chose as `id`, kept as it was written; empty when it chose none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ReplyId<'a>(&'a str);

impl<'a> ReplyId<'a> {
    /// The integer as JSON text, or nothing.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }
}

impl Deref for ReplyId<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        self.0
    }
}

/// What a client wants.
#[derive(Clone, Debug)]
pub enum Command<'a> {
    /// Sign in.
    Hello {
        /// The token, unread.
        token: Cow<'a, str>,
    },
    /// Join a channel.
    Subscribe {
        /// Which.
        channel: ChannelName,
        /// The policy the client asks for.
        on_slow: Option<OnSlow>,
    },
    /// Leave a channel.
    Unsubscribe {
        /// Which.
        channel: ChannelName,
    },
    /// Push to a channel.
    Publish {
        /// Which.
        channel: ChannelName,
        /// `type`.
        kind: Option<Arc<str>>,
        /// The payload as it was written.
        data: &'a RawValue,
    },
    /// Push to users.
    Send {
        /// Who: sorted, each once.
        users: Vec<UserName>,
        /// `type`.
        kind: Option<Arc<str>>,
        /// The payload as it was written.
        data: &'a RawValue,
    },
    /// Start a periodic push to this session, or replace it.
    Every {
        /// The job's name.
        job: Cow<'a, str>,
        /// From push to push; at least 1 and as large as a client likes: add it to a time with `saturating_add`.
        interval_ms: u64,
        /// For the job, as it was written.
        args: Option<&'a RawValue>,
    },
    /// End a periodic push.
    Cancel {
        /// The job's name.
        job: Cow<'a, str>,
    },
    /// Mute message types for the user.
    Mute {
        /// Which: at least one.
        types: Vec<Arc<str>>,
    },
    /// Unmute message types for the user.
    Unmute {
        /// Which: at least one.
        types: Vec<Arc<str>>,
    },
    /// List the user's muted types.
    Muted,
    /// Ask the application.
    Ask {
        /// `type`.
        kind: Cow<'a, str>,
        /// The payload as it was written.
        data: Option<&'a RawValue>,
    },
    /// Count sessions and users.
    Online,
    /// List a channel's members.
    Presence {
        /// Which.
        channel: ChannelName,
    },
    /// Ask for the engine's time.
    Ping,
}

/// Reads one frame. Whatever the text, it never panics, and its time and memory grow with its length only.
#[must_use]
pub fn parse(text: &str) -> Incoming<'_> {
    let (fields, read) = Fields::read(text);
    let id = match fields.optional(Field::Id, integer) {
        Ok(id) => ReplyId(id.unwrap_or_default()),
        Err(refusal) => return Incoming { id: ReplyId::default(), command: Err(refusal) },
    };
    Incoming { id, command: read.and_then(|()| command(&fields)) }
}

fn command<'a>(fields: &Fields<'a>) -> Result<Command<'a>, Refusal> {
    let op = fields.required(Field::Op, text)?;
    Ok(match &*op {
        "hello" => Command::Hello { token: fields.required(Field::Token, text)? },
        "subscribe" => Command::Subscribe {
            channel: fields.required(Field::Channel, channel)?,
            on_slow: fields.optional(Field::OnSlow, |raw| OnSlow::parse(&text(raw)?))?,
        },
        "unsubscribe" => Command::Unsubscribe { channel: fields.required(Field::Channel, channel)? },
        "publish" => Command::Publish {
            channel: fields.required(Field::Channel, channel)?,
            kind: fields.optional(Field::Type, kind)?,
            data: fields.required(Field::Data, shallow)?,
        },
        "send" => Command::Send {
            users: fields.required(Field::Users, users)?,
            kind: fields.optional(Field::Type, kind)?,
            data: fields.required(Field::Data, shallow)?,
        },
        "every" => Command::Every {
            job: fields.required(Field::Job, word)?,
            interval_ms: fields.required(Field::IntervalMs, interval_ms)?,
            args: fields.optional(Field::Args, shallow)?,
        },
        "cancel" => Command::Cancel { job: fields.required(Field::Job, word)? },
        "mute" => Command::Mute { types: fields.required(Field::Types, types)? },
        "unmute" => Command::Unmute { types: fields.required(Field::Types, types)? },
        "muted" => Command::Muted,
        "ask" => {
            Command::Ask { kind: fields.required(Field::Type, word)?, data: fields.optional(Field::Data, shallow)? }
        }
        "online" => Command::Online,
        "presence" => Command::Presence { channel: fields.required(Field::Channel, channel)? },
        "ping" => Command::Ping,
        _ => return Err(bad_request("`op` is none of those the engine knows")),
    })
}

/// JSON that any parser it is passed on to can take.
fn shallow(raw: &RawValue) -> Option<&RawValue> {
    (!is_too_deep(raw)).then_some(raw)
}

fn kind(raw: &RawValue) -> Option<Arc<str>> {
    word(raw).map(Arc::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;
    use proptest::prelude::*;

    fn command_of(text: &str) -> Command<'_> {
        parse(text).command.expect(text)
    }

    /// The sentence of the refusal.
    fn refusal(text: &str) -> String {
        let refusal = parse(text).command.expect_err(text);
        assert_eq!(refusal.code, ErrorCode::BadRequest, "{text}");
        refusal.message.into_owned()
    }

    fn raw(value: Option<&RawValue>) -> Option<&str> {
        value.map(RawValue::get)
    }

    #[test]
    fn hello_has_a_token() {
        let text = r#"{"op":"hello","id":1,"token":"a.b\/c"}"#;
        assert!(matches!(command_of(text), Command::Hello { token } if token == "a.b/c"));
        assert_eq!(parse(text).id.as_str(), "1");
    }

    #[test]
    fn subscribe_and_unsubscribe_have_a_channel() {
        let command = command_of(r#"{"op":"subscribe","id":2,"channel":"news"}"#);
        assert!(matches!(command, Command::Subscribe { channel, on_slow: None } if channel.as_str() == "news"));
        let command = command_of(r#"{"op":"subscribe","id":2,"channel":"news","on_slow":"latest"}"#);
        assert!(matches!(command, Command::Subscribe { on_slow: Some(OnSlow::Latest), .. }));
        let command = command_of(r#"{"op":"unsubscribe","channel":"room.7"}"#);
        assert!(matches!(command, Command::Unsubscribe { channel } if channel.as_str() == "room.7"));
    }

    #[test]
    fn publish_passes_its_data_through_untouched() {
        let text = r#"{"op":"publish","id":4,"channel":"room.7","type":"chat","data": {"n": 1.50, "s":"\ud800"} }"#;
        let Command::Publish { channel, kind, data } = command_of(text) else { panic!("{text}") };
        assert_eq!((channel.as_str(), kind.as_deref()), ("room.7", Some("chat")));
        assert_eq!(data.get(), r#"{"n": 1.50, "s":"\ud800"}"#);
        let command = command_of(r#"{"op":"publish","channel":"a","data":null}"#);
        assert!(matches!(command, Command::Publish { kind: None, data, .. } if data.get() == "null"));
    }

    #[test]
    fn send_takes_users_as_text_and_as_integers_each_once() {
        let text = r#"{"op":"send","id":5,"users":["9",7,"\u0041","9",9],"type":"chat","data":1}"#;
        let Command::Send { users, kind, data } = command_of(text) else { panic!("{text}") };
        assert_eq!(users.iter().map(UserName::as_str).collect::<Vec<_>>(), ["7", "9", "A"]);
        assert_eq!((kind.as_deref(), data.get()), (Some("chat"), "1"));
    }

    #[test]
    fn every_has_a_job_an_interval_and_perhaps_arguments_and_cancel_has_the_job() {
        let text = r#"{"op":"every","id":6,"job":"time","interval_ms":10000,"args":{"current":1,"size":10}}"#;
        let Command::Every { job, interval_ms, args } = command_of(text) else { panic!("{text}") };
        assert_eq!((&*job, interval_ms, raw(args)), ("time", 10_000, Some(r#"{"current":1,"size":10}"#)));
        let command = command_of(r#"{"op":"every","job":"time","interval_ms":1}"#);
        assert!(matches!(command, Command::Every { args: None, .. }));
        let command = command_of(r#"{"op":"cancel","id":7,"job":"time"}"#);
        assert!(matches!(command, Command::Cancel { job } if job == "time"));
    }

    #[test]
    fn mute_and_unmute_have_types_and_muted_has_nothing() {
        let command = command_of(r#"{"op":"mute","id":8,"types":["promo","news"]}"#);
        assert!(matches!(command, Command::Mute { types } if *types == ["promo".into(), "news".into()]));
        let command = command_of(r#"{"op":"unmute","types":["promo"]}"#);
        assert!(matches!(command, Command::Unmute { types } if *types == ["promo".into()]));
        assert!(matches!(command_of(r#"{"op":"muted","id":9}"#), Command::Muted));
    }

    #[test]
    fn ask_has_a_type_and_perhaps_data() {
        let command = command_of(r#"{"op":"ask","id":10,"type":"order.status","data":[1]}"#);
        assert!(matches!(command, Command::Ask { kind, data } if kind == "order.status" && raw(data) == Some("[1]")));
        assert!(matches!(command_of(r#"{"op":"ask","type":"a"}"#), Command::Ask { data: None, .. }));
    }

    #[test]
    fn online_presence_and_ping_ask_the_engine() {
        assert!(matches!(command_of(r#"{"op":"online","id":11}"#), Command::Online));
        let command = command_of(r#"{"op":"presence","id":12,"channel":"room.7"}"#);
        assert!(matches!(command, Command::Presence { channel } if channel.as_str() == "room.7"));
        assert!(matches!(command_of(r#"{"op":"ping","id":13}"#), Command::Ping));
    }

    #[test]
    fn an_id_is_any_integer_kept_as_it_was_written() {
        for id in ["0", "-0", "-7", "18446744073709551616", &"9".repeat(40)] {
            assert_eq!(parse(&format!(r#"{{"id": {id} ,"op":"ping"}}"#)).id.as_str(), id);
            assert_eq!(parse(&format!(r#"{{"op":"nonsense","id":{id}}}"#)).id.as_str(), id, "also when refused");
        }
        assert_eq!(parse(r#"{"op":"ping"}"#).id.as_str(), "");
    }

    #[test]
    fn another_id_is_refused_without_one() {
        for id in ["1.0", "1e3", "\"1\"", "null", "true", "[1]", "{}", &"9".repeat(41)] {
            let text = format!(r#"{{"op":"ping","id":{id}}}"#);
            assert_eq!(parse(&text).id.as_str(), "");
            assert_eq!(refusal(&text), "`id` must be an integer of at most 40 characters");
        }
    }

    #[test]
    fn fields_the_command_does_not_read_are_ignored() {
        let text = r#"{"x":[{}],"channel":7,"data":{},"op":"ping","op ":1,"id":3}"#;
        assert!(matches!(command_of(text), Command::Ping));
    }

    #[test]
    fn keys_may_be_written_with_escapes() {
        assert!(matches!(command_of(r#"{"\u006fp":"p\u0069ng"}"#), Command::Ping));
    }

    #[test]
    fn a_missing_field_is_named() {
        for (text, field) in [
            ("{}", "op"),
            (r#"{"id":1}"#, "op"),
            (r#"{"op":"hello"}"#, "token"),
            (r#"{"op":"subscribe"}"#, "channel"),
            (r#"{"op":"unsubscribe"}"#, "channel"),
            (r#"{"op":"publish","data":1}"#, "channel"),
            (r#"{"op":"publish","channel":"a"}"#, "data"),
            (r#"{"op":"send","data":1}"#, "users"),
            (r#"{"op":"send","users":["7"]}"#, "data"),
            (r#"{"op":"every","interval_ms":1}"#, "job"),
            (r#"{"op":"every","job":"a"}"#, "interval_ms"),
            (r#"{"op":"cancel"}"#, "job"),
            (r#"{"op":"mute"}"#, "types"),
            (r#"{"op":"unmute"}"#, "types"),
            (r#"{"op":"ask"}"#, "type"),
            (r#"{"op":"presence"}"#, "channel"),
        ] {
            assert_eq!(refusal(text), format!("`{field}` is missing"), "{text}");
        }
    }

    #[test]
    fn a_field_against_its_rule_is_named() {
        let long = "x".repeat(129);
        let word = format!(r#"{{"op":"cancel","job":"{long}"}}"#);
        let channel = format!(r#"{{"op":"subscribe","channel":"{long}"}}"#);
        for (text, field) in [
            (r#"{"op":1}"#, "op"),
            (r#"{"op":"hello","token":1}"#, "token"),
            (r#"{"op":"hello","token":"\ud800"}"#, "token"),
            (r#"{"op":"subscribe","channel":"a b"}"#, "channel"),
            (r#"{"op":"subscribe","channel":""}"#, "channel"),
            (r#"{"op":"subscribe","channel":["a"]}"#, "channel"),
            (&channel, "channel"),
            (r#"{"op":"subscribe","channel":"a","on_slow":"drop"}"#, "on_slow"),
            (r#"{"op":"subscribe","channel":"a","on_slow":1}"#, "on_slow"),
            (r#"{"op":"publish","channel":"a","type":"","data":1}"#, "type"),
            (r#"{"op":"publish","channel":"a","type":"\n","data":1}"#, "type"),
            (r#"{"op":"send","users":[],"data":1}"#, "users"),
            (r#"{"op":"send","users":"7","data":1}"#, "users"),
            (r#"{"op":"send","users":["7",""],"data":1}"#, "users"),
            (r#"{"op":"send","users":[7.5],"data":1}"#, "users"),
            (r#"{"op":"send","users":[null],"data":1}"#, "users"),
            (r#"{"op":"every","job":"a","interval_ms":0}"#, "interval_ms"),
            (r#"{"op":"every","job":"a","interval_ms":-1}"#, "interval_ms"),
            (r#"{"op":"every","job":"a","interval_ms":1.5}"#, "interval_ms"),
            (r#"{"op":"every","job":"a","interval_ms":"1"}"#, "interval_ms"),
            (r#"{"op":"every","job":"a","interval_ms":18446744073709551616}"#, "interval_ms"),
            (&word, "job"),
            (r#"{"op":"mute","types":[]}"#, "types"),
            (r#"{"op":"mute","types":["a",1]}"#, "types"),
            (r#"{"op":"unmute","types":{}}"#, "types"),
            (r#"{"op":"ask","type":1}"#, "type"),
        ] {
            assert!(refusal(text).starts_with(&format!("`{field}` must be ")), "{text}: {}", refusal(text));
        }
    }

    #[test]
    fn an_unknown_op_is_refused_with_the_id() {
        let incoming = parse(r#"{"op":"shout","id":5}"#);
        assert_eq!(incoming.id.as_str(), "5");
        assert!(refusal(r#"{"op":"shout","id":5}"#).contains("`op`"));
    }

    #[test]
    fn a_field_that_comes_twice_is_refused_with_the_id() {
        let text = r#"{"op":"subscribe","id":5,"channel":"a","channel":"b"}"#;
        assert_eq!(parse(text).id.as_str(), "5");
        assert_eq!(refusal(text), "`channel` is there twice");
        let text = r#"{"op":"ping","id":5,"id":5}"#;
        assert_eq!(parse(text).id.as_str(), "");
        assert_eq!(refusal(text), "`id` is there twice");
    }

    #[test]
    fn what_is_no_json_object_is_refused() {
        for text in [
            "",
            " ",
            "null",
            "7",
            "\"op\"",
            "[]",
            r#"[{"op":"ping"}]"#,
            "{",
            r#"{"op":"ping""#,
            r#"{"op":"ping",}"#,
            r#"{"op":"ping"} {}"#,
            r#"{'op':'ping'}"#,
            r#"{op:"ping"}"#,
            r#"{"op":"ping","x":01}"#,
            r#"{"op":"ping","x":"\x"}"#,
            "{\"op\":\"ping\",\"x\":\"\u{1}\"}",
            "\u{feff}{\"op\":\"ping\"}",
        ] {
            assert!(refusal(text).starts_with("the frame is no JSON object: "), "{text}");
        }
    }

    #[test]
    fn users_and_types_over_their_limits_are_refused() {
        let users = |count: usize| format!(r#"{{"op":"send","data":1,"users":[{}7]}}"#, "7,".repeat(count - 1));
        assert!(parse(&users(10_000)).command.is_ok());
        assert!(refusal(&users(10_001)).starts_with("`users` must be "));
        let types = |count: usize| format!(r#"{{"op":"mute","types":[{}"a"]}}"#, "\"a\",".repeat(count - 1));
        assert!(parse(&types(1_024)).command.is_ok());
        assert!(refusal(&types(1_025)).starts_with("`types` must be "));
    }

    #[test]
    fn a_hundred_thousand_brackets_cost_no_stack() {
        let (open, close) = ("[".repeat(100_000), "]".repeat(100_000));
        let objects = r#"{"a":"#.repeat(100_000);
        for field in ["data", "id", "op", "channel", "users", "x"] {
            for value in [open.clone(), format!("{open}{close}"), objects.clone(), format!("[{open}{close}]")] {
                let _ = parse(&format!(r#"{{"op":"send","{field}":{value}}}"#));
            }
        }
        assert!(refusal(&open).contains("object"));
        let publish = |data: &str| format!(r#"{{"op":"publish","channel":"a","data":{data}}}"#);
        let text = publish(&format!("{open}{close}"));
        assert!(parse(&text).command.is_err_and(|refusal| refusal.message.contains("128 deep")));
        let deepest = publish(&format!("{}{}", &open[..128], &close[..128]));
        assert!(matches!(command_of(&deepest), Command::Publish { data, .. } if data.get().len() == 256));
    }

    const FRAMES: [&str; 6] = [
        r#"{"op":"hello","id":1,"token":"eyJ\u00e9"}"#,
        r#"{"op":"subscribe","id":-2,"channel":"news","on_slow":"drop_oldest"}"#,
        r#"{"op":"send","id":5,"users":["7",9],"type":"chat","data":{"a":[1,2.5e3,"é\n"]}}"#,
        r#"{"op":"every","id":6,"job":"time","interval_ms":10000,"args":{"current":1}}"#,
        r#"{"op":"mute","id":8,"types":["promo","a"]}"#,
        r#"{"op":"ask","id":10,"type":"order.status","data":null,"x":{}}"#,
    ];

    /// A frame of ours with some characters replaced, removed and doubled.
    fn mutated() -> impl Strategy<Value = String> {
        let edit = (
            any::<prop::sample::Index>(),
            0..3_u8,
            prop::sample::select(r#"{}[]",:\u0-1e.é "#.chars().collect::<Vec<_>>()),
        );
        (prop::sample::select(&FRAMES[..]), prop::collection::vec(edit, 1..6)).prop_map(|(frame, edits)| {
            let mut chars: Vec<char> = frame.chars().collect();
            for (place, how, with) in edits {
                let place = place.index(chars.len());
                match how {
                    0 => chars[place] = with,
                    1 => chars.insert(place, with),
                    _ if chars.len() > 1 => drop(chars.remove(place)),
                    _ => {}
                }
            }
            chars.into_iter().collect()
        })
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_every_answer_can_carry_the_id(
            text in prop_oneof![any::<String>(), r#"[\{\}\[\]",:0-9a-z\\ ]{0,60}"#, mutated()],
        ) {
            let incoming = parse(&text);
            let mut answer = Vec::new();
            crate::wire::native::reply::ok_plain(&mut answer, &incoming.id);
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&answer).is_ok());
            if incoming.command.is_ok() {
                prop_assert!(serde_json::from_str::<&RawValue>(&text).is_ok(), "only JSON is a command");
            }
        }
    }
}
