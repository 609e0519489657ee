//! The request that opens a WebSocket, and its answer: RFC 6455 §4.1.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use httparse::{EMPTY_HEADER, Response, Status};
use tungstenite::handshake::derive_accept_key;

use super::Ended;
use crate::dialect::template::{Fill, Template};
use crate::plan::Plan;

/// Bytes of an answer's head: what browsers take at least, and more than any server needs.
pub const HEAD_MAX: usize = 16_384;

/// Header lines of an answer.
const HEADERS_MAX: usize = 64;

/// Bytes of a refusal's body that are kept as an example.
const BODY_MAX: usize = 200;

/// Appends the request. `nonce` makes its key.
pub fn write_request(plan: &Plan, who: &Fill<'_>, nonce: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"GET ");
    let path = plan.path.as_ref().unwrap_or(&plan.words.path);
    let from = out.len();
    path.expand_in_url(who, out);
    if out.get(from) != Some(&b'/') {
        out.insert(from, b'/');
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
    let own = plan.scenario.target.headers.iter();
    let names_host = own.clone().any(|(name, _)| name.eq_ignore_ascii_case("host"));
    if !names_host {
        line("Host", plan.url.authority().as_bytes(), out);
    }
    out.extend_from_slice(b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n");
    line("Sec-WebSocket-Key", key(nonce).as_bytes(), out);
    if let Some(subprotocol) = &plan.words.subprotocol {
        line("Sec-WebSocket-Protocol", subprotocol.as_bytes(), out);
    }
    for (name, value) in &plan.words.headers {
        filled_line(name, value, who, out);
    }
    for (name, value) in own {
        line(name, value.as_bytes(), out);
    }
    out.extend_from_slice(b"\r\n");
}

/// Reads the answer: the bytes of its head, when it is whole and says yes.
///
/// # Errors
/// It says no, or nonsense.
pub fn read_answer(bytes: &[u8], nonce: u64, subprotocol: Option<&str>) -> Result<Option<usize>, Ended> {
    let mut headers = [EMPTY_HEADER; HEADERS_MAX];
    let mut response = Response::new(&mut headers);
    let head_bytes = match response.parse(bytes) {
        Ok(Status::Complete(head_bytes)) => head_bytes,
        Ok(Status::Partial) if bytes.len() < HEAD_MAX => return Ok(None),
        Ok(Status::Partial) => return Err(wrong("a head of over 16 KiB")),
        Err(error) => return Err(Ended::failed("the answer is no HTTP", &format!("{error}: {}", first_line(bytes)))),
    };
    let status = response.code.unwrap_or_default();
    if status != 101 {
        let reason = response.reason.unwrap_or_default();
        let body = first_line(&bytes[head_bytes..]);
        return Err(Ended::failed(&format!("handshake answered {status}"), format!("{reason} {body}").trim()));
    }
    check(&response, nonce, subprotocol)?;
    Ok(Some(head_bytes))
}

fn check(response: &Response<'_, '_>, nonce: u64, subprotocol: Option<&str>) -> Result<(), Ended> {
    let value = |name: &str| {
        let header = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(header.value).ok()
    };
    let has = |name: &str, token: &str| {
        value(name).is_some_and(|list| list.split(',').any(|item| item.trim().eq_ignore_ascii_case(token)))
    };
    if !has("Upgrade", "websocket") || !has("Connection", "upgrade") {
        return Err(wrong("101, but no upgrade to websocket"));
    }
    if value("Sec-WebSocket-Accept") != Some(derive_accept_key(key(nonce).as_bytes()).as_str()) {
        return Err(wrong("Sec-WebSocket-Accept is not that of the key"));
    }
    if value("Sec-WebSocket-Extensions").is_some() {
        return Err(wrong("an extension that was not asked for"));
    }
    match value("Sec-WebSocket-Protocol") {
        Some(chosen) if Some(chosen) != subprotocol => Err(wrong("a subprotocol that was not asked for")),
        _ => Ok(()),
    }
}

/// The key of the request: 16 bytes that differ for every connection.
fn key(nonce: u64) -> String {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&nonce.to_le_bytes());
    bytes[8..].copy_from_slice(&nonce.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    STANDARD.encode(bytes)
}

fn wrong(what: &str) -> Ended {
    Ended::failed("the handshake's answer is wrong", what)
}

fn line(name: &str, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn filled_line(name: &str, value: &Template, who: &Fill<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    value.expand(who, out);
    out.extend_from_slice(b"\r\n");
}

fn first_line(bytes: &[u8]) -> String {
    let line = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    String::from_utf8_lossy(&line[..line.len().min(BODY_MAX)]).into_owned()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The answer a good server gives to this request.
    pub fn good_answer(request: &[u8]) -> String {
        let request = std::str::from_utf8(request).unwrap();
        let key = request.split_once("Sec-WebSocket-Key: ").unwrap().1.split_once("\r\n").unwrap().0;
        let accept = derive_accept_key(key.as_bytes());
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        )
    }

    fn request(text: &str) -> String {
        let plan =
            Plan::new(toml::from_str(&format!("name = \"test\"\n[[group]]\nclients = 1\n{text}")).unwrap()).unwrap();
        let mut out = Vec::new();
        write_request(&plan, &Fill { client: 7, user: "a b", ..Fill::default() }, 42, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_request_has_what_the_target_and_the_dialect_say() {
        let words = request(
            "[target]\nurl = \"ws://push.example:81\"\nheaders = { Authorization = \"Bearer x\" }\n\
             [dialect]\npath = \"msg/{user}?n={client}\"\nsubprotocol = \"v12.stomp\"\nheaders = { X-User = \"{user}\" }",
        );
        assert!(words.starts_with("GET /msg/a%20b?n=7 HTTP/1.1\r\nHost: push.example:81\r\n"), "{words}");
        for line in
            ["Sec-WebSocket-Protocol: v12.stomp", "X-User: a b", "Authorization: Bearer x", "Sec-WebSocket-Version: 13"]
        {
            assert!(words.contains(&format!("\r\n{line}\r\n")), "{words}");
        }
        assert!(words.ends_with("\r\n\r\n"));
    }

    #[test]
    fn a_url_with_a_path_and_a_header_host_win() {
        let words = request("[target]\nurl = \"ws://h/own/{client}\"\nheaders = { host = \"other\" }");
        assert!(words.starts_with("GET /own/7 HTTP/1.1\r\nUpgrade"), "{words}");
        assert!(words.contains("\r\nhost: other\r\n"));
    }

    #[test]
    fn a_good_answer_is_read_when_it_is_whole() {
        let answer = good_answer(request("").as_bytes());
        assert_eq!(read_answer(answer.as_bytes(), 42, None), Ok(Some(answer.len())));
        let with_frame = format!("{answer}\u{1}");
        assert_eq!(read_answer(with_frame.as_bytes(), 42, None), Ok(Some(answer.len())));
        for cut in 0..answer.len() {
            assert_eq!(read_answer(&answer.as_bytes()[..cut], 42, None), Ok(None));
        }
    }

    #[test]
    fn a_wrong_answer_is_refused_with_what_is_wrong() {
        let good = good_answer(request("").as_bytes());
        let kind = |answer: &str| match read_answer(answer.as_bytes(), 42, Some("a")).unwrap_err() {
            Ended::Failed { kind, example } => (kind, example),
            Ended::Closed => panic!("it is no goodbye"),
        };
        let forbidden = kind("HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\nno entry\nfor you");
        assert_eq!(forbidden, ("handshake answered 403".into(), "Forbidden no entry".into()));
        assert_eq!(kind("SSH-2.0-OpenSSH_9.2\r\n").0, "the answer is no HTTP");
        for (from, to, what) in [
            ("Accept: ", "Accept: x", "not that of the key"),
            ("Upgrade: websocket", "Upgrade: h2c", "no upgrade"),
            ("\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n", "an extension"),
            ("\r\n\r\n", "\r\nSec-WebSocket-Protocol: b\r\n\r\n", "a subprotocol"),
        ] {
            let (kind, example) = kind(&good.replacen(from, to, 1));
            assert_eq!(kind, "the handshake's answer is wrong");
            assert!(example.contains(what), "{example}");
        }
        let chosen = good.replacen("\r\n\r\n", "\r\nSec-WebSocket-Protocol: a\r\n\r\n", 1);
        assert!(read_answer(chosen.as_bytes(), 42, Some("a")).is_ok());
        let endless = format!("HTTP/1.1 101 x\r\na: {}", "b".repeat(HEAD_MAX));
        assert!(kind(&endless).1.contains("16 KiB"));
    }
}
