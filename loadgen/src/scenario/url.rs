//! The addresses a scenario names: `SCHEME://HOST[:PORT][/PATH]`. Every one is read here, so that what nobody can reach is refused
//! with the same words wherever it comes from.

use std::fmt;

/// An address, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// `ws`, `wss`, `http` or `https`.
    pub scheme: String,
    /// A name or an address; one of IPv6 without its brackets.
    pub host: String,
    /// As written, or the scheme's own.
    pub port: u16,
    /// Path and query, with the slash they begin with; empty when there is none.
    pub path: String,
}

impl Url {
    /// Reads an address with one of these schemes.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str, schemes: &[&str]) -> Result<Self, String> {
        let expected = || schemes.iter().map(|scheme| format!("{scheme}://")).collect::<Vec<_>>().join(" or ");
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(format!("`{text}` is no URL: expected {}HOST:PORT", expected()));
        };
        let Some(scheme) = schemes.iter().find(|known| known.eq_ignore_ascii_case(scheme)) else {
            return Err(format!("`{scheme}://` is not for this: expected {}", expected()));
        };
        let (authority, path) = rest.find(['/', '?']).map_or((rest, ""), |at| rest.split_at(at));
        if let Some(odd) = text.chars().find(|c| c.is_whitespace() || c.is_control() || *c == '#') {
            return Err(format!("`{text}` holds {odd:?}, which no URL of a server may"));
        }
        if authority.contains('@') {
            return Err(String::from(
                "a user and password in a URL are not sent: use a header, as in 'Authorization: Basic …'",
            ));
        }
        let (host, port) = split_port(authority, scheme).map_err(|why| format!("`{text}`: {why}"))?;
        let path = if path.starts_with('?') { format!("/{path}") } else { path.into() };
        Ok(Self { scheme: String::from(*scheme), host: host.into(), port, path })
    }

    /// Reads the address of a WebSocket server.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn websocket(text: &str) -> Result<Self, String> {
        Self::parse(text, &["ws", "wss"])
    }

    /// Reads the address of an HTTP server.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn http(text: &str) -> Result<Self, String> {
        Self::parse(text, &["http", "https"])
    }

    /// TLS is spoken there.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        is_secure(&self.scheme)
    }

    /// For the `Host` header: with brackets where it is IPv6, and with the port where it is not the scheme's.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = self.bracketed();
        if self.port == scheme_port(&self.scheme) { host } else { format!("{host}:{}", self.port) }
    }

    fn bracketed(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}://{}:{}{}", self.scheme, self.bracketed(), self.port, self.path)
    }
}

fn is_secure(scheme: &str) -> bool {
    matches!(scheme, "wss" | "https")
}

fn scheme_port(scheme: &str) -> u16 {
    if is_secure(scheme) { 443 } else { 80 }
}

fn split_port<'a>(authority: &'a str, scheme: &str) -> Result<(&'a str, u16), String> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or("the bracket around the address has no end")?;
            (host, after.strip_prefix(':').or_else(|| after.is_empty().then_some("")))
        }
        None => authority.split_once(':').map_or((authority, Some("")), |(host, port)| (host, Some(port))),
    };
    if host.is_empty() {
        return Err(String::from("there is no host"));
    }
    match port {
        Some("") if authority.ends_with(':') => Err(String::from("there is no port after the colon")),
        Some("") => Ok((host, scheme_port(scheme))),
        Some(port) => match port.parse() {
            Ok(0) | Err(_) => Err(format!("`{port}` is no port: expected 1 to 65535")),
            Ok(port) => Ok((host, port)),
        },
        None => Err(String::from("expected a colon and a port after the address in brackets")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart() {
        let url = Url::websocket("ws://example.com:7000/msg/{user}?a=1").unwrap();
        assert_eq!((url.host.as_str(), url.port, url.path.as_str()), ("example.com", 7000, "/msg/{user}?a=1"));
        assert_eq!(Url::websocket("wss://example.com").unwrap().port, 443);
        assert_eq!(Url::http("http://[::1]:81/x").unwrap().to_string(), "http://[::1]:81/x");
        assert_eq!(Url::websocket("ws://h?x").unwrap().path, "/?x");
        assert_eq!(Url::websocket("WSS://h").unwrap().scheme, "wss");
    }

    #[test]
    fn a_host_header_has_brackets_and_a_port_where_they_are_needed() {
        for (text, authority) in [
            ("wss://push.example/msg", "push.example"),
            ("wss://push.example:80", "push.example:80"),
            ("ws://127.0.0.1:7000", "127.0.0.1:7000"),
            ("ws://[::1]:8080/", "[::1]:8080"),
            ("ws://[::1]", "[::1]"),
        ] {
            assert_eq!(Url::websocket(text).unwrap().authority(), authority);
        }
    }

    #[test]
    fn what_nobody_can_reach_is_refused() {
        for (text, why) in [
            ("127.0.0.1:7000", "is no URL"),
            ("http://127.0.0.1", "expected ws:// or wss://"),
            ("ws://", "no host"),
            ("ws://:7000", "no host"),
            ("ws://a:70000", "no port"),
            ("ws://a:0", "no port"),
            ("ws://a:port", "no port"),
            ("ws://fe80::1", "no port"),
            ("ws://a:", "no port after"),
            ("ws://[::1", "no end"),
            ("ws://[::1]7000", "a colon"),
            ("ws://a b", "holds ' '"),
            ("ws://a/#top", "holds '#'"),
            ("ws://me:secret@a", "use a header"),
        ] {
            let refused = Url::websocket(text).unwrap_err();
            assert!(refused.contains(why), "{text}: {refused}");
        }
    }
}
