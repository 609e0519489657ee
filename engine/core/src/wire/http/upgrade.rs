//! From HTTP to WebSocket: RFC 6455 §4.2. Knows nothing of who may connect.

use smallvec::SmallVec;
use tungstenite::handshake::derive_accept_key;

use super::error::HttpError;
use super::framing::BodyFraming;
use super::head::Head;
use super::response::write_field;
use crate::http::Response;

/// An upgrade request that is as it should be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Upgrade<'b> {
    /// `Sec-WebSocket-Key`, for [`write_switching_protocols`].
    pub key: &'b str,
    /// The page the client's script came from; none: no browser.
    pub origin: Option<&'b str>,
    /// The subprotocols the client offers, the one it likes best first.
    pub subprotocols: SmallVec<[&'b str; 2]>,
}

/// Why a request on a WebSocket path is no upgrade.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UpgradeError {
    /// An ordinary request: 426.
    NotAnUpgrade,
    /// Another method than GET: 405.
    Method,
    /// A version of the protocol other than 13: 426.
    Version,
    /// Against RFC 6455: 400.
    Malformed(&'static str),
}

impl<'b> Upgrade<'b> {
    /// Checks a request as RFC 6455 §4.2.1 demands.
    ///
    /// # Errors
    /// What to answer instead; the connection may go on with another request.
    pub fn check(head: &Head<'b>) -> Result<Self, UpgradeError> {
        use UpgradeError::{Malformed, Method, NotAnUpgrade, Version};
        if head.method() != "GET" {
            return Err(Method);
        }
        let names = |list: &str, word: &str| head.header_list(list).any(|member| member.eq_ignore_ascii_case(word));
        if head.is_http_10() || !names("upgrade", "websocket") || !names("connection", "upgrade") {
            return Err(NotAnUpgrade);
        }
        // Bytes of a body would be taken for frames.
        if !matches!(head.body(), BodyFraming::None | BodyFraming::Length(0)) {
            return Err(Malformed("an upgrade request has no body"));
        }
        if head.single_header("sec-websocket-version") != Some("13") {
            return Err(Version);
        }
        let key = head.single_header("sec-websocket-key").filter(|key| is_key(key));
        Ok(Self {
            key: key.ok_or(Malformed("Sec-WebSocket-Key is 16 bytes in base64"))?,
            origin: match head.header("origin") {
                None => None,
                Some(_) => Some(head.single_header("origin").ok_or(Malformed("more than one Origin"))?),
            },
            subprotocols: head.header_list("sec-websocket-protocol").collect(),
        })
    }

    /// The subprotocol to speak: the first the client offers that is `supported`.
    #[must_use]
    pub fn choose<'s>(&self, supported: &[&'s str]) -> Option<&'s str> {
        self.subprotocols.iter().find_map(|offer| supported.iter().find(|known| *known == offer).copied())
    }
}

impl UpgradeError {
    /// The answer.
    #[must_use]
    pub fn response(self) -> Response {
        let with = |mut response: Response, headers: &[(&'static str, &str)]| {
            response.headers = headers.iter().map(|(name, value)| (*name, Box::from(*value))).collect();
            response
        };
        match self {
            Self::NotAnUpgrade => {
                with(Response::text(426, "this path speaks WebSocket\n"), &[("upgrade", "websocket")])
            }
            Self::Method => with(Response::text(405, "this path speaks WebSocket\n"), &[("allow", "GET")]),
            Self::Version => with(
                Response::text(426, "only version 13 of WebSocket\n"),
                &[("upgrade", "websocket"), ("sec-websocket-version", "13")],
            ),
            Self::Malformed(why) => HttpError::bad(why).response(),
        }
    }
}

/// Appends the response that makes the connection a WebSocket. `key`: as in [`Upgrade::key`].
pub fn write_switching_protocols(out: &mut Vec<u8>, key: &str, subprotocol: Option<&str>) {
    // All of the head, and the `welcome` behind it.
    out.reserve(ANSWER_BYTES);
    out.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n");
    write_field(out, "sec-websocket-accept", &derive_accept_key(key.as_bytes()));
    if let Some(subprotocol) = subprotocol {
        write_field(out, "sec-websocket-protocol", subprotocol);
    }
    out.extend_from_slice(b"\r\n");
}

/// What a 101 and the `welcome` behind it come to, as a rule: they are made in one allocation.
const ANSWER_BYTES: usize = 384;

/// Whether this is 16 bytes in base64. Unused bits of the last digit may be set: some clients draw the text itself.
fn is_key(text: &str) -> bool {
    let digits = text.strip_suffix("==").unwrap_or_default();
    digits.len() == 22 && digits.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/')
}

#[cfg(test)]
mod tests {
    use super::super::parse_head;
    use super::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

