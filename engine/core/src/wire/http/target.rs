//! Request targets: path and query, decoded. Knows nothing of which paths there are.

use std::borrow::Cow;

use super::error::HttpError;

/// A decoded name and its decoded value.
pub type QueryPair<'b> = (Cow<'b, str>, Cow<'b, str>);

/// A decoded request target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Target<'b> {
    pub(super) path: Cow<'b, str>,
    pub(super) query: Vec<QueryPair<'b>>,
}

impl<'b> Target<'b> {
    /// Reads any of RFC 9112 §3.2's forms but CONNECT's, which is for proxies.
    pub(super) fn parse(method: &str, raw: &'b str) -> Result<Self, HttpError> {
        if raw == "*" && method == "OPTIONS" {
            return Ok(Self { path: Cow::Borrowed(raw), query: Vec::new() });
        }
        if raw.contains('#') {
            return Err(HttpError::bad("a request target has no fragment"));
        }
        let origin = if raw.starts_with('/') { raw } else { without_authority(raw)? };
        let (path, query) = origin.split_once('?').unwrap_or((origin, ""));
        let path = if path.is_empty() { Cow::Borrowed("/") } else { decode(path)? };
        if path.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(HttpError::bad("control characters in the path"));
        }
        Ok(Self { path, query: pairs(query)? })
    }
}

/// Path and query of the absolute form, which HTTP/1.1 servers must take (§3.2.2). Host is not what we route by.
fn without_authority(raw: &str) -> Result<&str, HttpError> {
    const NOT_A_TARGET: HttpError = HttpError::bad("the request target is not a path");
    let (scheme, rest) = raw.split_once("://").ok_or(NOT_A_TARGET)?;
    if !["http", "https", "ws", "wss"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return Err(NOT_A_TARGET);
    }
    let (authority, origin) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if authority.is_empty() || authority.contains(['@', '\\']) {
        return Err(NOT_A_TARGET);
    }
    Ok(origin)
}

fn pairs(query: &str) -> Result<Vec<QueryPair<'_>>, HttpError> {
    let mut pairs = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        pairs.push((decode_form(name)?, decode_form(value)?));
    }
    Ok(pairs)
}

/// As HTML forms write it: `+` is a space.
fn decode_form(text: &str) -> Result<Cow<'_, str>, HttpError> {
    if text.contains('+') {
        decode(&text.replace('+', " ")).map(|text| Cow::Owned(text.into_owned()))
    } else {
        decode(text)
    }
}

/// Replaces `%XX`. What comes out must be UTF-8.
fn decode(text: &str) -> Result<Cow<'_, str>, HttpError> {
    const BAD: HttpError = HttpError::bad("malformed percent-encoding");
    let Some((plain, mut rest)) = text.split_once('%') else { return Ok(Cow::Borrowed(text)) };
    let mut bytes = Vec::with_capacity(text.len());
    bytes.extend_from_slice(plain.as_bytes());
    loop {
        let (digits, after) = rest.split_at_checked(2).ok_or(BAD)?;
        // `from_str_radix` would take a sign.
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(BAD);
        }
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| BAD)?);
        let Some((plain, next)) = after.split_once('%') else {
            bytes.extend_from_slice(after.as_bytes());
            return String::from_utf8(bytes).map(Cow::Owned).map_err(|_| BAD);
        };
        bytes.extend_from_slice(plain.as_bytes());
        rest = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(raw: &str) -> Result<String, u16> {
        Target::parse("GET", raw).map(|target| target.path.into_owned()).map_err(|error| error.status)
    }

    fn query(raw: &str) -> Vec<(String, String)> {
        let target = Target::parse("GET", raw).expect("valid");
        target.query.into_iter().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.into(), value.into())
    }

    #[test]
    fn paths_are_percent_decoded() {
        assert_eq!(path("/").as_deref(), Ok("/"));
        assert_eq!(path("/msg/%E2%82%AC%2f%25?x").as_deref(), Ok("/msg/€/%"));
        assert_eq!(path("/a+b").as_deref(), Ok("/a+b"), "+ is itself in a path");
    }

    #[test]
    fn bad_escapes_are_refused() {
        for raw in ["/%", "/%2", "/%zz", "/%+1", "/%-1", "/%ff", "/%e2%82", "/%€", "/?a=%", "/?%g0=1", "/?a=%ff"] {
            assert_eq!(path(raw), Err(400), "{raw}");
        }
        assert_eq!(path("/%00"), Err(400));
        assert_eq!(path("/a%0d%0ab"), Err(400));
    }

    #[test]
    fn query_pairs_are_decoded_in_order() {
        assert_eq!(query("/p?"), []);
        assert_eq!(query("/p"), []);
        assert_eq!(
            query("/p?user=7&token=a%2Bb+c&&flag&=v&a=b=c"),
            [pair("user", "7"), pair("token", "a+b c"), pair("flag", ""), pair("", "v"), pair("a", "b=c"),]
        );
        assert_eq!(query("/p?a=/b?c"), [pair("a", "/b?c")]);
    }

    #[test]
    fn the_absolute_form_is_its_path() {
        assert_eq!(path("http://example.org/a?b").as_deref(), Ok("/a"));
        assert_eq!(path("WS://example.org:80").as_deref(), Ok("/"));
        assert_eq!(query("http://example.org?b=1"), [pair("b", "1")]);
        for raw in ["http:///a", "ftp://x/a", "://x", "http://u@x/", "http:/x", "http://a\\b/"] {
            assert_eq!(path(raw), Err(400), "{raw}");
        }
    }

    #[test]
    fn other_forms_are_refused() {
        assert_eq!(path("*"), Err(400));
        assert_eq!(Target::parse("OPTIONS", "*").expect("valid").path, "*");
        for raw in ["example.org:443", "a/b", "?x", "/a#b", "%2Fa"] {
            assert_eq!(path(raw), Err(400), "{raw}");
        }
    }
}
