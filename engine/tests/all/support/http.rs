//! An HTTP/1.1 client of a screenful: status, headers, body; keep-alive and chunked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use super::client::tcp;

/// A kept-alive connection.
pub struct Api {
    stream: BufReader<TcpStream>,
    host: String,
    key: Option<String>,
}

/// A response.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Api {
    pub fn connect(address: SocketAddr) -> Self {
        Self { stream: BufReader::new(tcp(address, None)), host: address.to_string(), key: None }
    }

    /// Sends this API key with every request.
    pub fn key(mut self, key: &str) -> Self {
        self.key = Some(key.into());
        self
    }

    pub fn get(&mut self, path: &str) -> Reply {
        self.request("GET", path, None)
    }

    pub fn delete(&mut self, path: &str) -> Reply {
        self.request("DELETE", path, None)
    }

    pub fn post(&mut self, path: &str, body: &Value) -> Reply {
        self.request("POST", path, Some(body.to_string().as_bytes()))
    }

    pub fn put(&mut self, path: &str, body: &Value) -> Reply {
        self.request("PUT", path, Some(body.to_string().as_bytes()))
    }

    pub fn request(&mut self, method: &str, path: &str, body: Option<&[u8]>) -> Reply {
        self.send(method, path, body);
        self.reply()
    }

    /// Sends a request without waiting for its response.
    pub fn send(&mut self, method: &str, path: &str, body: Option<&[u8]>) {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.host);
        if let Some(key) = &self.key {
            head.push_str(&format!("Authorization: Bearer {key}\r\n"));
        }
        if let Some(body) = body {
            head.push_str(&format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(body.unwrap_or_default());
        self.write(&bytes);
    }

    pub fn write(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).expect("the connection is open");
    }

    /// Ends this side's half: the server sees the end of the input.
    pub fn end(&mut self) {
        self.stream.get_mut().shutdown(std::net::Shutdown::Write).expect("the connection is open");
    }

    pub fn reply(&mut self) -> Reply {
        self.try_reply().expect("a response")
    }

    /// The response, or none when the connection ended without one.
    pub fn try_reply(&mut self) -> Option<Reply> {
        let (status, headers) = self.head()?;
        let mut reply = Reply { status, headers, body: Vec::new() };
        if reply.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            while let Some(chunk) = self.chunk() {
                reply.body.extend(chunk);
            }
        } else if let Some(length) = reply.header("content-length") {
            let length = length.parse().expect("a content length");
            reply.body.resize(length, 0);
            self.stream.read_exact(&mut reply.body).expect("the body");
        }
        Some(reply)
    }

    /// The head of a response whose body the caller reads.
    pub fn head(&mut self) -> Option<(u16, Vec<(String, String)>)> {
        let status_line = self.line().filter(|line| !line.is_empty())?;
        let status = status_line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.unwrap_or_else(|| panic!("not a status line: {status_line:?}"));
        let mut headers = Vec::new();
        loop {
            let line = self.line().expect("a whole head");
            let Some((name, value)) = line.split_once(':') else { return Some((status, headers)) };
            headers.push((name.to_ascii_lowercase(), value.trim().to_string()));
        }
    }

    /// The next chunk of a chunked body; none for the last.
    pub fn chunk(&mut self) -> Option<Vec<u8>> {
        let size = self.line().expect("a chunk size");
        let size = usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16);
        let mut chunk = vec![0; size.expect("a chunk size in hexadecimal")];
        self.stream.read_exact(&mut chunk).expect("a whole chunk");
        assert_eq!(self.line().as_deref(), Some(""), "a chunk ends in CRLF");
        (!chunk.is_empty()).then_some(chunk)
    }

    /// Whether the server has closed the connection: waits for it.
    pub fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => rest.is_empty(),
            Err(why) => why.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }

    fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        match self.stream.read_until(b'\n', &mut line) {
            Ok(0) => None,
            Ok(_) => Some(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_string()),
            Err(why) if why.kind() == std::io::ErrorKind::ConnectionReset => None,
            Err(why) => panic!("while a response was awaited: {why}"),
        }
    }
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|why| panic!("{why} in {self:?}"))
    }

    /// The body as one JSON value a line.
    pub fn lines(&self) -> Vec<Value> {
        let text = self.text();
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|why| panic!("{why} in {line:?}"));
        text.lines().map(parse).collect()
    }

    /// The status and `error.code` of a refusal, whose shape is checked.
    pub fn refusal(&self) -> (u16, String) {
        let body = self.json();
        let error = &body["error"];
        assert!(error["message"].as_str().is_some_and(|text| !text.is_empty()), "{self:?}");
        (self.status, error["code"].as_str().expect("error.code").to_string())
    }
}
