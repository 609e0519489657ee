//! Where a URL leads: scheme, host, port, path.

use crate::dialect::template::{OF_SUBSCRIPTION, Template};

/// A server's address as its URL says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// TLS: `wss`, `https`.
    pub secure: bool,
    /// Name or address, without the brackets of IPv6.
    pub host: String,
    /// Its own, or that of the scheme.
    pub port: u16,
    /// For the `Host` header: with brackets, and with the port where it is not the scheme's.
    pub authority: String,
    /// Path and query, where the URL has them.
    pub path: Option<Template>,
}

impl Endpoint {
    /// Takes a URL apart. `schemes`: the plain one, and the one with TLS.
    ///
    /// # Errors
    /// What is wrong with it, in words that begin with `what` it is.
    pub fn parse(url: &str, what: &str, schemes: [&str; 2]) -> Result<Self, String> {
        let wrong = |words: &str| format!("{what}: {url} {words}");
        let (scheme, rest) = url
            .split_once("://")
            .ok_or_else(|| wrong(&format!("is no URL: it has to begin with {}:// or {}://", schemes[0], schemes[1])))?;
        let secure = match schemes.iter().position(|known| known.eq_ignore_ascii_case(scheme)) {
            Some(at) => at == 1,
            None => return Err(wrong(&format!("has to begin with {}:// or {}://", schemes[0], schemes[1]))),
        };
        if rest.contains(['#', ' ']) || rest.chars().any(char::is_control) {
            return Err(wrong("has a character that no such URL can have"));
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(wrong("has a user name: write it as a header of the target instead"));
        }
        let (host, port) = split_port(authority).ok_or_else(|| wrong("has a port that is none"))?;
        if host.is_empty() {
            return Err(wrong("names no host"));
        }
        let scheme_port = if secure { 443 } else { 80 };
        let port = port.unwrap_or(scheme_port);
        let bracketed = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let authority = if port == scheme_port { bracketed } else { format!("{bracketed}:{port}") };
        let path = match path {
            "" => None,
            path if path.starts_with('?') => Some(Template::parse(&format!("/{path}"), what, OF_SUBSCRIPTION)?),
            path => Some(Template::parse(path, what, OF_SUBSCRIPTION)?),
        };
        Ok(Self { secure, host, port, authority, path })
    }
}

/// Host and port; `None` for a port that is no number.
fn split_port(authority: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            (host, if after.is_empty() { None } else { Some(after.strip_prefix(':')?) })
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let port = match port {
        Some(port) => Some(port.parse().ok().filter(|port| *port != 0)?),
        None => None,
    };
    Some((host.into(), port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::template::Fill;

    fn ws(url: &str) -> Result<Endpoint, String> {
        Endpoint::parse(url, "target.url", ["ws", "wss"])
    }

    #[test]
    fn a_url_is_taken_apart() {
        let plain = ws("ws://127.0.0.1:7000").unwrap();
        assert_eq!((plain.secure, plain.host.as_str(), plain.port, plain.path), (false, "127.0.0.1", 7000, None));
        let secure = ws("wss://push.example/msg/{user}?x=1").unwrap();
        assert_eq!((secure.secure, secure.port, secure.authority.as_str()), (true, 443, "push.example"));
        let fill = Fill { user: "a b", ..Fill::default() };
        let mut path = Vec::new();
        secure.path.unwrap().expand_in_url(&fill, &mut path);
        assert_eq!(path, b"/msg/a%20b?x=1");
        let six = ws("ws://[::1]:8080/").unwrap();
        assert_eq!((six.host.as_str(), six.port, six.authority.as_str()), ("::1", 8080, "[::1]:8080"));
        assert_eq!(ws("ws://[::1]").unwrap().port, 80);
        assert_eq!(ws("ws://h?id=1").unwrap().path.unwrap().to_text(&Fill::default()), "/?id=1");
    }

    #[test]
    fn a_wrong_url_is_refused_with_what_is_wrong() {
        for (url, words) in [
            ("127.0.0.1:7000", "is no URL: it has to begin with ws:// or wss://"),
            ("http://h", "has to begin with ws:// or wss://"),
            ("ws://", "names no host"),
            ("ws://:80", "names no host"),
            ("ws://h:port", "has a port that is none"),
            ("ws://h:0", "has a port that is none"),
            ("ws://h:70000", "has a port that is none"),
            ("ws://[::1", "has a port that is none"),
            ("ws://me@h", "has a user name"),
            ("ws://h/#top", "has a character that no such URL can have"),
            ("ws://h/{usr}", "{usr} cannot be filled in"),
        ] {
            let error = ws(url).unwrap_err();
            assert!(error.starts_with("target.url:") && error.contains(words), "{url}: {error}");
        }
    }
}