    /// The head of a good upgrade with one line replaced, or left out, or added.
    fn request(method_and_version: (&str, &str), name: &str, lines: &str) -> String {
        let (method, version) = method_and_version;
        let mut request = format!("{method} /msg {version}\r\n");
        for line in [
            "Host: x",
            "Upgrade: websocket",
            "Connection: keep-alive, Upgrade",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version: 13",
        ] {
            if !line.starts_with(&format!("{name}:")) {
                request += &format!("{line}\r\n");
            }
        }
        request + lines + "\r\n"
    }

    fn outcome(request: &str) -> Result<String, UpgradeError> {
        let (head, _) = parse_head(request.as_bytes()).expect("valid").expect("whole");
        Upgrade::check(&head).map(|upgrade| format!("{} {:?} {:?}", upgrade.key, upgrade.origin, upgrade.subprotocols))
    }

    fn check(name: &str, lines: &str) -> Result<String, UpgradeError> {
        outcome(&request(("GET", "HTTP/1.1"), name, lines))
    }

    #[test]
    fn a_good_upgrade_has_its_key_origin_and_subprotocols() {
        assert_eq!(check("", ""), Ok(format!("{KEY} None []")));
        let lines = "Origin: https://a.example\r\nSec-WebSocket-Protocol: a, epush.v1\r\nsec-websocket-protocol: b\r\n";
        assert_eq!(check("", lines), Ok(format!(r#"{KEY} Some("https://a.example") ["a", "epush.v1", "b"]"#)));
        assert!(check("Upgrade", "UPGRADE: foo, WebSocket\r\n").is_ok());
        assert!(check("Connection", "connection: upgrade\r\nConnection: x\r\n").is_ok());
        assert!(check("", "Content-Length: 0\r\n").is_ok());
    }

    #[test]
    fn the_clients_first_choice_that_is_known_is_spoken() {
        let request = request(("GET", "HTTP/1.1"), "", "Sec-WebSocket-Protocol: x, b, a\r\n");
        let (head, _) = parse_head(request.as_bytes()).expect("valid").expect("whole");
        let upgrade = Upgrade::check(&head).expect("an upgrade");
        assert_eq!(upgrade.choose(&["a", "b"]), Some("b"));
        assert_eq!(upgrade.choose(&["c"]), None);
    }

    #[test]
    fn ordinary_requests_are_told_to_upgrade() {
        assert_eq!(check("Upgrade", ""), Err(UpgradeError::NotAnUpgrade));
        assert_eq!(check("Connection", "Connection: keep-alive\r\n"), Err(UpgradeError::NotAnUpgrade));
        assert_eq!(check("Upgrade", "Upgrade: h2c\r\n"), Err(UpgradeError::NotAnUpgrade));
        assert_eq!(outcome(&request(("GET", "HTTP/1.0"), "", "")), Err(UpgradeError::NotAnUpgrade));
        assert_eq!(outcome(&request(("POST", "HTTP/1.1"), "", "")), Err(UpgradeError::Method));
        let response = UpgradeError::NotAnUpgrade.response();
        assert_eq!((response.status, &*response.headers[0].1), (426, "websocket"));
        assert_eq!(UpgradeError::Method.response().status, 405);
    }

    #[test]
    fn other_versions_are_told_ours() {
        for lines in ["", "Sec-WebSocket-Version: 8\r\n", "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 13\r\n"]
        {
            assert_eq!(check("Sec-WebSocket-Version", lines), Err(UpgradeError::Version), "{lines}");
        }
        let response = UpgradeError::Version.response();
        assert_eq!(response.status, 426);
        assert!(response.headers.contains(&("sec-websocket-version", "13".into())));
    }

    #[test]
    fn a_key_is_16_bytes_in_base64() {
        for key in ["", "x", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZQA=", "dGhlIHNhbXBsZSBub25j-Q==", "===="]
        {
            let lines = format!("Sec-WebSocket-Key: {key}\r\n");
            assert!(matches!(check("Sec-WebSocket-Key", &lines), Err(UpgradeError::Malformed(_))), "{key}");
        }
        assert!(matches!(check("", "Sec-WebSocket-Key: x\r\n"), Err(UpgradeError::Malformed(_))), "twice");
        assert!(matches!(check("Sec-WebSocket-Key", ""), Err(UpgradeError::Malformed(_))));
    }

    #[test]
    fn upgrades_with_a_body_or_two_origins_are_refused() {
        for lines in ["Content-Length: 1\r\n", "Transfer-Encoding: chunked\r\n", "Origin: a\r\nOrigin: b\r\n"] {
            let Err(error @ UpgradeError::Malformed(_)) = check("", lines) else { panic!("{lines}") };
            assert_eq!(error.response().status, 400);
        }
    }

    #[test]
    fn the_answer_proves_the_key_was_read() {
        let mut out = Vec::new();
        write_switching_protocols(&mut out, KEY, Some("epush.v1"));
        let text = String::from_utf8(out).expect("text");
        assert!(text.starts_with("HTTP/1.1 101 Switching Protocols\r\n") && text.ends_with("\r\n\r\n"));
        // The example of RFC 6455 §1.3.
        assert!(text.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        assert!(text.contains("sec-websocket-protocol: epush.v1\r\n"));
    }
}
