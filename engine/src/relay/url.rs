//! Where Redis is: the URL of `cluster.redis`, taken apart.
//!
//! Pure. Errors say what to write instead, and never repeat a password.

use std::fmt;
use std::str::FromStr;

use crate::config::Secret;

/// See the module. `Display` masks the password.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RedisUrl {
    /// How its servers are joined.
    pub kind: Kind,
    /// Whether they are spoken to over TLS.
    pub tls: bool,
    /// The server; or sentinels, or nodes of a Redis Cluster, any of which will do. At least one.
    pub hosts: Vec<Host>,
    /// Who this node is there; none with a password: `default`.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<Secret>,
    /// Which of the server's databases; 0 in a Redis Cluster.
    pub db: u32,
}

/// How the servers of a [`RedisUrl`] are joined.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// One server.
    Single,
    /// A master that sentinels name.
    Sentinel {
        /// What they call it.
        service: String,
    },
    /// Redis Cluster.
    Cluster,
}

/// Where a server listens.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Host {
    /// Its name or address; of IPv6 without brackets.
    pub name: String,
    /// Its port.
    pub port: u16,
}

/// Why a text is no [`RedisUrl`]: a sentence that follows "`cluster.redis`: ".
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UrlError(String);

impl RedisUrl {
    /// Takes a URL apart.
    ///
    /// # Errors
    /// The text is none, or not one of Redis.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let text = text.trim();
        if text.bytes().any(|byte| !byte.is_ascii_graphic()) {
            return no("must be visible ASCII letters: write all others as %XX, as in %20 for a space");
        }
        if text.contains(['?', '#']) {
            return no("takes no ? and no #: in a password write them as %3F and %23");
        }
        let Some((scheme, rest)) = text.split_once("://") else { return no(SCHEMES) };
        let Some((joined, tls)) = scheme_of(&scheme.to_ascii_lowercase()) else { return no(SCHEMES) };
        // The last @: one inside a password is a slip, but an unambiguous one.
        let (credentials, rest) = match rest.rsplit_once('@') {
            Some((credentials, rest)) => (Some(credentials), rest),
            None => (None, rest),
        };
        let (username, password) = credentials.map_or(Ok((None, None)), credentials_of)?;
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let default_port = if joined == Joined::Sentinel { SENTINEL_PORT } else { REDIS_PORT };
        let hosts = hosts.split(',').map(|host| host_of(host, default_port)).collect::<Result<Vec<_>, _>>()?;
        let (kind, db) = match joined {
            Joined::Single if hosts.len() > 1 => {
                return no("several servers are redis+sentinel://… or redis+cluster://…: redis:// takes one");
            }
            Joined::Single => (Kind::Single, db_of(path)?),
            Joined::Cluster if !path.is_empty() => {
                return no("a Redis Cluster has database 0 only: leave out what follows the hosts");
            }
            Joined::Cluster => (Kind::Cluster, 0),
            Joined::Sentinel => {
                let (service, db) = path.split_once('/').unwrap_or((path, ""));
                let service = decode(service)?;
                if service.is_empty() {
                    return no("must name the master that the sentinels watch, as in redis+sentinel://HOST/SERVICE");
                }
                (Kind::Sentinel { service }, db_of(db)?)
            }
        };
        Ok(Self { kind, tls, hosts, username, password, db })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Joined {
    Single,
    Sentinel,
    Cluster,
}

fn scheme_of(scheme: &str) -> Option<(Joined, bool)> {
    let (transport, joined) = match scheme.split_once('+') {
        None => (scheme, Joined::Single),
        Some((transport, "sentinel")) => (transport, Joined::Sentinel),
        Some((transport, "cluster")) => (transport, Joined::Cluster),
        Some(_) => return None,
    };
    match transport {
        "redis" => Some((joined, false)),
        "rediss" => Some((joined, true)),
        _ => None,
    }
}

fn credentials_of(text: &str) -> Result<(Option<String>, Option<Secret>), UrlError> {
    let Some((user, password)) = text.split_once(':') else {
        return no("what stands before the @ must be :PASSWORD or USER:PASSWORD");
    };
    let (user, password) = (decode(user)?, decode(password)?);
    if password.is_empty() {
        return no("the password is empty: leave out what stands before the @, or write :PASSWORD or USER:PASSWORD");
    }
    Ok(((!user.is_empty()).then_some(user), Some(Secret::new(password))))
}

fn host_of(text: &str, default_port: u16) -> Result<Host, UrlError> {
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) if address.parse::<std::net::Ipv6Addr>().is_ok() => (address, port),
            _ => return no("an IPv6 address stands in brackets, as in [::1]:6379"),
        },
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    if name.is_empty() {
        return no("has an empty host: write redis://HOST:PORT");
    }
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => default_port,
        None => return no("after the ] comes :PORT"),
        Some(port) if port.contains(':') => return no("an IPv6 address stands in brackets, as in [::1]:6379"),
        Some(port) => match digits(port) {
            Some(port) if port != 0 => port,
            _ => return no("a port is a number from 1 to 65535"),
        },
    };
    Ok(Host { name: name.to_ascii_lowercase(), port })
}

