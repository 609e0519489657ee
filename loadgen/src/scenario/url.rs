//! The addresses a scenario names: `SCHEME://HOST[:PORT][/PATH]`, read as far as they are needed to refuse what nobody can reach.

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
        if !schemes.contains(&scheme) {
            return Err(format!("`{scheme}://` is not for this: expected {}", expected()));
        }
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
        Ok(Self { scheme: scheme.into(), host: host.into(), port, path })
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
        matches!(self.scheme.as_str(), "wss" | "https")
    }
}

impl fmt::Display for Url {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, host, port, path } = self;
        if host.contains(':') {
            return write!(out, "{scheme}://[{host}]:{port}{path}");
        }
        write!(out, "{scheme}://{host}:{port}{path}")
    }
}

fn split_port<'a>(authority: &'a str, scheme: &str) -> Result<(&'a str, u16), String> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or("the bracket around the address has no end")?;
            (host, after.strip_prefix(':').or_else(|| after.is_empty().then_some("")))
        }
        None => authority.rsplit_once(':').map_or((authority, Some("")), |(host, port)| (host, Some(port))),
    };
    if host.is_empty() {
        return Err(String::from("there is no host"));
    }
    match port {
        Some("") if authority.ends_with(':') => Err(String::from("there is no port after the colon")),
        Some("") => Ok((host, if matches!(scheme, "wss" | "https") { 443 } else { 80 })),
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
    }

    #[test]
    fn what_nobody_can_reach_is_refused() {
        for (text, why) in [
            ("127.0.0.1:7000", "is no URL"),
            ("http://127.0.0.1", "expected ws:// or wss://"),
            ("ws://", "no host"),
            ("ws://:7000", "no host"),
            ("ws://a:70000", "no port"),
            ("ws://a:", "no port after"),
            ("ws://[::1", "no end"),
            ("ws://[::1]7000", "a colon"),
            ("ws://a b", "holds ' '"),
            ("ws://me:secret@a", "use a header"),
        ] {
            let refused = Url::websocket(text).unwrap_err();
            assert!(refused.contains(why), "{text}: {refused}");
        }
    }
}
