//! What the application is sent, and what its answers mean. No I/O.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

use epush_core::effect::Handshake;
use epush_core::error::{ErrorCode, Refusal};
use epush_core::mail::{Identity, Verdict};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::AskCall;
use crate::auth::{channels_of, object_of, user_of};

/// Characters of an application's own words that are passed on to a client.
const MESSAGE_CHARS_MAX: usize = 200;

/// A response: the status and the whole body.
pub(super) struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

/// The body of a handshake call. `verified` is whether `user` comes from a checked token; else it is a mere claim.
pub(super) fn handshake_body(node: &str, handshake: &Handshake, so_far: &Identity) -> Vec<u8> {
    #[derive(Serialize)]
    struct Body<'a> {
        node: &'a str,
        remote: IpAddr,
        path: &'a str,
        query: BTreeMap<&'a str, &'a str>,
        headers: BTreeMap<&'a str, Cow<'a, str>>,
        user: Option<&'a str>,
        verified: bool,
        token: Option<&'a str>,
    }
    let user = so_far.user.as_ref().or(handshake.claimed_user.as_ref());
    to_json(&Body {
        node,
        remote: handshake.remote,
        path: &handshake.path,
        query: first_of_each(&handshake.query),
        headers: joined(&handshake.headers),
        user: user.map(|user| user.as_str()),
        verified: so_far.user.is_some(),
        token: handshake.token.as_deref(),
    })
}

/// The body of an ask call.
pub(super) fn ask_body(node: &str, ask: &AskCall) -> Vec<u8> {
    #[derive(Serialize)]
    struct Body<'a> {
        node: &'a str,
        session: &'a str,
        user: Option<&'a str>,
        #[serde(rename = "type")]
        kind: &'a str,
        data: &'a RawValue,
    }
    let user = ask.user.as_ref().map(|user| user.as_str());
    to_json(&Body { node, session: &ask.session, user, kind: &ask.kind, data: &ask.data })
}

fn to_json(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("texts and JSON values always serialize into a Vec")
}

/// The first value of each name: the one the engine's own rules take.
fn first_of_each(pairs: &[(Box<str>, Box<str>)]) -> BTreeMap<&str, &str> {
    let mut first = BTreeMap::new();
    for (name, value) in pairs {
        first.entry(&**name).or_insert(&**value);
    }
    first
}

/// Header lines of one name joined as RFC 9110 §5.3 and, for cookies, RFC 9113 §8.2.3 allow.
fn joined(lines: &[(Box<str>, Box<str>)]) -> BTreeMap<&str, Cow<'_, str>> {
    let mut all: BTreeMap<&str, Cow<'_, str>> = BTreeMap::new();
    for (name, value) in lines {
        let separator = if &**name == "cookie" { "; " } else { ", " };
        all.entry(name)
            .and_modify(|whole| *whole = format!("{whole}{separator}{value}").into())
            .or_insert(Cow::Borrowed(value));
    }
    all
}

/// What the application decided about a handshake. Err: its answer is none, and why.
pub(super) fn read_verdict(answer: &Answer, so_far: &Identity) -> Result<Verdict, String> {
    match answer.status {
        200 => read_identity(&answer.body, so_far).map(Verdict::Accept).map_err(String::from),
        status @ 400..=499 => {
            let message = own_words(&answer.body).unwrap_or_else(|| "refused".to_owned());
            Ok(Verdict::Refuse { status, message: message.into() })
        }
        status => Err(format!("status {status}")),
    }
}

/// The identity an accepting application gave. What it left out stays as the token had it; a token's end holds even
/// where the application names a later one.
fn read_identity(body: &[u8], so_far: &Identity) -> Result<Identity, &'static str> {
    #[derive(Deserialize)]
    struct Body {
        /// Left out is not the same as `null`, which makes the session anonymous.
        #[serde(default, deserialize_with = "even_null")]
        user: Option<Box<RawValue>>,
        attributes: Option<Box<RawValue>>,
        channels: Option<Box<RawValue>>,
        expires_unix_ms: Option<u64>,
    }
    // A list would be taken for the struct's fields in order.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err("not a JSON object");
    }
    let body: Body = serde_json::from_slice(body).map_err(|_| "not the JSON object of a handshake")?;
    let mut identity = so_far.clone();
    identity.must_sign_in = false;
    match body.user {
        Some(user) if user.get() == "null" => identity.user = None,
        Some(user) => identity.user = Some(user_of(&user).ok_or("\"user\" is no user's name")?),
        None => {}
    }
    if let Some(attributes) = body.attributes {
        identity.attributes = Some(object_of(attributes).ok_or("\"attributes\" is no object of up to 4096 bytes")?);
    }
    if let Some(channels) = body.channels {
        identity.channels = channels_of(&channels).ok_or("\"channels\" is no list of channel names")?;
    }
    if let Some(expires) = body.expires_unix_ms {
        identity.expires_unix_ms = Some(identity.expires_unix_ms.map_or(expires, |token| token.min(expires)));
    }
    Ok(identity)
}