fn db_of(text: &str) -> Result<u32, UrlError> {
    if text.is_empty() {
        return Ok(0);
    }
    digits(text).ok_or_else(|| UrlError("the database that ends it must be a number, as in /0".into()))
}

/// Decimal digits and nothing else: no sign.
fn digits<T: FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// RFC 3986 §2.1.
fn decode(text: &str) -> Result<String, UrlError> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let hex = |digit: Option<u8>| digit.and_then(|digit| char::from(digit).to_digit(16));
        let (Some(high), Some(low)) = (hex(bytes.next()), hex(bytes.next())) else {
            return no("after a % come two hexadecimal digits; % itself is %25");
        };
        decoded.push((high * 16 + low) as u8);
    }
    String::from_utf8(decoded).map_err(|_| UrlError("what is written with % must be UTF-8".into()))
}

fn no<T>(why: &str) -> Result<T, UrlError> {
    Err(UrlError(why.into()))
}

/// What Redis listens on unless told otherwise.
const REDIS_PORT: u16 = 6379;

/// What Sentinel listens on unless told otherwise.
const SENTINEL_PORT: u16 = 26379;

const SCHEMES: &str = "must begin with redis://, redis+sentinel:// or redis+cluster://, or over TLS with rediss://, \
                       rediss+sentinel:// or rediss+cluster://";

impl fmt::Display for RedisUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transport = if self.tls { "rediss" } else { "redis" };
        let joined = match self.kind {
            Kind::Single => "",
            Kind::Sentinel { .. } => "+sentinel",
            Kind::Cluster => "+cluster",
        };
        write!(out, "{transport}{joined}://")?;
        if self.password.is_some() {
            write!(out, "{}:***@", self.username.as_deref().unwrap_or_default())?;
        }
        for (at, host) in self.hosts.iter().enumerate() {
            write!(out, "{}{host}", if at == 0 { "" } else { "," })?;
        }
        if let Kind::Sentinel { service } = &self.kind {
            write!(out, "/{service}")?;
        }
        if self.db == 0 { Ok(()) } else { write!(out, "/{}", self.db) }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.contains(':') {
            write!(out, "[{}]:{}", self.name, self.port)
        } else {
            write!(out, "{}:{}", self.name, self.port)
        }
    }
}

