//! A native-protocol client on a blocking socket; every wait has a deadline.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use tungstenite::client::{IntoClientRequest, client_with_config};
use tungstenite::http::{HeaderName, HeaderValue};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::protocol::frame::CloseFrame;
use tungstenite::{Error, HandshakeError, Message, WebSocket};

use super::deadline::{PATIENCE, within};

/// A WebSocket client.
pub struct Client {
    socket: WebSocket<TcpStream>,
    /// Frames that came while waiting for an answer, oldest first.
    early: VecDeque<Value>,
    next_id: i64,
    /// Its `welcome`; null on `/echo`.
    pub welcome: Value,
}

/// What a client says when it connects.
#[derive(Default)]
pub struct Dial {
    headers: Vec<(String, String)>,
    receive_buffer_bytes: Option<usize>,
    local: Option<IpAddr>,
}

impl Dial {
    /// Connects from this address: all of 127.0.0.0/8 is this machine.
    pub fn local(mut self, address: &str) -> Self {
        self.local = Some(address.parse().expect("an address"));
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// A receive buffer of fixed size: the kernel would otherwise take megabytes for a client that does not read.
    pub fn narrow(mut self) -> Self {
        self.receive_buffer_bytes = Some(64 * 1024);
        self
    }

    /// Connects, without waiting for `welcome`; or the status that refused it.
    pub fn connect(self, url: &str) -> Result<Client, u16> {
        let address = address_of(url);
        let stream = tcp_from(self.local, address, self.receive_buffer_bytes);
        let mut request = url.into_client_request().expect("a valid url");
        for (name, value) in &self.headers {
            let name: HeaderName = name.parse().expect("a header name");
            request.headers_mut().append(name, HeaderValue::from_str(value).expect("a header value"));
        }
        // One read buffer per client: the default of 128 KiB is too much for the many clients of a test.
        let config = WebSocketConfig::default().read_buffer_size(16 * 1024);
        match client_with_config(request, stream, Some(config)) {
            Ok((socket, _)) => Ok(Client { socket, early: VecDeque::new(), next_id: 0, welcome: Value::Null }),
            Err(HandshakeError::Failure(Error::Http(response))) => Err(response.status().as_u16()),
            Err(why) => panic!("{url}: {why}"),
        }
    }

    /// Connects and reads `welcome`.
    pub fn open(self, url: &str) -> Client {
        let mut client = self.connect(url).unwrap_or_else(|status| panic!("{url} was refused with {status}"));
        client.welcome = client.expect_op("welcome");
        client
    }
}

impl Client {
    pub fn open(url: &str) -> Self {
        Dial::default().open(url)
    }

    /// The status a refused handshake gets.
    ///
    /// # Panics
    /// When it is accepted.
    pub fn refused(url: &str) -> u16 {
        Dial::default().connect(url).err().unwrap_or_else(|| panic!("{url} was not refused"))
    }

    /// Its session's public name.
    pub fn session(&self) -> &str {
        self.welcome["session"].as_str().expect("welcome names the session")
    }

    pub fn local_address(&self) -> SocketAddr {
        self.socket.get_ref().local_addr().expect("connected")
    }

    // --- sending --------------------------------------------------------------

    pub fn send(&mut self, frame: &Value) {
        self.send_text(&frame.to_string());
    }

    /// Sends, and says whether the connection still took it.
    pub fn try_send(&mut self, frame: &Value) -> bool {
        self.socket.send(Message::text(frame.to_string())).is_ok()
    }

    pub fn send_text(&mut self, text: &str) {
        self.socket.send(Message::text(text)).expect("the connection is open");
    }

    pub fn send_binary(&mut self, bytes: &[u8]) {
        self.socket.send(Message::binary(bytes.to_vec())).expect("the connection is open");
    }

    /// Sends a frame with an id of its own and returns the answer with that id, whatever its `op`.
    ///
    /// What else comes meanwhile is kept for [`Client::next`].
    pub fn call(&mut self, mut frame: Value) -> Value {
        self.next_id += 1;
        let id = self.next_id;
        frame["id"] = json!(id);
        self.send(&frame);
        self.answer(id)
    }

    /// The answer to the frame with this id.
    pub fn answer(&mut self, id: i64) -> Value {
        if let Some(position) = self.early.iter().position(|frame| frame["id"] == id && frame["op"] != "message") {
            return self.early.remove(position).expect("it was found");
        }
        // Pushes may come all the time.
        within("an answer", || {
            let frame = self.read_frame();
            if frame["id"] == id && frame["op"] != "message" {
                return Some(frame);
            }
            self.early.push_back(frame);
            None
        })
    }

    /// [`Client::call`], and the answer must be `ok`.
    pub fn ok(&mut self, frame: Value) -> Value {
        let answer = self.call(frame.clone());
        assert_eq!(answer["op"], "ok", "{frame} got {answer}");
        answer
    }

    /// [`Client::call`], and the answer must be an `error` with this code.
    pub fn error(&mut self, frame: Value, code: &str) -> Value {
        let answer = self.call(frame.clone());
        assert_eq!(answer["op"], "error", "{frame} got {answer}");
        assert_eq!(answer["code"], code, "{frame} got {answer}");
        assert!(answer["message"].as_str().is_some_and(|text| !text.is_empty()), "{answer}");
        answer
    }