fn even_null<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::deserialize(value).map(Some)
}

/// The application's reply to an ask. Err: its answer is none, and why.
pub(super) fn read_reply(answer: &Answer) -> Result<Result<Box<RawValue>, Refusal>, String> {
    let code = match answer.status {
        200 | 204 => return read_json(&answer.body).map(Ok),
        400 => ErrorCode::BadRequest,
        403 => ErrorCode::Forbidden,
        404 => ErrorCode::NotFound,
        429 => ErrorCode::RateLimited,
        status => return Err(format!("status {status}")),
    };
    Ok(Err(Refusal::new(code, own_words(&answer.body).unwrap_or_else(|| "the application refused".to_owned()))))
}

/// The document a url schedule pushes, or why there is none.
pub(super) fn read_document(answer: &Answer) -> Result<Box<RawValue>, String> {
    match answer.status {
        200 => serde_json::from_slice(&answer.body).map_err(|error| format!("not JSON: {error}")),
        status => Err(format!("status {status}")),
    }
}

fn read_json(body: &[u8]) -> Result<Box<RawValue>, String> {
    if body.trim_ascii().is_empty() {
        return Ok(RawValue::NULL.to_owned());
    }
    serde_json::from_slice(body).map_err(|error| format!("not JSON: {error}"))
}

