//! The application's side of webhooks: an HTTP server that answers from a closure and notes what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use serde_json::Value;

use super::deadline::PATIENCE;

/// A running server. It ends with the test process.
pub struct Hook {
    address: SocketAddr,
    calls: Receiver<Call>,
}

/// One request it got.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: String,
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// Null when there was none.
    pub body: Value,
}

type Answer = dyn Fn(&Call) -> (u16, String) + Send + Sync;

impl Hook {
    /// Answers every request with what `answer` says: status and JSON.
    pub fn answering(answer: impl Fn(&Call) -> (u16, String) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (noted, calls) = channel();
        let answer: Arc<Answer> = Arc::new(answer);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (answer, noted) = (Arc::clone(&answer), noted.clone());
                std::thread::spawn(move || serve(stream, &*answer, &noted));
            }
        });
        Self { address, calls }
    }

    /// Takes connections and never answers.
    pub fn silent() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (noted, calls) = channel();
        std::thread::spawn(move || {
            let _noted = noted;
            let mut held = Vec::new();
            for stream in listener.incoming().map_while(Result::ok) {
                held.push(stream);
            }
        });
        Self { address, calls }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The next request it got.
    pub fn call(&self) -> Call {
        self.calls.recv_timeout(PATIENCE).expect("a call of the hook")
    }
}

impl Call {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }
}

fn serve(stream: TcpStream, answer: &Answer, noted: &Sender<Call>) {
    let mut stream = BufReader::new(stream);
    while let Some(call) = read_call(&mut stream) {
        let (status, body) = answer(&call);
        // The test may have ended.
        let _ = noted.send(call);
        let head = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        if stream.get_mut().write_all(head.as_bytes()).is_err() {
            return;
        }
    }
}

fn read_call(stream: &mut BufReader<TcpStream>) -> Option<Call> {
    let request = line(stream)?;
    let mut words = request.split(' ');
    let (method, path) = (words.next()?.to_string(), words.next()?.to_string());
    let mut headers = Vec::new();
    while let Some((name, value)) = line(stream)?.split_once(':') {
        headers.push((name.to_ascii_lowercase(), value.trim().to_string()));
    }
    let mut call = Call { method, path, headers, body: Value::Null };
    let length = call.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    if call.header("transfer-encoding").is_some() {
        body = chunks(stream)?;
    }
    call.body = serde_json::from_slice(&body).unwrap_or_default();
    Some(call)
}

fn chunks(stream: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = usize::from_str_radix(&line(stream)?, 16).ok()?;
        let mut chunk = vec![0; size];
        stream.read_exact(&mut chunk).ok()?;
        line(stream)?;
        if size == 0 {
            return Some(body);
        }
        body.extend(chunk);
    }
}

fn line(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    let read = stream.read_line(&mut line).ok()?;
    (read > 0).then(|| line.trim_end().to_string())
}
