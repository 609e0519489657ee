//! The commands that call a running engine: one HTTP request, its reply on stdout.
//!
//! Knows the routes of the control API; what they mean is the API's to know.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use serde::Deserialize;
use ureq::http::{Method, Request, Response, Uri};
use ureq::{Agent, Body};

use crate::push::Push;

/// A reply takes the engine milliseconds; a person or a script should hear of a stuck one.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Members of a large channel are the longest reply.
const REPLY_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// Where the control API is, and the key to it.
#[derive(Debug)]
pub struct Control {
    /// Without a slash at the end.
    url: String,
    key: Option<String>,
}

impl Control {
    /// The API at a URL; a bare `host:port` means `http`.
    pub fn new(url: &str, key: Option<String>) -> Self {
        let scheme = if url.contains("://") { "" } else { "http://" };
        Self { url: format!("{scheme}{}", url.trim_end_matches('/')), key }
    }
}

/// One request.
#[derive(Debug)]
pub struct Call {
    method: Method,
    path: String,
    body: Option<Vec<u8>>,
}

impl Call {
    /// `POST /v1/push`.
    pub fn push(push: &Push) -> Self {
        let body = serde_json::to_vec(push).expect("strings and JSON are JSON");
        Self { body: Some(body), ..Self::bare(Method::POST, "/v1/push") }
    }

    /// `GET /v1/online`.
    pub fn online() -> Self {
        Self::bare(Method::GET, "/v1/online")
    }

    /// `GET /v1/users/{user}`.
    pub fn user(user: &str) -> Self {
        Self::bare(Method::GET, format!("/v1/users/{}", percent_encoded(user)))
    }

    /// `DELETE /v1/users/{user}`.
    pub fn kick(user: &str) -> Self {
        Self { method: Method::DELETE, ..Self::user(user) }
    }

    /// `GET /v1/nodes`.
    pub fn nodes() -> Self {
        Self::bare(Method::GET, "/v1/nodes")
    }

    /// `POST /v1/drain`.
    pub fn drain() -> Self {
        Self { body: Some(Vec::new()), ..Self::bare(Method::POST, "/v1/drain") }
    }

    /// The body, where there is one.
    #[cfg(test)]
    pub fn body(&self) -> Option<&[u8]> {
        self.body.as_deref()
    }

    fn bare(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), body: None }
    }
}

/// Makes the call: the reply's body to stdout and 0, or the error to stderr and 1; 2 when the call cannot be made.
pub fn run(control: &Control, call: Call) -> ExitCode {
    match perform(control, call) {
        Ok(reply) => print(&reply),
        Err(Failure { code, why }) => {
            // Nobody to tell when stderr is gone; the exit code still says it.
            let _ = writeln!(io::stderr(), "epush: {why}");
            ExitCode::from(code)
        }
    }
}

#[derive(Debug)]
struct Failure {
    /// Exit code: 1 it went wrong, 2 bad usage.
    code: u8,
    why: String,
}