/// What the application says to the person it refuses: its error message, else the first line.
fn own_words(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Body {
        error: Words,
    }
    #[derive(Deserialize)]
    struct Words {
        message: String,
    }
    let text = match serde_json::from_slice::<Body>(body) {
        Ok(body) => body.error.message,
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    let line = text.trim().lines().next().unwrap_or_default();
    let words: String = line.chars().filter(|char| !char.is_control()).take(MESSAGE_CHARS_MAX).collect();
    (!words.is_empty()).then_some(words)
}

#[cfg(test)]
mod tests {
    use epush_core::id::ConnId;
    use epush_core::message::UserName;

    use super::*;

    fn name(text: &str) -> Option<UserName> {
        UserName::parse(text)
    }

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, body: body.into() }
    }

    fn verified() -> Identity {
        let attributes = RawValue::from_string("{\"plan\":1}".into()).ok();
        Identity { user: name("42"), attributes, expires_unix_ms: Some(1_000), ..Identity::default() }
    }

    fn accepted(body: &str, so_far: &Identity) -> Identity {
        match read_verdict(&answer(200, body), so_far) {
            Ok(Verdict::Accept(identity)) => identity,
            other => panic!("{body}: {other:?}"),
        }
    }

    fn refused(status: u16, body: &str) -> (u16, String) {
        match read_verdict(&answer(status, body), &Identity::default()) {
            Ok(Verdict::Refuse { status, message }) => (status, message.into()),
            other => panic!("{body}: {other:?}"),
        }
    }

    #[test]
    fn a_handshake_is_told_as_the_client_made_it() {
        let pairs =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let handshake = Handshake {
            conn: ConnId { index: 0, generation: 0 },
            remote: [10, 0, 0, 7].into(),
            path: "/msg".into(),
            query: pairs(&[("user", "42"), ("v", "\"1\""), ("user", "43")]),
            headers: pairs(&[("cookie", "a=1"), ("origin", "http://x"), ("cookie", "b=2"), ("via", "1"), ("via", "2")]),
            token: Some("opaque".into()),
            claimed_user: name("42"),
            claims_bad_user: false,
        };
        let text = |so_far: &Identity| String::from_utf8(handshake_body("n1", &handshake, so_far)).expect("UTF-8");
        assert_eq!(
            text(&Identity::default()),
            r#"{"node":"n1","remote":"10.0.0.7","path":"/msg","query":{"user":"42","v":"\"1\""},"#.to_owned()
                + r#""headers":{"cookie":"a=1; b=2","origin":"http://x","via":"1, 2"},"#
                + r#""user":"42","verified":false,"token":"opaque"}"#
        );
        assert!(text(&verified()).contains(r#""user":"42","verified":true"#));
    }

    #[test]
    fn an_ask_carries_its_data_byte_for_byte() {
        let data = RawValue::from_string("{ \"n\": 1.50 }".into()).expect("JSON");
        let conn = ConnId { index: 0, generation: 0 };
        let ask = AskCall { conn, id: "1".into(), kind: "order.status".into(), data, user: None, session: "s".into() };
        assert_eq!(
            String::from_utf8(ask_body("n1", &ask)).expect("UTF-8"),
            r#"{"node":"n1","session":"s","user":null,"type":"order.status","data":{ "n": 1.50 }}"#
        );
    }

    #[test]
    fn an_accepting_application_says_who_the_session_is() {
        let body = r#"{"user":"7","attributes":{"a":[1]},"channels":["news"],"expires_unix_ms":5,"more":true}"#;
        let identity = accepted(body, &Identity::default());
        assert_eq!(identity.user, name("7"));
        assert_eq!(identity.attributes.expect("some").get(), r#"{"a":[1]}"#);
        assert_eq!(identity.channels[0].as_str(), "news");
        assert_eq!(identity.expires_unix_ms, Some(5));
        assert_eq!(accepted(r#"{"user":7}"#, &Identity::default()).user, name("7"));
    }

    #[test]
    fn what_the_application_leaves_out_stays_as_the_token_had_it() {
        let kept = accepted("{}", &verified());
        assert_eq!((kept.user, kept.expires_unix_ms), (name("42"), Some(1_000)));
        assert!(kept.attributes.is_some());
        assert_eq!(accepted(r#"{"user":null}"#, &verified()).user, None);
        assert_eq!(accepted("{}", &Identity::default()).user, None);
    }

    #[test]
    fn the_earlier_end_holds() {
        assert_eq!(accepted(r#"{"expires_unix_ms":900}"#, &verified()).expires_unix_ms, Some(900));
        assert_eq!(accepted(r#"{"expires_unix_ms":1100}"#, &verified()).expires_unix_ms, Some(1_000));
    }

    #[test]
    fn an_answer_that_makes_no_sense_is_no_acceptance() {
        let long = format!(r#"{{"attributes":{{"a":"{}"}}}}"#, "x".repeat(4096));
        for body in [
            "",
            "ok",
            "[]",
            r#"["7"]"#,
            "null",
            "{} {}",
            r#"{"user":""}"#,
            r#"{"user":[7]}"#,
            r#"{"attributes":[]}"#,
            r#"{"channels":"news"}"#,
            r#"{"channels":["a b"]}"#,
            r#"{"expires_unix_ms":-1}"#,
            &long,
        ] {
            assert!(read_verdict(&answer(200, body), &Identity::default()).is_err(), "{body}");
        }
        for status in [100, 201, 204, 302, 500, 503] {
            assert!(read_verdict(&answer(status, "{}"), &Identity::default()).is_err(), "{status}");
        }
    }

    #[test]
    fn a_refusal_carries_the_status_and_the_applications_words() {
        assert_eq!(refused(403, r#"{"error":{"code":"x","message":"not today"}}"#), (403, "not today".into()));
        assert_eq!(refused(401, "who?\nmore"), (401, "who?".into()));
        assert_eq!(refused(418, ""), (418, "refused".into()));
        assert_eq!(refused(400, "a\tb\u{1b}[31m"), (400, "ab[31m".into()));
        assert_eq!(refused(400, &"é".repeat(1_000)).1.chars().count(), MESSAGE_CHARS_MAX);
    }

    #[test]
    fn a_reply_is_any_json_and_nothing_is_null() {
        for (status, body, reply) in [
            (200, "{ \"a\": 1 }", "{ \"a\": 1 }"),
            (200, "", "null"),
            (200, " \n", "null"),
            (204, "", "null"),
            (200, "7", "7"),
        ] {
            let outcome = read_reply(&answer(status, body)).expect(body).expect(body);
            assert_eq!(outcome.get(), reply);
        }
        assert!(read_reply(&answer(200, "{")).is_err());
    }

    #[test]
    fn a_refused_ask_has_the_code_that_fits_the_status() {
        let code = |status| read_reply(&answer(status, "no")).map(|outcome| outcome.expect_err("refused").code);
        assert_eq!(code(400), Ok(ErrorCode::BadRequest));
        assert_eq!(code(403), Ok(ErrorCode::Forbidden));
        assert_eq!(code(404), Ok(ErrorCode::NotFound));
        assert_eq!(code(429), Ok(ErrorCode::RateLimited));
        for status in [401, 409, 500, 301] {
            assert!(code(status).is_err(), "{status}");
        }
    }

    #[test]
    fn a_document_is_json_with_status_200() {
        assert_eq!(read_document(&answer(200, "[1]")).expect("a document").get(), "[1]");
        assert_eq!(read_document(&answer(404, "[1]")).expect_err("none"), "status 404");
        assert!(read_document(&answer(200, "")).is_err());
    }
}