impl fmt::Display for UrlError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for UrlError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> RedisUrl {
        RedisUrl::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"))
    }

    fn host(name: &str, port: u16) -> Host {
        Host { name: name.into(), port }
    }

    #[test]
    fn a_host_alone_is_enough() {
        let url = parsed("redis://cache");
        assert_eq!((&url.kind, url.tls, url.db), (&Kind::Single, false, 0));
        assert_eq!(url.hosts, [host("cache", 6379)]);
        assert_eq!((url.username, url.password), (None, None));
        assert_eq!(parsed("redis://cache/").hosts, [host("cache", 6379)]);
    }

    #[test]
    fn user_and_password_are_decoded() {
        let url = parsed("rediss://us%65r:p%40ss%3Aw%C3%B6rd@cache:7/3");
        assert_eq!(url.username.as_deref(), Some("user"));
        assert_eq!(url.password, Some(Secret::new("p@ss:wörd")));
        assert_eq!((url.tls, url.db), (true, 3));
        assert_eq!(url.hosts, [host("cache", 7)]);
        let url = parsed("redis://:a:b/c@cache");
        assert_eq!((url.username, url.password), (None, Some(Secret::new("a:b/c"))));
    }

    #[test]
    fn ipv6_stands_in_brackets() {
        assert_eq!(parsed("redis://[::1]:6380").hosts, [host("::1", 6380)]);
        assert_eq!(parsed("redis://[fe80::1]").hosts, [host("fe80::1", 6379)]);
        assert_eq!(parsed("redis://[::1]").to_string(), "redis://[::1]:6379");
    }

    #[test]
    fn sentinels_name_a_service_and_have_a_port_of_their_own() {
        let url = parsed("redis+sentinel://:pw@a,b:5,[::1]/main/2");
        assert_eq!(url.kind, Kind::Sentinel { service: "main".into() });
        assert_eq!(url.hosts, [host("a", 26379), host("b", 5), host("::1", 26379)]);
        assert_eq!(url.db, 2);
        assert_eq!(url.to_string(), "redis+sentinel://:***@a:26379,b:5,[::1]:26379/main/2");
    }

    #[test]
    fn a_cluster_has_several_hosts_and_no_database() {
        let url = parsed("rediss+cluster://me:pw@a,b:7001");
        assert_eq!((&url.kind, url.tls), (&Kind::Cluster, true));
        assert_eq!(url.hosts, [host("a", 6379), host("b", 7001)]);
        assert_eq!(url.to_string(), "rediss+cluster://me:***@a:6379,b:7001");
        assert!(RedisUrl::parse("redis+cluster://a/1").is_err());
    }

    #[test]
    fn what_is_no_url_says_what_to_write_and_keeps_the_password() {
        for text in [
            "",
            "hunter2",
            "redis:hunter2@h",
            "http://:hunter2@h",
            "redis+tls://:hunter2@h",
            "redis://hunter2@h",
            "redis://user:@h",
            "redis://:hunter2@",
            "redis://:hunter2@/1",
            "redis://:hunter2@h:0",
            "redis://:hunter2@h:65536",
            "redis://:hunter2@h:+1",
            "redis://:hunter2@h:",
            "redis://:hunter2@::1",
            "redis://:hunter2@[::1",
            "redis://:hunter2@[::1]6379",
            "redis://:hunter2@[hunter2]:1",
            "redis://:hunter2@a,b",
            "redis://:hunter2@h/hunter2",
            "redis://:hunter2@h/-1",
            "redis://:hunter2@h/4294967296",
            "redis://:hunter2%@h",
            "redis://:hunter2%zz@h",
            "redis://:hunter2%ff@h",
            "redis://:hunter2?@h",
            "redis://:hunter2#@h",
            "redis://:hunter2 @h",
            "redis://:hunter2ö@h",
            "redis+sentinel://:hunter2@h",
            "redis+sentinel://:hunter2@h/",
            "redis+sentinel://:hunter2@h//1",
            "redis+cluster://:hunter2@a,,b",
        ] {
            let why = RedisUrl::parse(text).expect_err(text).to_string();
            assert!(!why.contains("hunter2"), "{text}: {why}");
        }
    }

    #[test]
    fn nothing_shows_the_password() {
        let url = parsed("redis://me:hunter2@h");
        assert_eq!(url.to_string(), "redis://me:***@h:6379");
        assert!(!format!("{url:?}").contains("hunter2"));
    }
}