    pub fn subscribe(&mut self, channel: &str) -> Value {
        self.ok(json!({"op": "subscribe", "channel": channel}))
    }

    // --- receiving ------------------------------------------------------------

    /// The next frame, early ones first.
    pub fn next(&mut self) -> Value {
        match self.early.pop_front() {
            Some(frame) => frame,
            None => self.read_frame(),
        }
    }

    /// A frame that came while an answer was awaited, if one is left.
    pub fn take_early(&mut self) -> Option<Value> {
        self.early.pop_front()
    }

    /// The next frame, which must have this `op`.
    pub fn expect_op(&mut self, op: &str) -> Value {
        let frame = self.next();
        assert_eq!(frame["op"], op, "{frame}");
        frame
    }

    /// The next frame, which must be a message with this payload.
    pub fn expect_message(&mut self, data: impl Into<Value>) -> Value {
        let frame = self.expect_op("message");
        assert_eq!(frame["data"], data.into(), "{frame}");
        frame
    }

    /// `goodbye` with the code and reason, then the close frame with the same code.
    pub fn expect_goodbye(&mut self, code: u16, reason: &str) -> Value {
        let goodbye = within("a goodbye", || Some(self.next()).filter(|frame| frame["op"] == "goodbye"));
        assert_eq!((&goodbye["code"], &goodbye["reason"]), (&json!(code), &json!(reason)), "{goodbye}");
        assert_eq!(self.expect_close(), code);
        goodbye
    }

    /// The code of the close frame; whole frames before it are thrown away.
    pub fn expect_close(&mut self) -> u16 {
        within("a close frame", || match self.read() {
            Message::Close(frame) => Some(frame.map_or(1005, |frame: CloseFrame| frame.code.into())),
            _ => None,
        })
    }

    /// Waits for the end of the connection, whether anybody says so in a close frame or not; frames before it are
    /// thrown away. False: it goes on.
    pub fn is_cut_off(&mut self) -> bool {
        within("the end of the connection", || match self.socket.read() {
            Ok(Message::Close(_)) => Some(true),
            Ok(_) => None,
            Err(Error::Io(why)) if why.kind() == ErrorKind::Interrupted => None,
            Err(Error::Io(why)) if matches!(why.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Some(false),
            Err(_) => Some(true),
        })
    }

    /// The next text or binary message, as it came.
    pub fn read_message(&mut self) -> Message {
        // Pings come all the time, and sooner than the socket's own deadline.
        within("a message", || {
            Some(self.read()).filter(|message| !matches!(message, Message::Ping(_) | Message::Pong(_)))
        })
    }

    /// Closes from this side and waits for the other's close frame.
    pub fn close(mut self) -> u16 {
        let frame = CloseFrame { code: 1000.into(), reason: "".into() };
        self.socket.close(Some(frame)).expect("the connection is open");
        self.expect_close()
    }

    /// Ends the connection with a reset.
    pub fn reset(self) {
        let stream = self.socket.get_ref();
        socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)).expect("a socket option");
    }

    /// The socket under it, for writing frames by hand.
    pub fn stream(&mut self) -> &mut TcpStream {
        self.socket.get_mut()
    }

    fn read_frame(&mut self) -> Value {
        match self.read_message() {
            Message::Text(text) => serde_json::from_str(&text).unwrap_or_else(|why| panic!("{why} in {text}")),
            Message::Close(frame) => panic!("closed while a frame was awaited: {frame:?}"),
            other => panic!("not a text frame: {other:?}"),
        }
    }

    fn read(&mut self) -> Message {
        let start = Instant::now();
        loop {
            match self.socket.read() {
                Ok(message) => return message,
                Err(Error::Io(why)) if why.kind() == ErrorKind::Interrupted => {}
                Err(Error::Io(why)) if matches!(why.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    panic!("nothing came within {:?}", start.elapsed());
                }
                Err(why) => panic!("while a frame was awaited: {why}"),
            }
        }
    }
}

/// A connected socket with the time-outs of a test.
pub fn tcp(address: SocketAddr, receive_buffer_bytes: Option<usize>) -> TcpStream {
    tcp_from(None, address, receive_buffer_bytes)
}

/// [`tcp`] from a local address.
pub fn tcp_from(local: Option<IpAddr>, address: SocketAddr, receive_buffer_bytes: Option<usize>) -> TcpStream {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
    if let Some(bytes) = receive_buffer_bytes {
        // Before connect: the window of the handshake follows from it.
        socket.set_recv_buffer_size(bytes).expect("a socket option");
    }
    if let Some(local) = local {
        socket.bind(&SocketAddr::new(local, 0).into()).expect("a free port");
    }
    socket.connect_timeout(&address.into(), PATIENCE).unwrap_or_else(|why| panic!("{address}: {why}"));
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket option");
    stream.set_write_timeout(Some(PATIENCE)).expect("a socket option");
    stream.set_nodelay(true).expect("a socket option");
    stream
}

fn address_of(url: &str) -> SocketAddr {
    let rest = url.strip_prefix("ws://").expect("a ws:// url");
    let host = rest.split(['/', '?']).next().expect("split gives one");
    host.parse().unwrap_or_else(|why| panic!("{url}: {why}"))
}