fn perform(control: &Control, call: Call) -> Result<Vec<u8>, Failure> {
    let usage = |why: &str| Failure { code: 2, why: why.to_owned() };
    let failed = |why: String| Failure { code: 1, why: format!("{}: {why}", control.url) };
    // The URI's scheme is what ureq would stumble over late.
    let uri: Uri = format!("{}{}", control.url, call.path).parse().map_err(|_| usage("--api: not a URL"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(usage("--api: expected an http:// or https:// URL"));
    }
    let mut request = Request::builder().method(call.method).uri(uri);
    if let Some(key) = &control.key {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    let unfit = |_| usage("--key: holds letters that no header may");
    let reply = match call.body {
        Some(body) => agent().run(request.header("content-type", "application/json").body(body).map_err(unfit)?),
        None => agent().run(request.body(()).map_err(unfit)?),
    };
    let mut reply = reply.map_err(|why| failed(why.to_string()))?;
    let body = read_body(&mut reply).map_err(|why| failed(why.to_string()))?;
    if reply.status().is_success() { Ok(body) } else { Err(failed(refusal(&reply, &body))) }
}

fn agent() -> Agent {
    let config = Agent::config_builder()
        .timeout_global(Some(CALL_TIMEOUT))
        .http_status_as_error(false)
        // A proxy for the world has no way to our loopback.
        .proxy(None)
        // A redirect of a POST would turn it into a GET.
        .max_redirects(0)
        .build();
    config.into()
}

fn read_body(reply: &mut Response<Body>) -> Result<Vec<u8>, ureq::Error> {
    reply.body_mut().with_config().limit(REPLY_BYTES_MAX).read_to_vec()
}

/// What the API says of a call it did not carry out: `{"error":{"code","message"}}`, or whatever a proxy put there.
fn refusal(reply: &Response<Body>, body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Refused {
        error: Why,
    }
    #[derive(Deserialize)]
    struct Why {
        code: String,
        message: String,
    }
    let status = reply.status();
    match serde_json::from_slice(body) {
        Ok(Refused { error: Why { code, message } }) => format!("{} {code}: {message}", status.as_u16()),
        Err(_) => format!("{status}: {}", String::from_utf8_lossy(body).trim()),
    }
}

fn print(reply: &[u8]) -> ExitCode {
    let mut stdout = io::stdout().lock();
    let newline: &[u8] = if reply.is_empty() || reply.ends_with(b"\n") { b"" } else { b"\n" };
    match stdout.write_all(reply).and_then(|()| stdout.write_all(newline)).and_then(|()| stdout.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        // The reader, such as `head`, has enough.
        Err(why) if why.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// A path segment as RFC 3986 §2.3 leaves it: everything but the unreserved is encoded.
fn percent_encoded(segment: &str) -> String {
    // As a whole segment, dots would be resolved away.
    let dots = segment == "." || segment == "..";
    let mut encoded = String::new();
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_~".contains(&byte) || (byte == b'.' && !dots) {
            encoded.push(byte.into());
        } else {
            write!(encoded, "%{byte:02X}").expect("a String takes all");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;
    use std::thread::{JoinHandle, spawn};

    use super::*;

    /// An API that answers one request with this, and returns what it was asked.
    fn api(answer: &'static str) -> (Control, JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        let served = spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a deadline");
            let mut asked = Vec::new();
            let mut byte = [0];
            while !complete(&asked) {
                stream.read_exact(&mut byte).expect("more of the request");
                asked.push(byte[0]);
            }
            stream.write_all(answer.as_bytes()).expect("answered");
            String::from_utf8(asked).expect("text")
        });
        (Control::new(&url, Some("secret-key".into())), served)
    }

    /// Whether the head is there, and after it as much body as it announces.
    fn complete(asked: &[u8]) -> bool {
        let text = String::from_utf8_lossy(asked).to_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        body.len() >= length.map_or(0, |length| length.parse().expect("a number"))
    }

    #[test]
    fn a_call_carries_the_key_and_returns_the_body() {
        let (control, served) = api("HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n{\"a\": 1}");
        assert_eq!(perform(&control, Call::kick("a/b c%ü")).expect("a reply"), b"{\"a\": 1}");
        let asked = served.join().expect("asked");
        assert!(asked.starts_with("DELETE /v1/users/a%2Fb%20c%25%C3%BC HTTP/1.1\r\n"), "{asked}");
        assert!(asked.to_lowercase().contains("\r\nauthorization: bearer secret-key\r\n"), "{asked}");
    }

    #[test]
    fn drain_posts_an_empty_body() {
        let (control, served) = api("HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\n{}");
        assert_eq!(perform(&control, Call::drain()).expect("a reply"), b"{}");
        let asked = served.join().expect("asked");
        assert!(asked.starts_with("POST /v1/drain HTTP/1.1\r\n"), "{asked}");
        assert!(asked.to_lowercase().contains("\r\ncontent-length: 0\r\n"), "{asked}");
    }

    #[test]
    fn a_refusal_is_told_with_its_code_and_never_with_the_key() {
        let answer = "HTTP/1.1 403 Forbidden\r\ncontent-length: 49\r\n\r\n{\"error\":{\"code\":\"forbidden\",\"message\":\"no key\"}}";
        let (control, served) = api(answer);
        let failure = perform(&control, Call::online()).expect_err("refused");
        assert_eq!((failure.code, failure.why.ends_with(": 403 forbidden: no key")), (1, true), "{failure:?}");
        assert!(!failure.why.contains("secret-key"));
        served.join().expect("asked");
        let (control, served) = api("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 4\r\n\r\noops");
        let failure = perform(&control, Call::online()).expect_err("refused");
        assert!(failure.why.ends_with(": 502 Bad Gateway: oops"), "{failure:?}");
        served.join().expect("asked");
    }

    #[test]
    fn a_call_that_cannot_be_made_is_bad_usage_and_one_that_nobody_answers_a_failure() {
        let code = |url: &str, key: Option<&str>| {
            perform(&Control::new(url, key.map(str::to_owned)), Call::nodes()).expect_err("no API there").code
        };
        assert_eq!(code("ftp://127.0.0.1", None), 2);
        assert_eq!(code("http://a b", None), 2);
        assert_eq!(code("127.0.0.1:1", Some("a\nb")), 2);
        let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
        assert_eq!(code(&free.to_string(), None), 1);
    }

    #[test]
    fn a_user_is_one_segment_of_the_path() {
        assert_eq!(percent_encoded("a-Z_0.9~"), "a-Z_0.9~");
        assert_eq!(percent_encoded("a@b/c?d#e"), "a%40b%2Fc%3Fd%23e");
        assert_eq!(percent_encoded(".."), "%2E%2E");
    }
}
