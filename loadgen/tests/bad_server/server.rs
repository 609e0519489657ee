//! The server: it takes WebSockets at one port and publications by HTTP at another, and does what its script says.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::book::{Book, To};
use crate::hub::Hub;
use crate::script::{Fate, Script};
use crate::{session, wire};

/// Nothing is waited for longer than this; no run takes as long.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct BadServer {
    pub clients: SocketAddr,
    pub api: SocketAddr,
    hub: Arc<Hub>,
    is_over: Arc<AtomicBool>,
    threads: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl BadServer {
    pub fn start(script: Script) -> Self {
        let hub = Arc::new(Hub::new(script));
        let (is_over, threads) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let listen = |serve: fn(TcpStream, &Arc<Hub>)| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let (hub, is_over, threads) = (Arc::clone(&hub), Arc::clone(&is_over), Arc::clone(&threads));
            thread::spawn(move || accept(&listener, serve, &hub, &is_over, &threads));
            address
        };
        let (clients, api) = (listen(session::serve), listen(publications));
        Self { clients, api, hub, is_over, threads }
    }

    /// From the first message on: pauses for so long in the middle of each period.
    pub fn pause_every(&self, period: Duration, length: Duration) {
        let (hub, is_over) = (Arc::clone(&self.hub), Arc::clone(&self.is_over));
        thread::spawn(move || {
            hub.begun();
            while !is_over.load(Ordering::SeqCst) {
                thread::sleep((period - length) / 2);
                hub.pause(length);
                thread::sleep((period - length) / 2);
            }
        });
    }

    /// Stops, waits for all connections to end, and gives away the book.
    pub fn close(self) -> Book {
        self.is_over.store(true, Ordering::SeqCst);
        let _ = (TcpStream::connect(self.clients), TcpStream::connect(self.api));
        let threads = std::mem::take(&mut *self.threads.lock().unwrap());
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        std::mem::take(&mut *self.hub.book())
    }
}

fn accept(
    listener: &TcpListener,
    serve: fn(TcpStream, &Arc<Hub>),
    hub: &Arc<Hub>,
    is_over: &AtomicBool,
    threads: &Mutex<Vec<JoinHandle<()>>>,
) {
    while let Ok((stream, _)) = listener.accept() {
        if is_over.load(Ordering::SeqCst) {
            return;
        }
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let hub = Arc::clone(hub);
        threads.lock().unwrap().push(thread::spawn(move || serve(stream, &hub)));
    }
}

/// Publications of one connection.
fn publications(mut stream: TcpStream, hub: &Arc<Hub>) {
    while let Ok(fate) = publication(&mut stream, hub) {
        let answer = match fate {
            Fate::Taken | Fate::Forgotten => "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n",
            Fate::Refused | Fate::RefusedAndSent => "HTTP/1.1 500 Broken\r\ncontent-length: 9\r\n\r\nas always",
            Fate::Unanswered => return,
        };
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn publication(stream: &mut TcpStream, hub: &Hub) -> io::Result<Fate> {
    let head = wire::read_head(stream)?;
    let len =
        wire::header(&head, "content-length").and_then(|len| len.parse().ok()).expect("a publication has a length");
    let mut body = vec![0; len];
    stream.read_exact(&mut body)?;
    let channel = wire::path(&head).strip_prefix("/pub/").expect("a publication goes to a channel");
    Ok(hub.publish(To::Channel(channel.to_owned()), &body))
}
